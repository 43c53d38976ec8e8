//! Questions about places in the order of keys: count, rank, nth.

use super::Work;
use crate::{
    Result,
    engine::{Engine, Reader},
    measure::{Done, Job, Sample, Timed},
    plan::Plan,
};

/// Asks one of them at random places. The loaded store holds exactly the keys of the plan.
pub(crate) fn positions<E: Engine>(engine: &E, plan: &Plan, work: Work) -> Result<Sample> {
    let asked = plan.keys.div_ceil(4);
    let job = Job { work, threads: 1, timed: Timed::Sometimes };
    let sample = job.run(|_, latencies| {
        let reader = engine.reader()?;
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        for _ in 0..asked {
            let index = rng.u32(..plan.keys);
            latencies.time(|| ask(&reader, plan, work, index))?;
        }
        Ok(Done::reads(asked))
    })?;
    agree(&engine.reader()?, plan)?;
    Ok(sample)
}

fn ask(reader: &impl Reader, plan: &Plan, work: Work, index: u32) -> Result<()> {
    let is_sound = match work {
        Work::Count => {
            (1..=u64::from(plan.keys)).contains(&reader.count_from(&plan.data.key(index))?)
        }
        Work::Rank => reader.rank(&plan.data.key(index))?.is_some(),
        _ => reader.nth(u64::from(index))?.is_some(),
    };
    if is_sound { Ok(()) } else { Err(format!("{}: nonsense", work.id()).into()) }
}

/// The three must agree with each other.
fn agree(reader: &impl Reader, plan: &Plan) -> Result<()> {
    for index in 0..plan.keys.min(100) {
        let key = plan.data.key(index);
        let rank = reader.rank(&key)?.ok_or("rank of a key that exists is missing")?;
        let behind = reader.count_from(&key)?;
        let at_rank = reader.nth(rank)?;
        if rank + behind != u64::from(plan.keys) || at_rank.as_deref() != Some(&key[..]) {
            return Err(format!("key {index}: rank {rank}, count {behind}, nth disagree").into());
        }
    }
    Ok(())
}
