//! Which files have hints, and when: they are a cache, so all that is at stake is how long an open
//! takes, and what they take on disk.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Options, ReadMode, Store,
    disk::{Disk, SimDisk},
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

const KEYS: u32 = 200;
const DIR: &str = "/store";

/// Files of a few records each, and nothing happens by itself but in `maintain`.
fn open(disk: &SimDisk, auto_merge: AutoMerge) -> (Store, BytesKeyspace) {
    let store = Options::new()
        .data_file_bytes_max(4 << 10)
        .background(Background::Manual)
        .auto_merge(auto_merge)
        .durability(Durability::Buffered)
        .read_mode(ReadMode::Pread)
        .disk(Arc::new(disk.clone()))
        .open(Path::new(DIR))
        .unwrap();
    let keyspace = store.keyspace("k").unwrap();
    (store, keyspace)
}

fn put(keyspace: &BytesKeyspace, key: u32, round: u8) {
    keyspace.put(&key.to_be_bytes(), &[round; 300]).unwrap();
}

/// The numbers of the files with this extension, ascending.
fn numbers(disk: &SimDisk, extension: &str) -> Vec<u64> {
    let names = disk.list(Path::new(DIR)).unwrap();
    let names = names.into_iter().map(|entry| entry.name.into_string().unwrap());
    let mut numbers: Vec<u64> = names
        .filter_map(|name| name.strip_suffix(extension)?.strip_suffix('.')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn hints_that_merge_gives_its_files_say_what_the_files_do() {
    let disk = SimDisk::new(1);
    let (store, keyspace) = open(&disk, AutoMerge::Off);
    for round in 1..4 {
        (0..KEYS).filter(|n| round == 1 || n % 3 == 0).for_each(|n| put(&keyspace, n, round));
    }
    (0..KEYS).step_by(7).for_each(|n| assert!(keyspace.delete(&n.to_be_bytes()).unwrap()));
    let at = SystemTime::now() + Duration::from_hours(1);
    for n in (1..KEYS).step_by(7) {
        assert!(keyspace.expire(&n.to_be_bytes(), at).unwrap());
    }
    assert!(store.merge().unwrap().bytes > 0);
    let data = numbers(&disk, "data");
    assert!(data.len() > 10, "{data:?}");
    assert_eq!(numbers(&disk, "hint"), data, "the log is sealed, so every file has one");
    let report = store.verify().unwrap();
    assert!(report.is_sound(), "{report:?}");

    let killed = disk.process_crash_image();
    let (store, keyspace) = open(&killed, AutoMerge::Off);
    assert_eq!(store.recovery().files_scanned, 0, "{:?}", store.recovery());
    for n in 0..KEYS {
        let found = keyspace.get(&n.to_be_bytes()).unwrap().map(|value| value.to_vec());
        let wanted = (n % 7 != 0).then(|| vec![if n % 3 == 0 { 3 } else { 1 }; 300]);
        assert_eq!(found, wanted, "{n}");
    }
}

#[test]
fn file_that_merge_will_take_soon_gets_no_hint_before_the_close() {
    for (auto_merge, all_at_once) in [(AutoMerge::On, false), (AutoMerge::Off, true)] {
        let disk = SimDisk::new(1);
        let (store, keyspace) = open(&disk, auto_merge);
        (0..KEYS).for_each(|n| put(&keyspace, n, 1));
        // Too little for a merge, and whole files of it.
        (0..30).for_each(|round| put(&keyspace, 0, round));
        store.sync().unwrap();
        store.maintain().unwrap();
        assert_eq!(store.stats().merges, 0);
        let (data, hints) = (numbers(&disk, "data"), numbers(&disk, "hint"));
        let last = data.iter().rev().take(2);
        let sealed: Vec<u64> =
            data.iter().copied().filter(|n| !last.clone().any(|l| l == n)).collect();
        assert!(hints.len() > 10, "those that live on have hints: {hints:?} of {data:?}");
        let has_all = sealed.iter().all(|n| hints.contains(n));
        assert_eq!(has_all, all_at_once, "{auto_merge:?}: {hints:?} of {data:?}");
        store.close().unwrap();
        assert_eq!(numbers(&disk, "hint"), numbers(&disk, "data"));
        let (store, _) = open(&disk, auto_merge);
        assert_eq!(store.recovery().files_scanned, 0);
        assert_eq!(store.recovery().keys, u64::from(KEYS));
    }
}
