//! A read-only store beside a writer: writes nothing, serves what is durable, follows.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kvcore::{
    AutoMerge, Background, Durability, Error, Keyspace, Options, Result, Store,
    disk::{Disk, Fault, Repeat, SimDisk},
};

use crate::verify::options;

type Numbers = Keyspace<u64, String>;

fn open(disk: &SimDisk) -> (Store, Numbers) {
    let store = options(disk).open("/store").unwrap();
    let numbers = store.keyspace("numbers").unwrap();
    (store, numbers)
}

fn read(disk: &SimDisk) -> (Store, Numbers) {
    let store = options(disk).open_read_only("/store").unwrap();
    let numbers = store.keyspace("numbers").unwrap();
    (store, numbers)
}

fn all(numbers: &Numbers) -> Vec<(u64, String)> {
    let entry = |e: Result<kvcore::Entry<u64, String, _>>| {
        let e = e.unwrap();
        (*e.key(), e.value().unwrap())
    };
    numbers.iter().map(entry).collect()
}

/// Something durable, and something that tells so.
fn commit(store: &Store, numbers: &Numbers) {
    store.sync().unwrap();
    numbers.put(u64::MAX, &"tells of the sync".to_owned()).unwrap();
}

#[test]
fn a_read_only_store_writes_nothing_at_all() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    for n in 0..40 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    commit(&store, &numbers);
    let before = disk.operations();
    let (reader, seen) = read(&disk);
    assert_eq!(all(&seen).len(), 40);
    assert!(reader.is_read_only() && !store.is_read_only());
    let is_refused = |r: Result<()>| matches!(r, Err(Error::ReadOnly));
    assert!(is_refused(seen.put(1, &"x".to_owned()).map(drop)));
    assert!(is_refused(seen.put(1, &"x".repeat(1_000)).map(drop)), "a blob");
    assert!(is_refused(seen.delete(1).map(drop)));
    assert!(is_refused(seen.clear().map(drop)));
    assert!(is_refused(seen.update(1, |_| None).map(drop)));
    assert!(is_refused(reader.merge().map(drop)));
    assert!(is_refused(reader.maintain()));
    let mut batch = reader.batch();
    batch.put(&seen, 1, &"x".to_owned()).unwrap();
    assert!(is_refused(batch.commit().map(drop)));
    assert!(is_refused(reader.keyspace::<u64, String, kvcore::Bincode>("new").map(drop)));
    let wrong = reader.keyspace::<String, String, kvcore::Bincode>("numbers");
    assert!(matches!(wrong, Err(Error::SchemaMismatch { .. })));
    reader.sync().unwrap();
    reader.refresh().unwrap();
    reader.verify().unwrap();
    reader.close().unwrap();
    assert!(matches!(seen.get(1), Err(Error::Closed)));
    assert_eq!(disk.operations(), before);
}

#[test]
fn only_what_is_known_to_be_durable_is_served() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    numbers.put(1, &"durable".to_owned()).unwrap();
    store.sync().unwrap();
    numbers.put(2, &"tells of it, and is not itself".to_owned()).unwrap();
    let (reader, seen) = read(&disk);
    assert_eq!(all(&seen), [(1, "durable".to_owned())]);
    numbers.put(3, &"neither".to_owned()).unwrap();
    reader.refresh().unwrap();
    assert_eq!(all(&seen).len(), 1);
    commit(&store, &numbers);
    reader.refresh().unwrap();
    assert_eq!(all(&seen).len(), 3);
    store.close().unwrap();
    reader.refresh().unwrap();
    assert_eq!(all(&seen).len(), 4, "a close makes everything durable");
}

