//! Reads by key and in order. Every value is checked in full as it is read.

use std::time::Instant;

use super::{SEEK_LEN, Work};
use crate::{
    Result,
    engine::{Engine, Reader},
    key::KEY_BYTES_MAX,
    measure::{Done, Job, Sample, Timed},
    plan::Plan,
};

/// Random gets of keys that exist: as many as there are keys, or twice as many on more threads.
pub(crate) fn get<E: Engine>(e: &E, plan: &Plan, work: Work, threads: u32) -> Result<Sample> {
    let job = Job { work, threads, timed: Timed::Sometimes };
    let gets = if threads == 1 { plan.keys } else { plan.keys / threads * 2 };
    job.run(|thread, latencies| {
        let reader = e.reader()?;
        let mut rng = fastrand::Rng::with_seed(plan.seed + u64::from(thread));
        for _ in 0..gets {
            latencies.time(|| read(&reader, plan, rng.u32(..plan.keys)))?;
        }
        Ok(Done::reads(gets))
    })
}

/// Reads and checks one value; returns its version.
pub(super) fn read(reader: &impl Reader, plan: &Plan, index: u32) -> Result<u32> {
    let found = reader.get(&plan.data.key(index), |value| plan.data.check(index, value))?;
    found.ok_or_else(|| format!("key {index} is missing"))?
}

/// Seeks to random keys and reads some pairs from there on.
pub(crate) fn seek<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let seeks = plan.keys.div_ceil(4);
    let job = Job { work: Work::Seek, threads: 1, timed: Timed::Sometimes };
    job.run(|_, latencies| {
        let reader = engine.reader()?;
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        for _ in 0..seeks {
            let from = plan.data.key(rng.u32(..plan.keys));
            latencies.time(|| scan(&reader, plan, Some(&from), SEEK_LEN))?;
        }
        Ok(Done::reads(seeks))
    })
}

/// Reads everything in key order.
pub(crate) fn iterate<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let job = Job { work: Work::Iterate, threads: 1, timed: Timed::Always };
    job.run(|_, _| {
        let seen = scan(&engine.reader()?, plan, None, usize::MAX)?;
        if seen != usize::try_from(plan.keys)? {
            return Err(format!("iteration met {seen} of {} keys", plan.keys).into());
        }
        Ok(Done::reads(plan.keys))
    })
}

/// Asks once how many keys there are.
pub(crate) fn len<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let start = Instant::now();
    let len = engine.reader()?.len()?;
    let sample = Sample::of_time(Work::Len, start.elapsed());
    if len != u64::from(plan.keys) {
        return Err(format!("{len} keys instead of {}", plan.keys).into());
    }
    Ok(sample)
}

/// Scans, and checks that keys ascend and values are theirs. Returns how many there were.
pub(super) fn scan(
    reader: &impl Reader,
    plan: &Plan,
    from: Option<&[u8]>,
    limit: usize,
) -> Result<usize> {
    let mut last = [0; KEY_BYTES_MAX];
    let mut last_len = 0;
    let mut is_first = true;
    reader.scan(from, limit, |key, value| {
        let ascends = if is_first {
            from.is_none_or(|from| key >= from)
        } else {
            last.get(..last_len).is_some_and(|last| key > last)
        };
        if !ascends {
            return Err("keys of a scan do not ascend".into());
        }
        is_first = false;
        last_len = key.len();
        last.get_mut(..last_len).ok_or("a key that is none of ours")?.copy_from_slice(key);
        plan.data.check_pair(key, value)
    })
}
