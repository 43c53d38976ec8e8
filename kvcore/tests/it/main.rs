//! Integration tests of kvcore: one binary.

mod disk;
