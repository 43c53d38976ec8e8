//! Reads of what the page cache does not have.

use std::path::Path;

use super::{Work, read::read};
use crate::{
    Result,
    engine::{Engine, Mode},
    measure::{Done, Job, Sample, Timed, evict},
    plan::{Plan, Shuffled},
};

/// The most keys read: few enough that hardly two lie on one page.
const COLD_GETS_MAX: u32 = 20_000;

/// Opens the closed store in `dir`, has its files forgotten, and reads keys spread over it.
pub(crate) fn cold_gets<E: Engine>(dir: &Path, plan: &Plan) -> Result<Sample> {
    evict(dir)?;
    let engine = E::open(dir, plan.setup(Mode::Buffered))?;
    evict(dir)?;
    let (order, gets) = (Shuffled::new(plan.keys), plan.keys.div_ceil(20).min(COLD_GETS_MAX));
    let job = Job { work: Work::ColdGet, threads: 1, timed: Timed::Always };
    let sample = job.run(|_, latencies| {
        let reader = engine.reader()?;
        for place in 0..gets {
            latencies.time(|| read(&reader, plan, order.at(place)))?;
        }
        Ok(Done::reads(gets))
    })?;
    engine.close()?;
    Ok(sample)
}
