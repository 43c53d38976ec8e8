//! Calls with arguments that cannot work.

use kvcore::{
    BoxError, BytesKeyspace, Codec, Error, Keyspace, Options, Raw, Result, ScanCursor, Schema,
    Value, ValueRef, disk::SimDisk,
};

use super::{closed_store, holds, open, options};

const KEY_BYTES_MAX: usize = 65_536;

fn is_key_too_long<T>(result: Result<T>) -> bool {
    matches!(result, Err(Error::KeyTooLong { len_bytes: 65_537, max_bytes: 65_536 }))
}

#[test]
fn key_of_the_longest_length_works_and_one_byte_more_is_an_error() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    let longest = vec![7; KEY_BYTES_MAX];
    let longer = vec![7; KEY_BYTES_MAX + 1];
    bytes.put(&longest, b"v").unwrap();
    let blobs =
        || disk.paths().iter().filter(|p| p.extension().is_some_and(|e| e == "blob")).count();
    let blobs_before = blobs();
    assert!(is_key_too_long(bytes.put(&longer, b"v")));
    assert!(is_key_too_long(bytes.put(&longer, &[0; 2_000])));
    assert!(is_key_too_long(bytes.delete(&longer)));
    assert!(is_key_too_long(bytes.update(&longer, |_| Some(vec![1].into()))));
    assert!(is_key_too_long(bytes.get_or_insert_with(&longer, || vec![1].into())));
    assert!(is_key_too_long(bytes.compare_and_swap(&longer, None, Some(b"v"))));
    assert!(is_key_too_long(bytes.take(&longer)));
    assert!(is_key_too_long(bytes.persist(&longer)));
    let mut batch = store.batch();
    assert!(is_key_too_long(batch.put(&bytes, &longer, b"v")));
    assert!(is_key_too_long(batch.delete(&bytes, &longer)));
    assert!(batch.is_empty());
    batch.put(&bytes, b"still", b"good").unwrap();
    batch.commit().unwrap();
    // No key is that long, so looking for one finds nothing.
    assert_eq!(bytes.get(&longer).unwrap(), None);
    assert!(!bytes.contains(&longer).unwrap());
    assert_eq!(blobs(), blobs_before, "nothing is left behind");
    store.close().unwrap();
    let store = options(&disk).open("/store").unwrap();
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    assert_eq!(bytes.get(&longest).unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(bytes.get(b"still").unwrap().as_deref(), Some(&b"good"[..]));
}

/// Encodes a length as so many zeros, without touching the memory.
struct Zeros;

impl Codec<u64> for Zeros {
    type Owned = u64;
    const ID: &'static str = "zeros";

    fn encode(value: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        *out = vec![0; usize::try_from(*value)?];
        Ok(())
    }

    fn decode(bytes: ValueRef<'_>) -> Result<u64, BoxError> {
        Ok(bytes.len() as u64)
    }
}

#[cfg(target_pointer_width = "64")]
#[test]
fn value_of_four_gib_is_an_error() {
    const TOO_LONG: u64 = 1 << 32;
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let zeros: Keyspace<u64, u64, Zeros> = store.keyspace("zeros").unwrap();
    let is_too_long = |e: Error| {
        matches!(e, Error::ValueTooLong { len_bytes, max_bytes }
            if len_bytes == TOO_LONG && max_bytes == TOO_LONG - 1)
    };
    zeros.put(1, &10).unwrap();
    assert!(is_too_long(zeros.put(1, &TOO_LONG).unwrap_err()));
    assert!(is_too_long(store.batch().put(&zeros, 1, &TOO_LONG).unwrap_err()));
    assert!(is_too_long(zeros.update(1, |_| Some(TOO_LONG)).unwrap_err()));
    assert_eq!(zeros.get(1).unwrap(), Some(10));
}

/// Cannot encode what is odd, and not decode what is above 100.
struct Even;

impl Codec<u64> for Even {
    type Owned = u64;
    const ID: &'static str = "even";

    fn encode(value: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(&value.to_le_bytes());
        if value.is_multiple_of(2) { Ok(()) } else { Err(format!("{value} is odd").into()) }
    }

    fn decode(bytes: ValueRef<'_>) -> Result<u64, BoxError> {
        let value = u64::from_le_bytes((*bytes).try_into()?);
        if value <= 100 { Ok(value) } else { Err(format!("{value} is large").into()) }
    }
}

