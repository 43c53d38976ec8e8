//! What is told of, and how: every kind of record, values of every form, commits as wholes.

use std::{
    io::Read,
    ops::Bound,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kvcore::{
    Background, BytesKeyspace, Error, Event, Keyspace, Options, Put, ReadMode, Result, Schema,
    Store, disk::SimDisk,
};

use super::{START_MS, World, drain, follower::Follower, key};

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(START_MS + ms)
}

/// What is told of one record, and when its put expires.
type Told<K, T> = (Event<K, T>, Option<SystemTime>);

/// Everything told of a keyspace, with expiries of puts.
fn told<K: kvcore::Key, V: ?Sized + 'static, C: kvcore::Codec<V>>(
    store: &Store,
    of: &Keyspace<K, V, C>,
) -> Vec<Told<K, C::Owned>> {
    store.sync().expect("sync");
    let mut changes = store.changes(store.oldest_change_token()).expect("the beginning is there");
    let mut told = Vec::new();
    while let Some(change) = changes.try_next().expect("a sound feed") {
        let event = change.decode(of).expect("it decodes");
        told.extend(event.map(|event| (event, change.expires_at())));
    }
    told
}

#[test]
fn every_kind_of_change_is_told_in_the_order_it_happened() -> Result<()> {
    let world = World::new();
    let (store, _) = world.open();
    let users: Keyspace<String, u64> = store.keyspace("users")?;
    users.put("ada", &1)?;
    users.put_with("bob", &2, Put::expires_at(at(5_000)))?;
    users.expire("ada", at(9_000))?;
    users.persist("ada")?;
    users.update("ada", |n| n.map(|n| n + 1))?;
    users.delete("ada")?;
    users.put("cyd", &3)?;
    users.delete_range("a".."c")?;
    users.clear()?;
    let (ada, bob, cyd) = (|| "ada".to_owned(), "bob".to_owned(), "cyd".to_owned());
    let a_to_c = kvcore::EncodedRange {
        start: Bound::Included(b"a".to_vec()),
        end: Bound::Excluded(b"c".to_vec()),
    };
    let all = kvcore::EncodedRange { start: Bound::Unbounded, end: Bound::Unbounded };
    let expected = vec![
        (Event::Put { key: ada(), value: 1 }, None),
        (Event::Put { key: bob, value: 2 }, Some(at(5_000))),
        (Event::Expire { key: ada(), expires_at: Some(at(9_000)) }, Some(at(9_000))),
        (Event::Expire { key: ada(), expires_at: None }, None),
        (Event::Put { key: ada(), value: 2 }, None),
        (Event::Delete { key: ada() }, None),
        (Event::Put { key: cyd, value: 3 }, None),
        (Event::DeleteRange { range: a_to_c }, None),
        (Event::DeleteRange { range: all }, None),
    ];
    assert_eq!(told(&store, &users), expected);
    Ok(())
}

#[test]
fn removal_of_expired_entries_and_evictions_are_told_as_deletes() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    notes.put_with(b"old", b"", Put::expires_at(at(1_000)))?;
    let few: Schema<'_, u64, [u8], kvcore::Raw> = Schema::new("few");
    let few = store.keyspace(few.unordered().budget_bytes(300))?;
    for n in 0..20 {
        few.put(n, &[0; 92])?;
    }
    world.clock.advance(Duration::from_secs(2));
    store.maintain()?;
    assert!(notes.is_empty(), "it was removed");
    let last = told(&store, &notes).pop().expect("something was told").0;
    assert_eq!(last, Event::Delete { key: b"old".to_vec() });
    let mut left = std::collections::BTreeSet::new();
    for (event, _) in told(&store, &few) {
        match event {
            Event::Put { key, .. } => assert!(left.insert(key)),
            Event::Delete { key } => assert!(left.remove(&key)),
            other => panic!("{other:?}"),
        }
    }
    let there: Vec<u64> = left.into_iter().collect();
    assert!(there.len() < 5, "{there:?}");
    for n in 0..20 {
        assert_eq!(few.contains(n)?, there.contains(&n), "{n}");
    }
    Ok(())
}

