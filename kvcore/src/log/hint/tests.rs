//! Hint files: what is written is read, and damage to any byte is noticed.

use std::ops::Bound;

use proptest::prelude::*;

use super::*;
use crate::log::record::tests::hex;

const STORE: StoreId = StoreId(*b"0123456789abcdef");
const FILE: FileId = FileId(3);
const FACTS: HintFacts = HintFacts {
    data_len: 1000,
    min_dead_sequence: Some(Sequence(5)),
    min_sequence: Sequence(1),
    max_sequence: Sequence(40),
    highest_clock_ms: 258,
};

fn place(offset: u32, is_member: bool, sequence: u64) -> Place {
    Place { offset, is_member, sequence: Sequence(sequence) }
}

fn entry(keyspace: u32, key: &[u8], sequence: u64, kind: HintKind) -> HintEntry<'_> {
    HintEntry {
        place: place(128, sequence.is_multiple_of(2), sequence),
        keyspace: KeyspaceId(keyspace),
        key,
        kind,
    }
}

fn put(value_len: u32) -> HintKind {
    HintKind::Put { value_len, expires_at_ms: None }
}

/// One of each, out of order.
fn sample() -> Vec<u8> {
    let blob = HintKind::BlobRef { blob: FileId(9), len_bytes: 1 << 33, expires_at_ms: Some(1) };
    let change = HintKind::ExpiryChange { put_sequence: Sequence(2), expires_at_ms: Some(7) };
    let mut writer = HintWriter::new(STORE, FILE);
    let start = Bound::Included(b"a".as_slice());
    writer.push_range(&HintRange {
        place: place(400, false, 20),
        keyspace: KeyspaceId(1),
        bounds: (start, Bound::Unbounded),
    });
    writer.push(&entry(300, b"", 3, HintKind::Tombstone));
    writer.push(&entry(1, b"key", 4, change));
    writer.push(&entry(1, b"key", 2, put(300)));
    writer.push(&entry(1, b"b", 6, blob));
    writer.finish(&FACTS)
}

fn open(bytes: &[u8]) -> Result<HintReader<'_>, FormatError> {
    HintReader::open(bytes, &STORE, FILE, FACTS.data_len)
}

/// Reads everything, or the first error.
fn read_all(bytes: &[u8]) -> Result<usize, FormatError> {
    let reader = open(bytes)?;
    let ranges = reader.ranges().collect::<Result<Vec<_>, _>>()?;
    let entries = reader.entries().collect::<Result<Vec<_>, _>>()?;
    Ok(ranges.len() + entries.len())
}

/// Fits the checksum to changed bytes.
fn refit(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - CRC_LEN);
    super::super::preamble::put_checksum(bytes, 0, KIND, FILE, FACTS.data_len);
}

type Parts = (u8, u32, Vec<u8>, (u32, u64, u64), Option<u64>);

fn any_entry(parts: &Parts) -> HintEntry<'_> {
    let (kind, keyspace, key, (number, a, sequence), expires_at_ms) = parts;
    let kind = match kind % 4 {
        0 => HintKind::Put { value_len: *number, expires_at_ms: *expires_at_ms },
        1 => HintKind::BlobRef {
            blob: FileId((*number).max(1)),
            len_bytes: *a,
            expires_at_ms: *expires_at_ms,
        },
        2 => HintKind::Tombstone,
        _ => HintKind::ExpiryChange { put_sequence: Sequence(*a), expires_at_ms: *expires_at_ms },
    };
    let place = place(number % 1000, number.is_multiple_of(3), *sequence);
    HintEntry { place, keyspace: KeyspaceId(*keyspace), key, kind }
}

