//! Frames: their bytes, their search, and damage to any of them.

use proptest::prelude::*;

use super::*;
use crate::log::Record;
use crate::{
    ids::{FileId, KeyspaceId},
    log::{
        checksum::StoreId,
        record::{
            Form, put_len,
            tests::{any_record, hex},
        },
    },
};

const STORE: StoreId = StoreId(*b"0123456789abcdef");
const OFFSET: u64 = 128;

fn key() -> FileKey {
    FileKey::new(&STORE, FileId(1))
}

fn batch(records: &[Record<'_>]) -> BatchEncoder {
    let mut batch = BatchEncoder::new();
    for (index, record) in records.iter().enumerate() {
        assert_eq!(batch.push(record), index);
    }
    batch
}

fn sealed(records: &[Record<'_>], offset: u64, first: u64) -> Vec<u8> {
    let mut out = Vec::new();
    batch(records).seal(&mut out, key(), offset, Sequence(first), 100);
    out
}

fn put<'a>(key: &'a [u8], value: &'a [u8]) -> Record<'a> {
    Record::Put { keyspace: KeyspaceId(1), key, value, form: Form::Plain, expires_at_ms: None }
}

fn whole(parsed: Parsed<'_>) -> FrameView<'_> {
    match parsed {
        Parsed::Frame(frame) => frame,
        other => panic!("not a frame: {other:?}"),
    }
}

/// A batch of one, of two, and of two hundred (a count of two bytes).
fn samples() -> Vec<Vec<u8>> {
    let records = [put(b"key", b"value"), Record::Watermark { clock_ms: 5 }];
    let many = vec![put(b"k", b""); 200];
    [&records[..1], &records, &many].map(|records| sealed(records, OFFSET, 7)).to_vec()
}

type Parts = (u8, (u32, u64, u64), bool, Vec<u8>, Vec<u8>);

fn parts() -> impl Strategy<Value = Parts> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..100);
    (any::<u8>(), any::<(u32, u64, u64)>(), any::<bool>(), bytes(), bytes())
}

proptest! {
    #[test]
    fn every_batch_round_trips_and_f4_each_record_is_read_at_the_place_foretold(
        parts in prop::collection::vec(parts(), 1..20),
        offset in 0_u64..1 << 40,
        first in 1..u64::MAX - 20,
        distance: u32,
        before in prop::collection::vec(any::<u8>(), 0..10),
    ) {
        let records: Vec<_> = parts
            .iter()
            .map(|(kind, numbers, expires, key, value)| {
                any_record(*kind, *numbers, *expires, key, value)
            })
            .collect();
        let reaches = u64::from(distance) <= offset;
        let distance = if reaches { distance } else { WATERMARK_IN_HEADER };
        let batch = batch(&records);
        let mut out = before.clone();
        batch.seal(&mut out, key(), offset, Sequence(first), distance);
        prop_assert!(out.starts_with(&before));
        let bytes = &out[before.len()..];
        prop_assert_eq!(bytes.len(), batch.frame_len());
        let mut open = BatchEncoder::new();
        for record in &records {
            open.push_open(record);
        }
        open.close();
        let mut same = Vec::new();
        open.seal(&mut same, key(), offset, Sequence(first), distance);
        prop_assert_eq!(&same, bytes, "covered when it is known how");

        let frame = whole(parse_frame(bytes, key(), offset));
        prop_assert_eq!((frame.first, frame.len), (Sequence(first), bytes.len()));
        prop_assert_eq!(frame.watermark_distance, (distance != u32::MAX).then_some(distance));
        let found: Vec<_> = frame.members().map(|member| member.record).collect();
        prop_assert_eq!(&found, &records);
        prop_assert_eq!(frame.members().last().map(|m| m.sequence), Some(frame.last()));

        for (index, member) in frame.members().enumerate() {
            prop_assert_eq!(member.at, batch.member_offset(index));
            prop_assert_eq!(member.encoded_len, batch.record_len(index));
            prop_assert_eq!(batch.record(index), member.record, "also without decoding it");
            let (from, at) = (usize::try_from(member.at)?, offset + u64::from(member.at));
            let record = if batch.is_single() {
                read_single(&bytes[from..], key(), at)
            } else {
                let to = from + MEMBER_OVERHEAD + member.encoded_len;
                read_member(&bytes[from..to], key(), at, member.sequence)
            };
            let record = record.map(Record::decode);
            prop_assert_eq!(record, Ok(Ok((member.record, member.encoded_len))));
        }
    }

    #[test]
    fn any_bytes_parse_to_something_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        offset: u64,
    ) {
        prop_assert!(!matches!(parse_frame(&bytes, key(), offset), Parsed::Frame(_)));
        prop_assert!(read_single(&bytes, key(), offset).is_err());
        prop_assert!(read_member(&bytes, key(), offset, Sequence(1)).is_err());
        prop_assert_eq!(find_next_frame(&bytes, key(), offset / 2), None);
    }

    /// Checksums fitted to arbitrary bodies: what lies behind them must hold by itself.
    #[test]
    fn any_body_under_fitting_checksums_parses_without_a_panic(
        body in prop::collection::vec(any::<u8>(), 0..100),
        count in 0_u8..4,
        sequence: u64,
    ) {
        let mut bytes = vec![0; HEADER_LEN];
        bytes.push(count);
        bytes.extend_from_slice(&body);
        refit(&mut bytes, sequence);
        if let Parsed::Frame(frame) = parse_frame(&bytes, key(), OFFSET) {
            prop_assert_eq!(frame.members().count(), usize::from(count));
        }
    }
}

