//! Instructions per request: `cargo bench -p kv-benches --bench server-instructions`.
//!
//! `-- --write` makes the present counts the ratchet.

use std::{path::Path, process::ExitCode};

use kv_benches::instructions::{self, Suite};

fn main() -> ExitCode {
    let ratchet = Path::new(env!("CARGO_MANIFEST_DIR")).join("server_instructions.json");
    instructions::main(Suite::Server, &ratchet, Path::new(env!("CARGO_TARGET_TMPDIR")))
}
