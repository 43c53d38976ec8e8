//! Integration tests of kvcore: one binary.

mod api;
mod disk;
