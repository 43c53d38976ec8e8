//! Records: their bytes, and what is refused.

use proptest::prelude::*;

use super::*;

/// Any record, its bytes borrowed from `key` and `value`.
pub(in crate::log) fn any_record<'a>(
    kind: u8,
    numbers: (u32, u64, u64),
    expires: bool,
    key: &'a [u8],
    value: &'a [u8],
) -> Record<'a> {
    let (keyspace, a, b) = (KeyspaceId(numbers.0), numbers.1, numbers.2);
    let expires_at_ms = expires.then_some(a);
    let [low, high, _, _, _, _, _, _] = b.to_le_bytes();
    let bound = |kind: u8, key| match kind % 3 {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        _ => Bound::Excluded(key),
    };
    match kind % 6 {
        0 => {
            let form = if b % 2 == 0 { Form::Plain } else { Form::Compressed };
            Record::Put { keyspace, key, value, form, expires_at_ms }
        }
        1 => {
            let blob = FileId(numbers.0.max(1));
            let checksum = numbers.0 ^ 0x5555_5555;
            Record::BlobRef { keyspace, key, blob, len_bytes: b, checksum, expires_at_ms }
        }
        2 => Record::Tombstone { keyspace, key },
        3 => Record::RangeTombstone { keyspace, start: bound(low, key), end: bound(high, value) },
        4 => Record::ExpiryChange { keyspace, key, put_sequence: Sequence(b), expires_at_ms },
        _ => Record::Watermark { clock_ms: b },
    }
}

fn encoded(record: &Record<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

pub(in crate::log) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

proptest! {
    #[test]
    fn every_record_round_trips_and_has_the_length_foretold(
        kind: u8,
        numbers: (u32, u64, u64),
        expires: bool,
        key in prop::collection::vec(any::<u8>(), 0..300),
        value in prop::collection::vec(any::<u8>(), 0..300),
        after in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let record = any_record(kind, numbers, expires, &key, &value);
        let mut bytes = encoded(&record);
        let len = bytes.len();
        prop_assert_eq!(len, record.encoded_len());
        prop_assert_ne!(bytes[0], 0);
        bytes.extend_from_slice(&after);
        prop_assert_eq!(Record::decode(&bytes), Ok((record, len)));
        for cut in 0..len {
            prop_assert!(Record::decode(&bytes[..cut]).is_err(), "cut at {}", cut);
        }
    }

    #[test]
    fn r1_any_bytes_are_a_record_that_encodes_to_the_same_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        kind in 0_u8..8,
        flags in prop::sample::select(vec![0, EXPIRES, COMPRESSED, EXPIRES | COMPRESSED]),
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = kind | flags;
        }
        if let Ok((record, len)) = Record::decode(&bytes) {
            prop_assert_eq!(encoded(&record), &bytes[..len]);
        }
    }

    #[test]
    fn the_read_path_finds_what_decode_finds_and_only_for_the_key_asked(
        kind: u8,
        numbers in (prop_oneof![any::<u32>(), 0_u32..300], any::<u64>(), any::<u64>()),
        expires: bool,
        key in prop::collection::vec(any::<u8>(), 0..300),
        value in prop::collection::vec(any::<u8>(), 0..300),
        other in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let record = any_record(kind, numbers, expires, &key, &value);
        let bytes = encoded(&record);
        let keyspace = KeyspaceId(numbers.0);
        let found = decode_put_value(&bytes, keyspace, &key);
        let wanted = match record {
            Record::Put { value, form: Form::Plain, .. } => Ok(Found::Value(value)),
            Record::Put { value, form: Form::Compressed, .. } => Ok(Found::Compressed(value)),
            Record::BlobRef { blob, len_bytes, checksum, .. } => {
                Ok(Found::Blob { blob, len_bytes, checksum })
            }
            _ => Err(RecordError::Other),
        };
        prop_assert_eq!(found, wanted);
        let elsewhere = KeyspaceId(numbers.0 ^ 1);
        prop_assert_eq!(decode_put_value(&bytes, elsewhere, &key), Err(RecordError::Other));
        if other != key {
            prop_assert_eq!(decode_put_value(&bytes, keyspace, &other), Err(RecordError::Other));
        }
    }
}

