//! Integration tests of kvcore: one binary.
