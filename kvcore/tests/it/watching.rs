//! Watchers: what they are told, when, and what becomes of one that does not listen.

mod ends;
mod hostile;
mod lag;
mod throughput;

use std::{
    collections::BTreeMap,
    ops::RangeBounds,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, SystemTime},
};

use kvcore::{
    Background, Durability, Error, Event, Keyspace, Options, Put, Raw, Result, Schema, Store,
    Watched, Watcher, clock::SimClock,
};

type Users = Keyspace<String, u64>;

fn buffered() -> Store {
    Options::new().durability(Durability::Buffered).in_memory().open("/store").unwrap()
}

/// What waits to be taken.
fn drain(watcher: &mut Watcher<String, u64>) -> Vec<Event<String, u64>> {
    std::iter::from_fn(|| watcher.try_next().unwrap()).map(|told| told.event).collect()
}

fn put(key: &str, value: u64) -> Event<String, u64> {
    Event::Put { key: key.to_owned(), value }
}

fn delete(key: &str) -> Event<String, u64> {
    Event::Delete { key: key.to_owned() }
}

#[test]
fn every_way_to_write_is_told_in_the_order_of_commits() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let other: Users = store.keyspace("other").unwrap();
    users.put("z", &0).unwrap();
    let mut watcher = users.watch_range(..).unwrap();
    users.put("a", &1).unwrap();
    other.put("a", &100).unwrap();
    users.update("a", |n| n.map(|n| n + 1)).unwrap();
    assert_eq!(users.compare_and_swap("a", Some(&2), Some(&3)).unwrap(), kvcore::Swap::Swapped);
    assert_eq!(users.get_or_insert_with("b", || 4).unwrap(), 4);
    assert_eq!(users.get_or_insert_with("b", || 5).unwrap(), 4);
    assert_eq!(users.take("b").unwrap(), Some(4));
    assert!(!users.delete("b").unwrap());
    let mut batch = store.batch();
    batch.put(&users, "c", &6).unwrap();
    batch.put(&other, "c", &600).unwrap();
    batch.delete(&users, "c").unwrap();
    batch.put(&users, "d", &7).unwrap();
    batch.commit().unwrap();
    store.transaction(|tx| tx.put(&users, "e", &8)).unwrap();
    let aborted: Result<()> = store.transaction(|tx| {
        tx.put(&users, "e", &9)?;
        Err(Error::abort("no"))
    });
    assert!(aborted.is_err());
    store.optimistic_transaction(|tx| tx.put(&users, "f", &10)).unwrap();
    store.commit_many(|round| round.put(&users, "g", &11, Put::default())).unwrap();
    assert_eq!(users.pop_first().unwrap(), Some(("a".to_owned(), 3)));
    store.merge().unwrap();
    let told = drain(&mut watcher);
    let expected = [
        put("a", 1),
        put("a", 2),
        put("a", 3),
        put("b", 4),
        delete("b"),
        put("c", 6),
        delete("c"),
        put("d", 7),
        put("e", 8),
        put("f", 10),
        put("g", 11),
        delete("a"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn range_deletes_are_told_to_whoever_watches_a_part_of_the_range() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut key = users.watch("m").unwrap();
    let mut prefix = users.watch_prefix("m").unwrap();
    let mut inside = users.watch_range("b".."c").unwrap();
    let mut outside = users.watch_range("x"..).unwrap();
    let mut nothing = users.watch_range("z".."a").unwrap();
    users.put("m", &1).unwrap();
    users.delete_range("a".."n").unwrap();
    users.clear().unwrap();
    assert_eq!(drain(&mut key), [put("m", 1), delete("m"), delete("m")]);
    let ranges = |events: Vec<Event<String, u64>>| {
        events.iter().filter(|e| matches!(e, Event::DeleteRange { .. })).count()
    };
    assert_eq!(ranges(drain(&mut prefix)), 2);
    assert_eq!(ranges(drain(&mut inside)), 2);
    assert_eq!(ranges(drain(&mut outside)), 1);
    assert_eq!(drain(&mut nothing), []);
}

#[test]
fn old_values_are_those_a_read_would_have_found_just_before() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    users.put("a", &1).unwrap();
    let mut watcher = users.watcher().with_old_values().range(..).unwrap();
    let mut of_key = users.watcher().with_old_values().key("a").unwrap();
    let mut without = users.watch("a").unwrap();
    users.put("a", &2).unwrap();
    let mut batch = store.batch();
    batch.put(&users, "a", &3).unwrap();
    batch.put(&users, "a", &4).unwrap();
    batch.delete(&users, "a").unwrap();
    batch.put(&users, "a", &5).unwrap();
    batch.delete_range(&users, ..).unwrap();
    batch.put(&users, "a", &6).unwrap();
    batch.commit().unwrap();
    let olds = |watcher: &mut Watcher<String, u64>| -> Vec<Option<u64>> {
        std::iter::from_fn(|| watcher.try_next().unwrap()).map(|told| told.old).collect()
    };
    let of_all = [Some(1), Some(2), Some(3), Some(4), None, None, None];
    assert_eq!(olds(&mut watcher), of_all);
    // For it the range delete is a delete of the key.
    assert_eq!(olds(&mut of_key), [Some(1), Some(2), Some(3), Some(4), None, Some(5), None]);
    assert_eq!(olds(&mut without), [None; 7]);
}

