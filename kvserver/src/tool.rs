//! The subcommands: looking at, checking, repairing and moving a store that no server is using.
//!
//! Knows arguments, files and what is printed. Does not know the server.

mod base64;
mod care;
mod export;
mod import;
mod keys;
mod lines;
mod look;
mod output;
mod values;

use std::{error::Error, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};

/// What went wrong, in words for people.
type Failure = Box<dyn Error>;

/// Work on a store's directory instead of serving it.
#[derive(Debug, Subcommand)]
pub(crate) enum Tool {
    /// Show how many keys, files and bytes a store has
    ///
    /// Reads only, so it also works beside a running server; it then shows what is known to be
    /// on the disk.
    Stats(At),
    /// List the keys of a keyspace
    ///
    /// Without a keyspace, lists the keyspaces. Keys come in order where the keyspace keeps one.
    Keys(look::Keys),
    /// Show the value of one key
    ///
    /// Ends with status 1 if there is no such key.
    Get(look::Get),
    /// List keys with their values
    Scan(look::Scan),
    /// Check every byte of a store against its checksums
    ///
    /// Changes nothing. Ends with status 1 if anything is damaged, and lists all of it.
    Verify(At),
    /// Recover what can be read from a damaged store into a new one
    ///
    /// The damaged store is only read. What is known to be lost is listed.
    Salvage(care::Salvage),
    /// Give the space of overwritten and deleted entries back
    ///
    /// The store must not be in use.
    Merge(At),
    /// Copy a store's state into another directory, by hard links where possible
    ///
    /// The directory is a store of its own: opening it is restoring it. Run again, it brings
    /// the copy up to date. The store must not be in use.
    Checkpoint(care::Checkpoint),
    /// Write all entries as JSON lines
    ///
    /// One line per keyspace, then one per entry. Keys appear as what they are; bytes, and values
    /// whose format does not describe itself, as base64. Values of more than 1 MiB take a line for
    /// each 192 KiB.
    Export(export::Export),
    /// Read entries from JSON lines, as export writes them
    ///
    /// Stops at the first line that is not right and names it: all lines before it are in the
    /// store by then, and none behind it. Go on with --from-line.
    Import(import::Import),
}

/// Where the store is, and how to answer.
#[derive(Debug, Args)]
pub(crate) struct At {
    /// The directory of the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Answer in JSON, for programs
    #[arg(long)]
    json: bool,
}

impl Tool {
    /// Does it. The status tells scripts what was found.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let done = match self {
            Tool::Stats(at) => look::stats(&at),
            Tool::Keys(keys) => keys.run(),
            Tool::Get(get) => get.run(),
            Tool::Scan(scan) => scan.run(),
            Tool::Verify(at) => care::verify(&at),
            Tool::Salvage(salvage) => salvage.run(),
            Tool::Merge(at) => care::merge(&at),
            Tool::Checkpoint(checkpoint) => checkpoint.run(),
            Tool::Export(export) => export.run(),
            Tool::Import(import) => import.run(),
        };
        match done {
            // Whoever reads our output has seen enough.
            Err(e) if output::is_broken_pipe(&*e) => Ok(ExitCode::SUCCESS),
            done => done,
        }
    }
}
