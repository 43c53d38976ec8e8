//! The suites: which workloads run on data of which sizes.
//!
//! A suite is a list of runs; every run makes stores of its own. Sizes are those of the full
//! measurement; `--keys` scales all of them by the same factor, with 1,000,000 as the whole.

use crate::{Result, key::Shape, plan::Spec, work::Work};

/// What `--keys` is when nobody says.
pub const KEYS: u32 = 1_000_000;

/// A cache that holds all data of every run but those about small memory.
const CACHE_BYTES: usize = 4 << 30;

/// A named list of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// The workloads of redb's table: 24-byte keys, 150-byte values.
    Table,
    /// YCSB A to F.
    Ycsb,
    /// The mixes of the fjall 3 announcement.
    Fjall,
    /// Zipfian overwrites until space and rate settle.
    Steady,
    /// Values of 16 B to 1 MiB.
    Values,
    /// Reads that the page cache does not have.
    Cold,
    /// Opening stores of many keys.
    Open,
    /// Memory per key, by the shape of keys.
    Memory,
}

impl Suite {
    /// All of them.
    pub const ALL: [Suite; 8] = [
        Suite::Table,
        Suite::Ycsb,
        Suite::Fjall,
        Suite::Steady,
        Suite::Values,
        Suite::Cold,
        Suite::Open,
        Suite::Memory,
    ];

    /// The name on the command line.
    pub fn id(self) -> &'static str {
        match self {
            Suite::Table => "table",
            Suite::Ycsb => "ycsb",
            Suite::Fjall => "fjall",
            Suite::Steady => "steady",
            Suite::Values => "values",
            Suite::Cold => "cold",
            Suite::Open => "open",
            Suite::Memory => "memory",
        }
    }

    /// What it is about.
    pub fn title(self) -> &'static str {
        match self {
            Suite::Table => "redb's table: loads, reads, ranges, writes, removals, sizes",
            Suite::Ycsb => "YCSB A to F, Zipf 0.99, values of 1,000 bytes",
            Suite::Fjall => "the mixes of the fjall 3 announcement, scaled down",
            Suite::Steady => "Zipfian overwrites until space and rate settle",
            Suite::Values => "values of 16 B, 100 B, 1 KiB, 16 KiB, 1 MiB",
            Suite::Cold => "more data than memory, and reads after the page cache was emptied",
            Suite::Open => "opening 1, 10 and 50 million keys",
            Suite::Memory => "memory per key for six shapes of keys",
        }
    }

    /// Reads names, or `all`.
    pub fn parse(words: &str) -> Result<Vec<Suite>> {
        if words == "all" {
            return Ok(Suite::ALL.to_vec());
        }
        let named = |word: &str| {
            let found = Suite::ALL.into_iter().find(|suite| suite.id() == word);
            found.ok_or_else(|| format!("no suite is called {word}; see --help").into())
        };
        words.split(',').map(named).collect()
    }

    /// Its runs.
    pub fn specs(self, size: &Size) -> Vec<Spec> {
        match self {
            Suite::Table => vec![Spec { value_bytes: size.value_bytes, ..table(size) }],
            Suite::Ycsb => ycsb(size),
            Suite::Fjall => fjall(size),
            Suite::Steady => {
                use Work::{SteadyPut, SteadyRatio, SteadyRead, SteadyReadIdle, SteadySpace};
                let works = vec![SteadyReadIdle, SteadyPut, SteadyRatio, SteadyRead, SteadySpace];
                vec![Spec { works, ..size.spec("steady", 1.0, 150) }]
            }
            Suite::Values => values(size),
            Suite::Cold => cold(size),
            Suite::Open => open(size),
            Suite::Memory => memory(size),
        }
    }
}

/// How large runs are.
#[derive(Clone, Debug)]
pub struct Size {
    /// Keys of a run of the standard size.
    pub keys: u32,
    /// The largest factor of [`Suite::Open`].
    pub open_factor_max: f64,
    /// Bytes per value of [`Suite::Table`].
    pub value_bytes: usize,
    /// Seed of everything.
    pub seed: u64,
    /// The longest a workload may take where it can be cut short.
    pub seconds_max: f64,
}

impl Size {
    /// A run without workloads; `factor` is its share of the standard number of keys.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive product; more than u32::MAX keys become u32::MAX"
    )]
    fn spec(&self, id: &str, factor: f64, value_bytes: usize) -> Spec {
        let keys = (f64::from(self.keys) * factor) as u32;
        Spec {
            id: id.to_owned(),
            keys: keys.max(40),
            shape: Shape::Random24,
            value_bytes,
            seed: self.seed,
            works: Vec::new(),
            cache_bytes: CACHE_BYTES,
            memory_limit_bytes: None,
            seconds_max: self.seconds_max,
        }
    }
}

