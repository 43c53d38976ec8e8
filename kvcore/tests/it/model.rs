//! Random operations on a store and on a `BTreeMap`, compared after each.
//!
//! Files are tiny, so that roll and merge are always at work, and values lie on both sides of the
//! blob threshold. A seed gives the same run every time; a failure prints it and the last
//! operations. `KVCORE_MODEL_OPS=1000000 cargo test --release -p kvcore --test it model` runs the
//! long version, `KVCORE_MODEL_SEED=7` another one.

mod check;
mod expected;
mod mirror;
mod operations;
mod wider;
mod world;

use self::world::{Kind, World};
use kvcore::ReadMode;

/// A number from the environment, or the default.
fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("the setting is a number"))
}

/// Splits the operations over several worlds, so that stores of every age are seen.
fn run(kind: Kind, ops_default: u64, ops_per_world: u64) {
    let ops = setting("KVCORE_MODEL_OPS", ops_default);
    let seed = setting("KVCORE_MODEL_SEED", 20_261_120);
    let started = std::time::Instant::now();
    let mut done = 0;
    let mut totals = world::Totals::default();
    while done < ops {
        let mut world = World::new(kind, seed + done);
        for _ in 0..ops_per_world.min(ops - done) {
            world.step();
            done += 1;
        }
        world.finish();
        totals.add(&world);
    }
    println!("{kind:?}: {done} operations from seed {seed} in {:?}: {totals}", started.elapsed());
    assert_eq!(done, ops);
}

#[test]
fn any_operations_on_the_simulated_disk_give_what_the_model_gives() {
    run(Kind::Sim, 12_000, 4_000);
}

#[test]
fn seed_gives_the_same_run_every_time() {
    let run = || {
        let mut world = World::new(Kind::Sim, 20_261_121);
        (0..1_000).for_each(|_| world.step());
        world.finish();
        let mut totals = world::Totals::default();
        totals.add(&world);
        (totals.to_string(), world.disk.operations())
    };
    assert_eq!(run(), run());
}

#[test]
fn any_operations_on_a_disk_with_only_what_every_system_has_give_what_the_model_gives() {
    run(Kind::Portable, 4_000, 2_000);
}

#[test]
fn any_operations_with_threads_and_mapped_files_give_what_the_model_gives() {
    run(Kind::Os(ReadMode::Map), 3_000, 1_500);
}

#[test]
fn any_operations_with_threads_and_preads_give_what_the_model_gives() {
    run(Kind::Os(ReadMode::Pread), 3_000, 1_500);
}

#[test]
fn any_operations_over_keyspaces_and_copies_give_what_the_model_gives() {
    let ops = setting("KVCORE_MODEL_OPS", 8_000);
    let seed = setting("KVCORE_MODEL_SEED", 20_261_121);
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    let mut done = 0;
    while done < ops {
        let mut wider = wider::Wider::new(seed + done);
        for _ in 0..2_000.min(ops - done) {
            wider.step();
            done += 1;
        }
        wider.finish();
        wider.counts.iter().for_each(|(kind, count)| *counts.entry(kind).or_default() += count);
    }
    println!("{done} operations from seed {seed}: {counts:?}");
    assert!(counts.len() > 20, "every kind of step: {counts:?}");
}
