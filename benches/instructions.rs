//! Instructions per operation: `cargo bench -p kv-benches --bench instructions`.
//!
//! `-- --write` makes the present counts the ratchet.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let ratchet = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    kv_benches::instructions::main(&ratchet, Path::new(env!("CARGO_TARGET_TMPDIR")))
}