/// Gives arbitrary bytes the lengths and checksums of a frame.
fn refit(bytes: &mut [u8], sequence: u64) {
    let len = u32::try_from(bytes.len() - HEADER_LEN).unwrap();
    let body_crc = Partial::of(&bytes[BODY_AT..]).at(key(), OFFSET, BODY);
    bytes[BODY_LEN_AT..SEQUENCE_AT].copy_from_slice(&len.to_le_bytes());
    bytes[SEQUENCE_AT..WATERMARK_AT].copy_from_slice(&sequence.to_le_bytes());
    bytes[BODY_CRC_AT..BODY_AT].copy_from_slice(&body_crc.to_le_bytes());
    let crc = header_checksum(bytes.first_chunk().unwrap(), key(), OFFSET);
    bytes[..BODY_LEN_AT].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn every_flipped_bit_of_a_frame_is_noticed_when_parsed_and_when_read() {
    for bytes in samples() {
        let mut damaged = bytes.clone();
        for bit in 0..bytes.len() * 8 {
            damaged[bit / 8] ^= 1 << (bit % 8);
            let parsed = parse_frame(&damaged, key(), OFFSET);
            assert!(matches!(parsed, Parsed::Damaged(_)), "bit {bit}: {parsed:?}");
            let read = read_single(&damaged, key(), OFFSET);
            let unread = bit / 8 < BODY_LEN_AT || (SEQUENCE_AT..BODY_CRC_AT).contains(&(bit / 8));
            assert!(unread || read.is_err(), "bit {bit}: {read:?}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_flipped_bit_of_a_member_is_noticed_by_its_read() {
    let records = [put(b"key", b"value"), put(b"another", b"one")];
    let bytes = sealed(&records, OFFSET, 7);
    let member = whole(parse_frame(&bytes, key(), OFFSET)).members().nth(1).unwrap();
    let from = usize::try_from(member.at).unwrap();
    let at = OFFSET + u64::from(member.at);
    assert!(read_member(&bytes[from..], key(), at, member.sequence).is_ok());
    for bit in 0..(bytes.len() - from) * 8 {
        let mut damaged = bytes[from..].to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let read = read_member(&damaged, key(), at, member.sequence);
        assert_eq!(read, Err(FrameError::MemberChecksum), "bit {bit}");
    }
}

#[test]
fn a_frame_cut_at_any_byte_is_an_end_or_damage() {
    for bytes in samples() {
        for cut in 0..bytes.len() {
            let parsed = parse_frame(&bytes[..cut], key(), OFFSET);
            let wanted = if cut == 0 { parsed == Parsed::End } else { parsed != Parsed::End };
            assert!(wanted && !matches!(parsed, Parsed::Frame(_)), "cut {cut}: {parsed:?}");
            assert!(read_single(&bytes[..cut], key(), OFFSET).is_err(), "cut {cut}");
        }
    }
}

#[test]
fn a_frame_torn_at_any_byte_with_zeros_behind_is_damage() {
    for bytes in samples() {
        // The last byte of the samples is zero in one of them, so it may be torn off unharmed.
        for cut in 1..bytes.len() - 1 {
            let mut torn = bytes.clone();
            torn[cut..].fill(0);
            torn.extend_from_slice(&[0; 100]);
            let parsed = parse_frame(&torn, key(), OFFSET);
            let same = torn.starts_with(&bytes);
            assert!(same || matches!(parsed, Parsed::Damaged(_)), "cut {cut}: {parsed:?}");
        }
    }
}

#[test]
fn a_frame_elsewhere_does_not_validate() {
    let other_store = StoreId(*b"0123456789abcdeg");
    let elsewhere = [
        (FileKey::new(&other_store, FileId(1)), OFFSET),
        (FileKey::new(&STORE, FileId(2)), OFFSET),
        (key(), OFFSET + 1),
        (key(), OFFSET + 4096),
        (key(), 0),
    ];
    for bytes in samples() {
        for (file, offset) in elsewhere {
            let parsed = parse_frame(&bytes, file, offset);
            assert_eq!(parsed, Parsed::Damaged(FrameError::HeaderChecksum), "{file:?} {offset}");
            let read = read_single(&bytes, file, offset);
            assert_eq!(read, Err(FrameError::BodyChecksum), "{file:?} {offset}");
        }
    }
}

#[test]
fn a_member_does_not_validate_under_another_sequence_or_at_another_place() {
    let bytes = sealed(&[put(b"a", b"1"), put(b"b", b"2")], OFFSET, 7);
    let member = whole(parse_frame(&bytes, key(), OFFSET)).members().next().unwrap();
    let from = usize::try_from(member.at).unwrap();
    let at = OFFSET + u64::from(member.at);
    let bytes = &bytes[..from + MEMBER_OVERHEAD + member.encoded_len];
    assert!(read_member(&bytes[from..], key(), at, Sequence(7)).is_ok());
    for (at, sequence) in [(at, 8), (at, 6), (at + 1, 7), (at - 4, 7)] {
        let read = read_member(&bytes[from..], key(), at, Sequence(sequence));
        assert_eq!(read, Err(FrameError::MemberChecksum), "{at} {sequence}");
    }
}

#[test]
fn f1_nothing_and_zeros_are_the_end() {
    for len in [0, 1, HEADER_LEN - 1, HEADER_LEN, 5000] {
        assert_eq!(parse_frame(&vec![0; len], key(), OFFSET), Parsed::End, "{len} zeros");
    }
}

#[test]
fn f1_sequence_zero_no_members_and_overflowing_sequences_are_impossible() {
    let two = sealed(&[put(b"a", b""), put(b"b", b"")], OFFSET, 7);
    for (sequence, count) in [(0, 2), (u64::MAX, 2), (7, 0), (7, 1), (7, 3)] {
        let mut bytes = two.clone();
        bytes[BODY_AT] = count;
        refit(&mut bytes, sequence);
        let parsed = parse_frame(&bytes, key(), OFFSET);
        assert!(matches!(parsed, Parsed::Damaged(_)), "{sequence} {count}: {parsed:?}");
    }
    let mut empty = vec![0; HEADER_LEN];
    refit(&mut empty, 7);
    assert!(matches!(parse_frame(&empty, key(), OFFSET), Parsed::Damaged(_)));
}

#[test]
fn f5_a_watermark_before_the_files_start_is_impossible() {
    let mut bytes = sealed(&[put(b"a", b"")], OFFSET, 7);
    let distance = u32::try_from(OFFSET).unwrap();
    for (distance, is_frame) in [(distance, true), (distance + 1, false)] {
        bytes[WATERMARK_AT..BODY_CRC_AT].copy_from_slice(&distance.to_le_bytes());
        refit(&mut bytes, 7);
        let parsed = parse_frame(&bytes, key(), OFFSET);
        assert_eq!(matches!(parsed, Parsed::Frame(_)), is_frame, "{distance}: {parsed:?}");
        let found = find_next_frame(&bytes, key(), OFFSET);
        assert_eq!(found.is_some(), is_frame, "{distance}: {found:?}");
    }
}

#[test]
fn sequences_reach_to_the_last_one() {
    let bytes = sealed(&[put(b"a", b""), put(b"b", b"")], OFFSET, u64::MAX - 1);
    let frame = whole(parse_frame(&bytes, key(), OFFSET));
    let sequences: Vec<_> = frame.members().map(|member| member.sequence.0).collect();
    assert_eq!(sequences, [u64::MAX - 1, u64::MAX]);
}

#[test]
fn a_newer_kind_of_record_is_unknown_not_damage() {
    let mut bytes = sealed(&[put(b"key", b"value")], OFFSET, 7);
    bytes[BODY_AT + 1] = 0x21;
    refit(&mut bytes, 7);
    let Parsed::Damaged(error) = parse_frame(&bytes, key(), OFFSET) else { panic!("a frame") };
    assert!(error.is_unknown(), "{error}");
}

#[test]
fn a_body_length_beyond_the_bytes_in_hand_is_refused() {
    let mut bytes = sealed(&[put(b"key", b"value")], OFFSET, 7);
    bytes[BODY_LEN_AT..SEQUENCE_AT].copy_from_slice(&u32::MAX.to_le_bytes());
    let read = read_single(&bytes, key(), OFFSET);
    assert!(matches!(read, Err(FrameError::Truncated { .. })), "{read:?}");
}

#[test]
fn the_next_frame_is_found_behind_damage_zeros_and_look_alikes() {
    let junk: Vec<u8> =
        (0..3000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let befores = [
        vec![],
        vec![0; 1],
        vec![0; 67],
        vec![0; 10_000],
        junk.clone(),
        [junk.as_slice(), &[0; 200], &junk[..77]].concat(),
        sealed(&[put(b"key", b"of a frame that belongs elsewhere")], 9999, 3),
    ];
    for before in befores {
        let at = OFFSET + u64::try_from(before.len()).unwrap();
        for after in [0, 1, 500] {
            let frame = sealed(&[put(b"key", b"value")], at, 8);
            let bytes = [before.as_slice(), &frame, &vec![0; after]].concat();
            let found = find_next_frame(&bytes, key(), OFFSET);
            assert_eq!(found, Some(at), "{} bytes before", before.len());
            let past = &bytes[before.len() + 1..];
            assert_eq!(find_next_frame(past, key(), at + 1), None);
        }
    }
}

#[test]
fn a_frame_with_a_damaged_body_is_not_found() {
    let mut bytes = sealed(&[put(b"key", b"value")], OFFSET, 8);
    assert_eq!(find_next_frame(&bytes, key(), OFFSET), Some(OFFSET));
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(find_next_frame(&bytes, key(), OFFSET), None);
}

#[test]
fn a_single_put_with_a_short_key_costs_29_to_31_bytes_and_an_expiry_8_more() {
    for (keyspace, value_len, overhead) in
        [(1, 10, 29), (127, 127, 29), (128, 10, 30), (1, 128, 30), (300, 5000, 31)]
    {
        let (key, value) = ([7; 24], vec![8; value_len]);
        for (expires_at_ms, more) in [(None, 0), (Some(1), 8)] {
            let keyspace = KeyspaceId(keyspace);
            let (key, value, form) = (&key[..], &value[..], Form::Plain);
            let batch = batch(&[Record::Put { keyspace, key, value, form, expires_at_ms }]);
            assert_eq!(batch.frame_len(), overhead + more + 24 + value_len);
            let len = SINGLE_OVERHEAD + put_len(keyspace, 24, value_len, expires_at_ms);
            assert_eq!(batch.frame_len(), len);
        }
    }
}

#[test]
fn a_cleared_encoder_starts_over() {
    let mut batch = batch(&[put(b"a", b"1"), put(b"b", b"2")]);
    batch.clear();
    assert_eq!((batch.count(), batch.frame_len(), batch.is_empty()), (0, 0, true));
    batch.push(&put(b"key", b"value"));
    let mut out = Vec::new();
    batch.seal(&mut out, key(), OFFSET, Sequence(7), 100);
    assert_eq!(out, sealed(&[put(b"key", b"value")], OFFSET, 7));
}

#[test]
fn golden_bytes_of_frames_never_change() {
    let one = sealed(&[put(b"key", b"value")], OFFSET, 7);
    assert_eq!(hex(&one), GOLDEN_ONE);
    let two = sealed(&[put(b"key", b"value"), Record::Watermark { clock_ms: 5 }], OFFSET, 7);
    assert_eq!(hex(&two), GOLDEN_TWO);
}
const GOLDEN_ONE: &str =
    "02172b280d00000007000000000000006400000019410aa301010103056b657976616c7565";
const GOLDEN_TWO: &str = concat!(
    "5737d5061e0000000700000000000000640000008851b674",
    "0220fdb051010103056b657976616c7565837b2615060500000000000000",
);
