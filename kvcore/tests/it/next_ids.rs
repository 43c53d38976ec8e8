//! Numbers are given out once, whatever becomes of the keyspace they are for.

use crate::verify::options;
use kvcore::{BytesKeyspace, Error, Keyspace, KeyspaceInfo, Put, Schema, Store, disk::SimDisk};
use std::{io::Read, time::Duration};

const OLD: Schema<u64, u64> = Schema::new("jobs").version(1);
const NEW: Schema<u64, String> = Schema::new("jobs").version(2);

fn migrate(store: &Store) -> kvcore::Result<bool> {
    store.migrate(OLD, NEW, |key, value| Ok(Some((key, value.to_string()))))
}

#[test]
fn migrated_keyspace_goes_on_with_the_numbers_of_the_old_one() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let jobs = store.keyspace(OLD).unwrap();
    for n in 1..=3 {
        assert_eq!(jobs.next_id().unwrap(), n);
        jobs.put(n, &n).unwrap();
    }
    assert!(migrate(&store).unwrap());
    assert!(matches!(jobs.next_id(), Err(Error::KeyspaceGone { .. })), "an old handle");
    let jobs = store.keyspace(NEW).unwrap();
    assert_eq!((jobs.last_id().unwrap(), jobs.next_id().unwrap()), (3, 4));
    store.close().unwrap();
    let store = options(&disk).open("/store").unwrap();
    assert_eq!(store.keyspace(NEW).unwrap().next_id().unwrap(), 5);
}

#[test]
fn number_taken_while_its_keyspace_is_migrated_is_refused() {
    let store = options(&SimDisk::new(1)).open("/store").unwrap();
    let jobs = store.keyspace(OLD).unwrap();
    jobs.put(1, &1).unwrap();
    assert_eq!(jobs.next_id().unwrap(), 1);
    let mut seen = Vec::new();
    let migrated = store.migrate(OLD, NEW, |key, value| {
        seen.push(jobs.next_id());
        seen.push(store.optimistic_transaction(|tx| tx.next_id(&jobs)));
        Ok(Some((key, value.to_string())))
    });
    assert!(migrated.unwrap());
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|s| matches!(s, Err(Error::KeyspaceGone { .. }))), "{seen:?}");
    assert_eq!(store.keyspace(NEW).unwrap().next_id().unwrap(), 2);
}

#[test]
fn failed_migration_leaves_the_numbers_as_they_were() {
    let store = options(&SimDisk::new(1)).open("/store").unwrap();
    let jobs = store.keyspace(OLD).unwrap();
    jobs.put(1, &1).unwrap();
    assert_eq!(jobs.next_id().unwrap(), 1);
    let failed = store.migrate(OLD, NEW, |_, _| Err(Error::abort("no")));
    assert!(matches!(failed, Err(Error::Aborted { .. })), "{failed:?}");
    assert_eq!(jobs.next_id().unwrap(), 2);
}

#[test]
fn salvaged_keyspaces_go_on_with_their_numbers() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let dropped: Keyspace<u64, u64> = store.keyspace("dropped").unwrap();
    assert_eq!(dropped.next_id().unwrap(), 1);
    let spaces: Vec<Keyspace<u64, u64>> =
        ["a", "b", "c"].iter().map(|name| store.keyspace(*name).unwrap()).collect();
    for (i, space) in (1..).zip(&spaces) {
        (1..=i * 10).for_each(|n| assert_eq!(space.next_id().unwrap(), n));
    }
    assert!(store.drop_keyspace("dropped").unwrap());
    store.close().unwrap();
    let salvaged = options(&disk).salvage("/store", "/new", |_| {}).unwrap();
    assert!(salvaged.lost.is_empty() && salvaged.keyspaces == 3, "{salvaged:?}");
    let store = options(&disk).open("/new").unwrap();
    for (i, name) in (1..).zip(["a", "b", "c"]) {
        let space: Keyspace<u64, u64> = store.keyspace(name).unwrap();
        assert_eq!(space.next_id().unwrap(), i * 10 + 1, "{name}");
    }
}

