//! Stores in memory and temporary ones: the same store, and nothing left behind.

use kvcore::{Background, Durability, Error, Keyspace, Options, Store};

#[test]
fn store_in_memory_reads_merges_and_syncs_like_any_other() {
    let store = Store::in_memory().unwrap();
    let numbers: Keyspace<u64, String> = store.keyspace("numbers").unwrap();
    for round in 0..3 {
        store
            .commit_many(|commits| {
                for n in 0..1_000 {
                    commits.put(&numbers, n, &format!("{round}.{n}"), kvcore::Put::default())?;
                }
                Ok(())
            })
            .unwrap();
    }
    assert!(store.merge().unwrap().bytes > 0);
    assert_eq!(numbers.get(7).unwrap().as_deref(), Some("2.7"));
    assert_eq!(numbers.range(..).count(), 1_000);
    assert_eq!(store.durable_sequence(), store.tip_sequence());
    assert!(!store.dir().exists(), "{} is on no real disk", store.dir().display());
}

#[test]
fn stores_in_memory_share_a_disk_only_with_clones_of_their_options() {
    let options = Options::new().background(Background::Manual).in_memory();
    let store = options.clone().open("data").unwrap();
    let names: Keyspace<u64, String> = store.keyspace("names").unwrap();
    names.put(1, &"one".to_owned()).unwrap();
    assert!(matches!(options.clone().open("data"), Err(Error::Locked { .. })));
    drop(names);
    store.close().unwrap();
    let again = options.open("data").unwrap();
    assert_eq!(again.stats().keys, 1);
    assert_eq!(Store::in_memory().unwrap().stats().keys, 0);
}

#[test]
fn temporary_store_is_removed_when_its_last_handle_goes() {
    let store = Options::new().durability(Durability::Buffered).open_temporary().unwrap();
    let dir = store.dir().to_owned();
    let names: Keyspace<u64, Vec<u8>> = store.keyspace("names").unwrap();
    names.put(1, &vec![1; 100_000]).unwrap();
    drop(store);
    assert!(dir.exists(), "a keyspace keeps the store open");
    assert_eq!(names.get(1).unwrap().map(|v| v.len()), Some(100_000));
    drop(names);
    assert!(!dir.exists(), "{} is left", dir.display());
}

#[test]
fn temporary_stores_are_apart_and_close_removes_even_with_handles_left() {
    let (a, b) = (Store::temporary().unwrap(), Store::temporary().unwrap());
    assert_ne!(a.dir(), b.dir());
    let names: Keyspace<u64, u64> = a.keyspace("names").unwrap();
    let dir = a.dir().to_owned();
    a.close().unwrap();
    assert!(!dir.exists() && b.dir().exists());
    assert!(matches!(names.get(1), Err(Error::Closed)));
}