#[test]
fn refresh_follows_every_kind_of_change_over_rolls_and_merges() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    numbers.put(0, &"first".to_owned()).unwrap();
    commit(&store, &numbers);
    let (reader, seen) = read(&disk);
    let mut rng = fastrand_like(7);
    for round in 0..60_u64 {
        for _ in 0..rng() % 30 {
            let key = rng() % 50;
            match rng() % 8 {
                0 => drop(numbers.delete(key).unwrap()),
                1 => drop(numbers.delete_range(key..key + 5).unwrap()),
                2 => drop(numbers.put(key, &"large ".repeat(40)).unwrap()),
                3 => {
                    let mut batch = store.batch();
                    batch.put(&numbers, key, &format!("batched {round}")).unwrap();
                    batch.delete(&numbers, key + 1).unwrap();
                    batch.commit().unwrap();
                }
                _ => drop(numbers.put(key, &format!("{key} in {round}")).unwrap()),
            }
        }
        if rng().is_multiple_of(4) {
            store.merge().unwrap();
        }
        if rng().is_multiple_of(3) {
            store.maintain().unwrap();
        }
        let wanted = all(&numbers);
        store.sync().unwrap();
        numbers.put(u64::MAX, &"tells of the sync".to_owned()).unwrap();
        reader.refresh().unwrap();
        let got: Vec<_> = all(&seen).into_iter().filter(|(k, _)| *k != u64::MAX).collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|(k, _)| *k != u64::MAX).collect();
        assert_eq!(got, wanted, "round {round}");
        let (_, fresh) = read(&disk);
        let got: Vec<_> = all(&fresh).into_iter().filter(|(k, _)| *k != u64::MAX).collect();
        assert_eq!(got, wanted, "opened in round {round}");
        assert_eq!(seen.len(), u64::try_from(all(&seen).len()).unwrap());
    }
}

/// Numbers that look random.
fn fastrand_like(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    }
}

#[test]
fn new_keyspaces_come_and_iterators_keep_their_view() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    for n in 0..100 {
        numbers.put(n, &"old".to_owned()).unwrap();
    }
    commit(&store, &numbers);
    let (reader, seen) = read(&disk);
    let mut iter = seen.range(..1_000);
    let first = iter.next().unwrap().unwrap().value().unwrap();
    let more: Keyspace<String, u64> = store.keyspace("more").unwrap();
    more.put("a", &1).unwrap();
    for n in 0..100 {
        numbers.put(n, &"new".to_owned()).unwrap();
    }
    commit(&store, &numbers);
    assert!(reader.keyspace::<String, u64, kvcore::Bincode>("more").is_err());
    reader.refresh().unwrap();
    let more: Keyspace<String, u64> = reader.keyspace("more").unwrap();
    assert_eq!(more.get("a").unwrap(), Some(1));
    assert_eq!(seen.get(50).unwrap().as_deref(), Some("new"));
    let rest: Vec<String> = iter.map(|e| e.unwrap().value().unwrap()).collect();
    assert!(first == "old" && rest.len() == 99 && rest.iter().all(|v| v == "old"));
}

#[test]
fn a_recovery_of_the_writer_is_followed() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    for n in 0..20 {
        numbers.put(n, &"before".to_owned()).unwrap();
    }
    commit(&store, &numbers);
    let (reader, seen) = read(&disk);
    assert_eq!(seen.len(), 20);
    numbers.put(100, &"unsynced".to_owned()).unwrap();
    // A failed sync poisons the writer, which then ends without closing the log.
    disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    assert!(store.sync().is_err());
    drop((store, numbers));
    let (store, numbers) = open(&disk);
    let unsynced = numbers.get(100).unwrap();
    assert!(store.recovery().copied_bytes > 0, "{:?}", store.recovery());
    reader.refresh().unwrap();
    assert_eq!(seen.get(100).unwrap(), unsynced);
    numbers.put(101, &"after".to_owned()).unwrap();
    commit(&store, &numbers);
    reader.refresh().unwrap();
    assert_eq!(
        all(&seen).len(),
        all(&numbers).len() - usize::from(seen.get(u64::MAX).unwrap().is_none())
    );
    assert_eq!(seen.get(101).unwrap().as_deref(), Some("after"));
}