#[test]
fn expiry_and_eviction_are_told_as_deletes() {
    let clock = SimClock::new(1_750_000_000_000);
    let store = Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .clock(Arc::new(clock.clone()))
        .in_memory()
        .open("/store")
        .unwrap();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watcher().with_old_values().range(..).unwrap();
    users.put_with("a", &1, Put::expires_in(Duration::from_secs(5))).unwrap();
    users.put_with("b", &2, Put::expires_in(Duration::from_secs(5))).unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_007);
    assert!(users.expire("b", at).unwrap());
    clock.advance(Duration::from_secs(6));
    store.maintain().unwrap();
    let told: Vec<Watched<String, u64>> =
        std::iter::from_fn(|| watcher.try_next().unwrap()).collect();
    let events: Vec<_> = told.iter().map(|told| told.event.clone()).collect();
    let expire = Event::Expire { key: "b".to_owned(), expires_at: Some(at) };
    assert_eq!(events, [put("a", 1), put("b", 2), expire, delete("a")]);
    assert_eq!(told[3].old, Some(1), "what expired");

    let cache: Schema<'_, u64, [u8], Raw> = Schema::new("cache").budget_bytes(1_000);
    let cache = store.keyspace(cache).unwrap();
    let mut watcher = cache.watch_range(..).unwrap();
    let mut there = BTreeMap::new();
    for n in 0..100 {
        cache.put(n, &[0; 50]).unwrap();
    }
    while let Some(told) = watcher.try_next().unwrap() {
        match told.event {
            Event::Put { key, .. } => drop(there.insert(key, ())),
            Event::Delete { key } => assert_eq!(there.remove(&key), Some(()), "evicted once"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(there.len() as u64, cache.len());
    assert!(there.len() < 100, "something was evicted");
}

#[test]
fn delete_of_an_expired_entry_tells_its_value_until_it_has_been_removed() {
    let clock = SimClock::new(1_750_000_000_000);
    let store = Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .clock(Arc::new(clock.clone()))
        .in_memory()
        .open("/store")
        .unwrap();
    let users: Users = store.keyspace("users").unwrap();
    for (key, value) in [("deleted", &1), ("removed", &2), ("replaced", &3)] {
        users.put_with(key, value, Put::expires_in(Duration::from_secs(5))).unwrap();
    }
    clock.advance(Duration::from_secs(6));
    let mut watcher = users.watcher().with_old_values().range(..).unwrap();
    let delete_in_a_batch = |key| {
        let mut batch = store.batch();
        batch.delete(&users, key).unwrap();
        batch.commit().unwrap();
    };
    delete_in_a_batch("deleted");
    users.put("replaced", &4).unwrap();
    assert!(!users.delete("removed").unwrap(), "not there, so nothing is told");
    store.maintain().unwrap();
    delete_in_a_batch("removed");
    let told: Vec<_> = std::iter::from_fn(|| watcher.try_next().unwrap())
        .map(|told| (told.event, told.old))
        .collect();
    let expected = [
        (delete("deleted"), Some(1)),
        (put("replaced", 4), None),
        (delete("removed"), Some(2)),
        (delete("removed"), None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn large_values_are_told_after_they_were_replaced_and_merged_away() {
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(64 << 10)
        .open_temporary()
        .unwrap();
    let files: Keyspace<u64, [u8], Raw> = store.keyspace("files").unwrap();
    // Copied, in the log, in a blob.
    let lens = [100, 5_000, 60_000];
    let mut watcher = files.watcher().with_old_values().range(..).unwrap();
    for (n, len) in (0..).zip(lens) {
        files.put(n, &vec![1; len]).unwrap();
        files.put(n, &vec![2; len]).unwrap();
        files.delete(n).unwrap();
    }
    store.sync().unwrap();
    store.merge().unwrap();
    store.merge().unwrap();
    for len in lens {
        let (one, two) = (vec![1; len], vec![2; len]);
        for expected in [(Some(&one), None), (Some(&two), Some(&one)), (None, Some(&two))] {
            let told = watcher.wait_next().unwrap();
            let value = match &told.event {
                Event::Put { value, .. } => Some(value.to_vec()),
                _ => None,
            };
            assert_eq!(value.as_ref(), expected.0, "{len}");
            assert_eq!(told.old.map(|old| old.to_vec()).as_ref(), expected.1, "{len}");
        }
    }
}

#[test]
fn what_is_visible_when_watching_begins_is_not_told_and_what_comes_later_is() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    thread::scope(|scope| {
        let (users, store) = (&users, &store);
        let writer = scope.spawn(move || {
            for n in 0..20_000 {
                users.put("n", &n).unwrap();
            }
        });
        // Whatever is read after watching began is the start of what is told.
        while !writer.is_finished() {
            let mut watcher = users.watch("n").unwrap();
            let view = store.snapshot();
            let seen = view.get(users, "n").unwrap();
            drop(view);
            let next = loop {
                match watcher.next_timeout(Duration::from_millis(20)) {
                    Ok(Some(told)) => match told.event {
                        Event::Put { value, .. } if Some(value) <= seen => {}
                        Event::Put { value, .. } => break Some(value),
                        other => panic!("{other:?}"),
                    },
                    Ok(None) | Err(Error::Lagged { .. }) => break None,
                    Err(e) => panic!("{e}"),
                }
            };
            if let Some(next) = next {
                assert_eq!(next, seen.map_or(0, |seen| seen + 1));
            }
        }
        writer.join().unwrap();
    });
    assert_eq!(users.get("n").unwrap(), Some(19_999));
}

#[test]
fn watcher_of_concurrent_writers_ends_up_with_what_the_store_holds() {
    const WRITERS: usize = 3;
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let all = users.watcher().capacity(usize::MAX).with_old_values().range(..).unwrap();
    let follower = thread::spawn(move || follow(all));
    let start = Barrier::new(WRITERS);
    thread::scope(|scope| {
        for seed in 0..WRITERS {
            let (users, start) = (&users, &start);
            scope.spawn(move || {
                start.wait();
                write_at_random(users, seed as u64);
            });
        }
    });
    let held: Result<BTreeMap<String, u64>> =
        users.iter().map(|e| e.and_then(|e| Ok((e.key().clone(), e.value()?)))).collect();
    store.close().unwrap();
    assert_eq!(follower.join().unwrap(), held.unwrap());
}

fn write_at_random(users: &Users, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    for n in 0..3_000 {
        let key = format!("{:02}", rng.u8(..50));
        match rng.u8(..10) {
            0..=5 => drop(users.put(&key, &n).unwrap()),
            6 => drop(users.delete(&key).unwrap()),
            7 => drop(users.update(&key, |v| v.map(|v| v + 1)).unwrap()),
            8 => {
                let to = format!("{:02}", rng.u8(..50));
                users.delete_range(key.as_str()..to.as_str()).unwrap();
            }
            _ => {
                let mut batch = users.store().batch();
                batch.put(users, &key, &n).unwrap();
                batch.delete(users, "49").unwrap();
                batch.commit().unwrap();
            }
        }
    }
}

/// What a keyspace holds by what its watcher is told until the store closes.
fn follow(mut watcher: Watcher<String, u64>) -> BTreeMap<String, u64> {
    let (mut mirror, mut last) = (BTreeMap::new(), None);
    loop {
        let told = match watcher.wait_next() {
            Err(Error::Closed) => return mirror,
            told => told.unwrap(),
        };
        assert!(Some(told.sequence) > last);
        last = Some(told.sequence);
        match told.event {
            Event::Put { key, value } => assert_eq!(mirror.insert(key, value), told.old),
            Event::Delete { key } => assert_eq!(mirror.remove(&key), told.old),
            Event::DeleteRange { range } => {
                let range = (range.start, range.end);
                mirror.retain(|key: &String, _| !range.contains(&key.as_bytes().to_vec()));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn event_of_an_immediate_commit_comes_when_it_is_durable_and_buffered_ones_behind_it() {
    let store = Options::new().background(Background::Manual).in_memory().open("/store").unwrap();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watch_range(..).unwrap();
    let mut durable = users.watcher().only_durable().range(..).unwrap();
    users.put_with("a", &1, Durability::Buffered).unwrap();
    assert_eq!(drain(&mut watcher), [put("a", 1)]);
    assert_eq!(drain(&mut durable), [], "not before it is synced");
    store
        .commit_many_with(Durability::Immediate, |round| {
            round.put(&users, "b", &2, Put::default())?;
            assert_eq!(drain(&mut watcher), [], "the round is not acknowledged yet");
            users.put_with("c", &3, Durability::Buffered)?;
            assert_eq!(drain(&mut watcher), [], "the order is that of commits");
            Ok(())
        })
        .unwrap();
    assert_eq!(drain(&mut watcher), [put("b", 2), put("c", 3)]);
    assert_eq!(drain(&mut durable), [put("a", 1), put("b", 2), put("c", 3)]);
}

#[test]
fn thousands_of_watched_keys_are_told_of_their_own_changes_only() {
    let store = buffered();
    let numbers: Keyspace<u64, u64> = store.keyspace(Schema::new("numbers").unordered()).unwrap();
    let mut watchers: Vec<_> = (0..10_000).map(|n| numbers.watch(n).unwrap()).collect();
    let mut ranges: Vec<_> =
        (0..100).map(|n| numbers.watch_range(n * 100..n * 100 + 150).unwrap()).collect();
    assert_eq!(store.stats().watchers, 10_100);
    for n in 0..10_000 {
        numbers.put(n, &n).unwrap();
    }
    for (n, watcher) in (0..).zip(&mut watchers) {
        let told = watcher.try_next().unwrap().map(|told| told.event);
        assert_eq!(told, Some(Event::Put { key: n, value: n }));
        assert_eq!(watcher.try_next().unwrap(), None);
    }
    for (n, watcher) in (0..).zip(&mut ranges) {
        let told = std::iter::from_fn(|| watcher.try_next().unwrap()).count();
        assert_eq!(told, if n == 99 { 100 } else { 150 });
    }
    drop((watchers, ranges));
    assert_eq!(store.stats().watchers, 0);
}