fn table(size: &Size) -> Spec {
    let others = |work: &Work| !work.is_mixed() && !work.is_steady() && !work.is_cold();
    let works = Work::ALL.iter().copied().filter(others).collect();
    Spec { works, ..size.spec("table", 1.0, 150) }
}

/// As YCSB says: A, B, C, F and D on one store, then E on a fresh one.
fn ycsb(size: &Size) -> Vec<Spec> {
    use Work::{YcsbA, YcsbB, YcsbC, YcsbD, YcsbE, YcsbF};
    let first = vec![YcsbA, YcsbB, YcsbC, YcsbF, YcsbD];
    vec![
        Spec { works: first, ..size.spec("ycsb-abcfd", 0.25, 1_000) },
        Spec { works: vec![YcsbE], ..size.spec("ycsb-e", 0.25, 1_000) },
    ]
}

fn fjall(size: &Size) -> Vec<Spec> {
    let run = |work: Work, factor, value_bytes, shape| Spec {
        works: vec![work],
        shape,
        ..size.spec(work.id(), factor, value_bytes)
    };
    vec![
        run(Work::Fjall1, 1.0, 100, Shape::Uuid),
        run(Work::Fjall2, 1.0, 100, Shape::Uuid),
        run(Work::Fjall3, 0.05, 4_096, Shape::Uuid),
        run(Work::Fjall4, 2.0, 200, Shape::Uuid),
        run(Work::Fjall5, 1.0, 60, Shape::Posts),
    ]
}

fn values(size: &Size) -> Vec<Spec> {
    use Work::{Get, Load, New, Overwrite};
    let run = |label, value_bytes, factor| Spec {
        works: vec![Load, Get, Overwrite, New],
        ..size.spec(label, factor, value_bytes)
    };
    vec![
        run("values-16-b", 16, 1.0),
        run("values-100-b", 100, 1.0),
        run("values-1-kib", 1 << 10, 0.5),
        run("values-16-kib", 16 << 10, 0.03),
        run("values-1-mib", 1 << 20, 0.000_5),
    ]
}

/// Four times as much data as memory; and once with the memory there is, after the page cache
/// was told to forget the files.
fn cold(size: &Size) -> Vec<Spec> {
    let evicted = Spec { works: vec![Work::ColdGet], ..size.spec("cold-evicted", 0.5, 1 << 10) };
    let limited = size.spec("cold-limited", 1.0, 1 << 10);
    let memory = (u64::from(limited.keys) * (1 << 10) / 4).max(96 << 20);
    let limited = Spec {
        works: vec![Work::LimitedGet, Work::LimitedZipf],
        cache_bytes: usize::try_from(memory / 4).unwrap_or(usize::MAX),
        memory_limit_bytes: Some(memory),
        ..limited
    };
    vec![evicted, limited]
}

fn open(size: &Size) -> Vec<Spec> {
    let run = |label, factor| Spec {
        works: vec![Work::Reopen, Work::ReopenCold, Work::Killed],
        ..size.spec(label, factor, 16)
    };
    let all = [("open-1-m", 1.0), ("open-10-m", 10.0), ("open-50-m", 50.0)];
    let some = all.into_iter().filter(|(_, factor)| *factor <= size.open_factor_max);
    some.map(|(label, factor)| run(label, factor)).collect()
}

fn memory(size: &Size) -> Vec<Spec> {
    let run = |label, shape| Spec {
        works: vec![Work::Memory, Work::MemoryPeak],
        shape,
        ..size.spec(label, 1.0, 16)
    };
    vec![
        run("memory-sequential-u64", Shape::Sequential),
        run("memory-random-u64", Shape::RandomU64),
        run("memory-random-24-b", Shape::Random24),
        run("memory-url", Shape::Url),
        run("memory-pair", Shape::Pair),
        run("memory-uuid", Shape::Uuid),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_in_a_suite_and_every_run_has_a_name_of_its_own() {
        let size = Size {
            keys: 1_000,
            open_factor_max: 50.0,
            value_bytes: 150,
            seed: 3,
            seconds_max: 1.0,
        };
        let specs: Vec<Spec> = Suite::ALL.iter().flat_map(|suite| suite.specs(&size)).collect();
        for work in Work::ALL {
            assert!(specs.iter().any(|spec| spec.works.contains(work)), "{}", work.id());
        }
        let ids: std::collections::BTreeSet<&str> = specs.iter().map(|s| s.id.as_str()).collect();
        assert_eq!(ids.len(), specs.len());
    }
}
