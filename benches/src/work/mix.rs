//! Mixes of reads and writes: YCSB's, fjall's, and those for little memory.
//!
//! Every read is checked against its key; at the end a sample of keys is checked against the
//! version that was written last.

use std::time::Instant;

use super::{
    Work, posts,
    read::{read, scan},
    write::READ_BACK,
};
use crate::{
    Result,
    engine::Engine,
    measure::{Done, Job, Sample, Timed},
    plan::Plan,
    zipf::Zipf,
};

/// The longest scan of YCSB E.
const SCAN_LEN_MAX: usize = 100;
/// The clock is looked at once in so many operations.
const CLOCK_STRIDE: u32 = 64;

/// Shares of operations, in per cent; what is left of 100 are scans.
#[derive(Clone, Copy, Debug)]
struct Shares {
    reads: u32,
    updates: u32,
    inserts: u32,
    read_modify_writes: u32,
    choice: Choice,
}

/// Which key an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Uniform,
    Zipf,
    /// The newest most often.
    Latest,
}

fn shares(work: Work) -> Option<Shares> {
    use Choice::{Latest, Uniform, Zipf};
    let of = |reads, updates, inserts, read_modify_writes, choice| {
        Some(Shares { reads, updates, inserts, read_modify_writes, choice })
    };
    match work {
        Work::YcsbA => of(50, 50, 0, 0, Zipf),
        Work::YcsbB | Work::Fjall3 | Work::Fjall4 | Work::LimitedZipf => of(95, 5, 0, 0, Zipf),
        Work::YcsbC => of(100, 0, 0, 0, Zipf),
        Work::YcsbD => of(95, 0, 5, 0, Latest),
        Work::YcsbE => of(0, 0, 5, 0, Zipf),
        Work::YcsbF => of(50, 0, 0, 50, Zipf),
        Work::Fjall1 => of(50, 50, 0, 0, Uniform),
        Work::Fjall2 => of(95, 5, 0, 0, Uniform),
        Work::LimitedGet => of(100, 0, 0, 0, Uniform),
        _ => None,
    }
}

/// Runs a mix on the loaded store. `versions` has the version of every key that is there, by
/// index, and is brought up to date.
pub(crate) fn mix<E: Engine>(
    engine: &E,
    plan: &Plan,
    work: Work,
    versions: &mut Vec<u32>,
) -> Result<Sample> {
    let Some(shares) = shares(work) else { return posts::posts(engine, plan) };
    let zipf = Zipf::new(plan.keys.max(2));
    let versions = parking_lot::Mutex::new(versions);
    let job = Job { work, threads: 1, timed: Timed::Sometimes };
    let sample = job.run(|_, latencies| {
        let mut run = Run {
            engine,
            plan,
            shares,
            zipf: &zipf,
            versions: &mut versions.lock(),
            rng: fastrand::Rng::with_seed(plan.seed),
            buffer: Vec::new(),
            written_bytes: 0,
        };
        let (start, mut ops) = (Instant::now(), 0);
        while ops < plan.keys && (ops % CLOCK_STRIDE > 0 || start.elapsed() < plan.time_max()) {
            latencies.time(|| run.operation())?;
            ops += 1;
        }
        Ok(Done { ops: u64::from(ops), written_bytes: run.written_bytes })
    })?;
    check_versions(engine, plan, versions.into_inner())?;
    Ok(sample)
}

struct Run<'r, E> {
    engine: &'r E,
    plan: &'r Plan,
    shares: Shares,
    zipf: &'r Zipf,
    versions: &'r mut Vec<u32>,
    rng: fastrand::Rng,
    buffer: Vec<u8>,
    written_bytes: u64,
}

impl<E: Engine> Run<'_, E> {
    fn operation(&mut self) -> Result<()> {
        let s = self.shares;
        let dice = self.rng.u32(..100);
        if dice < s.inserts {
            return self.write(u32::try_from(self.versions.len())?);
        }
        let index = self.index()?;
        if dice < s.inserts + s.reads {
            self.read(index)
        } else if dice < s.inserts + s.reads + s.updates {
            self.write(index)
        } else if dice < s.inserts + s.reads + s.updates + s.read_modify_writes {
            self.read(index)?;
            self.write(index)
        } else {
            let (from, len) = (self.plan.data.key(index), self.rng.usize(1..=SCAN_LEN_MAX));
            scan(&self.engine.reader()?, self.plan, Some(&from), len).map(drop)
        }
    }

    fn index(&mut self) -> Result<u32> {
        Ok(match self.shares.choice {
            Choice::Uniform => self.rng.u32(..self.plan.keys),
            Choice::Zipf => self.zipf.next(&mut self.rng),
            Choice::Latest => {
                let newest = u32::try_from(self.versions.len())? - 1;
                newest.saturating_sub(self.zipf.next_rank(&mut self.rng))
            }
        })
    }

    /// A view of its own for each read: what was just written must be seen.
    fn read(&self, index: u32) -> Result<()> {
        read(&self.engine.reader()?, self.plan, index).map(drop)
    }

    fn write(&mut self, index: u32) -> Result<()> {
        let at = usize::try_from(index)?;
        if at == self.versions.len() {
            self.versions.push(0);
        } else {
            self.versions[at] += 1;
        }
        let key = self.plan.data.key(index);
        let value = self.plan.data.value(index, self.versions[at], &mut self.buffer);
        self.written_bytes += (key.len() + value.len()) as u64;
        self.engine.put(&key, value)
    }
}

fn check_versions<E: Engine>(engine: &E, plan: &Plan, versions: &[u32]) -> Result<()> {
    let reader = engine.reader()?;
    let stride = (versions.len() / usize::try_from(READ_BACK)?).max(1);
    for (index, version) in versions.iter().enumerate().step_by(stride) {
        let found = read(&reader, plan, u32::try_from(index)?)?;
        if found != *version {
            return Err(format!("key {index} has version {found}, not {version}").into());
        }
    }
    Ok(())
}
