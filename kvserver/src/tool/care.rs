//! Checking, repairing, compacting and copying a store.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::Args;
use kvcore::{CheckpointFiles, Damage, Durability, Options, Store};
use serde_json::{Value, json};

use super::{
    At, Failure,
    output::{Progress, size, stdout},
};

/// Recovers what can be read.
#[derive(Debug, Args)]
pub(crate) struct Salvage {
    #[command(flatten)]
    at: At,
    /// The directory of the new store; it must be empty or not exist
    #[arg(value_name = "TO")]
    to: PathBuf,
}

/// Copies a state.
#[derive(Debug, Args)]
pub(crate) struct Checkpoint {
    #[command(flatten)]
    at: At,
    /// The directory of the copy: new, empty, or an earlier copy of the same store
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Copy the files instead of linking them, so that the copy shares nothing with the store
    #[arg(long)]
    copy: bool,
}

fn damage_json(damage: &[Damage]) -> Vec<Value> {
    let one = |d: &Damage| {
        let file = d.file.display().to_string();
        json!({ "file": file, "offset_bytes": d.offset_bytes, "bytes": d.bytes, "what": d.what })
    };
    damage.iter().map(one).collect()
}

/// A store that is not in use, to be changed; one that is not there is not made.
fn open_to_write(at: &At) -> Result<Store, Failure> {
    Options::new().open_read_only(&at.dir).map(drop).or_else(|e| match e {
        // Opening for writing has more to say, and can recover more.
        kvcore::Error::Corrupt { .. } => Ok(()),
        e => Err(e),
    })?;
    Ok(Options::new().durability(Durability::Buffered).open(&at.dir)?)
}

/// Checks every byte.
pub(super) fn verify(at: &At) -> Result<ExitCode, Failure> {
    let mut progress = Progress::of_bytes("checked");
    let verified = Options::new().verify(&at.dir, |p| {
        progress.show(p.bytes_done, p.bytes_total);
    })?;
    drop(progress);
    let mut out = stdout();
    if at.json {
        let torn = verified.torn_tail.as_ref();
        let all = json!({
            "sound": verified.is_sound(), "files": verified.files, "bytes": verified.bytes,
            "records": verified.records, "damage": damage_json(&verified.damage),
            "torn_tail": torn.map(|(file, at)| {
                json!({ "file": file.display().to_string(), "offset_bytes": at })
            }),
        });
        writeln!(out, "{all}")?;
    } else {
        let (files, bytes) = (verified.files, size(verified.bytes));
        writeln!(out, "Checked {files} files, {} records, {bytes}.", verified.records)?;
        if let Some((file, at)) = &verified.torn_tail {
            writeln!(out, "The last run did not end cleanly: the next open drops an unfinished")?;
            writeln!(out, "write from {} at byte {at}.", file.display())?;
        }
        for damage in &verified.damage {
            writeln!(out, "Damaged: {damage}")?;
        }
        if verified.is_sound() {
            writeln!(out, "Everything is as it was written.")?;
        } else {
            writeln!(out, "`kvserver salvage` recovers what can be read into a new store.")?;
        }
    }
    out.flush()?;
    Ok(if verified.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Salvage {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut progress = Progress::of_entries("recovered");
        let options = Options::new().durability(Durability::Buffered);
        let salvaged = options.salvage(&self.at.dir, &self.to, |keys| {
            progress.show(keys, 0);
        })?;
        drop(progress);
        let mut out = stdout();
        if self.at.json {
            let all = json!({
                "keyspaces": salvaged.keyspaces, "keys": salvaged.keys, "bytes": salvaged.bytes,
                "lost": damage_json(&salvaged.lost),
                "unknown_keyspaces": salvaged.unknown_keyspaces,
            });
            writeln!(out, "{all}")?;
        } else {
            let (keys, bytes) = (salvaged.keys, size(salvaged.bytes));
            writeln!(out, "Recovered {keys} keys ({bytes}) into {}.", self.to.display())?;
            for name in &salvaged.unknown_keyspaces {
                writeln!(out, "Keyspace {name}: its name and types are lost.")?;
            }
            for damage in &salvaged.lost {
                let bytes = damage.bytes;
                writeln!(out, "Lost: {damage} ({bytes} bytes)")?;
            }
            if salvaged.lost.is_empty() {
                writeln!(out, "Nothing is lost.")?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Gives dead space back.
pub(super) fn merge(at: &At) -> Result<ExitCode, Failure> {
    let store = open_to_write(at)?;
    let merged = store.merge()?;
    store.close()?;
    let mut out = stdout();
    match at.json {
        true => writeln!(out, "{}", json!({ "files": merged.files, "bytes": merged.bytes }))?,
        false => writeln!(out, "Gave {} back.", size(merged.bytes))?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl Checkpoint {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let store = open_to_write(&self.at)?;
        let files = if self.copy { CheckpointFiles::Copy } else { CheckpointFiles::Link };
        let done = store.checkpoint_with(&self.to, files)?;
        store.close()?;
        let mut out = stdout();
        if self.at.json {
            let all = json!({
                "sequence": done.sequence.get(), "bytes": done.bytes,
                "bytes_copied": done.bytes_copied, "files_linked": done.files_linked,
                "files_copied": done.files_copied, "files_kept": done.files_kept,
                "files_removed": done.files_removed,
            });
            writeln!(out, "{all}")?;
        } else {
            let (to, bytes) = (self.to.display(), size(done.bytes));
            writeln!(out, "{to} holds everything up to commit {}: {bytes}.", done.sequence)?;
            let (linked, copied, kept) = (done.files_linked, done.files_copied, done.files_kept);
            writeln!(out, "{linked} files linked, {copied} copied, {kept} were there already.")?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