#[test]
fn codec_errors_are_the_calls_errors_and_change_nothing() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let even: Keyspace<u64, u64, Even> = store.keyspace("even").unwrap();
    // The first value of a keyspace is decoded again.
    assert!(matches!(even.put(0, &200), Err(Error::Encode { .. })));
    even.put(0, &2).unwrap();
    assert!(matches!(even.put(0, &3), Err(Error::Encode { .. })));
    assert!(matches!(even.update(0, |_| Some(5)), Err(Error::Encode { .. })));
    assert_eq!(even.get(0).unwrap(), Some(2));
    even.put(1, &200).unwrap();
    assert!(matches!(even.get(1), Err(Error::Decode { .. })));
    assert!(matches!(even.take(1), Err(Error::Decode { .. })));
    assert!(matches!(even.pop_last(), Err(Error::Decode { .. })));
    assert!(even.delete(1).unwrap(), "and it can be deleted");
    assert_eq!(even.iter().map(|e| e.unwrap().value().unwrap()).collect::<Vec<_>>(), [2]);
}

#[test]
fn other_key_type_codec_version_or_order_is_an_error() {
    let disk = closed_store(10);
    for turn in ["opened before", "reopened"] {
        let (store, numbers) = open(&disk).unwrap();
        let differs = |e: Error, property: &str| {
            let is_it = matches!(&e, Error::SchemaMismatch { what, .. } if *what == property);
            assert!(is_it, "{turn}: {e}");
            assert!(e.to_string().contains("numbers"), "{e}");
        };
        let other: Result<Keyspace<i64, String>> = store.keyspace("numbers");
        differs(other.unwrap_err(), "key type");
        let other: Result<Keyspace<u64, str, Raw>> = store.keyspace("numbers");
        differs(other.unwrap_err(), "codec");
        let schema = Schema::<u64, String>::new("numbers").version(1);
        differs(store.keyspace(schema).unwrap_err(), "schema version");
        let schema = Schema::<u64, String>::new("numbers").unordered();
        differs(store.keyspace(schema).unwrap_err(), "order");
        assert!(holds(&numbers, 10));
        drop(numbers);
        store.close().unwrap();
    }
}

#[test]
fn batch_with_a_keyspace_of_another_store_is_an_error_and_stays_usable() {
    let (store, numbers) = open(&SimDisk::new(1)).unwrap();
    let (_other, strange) = open(&SimDisk::new(2)).unwrap();
    let is_foreign = |e: Error| matches!(e, Error::ForeignKeyspace { .. });
    let mut batch = store.batch();
    batch.put(&numbers, 1, &"mine".into()).unwrap();
    assert!(is_foreign(batch.put(&strange, 1, &"not mine".into()).unwrap_err()));
    assert!(is_foreign(batch.delete(&strange, 1).unwrap_err()));
    assert!(is_foreign(batch.delete_range(&strange, ..).unwrap_err()));
    assert!(is_foreign(batch.clear(&strange).unwrap_err()));
    assert!(is_foreign(batch.persist(&strange, 1).unwrap_err()));
    assert_eq!(batch.len(), 1);
    batch.commit().unwrap();
    let result = store.commit_many(|round| {
        assert!(is_foreign(
            round.put(&strange, 2, &"x".into(), kvcore::Put::default()).unwrap_err()
        ));
        assert!(is_foreign(round.delete(&strange, 2).unwrap_err()));
        round.commit(strange.store().batch())
    });
    assert!(is_foreign(result.unwrap_err()));
    assert_eq!(numbers.get(1).unwrap().as_deref(), Some("mine"));
    assert!(strange.is_empty());
}

