//! Integration tests of kvcore: one binary.

mod api;
mod calls;
mod disk;
mod tidy;
