//! Writes that wait for the disk. The store is open in [`Mode::Synced`](crate::engine::Mode).

use std::time::Instant;

use super::{
    BATCH_LEN, Work,
    write::{put_batches, put_each, read_back},
};
use crate::{
    Result,
    engine::Engine,
    measure::{Done, Job, Sample, Timed},
    plan::{Plan, Shuffled},
};

/// Single puts, spread over the keys of the loaded store, by this many threads at once; fewer
/// where the time is over before all are done.
pub(crate) fn sync_puts<E: Engine>(
    engine: &E,
    plan: &Plan,
    work: Work,
    threads: u32,
) -> Result<Sample> {
    let order = Shuffled::new(plan.keys);
    let per_thread = if threads == 1 { plan.synced_puts } else { plan.synced_puts.div_ceil(8) };
    let version = 3 + threads;
    // What every thread has done, in turns: place 5 of thread 2 of 16 is the 82nd put.
    let index_at = |place| order.at(place % plan.keys);
    let least = std::sync::atomic::AtomicU32::new(per_thread);
    let job = Job { work, threads, timed: Timed::Always };
    let sample = job.run(|thread, latencies| {
        let (start, mut sum) = (Instant::now(), Done::default());
        for put in 0..per_thread {
            if start.elapsed() > plan.time_max() {
                least.fetch_min(put, std::sync::atomic::Ordering::Relaxed);
                break;
            }
            let place = put * threads + thread;
            let done = put_each(engine, plan, version, place..place + 1, index_at, latencies)?;
            sum.ops += done.ops;
            sum.written_bytes += done.written_bytes;
        }
        Ok(sum)
    })?;
    let puts = least.into_inner() * threads;
    read_back(engine, plan, version, puts.min(plan.keys), index_at)?;
    Ok(sample)
}

/// Batches of overwrites.
pub(crate) fn sync_batches<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let order = Shuffled::new(plan.keys);
    let batches = plan.synced_puts.div_ceil(150);
    let puts = plan.keys.min(batches * BATCH_LEN);
    let index_at = |place| order.at(place);
    let job = Job { work: Work::SyncBatch, threads: 1, timed: Timed::Always };
    let sample =
        job.run(|_, latencies| put_batches(engine, plan, 3, 0..puts, index_at, latencies))?;
    read_back(engine, plan, 3, puts, index_at)?;
    Ok(sample)
}
