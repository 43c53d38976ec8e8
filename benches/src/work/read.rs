//! Reads by key and in order. Every value is checked in full as it is read.

use super::{SEEK_LEN, Work};
use crate::{
    Result,
    engine::{Engine, Reader},
    measure::{Sample, Timed, rate},
    plan::Plan,
};

/// Random gets of keys that exist; as many per thread as there are keys.
pub(crate) fn get<E: Engine>(e: &E, plan: &Plan, work: Work, threads: u32) -> Result<Sample> {
    let ops = u64::from(plan.keys) * u64::from(threads);
    rate(work, ops, threads, Timed::Sometimes, |thread, latencies| {
        let reader = e.reader()?;
        let mut rng = fastrand::Rng::with_seed(plan.seed + u64::from(thread));
        for _ in 0..plan.keys {
            latencies.time(|| read(&reader, plan, rng.u32(..plan.keys)))?;
        }
        Ok(())
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
    rate(Work::Seek, u64::from(seeks), 1, Timed::Sometimes, |_, latencies| {
        let reader = engine.reader()?;
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        for _ in 0..seeks {
            let from = plan.data.key(rng.u32(..plan.keys));
            latencies.time(|| scan(&reader, plan, Some(&from), SEEK_LEN))?;
        }
        Ok(())
    })
}

/// Reads everything in key order.
pub(crate) fn iterate<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    rate(Work::Iterate, u64::from(plan.keys), 1, Timed::Always, |_, _| {
        let seen = scan(&engine.reader()?, plan, None, usize::MAX)?;
        if seen != usize::try_from(plan.keys)? {
            return Err(format!("iteration met {seen} of {} keys", plan.keys).into());
        }
        Ok(())
    })
}

/// Scans, and checks that keys ascend and values are theirs.
fn scan(reader: &impl Reader, plan: &Plan, from: Option<&[u8; 24]>, limit: usize) -> Result<usize> {
    let mut last = from.copied();
    let mut is_first = true;
    reader.scan(from, limit, |key, value| {
        let ascends = last.is_none_or(|l| key > &l[..] || (is_first && key == l));
        if !ascends {
            return Err("keys of a scan do not ascend".into());
        }
        is_first = false;
        last = Some(key.try_into()?);
        plan.data.check_pair(key, value)
    })
}
