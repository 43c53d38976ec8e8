//! Migrations and drops: whole or not at all, whatever fails, and going on after a crash.

use kvcore::{
    AutoMerge, Background, Durability, Error, Keyspace, Options, Put, Raw, Schema, Store,
    clock::SimClock,
    disk::{Fault, Repeat, SimDisk},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

const OLD: Schema<u64, u64> = Schema::new("things").version(1);
const NEW: Schema<String, str, Raw> = Schema::new("things").version(2);
/// More than a batch, less than three.
const ENTRIES: u64 = 1_300;
/// The same where every operation is swept: two batches.
const SWEPT_ENTRIES: u64 = 530;

fn options(disk: &SimDisk) -> Options {
    Options::new()
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .data_file_bytes_max(16 << 10)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(1_750_000_000_000)))
}

fn open(disk: &SimDisk) -> Store {
    options(disk).open("/store").unwrap()
}

fn fill(store: &Store, entries: u64) {
    let old = store.keyspace(OLD).unwrap();
    let mut batch = store.batch();
    for n in 0..entries {
        batch.put(&old, n, &(n * n)).unwrap();
    }
    batch.commit_with(Durability::Immediate).unwrap();
}

/// Every tenth entry is dropped, the others change key and value.
fn new_entry(key: u64, value: u64) -> Option<(String, String)> {
    (key % 10 != 3).then(|| (format!("key {key:05}"), format!("<{value}>")))
}

fn migrate(store: &Store) -> kvcore::Result<bool> {
    store.migrate(OLD, NEW, |key, value| Ok(new_entry(key, value)))
}

fn expected(entries: u64) -> BTreeMap<String, String> {
    (0..entries).filter_map(|n| new_entry(n, n * n)).collect()
}

fn found(store: &Store) -> BTreeMap<String, String> {
    let new = store.keyspace(NEW).unwrap();
    let pairs = new.range(..).map(|entry| {
        let entry = entry.unwrap();
        let value = entry.value().unwrap();
        (entry.into_key(), value)
    });
    pairs.collect()
}

/// The old entries, or nothing if the keyspace is the new one.
fn found_old(store: &Store) -> Option<Vec<(u64, u64)>> {
    let old = store.keyspace(OLD).ok()?;
    let pairs = old.range(..).map(|entry| {
        let entry = entry.unwrap();
        (*entry.key(), entry.value().unwrap())
    });
    Some(pairs.collect())
}

fn old_entries(entries: u64) -> Vec<(u64, u64)> {
    (0..entries).map(|n| (n, n * n)).collect()
}

#[test]
fn migrated_keyspace_has_the_new_entries_and_only_those() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    fill(&store, ENTRIES);
    let before = store.keyspace(OLD).unwrap();
    let mut steps = Vec::new();
    let done = store.migrate_with_progress(
        OLD,
        NEW,
        |key, value| {
            assert_eq!(before.get(key)?, Some(value), "the old one can be read meanwhile");
            assert!(matches!(before.put(key, &1), Err(Error::KeyspaceGone { .. })));
            Ok(new_entry(key, value))
        },
        |progress| steps.push((progress.entries_done, progress.entries_total)),
    );
    assert!(done.unwrap());
    assert!(steps.len() >= 3 && steps.is_sorted(), "{steps:?}");
    assert_eq!(steps.last(), Some(&(ENTRIES, ENTRIES)));
    assert_eq!(found(&store), expected(ENTRIES));
    assert!(matches!(before.put(1, &1), Err(Error::KeyspaceGone { .. })));
    assert!(before.is_empty());
    assert_eq!(store.keyspace_names(), ["things"]);
    let stats = store.stats();
    assert_eq!((stats.keyspaces.len(), stats.keys), (1, ENTRIES - ENTRIES / 10));
    assert!(!migrate(&store).unwrap(), "it is done already");
    store.merge().unwrap();
    let live = store.stats().live_bytes;
    assert!(store.stats().dead_bytes < live / 10, "the old entries take space still");
    store.close().unwrap();
    let store = open(&disk);
    assert_eq!(found(&store), expected(ENTRIES));
    assert_eq!((store.keyspace_names(), store.stats().live_bytes), (vec!["things".into()], live));
}

