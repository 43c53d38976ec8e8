//! Waiting for what comes, the end of a feed, writers and merges beside it, read-only stores.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kvcore::{
    BytesKeyspace, Changes, Durability, Error, Event, Keyspace, Options, Result, Store,
    clock::SimClock,
    disk::{Fault, Repeat},
};

use super::{
    START_MS, World, drain,
    follower::{Follower, contents},
    key,
};

#[test]
fn blocked_feed_gives_each_commit_as_it_becomes_durable_and_ends_with_the_store() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let mut changes = store.changes(store.tip_sequence())?;
    let reader = std::thread::spawn(move || {
        let given: Result<Vec<u64>> =
            changes.by_ref().map(|change| Ok(change?.sequence.get())).collect();
        assert!(changes.is_over() && changes.next().is_none(), "it stays at its end");
        given
    });
    for n in 0..50 {
        notes.put(key(n), b"")?;
    }
    for n in 0..50 {
        notes.put_with(key(n), b"made durable by the close", Durability::Buffered)?;
    }
    store.close()?;
    let given = reader.join().expect("the reader does not panic")?;
    assert_eq!(given, (1..=100).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn feed_does_not_keep_the_store_open() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path())?;
    let mut changes = store.changes(store.tip_sequence())?;
    drop(store);
    assert!(changes.next().is_none());
    let again = Store::open(dir.path())?;
    assert!(changes.try_next()?.is_none());
    again.close()
}

#[test]
fn only_what_is_durable_is_given_unless_asked_for_more() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let here = store.tip_sequence();
    let (mut durable, mut visible) = (store.changes(here)?, store.changes(here)?.visible());
    for n in 0..20 {
        notes.put(key(n), &[0; 50])?;
        assert_eq!(drain(&mut visible).len(), 1);
        assert!(store.durable_sequence() < store.tip_sequence());
        assert_eq!(drain(&mut durable), []);
    }
    store.sync()?;
    assert_eq!(drain(&mut durable).len(), 20);
    assert_eq!(drain(&mut visible), []);
    // What a round has not written yet is visible too.
    store.commit_many(|round| {
        for n in 0..20 {
            round.put(&notes, key(n), &[1; 50], kvcore::Put::default())?;
            assert_eq!(drain(&mut visible).len(), 1, "{n}");
        }
        Ok(())
    })?;
    assert_eq!(drain(&mut durable), []);
    Ok(())
}

#[test]
fn waiting_for_a_while_ends_by_itself_or_with_a_change() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let mut changes = store.changes(store.tip_sequence())?;
    let mut visible = store.changes(store.tip_sequence())?.visible();
    for _ in 0..3 {
        assert!(changes.next_timeout(Duration::from_millis(2))?.is_none());
        assert!(visible.next_timeout(Duration::from_millis(2))?.is_none());
    }
    assert!(!changes.is_over());
    let writer = std::thread::spawn(move || notes.put(b"a", b""));
    let started = Instant::now();
    assert!(changes.next_timeout(Duration::from_secs(60))?.is_some());
    assert!(visible.next_timeout(Duration::from_secs(60))?.is_some());
    assert!(started.elapsed() < Duration::from_secs(50));
    writer.join().expect("the writer does not panic").map(drop)
}

#[test]
fn waiting_feed_of_what_is_visible_is_woken_by_every_commit() -> Result<()> {
    // No thread of the store: nothing is synced, so nothing else can wake it.
    let world = World::new();
    let (store, notes) = world.open();
    let changes = store.changes(store.tip_sequence())?.visible();
    let (told, seen) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        for change in changes {
            told.send(change.expect("a sound feed").sequence).expect("it is waited for");
        }
    });
    for n in 0..300 {
        let sequence = match n % 3 {
            0 => notes.put(key(n), b"")?,
            1 => notes.clear()?,
            _ => {
                let mut batch = store.batch();
                batch.put(&notes, key(n), b"")?;
                batch.delete(&notes, key(n))?;
                let last = batch.commit()?;
                assert_eq!(seen.recv().expect("the first one").get() + 1, last.get());
                last
            }
        };
        let given = seen.recv_timeout(Duration::from_secs(60)).expect("it is woken");
        assert_eq!(given, sequence);
    }
    assert!(store.durable_sequence() < store.tip_sequence());
    store.close()?;
    reader.join().expect("the reader does not panic");
    Ok(())
}

