//! Sliding expiry, expired entries left to their owner, and budgets.

use kvcore::{
    AutoMerge, Background, Durability, Error, Keyspace, Options, Put, Raw, Schema, Store,
    clock::SimClock, disk::SimDisk,
};
use std::{sync::Arc, time::Duration};

const START_MS: u64 = 1_750_000_000_000;
const SECOND: Duration = Duration::from_secs(1);
const SESSIONS: Schema<u64, str, Raw> = Schema::new("sessions").expired_by_owner();

/// A disk and a clock, and how stores open on them: without threads, merging when told.
struct World {
    disk: SimDisk,
    clock: SimClock,
}

impl World {
    fn new() -> World {
        World { disk: SimDisk::new(1), clock: SimClock::new(START_MS) }
    }

    fn open(&self) -> Store {
        let options = Options::new()
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
            .durability(Durability::Buffered)
            .data_file_bytes_max(64 << 10)
            .disk(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()));
        options.open("/store").unwrap()
    }
}

#[test]
fn touched_entries_live_on_and_the_others_do_not() {
    let world = World::new();
    let store = world.open();
    let cache: Keyspace<u64, u64> = store.keyspace("cache").unwrap();
    for n in 0..4 {
        cache.put_with(n, &n, Put::expires_in(SECOND * 10)).unwrap();
    }
    world.clock.advance(SECOND * 9);
    assert!(cache.touch(0, SECOND * 10).unwrap());
    assert_eq!(cache.get_and_touch(1, SECOND * 10).unwrap(), Some(1));
    world.clock.advance(SECOND * 2);
    assert!(!cache.touch(2, SECOND * 10).unwrap(), "what has expired is not revived");
    assert_eq!(cache.get_and_touch(3, SECOND * 10).unwrap(), None);
    let left = || (0..4).filter(|n| cache.contains(*n).unwrap()).collect::<Vec<u64>>();
    assert_eq!(left(), [0, 1]);
    store.maintain().unwrap();
    assert_eq!((left(), cache.len()), (vec![0, 1], 2));
    assert!(cache.touch(0, Duration::ZERO).unwrap());
    assert_eq!(left(), [1]);
    assert!(cache.touch(1, Duration::MAX).unwrap());
    world.clock.advance(SECOND * 1_000_000_000);
    assert_eq!(left(), [1]);
}

#[test]
fn merge_keeps_one_small_record_of_a_thousand_touches() {
    let world = World::new();
    let store = world.open();
    let cache: Keyspace<u64, [u8], Raw> = store.keyspace("cache").unwrap();
    cache.put_with(1, &[7; 5_000], Put::expires_in(SECOND)).unwrap();
    for _ in 0..1_000 {
        world.clock.advance(SECOND / 2);
        assert!(cache.touch(1, SECOND).unwrap());
    }
    let per_touch = (store.stats().appended_bytes - 5_000) / 1_000;
    assert!(per_touch < 70, "{per_touch} bytes for a touch");
    store.merge().unwrap();
    let bytes: u64 = store.stats().files.iter().map(|f| f.bytes).sum();
    assert!(bytes < 5_000 + 1_000, "{bytes} bytes are left");
    let at = cache.expires_at(1).unwrap();
    store.close().unwrap();
    let store = world.open();
    let cache: Keyspace<u64, [u8], Raw> = store.keyspace("cache").unwrap();
    assert_eq!(cache.expires_at(1).unwrap(), at, "the last touch counts after a restart");
    world.clock.advance(SECOND);
    assert!(!cache.contains(1).unwrap());
}

