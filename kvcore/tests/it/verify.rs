//! Looking at every byte: all damage is found, and nothing else is called damage.

use std::{path::Path, sync::Arc};

use kvcore::{
    Background, Durability, Keyspace, Options, Store, Verified,
    clock::SimClock,
    disk::{Disk, SimDisk},
};

use crate::corruption::sample::Sample;

pub(crate) fn options(disk: &SimDisk) -> Options {
    Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .data_file_bytes_max(400)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(1_750_000_000_000)))
}

pub(crate) fn verify(disk: &SimDisk) -> Verified {
    options(disk).verify("/store", |_| {}).expect("damage is no error")
}

fn names(verified: &Verified, path: &Path) -> bool {
    verified.damage.iter().any(|d| d.file == path)
}

#[test]
fn sound_stores_are_sound_closed_and_killed() {
    for sample in [Sample::closed(), Sample::unclean(), Sample::unclean_synced()] {
        let before = sample.disk.operations();
        let verified = verify(&sample.disk);
        assert!(verified.is_sound(), "{:#?}", verified.damage);
        assert!(verified.files > 3 && verified.records > 20 && verified.bytes > 1_000);
        assert_eq!(sample.disk.operations(), before, "nothing is written");
    }
}

#[test]
fn a_store_that_was_killed_and_then_only_read_is_sound() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let keys: Keyspace<u64, u64> = store.keyspace("keys").unwrap();
    for n in 0..5 {
        keys.put_with(n, &n, Durability::Immediate).unwrap();
    }
    // The process is killed: nothing is closed, and what was written is there.
    let killed = disk.process_crash_image();
    for writes in [0, 1] {
        let disk = killed.clean_image();
        let store = options(&disk).open("/store").unwrap();
        let keys: Keyspace<u64, u64> = store.keyspace("keys").unwrap();
        assert_eq!(keys.len(), 5, "what was not told durable is copied and kept");
        for n in 0..writes {
            keys.put(n, &n).unwrap();
        }
        store.close().unwrap();
        let verified = verify(&disk);
        assert!(verified.is_sound(), "{writes} writes: {:#?}", verified.damage);
    }
}

/// A flipped byte is found, or nobody was promised it: opening gives the same as before.
fn flip_everything(sample: &Sample) {
    let (mut found, mut torn, mut unused) = (0, 0, 0);
    for path in sample.disk.paths() {
        let len = sample.disk.read_file(&path).unwrap().len();
        for byte in 0..len {
            let disk = sample.disk.clean_image();
            disk.flip_bit(&path, byte, byte.to_le_bytes()[0] % 8).unwrap();
            let verified = verify(&disk);
            let what = format!("{} byte {byte}: {verified:?}", path.display());
            if names(&verified, &path) {
                found += 1;
                continue;
            }
            assert!(verified.is_sound(), "damage is named in its own file: {what}");
            if verified.torn_tail.is_some() {
                torn += 1;
                continue;
            }
            unused += 1;
            let seen = sample.look(&disk).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(seen.errors.is_empty() && seen.cut_at.is_none(), "{what}: {seen:?}");
            assert_eq!(sample.state_like(&seen), Some(sample.states.len() - 1), "{what}");
        }
    }
    println!("{found} found, {torn} at the unsynced end, {unused} in unused bytes");
    assert!(found > 100);
}

#[test]
fn every_flipped_byte_of_a_closed_store_is_found_or_of_no_use() {
    flip_everything(&Sample::closed());
}

#[test]
fn every_flipped_byte_of_a_killed_store_is_found_or_of_no_use() {
    flip_everything(&Sample::unclean());
}

#[test]
fn missing_files_are_found_or_of_no_use() {
    for sample in [Sample::closed(), Sample::unclean_synced()] {
        for path in sample.disk.paths() {
            let disk = sample.disk.clean_image();
            disk.unlink(&path).unwrap();
            let verified = verify(&disk);
            if !names(&verified, &path) && verified.is_sound() {
                let opened = sample.look(&disk);
                let seen = opened.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(seen.errors.is_empty(), "{} is missing: {seen:?}", path.display());
            }
        }
    }
}

#[test]
fn all_damages_are_reported_not_only_the_first() {
    let sample = Sample::closed();
    let disk = sample.disk.clean_image();
    let is_data = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "data");
    let paths: Vec<_> = disk.paths().into_iter().filter(is_data).collect();
    assert!(paths.len() > 1);
    for path in &paths {
        disk.flip_bit(path, 140, 3).unwrap();
        disk.flip_bit(path, 20, 3).unwrap();
    }
    let verified = verify(&disk);
    for path in &paths {
        let of_path = verified.damage.iter().filter(|d| d.file == *path);
        assert!(of_path.count() >= 2, "{}: {verified:?}", path.display());
    }
}

#[test]
fn verify_of_an_open_store_reads_while_it_is_written_and_finds_damage() {
    let disk = SimDisk::new(3);
    let store: Store = options(&disk).open("/store").unwrap();
    let numbers: Keyspace<u64, String> = store.keyspace("numbers").unwrap();
    for n in 0..50 {
        numbers.put(n, &format!("{n} times {n}")).unwrap();
    }
    store.maintain().unwrap();
    let mut told = 0;
    let before = disk.operations();
    let verified = store.verify_with(|_| told += 1).unwrap();
    assert_eq!(disk.operations(), before, "nothing is written");
    assert!(verified.is_sound() && verified.records == 50 && told > 0, "{verified:?}");
    disk.flip_bit(Path::new("/store/000000000001.data"), 200, 1).unwrap();
    let verified = store.verify().unwrap();
    assert!(names(&verified, Path::new("/store/000000000001.data")), "{verified:?}");
}

#[test]
fn what_is_no_store_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = kvcore::verify(dir.path()).unwrap_err().to_string();
    assert!(error.contains("is not a store"), "{error}");
}