#[test]
fn damage_below_the_watermark_is_an_error_not_a_shorter_store() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    for n in 0..3 {
        numbers.put(n, &"value".to_owned()).unwrap();
    }
    commit(&store, &numbers);
    disk.flip_bit(Path::new("/store/000000000001.data"), 150, 2).unwrap();
    let error = options(&disk).open_read_only("/store").unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn there_must_be_a_store() {
    let disk = SimDisk::new(5);
    disk.create_dir(Path::new("/store")).unwrap();
    let error = options(&disk).open_read_only("/store").unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    let error = options(&disk).open_read_only("/nowhere").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(disk.paths().is_empty());
}

#[test]
fn verify_of_a_follower_does_not_miss_what_the_writer_has_removed() {
    let disk = SimDisk::new(5);
    let (store, numbers) = open(&disk);
    numbers.put(1, &"large ".repeat(60)).unwrap();
    commit(&store, &numbers);
    let (reader, seen) = read(&disk);
    numbers.put(1, &"other ".repeat(60)).unwrap();
    commit(&store, &numbers);
    store.maintain().unwrap();
    let gone = matches!(seen.get(1), Err(Error::Io { .. }));
    let verified = reader.verify().unwrap();
    assert!(gone && verified.is_sound(), "{verified:?}");
    assert!(seen.get(1).unwrap().unwrap().starts_with("other"));
}

const CHILD: &str = "KVCORE_FOLLOW_DIR";

/// Writes counters in pairs, rolls and merges, while `done` is not set.
fn write_pairs(dir: &Path, done: &AtomicBool) -> u64 {
    let options = Options::new().data_file_bytes_max(4_096).durability(Durability::Buffered);
    let store = options.auto_merge(AutoMerge::On).open(dir).unwrap();
    let pairs: Keyspace<String, u64> = store.keyspace("pairs").unwrap();
    let mut n = 0;
    while !done.load(Ordering::Relaxed) {
        n += 1;
        let mut batch = store.batch();
        for name in ["a", "b"] {
            batch.put(&pairs, name, &n).unwrap();
        }
        batch.put(&pairs, (n % 100).to_string(), &n).unwrap();
        batch.commit().unwrap();
        if n % 50 == 0 {
            store.sync().unwrap();
        }
        if n % 400 == 0 {
            store.merge().unwrap();
        }
    }
    store.close().unwrap();
    n
}

/// Follows until the counter has come far enough; every state seen must be one that was.
fn follow_pairs(dir: &Path, until: u64) -> u64 {
    let (mut highest, mut fresh) = (0, 0);
    let store = loop {
        match Options::new().background(Background::Manual).open_read_only(dir) {
            Ok(store) if store.keyspace_names() == ["pairs"] => break store,
            _ => std::thread::yield_now(),
        }
    };
    let pairs: Keyspace<String, u64> = store.keyspace("pairs").unwrap();
    while highest < until {
        store.refresh().unwrap();
        let (a, b) = (pairs.get("a").unwrap(), pairs.get("b").unwrap());
        assert_eq!(a, b, "a batch is seen whole");
        let now = a.unwrap_or(0);
        assert!(now >= highest, "{now} after {highest}");
        assert!(now < 100 || pairs.len() == 102, "{} keys at {now}", pairs.len());
        highest = now;
        fresh += 1;
        if fresh % 10 == 0 {
            let store = Options::new().open_read_only(dir).unwrap();
            let pairs: Keyspace<String, u64> = store.keyspace("pairs").unwrap();
            assert!(pairs.get("a").unwrap().unwrap_or(0) >= highest);
        }
    }
    highest
}

#[test]
fn a_follower_in_the_same_process_sees_whole_commits_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (dir, done) = (dir.path().to_owned(), Arc::clone(&done));
        move || write_pairs(&dir, &done)
    });
    let seen = std::panic::catch_unwind(|| follow_pairs(dir.path(), 3_000));
    done.store(true, Ordering::Relaxed);
    let written = writer.join().unwrap();
    assert!(seen.unwrap() <= written);
}

