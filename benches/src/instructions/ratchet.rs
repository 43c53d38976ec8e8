//! The committed counts, and the judgement of new ones. No file is opened but the ratchet.

use std::{collections::BTreeMap, fmt::Write, path::Path, process::Command};

use serde::{Deserialize, Serialize};

use crate::Result;

/// How far a count may be from the ratchet, in per cent, with the compiler that wrote it.
const TOLERANCE_PERCENT: f64 = 3.0;
/// With any other compiler.
const FOREIGN_TOLERANCE_PERCENT: f64 = 20.0;

/// Counts of one compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ratchet {
    /// What `rustc --version` says.
    rustc: String,
    /// Instructions per operation.
    counts: BTreeMap<String, u64>,
}

/// What a comparison gave.
#[derive(Debug)]
pub(super) struct Verdict {
    /// All counts, as a Markdown table.
    pub(super) table: String,
    /// The operations that got dearer.
    pub(super) failures: Vec<String>,
}

impl Ratchet {
    /// Counts made by the compiler at hand.
    pub(super) fn of_this_compiler(counts: Vec<(String, u64)>) -> Result<Ratchet> {
        Ok(Ratchet { rustc: compiler()?, counts: counts.into_iter().collect() })
    }

    pub(super) fn read(path: &Path) -> Result<Ratchet> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("{}: {e}; `-- --write` makes it", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(super) fn write(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Compares counts of the compiler at hand.
    pub(super) fn judge(&self, counts: &[(String, u64)]) -> Result<Verdict> {
        let compiler = compiler()?;
        let is_same = compiler == self.rustc;
        let tolerance = if is_same { TOLERANCE_PERCENT } else { FOREIGN_TOLERANCE_PERCENT };
        let mut verdict = self.compare(counts, tolerance);
        if !is_same {
            let made = &self.rustc;
            writeln!(verdict.table, "\nThe ratchet is of {made}; this is {compiler}.")?;
        }
        Ok(verdict)
    }

    fn compare(&self, counts: &[(String, u64)], tolerance_percent: f64) -> Verdict {
        let mut table = format!(
            "\n| instructions per operation | now | ratchet | change (± {tolerance_percent} %) |\n\
             |---|---|---|---|\n"
        );
        let mut failures = Vec::new();
        for (name, now) in counts {
            let before = self.counts.get(name);
            let change = before.map(|before| (*now as f64 / *before as f64 - 1.0) * 100.0);
            let (before, note) = match (before, change) {
                (Some(before), Some(change)) if change > tolerance_percent => {
                    failures.push(format!("{name} ({before} → {now})"));
                    (before.to_string(), format!("{change:+.1} %, dearer"))
                }
                (Some(before), Some(change)) if change < -tolerance_percent => {
                    (before.to_string(), format!("{change:+.1} %, lower the ratchet: `-- --write`"))
                }
                (Some(before), Some(change)) => (before.to_string(), format!("{change:+.1} %")),
                _ => {
                    failures.push(format!("{name} (not in the ratchet)"));
                    (String::new(), "not in the ratchet: `-- --write`".to_owned())
                }
            };
            table.push_str(&format!("| {name} | {now} | {before} | {note} |\n"));
        }
        Verdict { table, failures }
    }
}

fn compiler() -> Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(get: u64) -> Vec<(String, u64)> {
        vec![("get".to_owned(), get)]
    }

    fn ratchet(get: u64) -> Ratchet {
        Ratchet { rustc: "rustc".to_owned(), counts: counts(get).into_iter().collect() }
    }

    #[test]
    fn i1_only_what_got_dearer_by_more_than_the_tolerance_fails() {
        assert!(ratchet(1_000).compare(&counts(1_029), 3.0).failures.is_empty());
        assert_eq!(ratchet(1_000).compare(&counts(1_031), 3.0).failures, ["get (1000 → 1031)"]);
        assert!(ratchet(1_000).compare(&counts(1_031), 20.0).failures.is_empty());
        let better = ratchet(1_000).compare(&counts(900), 3.0);
        assert!(better.failures.is_empty() && better.table.contains("lower the ratchet"));
    }

    #[test]
    fn a_new_operation_must_get_a_ratchet() {
        let empty = Ratchet { rustc: String::new(), counts: BTreeMap::new() };
        assert_eq!(empty.compare(&counts(5), 3.0).failures, ["get (not in the ratchet)"]);
    }

    #[test]
    fn a_ratchet_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.json");
        ratchet(7).write(&path).unwrap();
        assert_eq!(Ratchet::read(&path).unwrap(), ratchet(7));
    }
}