#[test]
fn lengths_are_known_from_lengths_alone() {
    let (key, value) = (vec![7; 300], vec![8; 70_000]);
    for number in [0, 127, 128, u32::MAX] {
        for expires_at_ms in [None, Some(5)] {
            let keyspace = KeyspaceId(number);
            let form = Form::Plain;
            let put = Record::Put { keyspace, key: &key, value: &value, form, expires_at_ms };
            let len = put_len(keyspace, key.len(), value.len(), expires_at_ms);
            assert_eq!(encoded(&put).len(), len, "{number} {expires_at_ms:?}");
        }
    }
}

#[test]
fn golden_bytes_of_every_kind_never_change() {
    let keyspace = KeyspaceId(300);
    let (key, value) = (b"key".as_slice(), b"value".as_slice());
    let expires_at_ms = Some(0x0102_0304_0506_0708);
    let blob = FileId(9);
    let put_sequence = Sequence(77);
    let (start, end) = (Bound::Included(b"a".as_slice()), Bound::Excluded(b"bc".as_slice()));
    let golden = [
        (
            Record::Put { keyspace, key, value, form: Form::Plain, expires_at_ms: None },
            "01ac0203056b657976616c7565",
        ),
        (
            Record::Put { keyspace, key, value, form: Form::Plain, expires_at_ms },
            "81ac02030508070605040302016b657976616c7565",
        ),
        (
            Record::Put { keyspace, key, value, form: Form::Compressed, expires_at_ms: None },
            "41ac0203056b657976616c7565",
        ),
        (
            Record::Put { keyspace, key, value, form: Form::Compressed, expires_at_ms },
            "c1ac02030508070605040302016b657976616c7565",
        ),
        (
            Record::BlobRef {
                keyspace,
                key,
                blob,
                len_bytes: 5_000_000_000,
                checksum: 0xdead_beef,
                expires_at_ms: None,
            },
            "02ac020300f2052a010000000900000000000000efbeadde6b6579",
        ),
        (Record::Tombstone { keyspace, key }, "03ac02036b6579"),
        (Record::RangeTombstone { keyspace, start, end }, "04ac02210102616263"),
        (
            Record::RangeTombstone { keyspace, start: Bound::Unbounded, end: Bound::Unbounded },
            "04ac02000000",
        ),
        (
            Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms },
            "85ac02034d0000000000000008070605040302016b6579",
        ),
        (
            Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms: None },
            "05ac02034d000000000000006b6579",
        ),
        (Record::Watermark { clock_ms: 258 }, "060201000000000000"),
    ];
    for (record, bytes) in golden {
        assert_eq!(hex(&encoded(&record)), bytes, "{record:?}");
    }
}

#[test]
fn r2_reserved_flags_and_newer_kinds_are_unknown_not_damaged() {
    let put = encoded(&Record::Put {
        keyspace: KeyspaceId(1),
        key: b"k",
        value: b"v",
        form: Form::Plain,
        expires_at_ms: None,
    });
    for kind in [BLOB_REF | COMPRESSED, PUT | 0x20, PUT | 0x10, 0, 7, 0x0f, TOMBSTONE | EXPIRES] {
        let mut bytes = put.clone();
        bytes[0] = kind;
        assert_eq!(Record::decode(&bytes), Err(RecordError::Unknown { kind }), "{kind:#x}");
    }
}

#[test]
fn keys_longer_than_the_limit_and_impossible_bounds_do_not_decode() {
    let key = vec![0; KEY_LEN_MAX + 1];
    let keyspace = KeyspaceId(1);
    let longest = encoded(&Record::Tombstone { keyspace, key: &key[1..] });
    assert!(Record::decode(&longest).is_ok());
    let longer = encoded(&Record::Tombstone { keyspace, key: &key });
    assert_eq!(Record::decode(&longer), Err(RecordError::Impossible { what: "key length" }));
    for bounds in [[0x03, 0, 0].as_slice(), &[0x40, 0, 0], &[0x00, 1, 0, 7], &[0x00, 0, 1, 7]] {
        let bytes = [&[RANGE_TOMBSTONE, 1], bounds].concat();
        let found = Record::decode(&bytes);
        assert_eq!(found, Err(RecordError::Impossible { what: "bound" }), "{bounds:x?}");
    }
}
