//! Bugs that were found, each as small as it gets.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kvcore::{
    Background, Durability, Keyspace, Options, Put, Result, ScanCursor, Store, clock::SimClock,
    disk::SimDisk,
};

const START_MS: u64 = 1_750_000_000_000;

/// A simulated machine.
#[derive(Clone)]
struct Machine {
    disk: SimDisk,
    clock: SimClock,
}

impl Machine {
    fn new() -> Machine {
        Machine { disk: SimDisk::new(1), clock: SimClock::new(START_MS) }
    }

    fn options(&self) -> Options {
        Options::new()
            .durability(Durability::Buffered)
            .background(Background::Manual)
            .data_file_bytes_max(4_000)
            .disk(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()))
    }

    fn open(&self) -> Result<(Store, Keyspace<u64, String>)> {
        let store = self.options().open("/store")?;
        let numbers = store.keyspace("numbers")?;
        Ok((store, numbers))
    }
}

fn at_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn batched_expire_and_persist_do_not_bring_an_expired_key_back() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    for n in 0..2 {
        numbers.put_with(n, &"short".into(), Put::expires_in(SECOND))?;
    }
    machine.clock.advance(2 * SECOND);
    assert_eq!(numbers.get(0)?, None);
    let mut batch = store.batch();
    batch.persist(&numbers, 0)?;
    batch.expire(&numbers, 1, at_ms(START_MS + 60_000))?;
    batch.commit()?;
    assert_eq!((numbers.get(0)?, numbers.get(1)?), (None, None));
    Ok(())
}

#[test]
fn batched_writes_after_an_expiry_in_the_past_find_no_key() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    numbers.put(0, &"there".into())?;
    let mut batch = store.batch();
    batch.expire(&numbers, 0, at_ms(START_MS - 1))?;
    batch.persist(&numbers, 0)?;
    batch.put_with(&numbers, 1, &"gone".into(), Put::expires_at(at_ms(START_MS - 1)))?;
    batch.persist(&numbers, 1)?;
    batch.commit()?;
    assert_eq!((numbers.get(0)?, numbers.get(1)?), (None, None));
    Ok(())
}

#[test]
fn nth_skips_what_has_expired() -> Result<()> {
    let machine = Machine::new();
    let (_store, numbers) = machine.open()?;
    for n in 0..4 {
        numbers.put(n, &n.to_string())?;
    }
    numbers.expire(1, at_ms(START_MS))?;
    numbers.expire(3, at_ms(START_MS))?;
    let key = |n| numbers.nth(n).map(|entry| entry.map(|entry| *entry.key()));
    assert_eq!((key(0)?, key(1)?, key(2)?), (Some(0), Some(2), Some(2)));
    assert_eq!((key(3)?, key(4)?), (None, None));
    Ok(())
}

#[test]
fn dropped_batch_leaves_no_blob() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    let before = machine.disk.paths();
    let mut batch = store.batch();
    batch.put(&numbers, 1, &"large".repeat(1_000))?;
    assert_eq!(machine.disk.paths().len(), before.len() + 1, "the value is in a blob");
    drop(batch);
    assert_eq!(machine.disk.paths(), before);
    Ok(())
}

#[test]
fn merge_gives_back_what_a_pending_range_delete_covers() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    for n in 0..200 {
        numbers.put(n, &"covered".into())?;
    }
    numbers.clear()?;
    store.merge()?;
    let stats = store.stats();
    assert_eq!((stats.files.len(), stats.dead_bytes), (0, 0), "{stats:?}");
    Ok(())
}

#[test]
fn entries_of_every_call_keep_their_blob_until_it_is_read() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    let large = |n: u64| n.to_string().repeat(2_000);
    numbers.put(1, &large(1))?;
    let entries = [
        numbers.first()?,
        numbers.last()?,
        numbers.nth(0)?,
        numbers.random(1)?,
        numbers.iter().next().transpose()?,
        numbers.scan(ScanCursor::default(), 10)?.0.pop(),
    ];
    numbers.put(1, &large(2))?;
    for _ in 0..2 {
        store.sync()?;
        store.maintain()?;
    }
    for entry in &entries {
        let entry = entry.as_ref().expect("the key is there");
        assert_eq!(entry.value()?, large(1));
    }
    drop(entries);
    store.maintain()?;
    let is_blob = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "blob");
    assert_eq!(machine.disk.paths().into_iter().filter(is_blob).count(), 1);
    Ok(())
}

#[test]
fn clock_set_back_between_opens_brings_nothing_back() -> Result<()> {
    let machine = Machine::new();
    let (store, numbers) = machine.open()?;
    numbers.put_with(1, &"short".into(), Put::expires_in(SECOND))?;
    drop(numbers);
    store.close()?;
    // Opened, and nothing but read.
    let (store, numbers) = machine.open()?;
    machine.clock.jump_wall_ms(5_000);
    assert_eq!(numbers.get(1)?, None);
    drop(numbers);
    store.close()?;
    machine.clock.jump_wall_ms(-5_000);
    let (_store, numbers) = machine.open()?;
    assert_eq!(numbers.get(1)?, None);
    Ok(())
}
