//! A full disk: commits that need space fail, nothing else does, and freed space mends it.

use std::io::ErrorKind;

use kvcore::{Durability, Error, Keyspace, Put, Result, disk::SimDisk};

use super::{holds, open};

fn is_full<T: std::fmt::Debug>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Io { source, .. }) if source.kind() == ErrorKind::StorageFull)
}

/// Puts until the disk is full; returns how many there are.
fn fill(disk: &SimDisk, numbers: &Keyspace<u64, String>, spare_bytes: u64) -> u64 {
    disk.set_capacity_bytes(Some(disk.used_bytes() + spare_bytes));
    for n in 0.. {
        let put = numbers.put(n, &format!("value {n}"));
        if let Err(e) = &put {
            assert!(is_full(&put), "{e}");
            return n;
        }
    }
    unreachable!("the disk is finite")
}

#[test]
fn full_disk_is_an_error_of_the_commit_that_does_not_fit() {
    for spare_bytes in (0..30_000).step_by(1_777) {
        let disk = SimDisk::new(1);
        let (store, numbers) = open(&disk).unwrap();
        let entries = fill(&disk, &numbers, spare_bytes);
        assert!(holds(&numbers, entries), "{spare_bytes} bytes");
        assert!(is_full(&numbers.put(entries, &"large".repeat(1_000))), "a blob");
        assert!(holds(&numbers, entries));
        // Nothing but space is missing.
        disk.set_capacity_bytes(None);
        numbers.put(entries, &format!("value {entries}")).unwrap();
        store.sync().unwrap();
        store.merge().unwrap();
        assert!(holds(&numbers, entries + 1));
        drop(numbers);
        store.close().unwrap();
        let (_store, numbers) = open(&disk).unwrap();
        assert!(holds(&numbers, entries + 1), "{spare_bytes} bytes");
    }
}

#[test]
fn store_killed_on_a_full_disk_opens_with_everything_when_there_is_space() {
    for spare_bytes in (0..12_000).step_by(999) {
        let disk = SimDisk::new(1);
        let (store, numbers) = open(&disk).unwrap();
        let entries = fill(&disk, &numbers, spare_bytes);
        let image = disk.process_crash_image();
        drop((store, numbers));
        image.set_capacity_bytes(None);
        let (_store, numbers) = open(&image).unwrap();
        assert!(holds(&numbers, entries), "{spare_bytes} bytes");
    }
}

#[test]
fn store_killed_on_a_full_disk_is_refused_or_opens_whole_on_the_full_disk() {
    let mut refused = 0;
    for spare_bytes in (0..12_000).step_by(999) {
        let disk = SimDisk::new(1);
        let (store, numbers) = open(&disk).unwrap();
        let entries = fill(&disk, &numbers, spare_bytes);
        let image = disk.process_crash_image();
        drop((store, numbers));
        match open(&image) {
            Ok((_store, numbers)) => assert!(holds(&numbers, entries)),
            Err(e) => {
                assert!(is_full(&Err::<(), _>(e)));
                refused += 1;
            }
        }
        image.set_capacity_bytes(None);
        let (_store, numbers) = open(&image).unwrap();
        assert!(holds(&numbers, entries), "{spare_bytes} bytes");
    }
    assert!(refused > 0, "recovery copies, and that takes space");
}

#[test]
fn deletes_and_merge_free_a_disk_with_a_little_space_left() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk).unwrap();
    let entries = fill(&disk, &numbers, 40_000);
    // A little: what a few small files take.
    disk.set_capacity_bytes(Some(disk.used_bytes() + 16_000));
    for n in 10..entries {
        assert!(numbers.delete(n).unwrap(), "delete {n}");
        // Before the last byte is taken: a merge has a manifest to write.
        if n % 100 == 0 {
            store.merge().unwrap();
        }
    }
    store.merge().unwrap();
    assert!(holds(&numbers, 10));
    for n in 10..entries / 2 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    assert!(holds(&numbers, entries / 2));
}

#[test]
fn full_disk_fails_a_whole_batch() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk).unwrap();
    numbers.put(0, &"value 0".into()).unwrap();
    disk.set_capacity_bytes(Some(disk.used_bytes() + 500));
    let mut batch = store.batch();
    for n in 0..1_000 {
        batch.put(&numbers, n, &"too much".into()).unwrap();
    }
    let failed = batch.commit();
    assert!(is_full(&failed), "{failed:?}");
    assert!(holds(&numbers, 1));
    let put = Put::from(Durability::Immediate);
    numbers.put_with(1, &"value 1".into(), put).unwrap();
    assert!(holds(&numbers, 2), "what fits is taken");
}

#[test]
fn full_disk_at_close_is_reported_and_loses_nothing() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk).unwrap();
    for n in 0..100 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    disk.set_capacity_bytes(Some(disk.used_bytes()));
    drop(numbers);
    let closed = store.close();
    assert!(is_full(&closed), "{closed:?}");
    disk.set_capacity_bytes(None);
    let (_store, numbers) = open(&disk).unwrap();
    assert!(holds(&numbers, 100));
}
