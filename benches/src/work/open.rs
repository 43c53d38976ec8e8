//! Opening, and what needs a process of its own: being killed, and memory.

use std::{io::Write, path::Path, time::Instant};

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

/// Times opening a store and reading one key, then checks that the keys added last are there.
pub fn reopen<E: Engine>(dir: &Path, plan: &Plan) -> Result<Sample> {
    let (engine, sample) = open_and_get::<E>(dir, plan, Work::Reopen)?;
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
    let engine = E::open(dir, Mode::Buffered)?;
    read(&engine.reader()?, plan, 0)?;
    let sample = Sample::of_time(work, start.elapsed());
    Ok((engine, sample))
}

fn killed_puts(plan: &Plan) -> u32 {
    plan.keys.div_ceil(10)
}

/// In a child process: overwrites a tenth of the keys, says so, and waits to be killed.
pub fn write_until_killed<E: Engine>(dir: &Path, plan: &Plan) -> Result<()> {
    let engine = E::open(dir, Mode::Buffered)?;
    let order = Shuffled::new(plan.keys);
    let places = 0..killed_puts(plan);
    let latencies = &mut Latencies::untimed();
    put_each(&engine, plan, KILLED_VERSION, places, |place| order.at(place), latencies)?;
    report_and_wait(0)
}

/// In a child process: how much memory the keys of a loaded store take.
pub fn measure_memory<E: Engine>(dir: &Path, plan: &Plan) -> Result<()> {
    let engine = E::open(dir, Mode::Buffered)?;
    let mut buffer = Vec::new();
    engine.put(&plan.data.key(0), plan.data.value(0, 0, &mut buffer))?;
    let before = anonymous_bytes()?;
    load(&engine, plan)?;
    report_and_wait(anonymous_bytes()?.saturating_sub(before))
}

fn report_and_wait(bytes: u64) -> Result<()> {
    println!("{}{bytes}", crate::child::REPORT);
    std::io::stdout().flush()?;
    // Returns only if the parent is gone.
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
