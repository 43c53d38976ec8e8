//! Integration tests of kvserver: one binary.
