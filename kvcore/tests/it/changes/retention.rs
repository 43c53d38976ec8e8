//! What merge leaves for followers, for how long, and what they are told when it is gone.

use kvcore::{AutoMerge, BytesKeyspace, ChangeToken, Error, Options, Result, Store};

use super::{World, drain, follower::Follower, key};

/// The oldest place that a refused token is told of.
#[track_caller]
fn oldest_after(store: &Store, token: ChangeToken) -> ChangeToken {
    match store.changes(token).err() {
        Some(Error::Compacted { oldest }) => oldest,
        other => panic!("{token}: {other:?}"),
    }
}

fn overwrite(notes: &BytesKeyspace, times: u8) -> Result<()> {
    for n in 0..times {
        notes.put(key(usize::from(n % 4)), &[n; 60])?;
    }
    notes.store().sync()
}

#[test]
fn merge_compacts_what_it_took_and_tells_from_where_one_can_go_on() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let mut tokens = vec![store.oldest_change_token()];
    for n in 0..60 {
        notes.put(key(n % 4), &[7; 60])?;
        tokens.push(store.snapshot().token());
        if n == 40 {
            store.merge()?;
        }
    }
    store.sync()?;
    check_tokens(&store, &tokens)?;
    store.close()?;
    // The floor outlives a restart.
    check_tokens(&world.open().0, &tokens)
}

/// From each either everything follows, or it is compacted.
fn check_tokens(store: &Store, tokens: &[ChangeToken]) -> Result<()> {
    let floor = store.oldest_change_token().sequence();
    let (before, after): (Vec<ChangeToken>, Vec<ChangeToken>) =
        tokens.iter().partition(|t| t.sequence() < floor);
    assert!(before.len() > 30 && after.len() > 10, "{floor}");
    for token in before {
        let oldest = oldest_after(store, token);
        assert_eq!(oldest.sequence(), floor);
        assert_eq!(drain(&mut store.changes(oldest)?).len(), after.len() - 1);
    }
    for (at, token) in after.iter().enumerate() {
        assert_eq!(drain(&mut store.changes(*token)?).len(), after.len() - 1 - at, "{token}");
    }
    Ok(())
}

#[test]
fn open_feed_holds_merge_back_and_lets_it_go_on_as_it_reads() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let mut changes = store.changes(store.tip_sequence())?;
    overwrite(&notes, 100)?;
    let before = store.stats();
    assert_eq!(store.merge()?.files, 0, "all of it is still to be given");
    let stats = store.stats();
    assert_eq!((stats.feeds, stats.kept_for_feeds_bytes), (1, stats.dead_bytes));
    assert!(stats.dead_bytes >= before.dead_bytes);
    for _ in 0..50 {
        assert!(changes.try_next()?.is_some());
    }
    let merged = store.merge()?.files;
    assert!(merged > 0, "half of it is given");
    assert_eq!(drain(&mut changes).len(), 50, "and the rest is all there");
    notes.put(b"one", b"more")?;
    store.sync()?;
    assert_eq!(drain(&mut changes).len(), 1);
    store.merge()?;
    assert_eq!(store.stats().kept_for_feeds_bytes, 0);
    drop(changes);
    assert_eq!(store.stats().feeds, 0);
    Ok(())
}

#[test]
fn held_back_bytes_do_not_slow_writers_nor_make_merge_run_for_nothing() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new().durability(kvcore::Durability::Buffered);
    let store = options.data_file_bytes_max(10_000).open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let mut changes = store.changes(store.tip_sequence())?;
    let started = std::time::Instant::now();
    for n in 0..3_000 {
        notes.put(key(n % 10), &[0; 200])?;
    }
    // Waiting for merge would take a tenth of a second per commit.
    assert!(started.elapsed() < std::time::Duration::from_secs(200));
    store.sync()?;
    assert!(store.stats().dead_bytes > 500_000, "{:?}", store.stats());
    assert_eq!(store.stats().merges, 0);
    assert_eq!(drain(&mut changes).len(), 3_000);
    store.merge()?;
    assert!(store.stats().dead_bytes < 100_000);
    Ok(())
}

