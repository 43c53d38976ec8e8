//! Whose history a token is of: other stores, lost tails, older copies.

use std::sync::Arc;

use kvcore::{BytesKeyspace, ChangeToken, Durability, Error, Result, Store, disk::SimDisk};

use super::{World, drain, key};

/// The place that a diverged token has in common with the store.
#[track_caller]
fn common_of(store: &Store, token: ChangeToken) -> Option<u64> {
    match store.changes(token).err() {
        Some(Error::Diverged { token: named, common }) => {
            assert_eq!(named, token);
            common.map(|common| {
                assert!(store.changes(common).is_ok(), "one can go on from {common}");
                common.sequence().get()
            })
        }
        other => panic!("{token}: {other:?}"),
    }
}

#[test]
fn token_of_another_store_diverges() -> Result<()> {
    let (one, other) = (Store::in_memory()?, Store::in_memory()?);
    for store in [&one, &other] {
        let notes: BytesKeyspace = store.keyspace("notes")?;
        notes.put(b"a", b"")?;
    }
    assert_eq!(common_of(&one, other.snapshot().token()), None);
    assert_eq!(common_of(&one, other.oldest_change_token()), None);
    Ok(())
}

#[test]
fn token_of_what_a_crash_took_back_diverges_and_a_durable_one_goes_on() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    for n in 0..10 {
        notes.put_with(key(n), b"kept", Durability::Immediate)?;
    }
    let durable = store.snapshot().token();
    for n in 10..20 {
        notes.put(key(n), b"lost")?;
    }
    let lost = store.snapshot().token();
    assert!(store.changes(lost).is_ok(), "so far it is there");
    // Power loss: nothing that was not synced.
    let (_, image) = world.disk.crash_images(1, 0).next().expect("the worst one");
    let world = world.on(image);
    let (store, notes) = world.open();
    let tip = store.tip_sequence().get();
    assert_eq!(tip, durable.sequence().get());
    assert_eq!(common_of(&store, lost), Some(tip));
    assert!(store.changes(durable).is_ok());
    for n in 0..30 {
        notes.put(key(n), b"new")?;
    }
    store.sync()?;
    // The same sequences stand for other commits now.
    assert_eq!(common_of(&store, lost), Some(tip));
    let given = drain(&mut store.changes(durable)?);
    assert_eq!(given.first().map(|g| g.0), Some(durable.sequence().get() + 1));
    assert_eq!(given.len() as u64, store.tip_sequence().get() - durable.sequence().get());
    Ok(())
}

#[test]
fn restored_checkpoint_goes_its_own_way_from_its_state_on() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    for n in 0..10 {
        notes.put(key(n), b"before")?;
    }
    let (early, state) = (store.oldest_change_token(), store.snapshot().token());
    store.checkpoint("/backup")?;
    for n in 0..10 {
        notes.put(key(n), b"after")?;
    }
    store.sync()?;
    let late = store.snapshot().token();
    let restored = world.options.clone().open("/backup")?;
    assert_eq!(common_of(&restored, late), Some(state.sequence().get()));
    let notes: BytesKeyspace = restored.keyspace("notes")?;
    for n in 0..30 {
        notes.put(key(n), b"another way")?;
    }
    restored.sync()?;
    assert_eq!(common_of(&restored, late), Some(state.sequence().get()));
    assert_eq!(common_of(&store, restored.snapshot().token()), None);
    assert_eq!(drain(&mut restored.changes(state)?).len(), 30);
    assert_eq!(drain(&mut restored.changes(early)?).len(), 40);
    assert_eq!(drain(&mut store.changes(state)?).len(), 10);
    Ok(())
}

#[test]
fn checkpoint_has_the_floor_of_its_store_and_only_live_large_values() -> Result<()> {
    let world = World::with(|options| options.feed_retention_bytes(40_000));
    let (store, notes) = world.open();
    for n in 0..400u32 {
        notes.put(key(n as usize % 4), &[0; 200])?;
    }
    store.merge()?;
    let floor = store.oldest_change_token();
    assert!(floor.sequence().get() > 0);
    notes.put(b"film", &[1; 5_000])?;
    notes.put(b"film", &[2; 5_000])?;
    store.sync()?;
    store.checkpoint("/backup")?;
    let restored = world.options.clone().open("/backup")?;
    assert_eq!(restored.oldest_change_token(), floor);
    let there = drain(&mut store.changes(floor)?).len();
    let mut changes = restored.changes(floor)?;
    let mut given = 0;
    let e = loop {
        match changes.try_next() {
            Ok(change) => given += usize::from(change.is_some()),
            Err(e) => break e,
        }
        assert!(given < there, "the first film is not in the checkpoint");
    };
    let Error::Compacted { oldest } = e else { panic!("{e}") };
    assert_eq!(drain(&mut restored.changes(oldest)?).len(), 1, "the second one is");
    Ok(())
}

#[test]
fn salvaged_store_is_another_one() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    notes.put(b"a", b"")?;
    let token = store.snapshot().token();
    store.close()?;
    world.options.clone().salvage("/store", "/salvaged", |_| {})?;
    let salvaged = world.options.clone().open("/salvaged")?;
    assert_eq!(common_of(&salvaged, token), None);
    let notes: BytesKeyspace = salvaged.keyspace("notes")?;
    assert!(notes.contains(b"a")?);
    let given = drain(&mut salvaged.changes(salvaged.oldest_change_token())?);
    assert_eq!(given.len(), 1, "it has a history of its own");
    Ok(())
}

#[test]
fn tokens_of_all_openings_are_good_while_their_records_are() -> Result<()> {
    let world = World::new();
    let mut tokens = Vec::new();
    let mut world = world;
    for n in 0..8 {
        let (store, notes) = world.open();
        tokens.push((store.snapshot().token(), store.tip_sequence().get()));
        notes.put(key(n), b"")?;
        notes.put(key(n), b"again")?;
        if n % 3 == 0 {
            // A process that just ends.
            world = world.on(world.disk.process_crash_image());
        } else {
            store.close()?;
        }
    }
    let (store, _) = world.open();
    for (token, sequence) in tokens {
        let given = drain(&mut store.changes(token)?);
        let expected: Vec<_> = (sequence + 1..=16).map(|s| (s, true)).collect();
        assert_eq!(given, expected, "from {token}");
    }
    Ok(())
}

#[test]
fn sequence_that_was_not_given_out_is_refused() -> Result<()> {
    let disk = SimDisk::new(3);
    let world = World::with(|options| options.disk(Arc::new(disk)));
    let (store, notes) = world.open();
    let first = notes.put(b"a", b"")?;
    notes.put(b"b", b"")?;
    let late = notes.put(b"c", b"")?;
    store.sync()?;
    assert_eq!(drain(&mut store.changes(first)?).len(), 2);
    assert_eq!(drain(&mut store.changes(late)?).len(), 0);
    drop((store, notes));
    let other = Store::in_memory()?;
    assert!(matches!(other.changes(late), Err(Error::BadOption { option: "sequence", .. })));
    Ok(())
}