#[test]
fn poisoned_store_ends_the_feed_with_the_cause_after_all_that_is_durable() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let mut changes = store.changes(store.tip_sequence())?;
    notes.put(b"a", b"")?;
    store.sync()?;
    notes.put(b"b", b"")?;
    world.disk.fail(world.disk.operations(), Fault::EIO, Repeat::Forever);
    assert!(store.sync().is_err());
    assert_eq!(changes.next().expect("one is durable")?.sequence.get(), 1);
    assert!(matches!(changes.next(), Some(Err(Error::Poisoned { .. }))));
    assert!(changes.next().is_none() && changes.is_over());
    assert!(matches!(store.changes(store.tip_sequence()), Err(Error::Poisoned { .. })));
    Ok(())
}

#[test]
fn follower_beside_writers_and_merges_ends_up_equal() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(20_000);
    let store = options.open(dir.path())?;
    let spaces: Vec<Keyspace<u64, Vec<u8>>> =
        ["a", "b", "c"].into_iter().map(|name| store.keyspace(name)).collect::<Result<_>>()?;
    let clock = SimClock::new(START_MS);
    let mut follower = Follower::new(&clock);
    let seed = 4;
    println!("seed {seed}");
    // Opened before anything is written, so that merge leaves all of it.
    let watched = store.changes(store.tip_sequence())?;
    follower.catch_up(&store);
    let are_done = AtomicBool::new(false);
    let rebuilt = std::thread::scope(|scope| {
        let watching = scope.spawn(|| rebuild(watched, &are_done).expect("a sound feed"));
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let (store, spaces) = (&store, &spaces);
                scope.spawn(move || write(store, spaces, seed + writer).expect("writes succeed"));
            }
            scope.spawn(|| {
                for _ in 0..5 {
                    store.merge().expect("merge");
                }
            });
            for _ in 0..10 {
                let _ = follower.pull(&store).expect("a sound store");
            }
        });
        store.sync().expect("sync");
        are_done.store(true, Ordering::Release);
        watching.join().expect("the reader does not panic")
    });
    follower.catch_up(&store);
    follower.assert_equal(&store);
    for name in ["a", "b", "c"] {
        let there = contents(&store, name).into_iter().map(|(key, (value, _))| (key, value));
        let rebuilt = rebuilt.get(name).cloned().unwrap_or_default();
        assert!(rebuilt.into_iter().eq(there), "{name:?} from its changes");
    }
    Ok(())
}

type Rebuilt = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// What all keyspaces hold, from nothing but what the feed gives.
fn rebuild(mut changes: Changes, are_done: &AtomicBool) -> Result<Rebuilt> {
    let (mut rebuilt, mut last) = (Rebuilt::new(), 0);
    loop {
        // Asked first: what was written by then is given.
        let is_end = are_done.load(Ordering::Acquire);
        while let Some(change) = changes.next_timeout(Duration::from_millis(10))? {
            assert!(change.sequence.get() > last, "{change:?} after {last}");
            last = change.sequence.get();
            let name = change.keyspace_name().expect("none is dropped");
            let space = rebuilt.entry(name).or_default();
            match change.event()? {
                Event::Put { key, value } => drop(space.insert(key, value.to_vec())),
                Event::Delete { key } => drop(space.remove(&key)),
                Event::DeleteRange { range } => space.retain(|key, _| !range.contains(key)),
                other => panic!("{other:?}"),
            }
        }
        if is_end {
            return Ok(rebuilt);
        }
    }
}