#[test]
fn commits_are_whole_and_a_token_within_one_goes_on_within_it() -> Result<()> {
    for read_mode in [ReadMode::Map, ReadMode::Pread] {
        let world = World::with(|options| options.read_mode(read_mode).data_file_bytes_max(700));
        let (store, notes) = world.open();
        let mut ends = Vec::new();
        for n in 0..40 {
            let mut batch = store.batch();
            for m in 0..=n % 5 {
                batch.put(&notes, key(m), format!("{n}").as_bytes())?;
                ends.push((ends.len() as u64 + 1, m == n % 5));
            }
            batch.commit()?;
        }
        store.sync()?;
        assert!(store.stats().files.len() > 5, "several files");
        // Tokens at every sequence, and the beginning.
        for after in 0..=ends.len() {
            let sequence = ends[..after].last().map_or(0, |end| end.0);
            let mut first = store.changes(store.oldest_change_token())?;
            let token = loop {
                if first.token().sequence().get() == sequence {
                    break first.token();
                }
                let change = first.try_next()?.expect("there is more");
                assert_eq!(change.token(), first.token());
            };
            assert_eq!(token.to_string().parse::<kvcore::ChangeToken>()?, token);
            let mut changes = store.changes(token)?;
            assert_eq!(drain(&mut changes), &ends[after..], "{read_mode:?} after {sequence}");
        }
    }
    Ok(())
}

#[test]
fn values_of_every_form_are_told_as_they_were_put() -> Result<()> {
    for read_mode in [ReadMode::Map, ReadMode::Pread] {
        let world = World::with(|o| o.read_mode(read_mode).data_file_bytes_max(64 << 10));
        let (store, notes) = world.open();
        let values: [Vec<u8>; 4] =
            [vec![], vec![1; 100], vec![2; 10_000], (0..=u8::MAX).cycle().take(200_000).collect()];
        for (n, value) in values.iter().enumerate() {
            notes.put(key(n), value)?;
        }
        store.sync()?;
        let mut changes = store.changes(store.oldest_change_token())?;
        for (n, value) in values.iter().enumerate() {
            let change = changes.try_next()?.expect("a put");
            assert_eq!(change.key_bytes(), Some(&key(n)[..]));
            assert!(change.is_of(&notes)?);
            assert_eq!(change.keyspace_name().as_deref(), Some("notes"));
            assert_eq!(change.value_bytes()?.expect("a put").to_vec(), *value, "{read_mode:?}");
            let mut read = Vec::new();
            change.reader()?.expect("a put").read_to_end(&mut read).expect("it reads");
            assert_eq!(read, *value, "{read_mode:?}");
        }
        assert!(changes.try_next()?.is_none());
        assert_eq!(store.stats().blobs, 1);
    }
    Ok(())
}

#[test]
fn commits_larger_than_what_is_read_at_a_time_are_given_whole() -> Result<()> {
    for read_mode in [ReadMode::Map, ReadMode::Pread] {
        let world = World::with(|o| o.read_mode(read_mode).data_file_bytes_max(4 << 20));
        let (store, notes) = world.open();
        let mut visible = store.changes(store.tip_sequence())?.visible();
        let lens = [10, 70_000, 300, 65_536 - 24, 200_000, 1];
        for len in lens {
            let mut batch = store.batch();
            for n in 0..3 {
                batch.put(&notes, key(n), &vec![n.to_le_bytes()[0]; len])?;
            }
            // In the tail buffer, which only the second feed sees.
            store.commit_many(|round| {
                round.commit(batch)?;
                let given = drain(&mut visible);
                assert_eq!(given.iter().map(|g| g.1).collect::<Vec<_>>(), [false, false, true]);
                Ok(())
            })?;
        }
        store.sync()?;
        let mut changes = store.changes(store.oldest_change_token())?;
        for len in lens {
            for n in 0..3 {
                let value = changes.try_next()?.expect("a put").value_bytes()?.expect("a value");
                let expected = vec![n; len];
                assert!(value[..] == expected, "{len} bytes of {n}, {read_mode:?}");
            }
        }
        assert!(changes.try_next()?.is_none());
    }
    Ok(())
}

#[cfg(feature = "lz4")]
#[test]
fn compressed_values_are_told_as_they_were_put() -> Result<()> {
    let world = World::with(|options| options.data_file_bytes_max(64 << 10));
    let (store, _) = world.open();
    let pages: Schema<'_, String, [u8], kvcore::Raw> = Schema::new("pages");
    let pages = store.keyspace(pages.compressed())?;
    let page = b"welcome ".repeat(500);
    pages.put("home", &page)?;
    assert!(store.stats().compressed_to_bytes < 1_000);
    let (event, _) = told(&store, &pages).remove(0);
    let value = kvcore::Value::from(page);
    assert_eq!(event, Event::Put { key: "home".to_owned(), value });
    let mut follower = Follower::new(&world.clock);
    follower.catch_up(&store);
    follower.assert_equal(&store);
    Ok(())
}

