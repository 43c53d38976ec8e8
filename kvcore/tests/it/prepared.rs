//! Values that are written before a batch refers to them.

use std::path::Path;
use std::sync::Arc;

use kvcore::{BytesKeyspace, Durability, Error, Options, Put, Store, disk::Disk, disk::SimDisk};

const LARGE: usize = 30_000;

fn open(disk: &SimDisk) -> (Store, BytesKeyspace) {
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(64 << 10);
    let store = options.disk(Arc::new(disk.clone())).open("/store").unwrap();
    let films = store.keyspace("films").unwrap();
    (store, films)
}

fn blobs(disk: &SimDisk) -> usize {
    let entries = disk.list(Path::new("/store")).unwrap();
    entries.iter().filter(|e| e.name.to_string_lossy().ends_with(".blob")).count()
}

#[test]
fn prepared_values_are_put_by_a_batch_like_any_other() {
    let disk = SimDisk::new(1);
    let (store, films) = open(&disk);
    let (large, small) = (vec![7; LARGE], vec![8; 10]);
    let prepared = [films.prepare(&large).unwrap(), films.prepare(&small).unwrap()];
    assert_eq!((blobs(&disk), store.stats().blobs), (1, 0));
    let mut batch = store.batch();
    let [first, second] = prepared;
    batch.put_prepared(&films, b"large", first, Put::default()).unwrap();
    let day = std::time::Duration::from_secs(86_400);
    batch.put_prepared(&films, b"small", second, Put::expires_in(day)).unwrap();
    assert_eq!(films.len(), 0);
    batch.commit().unwrap();
    store.close().unwrap();
    let (store, films) = open(&disk);
    assert_eq!(films.get(b"large").unwrap().as_deref(), Some(&large[..]));
    assert_eq!(films.get(b"small").unwrap().as_deref(), Some(&small[..]));
    assert!(films.expires_at(b"small").unwrap().is_some());
    assert_eq!((blobs(&disk), store.stats().blobs), (1, 1));
}

#[test]
fn prepared_value_that_nobody_puts_leaves_no_file() {
    let disk = SimDisk::new(2);
    let (store, films) = open(&disk);
    let other: BytesKeyspace = store.keyspace("other").unwrap();
    let prepare = || films.prepare(&vec![7; LARGE]).unwrap();
    drop(prepare());
    assert_eq!(blobs(&disk), 0);
    let mut batch = store.batch();
    batch.put_prepared(&films, b"a", prepare(), Put::default()).unwrap();
    assert_eq!(blobs(&disk), 1);
    drop(batch);
    assert_eq!(blobs(&disk), 0);
    let mut batch = store.batch();
    let foreign = batch.put_prepared(&other, b"a", prepare(), Put::default());
    assert!(matches!(foreign, Err(Error::ForeignKeyspace { .. })), "{foreign:?}");
    let too_long = batch.put_prepared(&films, &[0; 70_000], prepare(), Put::default());
    assert!(matches!(too_long, Err(Error::KeyTooLong { .. })), "{too_long:?}");
    assert!(batch.is_empty());
    assert_eq!(blobs(&disk), 0);
    let left = prepare();
    store.close().unwrap();
    drop(left);
    let (_store, films) = open(&disk);
    assert_eq!((blobs(&disk), films.len()), (0, 0), "the next open removes it");
}

#[test]
fn prepared_value_of_a_closed_or_dropped_store_goes_nowhere() {
    let disk = SimDisk::new(3);
    let (store, films) = open(&disk);
    let (other_store, _other) = open(&SimDisk::new(4));
    let prepared = films.prepare(&vec![7; LARGE]).unwrap();
    let mut batch = other_store.batch();
    let foreign = batch.put_prepared(&films, b"a", prepared, Put::default());
    assert!(matches!(foreign, Err(Error::ForeignKeyspace { .. })), "{foreign:?}");
    store.close().unwrap();
    assert!(matches!(films.prepare(b"a"), Err(Error::Closed)));
}
