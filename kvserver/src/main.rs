//! The `kvserver` binary: flags, log, signals; everything else is the library.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kvserver: {error}");
            ExitCode::FAILURE
        }
    }
}
