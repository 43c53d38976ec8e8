//! Instructions per operation, counted by callgrind, held against a ratchet.
//!
//! Times differ from run to run and machine to machine; instruction counts of the same program
//! hardly do. The program starts itself under valgrind, once per operation; there the operation
//! makes one call of `counted_operations`, and callgrind counts what happens in it,
//! on the thread that makes it: what background threads do is not in the figures.
//!
//! # Rules
//!
//! I1. A figure above the ratchet by more than the tolerance fails; one below by more asks to
//!     lower the ratchet.
//! I2. Another compiler, C library or processor family makes other code. The figures of another
//!     compiler are held against a wider tolerance; another architecture, or a processor
//!     without AVX2, whose memcpy and checksum are others, is not compared at all.
//! I3. Where there is no valgrind nothing is measured, and that is said.

mod engine;
mod ratchet;
mod server;

use std::{
    fs,
    hint::black_box,
    path::Path,
    process::{Command, ExitCode},
};

use crate::Result;
use ratchet::Ratchet;

/// Matches [`counted_operations`], mangled or not, and nothing else.
const COUNTED: &str = "*counted_operations*";

/// Set in the process under valgrind.
const INSIDE: &str = "--inside-callgrind";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Operations of kvcore.
    Engine,
    /// Requests of kvserver.
    Server,
}

impl Suite {
    fn operations(self) -> &'static [Operation] {
        match self {
            Suite::Engine => engine::OPERATIONS,
            Suite::Server => server::OPERATIONS,
        }
    }
}

/// One figure.
struct Operation {
    /// Its name in the ratchet.
    name: &'static str,
    /// How many there are in the counted call.
    count: u32,
    /// Prepares, and makes the counted call once.
    run: fn(&Path) -> Result<()>,
}

/// What callgrind counts: the one call of it that an operation makes.
#[inline(never)]
fn counted_operations(body: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    black_box(body)()
}

/// Runs the bench. `ratchet` is the committed file, `dir` where stores and dumps go.
pub fn main(suite: Suite, ratchet: &Path, dir: &Path) -> ExitCode {
    match run(suite.operations(), ratchet, dir) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(operations: &[Operation], ratchet: &Path, dir: &Path) -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| words.iter().any(|word| word == flag);
    if has("--list") {
        return Ok(ExitCode::SUCCESS);
    }
    fs::create_dir_all(dir)?;
    let inside = words.iter().position(|word| word == INSIDE);
    if inside.is_some() || !has("--bench") {
        let name = inside.and_then(|at| words.get(at + 1));
        run_named(operations, name.map(String::as_str), dir)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(why) = unmeasurable() {
        println!("instructions are not counted: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    let counts = operations.iter().map(|o| count(o, dir)).collect::<Result<Vec<_>>>()?;
    if has("--write") {
        Ratchet::of_this_compiler(counts)?.write(ratchet)?;
        println!("wrote {}", ratchet.display());
        return Ok(ExitCode::SUCCESS);
    }
    let verdict = Ratchet::read(ratchet)?.judge(&counts)?;
    print!("{}", verdict.table);
    if verdict.failures.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("more instructions than before: {}", verdict.failures.join(", "));
    eprintln!("if that is the price of something worth it: `-- --write`, and say so in the commit");
    Ok(ExitCode::FAILURE)
}

/// Why there is nothing to compare here, if so.
fn unmeasurable() -> Option<String> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Some("the ratchet is of x86-64 Linux".into());
    }
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !processor.split_whitespace().any(|flag| flag == "avx2") {
        return Some("the ratchet is of processors with AVX2".into());
    }
    let valgrind = Command::new("valgrind").arg("--version").output();
    valgrind.err().map(|e| format!("valgrind does not start ({e})"))
}

/// Runs the operation with this name, or all in order.
fn run_named(operations: &[Operation], name: Option<&str>, dir: &Path) -> Result<()> {
    for operation in operations.iter().filter(|o| name.is_none_or(|name| name == o.name)) {
        let dir = tempfile::Builder::new().prefix("instructions-").tempdir_in(dir)?;
        (operation.run)(dir.path()).map_err(|e| format!("{}: {e}", operation.name))?;
    }
    Ok(())
}

/// Instructions of one operation, from a process of its own.
fn count(operation: &Operation, dir: &Path) -> Result<(String, u64)> {
    let out = tempfile::Builder::new().prefix("callgrind-").tempfile_in(dir)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.path().display()))
        .arg(std::env::current_exe()?)
        .args([INSIDE, operation.name])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let text = fs::read_to_string(out.path())?;
    let totals = text.lines().find_map(|l| l.strip_prefix("totals: ")).ok_or("no totals")?;
    let total: u64 = totals.split_whitespace().next().ok_or("no total")?.parse()?;
    if total == 0 {
        return Err(format!("{}: callgrind counted nothing", operation.name).into());
    }
    Ok((operation.name.to_owned(), total / u64::from(operation.count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_does_what_its_name_says_without_callgrind() {
        for operation in engine::OPERATIONS.iter().chain(server::OPERATIONS) {
            let dir = tempfile::tempdir().unwrap();
            (operation.run)(dir.path()).unwrap_or_else(|e| panic!("{}: {e}", operation.name));
        }
        assert!(!engine::OPERATIONS.is_empty() && !server::OPERATIONS.is_empty());
    }
}
