//! Limits that are no engines: what one operation costs with nothing around it.

use std::{fs::File, path::Path, time::Instant};

use crate::{
    Result,
    child::{self, Kind},
    engine::Role,
    measure::{Done, Job, Sample, Timed, settle_disk},
    plan::Plan,
    raw_file::{read_at, reserve, write_at},
    turn::Contender,
    work::Work,
};

/// Bytes of a record besides key and value, as in kvcore.
const HEADER_BYTES: usize = 29;
/// The most memory and disk that a limit takes.
const BYTES_MAX: usize = 1 << 30;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A value copied from a random place of an array, and checked.
    Memcpy,
    /// A value read with one `pread` from a random place of a file in the page cache, and
    /// checked.
    Pread,
    /// A record's bytes written with one `pwrite` behind the last, into reserved space; followed
    /// by `fdatasync` where puts are synced.
    Append,
}

impl Contender for Limit {
    fn name(&self) -> &'static str {
        match self {
            Limit::Memcpy => "memcpy",
            Limit::Pread => "pread",
            Limit::Append => "append",
        }
    }

    fn role(&self) -> Role {
        Role::Limit
    }

    fn supports(&self, work: Work) -> bool {
        match self {
            Limit::Append => matches!(work, Work::Overwrite | Work::SyncPut),
            Limit::Memcpy | Limit::Pread => matches!(work, Work::Get | Work::Get2),
        }
    }

    fn is_comparable(&self, _work: Work) -> bool {
        false
    }

    fn perform(&self, _kind: Kind, plan: &Plan) -> Result<()> {
        settle_disk();
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.dir)?;
        let path = dir.path().join("limit");
        let works = plan.spec.works.iter().copied().filter(|&work| self.supports(work));
        let samples: Result<Vec<Sample>> =
            works.map(|work| self.sample(work, plan, &path)).collect();
        child::report(&samples?)
    }
}

impl Limit {
    fn sample(self, work: Work, plan: &Plan, path: &Path) -> Result<Sample> {
        let threads = if work == Work::Get2 { 2 } else { 1 };
        match self {
            Limit::Append => append(work, plan, path),
            Limit::Memcpy => {
                let values = values(plan)?;
                reads(work, threads, plan, |at, into| {
                    into.copy_from_slice(&values[at..at + into.len()]);
                    Ok(())
                })
            }
            Limit::Pread => {
                let file = open(path)?;
                write_at(&file, &values(plan)?, 0)?;
                reads(work, threads, plan, |at, into| Ok(read_at(&file, into, u64::try_from(at)?)?))
            }
        }
    }
}

fn open(path: &Path) -> Result<File> {
    Ok(File::options().read(true).write(true).create(true).truncate(true).open(path)?)
}

/// How many values there are.
fn len(plan: &Plan) -> Result<u32> {
    let fits = u32::try_from(BYTES_MAX / plan.data.value_bytes())?;
    Ok(plan.keys.min(fits.max(1)))
}

/// All values one behind the other.
fn values(plan: &Plan) -> Result<Vec<u8>> {
    let (mut all, mut buffer) = (Vec::new(), Vec::new());
    for index in 0..len(plan)? {
        all.extend_from_slice(plan.data.value(index, 0, &mut buffer));
    }
    Ok(all)
}

/// Reads random values; `read` fills a buffer from a place.
fn reads(
    work: Work,
    threads: u32,
    plan: &Plan,
    read: impl Fn(usize, &mut [u8]) -> Result<()> + Sync,
) -> Result<Sample> {
    let (len, value_bytes) = (len(plan)?, plan.data.value_bytes());
    Job { work, threads, timed: Timed::Sometimes }.run(|thread, latencies| {
        let mut rng = fastrand::Rng::with_seed(plan.seed + u64::from(thread));
        let mut value = vec![0; value_bytes];
        for _ in 0..plan.keys {
            let index = rng.u32(..len);
            latencies.time(|| {
                read(usize::try_from(index)? * value_bytes, &mut value)?;
                plan.data.check(index, &value)
            })?;
        }
        Ok(Done::reads(plan.keys))
    })
}

fn append(work: Work, plan: &Plan, path: &Path) -> Result<Sample> {
    let file = open(path)?;
    let record = vec![0x5a; HEADER_BYTES + plan.data.key_bytes() + plan.data.value_bytes()];
    let bytes = record.len() as u64;
    let is_synced = work == Work::SyncPut;
    let puts = if is_synced { plan.synced_puts } else { plan.keys.div_ceil(2) };
    let puts = u64::from(puts).min((BYTES_MAX as u64 / bytes).max(1));
    reserve(&file, puts * bytes)?;
    file.sync_all()?;
    let timed = if is_synced { Timed::Always } else { Timed::Sometimes };
    Job { work, threads: 1, timed }.run(|_, latencies| {
        let (start, mut ops) = (Instant::now(), 0);
        while ops < puts && start.elapsed() < plan.time_max() {
            latencies.time(|| {
                write_at(&file, &record, ops * bytes)?;
                if is_synced { file.sync_data() } else { Ok(()) }
            })?;
            ops += 1;
        }
        Ok(Done { ops, written_bytes: ops * plan.live_bytes(1) })
    })
}
