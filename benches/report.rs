//! Makes the tables and plots of `docs/performance.md` from the JSON of the benches:
//! `cargo run --release -p kv-benches --bin report -- JSON… [--docs docs]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match kv_benches::report::write(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
