//! Surviving `kill -9`: what was acknowledged is there, whatever moment the process ended at.
//!
//! `cargo run --example survive_kill [DIRECTORY]`; without a directory a temporary one is used.
//!
//! The program starts itself as a child that writes and prints the number of every write it got
//! an acknowledgement for. At a random moment the parent kills it with SIGKILL, opens the store,
//! and compares: every acknowledged write must be there, with its value, and what is there beyond
//! them must be a prefix of what the child would have written. It does so several times on one
//! store, with data files so small that files are sealed and merged all the time.

use kv_examples::StoreDir;
use kvcore::{Durability, Keyspace, Options, Schema, Store};
use std::{
    collections::hash_map::RandomState,
    error::Error,
    hash::{BuildHasher, Hasher},
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const KILLS: u64 = 6;
/// Numbers of writes, as keys; the value tells which run wrote it.
const WRITES: Schema<u64, String> = Schema::new("writes");
/// Keys are used again after this many, so that most records are dead soon.
const KEYS: u64 = 500;
/// Tells the child what it is.
const CHILD: &str = "--write-until-killed";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, dir, start] = &arguments[..]
        && first == CHILD
    {
        return write_until_killed(Path::new(dir), start.parse()?);
    }
    let dir = StoreDir::from_argument(1)?;
    let mut next = first_free(&dir)?;
    for kill in 1..=KILLS {
        let acknowledged = start_and_kill(dir.path(), next)?;
        let (found, recovery) = check(dir.path(), acknowledged)?;
        println!(
            "kill {kill}: {acknowledged} writes acknowledged, {found} found; \
             copied {} bytes, dropped {}",
            recovery.copied_bytes, recovery.dropped_bytes
        );
        next = found;
    }
    println!("everything acknowledged survived {KILLS} kills");
    Ok(())
}

fn open(dir: &Path) -> kvcore::Result<Store> {
    Options::new().durability(Durability::Buffered).data_file_bytes_max(32 << 10).open(dir)
}

/// The value of write `number`.
fn text(number: u64) -> String {
    format!("write number {number}, {}", "x".repeat(usize::try_from(number % 100).unwrap_or(0)))
}

/// The child: writes, and says so once the write is acknowledged.
fn write_until_killed(dir: &Path, start: u64) -> Result<(), Box<dyn Error>> {
    let store = open(dir)?;
    let writes = store.keyspace(WRITES)?;
    let mut out = std::io::stdout().lock();
    for number in start.. {
        writes.put(number % KEYS, &text(number))?;
        writeln!(out, "{number}")?;
        out.flush()?;
    }
    Ok(())
}

/// Runs the child and kills it at a random moment; returns how many writes were acknowledged in
/// all.
fn start_and_kill(dir: &Path, start: u64) -> Result<u64, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .arg(dir)
        .arg(start.to_string())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().ok_or("the child's output is a pipe")?;
    let mut lines = BufReader::new(stdout).lines();
    let mut acknowledged = start;
    // How fast the child is, nobody knows: a random count is a random moment.
    let until = start + 1 + RandomState::new().build_hasher().finish() % 5_000;
    while acknowledged < until {
        let line = lines.next().ok_or("the child ended by itself")??;
        acknowledged = line.parse::<u64>()? + 1;
    }
    child.kill()?;
    child.wait()?;
    // What it said before it died counts too, but for a last line cut in the middle.
    for line in lines {
        match line?.parse::<u64>() {
            Ok(number) if number == acknowledged => acknowledged += 1,
            _ => break,
        }
    }
    Ok(acknowledged)
}

/// Opens what the child left; returns how many writes are there in all.
fn check(dir: &Path, acknowledged: u64) -> Result<(u64, kvcore::Recovery), Box<dyn Error>> {
    let store = open(dir)?;
    let writes = store.keyspace(WRITES)?;
    let found = written(&writes)?;
    assert!(found >= acknowledged, "acknowledged {acknowledged} writes, found {found}");
    for number in found.saturating_sub(KEYS)..found {
        assert_eq!(writes.get(number % KEYS)?, Some(text(number)), "write {number}");
    }
    assert_eq!(writes.len(), found.min(KEYS), "and nothing else");
    let recovery = store.recovery().clone();
    store.close()?;
    Ok((found, recovery))
}

/// One more than the highest write that is there.
fn written(writes: &Keyspace<u64, String>) -> kvcore::Result<u64> {
    let mut end = 0;
    for entry in writes.iter() {
        let value = entry?.value()?;
        let number = value.strip_prefix("write number ").and_then(|v| v.split(',').next());
        end = end.max(number.and_then(|n| n.parse::<u64>().ok()).map_or(0, |n| n + 1));
    }
    Ok(end)
}

fn first_free(dir: &StoreDir) -> kvcore::Result<u64> {
    let store = open(dir.path())?;
    let next = written(&store.keyspace(WRITES)?)?;
    store.close()?;
    Ok(next)
}
