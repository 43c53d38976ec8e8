//! Writes that wait for the disk. The store is open in [`Mode::Synced`](crate::engine::Mode).

use super::{
    BATCH_LEN, Work,
    write::{put_batches, put_each, read_back},
};
use crate::{
    Result,
    engine::Engine,
    measure::{Sample, Timed, rate},
    plan::{Plan, Shuffled},
};

/// Single puts, spread over the keys of the loaded store, by this many threads at once.
pub(crate) fn sync_puts<E: Engine>(
    engine: &E,
    plan: &Plan,
    work: Work,
    threads: u32,
) -> Result<Sample> {
    let order = Shuffled::new(plan.keys);
    let per_thread = if threads == 1 { plan.synced_puts } else { plan.synced_puts.div_ceil(8) };
    let puts = per_thread * threads;
    let version = 3 + threads;
    let index_at = |place| order.at(place % plan.keys);
    let sample = rate(work, u64::from(puts), threads, Timed::Always, |thread, latencies| {
        let start = thread * per_thread;
        put_each(engine, plan, version, start..start + per_thread, index_at, latencies)
    })?;
    read_back(engine, plan, version, puts.min(plan.keys), index_at)?;
    Ok(sample)
}

/// Batches of overwrites.
pub(crate) fn sync_batches<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let order = Shuffled::new(plan.keys);
    let batches = plan.synced_puts.div_ceil(150);
    let puts = plan.keys.min(batches * BATCH_LEN);
    let index_at = |place| order.at(place);
    let sample = rate(Work::SyncBatch, u64::from(puts), 1, Timed::Always, |_, latencies| {
        put_batches(engine, plan, 3, 0..puts, index_at, latencies)
    })?;
    read_back(engine, plan, 3, puts, index_at)?;
    Ok(sample)
}
