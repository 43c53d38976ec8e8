//! When merging starts by itself: what it would copy is weighed against what it would give back.

use kvcore::{Background, BytesKeyspace, Durability, Options, Store};

const KEYS: u64 = 2_000;
const VALUE_LEN: usize = 400;

/// A store of small files that holds all keys once, and does nothing by itself.
fn loaded() -> (Store, BytesKeyspace) {
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(64 << 10)
        .background(Background::Manual)
        .in_memory()
        .open("/db")
        .unwrap();
    let keyspace: BytesKeyspace = store.keyspace("bytes").unwrap();
    overwrite(&keyspace, 0..KEYS);
    (store, keyspace)
}

fn overwrite(keyspace: &BytesKeyspace, keys: impl Iterator<Item = u64>) {
    for key in keys {
        keyspace.put(&key.to_be_bytes(), &[7; VALUE_LEN]).unwrap();
    }
}

/// So many merges when everything has been looked after once.
fn merges(store: &Store) -> u64 {
    store.sync().unwrap();
    store.maintain().unwrap();
    store.stats().merges
}

#[test]
fn merge_comes_early_where_some_files_are_mostly_dead() {
    let (store, keyspace) = loaded();
    // A third of what lives is dead, and it is the same few keys all over again.
    let puts = KEYS * 35 / 100;
    overwrite(&keyspace, (0..puts).map(|n| n % 100 * 20));
    assert!(merges(&store) > 0, "{:?}", store.stats());
}

#[test]
fn merge_waits_where_dead_bytes_lie_evenly_over_the_files() {
    let (store, keyspace) = loaded();
    // As many dead bytes, but every file has its third: two would be copied to give back one.
    overwrite(&keyspace, (0..KEYS).filter(|n| n % 20 < 7));
    assert_eq!(merges(&store), 0, "{:?}", store.stats());
    overwrite(&keyspace, (0..KEYS).filter(|n| (7..14).contains(&(n % 20))));
    assert!(merges(&store) > 0, "{:?}", store.stats());
}

/// A queue's key, in the order of the queue.
fn place(n: u64) -> [u8; 8] {
    n.to_be_bytes()
}

#[test]
fn queue_that_is_popped_gives_its_space_back_and_is_hardly_read_for_it() {
    // Overwritten keys lie beside it: their dead puts are older than all of its deletes.
    let (store, others) = loaded();
    overwrite(&others, (0..KEYS).filter(|n| n % 20 < 3));
    let queue: BytesKeyspace = store.keyspace("queue").unwrap();
    let length = 4 * KEYS;
    for n in 0..length {
        queue.put(&place(n), &[7; VALUE_LEN]).unwrap();
    }
    store.maintain().unwrap();
    let before = store.stats();
    for n in 0..length {
        assert!(queue.delete(&place(n)).unwrap());
        if n % 100 == 0 {
            store.sync().unwrap();
            store.maintain().unwrap();
        }
    }
    store.maintain().unwrap();
    let stats = store.stats();
    let pushed = length * VALUE_LEN as u64;
    assert!(stats.dead_bytes < stats.live_bytes / 2, "{stats:?}");
    assert!(stats.merge_reclaimed_bytes - before.merge_reclaimed_bytes > pushed);
    let read = stats.merge_read_bytes - before.merge_read_bytes;
    assert!(read < pushed / 4, "{read} bytes read to give {pushed} back: {stats:?}");
    assert_eq!((queue.len(), others.len()), (0, KEYS));
}