#[test]
fn steps_are_taken_one_after_the_other_from_whatever_is_there() {
    const OLDEST: Schema<u64, u8> = Schema::new("things").version(0);
    let start = |store: &Store| -> kvcore::Result<u64> {
        store.migrate(OLDEST, OLD, |key, value| Ok(Some((key, u64::from(value)))))?;
        store.migrate(OLD, NEW, |key, value| Ok(new_entry(key, value)))?;
        Ok(store.keyspace(NEW)?.len())
    };
    let fresh = Store::in_memory().unwrap();
    assert_eq!(start(&fresh).unwrap(), 0);
    let oldest = Store::in_memory().unwrap();
    oldest.keyspace(OLDEST).unwrap().put(1, &7).unwrap();
    for _ in 0..2 {
        assert_eq!(start(&oldest).unwrap(), 1);
    }
    assert_eq!(oldest.keyspace(NEW).unwrap().get("key 00001").unwrap().as_deref(), Some("<7>"));
}

#[test]
fn options_and_expiries_go_with_the_entries() {
    let store = open(&SimDisk::new(1));
    let old = store.keyspace(OLD).unwrap();
    old.put_with(1, &1, Put::expires_in(Duration::from_secs(60))).unwrap();
    old.put(2, &2).unwrap();
    old.touch(2, Duration::from_secs(90)).unwrap();
    old.put_with(4, &4, Put::expires_in(Duration::ZERO)).unwrap();
    let (at, at_touched) = (old.expires_at(1).unwrap(), old.expires_at(2).unwrap());
    let unordered: Schema<String, str, Raw> = NEW.unordered().expired_by_owner();
    assert!(store.migrate(OLD, unordered, |k, v| Ok(new_entry(k, v))).unwrap());
    let new = store.keyspace(unordered).unwrap();
    assert_eq!(new.expires_at("key 00001").unwrap(), at);
    assert_eq!(new.expires_at("key 00002").unwrap(), at_touched);
    assert_eq!(new.len(), 2, "what had expired");
    assert!(matches!(new.count("a".."b"), Err(Error::Unordered { .. })));
}

#[test]
fn expired_entries_left_to_their_owner_are_migrated() {
    let store = open(&SimDisk::new(1));
    let old = OLD.expired_by_owner();
    let put = Put::expires_in(Duration::ZERO);
    store.keyspace(old).unwrap().put_with(1, &1, put).unwrap();
    let new = NEW.expired_by_owner();
    assert!(store.migrate(old, new, |k, v| Ok(new_entry(k, v))).unwrap());
    let new = store.keyspace(new).unwrap();
    assert_eq!((new.get("key 00001").unwrap(), new.expired(9).unwrap().len()), (None, 1));
}

#[test]
fn failing_half_way_leaves_the_old_keyspace_as_it_was() {
    let store = open(&SimDisk::new(1));
    fill(&store, ENTRIES);
    let mut calls = 0;
    let failed = store.migrate(OLD, NEW, |key, value| {
        calls += 1;
        if calls == 800 { Err(Error::abort("no")) } else { Ok(new_entry(key, value)) }
    });
    assert!(matches!(failed, Err(Error::Aborted(_))), "{failed:?}");
    let same = store.migrate(OLD, NEW, |_, _| Ok(Some(("same".to_owned(), String::new()))));
    assert!(matches!(same, Err(Error::Aborted(_))), "{same:?}");
    assert_eq!(found_old(&store), Some(old_entries(ENTRIES)));
    assert_eq!((store.keyspace_names(), store.stats().keys), (vec!["things".into()], ENTRIES));
    store.keyspace(OLD).unwrap().put(5, &25).unwrap();
    assert!(migrate(&store).unwrap());
    assert_eq!(found(&store), expected(ENTRIES));
}

#[test]
fn schemas_that_do_not_fit_are_refused() {
    let store = open(&SimDisk::new(1));
    fill(&store, 3);
    let bad = |result| matches!(result, Err(Error::BadOption { option: "schema", .. }));
    assert!(bad(store.migrate(OLD, OLD, |k, v| Ok(Some((k, v))))));
    let other: Schema<u64, u64> = Schema::new("others").version(2);
    assert!(bad(store.migrate(OLD, other, |k, v| Ok(Some((k, v))))));
    let hidden = store.keyspace(Schema::<u64, u64>::new("\0migration of things"));
    assert!(matches!(hidden, Err(Error::BadOption { option: "name", .. })));
    assert_eq!(found_old(&store), Some(old_entries(3)));
}

/// Migrates until `f` has been called this often, and ends there as a dying process does.
fn migrate_partly(store: &Store, calls_max: usize) {
    let mut calls = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        store.migrate(OLD, NEW, |key, value| {
            calls += 1;
            assert!(calls <= calls_max, "far enough");
            Ok(new_entry(key, value))
        })
    }));
    assert!(result.is_err(), "it was to be interrupted");
}

