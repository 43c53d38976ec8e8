//! Buffered writes. What was written is read back from a sample of keys afterwards.

use super::{BATCH_LEN, Work, read::read};
use crate::{
    Result,
    data::KeyBytes,
    engine::Engine,
    measure::{Latencies, Sample, Timed, rate},
    plan::{Plan, Shuffled},
    zipf::Zipf,
};

/// Keys read back after a workload of writes.
const READ_BACK: u32 = 1_000;

/// Fills the empty store with all keys, in random order.
pub(crate) fn load<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let sample = rate(Work::Load, u64::from(plan.keys), 1, Timed::Always, |_, latencies| {
        put_batches(engine, plan, 0, 0..plan.keys, |place| place, latencies)
    })?;
    read_back(engine, plan, 0, plan.keys, |place| place)?;
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
) -> Result<()> {
    let mut pairs: Vec<(KeyBytes, Vec<u8>)> = Vec::new();
    let mut start = places.start;
    while start < places.end {
        let end = places.end.min(start + BATCH_LEN);
        pairs.resize_with(usize::try_from(end - start)?, Default::default);
        for (pair, place) in pairs.iter_mut().zip(start..end) {
            let index = index_at(place);
            pair.0 = plan.data.key(index);
            plan.data.value(index, version, &mut pair.1);
        }
        latencies.time(|| engine.put_batch(&pairs))?;
        start = end;
    }
    Ok(())
}

/// Overwrites half of the keys, one commit each.
pub(crate) fn overwrite<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let (order, puts) = (Shuffled::new(plan.keys), plan.keys.div_ceil(2));
    let sample = rate(Work::Overwrite, u64::from(puts), 1, Timed::Sometimes, |_, latencies| {
        put_each(engine, plan, 1, 0..puts, |place| order.at(place), latencies)
    })?;
    read_back(engine, plan, 1, puts, |place| order.at(place))?;
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
    let sample = rate(Work::New, u64::from(puts), 1, Timed::Sometimes, |_, latencies| {
        put_each(engine, plan, 0, 0..puts, index_at, latencies)
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
) -> Result<()> {
    let mut buffer = Vec::new();
    for place in places {
        let index = index_at(place);
        let (key, value) = (plan.data.key(index), plan.data.value(index, version, &mut buffer));
        latencies.time(|| engine.put(&key, value))?;
    }
    Ok(())
}

/// Overwrites keys of Zipfian choice, as many times as there are keys.
pub(crate) fn zipf<E: Engine>(engine: &E, plan: &Plan) -> Result<Sample> {
    let zipf = Zipf::new(plan.keys.max(2));
    let mut choice = fastrand::Rng::with_seed(plan.seed);
    let chosen: Vec<u32> = (0..plan.keys).map(|_| zipf.next(&mut choice)).collect();
    let index_at = |place| chosen[usize::try_from(place).expect("u32 fits")].min(plan.keys - 1);
    let sample = rate(Work::Zipf, u64::from(plan.keys), 1, Timed::Sometimes, |_, latencies| {
        put_each(engine, plan, 2, 0..plan.keys, index_at, latencies)
    })?;
    read_back(engine, plan, 2, plan.keys, index_at)?;
    Ok(sample)
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