#[test]
fn dropped_and_migrated_keyspaces_are_told_of_by_number() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    let old: Keyspace<String, u64> = store.keyspace("users")?;
    old.put("ada", &36)?;
    let start = store.snapshot().token();
    let new: Schema<'_, String, String> = Schema::new("users").version(1);
    store.migrate(Schema::<String, u64>::new("users"), new, |name, age| {
        Ok(Some((name, age.to_string())))
    })?;
    let new = store.keyspace(new)?;
    notes.put(b"a", b"")?;
    store.drop_keyspace("notes")?;
    store.sync()?;
    let mut changes = store.changes(start)?;
    let (mut of_new, mut cleared, mut nameless) = (Vec::new(), 0, 0);
    while let Some(change) = changes.try_next()? {
        of_new.extend(change.decode(&new)?);
        nameless += usize::from(change.keyspace_name().is_none());
        let is_range = change.key_bytes().is_none();
        cleared += usize::from(is_range && change.keyspace_name().is_none());
    }
    let ada = Event::Put { key: "ada".to_owned(), value: "36".to_owned() };
    assert!(of_new.contains(&ada), "{of_new:?}");
    assert!(cleared >= 2, "the old users and the notes");
    assert!(nameless > cleared, "the notes themselves, and the migration's progress");
    Ok(())
}

#[test]
fn keyspace_of_another_store_or_opening_is_refused() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    notes.put(b"a", b"")?;
    store.sync()?;
    let change = store.changes(store.oldest_change_token())?.try_next()?.expect("a put");
    let other: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
    assert!(matches!(change.decode(&other), Err(Error::ForeignKeyspace { .. })));
    let typed: Keyspace<u64, u64> = other.store().keyspace("numbers")?;
    let mut batch = other.store().batch();
    let refused = change.apply_to(&mut batch, &typed);
    assert!(matches!(refused, Err(Error::SchemaMismatch { what: "key type", .. })));
    let foreign = change.apply_to(&mut store.batch(), &other);
    assert!(matches!(foreign, Err(Error::ForeignKeyspace { .. })));
    assert!(batch.is_empty());
    Ok(())
}

#[test]
fn expiry_put_off_in_time_holds_for_a_follower_that_comes_late() -> Result<()> {
    let world = World::new();
    let (store, notes) = world.open();
    notes.put_with(b"session", b"ada", Put::expires_at(at(1_000)))?;
    world.clock.advance(Duration::from_millis(500));
    notes.expire(b"session", at(1_000_000))?;
    notes.put_with(b"other", b"bob", Put::expires_at(at(2_000)))?;
    store.sync()?;
    // By now the first expiry has passed, and the second one in the middle of following.
    world.clock.advance(Duration::from_secs(1));
    let mut follower = Follower::new(&world.clock);
    follower.catch_up(&store);
    follower.assert_equal(&store);
    world.clock.advance(Duration::from_secs(10));
    store.maintain()?;
    store.sync()?;
    follower.catch_up(&store);
    follower.assert_equal(&store);
    assert_eq!(notes.len(), 1, "only the session is left");
    Ok(())
}

#[test]
fn change_keeps_its_value_when_everything_else_is_gone() -> Result<()> {
    let disk = SimDisk::new(1);
    let options = Options::new().background(Background::Manual).data_file_bytes_max(64 << 10);
    let store = options.disk(Arc::new(disk)).open("/store")?;
    let notes: BytesKeyspace = store.keyspace("notes")?;
    let (large, small) = (vec![1; 100_000], vec![2; 10_000]);
    notes.put(b"large", &large)?;
    notes.put(b"small", &small)?;
    let mut changes = store.changes(store.oldest_change_token())?;
    let (first, second) = (changes.try_next()?.expect("one"), changes.try_next()?.expect("two"));
    drop(changes);
    notes.clear()?;
    store.merge()?;
    store.maintain()?;
    assert_eq!(first.value_bytes()?.expect("a put").to_vec(), large);
    assert_eq!(second.value_bytes()?.expect("a put").to_vec(), small);
    drop(first);
    store.maintain()?;
    assert!(matches!(store.changes(store.oldest_change_token())?.try_next(), Ok(None | Some(_))));
    Ok(())
}
