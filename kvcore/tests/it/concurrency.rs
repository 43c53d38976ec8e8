//! Threads that write, read, iterate and merge at once, on small files of a real disk.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use kvcore::{Batch, BytesKeyspace, Durability, Keyspace, Options, ReadMode, Result, Store};

/// A store whose files roll and merge all the time.
fn open(dir: &Path, mode: ReadMode) -> Store {
    Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(4_096)
        .read_mode(mode)
        .open(dir)
        .unwrap()
}

/// Rounds per thread: more in optimised builds.
const ROUNDS: u64 = if cfg!(debug_assertions) { 300 } else { 3_000 };

#[test]
fn batch_is_seen_whole_or_not_at_all() {
    for mode in [ReadMode::Map, ReadMode::Pread] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), mode);
        let left: Keyspace<u64, u64> = store.keyspace("left").unwrap();
        let right: Keyspace<u64, u64> = store.keyspace("right").unwrap();
        let done = AtomicBool::new(false);
        let looks = AtomicU64::new(0);
        let write = |writer: u64| {
            for n in 0..ROUNDS {
                let mut batch: Batch = store.batch();
                let value = writer * ROUNDS + n;
                // Both ends of one keyspace, and another one.
                batch.put(&left, 0, &value).unwrap();
                batch.put(&left, 1_000, &value).unwrap();
                batch.put(&right, 5, &value).unwrap();
                if n % 3 == 0 {
                    batch.delete_range(&left, 1..1_000).unwrap();
                } else {
                    batch.put(&left, 1 + n % 900, &value).unwrap();
                }
                batch.commit().unwrap();
            }
        };
        let look = || {
            while !done.load(Ordering::Relaxed) {
                let seen: Vec<(u64, u64)> = left
                    .iter()
                    .map(|e| e.and_then(|e| Ok((*e.key(), e.value()?))))
                    .collect::<Result<_>>()
                    .unwrap();
                assert!(seen.is_sorted_by(|(a, _), (b, _)| a < b));
                if let (Some(first), Some(last)) = (seen.first(), seen.last()) {
                    assert_eq!((first.0, last.0), (0, 1_000));
                    assert_eq!(first.1, last.1, "two keys of one batch");
                }
                let ends: Vec<_> = [left.range(..=0).next(), left.range(1_000..).next_back()]
                    .into_iter()
                    .flatten()
                    .map(|e| e.unwrap().value().unwrap())
                    .collect();
                assert!(ends.is_empty() || ends.len() == 2 || seen.is_empty());
                looks.fetch_add(1, Ordering::Relaxed);
            }
        };
        let merge = || {
            while !done.load(Ordering::Relaxed) {
                store.merge().unwrap();
            }
        };
        thread::scope(|scope| {
            let writers: Vec<_> = (0..2).map(|w| scope.spawn(move || write(w))).collect();
            scope.spawn(look);
            scope.spawn(look);
            scope.spawn(merge);
            let joined: Vec<_> = writers.into_iter().map(|w| w.join()).collect();
            done.store(true, Ordering::Relaxed);
            assert!(joined.iter().all(|j| j.is_ok()));
        });
        assert!(looks.into_inner() > 0);
        assert_eq!(left.get(0).unwrap(), right.get(5).unwrap());
        assert_eq!(store.stats().undo_records, 0);
    }
}

#[test]
fn updates_of_many_threads_add_up() {
    const THREADS: u64 = 8;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), ReadMode::Map);
    let counters: Keyspace<u64, u64> = store.keyspace("counters").unwrap();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let counters = counters.clone();
            scope.spawn(move || {
                for n in 0..ROUNDS {
                    counters.update(n % 7, |old| Some(old.unwrap_or(0) + 1)).unwrap();
                    let mine = counters.get(100 + thread).unwrap();
                    let swap = counters.compare_and_swap(
                        100 + thread,
                        mine.as_ref(),
                        Some(&(mine.unwrap_or(0) + 1)),
                    );
                    assert_eq!(swap.unwrap(), kvcore::Swap::Swapped, "nobody else writes it");
                }
            });
        }
    });
    let sum: u64 = counters.range(0..7).map(|e| e.unwrap().value().unwrap()).sum();
    assert_eq!(sum, THREADS * ROUNDS);
    drop(counters);
    store.close().unwrap();
    let store = open(dir.path(), ReadMode::Map);
    let counters: Keyspace<u64, u64> = store.keyspace("counters").unwrap();
    let sum: u64 = counters.iter().map(|e| e.unwrap().value().unwrap()).sum();
    assert_eq!(sum, 2 * THREADS * ROUNDS);
}

