//! What the sweeps and reading found, each bug by itself.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Error, Options, ReadMode, Result, Store,
    clock::SimClock,
    disk::{Disk, Fault, Repeat, SimDisk},
};
use std::{path::Path, sync::Arc};

const SEED: u64 = 20_260_911;

fn open(disk: &SimDisk) -> Result<(Store, BytesKeyspace)> {
    let store = Options::new()
        .data_file_bytes_max(256)
        .read_mode(ReadMode::Pread)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(1_750_000_000_000)))
        .open("/store")?;
    let keyspace = store.keyspace("k")?;
    Ok((store, keyspace))
}

/// The disk after the death of the process that has this store open.
fn killed(disk: &SimDisk, store: (Store, BytesKeyspace)) -> SimDisk {
    let left = disk.process_crash_image();
    disk.crash();
    drop(store);
    left
}

fn keys(keyspace: &BytesKeyspace) -> Vec<u8> {
    keyspace.iter().map(|e| e.expect("readable").key()[0]).collect()
}

fn put(keyspace: &BytesKeyspace, keys: impl IntoIterator<Item = u8>, len: usize) {
    for key in keys {
        keyspace.put([key].as_slice(), &vec![key; len]).expect("no fault is set");
    }
}

fn paths(disk: &SimDisk, extension: &str) -> Vec<std::path::PathBuf> {
    let is_wanted = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == extension);
    disk.paths().into_iter().filter(is_wanted).collect()
}

fn remove(disk: &SimDisk, path: &Path) {
    disk.unlink(path).expect("it is there");
    disk.sync_dir(Path::new("/store")).expect("no fault is set");
}

#[test]
fn log_file_missing_in_the_middle_ends_the_log_before_it() {
    let disk = SimDisk::new(SEED);
    let opened = open(&disk).unwrap();
    put(&opened.1, 0..9, 30);
    // Never synced, so nothing vouches for any of it: the cut may have taken any file.
    let disk = killed(&disk, opened).clean_image();
    let files = paths(&disk, "data");
    assert!(files.len() >= 4, "{files:?}");
    remove(&disk, &files[1]);
    let (store, keyspace) = open(&disk).unwrap();
    let found = keys(&keyspace);
    assert!(!found.is_empty() && found.len() < 4, "{found:?}");
    assert!(found.iter().copied().eq(0..found[found.len() - 1] + 1), "{found:?}");
    assert!(store.recovery().dropped_bytes > 0);
}

#[test]
fn file_begun_and_given_up_does_not_cut_the_log_behind_it() {
    let disk = SimDisk::new(SEED);
    let opened = open(&disk).unwrap();
    put(&opened.1, 0..2, 30);
    // Takes a number between those of two log files.
    put(&opened.1, 2..3, 300);
    put(&opened.1, 3..9, 30);
    opened.0.sync().unwrap();
    let disk = killed(&disk, opened).clean_image();
    let given_up = paths(&disk, "blob")[0].with_extension("data");
    disk.write_file(&given_up, &[0xA5; 77]).unwrap();
    let (_store, keyspace) = open(&disk).unwrap();
    assert_eq!(keys(&keyspace), (0..9).collect::<Vec<_>>());
}

#[test]
fn damage_below_a_clean_end_is_still_corruption_after_the_next_open() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(&disk).unwrap();
    put(&keyspace, 0..5, 30);
    store.close().unwrap();
    drop(keyspace);
    for hint in paths(&disk, "hint") {
        remove(&disk, &hint);
    }
    let before = paths(&disk, "data");
    let opened = open(&disk).unwrap();
    put(&opened.1, 5..6, 30);
    let disk = killed(&disk, opened).clean_image();
    let last = before.last().unwrap();
    disk.flip_bit(last, 150, 3).unwrap();
    assert!(matches!(open(&disk), Err(Error::Corrupt { .. })), "the closed part was durable");
}