#[test]
fn writes_and_syncs_inside_a_closure_are_nested() {
    let (store, numbers) = open(&SimDisk::new(1)).unwrap();
    numbers.put(1, &"one".into()).unwrap();
    fn nested<T: std::fmt::Debug>(result: Result<T>) {
        assert!(matches!(result, Err(Error::Nested)), "{result:?}");
    }
    let value = String::from("inner");
    let inside = |old: Option<String>| {
        nested(numbers.put(2, &value));
        nested(numbers.delete(1));
        nested(numbers.delete_range(0..5));
        nested(numbers.clear());
        nested(numbers.update(1, |_| None));
        nested(numbers.get_or_insert_with(7, || value.clone()));
        nested(numbers.compare_and_swap(1, None, Some(&value)));
        nested(numbers.take(1));
        nested(numbers.pop_first());
        nested(numbers.persist(1));
        let mut batch = store.batch();
        batch.put(&numbers, 2, &value).unwrap();
        nested(batch.commit());
        nested(store.commit_many(|round| round.delete(&numbers, 1)));
        nested(store.merge());
        nested(store.sync());
        nested(store.maintain());
        nested(store.wait_durable(store.tip_sequence()));
        nested(store.clone().close());
        // Reading is fine.
        assert_eq!(numbers.get(1).unwrap(), old);
        assert_eq!(numbers.iter().count(), 1);
        assert_eq!(numbers.scan(ScanCursor::default(), 9).unwrap().0.len(), 1);
        assert_eq!(store.stats().keys, 1);
        Some("outer".to_owned())
    };
    assert_eq!(numbers.update(1, inside).unwrap().as_deref(), Some("outer"));
    assert_eq!(numbers.get(1).unwrap().as_deref(), Some("outer"));
    assert_eq!(numbers.len(), 1);
    numbers.put(2, &value).unwrap();
    store.sync().unwrap();
}

#[test]
fn options_that_cannot_work_are_errors_that_name_the_option() {
    let disk = SimDisk::new(1);
    let bad: [(&str, Options); 5] = [
        ("data_file_bytes_max", options(&disk).data_file_bytes_max(0)),
        ("data_file_bytes_max", options(&disk).data_file_bytes_max(u64::MAX)),
        ("merge_bytes_per_second", options(&disk).merge_bytes_per_second(0)),
        ("expire_per_tick_max", options(&disk).expire_per_tick_max(0)),
        (
            "durability",
            options(&disk).durability(kvcore::Durability::Interval(std::time::Duration::ZERO)),
        ),
    ];
    for (name, options) in bad {
        let error = options.open("/store").unwrap_err();
        assert!(matches!(&error, Error::BadOption { option, .. } if *option == name), "{error}");
    }
    assert!(disk.paths().is_empty());
}

#[test]
fn waiting_for_a_sequence_that_was_never_given_out_is_an_error() {
    let (store, numbers) = open(&SimDisk::new(1)).unwrap();
    let (other, more) = open(&SimDisk::new(2)).unwrap();
    numbers.put(1, &"one".into()).unwrap();
    more.put(1, &"one".into()).unwrap();
    let beyond = more.put(2, &"two".into()).unwrap();
    assert!(matches!(store.wait_durable(beyond), Err(Error::BadOption { .. })));
    other.wait_durable(beyond).unwrap();
    assert!(other.durable_sequence() >= beyond);
}

#[test]
fn every_handle_of_a_closed_store_says_so() {
    let (store, numbers) = open(&SimDisk::new(1)).unwrap();
    numbers.put(1, &"one".into()).unwrap();
    let mut open_before = numbers.iter();
    let batch = store.batch();
    store.clone().close().unwrap();
    let closed = |e: Option<Error>| assert!(matches!(e, Some(Error::Closed)), "{e:?}");
    closed(numbers.get(1).err());
    closed(numbers.put(1, &"x".into()).err());
    closed(numbers.delete(1).err());
    closed(numbers.first().err());
    closed(numbers.count(..).err());
    closed(numbers.pop_first().err());
    closed(numbers.expires_at(1).err());
    closed(open_before.next().and_then(Result::err));
    closed(numbers.iter().next().and_then(Result::err));
    closed(batch.commit().err());
    closed(store.sync().err());
    closed(store.merge().err());
    closed(store.maintain().err());
    closed(store.keyspace::<u64, u64, kvcore::Bincode>("new").err());
    store.close().unwrap();
}

#[test]
fn values_outlive_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let store = kvcore::Store::open(dir.path()).unwrap();
    let bytes: BytesKeyspace = store.keyspace("bytes").unwrap();
    bytes.put(b"k", &[5; 50_000]).unwrap();
    let value: Value = bytes.get(b"k").unwrap().unwrap();
    assert!(value.is_pinned());
    drop(bytes);
    store.close().unwrap();
    assert_eq!(&*value, &[5; 50_000]);
}
