//! Instructions per operation: `cargo bench -p kv-benches --bench instructions`.
//!
//! `-- --write` makes the present counts the ratchet.

use std::{path::Path, process::ExitCode};

use kv_benches::instructions::{self, Suite};

fn main() -> ExitCode {
    let ratchet = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json");
    instructions::main(Suite::Engine, &ratchet, Path::new(env!("CARGO_TARGET_TMPDIR")))
}
