//! Writes and syncs that fail: the store stops, says why, and reopening recovers.

use kvcore::{
    Durability, Error, Keyspace, Put, Result, Store,
    disk::{Fault, Repeat, SimDisk},
};

use super::{holds, open, options};

/// A store with ten synced entries and an open active file.
fn store_of_ten(disk: &SimDisk) -> (Store, Keyspace<u64, String>) {
    let (store, numbers) = open(disk).unwrap();
    for n in 0..10 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    store.sync().unwrap();
    (store, numbers)
}

fn is_poisoned<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::Poisoned { .. }))
}

/// Every kind of call answers with the first failure, and asks the disk for nothing more.
fn assert_poisoned(disk: &SimDisk, store: &Store, numbers: &Keyspace<u64, String>) {
    disk.clear_faults();
    let operations = disk.operations();
    let text = String::from("later");
    assert!(is_poisoned(numbers.put(1, &text)));
    assert!(is_poisoned(numbers.put_with(1, &text, Put::from(Durability::Immediate))));
    assert!(is_poisoned(numbers.put(1, &text.repeat(1_000))), "a blob");
    assert!(is_poisoned(numbers.delete(1)));
    assert!(is_poisoned(numbers.update(1, |_| None)));
    assert!(is_poisoned(numbers.delete_range(..)));
    assert!(is_poisoned(numbers.pop_first()));
    let mut batch = store.batch();
    batch.delete(numbers, 1).unwrap();
    assert!(is_poisoned(batch.commit()));
    assert!(is_poisoned(store.commit_many(|round| round.delete(numbers, 1))));
    assert!(is_poisoned(store.sync()));
    assert!(is_poisoned(store.merge()));
    assert!(is_poisoned(store.maintain()));
    assert!(is_poisoned(store.wait_durable(store.tip_sequence())));
    assert!(is_poisoned(store.keyspace::<u64, u64, kvcore::Bincode>("new")));
    // Memory may be ahead of the disk, so reads are not answered either.
    assert!(is_poisoned(numbers.get(1)));
    assert!(is_poisoned(numbers.contains(1)));
    assert!(is_poisoned(numbers.first()));
    assert!(is_poisoned(numbers.count(..)));
    assert!(is_poisoned(numbers.iter().next().expect("an error, not an end")));
    assert_eq!(disk.operations(), operations, "nothing is retried");
    assert!(is_poisoned(store.clone().close()));
    assert!(matches!(numbers.get(1), Err(Error::Closed | Error::Poisoned { .. })));
}

#[test]
fn e2_failed_write_into_reserved_space_poisons_every_later_call() {
    for fault in [Fault::EIO, Fault::TornWrite(5), Fault::TornWrite(40)] {
        let disk = SimDisk::new(1);
        let (store, numbers) = store_of_ten(&disk);
        disk.fail(disk.operations(), fault, Repeat::Once);
        let failed = numbers.put(10, &"lost".into());
        assert_eq!(disk.faults_fired(), 1);
        assert!(is_poisoned(failed), "{fault:?}");
        assert_poisoned(&disk, &store, &numbers);
        let (_store, numbers) = open(&disk.process_crash_image()).unwrap();
        assert!(holds(&numbers, 10), "{fault:?}");
    }
}

#[test]
fn short_writes_are_continued() {
    let disk = SimDisk::new(1);
    let (_store, numbers) = store_of_ten(&disk);
    disk.fail(disk.operations(), Fault::ShortWrite(3), Repeat::Once);
    numbers.put(10, &"value 10".into()).unwrap();
    assert_eq!(disk.faults_fired(), 1);
    assert!(holds(&numbers, 11));
    let (_store, numbers) = open(&disk.process_crash_image()).unwrap();
    assert!(holds(&numbers, 11));
}

#[test]
fn e2_s3_failed_sync_poisons_every_later_call_and_is_not_retried() {
    let disk = SimDisk::new(1);
    let (store, numbers) = store_of_ten(&disk);
    numbers.put(10, &"value 10".into()).unwrap();
    let durable = store.durable_sequence();
    disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    assert!(is_poisoned(store.sync()));
    assert_eq!(disk.faults_fired(), 1);
    assert_eq!(store.durable_sequence(), durable);
    assert_poisoned(&disk, &store, &numbers);
    // The killed process left its bytes to the system, which may still have them.
    let (_store, numbers) = open(&disk.process_crash_image()).unwrap();
    assert!(holds(&numbers, 11) || holds(&numbers, 10));
}