#[test]
fn retention_lets_a_follower_come_back_after_both_were_restarted() -> Result<()> {
    let world = World::with(|options| options.feed_retention_bytes(3_000));
    let (store, notes) = world.open();
    let mut follower = Follower::new(&world.clock);
    overwrite(&notes, 10)?;
    follower.catch_up(&store);
    overwrite(&notes, 20)?;
    store.merge()?;
    store.close()?;
    let (store, notes) = world.open();
    overwrite(&notes, 5)?;
    store.merge()?;
    follower.catch_up(&store);
    follower.assert_equal(&store);
    assert_eq!(follower.starts, 1, "it never had to start anew");
    // Away for more than the budget.
    overwrite(&notes, 200)?;
    store.merge()?;
    let stats = store.stats();
    assert!(stats.kept_for_feeds_bytes <= 3_000 && stats.kept_for_feeds_bytes > 1_500, "{stats:?}");
    follower.catch_up(&store);
    follower.assert_equal(&store);
    assert_eq!(follower.starts, 2);
    Ok(())
}

#[test]
fn without_retention_nothing_is_kept_for_those_who_are_away() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let token = store.snapshot().token();
    overwrite(&notes, 40)?;
    store.merge()?;
    assert_eq!(store.stats().dead_bytes, 0);
    assert_eq!(oldest_after(&store, token), store.oldest_change_token());
    Ok(())
}

#[test]
fn large_value_is_kept_for_an_open_feed_and_gone_without() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let start = store.snapshot().token();
    let mut changes = store.changes(start)?;
    for n in 0..4 {
        notes.put(b"film", &[n; 5_000])?;
    }
    notes.put(b"end", b"")?;
    store.sync()?;
    store.maintain()?;
    for n in 0..4 {
        let change = changes.try_next()?.expect("a film");
        assert_eq!(change.value_bytes()?.expect("a put").to_vec(), [n; 5_000]);
    }
    drop(changes);
    store.maintain()?;
    // Three of the films are gone, so it can go on only behind them.
    let mut again = store.changes(start)?;
    let e = again.try_next().expect_err("the first film is gone");
    let Error::Compacted { oldest } = e else { panic!("{e}") };
    assert!(again.is_over());
    assert_eq!(oldest.sequence().get(), start.sequence().get() + 3);
    assert_eq!(drain(&mut store.changes(oldest)?).len(), 2);
    Ok(())
}

#[test]
fn retention_keeps_large_values_over_a_restart() -> Result<()> {
    let world = World::with(|options| options.feed_retention_bytes(12_000));
    let (store, notes) = world.open();
    let start = store.snapshot().token();
    for n in 0..3 {
        notes.put(b"film", &[n; 5_000])?;
    }
    store.drop_keyspace("notes")?;
    store.sync()?;
    store.maintain()?;
    store.close()?;
    let (store, _) = world.open();
    let mut changes = store.changes(start)?;
    let e = changes.try_next().expect_err("two of three are within the budget");
    let Error::Compacted { oldest } = e else { panic!("{e}") };
    assert_eq!(oldest.sequence().get(), 1);
    let mut changes = store.changes(oldest)?;
    for n in 1..3 {
        let change = changes.try_next()?.expect("a film");
        assert_eq!(change.value_bytes()?.expect("a put").to_vec(), [n; 5_000]);
    }
    drop(changes);
    assert!(store.verify()?.damage.is_empty());
    store.close()?;
    // Opened without the option, nothing is kept.
    let plain = world.options.clone().feed_retention_bytes(0).open("/store")?;
    assert!(plain.changes(oldest)?.try_next().is_err());
    let blobs =
        world.disk.paths().iter().filter(|p| p.extension().is_some_and(|e| e == "blob")).count();
    assert_eq!(blobs, 0);
    Ok(())
}

#[test]
fn full_store_gives_up_what_it_kept_and_the_feed_is_told() -> Result<()> {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let options = Options::new()
        .durability(kvcore::Durability::Buffered)
        .background(kvcore::Background::Manual)
        .auto_merge(AutoMerge::On)
        .data_file_bytes_max(64 << 10)
        .feed_retention_bytes(1 << 30)
        .max_disk_bytes(1 << 20);
    let store = options.open(dir.path())?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let mut changes = store.changes(store.tip_sequence())?;
    let mut refused = 0;
    for n in 0..500 {
        match notes.put(key(n % 10), &[0; 8_000]) {
            Ok(_) => {}
            Err(Error::LimitReached { .. }) => {
                refused += 1;
                store.sync()?;
                store.maintain()?;
                notes.put(key(n % 10), &[0; 8_000])?;
            }
            Err(e) => return Err(e),
        }
    }
    assert!(refused > 0, "the limit was reached");
    store.sync()?;
    let end = loop {
        match changes.try_next() {
            Ok(Some(_)) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Err(Error::Compacted { .. })), "{end:?}");
    Ok(())
}
