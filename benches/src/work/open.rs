//! Opening, and what needs a process of its own: being killed, and memory.

use std::{
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{
    Work,
    read::read,
    write::{load, new_keys_len, put_each, read_back},
};
use crate::{
    Result,
    engine::{Engine, Mode},
    measure::{Latencies, Sample, anonymous_bytes},
    plan::{Plan, Shuffled},
};

/// The version of what a killed process wrote.
const KILLED_VERSION: u32 = 99;
/// How often memory is looked at while it grows.
const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Times opening a store and reading one key, then checks that the keys added last are there.
pub fn reopen<E: Engine>(dir: &Path, plan: &Plan, work: Work) -> Result<Sample> {
    let (engine, sample) = open_and_get::<E>(dir, plan, work)?;
    if plan.wants(Work::New) {
        read_back(&engine, plan, 0, new_keys_len(plan), |place| plan.keys + place)?;
    }
    engine.close()?;
    Ok(sample)
}

/// Times the same after the writer was killed, and checks what it was told.
pub fn reopen_after_kill<E: Engine>(dir: &Path, plan: &Plan) -> Result<Sample> {
    let (engine, sample) = open_and_get::<E>(dir, plan, Work::Killed)?;
    if E::buffered_survives_kill() {
        let order = Shuffled::new(plan.keys);
        read_back(&engine, plan, KILLED_VERSION, killed_puts(plan), |place| order.at(place))?;
    }
    engine.close()?;
    Ok(sample)
}

fn open_and_get<E: Engine>(dir: &Path, plan: &Plan, work: Work) -> Result<(E, Sample)> {
    let start = Instant::now();
    let engine = E::open(dir, plan.setup(Mode::Buffered))?;
    read(&engine.reader()?, plan, 0)?;
    let sample = Sample::of_time(work, start.elapsed());
    Ok((engine, sample))
}

fn killed_puts(plan: &Plan) -> u32 {
    plan.keys.div_ceil(10).min(200_000)
}

/// In a child process: overwrites some of the keys and leaves the store open, for the process to
/// be killed.
pub fn write_until_killed<E: Engine>(dir: &Path, plan: &Plan) -> Result<E> {
    let engine = E::open(dir, plan.setup(Mode::Buffered))?;
    let order = Shuffled::new(plan.keys);
    let places = 0..killed_puts(plan);
    let latencies = &mut Latencies::untimed();
    put_each(&engine, plan, KILLED_VERSION, places, |place| order.at(place), latencies)?;
    Ok(engine)
}

/// In a child process: how much memory the keys of a loaded store take, and the most it was.
pub fn measure_memory<E: Engine>(dir: &Path, plan: &Plan) -> Result<Vec<Sample>> {
    let engine = E::open(dir, plan.setup(Mode::Buffered))?;
    let mut buffer = Vec::new();
    engine.put(&plan.data.key(0), plan.data.value(0, 0, &mut buffer))?;
    let before = anonymous_bytes()?;
    let is_over = AtomicBool::new(false);
    let peak = std::thread::scope(|scope| {
        let peak = scope.spawn(|| watch_peak(&is_over));
        let loaded = load(&engine, plan);
        is_over.store(true, Ordering::Relaxed);
        loaded?;
        peak.join().map_err(|_| "the watcher panicked")?
    })?;
    let now = anonymous_bytes()?;
    let per_key = |bytes: u64| {
        let bytes = bytes.saturating_sub(before) as f64;
        bytes / f64::from(plan.keys) - plan.data.key_bytes() as f64
    };
    Ok(vec![
        Sample::of(Work::Memory, per_key(now)),
        Sample::of(Work::MemoryPeak, per_key(peak.max(now))),
    ])
}

fn watch_peak(is_over: &AtomicBool) -> Result<u64> {
    let mut peak = 0;
    while !is_over.load(Ordering::Relaxed) {
        peak = anonymous_bytes()?.max(peak);
        std::thread::park_timeout(LOOK_INTERVAL);
    }
    Ok(peak)
}