#[test]
fn directory_of_a_new_store_is_synced_by_whoever_finds_it_there() {
    let disk = SimDisk::new(SEED);
    disk.fail(1, Fault::Crash, Repeat::Once);
    open(&disk).unwrap_err();
    let disk = disk.process_crash_image();
    assert!(disk.metadata(Path::new("/store")).is_ok(), "the first attempt came this far");
    let (_store, keyspace) = open(&disk).unwrap();
    keyspace.put_with([1].as_slice(), b"kept", Durability::Immediate).unwrap();
    for (how, image) in disk.crash_images(50, SEED) {
        let (_store, keyspace) = open(&image).unwrap();
        assert!(keyspace.contains([1].as_slice()).unwrap(), "seed {SEED}: {how}");
    }
}

/// A store with something to merge, and the numbers of the operations that the merge takes.
fn to_be_merged() -> (SimDisk, (Store, BytesKeyspace)) {
    let disk = SimDisk::new(SEED);
    let opened = open(&disk).expect("a new store");
    put(&opened.1, 0..6, 30);
    put(&opened.1, 0..3, 20);
    // Something is dead in the last log file, too: none is left when all are merged.
    put(&opened.1, [5, 5, 5, 5], 10);
    opened.0.sync().expect("no fault is set");
    (disk, opened)
}

#[test]
fn process_killed_in_a_merge_leaves_a_store_that_survives_reopening_and_then_a_power_cut() {
    let (disk, (store, keyspace)) = to_be_merged();
    let first = disk.operations();
    store.merge().unwrap();
    let last = disk.operations();
    drop((store, keyspace));
    let mut images = 0;
    for at in first..last {
        let (disk, opened) = to_be_merged();
        disk.fail(at, Fault::Crash, Repeat::Once);
        let _ = opened.0.merge();
        assert!(disk.crashed());
        let disk = disk.process_crash_image();
        let reopened = open(&disk).unwrap();
        assert_eq!(keys(&reopened.1), (0..6).collect::<Vec<_>>());
        for (how, image) in disk.crash_images(60, SEED) {
            let (_store, keyspace) =
                open(&image).unwrap_or_else(|e| panic!("killed at {at}, seed {SEED}, {how}: {e}"));
            assert_eq!(keys(&keyspace), (0..6).collect::<Vec<_>>());
            images += 1;
        }
    }
    assert!(images > 100, "{images}");
}

#[test]
fn p_merge_that_cannot_know_whether_it_was_published_keeps_its_outputs() {
    let (disk, (store, keyspace)) = to_be_merged();
    let first = disk.operations();
    store.merge().unwrap();
    let last = disk.operations();
    drop((store, keyspace));
    let mut poisoned = 0;
    for at in first..last {
        let (disk, opened) = to_be_merged();
        disk.fail(at, Fault::EIO, Repeat::Once);
        poisoned += u64::from(matches!(opened.0.merge(), Err(Error::Poisoned { .. })));
        let disk = killed(&disk, opened);
        let (_store, keyspace) = open(&disk).unwrap_or_else(|e| panic!("EIO at {at}: {e}"));
        assert_eq!(keys(&keyspace), (0..6).collect::<Vec<_>>());
    }
    assert!(poisoned > 0);
}

#[test]
fn s3_directory_sync_that_failed_for_a_blob_poisons_too() {
    let one_put = || {
        let disk = SimDisk::new(SEED);
        let opened = open(&disk).unwrap();
        put(&opened.1, 0..1, 30);
        (disk, opened)
    };
    let (disk, (_store, keyspace)) = one_put();
    let before = disk.operations();
    put(&keyspace, 9..10, 300);
    let is_sync =
        |at: &u64| disk.op_log().iter().any(|l| l.starts_with(&format!("#{at} sync_dir")));
    let at = (before..disk.operations()).find(is_sync).expect("a blob's name is synced");

    // The name of the log file is not durable yet either, and this sync was to cover it, too.
    let (disk, (_store, keyspace)) = one_put();
    disk.fail(at, Fault::EIO, Repeat::Once);
    keyspace.put([9].as_slice(), &[9; 300]).unwrap_err();
    let later = keyspace.put_with([2].as_slice(), b"x", Durability::Immediate);
    assert!(matches!(later, Err(Error::Poisoned { .. })), "{later:?}");
}
