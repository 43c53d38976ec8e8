//! Integration tests of kvcore: one binary.

mod api;
mod crash;
mod disk;