#[test]
fn expired_entries_wait_for_their_owner_and_go_with_what_belongs_to_them() {
    let world = World::new();
    let mut store = world.open();
    for n in 0..10 {
        let sessions = store.keyspace(SESSIONS).unwrap();
        let by_user: Keyspace<(String, u64), ()> = store.keyspace("by user").unwrap();
        sessions.put_with(n, &format!("user {n}"), Put::expires_in(SECOND * 5)).unwrap();
        by_user.put((format!("user {n}"), n), &()).unwrap();
    }
    world.clock.advance(SECOND * 4);
    assert!(store.keyspace(SESSIONS).unwrap().touch(3, SECOND * 60).unwrap());
    world.clock.advance(SECOND);
    for _ in 0..2 {
        store.maintain().unwrap();
        store.merge().unwrap();
        store.close().unwrap();
        store = world.open();
    }
    let sessions = store.keyspace(SESSIONS).unwrap();
    let by_user: Keyspace<(String, u64), ()> = store.keyspace("by user").unwrap();
    assert_eq!(sessions.len(), 10, "the store removed some of them itself");
    assert_eq!(sessions.range(..).count(), 1, "reads see what has expired");
    let due = sessions.expired(100).unwrap();
    let mut keys: Vec<u64> = due.iter().map(|e| *e.key()).collect();
    keys.sort_unstable();
    assert_eq!(keys, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert!(due.iter().all(|e| e.value().unwrap() == format!("user {}", e.key())));
    assert_eq!(sessions.expired(4).unwrap().len(), 4);

    let failed = sessions.remove_expired(100, |batch, session| {
        batch.delete(&by_user, (session.value()?, *session.key()))?;
        if *session.key() == 7 { Err(Error::abort("not this one")) } else { Ok(()) }
    });
    assert!(matches!(failed, Err(Error::Aborted(_))));
    assert_eq!((sessions.len(), by_user.len()), (10, 10), "a failure removes nothing");

    let mut removed = 0;
    while removed < 9 {
        let n = sessions
            .remove_expired(4, |batch, session| {
                assert!(matches!(by_user.put(("x", 1), &()), Err(Error::Nested)));
                batch.delete(&by_user, (session.value()?, *session.key()))
            })
            .unwrap();
        assert!((1..=4).contains(&n));
        removed += n;
    }
    assert_eq!((sessions.len(), by_user.len()), (1, 1));
    assert_eq!(sessions.remove_expired(4, |_, _| Ok(())).unwrap(), 0);
    assert!(sessions.contains(3).unwrap());
}

#[test]
fn expired_value_in_a_blob_can_be_read_until_the_entry_is_let_go() {
    let world = World::new();
    let store = world.open();
    let sessions = store.keyspace(SESSIONS).unwrap();
    let long = "x".repeat(100_000);
    sessions.put_with(1, &long, Put::expires_in(Duration::ZERO)).unwrap();
    let expired = sessions.expired(10).unwrap();
    assert_eq!(sessions.remove_expired(10, |_, _| Ok(())).unwrap(), 1);
    store.sync().unwrap();
    store.maintain().unwrap();
    assert!(expired[0].value().unwrap() == long);
    let is_blob = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "blob");
    let blobs = || world.disk.paths().iter().filter(is_blob).count();
    assert_eq!(blobs(), 1);
    drop(expired);
    store.maintain().unwrap();
    assert_eq!(blobs(), 0, "nobody can ask for it any more");
}

#[test]
fn nothing_is_due_for_a_while_after_the_clock_jumped() {
    let world = World::new();
    let store = world.open();
    let sessions = store.keyspace(SESSIONS).unwrap();
    sessions.put_with(1, "ada", Put::expires_in(SECOND)).unwrap();
    world.clock.jump_wall_ms(86_400_000);
    assert_eq!(sessions.get(1).unwrap(), None);
    assert_eq!(sessions.expired(10).unwrap().len(), 0);
    assert_eq!(sessions.remove_expired(10, |_, _| Ok(())).unwrap(), 0);
    world.clock.advance(SECOND * 61);
    assert_eq!(sessions.expired(10).unwrap().len(), 1);
}