/// Overwrites, deletes, ranges and batches over several keyspaces.
fn write(store: &Store, spaces: &[Keyspace<u64, Vec<u8>>], seed: u64) -> Result<()> {
    let mut rng = fastrand::Rng::with_seed(seed);
    for n in 0..1_500u64 {
        let space = &spaces[rng.usize(..spaces.len())];
        match rng.u8(..20) {
            0 => drop(space.delete_range(rng.u64(..100)..rng.u64(..120))?),
            1 => drop(space.clear()?),
            2..=5 => drop(space.delete(rng.u64(..120))?),
            6..=9 => {
                let mut batch = store.batch();
                for space in spaces {
                    batch.put(space, rng.u64(..120), &vec![1; rng.usize(..200)])?;
                }
                batch.commit()?;
            }
            10 => drop(space.put(rng.u64(..120), &vec![2; 6_000])?),
            _ => drop(space.put(rng.u64(..120), &n.to_le_bytes().to_vec())?),
        }
        if n % 100 == 0 {
            store.sync()?;
        }
    }
    Ok(())
}

#[test]
fn read_only_store_is_followed_through_refreshes() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new().data_file_bytes_max(2_000).feed_retention_bytes(1 << 20);
    let store = options.clone().open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let start = store.oldest_change_token();
    let reader = options.open_read_only(dir.path())?;
    let mut changes = reader.changes(start)?;
    let mut given = 0;
    for round in 0..30 {
        for n in 0..10 {
            notes.put(key(n), &[round; 50])?;
        }
        if round % 10 == 9 {
            store.merge()?;
        }
        reader.refresh()?;
        for (sequence, _) in drain(&mut changes) {
            assert!(sequence > given);
            given = sequence;
        }
        assert!(given <= reader.durable_sequence().get());
    }
    assert!(given > 250, "{given}");
    // A place of the writer that the reader does not know yet is not taken for another history.
    notes.put(b"late", b"")?;
    let late = store.snapshot().token();
    assert_eq!(drain(&mut reader.changes(late)?), []);
    store.close()?;
    reader.refresh()?;
    assert_eq!(changes.token(), changes.token());
    assert!(!drain(&mut changes).is_empty());
    assert_eq!(changes.token().sequence(), reader.tip_sequence());
    reader.close()?;
    assert!(changes.next().is_none());
    Ok(())
}

#[test]
fn read_only_store_knows_places_of_a_writer_that_opened_later() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    notes.put(b"first", b"")?;
    store.close()?;
    let reader = Options::new().open_read_only(dir.path())?;

    let store = Store::open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    notes.put(b"second", b"")?;
    let place = store.snapshot().token();
    notes.put(b"third", b"")?;
    store.close()?;

    assert_eq!(drain(&mut reader.changes(place)?).len(), 1);
    let foreign = Store::in_memory()?;
    let notes: BytesKeyspace = foreign.keyspace("notes")?;
    notes.put(b"first", b"")?;
    let elsewhere = reader.changes(foreign.snapshot().token());
    assert!(matches!(elsewhere, Err(Error::Diverged { .. })), "{elsewhere:?}");
    Ok(())
}

#[test]
fn read_only_store_tells_when_its_writer_has_merged_ahead() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    for n in 0..30 {
        notes.put(key(n % 3), &[0; 50])?;
        store.sync()?;
    }
    let start = store.oldest_change_token();
    let reader =
        world.options.clone().disk(Arc::new(world.disk.clone())).open_read_only("/store")?;
    let mut changes = reader.changes(start)?;
    assert!(changes.try_next()?.is_some());
    store.merge()?;
    notes.put(b"more", b"")?;
    store.sync()?;
    reader.refresh()?;
    let mut given = 1;
    let end = loop {
        match changes.try_next() {
            Ok(Some(_)) => given += 1,
            end => break end,
        }
    };
    assert!(matches!(end, Err(Error::Compacted { .. })), "{end:?} after {given}");
    assert!(matches!(reader.changes(start), Err(Error::Compacted { .. })));
    Ok(())
}
