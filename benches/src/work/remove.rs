//! Removals of half the keys.

use super::Work;
use crate::{
    Result,
    engine::{Engine, Reader},
    key::KeyBytes,
    measure::{Done, Job, Sample, Timed},
    plan::Plan,
};

/// Keys looked for afterwards.
const LOOKED_FOR: u32 = 1_000;

/// Removes every key with an even index, in batches.
pub(crate) fn remove<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let removals = plan.keys.div_ceil(2);
    let job = Job { work: Work::Remove, threads: 1, timed: Timed::Always };
    let sample = job.run(|_, latencies| {
        let mut keys: Vec<KeyBytes> = Vec::new();
        for start in (0..removals).step_by(1_000) {
            let end = removals.min(start + 1_000);
            keys.clear();
            keys.extend((start..end).map(|place| plan.data.key(place * 2)));
            latencies.time(|| engine.remove_batch(&keys))?;
        }
        Ok(Done::reads(removals))
    })?;
    look(&engine.reader()?, plan)?;
    Ok(sample)
}

/// Removed keys are gone, the others are there.
fn look(reader: &impl Reader, plan: &Plan) -> Result<()> {
    for index in (0..plan.keys).step_by(usize::try_from(plan.keys / LOOKED_FOR)?.max(1)) {
        let is_there = reader.get(&plan.data.key(index), |_| ())?.is_some();
        if is_there != (index % 2 == 1) {
            return Err(format!("key {index} is there: {is_there}").into());
        }
    }
    Ok(())
}