#[test]
fn what_was_seen_expired_stays_so_after_a_crash_with_the_clock_set_back() {
    let world = World::new();
    let store = world.open();
    // Left to an owner who does not come, and kept by the grace after a jump.
    let sessions = store.keyspace(SESSIONS).unwrap();
    let plain: Keyspace<u64, u64> = store.keyspace("plain").unwrap();
    store.maintain().unwrap();
    for (round, jump_ms) in [(0, 5_000), (1, 5_000), (2, 86_400_000)] {
        sessions.put_with(round, "ada", Put::expires_in(SECOND)).unwrap();
        plain.put_with(round, &1, Put::expires_in(SECOND)).unwrap();
        world.clock.jump_wall_ms(jump_ms);
        assert_eq!((sessions.get(round).unwrap(), plain.get(round).unwrap()), (None, None));
        store.maintain().unwrap();
        let killed =
            World { disk: world.disk.process_crash_image(), clock: SimClock::new(START_MS) };
        let store = killed.open();
        let sessions = store.keyspace(SESSIONS).unwrap();
        let plain: Keyspace<u64, u64> = store.keyspace("plain").unwrap();
        for n in 0..=round {
            let left = (sessions.get(n).unwrap(), plain.get(n).unwrap());
            assert_eq!(left, (None, None), "{n} after round {round}");
        }
    }
    let before = store.tip_sequence();
    store.maintain().unwrap();
    assert_eq!(store.tip_sequence(), before, "the clock is written down when it matters");
}

#[test]
fn who_removes_expired_entries_is_part_of_the_schema() {
    let store = World::new().open();
    store.keyspace(SESSIONS).unwrap();
    let plain = store.keyspace(Schema::<u64, str, Raw>::new("sessions"));
    assert!(matches!(plain, Err(Error::SchemaMismatch { what: "expiry", .. })), "{plain:?}");
}

#[test]
fn budget_is_kept_by_evicting_what_was_not_used_for_long() {
    const ENTRY_BYTES: u64 = 8 + 92;
    const PAGES: Schema<u64, [u8], Raw> = Schema::new("pages").budget_bytes(500 * ENTRY_BYTES);
    let world = World::new();
    let store = world.open();
    let other: Keyspace<u64, u64> = store.keyspace("other").unwrap();
    for n in 0..100 {
        other.put(n, &n).unwrap();
    }
    let pages = store.keyspace(PAGES).unwrap();
    for n in 0..5_000 {
        pages.put(n, &[1; 92]).unwrap();
        assert!(pages.len() <= 500, "{} entries after {n} puts", pages.len());
        // The first twenty stay in use.
        pages.get(n % 20).unwrap();
    }
    assert!(pages.len() > 450, "only {} are left", pages.len());
    let hot = (0..20).filter(|n| pages.contains(*n).unwrap()).count();
    assert_eq!(hot, 20, "of the entries in use");
    let recent = (4_800..5_000).filter(|n| pages.contains(*n).unwrap()).count();
    assert!(recent >= 150, "{recent} of the last 200");
    let (stats, keys) = (store.stats(), pages.len());
    assert_eq!(stats.evicted, 5_000 - keys);
    let figures = stats.keyspaces.iter().find(|k| k.name == "pages").unwrap();
    assert_eq!(figures.data_bytes, keys * ENTRY_BYTES);
    assert_eq!((figures.evicted, figures.budget_bytes), (5_000 - keys, Some(500 * ENTRY_BYTES)));
    assert_eq!(other.len(), 100, "another keyspace paid");
    store.close().unwrap();
    let store = world.open();
    let bytes = |store: &Store| store.stats().keyspaces[1].data_bytes;
    assert_eq!(bytes(&store), keys * ENTRY_BYTES, "evicted entries came back");
}

#[test]
fn budget_set_on_a_full_keyspace_is_reached_by_maintenance() {
    let world = World::new();
    let store = world.open();
    let all: Keyspace<u64, [u8], Raw> = store.keyspace("pages").unwrap();
    for n in 0..3_000 {
        all.put(n, &[1; 92]).unwrap();
    }
    let schema: Schema<u64, [u8], Raw> = Schema::new("pages").budget_bytes(10_000);
    let pages = store.keyspace(schema).unwrap();
    assert_eq!(pages.len(), 3_000);
    assert!(pages.get(5).unwrap().is_some());
    store.maintain().unwrap();
    assert!((90..=100).contains(&pages.len()), "{} are left", pages.len());
    assert!(pages.get(5).unwrap().is_some(), "the one that was used");
    store.keyspace(schema.budget_bytes(5_000)).unwrap();
    store.maintain().unwrap();
    assert!((40..=50).contains(&pages.len()), "{} are left", pages.len());
}