fn count_calls(store: &Store) -> u64 {
    let mut calls = 0;
    let done = store.migrate(OLD, NEW, |key, value| {
        calls += 1;
        Ok(new_entry(key, value))
    });
    assert!(done.unwrap());
    calls
}

#[test]
fn interrupted_migration_goes_on_where_it_was() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    fill(&store, ENTRIES);
    migrate_partly(&store, 1_000);
    assert_eq!(found_old(&store), Some(old_entries(ENTRIES)));
    let killed = disk.process_crash_image();
    let again = open(&killed);
    assert_eq!(found_old(&again), Some(old_entries(ENTRIES)));
    assert_eq!(again.keyspace_names(), ["things"]);
    let calls = count_calls(&again);
    assert!(calls <= ENTRIES - 500, "{calls} calls, a batch was done already");
    assert_eq!(found(&again), expected(ENTRIES));
    // In the same process it is no different.
    assert_eq!(count_calls(&store), calls);
    assert_eq!(found(&store), expected(ENTRIES));
}

#[test]
fn interrupted_migration_starts_again_if_the_old_keyspace_has_changed() {
    type Change = fn(&Keyspace<u64, u64>);
    let changes: [Change; 4] = [
        |old| assert!(old.put(5, &7).is_ok()),
        |old| assert!(old.delete(5).unwrap()),
        |old| assert!(old.delete(5).unwrap() && old.put(5, &25).is_ok()),
        |old| assert!(old.touch(5, Duration::from_secs(1_000)).unwrap()),
    ];
    for change in changes {
        let disk = SimDisk::new(1);
        let store = open(&disk);
        fill(&store, ENTRIES);
        migrate_partly(&store, 1_000);
        change(&store.keyspace(OLD).unwrap());
        let wanted = found_old(&store).unwrap();
        store.close().unwrap();
        let store = open(&disk);
        assert_eq!(count_calls(&store), wanted.len() as u64);
        let wanted: BTreeMap<_, _> = wanted.iter().filter_map(|e| new_entry(e.0, e.1)).collect();
        assert_eq!(found(&store), wanted);
    }
}

/// What a cut or a fault may leave: all of the old, or all of the new; and it can be finished.
fn check_left(disk: &SimDisk, how: &str) {
    let options = options(disk).open("/store");
    let store =
        options.unwrap_or_else(|e| panic!("{how}: does not open: {e}\n{}", disk.describe()));
    match found_old(&store) {
        Some(old) => assert!(old == old_entries(SWEPT_ENTRIES), "{how}: {} old entries", old.len()),
        None => assert!(found(&store) == expected(SWEPT_ENTRIES), "{how}: not all of the new ones"),
    }
    migrate(&store).unwrap_or_else(|e| panic!("{how}: cannot be finished: {e}"));
    assert!(
        found(&store) == expected(SWEPT_ENTRIES),
        "{how}: finished, and not all of the new ones"
    );
    assert_eq!(store.keyspace_names(), ["things"], "{how}");
    store.merge().unwrap();
    assert!(found(&store) == expected(SWEPT_ENTRIES), "{how}: merged");
}

/// A disk with the old keyspace, as its process left it, and how many operations migrating takes.
fn start() -> (SimDisk, u64) {
    let disk = SimDisk::new(7);
    let store = open(&disk);
    fill(&store, SWEPT_ENTRIES);
    drop(store);
    let copy = disk.process_crash_image();
    let store = open(&copy);
    let before = copy.operations();
    migrate(&store).unwrap();
    (disk, copy.operations() - before)
}

#[test]
fn power_cut_at_any_operation_leaves_the_old_or_the_new_keyspace() {
    let (start, operations) = start();
    assert!(operations > 15, "{operations} operations");
    let mut images = 0;
    for at in 0..operations {
        let disk = start.process_crash_image();
        let store = open(&disk);
        disk.fail(disk.operations() + at, Fault::Crash, Repeat::Once);
        let result = migrate(&store);
        drop(store);
        assert!(result.is_err() || disk.crashed(), "operation {at} did not come");
        for (image, disk) in disk.crash_images(2, at) {
            check_left(&disk, &format!("power cut at {at}, {image}"));
            images += 1;
        }
        check_left(&disk.process_crash_image(), &format!("killed at {at}"));
    }
    assert!(images >= operations, "{images} images");
}

