//! What users of other stores complain about most, replayed here: recipes from their reports.
//!
//! `docs/complaints.md` lists the reports, and the tests in other files that answer the rest.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Options, ReadMode, Store, disk::SimDisk,
};
use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

const KEYS: u32 = 200;

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

fn value(n: u32, round: u8) -> Vec<u8> {
    let mut value = vec![round; 300];
    value[..4].copy_from_slice(&key(n));
    value
}

fn fill(keyspace: &BytesKeyspace, keys: Range<u32>, round: u8) {
    for n in keys {
        keyspace.put(&key(n), &value(n, round)).unwrap();
    }
}

/// Files of a few records each, and nothing happens by itself.
fn small_files() -> Options {
    Options::new()
        .data_file_bytes_max(4 << 10)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
}

fn open(options: &Options, dir: &Path) -> (Store, BytesKeyspace) {
    let store = options.clone().open(dir).unwrap();
    let keyspace = store.keyspace("k").unwrap();
    (store, keyspace)
}

/// Closes, opens and merges by turns, and looks each time.
fn through_merges_and_reopening(
    options: &Options,
    dir: &Path,
    mut opened: (Store, BytesKeyspace),
    check: impl Fn(&BytesKeyspace),
) {
    for round in 0..6 {
        if round % 2 == 0 {
            opened.0.merge().unwrap();
            check(&opened.1);
        }
        opened.0.close().unwrap();
        opened = open(options, dir);
        check(&opened.1);
    }
}

#[test]
fn deleted_keys_stay_deleted_through_merges_and_reopening() {
    let (options, dir) = (small_files().in_memory(), Path::new("/store"));
    let (store, keyspace) = open(&options, dir);
    for round in 0..3 {
        fill(&keyspace, 0..KEYS, round);
        store.merge().unwrap(); // old values in files of several generations
    }
    for n in (0..KEYS).filter(|n| n % 2 == 0) {
        assert!(keyspace.delete(&key(n)).unwrap());
    }
    through_merges_and_reopening(&options, dir, (store, keyspace), |keyspace| {
        for n in 0..KEYS {
            let wanted = (n % 2 == 1).then(|| value(n, 2));
            let found = keyspace.get(&key(n)).unwrap().map(|v| v.to_vec());
            assert_eq!(found, wanted, "key {n}");
        }
        assert_eq!(keyspace.len(), u64::from(KEYS / 2));
    });
}

#[test]
fn cleared_keyspace_stays_empty_through_merges_and_reopening() {
    let (options, dir) = (small_files().in_memory(), Path::new("/store"));
    let (store, keyspace) = open(&options, dir);
    fill(&keyspace, 0..KEYS, 1);
    keyspace.clear().unwrap();
    keyspace.put(&key(7), b"after").unwrap();
    through_merges_and_reopening(&options, dir, (store, keyspace), |keyspace| {
        let all: Vec<_> = keyspace.iter().map(|e| e.unwrap().into_key()).collect();
        assert_eq!(all, [key(7)]);
    });
}

#[test]
fn range_delete_is_one_record_whatever_the_number() {
    let store = Store::in_memory().unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    let mut batch = store.batch();
    (0..10_000).for_each(|n| batch.put(&keyspace, &key(n), b"v").unwrap());
    batch.commit().unwrap();
    let before = store.stats().appended_bytes;
    keyspace.delete_range(&key(10)..&key(9_990)).unwrap();
    let appended = store.stats().appended_bytes - before;
    assert!(appended < 100, "{appended} bytes");
    assert_eq!(keyspace.len(), 20);
}

#[test]
fn keys_sizes_and_counts_read_no_file() {
    let disk = SimDisk::new(1);
    let options = small_files().read_mode(ReadMode::Pread).disk(Arc::new(disk.clone()));
    let (_store, keyspace) = open(&options, Path::new("/store"));
    fill(&keyspace, 0..KEYS, 1);
    let before = disk.read_operations();
    let bytes: u64 = keyspace.iter().map(|e| e.unwrap().size_bytes()).sum();
    assert_eq!(bytes, u64::from(KEYS) * 300);
    assert_eq!((keyspace.len(), keyspace.count(&key(100)..).unwrap()), (200, 100));
    assert_eq!(keyspace.rank(&key(50)).unwrap(), Some(50));
    assert!(keyspace.contains(&key(3)).unwrap());
    assert_eq!(disk.read_operations(), before);
    assert!(keyspace.get(&key(3)).unwrap().is_some());
    assert!(disk.read_operations() > before, "the count notices reads");
}

// ---- space and merge ----

#[test]
fn store_of_live_data_only_is_not_merged_for_ever() {
    let (_store, keyspace) = {
        let options = small_files().auto_merge(AutoMerge::On).data_file_bytes_max(64 << 10);
        open(&options.in_memory(), Path::new("/store"))
    };
    fill(&keyspace, 0..20 * KEYS, 1);
    let store = keyspace.store();
    (0..10).for_each(|_| store.maintain().unwrap());
    let settled = store.stats().merge_written_bytes;
    (0..50).for_each(|_| store.maintain().unwrap());
    assert_eq!(store.stats().merge_written_bytes, settled, "what is live was copied again");
}