/// Bytes of everything in the directory.
fn all_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    // Merge may remove a file between listing and looking.
    entries.filter_map(|entry| Some(entry.unwrap().metadata().ok()?.len())).sum()
}

/// Bytes of the data files of a store that was synced, as the directory has them.
fn data_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap();
    entries
        // Merge may remove a file between listing and looking.
        .filter_map(|entry| {
            let entry = entry.unwrap();
            let is_data = entry.path().extension().is_some_and(|e| e == "data");
            is_data.then(|| entry.metadata().map(|m| m.len()).ok()).flatten()
        })
        .sum()
}

#[test]
fn queue_hands_every_item_out_once_and_does_not_grow() {
    const PRODUCERS: u64 = 2;
    const CONSUMERS: usize = 3;
    let items = ROUNDS * 4;
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), ReadMode::Map);
    let queue: Keyspace<u64, Vec<u8>> = store.keyspace("queue").unwrap();
    let next = AtomicU64::new(0);
    let waiting = AtomicU64::new(0);
    let produced = AtomicU64::new(0);
    let seen = Mutex::new(HashSet::new());
    let bytes_max = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                loop {
                    // At most a hundred wait, so that what is live stays small.
                    if waiting.load(Ordering::Acquire) > 100 {
                        thread::yield_now();
                        continue;
                    }
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= items {
                        return;
                    }
                    waiting.fetch_add(1, Ordering::AcqRel);
                    queue.put(n, &vec![7; 100]).unwrap();
                    produced.fetch_add(1, Ordering::Release);
                    if n.is_multiple_of(256) {
                        store.sync().unwrap();
                        bytes_max.fetch_max(data_bytes(dir.path()), Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..CONSUMERS {
            scope.spawn(|| {
                loop {
                    let all_there = produced.load(Ordering::Acquire) == items;
                    match queue.pop_first().unwrap() {
                        Some((key, value)) => {
                            waiting.fetch_sub(1, Ordering::AcqRel);
                            assert_eq!(value.len(), 100);
                            assert!(seen.lock().unwrap().insert(key), "{key} came twice");
                        }
                        None if all_there => return,
                        None => thread::yield_now(),
                    }
                }
            });
        }
    });
    assert_eq!(seen.into_inner().unwrap().len() as u64, items);
    assert!(queue.is_empty());
    let (written, most) = (store.stats().appended_bytes, bytes_max.into_inner());
    println!("{items} items, {written} bytes appended, at most {most} bytes on disk");
    // A hundred items and the files being written; what passed through is many times that.
    let bound = 2 * 100 * 150 + 30 * 4_096;
    assert!(most < bound, "{most} bytes on disk, at most {bound} expected");
}

#[test]
fn immediate_commits_of_many_threads_are_durable_at_return() {
    const THREADS: u64 = 16;
    let commits = ROUNDS / 30;
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().open(dir.path()).unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let start = Barrier::new(16);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, numbers, start) = (&store, &numbers, &start);
            scope.spawn(move || {
                start.wait();
                for n in 0..commits {
                    let sequence = numbers.put(thread * commits + n, &n).unwrap();
                    assert!(store.durable_sequence() >= sequence);
                }
            });
        }
    });
    let syncs = store.stats().syncs;
    println!("{} commits, {syncs} syncs", THREADS * commits);
    assert!(syncs <= THREADS * commits, "commits share syncs");
    assert_eq!(numbers.len(), THREADS * commits);
    assert_eq!(store.durable_sequence(), store.tip_sequence());
}

/// Numbers below `n`, the small ones far more often: by rejection-free inversion of 1/x.
fn zipf(rng: &mut fastrand::Rng, n: f64) -> u64 {
    let at = n.powf(rng.f64());
    // Truncation is the point: a rank from 0.
    format!("{:.0}", at - 1.0).parse().expect("a small positive number")
}