#[test]
fn skipped_numbers_are_not_given_out_and_numbers_never_go_back() {
    let store = Store::in_memory().unwrap();
    let jobs: Keyspace<u64, u64> = store.keyspace("jobs").unwrap();
    jobs.skip_ids(7).unwrap();
    assert_eq!(jobs.next_id().unwrap(), 8);
    jobs.skip_ids(3).unwrap();
    assert_eq!((jobs.next_id().unwrap(), jobs.last_id().unwrap()), (9, 9));
    jobs.skip_ids(u64::MAX).unwrap();
    assert!(matches!(jobs.next_id(), Err(Error::Exhausted { .. })));
}

#[test]
fn last_number_is_read_where_nothing_may_be_written() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let jobs: Keyspace<u64, u64> = store.keyspace("jobs").unwrap();
    store.sync().unwrap();
    let before = options(&disk).open_read_only("/store").unwrap();
    let seen: Keyspace<u64, u64> = before.keyspace("jobs").unwrap();
    assert_eq!(seen.last_id().unwrap(), 0, "none was ever given out in this store");
    assert_eq!(jobs.next_id().unwrap(), 1);
    store.close().unwrap();
    before.refresh().unwrap();
    assert_eq!(seen.last_id().unwrap(), 1);
    assert!(matches!(seen.next_id(), Err(Error::ReadOnly)));
}

#[test]
fn salvage_keeps_expired_entries_that_are_their_owners_to_remove() {
    const SESSIONS: Schema<u64, u64> = Schema::new("sessions").expired_by_owner();
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let sessions = store.keyspace(SESSIONS).unwrap();
    sessions.put_with(1, &10, Put::expires_in(Duration::ZERO)).unwrap();
    sessions.put(2, &20).unwrap();
    store.close().unwrap();
    let salvaged = options(&disk).salvage("/store", "/new", |_| {}).unwrap();
    assert!(salvaged.lost.is_empty() && salvaged.keys == 2, "{salvaged:?}");
    let store = options(&disk).open("/new").unwrap();
    let sessions = store.keyspace(SESSIONS).unwrap();
    let expired = sessions.expired(10).unwrap();
    assert_eq!(expired.iter().map(|e| *e.key()).collect::<Vec<_>>(), [1]);
    assert_eq!((sessions.get(1).unwrap(), sessions.get(2).unwrap()), (None, Some(20)));
}

#[test]
fn salvage_copies_large_values_piece_by_piece_and_lists_those_it_cannot_read() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let films: BytesKeyspace = store.keyspace("films").unwrap();
    for key in [b"a", b"b"] {
        films.put_reader(key, std::io::repeat(key[0]).take(300_000)).unwrap();
    }
    store.close().unwrap();
    let blob = disk.paths().into_iter().find(|p| p.extension().is_some_and(|e| e == "blob"));
    disk.flip_bit(&blob.unwrap(), 200_000, 0).unwrap();
    let salvaged = options(&disk).salvage("/store", "/new", |_| {}).unwrap();
    assert_eq!((salvaged.keys, salvaged.lost.len()), (1, 1), "{salvaged:?}");
    let store = options(&disk).open("/new").unwrap();
    let films: BytesKeyspace = store.keyspace("films").unwrap();
    assert_eq!(films.get(b"b").unwrap().unwrap().as_ref(), [b'b'; 300_000]);
    assert_eq!((films.get(b"a").unwrap(), store.stats().blobs), (None, 1));
}

#[test]
fn registered_description_is_the_one_asked_for() {
    let store = Store::in_memory().unwrap();
    let mut info = KeyspaceInfo::new("loose", "u64", "raw");
    (info.is_ordered, info.is_expired_by_owner, info.schema_version) = (false, true, 4);
    assert_eq!(store.register_raw_keyspace(&info).unwrap().info(), info);
    info.is_expired_by_owner = false;
    let other = store.register_raw_keyspace(&info).map(|_| ());
    assert!(matches!(other, Err(Error::SchemaMismatch { what: "expiry", .. })), "{other:?}");
}
