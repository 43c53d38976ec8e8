//! The `kvserver` binary.
fn main() {}
