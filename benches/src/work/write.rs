//! Buffered writes. What was written is read back from a sample of keys afterwards.

use std::time::Instant;

use super::{BATCH_BYTES_MAX, BATCH_LEN, Work, posts, read::read};
use crate::{
    Result,
    data::Pair,
    engine::Engine,
    key::Shape,
    measure::{Done, Job, Latencies, Sample, Timed},
    plan::{Plan, Shuffled},
    zipf::Zipf,
};

/// Keys read back after a workload of writes.
pub(super) const READ_BACK: u32 = 1_000;

/// The clock is looked at once in so many puts.
const CLOCK_STRIDE: u32 = 64;

/// Fills the empty store with all keys, in random order.
pub(crate) fn load<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let index_at = |place| match plan.spec.shape {
        Shape::Posts => posts::index_at(place),
        _ => place,
    };
    let job = Job { work: Work::Load, threads: 1, timed: Timed::Always };
    let sample =
        job.run(|_, latencies| put_batches(engine, plan, 0, 0..plan.keys, index_at, latencies))?;
    read_back(engine, plan, 0, plan.keys, index_at)?;
    Ok(sample)
}

/// Puts one pair per place, in batches; building a batch is part of what is timed.
pub(super) fn put_batches<E: Engine>(
    engine: &E,
    plan: &Plan,
    version: u32,
    places: std::ops::Range<u32>,
    index_at: impl Fn(u32) -> u32,
    latencies: &mut Latencies,
) -> Result<Done> {
    let len = BATCH_BYTES_MAX / plan.data.value_bytes();
    let len = u32::try_from(len).unwrap_or(BATCH_LEN).clamp(1, BATCH_LEN);
    let mut pairs: Vec<Pair> = Vec::new();
    let mut start = places.start;
    while start < places.end {
        let end = places.end.min(start + len);
        pairs.resize_with(usize::try_from(end - start)?, Default::default);
        for (pair, place) in pairs.iter_mut().zip(start..end) {
            let index = index_at(place);
            pair.0 = plan.data.key(index);
            plan.data.value(index, version, &mut pair.1);
        }
        latencies.time(|| engine.put_batch(&pairs))?;
        start = end;
    }
    Ok(done(plan, places.end - places.start))
}

/// So many pairs of the usual size.
fn done(plan: &Plan, puts: u32) -> Done {
    Done { ops: u64::from(puts), written_bytes: plan.live_bytes(puts) }
}

/// Overwrites up to half of the keys, one commit each.
pub(crate) fn overwrite<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let (order, puts) = (Shuffled::new(plan.keys), plan.keys.div_ceil(2));
    let sample = put_some(engine, plan, (Work::Overwrite, 1), puts, Timed::Sometimes, |place| {
        order.at(place)
    })?;
    Ok(sample)
}

/// How many keys [`new_keys`] adds.
pub(crate) fn new_keys_len(plan: &Plan) -> u32 {
    plan.keys.div_ceil(4)
}

/// Adds keys to the loaded store, one commit each.
pub(crate) fn new_keys<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let puts = new_keys_len(plan);
    let index_at = |place| plan.keys + place;
    let job = Job { work: Work::New, threads: 1, timed: Timed::Sometimes };
    let sample = job.run(|_, latencies| {
        put_each(engine, plan, 0, 0..puts, index_at, latencies)?;
        Ok(done(plan, puts))
    })?;
    read_back(engine, plan, 0, puts, index_at)?;
    Ok(sample)
}

/// Puts one pair per place, one commit each.
pub(super) fn put_each<E: Engine>(
    engine: &E,
    plan: &Plan,
    version: u32,
    places: std::ops::Range<u32>,
    index_at: impl Fn(u32) -> u32,
    latencies: &mut Latencies,
) -> Result<Done> {
    let puts = places.end - places.start;
    let mut buffer = Vec::new();
    for place in places {
        let index = index_at(place);
        let (key, value) = (plan.data.key(index), plan.data.value(index, version, &mut buffer));
        latencies.time(|| engine.put(&key, value))?;
    }
    Ok(done(plan, puts))
}

/// Puts one pair per place until all are put or the time is over, and reads some back.
fn put_some<E: Engine>(
    engine: &E,
    plan: &Plan,
    (work, version): (Work, u32),
    puts: u32,
    timed: Timed,
    index_at: impl Fn(u32) -> u32 + Sync,
) -> Result<Sample> {
    let put = std::sync::atomic::AtomicU32::new(0);
    let sample = Job { work, threads: 1, timed }.run(|_, latencies| {
        let (start, mut place) = (Instant::now(), 0);
        while place < puts && start.elapsed() < plan.time_max() {
            let end = puts.min(place + CLOCK_STRIDE);
            put_each(engine, plan, version, place..end, &index_at, latencies)?;
            place = end;
        }
        put.store(place, std::sync::atomic::Ordering::Relaxed);
        Ok(done(plan, place))
    })?;
    read_back(engine, plan, version, put.into_inner(), index_at)?;
    Ok(sample)
}

/// Overwrites keys of Zipfian choice, up to as many times as there are keys.
pub(crate) fn zipf<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let zipf = Zipf::new(plan.keys.max(2));
    let mut choice = fastrand::Rng::with_seed(plan.seed);
    let chosen: Vec<u32> = (0..plan.keys).map(|_| zipf.next(&mut choice)).collect();
    let index_at = |place| chosen[usize::try_from(place).expect("u32 fits")].min(plan.keys - 1);
    put_some(engine, plan, (Work::Zipf, 2), plan.keys, Timed::Sometimes, index_at)
}

/// Reads some of the written keys and insists on the version that was written last.
pub(super) fn read_back<E: Engine>(
    engine: &E,
    plan: &Plan,
    version: u32,
    places: u32,
    index_at: impl Fn(u32) -> u32,
) -> Result<()> {
    if !E::supports(Work::Get) {
        return Ok(());
    }
    let reader = engine.reader()?;
    for place in (0..places).step_by(usize::try_from(places.div_ceil(READ_BACK))?.max(1)) {
        let found = read(&reader, plan, index_at(place))?;
        if found != version {
            let index = index_at(place);
            return Err(format!("key {index} has version {found}, not {version}").into());
        }
    }
    Ok(())
}
