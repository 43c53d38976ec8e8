//! File headers: their bytes, and damage to any of them.

use proptest::prelude::*;

use super::*;
use crate::log::{checksum::StoreId, record::tests::hex};

const STORE: StoreId = StoreId(*b"0123456789abcdef");

fn header() -> FileHeader {
    FileHeader {
        store: STORE,
        file: FileId(3),
        role: Role::Log,
        predecessor: Some(LogEnd { file: FileId(2), length: 0x1234, last_sequence: Sequence(41) }),
        watermark: Some(LogPosition { file: FileId(1), offset: 0x5678 }),
        first_sequence: Sequence(42),
        created_ms: 1_700_000_000_000,
        read_only_features: 0,
    }
}

fn decode(bytes: &[u8]) -> Result<DecodedHeader, FormatError> {
    FileHeader::decode(bytes, &STORE, FileId(3))
}

/// Fits the checksum to changed bytes.
fn refit(bytes: &mut [u8; FILE_HEADER_LEN]) {
    let mut covered = bytes[..CRC_AT].to_vec();
    preamble::put_checksum(&mut covered, 0, KIND, FileId(3), 0);
    bytes.copy_from_slice(&covered);
}

proptest! {
    #[test]
    fn every_header_round_trips(
        store: [u8; 16],
        file in 1..u32::MAX,
        is_copy: bool,
        end in prop::option::of((1..u32::MAX, any::<u64>(), any::<u64>())),
        at in prop::option::of((1..u32::MAX, any::<u64>())),
        numbers: (u64, u64),
    ) {
        let header = FileHeader {
            store: StoreId(store),
            file: FileId(file),
            role: if is_copy { Role::Copy } else { Role::Log },
            predecessor: end.map(|(file, length, last)| LogEnd {
                file: FileId(file),
                length,
                last_sequence: Sequence(last),
            }),
            watermark: at.map(|(file, offset)| LogPosition { file: FileId(file), offset }),
            first_sequence: Sequence(numbers.0),
            created_ms: numbers.1,
            read_only_features: 0,
        };
        let bytes = header.encode();
        let decoded = FileHeader::decode(&bytes, &header.store, header.file);
        prop_assert_eq!(decoded, Ok(DecodedHeader::Written(header)));
        prop_assert_eq!(FileHeader::decode_any(&bytes), decoded);
    }

    #[test]
    fn any_bytes_are_no_header(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
        let magic = [&KIND.magic, bytes.as_slice(), &[0; FILE_HEADER_LEN]].concat();
        let is_damaged = matches!(decode(&magic), Err(FormatError::Damaged { .. }));
        prop_assert!(is_damaged);
    }
}

#[test]
fn every_flipped_bit_of_a_header_is_noticed() {
    let bytes = header().encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        let wanted = match bit / 8 {
            0..8 => FormatError::NotOurs { wanted: "data file" },
            _ => FormatError::Damaged { what: "checksum mismatch" },
        };
        let found = decode(&damaged);
        let id_out_of_range = Err(FormatError::Damaged { what: "file number" });
        assert!(found == Err(wanted) || found == id_out_of_range, "bit {bit}: {found:?}");
    }
}

#[test]
fn a_header_cut_at_any_byte_is_damage() {
    let bytes = header().encode();
    for cut in 0..bytes.len() {
        let found = decode(&bytes[..cut]);
        assert!(matches!(found, Err(FormatError::Damaged { .. })), "cut {cut}: {found:?}");
    }
}

#[test]
fn h1_zeros_are_a_file_not_begun() {
    assert_eq!(decode(&[0; 4096]), Ok(DecodedHeader::Unused));
}

#[test]
fn a_header_of_another_store_or_file_says_so() {
    let bytes = header().encode();
    let other = StoreId([7; 16]);
    let wrong_store = FormatError::WrongStore { found: STORE, wanted: other };
    assert_eq!(FileHeader::decode(&bytes, &other, FileId(3)), Err(wrong_store));
    let wrong_file = FormatError::WrongFile { found: FileId(3), wanted: FileId(4) };
    assert_eq!(FileHeader::decode(&bytes, &STORE, FileId(4)), Err(wrong_file));
}

#[test]
fn newer_versions_and_unknown_features_are_refused_and_read_only_ones_reported() {
    let changed = |at: usize, to: u32| {
        let mut bytes = header().encode();
        bytes[at..at + 4].copy_from_slice(&to.to_le_bytes());
        refit(&mut bytes);
        decode(&bytes)
    };
    assert_eq!(changed(8, 2), Err(FormatError::NewerFormat { found: 2, supported: 1 }));
    assert_eq!(changed(12, 6), Err(FormatError::UnknownFeature { bits: 6 }));
    let read_only = FileHeader { read_only_features: 5, ..header() };
    assert_eq!(changed(16, 5), Ok(DecodedHeader::Written(read_only)));
    assert_eq!(changed(20, 5), Ok(DecodedHeader::Written(header())), "compatible ones are ignored");
}

#[test]
fn impossible_fields_under_a_fitting_checksum_are_damage() {
    let cases = [(8, 0), (ROLE_AT, 0), (ROLE_AT, 3), (PREDECESSOR_AT, 0), (WATERMARK_AT, 0)];
    for (at, byte) in cases {
        let mut bytes = header().encode();
        bytes[at] = byte;
        refit(&mut bytes);
        let found = decode(&bytes);
        assert!(matches!(found, Err(FormatError::Damaged { .. })), "{at}: {found:?}");
    }
}

#[test]
fn golden_bytes_of_a_header_never_change() {
    assert_eq!(hex(&header().encode()), GOLDEN);
}
const GOLDEN: &str = concat!(
    "896b76646174610a01000000000000000000000000000000",
    "30313233343536373839616263646566",
    "0300000000000000",
    "0100000000000000",
    "020000000000000034120000000000002900000000000000",
    "01000000000000007856000000000000",
    "2a00000000000000",
    "0068e5cf8b010000",
    "000000000000000000000000",
    "24969acd",
);