#[test]
fn writers_go_on_while_a_merge_runs() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new()
        .data_file_bytes_max(4 << 20)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered);
    let (store, keyspace) = open(&options, dir.path());
    for round in 0..2 {
        // Every other one, so that each file has something to copy.
        for n in (0..40_000).filter(|n| round == 0 || n % 2 == 0) {
            keyspace.put(&key(n), &value(n, round)).unwrap();
        }
    }
    store.sync().unwrap();
    let is_done = AtomicBool::new(false);
    let puts = std::thread::scope(|scope| {
        let merging = scope.spawn(|| {
            let merged = store.merge();
            is_done.store(true, Ordering::SeqCst);
            merged.unwrap()
        });
        let mut puts = 0_u32;
        while !is_done.load(Ordering::SeqCst) {
            keyspace.put(&key(puts % 40_000), b"written meanwhile").unwrap();
            puts += 1;
        }
        assert!(merging.join().unwrap().bytes > 1 << 20);
        puts
    });
    assert!(puts > 50, "{puts} puts during the merge");
    let last = keyspace.get(&key((puts - 1) % 40_000)).unwrap();
    assert_eq!(last.as_deref(), Some(b"written meanwhile".as_slice()));
}

/// Names below `dir` that the process has open or mapped, removed ones included.
#[cfg(target_os = "linux")]
fn held_files(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    let open = links.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    let open = open.map(|path| path.to_string_lossy().into_owned());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().map(str::to_owned);
    open.chain(mapped).filter(|name| name.contains(dir)).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_merge_replaced_are_neither_open_nor_mapped_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keyspace) = open(&small_files(), dir.path());
    for round in 0..4 {
        fill(&keyspace, 0..KEYS, round);
    }
    assert!(keyspace.get(&key(0)).unwrap().is_some());
    let before = held_files(dir.path()).len();
    store.merge().unwrap();
    store.merge().unwrap();
    let held = held_files(dir.path());
    let removed: Vec<_> = held.iter().filter(|name| name.contains("(deleted)")).collect();
    assert!(removed.is_empty(), "{removed:?}");
    assert!(held.len() < before, "{} of {before} are left", held.len());
}

#[cfg(target_os = "linux")]
#[test]
fn few_files_are_open_whatever_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::Buffered);
    let (store, keyspace) = open(&options, dir.path());
    for round in 0..60 {
        fill(&keyspace, 0..10 * KEYS, round);
    }
    let written = store.stats().appended_bytes;
    assert!(written > 30 << 20, "{written} bytes");
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let is_ours = |path: &Path| path.starts_with(dir.path());
    let open = descriptors
        .filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok())
        .filter(|path| is_ours(path));
    let open = open.count();
    assert!(open < 32, "{open} descriptors");
}

// ---- opening ----

#[test]
fn every_file_but_the_last_is_opened_by_its_hint_after_a_clean_close_and_after_a_kill() {
    let disk = SimDisk::new(1);
    let on = |disk: &SimDisk| small_files().read_mode(ReadMode::Pread).disk(Arc::new(disk.clone()));
    let (store, keyspace) = open(&on(&disk), Path::new("/store"));
    fill(&keyspace, 0..KEYS, 1);
    store.sync().unwrap();
    (0..4).for_each(|_| store.maintain().unwrap());
    let killed = disk.process_crash_image();
    store.close().unwrap();

    let (store, _) = open(&on(&disk), Path::new("/store"));
    let closed = store.recovery();
    assert_eq!((closed.files_scanned, closed.keys), (0, u64::from(KEYS)), "{closed:?}");
    assert!(closed.files_from_hints > 10, "{closed:?}");

    let (store, _) = open(&on(&killed), Path::new("/store"));
    let killed = store.recovery();
    assert!(killed.files_scanned <= 2 && killed.files_from_hints > 10, "{killed:?}");
    assert_eq!(killed.keys, u64::from(KEYS));
}

#[test]
fn progress_of_an_open_is_told_until_all_bytes_are_done() {
    let (options, dir) = (small_files().in_memory(), Path::new("/store"));
    let (store, keyspace) = open(&options, dir);
    fill(&keyspace, 0..KEYS, 1);
    store.close().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let telling = Arc::clone(&told);
    let options = options.on_recovery(move |p| telling.lock().unwrap().push(p));
    let (store, _) = open(&options, dir);
    assert_eq!(store.stats().keys, u64::from(KEYS));
    let told = told.lock().unwrap();
    let last = told.iter().max_by_key(|p| p.bytes_done).expect("told at least once");
    assert!(last.bytes_total > 0 && last.bytes_done == last.bytes_total, "{last:?}");
    assert!(told.iter().all(|p| p.bytes_done <= p.bytes_total && p.keys <= u64::from(KEYS)));
}

#[test]
fn what_a_lock_file_holds_is_of_no_account() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keyspace) = open(&small_files(), dir.path());
    keyspace.put(&key(1), b"v").unwrap();
    store.close().unwrap();
    for left in [&b""[..], b"99999", b"\0\0garbage"] {
        std::fs::write(dir.path().join("LOCK"), left).unwrap();
        let (store, keyspace) = open(&small_files(), dir.path());
        assert!(keyspace.contains(&key(1)).unwrap());
        store.close().unwrap();
    }
}