#[test]
fn child_process_that_follows() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    assert!(follow_pairs(&PathBuf::from(dir), 2_000) >= 2_000);
}

#[test]
fn a_follower_in_another_process_sees_whole_commits_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (dir, done) = (dir.path().to_owned(), Arc::clone(&done));
        move || write_pairs(&dir, &done)
    });
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "read_only::child_process_that_follows", "--nocapture"])
        .env(CHILD, dir.path())
        .output();
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let child = child.unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let errors = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success() && text.contains("1 passed"), "{text}{errors}");
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_will_do() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let numbers: Numbers = store.keyspace("numbers").unwrap();
    numbers.put(1, &"one".to_owned()).unwrap();
    store.close().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let opened = Options::new().open_read_only(dir.path());
    let value = opened.and_then(|store| {
        let numbers: Numbers = store.keyspace("numbers")?;
        store.refresh()?;
        numbers.get(1)
    });
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(value.unwrap().as_deref(), Some("one"));
}

#[test]
fn a_keyspace_that_was_migrated_or_dropped_and_made_again_is_followed() {
    const OLD: kvcore::Schema<u64, String> = kvcore::Schema::new("things").version(1);
    const NEW: kvcore::Schema<u64, u64> = kvcore::Schema::new("things").version(2);
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk);
    let things = store.keyspace(OLD).unwrap();
    things.put(1, &"11".to_owned()).unwrap();
    commit(&store, &numbers);
    let (follower, _) = read(&disk);
    let old = follower.keyspace(OLD).unwrap();
    assert_eq!(old.get(1).unwrap().as_deref(), Some("11"));
    let migrated = store.migrate(OLD, NEW, |key, text| Ok(Some((key, text.len() as u64))));
    assert!(migrated.unwrap());
    store.keyspace(NEW).unwrap().put(2, &22).unwrap();
    commit(&store, &numbers);
    follower.refresh().unwrap();
    let things = follower.keyspace(NEW).unwrap();
    assert_eq!((things.get(1).unwrap(), things.get(2).unwrap()), (Some(2), Some(22)));
    assert!(store.drop_keyspace("things").unwrap());
    commit(&store, &numbers);
    follower.refresh().unwrap();
    assert_eq!(follower.keyspace_names(), ["numbers"]);
    store.keyspace(OLD).unwrap().put(3, &"3".to_owned()).unwrap();
    commit(&store, &numbers);
    follower.refresh().unwrap();
    let things = follower.keyspace(OLD).unwrap();
    assert_eq!((things.len(), things.get(3).unwrap().as_deref()), (1, Some("3")));
}

#[test]
fn entries_of_keyspaces_made_while_a_follower_looks_are_not_passed_by() {
    const KEYSPACES: u64 = 150;
    let disk = SimDisk::new(3);
    let (store, numbers) = open(&disk);
    commit(&store, &numbers);
    let (follower, _) = read(&disk);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..KEYSPACES {
                let space: Keyspace<u64, u64> = store.keyspace(&format!("k{n:03}")).unwrap();
                space.put(n, &n).unwrap();
                store.sync().unwrap();
                numbers.put(n, &n.to_string()).unwrap();
            }
            commit(&store, &numbers);
        });
        // Of each keyspace the entry comes before the next keyspace.
        let check = |follower: &Store| {
            let names = follower.keyspace_names();
            let made = names.iter().filter(|name| name.starts_with('k'));
            for name in made.rev().skip(1) {
                let space: Keyspace<u64, u64> = follower.keyspace(name).unwrap();
                assert_eq!(space.len(), 1, "{name} of {}", names.len());
            }
        };
        while !writer.is_finished() {
            follower.refresh().unwrap();
            check(&follower);
            check(&read(&disk).0);
        }
        writer.join().unwrap();
        follower.refresh().unwrap();
        check(&follower);
        assert_eq!(follower.keyspace_names().len() as u64, KEYSPACES + 1);
    });
}
