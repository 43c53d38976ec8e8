//! Reads of many keys at once, and readers and writers that hold several locks beside each other.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use kvcore::{BytesKeyspace, Durability, Keyspace, Options, Put, Store};

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(4_096);
    let store = options.open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn get_many_gives_the_values_of_any_number_of_keys_in_their_order() {
    let (_dir, store) = open();
    let numbers: Keyspace<u64, String> = store.keyspace("numbers").unwrap();
    for n in 0..200 {
        // Every tenth is a blob.
        let len = if n % 10 == 0 { 2_000 } else { 10 };
        numbers.put(n, &format!("{n}").repeat(len)).unwrap();
    }
    numbers.put_with(7, &"gone".to_owned(), Put::expires_in(Duration::ZERO)).unwrap();
    numbers.delete_range(100..110).unwrap();
    for asked in [0_u64, 1, 31, 32, 33, 64, 65, 250] {
        // In no order, some twice, some missing.
        let keys: Vec<u64> = (0..asked).map(|n| n * 7 % 230).collect();
        let expected: Vec<_> = keys.iter().map(|n| numbers.get(n).unwrap()).collect();
        assert_eq!(numbers.get_many(&keys).unwrap(), expected, "{asked} keys");
    }
    assert_eq!(numbers.get_many([7_u64, 105]).unwrap(), [None, None]);
}

#[test]
fn value_with_lends_the_bytes_that_value_bytes_copies() {
    let (_dir, store) = open();
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    for (n, len) in [0_usize, 1, 150, 1_000, 3_000].into_iter().enumerate() {
        bytes.put(format!("{n}").as_bytes(), &vec![b'x'; len]).unwrap();
    }
    let mut seen = 0;
    for entry in bytes.iter() {
        let entry = entry.unwrap();
        let lent = entry.value_with(<[u8]>::to_vec).unwrap();
        assert_eq!(lent, *entry.value_bytes().unwrap());
        seen += 1;
    }
    assert_eq!(seen, 5);
    let own = store.transaction(|tx| {
        tx.put(&bytes, b"own", b"uncommitted")?;
        tx.range(&bytes, b"o"..)
            .map(|e| e?.value_with(<[u8]>::to_vec))
            .collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(own.unwrap(), [b"uncommitted"]);
}

/// Pages hold several shards, batches hold several shards and the order, merges hold one.
#[test]
fn x2_pages_batches_overwrites_and_merges_do_not_wait_for_each_other_for_ever() {
    const KEYS: u64 = 600;
    const ROUNDS: u64 = if cfg!(debug_assertions) { 150 } else { 1_500 };
    let (_dir, store) = open();
    let ordered: Keyspace<u64, u64> = store.keyspace("ordered").unwrap();
    for n in 0..KEYS {
        ordered.put(n, &0).unwrap();
    }
    let (done, pages) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for reader in 0..2_u64 {
            let (ordered, done, pages) = (&ordered, &done, &pages);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let front: Vec<u64> = ordered.iter().map(|e| *e.unwrap().key()).collect();
                    let many = ordered.get_many(0..40 + reader).unwrap();
                    assert!(front.is_sorted() && many.iter().all(Option::is_some));
                    assert!(front.len() as u64 >= KEYS, "{} keys", front.len());
                    pages.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..ROUNDS {
            ordered.put(round % KEYS, &round).unwrap();
            let mut batch = store.batch();
            for n in 0..8 {
                batch.put(&ordered, (round * 31 + n * 77) % KEYS, &round).unwrap();
            }
            batch.put(&ordered, KEYS + round % 5, &round).unwrap();
            batch.commit().unwrap();
            ordered.delete(KEYS + (round + 2) % 5).unwrap();
            if round % 25 == 0 {
                store.merge().unwrap();
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(pages.load(Ordering::Relaxed) > 0, "readers came to their turn");
}