/// Each store hashes keys in its own way: shards without keys lie elsewhere in each.
#[test]
fn the_entry_in_use_stays_wherever_others_leave_shards_empty() {
    const SCHEMA: Schema<u64, [u8], Raw> = Schema::new("pages");
    for round in 0..40 {
        let store = World::new().open();
        let all = store.keyspace(SCHEMA).unwrap();
        for n in 0..1_000 {
            all.put(n, &[1; 92]).unwrap();
        }
        let pages = store.keyspace(SCHEMA.budget_bytes(3_000)).unwrap();
        assert!(pages.get(5).unwrap().is_some());
        store.maintain().unwrap();
        assert!(pages.contains(5).unwrap(), "round {round}, {} are left", pages.len());
    }
}

#[test]
fn budget_set_on_a_full_keyspace_is_reached_although_all_of_it_was_read_since() {
    let store = World::new().open();
    let all: Keyspace<u64, [u8], Raw> = store.keyspace("pages").unwrap();
    for n in 0..3_000 {
        all.put(n, &[1; 92]).unwrap();
    }
    let schema: Schema<u64, [u8], Raw> = Schema::new("pages").budget_bytes(10_000);
    let pages = store.keyspace(schema).unwrap();
    for n in 0..3_000 {
        assert!(pages.get(n).unwrap().is_some());
    }
    store.maintain().unwrap();
    assert!((90..=100).contains(&pages.len()), "{} are left", pages.len());
}

#[test]
fn what_was_written_last_is_kept_even_beyond_the_budget() {
    let store = World::new().open();
    let schema: Schema<u64, [u8], Raw> = Schema::new("pages").unordered().budget_bytes(1_000);
    let pages = store.keyspace(schema).unwrap();
    for n in 0..10 {
        pages.put(n, &[1; 92]).unwrap();
    }
    pages.put(99, &[1; 20_000]).unwrap();
    assert_eq!((pages.len(), pages.get(99).unwrap().map(|v| v.len())), (1, Some(20_000)));
    store.maintain().unwrap();
    assert_eq!(pages.len(), 1);
    pages.put(1, &[1]).unwrap();
    assert!(pages.contains(1).unwrap() && !pages.contains(99).unwrap());
    pages.clear().unwrap();
    assert_eq!(store.stats().keyspaces[0].data_bytes, 0);
}

#[test]
fn bytes_of_a_keyspace_are_exact_through_every_kind_of_change() {
    let world = World::new();
    let store = world.open();
    let names: Keyspace<u64, [u8], Raw> = store.keyspace("names").unwrap();
    let mut rng = fastrand::Rng::with_seed(11);
    for step in 0..3_000 {
        let key = rng.u64(..300);
        match rng.u8(..12) {
            0..6 => drop(names.put(key, &vec![1; rng.usize(..200)]).unwrap()),
            6 => drop(names.delete(key).unwrap()),
            7 => drop(names.put_with(key, &[1; 9], Put::expires_in(SECOND)).unwrap()),
            8 => drop(names.touch(key, SECOND).unwrap()),
            9 if rng.u8(..20) == 0 => drop(names.delete_range(key..key + 150).unwrap()),
            10 if rng.u8(..20) == 0 => drop(store.merge().unwrap()),
            _ => world.clock.advance(SECOND / 50),
        }
        if step % 200 == 0 {
            world.clock.advance(SECOND);
            store.maintain().unwrap();
            let sum: u64 = names.range(..).map(|e| 8 + e.unwrap().size_bytes()).sum();
            assert_eq!(store.stats().keyspaces[0].data_bytes, sum, "seed 11, step {step}");
        }
    }
    let before = store.stats().keyspaces[0].data_bytes;
    store.close().unwrap();
    assert_eq!(world.open().stats().keyspaces[0].data_bytes, before);
}