#[test]
fn e2_failed_sync_of_an_immediate_commit_poisons() {
    let disk = SimDisk::new(1);
    let (store, numbers) = store_of_ten(&disk);
    let before = disk.operations();
    numbers.put_with(10, &"value 10".into(), Put::from(Durability::Immediate)).unwrap();
    let taken = disk.operations() - before;
    disk.fail(disk.operations() + taken - 1, Fault::EIO, Repeat::Once);
    let failed = numbers.put_with(11, &"unsure".into(), Put::from(Durability::Immediate));
    assert_eq!(disk.faults_fired(), 1);
    assert!(is_poisoned(failed));
    assert_poisoned(&disk, &store, &numbers);
    let (_store, numbers) = open(&disk.process_crash_image()).unwrap();
    assert!(numbers.get(10).unwrap().is_some(), "it was durable before");
}

#[test]
fn iterator_of_a_poisoned_store_ends_with_the_error() {
    let disk = SimDisk::new(1);
    let (_store, numbers) = open(&disk).unwrap();
    for n in 0..1_000 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    let mut iter = numbers.iter();
    assert!(iter.next().is_some_and(|entry| entry.is_ok()));
    disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    assert!(numbers.put(1, &"x".into()).is_err());
    let rest: Vec<_> = iter.collect();
    assert!(rest.len() < 999 && rest.last().is_some_and(Result::is_err), "{}", rest.len());
    assert_eq!(rest.iter().filter(|entry| entry.is_err()).count(), 1);
}

#[test]
fn failed_creation_of_the_next_file_fails_that_commit_only() {
    let disk = SimDisk::new(1);
    let (store, numbers) = store_of_ten(&disk);
    let mut entries = 10;
    // Until the next commit rolls: a roll takes more than one operation.
    loop {
        let image = disk.process_crash_image();
        let before = image.operations();
        drop(image);
        disk.fail(before, Fault::Error(std::io::ErrorKind::PermissionDenied), Repeat::Forever);
        let rolled_before = store.stats().files.len();
        disk.clear_faults();
        let text = format!("value {entries}");
        let needed = 40 + text.len() as u64;
        let active = store.stats().files.last().unwrap().bytes;
        if active + needed > 4_000 {
            disk.fail(
                disk.operations(),
                Fault::Error(std::io::ErrorKind::PermissionDenied),
                Repeat::Once,
            );
            let failed = numbers.put(entries, &text);
            assert!(matches!(&failed, Err(Error::Io { .. })), "{failed:?}");
            assert_eq!(store.stats().files.len(), rolled_before);
            break;
        }
        numbers.put(entries, &text).unwrap();
        entries += 1;
    }
    assert_eq!(disk.faults_fired(), 1);
    assert!(holds(&numbers, entries));
    numbers.put(entries, &format!("value {entries}")).unwrap();
    assert!(holds(&numbers, entries + 1));
    store.close().unwrap();
    let (_store, numbers) = open(&disk).unwrap();
    assert!(holds(&numbers, entries + 1));
}

#[test]
fn failed_merge_changes_nothing() {
    for at in 0..80 {
        let disk = SimDisk::new(1);
        let (store, numbers) = open(&disk).unwrap();
        for n in (0..200).chain(50..150) {
            numbers.put(n, &format!("value {n}")).unwrap();
        }
        store.sync().unwrap();
        disk.fail(disk.operations() + at, Fault::ENOSPC, Repeat::Once);
        let merged = store.merge();
        if disk.faults_fired() == 0 {
            assert!(at > 5 && merged.is_ok());
            return;
        }
        match merged {
            Err(Error::Poisoned { .. }) => {}
            // A file that could not be removed is only clutter.
            Ok(_) | Err(Error::Io { .. }) => {
                assert!(holds(&numbers, 200), "operation {at}");
                store.merge().unwrap();
                assert_eq!(store.stats().dead_bytes, 0, "operation {at}");
                assert!(holds(&numbers, 200), "operation {at}");
            }
            Err(e) => panic!("operation {at}: {e}"),
        }
        drop((store, numbers));
        let (_store, numbers) = open(&disk.process_crash_image()).unwrap();
        assert!(holds(&numbers, 200), "operation {at}");
    }
    panic!("a merge takes fewer than eighty operations");
}

#[test]
fn unreadable_sector_is_an_error_of_that_read_only() {
    let disk = SimDisk::new(1);
    let (store, numbers) = store_of_ten(&disk);
    disk.fail_read(disk.read_operations(), Fault::EIO, Repeat::Once);
    let failed = numbers.get(3);
    assert!(matches!(&failed, Err(Error::Io { action: "read", .. })), "{failed:?}");
    assert!(holds(&numbers, 10));
    store.close().unwrap();
    assert!(options(&disk).open("/store").is_ok());
}