proptest! {
    #[test]
    fn t1_entries_come_back_whole_and_sorted_by_keyspace_key_and_sequence(
        parts in prop::collection::vec(
            (
                any::<u8>(),
                prop::sample::select(vec![0_u32, 1, 127, 128, u32::MAX]),
                prop::collection::vec(0_u8..3, 0..5),
                any::<(u32, u64, u64)>(),
                any::<Option<u64>>(),
            ),
            0..50,
        ),
        presorted: bool,
    ) {
        let mut wanted: Vec<_> = parts.iter().map(any_entry).collect();
        let by = |e: &HintEntry<'_>| (e.keyspace, e.key.to_vec(), e.place.sequence);
        let mut writer = HintWriter::new(STORE, FILE);
        if presorted {
            wanted.sort_by_key(by);
        }
        wanted.iter().for_each(|entry| writer.push(entry));
        wanted.sort_by_key(by);
        let bytes = writer.finish(&FACTS);
        let reader = open(&bytes).unwrap();
        prop_assert_eq!(reader.facts(), FACTS);
        prop_assert_eq!(reader.entry_count(), wanted.len());
        prop_assert_eq!(reader.ranges().count(), 0);
        let found: Result<Vec<_>, _> = reader.entries().collect();
        prop_assert_eq!(found, Ok(wanted));
    }

    #[test]
    fn any_bytes_under_a_fitting_checksum_end_in_entries_or_an_error(
        body in prop::collection::vec(any::<u8>(), 0..200),
        counts in (0_u64..5, 0_u64..5, 0_u64..100),
    ) {
        let mut bytes = sample()[..HEAD_LEN].to_vec();
        let numbers = [counts.0, counts.1, counts.2];
        for (at, number) in (PREAMBLE_LEN + 16..).step_by(8).zip(numbers) {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&[0; CRC_LEN]);
        refit(&mut bytes);
        if let Ok(read) = read_all(&bytes) {
            prop_assert_eq!(u64::try_from(read)?, counts.0 + counts.1);
        }
    }

    #[test]
    fn any_bytes_are_no_hint(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&bytes).is_err());
        prop_assert!(open(&[&KIND.magic, bytes.as_slice()].concat()).is_err());
    }
}

#[test]
fn every_flipped_bit_of_a_hint_is_noticed_at_open() {
    let bytes = sample();
    assert_eq!(read_all(&bytes), Ok(5));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = open(&damaged).map(|reader| reader.facts());
        assert!(found.is_err_and(|error| !error.is_newer()), "bit {bit}: {found:?}");
    }
}

#[test]
fn a_hint_cut_or_extended_at_any_byte_is_noticed_at_open() {
    let bytes = sample();
    for cut in 0..bytes.len() {
        assert!(open(&bytes[..cut]).is_err(), "cut {cut}");
    }
    assert!(open(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn t2_a_hint_of_another_store_file_or_length_says_so() {
    let bytes = sample();
    let other = StoreId([7; 16]);
    let found = HintReader::open(&bytes, &other, FILE, 1000).map(|_| ());
    assert_eq!(found, Err(FormatError::WrongStore { found: STORE, wanted: other }));
    let found = HintReader::open(&bytes, &STORE, FileId(4), 1000).map(|_| ());
    assert_eq!(found, Err(FormatError::WrongFile { found: FILE, wanted: FileId(4) }));
    let found = HintReader::open(&bytes, &STORE, FILE, 999).map(|_| ());
    assert_eq!(found, Err(FormatError::WrongLength { found: 1000, wanted: 999 }));
}

#[test]
fn a_place_behind_the_data_files_end_is_damage() {
    let mut writer = HintWriter::new(STORE, FILE);
    let place = place(1000, false, 1);
    writer.push(&HintEntry { place, keyspace: KeyspaceId(1), key: b"k", kind: put(1) });
    let bytes = writer.finish(&FACTS);
    assert!(matches!(read_all(&bytes), Err(FormatError::Damaged { .. })));
}

#[test]
fn counts_that_do_not_fit_the_entries_are_damage() {
    for (field, count) in [(2, 3), (2, 5), (2, u64::MAX), (3, 0), (3, 2), (4, 0), (4, u64::MAX)] {
        let mut bytes = sample();
        let at = PREAMBLE_LEN + field * size_of::<u64>();
        bytes[at..at + 8].copy_from_slice(&count.to_le_bytes());
        refit(&mut bytes);
        let found = read_all(&bytes);
        assert!(found.is_err(), "field {field} = {count}: {found:?}");
        let bounded = open(&bytes).map_or(0, |reader| reader.entry_count());
        assert!(bounded <= bytes.len(), "{bounded}");
    }
}

#[test]
fn golden_bytes_of_a_hint_never_change() {
    assert_eq!(hex(&sample()), GOLDEN);
}
const GOLDEN: &str = concat!(
    "896b7668696e740a0100000000000000000000000000000030313233343536373839616263646566",
    "0300000000000000e803000000000000040000000000000001000000000000001200000000000000",
    "05000000000000000100000000000000280000000000000002010000000000000490010000140000",
    "00000000000101010061a28000000006000000000000000101000000000200000009000000000000",
    "00010000000000000062218000000002000000000000000103ac026b6579a5800000000400000000",
    "0000000103020000000000000007000000000000006b657903800000000300000000000000ac0200",
    "e82076ec",
);