#[test]
fn clearing_a_full_cache_does_not_cost_what_is_put_next() {
    let store = World::new().open();
    let schema: Schema<u64, [u8], Raw> = Schema::new("pages").budget_bytes(100_000);
    let pages = store.keyspace(schema).unwrap();
    for n in 0..1_000 {
        pages.put(n, &[1; 92]).unwrap();
    }
    let evicted = store.stats().evicted;
    pages.clear().unwrap();
    for n in 0..500 {
        pages.put(n, &[2; 92]).unwrap();
    }
    store.maintain().unwrap();
    assert_eq!((pages.len(), store.stats().evicted), (500, evicted));
    assert_eq!(store.stats().keyspaces[0].data_bytes, 500 * 100);
}

#[test]
fn cache_under_threads_stays_in_its_budget_and_never_gives_a_wrong_value() {
    const BUDGET_BYTES: u64 = 100_000;
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(1 << 20);
    let store = options.open_temporary().unwrap();
    let schema: Schema<u64, Vec<u8>> = Schema::new("pages").budget_bytes(BUDGET_BYTES);
    let pages = store.keyspace(schema).unwrap();
    let value =
        |n: u64| vec![u8::try_from(n % 251).unwrap(); 50 + usize::try_from(n % 100).unwrap()];
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let pages = &pages;
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                for _ in 0..10_000 {
                    let n = rng.u64(..5_000);
                    pages.put(n, &value(n)).unwrap();
                }
            });
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(100 + seed);
                for _ in 0..20_000 {
                    let n = rng.u64(..5_000);
                    let found = pages.get(n).unwrap();
                    assert!(found.is_none_or(|found| found == value(n)), "seed {seed}, key {n}");
                }
            });
        }
    });
    let bytes = store.stats().keyspaces[0].data_bytes;
    assert!((BUDGET_BYTES / 2..=BUDGET_BYTES).contains(&bytes), "{bytes} bytes");
    let sum: u64 = pages.range(..).map(|e| 8 + e.unwrap().size_bytes()).sum();
    assert_eq!(sum, bytes);
}

#[test]
fn a_keyspace_that_the_store_expired_can_be_handed_to_its_owner_for_good() {
    const STORES: Schema<u64, str, Raw> = Schema::new("sessions");
    let world = World::new();
    let store = world.open();
    let sessions = store.keyspace(STORES).unwrap();
    sessions.put_with(1, "ada", Put::expires_in(SECOND)).unwrap();
    sessions.put_with(2, "bob", Put::expires_in(SECOND * 100)).unwrap();
    let sessions = store.keyspace(SESSIONS).unwrap();
    world.clock.advance(SECOND * 2);
    store.maintain().unwrap();
    assert_eq!((sessions.get(1).unwrap(), sessions.len()), (None, 2));
    assert!(sessions.info().is_expired_by_owner);
    store.close().unwrap();
    let store = world.open();
    let without = store.keyspace(STORES);
    assert!(matches!(without, Err(Error::SchemaMismatch { what: "expiry", .. })), "{without:?}");
    let sessions = store.keyspace(SESSIONS).unwrap();
    store.maintain().unwrap();
    assert_eq!(sessions.len(), 2);
    let stored = sessions.stored(1).unwrap().unwrap();
    assert_eq!((stored.value().unwrap(), stored.size_bytes()), ("ada".to_owned(), 3));
    assert_eq!(sessions.stored_size_bytes(1).unwrap(), Some(3));
    assert_eq!(sessions.stored_size_bytes(3).unwrap(), None);
    assert_eq!(sessions.remove_expired(10, |_, _| Ok(())).unwrap(), 1);
    assert!(sessions.stored(1).unwrap().is_none());
    assert_eq!(sessions.get(2).unwrap().as_deref(), Some("bob"));
}
