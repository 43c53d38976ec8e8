//! What one hold of the writer lock may cost, counted in entries.

use super::STEP_ENTRIES;
use crate::{
    Background, Durability, Keyspace, Options, Raw, Result, Schema, Store,
    index::{Index, SHARDS},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const ENTRIES: u64 = 1_000;

/// A store with a range delete of `ENTRIES` keys to be worked off, and one key that stays.
fn with_pending(ordered: bool) -> Result<(Store, Keyspace<u64, str, Raw>)> {
    let store = Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .in_memory()
        .open("/store")?;
    let schema: Schema<u64, str, Raw> = Schema::new("numbers");
    let schema = if ordered { schema } else { schema.unordered() };
    let keyspace = store.keyspace(schema)?;
    let mut batch = store.batch();
    (0..ENTRIES).try_for_each(|n| batch.put(&keyspace, n, "gone").map(drop))?;
    batch.commit()?;
    if ordered {
        keyspace.delete_range(..ENTRIES)?
    } else {
        keyspace.clear()?
    };
    keyspace.put(ENTRIES, "stays")?;
    assert!(keyspace.index().has_pending());
    Ok((store, keyspace))
}

/// Entries in the tables, those that are as good as gone included.
fn entries(index: &Index) -> usize {
    (0..SHARDS).map(|n| index.shard_at(n).table.len()).sum()
}

#[test]
fn p1_step_removes_a_bounded_number_of_entries_and_all_of_them_go() -> Result<()> {
    for ordered in [true, false] {
        let (store, keyspace) = with_pending(ordered)?;
        let index = keyspace.index();
        let mut guard = store.engine().write()?;
        let mut steps = 0;
        while index.has_pending() {
            let before = entries(index);
            drop(guard.work_off(index, STEP_ENTRIES));
            assert!(before - entries(index) <= STEP_ENTRIES, "ordered: {ordered}, step {steps}");
            steps += 1;
        }
        drop(guard);
        assert!(steps >= 1_000 / STEP_ENTRIES, "ordered: {ordered}, {steps} steps");
        assert_eq!((entries(index), keyspace.len()), (1, 1), "ordered: {ordered}");
        assert_eq!(keyspace.get(ENTRIES)?.as_deref(), Some("stays"));
    }
    Ok(())
}

#[test]
fn p1_every_step_is_a_hold_of_its_own() -> Result<()> {
    let (store, keyspace) = with_pending(true)?;
    let before = store.stats().background_holds.count();
    store.engine().work_off_pending()?;
    let steps = store.stats().background_holds.count() - before;
    assert!(steps >= ENTRIES / 32 && !keyspace.index().has_pending(), "{steps} steps");
    Ok(())
}

/// The lock is never let go of here but by the end of a step: who waits gets it all the same.
#[test]
fn p2_who_waits_has_the_lock_between_two_steps() -> Result<()> {
    let (store, keyspace) = with_pending(true)?;
    let was_in = Arc::new(AtomicBool::new(false));
    let mut turn = store.engine().write_patiently()?;
    let writer = {
        let (keyspace, was_in) = (keyspace.clone(), Arc::clone(&was_in));
        thread::spawn(move || {
            let put = keyspace.put(1, "again");
            was_in.store(true, Ordering::Release);
            put
        })
    };
    let started = Instant::now();
    while !was_in.load(Ordering::Acquire) && started.elapsed() < Duration::from_secs(60) {
        turn.end_step();
    }
    assert!(was_in.load(Ordering::Acquire), "a writer waits in vain");
    assert!(keyspace.put(2, "nested").is_err(), "the lock is held again");
    drop(turn);
    writer.join().unwrap()?;
    assert_eq!(keyspace.get(1)?.as_deref(), Some("again"));
    Ok(())
}