#[test]
fn failing_call_at_any_operation_leaves_the_old_or_the_new_keyspace() {
    let (start, operations) = start();
    for at in 0..operations {
        for (fault, repeat) in [(Fault::EIO, Repeat::Once), (Fault::ENOSPC, Repeat::Forever)] {
            let disk = start.process_crash_image();
            let store = open(&disk);
            disk.fail(disk.operations() + at, fault, repeat);
            let _ = migrate(&store);
            drop(store);
            assert!(disk.faults_fired() > 0, "{fault:?} at {at} did not strike");
            disk.clear_faults();
            check_left(&disk, &format!("{fault:?} {repeat:?} at {at}"));
        }
    }
}

#[test]
fn dropped_keyspace_is_gone_with_its_space_and_its_name_is_free() {
    let disk = SimDisk::new(1);
    let store = open(&disk);
    fill(&store, ENTRIES);
    let kept: Keyspace<u64, u64> = store.keyspace("kept").unwrap();
    kept.put(1, &1).unwrap();
    let old = store.keyspace(OLD).unwrap();
    let view = old.range(..);
    migrate_partly(&store, 1_000);
    assert!(store.drop_keyspace("things").unwrap());
    assert_eq!((store.keyspace_names(), store.stats().keys), (vec!["kept".to_owned()], 1));
    let sum: u64 = view.map(|e| e.unwrap().value().unwrap()).sum();
    assert_eq!(sum, (0..ENTRIES).map(|n| n * n).sum::<u64>(), "what a view sees");
    assert!(matches!(old.put(1, &1), Err(Error::KeyspaceGone { .. })));
    assert_eq!((old.get(1).unwrap(), old.len()), (None, 0));
    store.merge().unwrap();
    let bytes: u64 = store.stats().files.iter().map(|f| f.bytes).sum();
    assert!(bytes < 1_000, "{bytes} bytes are left");
    store.keyspace(NEW).unwrap().put("a", "b").unwrap();
    store.close().unwrap();
    let store = open(&disk);
    assert_eq!(store.keyspace_names(), ["kept", "things"]);
    assert_eq!((store.keyspace(NEW).unwrap().len(), store.stats().keys), (1, 2));
    assert!(!store.drop_keyspace("nothing").unwrap());
}

#[test]
fn power_cut_in_a_drop_leaves_all_nothing_or_no_keyspace_and_what_came_before() {
    let (start, _) = start();
    for at in 0.. {
        let disk = start.process_crash_image();
        let store = open(&disk);
        let other: Keyspace<u64, u64> = store.keyspace("other").unwrap();
        other.put(1, &1).unwrap();
        disk.fail(disk.operations() + at, Fault::Crash, Repeat::Once);
        let dropped = store.drop_keyspace("things");
        if !disk.crashed() {
            assert!(dropped.unwrap() && at > 3, "{at} operations");
            break;
        }
        for (image, disk) in disk.crash_images(4, at) {
            let store = open(&disk);
            let is_there = store.keyspace_names().contains(&"things".to_owned());
            let keys = if is_there { found_old(&store).unwrap().len() as u64 } else { 0 };
            assert!(keys == 0 || keys == SWEPT_ENTRIES, "cut at {at}, {image}: {keys} keys");
            let other: Keyspace<u64, u64> = store.keyspace("other").unwrap();
            assert!(keys > 0 || other.len() == 1, "cut at {at}, {image}: a hole in the history");
        }
    }
}

#[test]
fn migration_beside_threads_that_read_merge_and_write_elsewhere() {
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(64 << 10);
    let store = options.open_temporary().unwrap();
    fill(&store, 8_000);
    let old = store.keyspace(OLD).unwrap();
    let other: Keyspace<u64, u64> = store.keyspace("other").unwrap();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    let go_on = || !is_done.load(std::sync::atomic::Ordering::Acquire);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while go_on() {
                other.put(n % 100, &n).unwrap();
                n += 1;
            }
        });
        scope.spawn(|| {
            while go_on() {
                store.merge().unwrap();
            }
        });
        scope.spawn(|| {
            let mut rng = fastrand::Rng::with_seed(5);
            while go_on() {
                let n = rng.u64(..8_000);
                assert!(old.get(n).unwrap().is_none_or(|value| value == n * n), "seed 5");
            }
        });
        let migrated = migrate(&store);
        is_done.store(true, std::sync::atomic::Ordering::Release);
        assert!(migrated.unwrap());
    });
    assert!(found(&store) == expected(8_000));
    assert_eq!(old.get(1).unwrap(), None);
}