#[test]
fn space_stays_within_twice_the_live_bytes_under_skewed_overwrites() {
    const KEYS: u64 = 2_000;
    const VALUE_LEN: usize = 400;
    let overwrites: u64 = if cfg!(debug_assertions) { 20_000 } else { 60_000 };
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(64 << 10)
        .open(dir.path())
        .unwrap();
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for n in 0..KEYS {
        bytes.put(&n.to_be_bytes(), &[0; VALUE_LEN]).unwrap();
    }
    let mut worst = (0, 0);
    for n in 0..overwrites {
        let key = zipf(&mut rng, KEYS as f64) % KEYS;
        if n % 2 == 0 {
            let value = [n.to_le_bytes()[0]; VALUE_LEN];
            bytes.put(&key.to_be_bytes(), &value).unwrap();
        } else {
            assert!(bytes.get(&key.to_be_bytes()).unwrap().is_some());
        }
        if n % 500 == 0 {
            let stats = store.stats();
            let used = all_bytes(dir.path());
            if used > worst.0 {
                worst = (used, stats.live_bytes);
            }
        }
    }
    let stats = store.stats();
    let (used, live) = worst;
    println!(
        "{} bytes appended, {} merges; at most {used} on disk with {live} live",
        stats.appended_bytes, stats.merges
    );
    assert!(stats.appended_bytes > 4 * live, "enough was written to tell");
    // The constant: the file being written, the one made ahead, and those being merged.
    assert!(used <= 2 * live + 8 * (64 << 10), "{used} bytes on disk with {live} live");
}

#[test]
fn close_waits_for_a_merge_and_later_merges_are_refused() {
    for _ in 0..ROUNDS / 30 {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), ReadMode::Map);
        let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
        for n in 0..300 {
            numbers.put(n % 100, &n).unwrap();
        }
        let start = Arc::new(Barrier::new(3));
        let merging = {
            let (store, start) = (store.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                store.merge().map(drop)
            })
        };
        let naming = {
            let (store, start) = (store.clone(), Arc::clone(&start));
            thread::spawn(move || {
                start.wait();
                store.keyspace::<u64, u64, kvcore::Bincode>("another").map(drop)
            })
        };
        start.wait();
        store.close().unwrap();
        // The directory is free from here on: nobody may write into it.
        let store = open(dir.path(), ReadMode::Map);
        for thread in [merging, naming] {
            let result = thread.join().unwrap();
            assert!(matches!(result, Ok(()) | Err(kvcore::Error::Closed)), "{result:?}");
        }
        let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
        assert!(numbers.iter().all(|e| e.is_ok_and(|e| e.value().unwrap() == 200 + e.key())));
        assert_eq!(numbers.len(), 100);
        store.close().unwrap();
        let store = open(dir.path(), ReadMode::Map);
        let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
        assert_eq!(numbers.len(), 100);
    }
}

#[test]
fn readers_of_blobs_never_meet_a_missing_file() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), ReadMode::Map);
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    let blob = |n: u64| vec![n.to_le_bytes()[0]; 2_000];
    for n in 0..4 {
        bytes.put(&[0, 1, 2, 3][n..=n], &blob(0)).unwrap();
    }
    let done = AtomicBool::new(false);
    let is_whole = |v: &[u8]| v.len() == 2_000 && v.iter().all(|b| *b == v[0]);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(is_whole(&bytes.get(&[1]).unwrap().unwrap()));
                for entry in bytes.iter() {
                    assert!(is_whole(&entry.unwrap().value().unwrap()));
                }
                let first = bytes.first().unwrap().unwrap();
                thread::yield_now();
                assert!(is_whole(&first.value().unwrap()), "an entry keeps its value");
                let nth = bytes.nth(2).unwrap().unwrap();
                thread::yield_now();
                assert!(is_whole(&nth.value().unwrap()), "an entry keeps its value");
                for entry in bytes.scan(kvcore::ScanCursor::default(), 10).unwrap().0 {
                    assert!(is_whole(&entry.value().unwrap()), "an entry keeps its value");
                }
            }
        });
        let writer = scope.spawn(|| {
            for n in 0..ROUNDS / 3 {
                bytes.put(&[n.to_le_bytes()[0] % 4], &blob(n)).unwrap();
                if n % 4 == 0 {
                    store.sync().unwrap();
                    store.maintain().unwrap();
                }
            }
        });
        let written = writer.join();
        done.store(true, Ordering::Relaxed);
        assert!(written.is_ok());
    });
    store.sync().unwrap();
    store.maintain().unwrap();
    assert_eq!(store.stats().blobs, 4);
}
