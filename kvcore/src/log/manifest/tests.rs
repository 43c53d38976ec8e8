//! Manifests: what is written is read, and damage to any byte is noticed.

use proptest::prelude::*;

use super::*;
use crate::log::record::tests::hex;

const STORE: StoreId = StoreId(*b"0123456789abcdef");

fn manifest() -> Manifest {
    Manifest {
        number: 12,
        store_id: STORE,
        hash_seed: *b"fedcba9876543210",
        generations: vec![Generation { id: 0xaabb, first_sequence: Sequence(1) }],
        log_floor: FileId(4),
        feed_floor: Sequence(2),
        next_file: FileId(7),
        next_keyspace: 3,
        files: vec![
            ListedFile {
                id: FileId(2),
                role: Role::Log,
                length: 0x1234,
                min_dead_sequence: None,
                max_sequence: Sequence(30),
            },
            ListedFile {
                id: FileId(3),
                role: Role::Copy,
                length: 0x5678,
                min_dead_sequence: Some(Sequence(9)),
                max_sequence: Sequence(40),
            },
        ],
        keyspaces: vec![KeyspaceMeta {
            id: KeyspaceId(1),
            name: "usérs".to_owned(),
            key_tag: "(str,u64)".to_owned(),
            codec: "bincode/2-standard".to_owned(),
            schema_version: 5,
            options: UNORDERED,
            type_name: "app::User".to_owned(),
            dropped: true,
        }],
        clean_end: Some(LogEnd { file: FileId(6), length: 300, last_sequence: Sequence(41) }),
        highest_clock_ms: 258,
        read_only_features: 0,
    }
}

/// Fits the checksum to changed bytes.
fn refit(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() - size_of::<u32>());
    preamble::put_checksum(bytes, 0, KIND, NO_FILE, manifest().number);
}

const COUNTS_AT: usize = 40 + 8 + 16 + 8 + 8 + 8 + 4 + 8 + 24;

proptest! {
    #[test]
    fn m3_every_manifest_round_trips(
        number: u64,
        ids: ([u8; 16], [u8; 16]),
        generations in prop::collection::vec(any::<(u64, u64)>(), 0..5),
        files in prop::collection::vec((1..u32::MAX, any::<bool>(), any::<[u64; 3]>()), 0..5),
        keyspaces in prop::collection::vec(
            (any::<[u32; 3]>(), any::<[String; 4]>(), any::<bool>()),
            0..5,
        ),
        clean_end in prop::option::of((1..u32::MAX, any::<u64>(), any::<u64>())),
        floors: (u64, u32, u64),
    ) {
        let optional = |n: u64| (n != 0).then_some(Sequence(n));
        let manifest = Manifest {
            number,
            store_id: StoreId(ids.0),
            hash_seed: ids.1,
            generations: generations
                .into_iter()
                .map(|(id, first)| Generation { id, first_sequence: Sequence(first) })
                .collect(),
            log_floor: FileId(floors.1.max(1)),
            feed_floor: Sequence(floors.0),
            next_file: FileId(floors.1 | 1),
            next_keyspace: floors.1,
            files: files
                .into_iter()
                .map(|(id, is_copy, [length, dead, max])| ListedFile {
                    id: FileId(id),
                    role: if is_copy { Role::Copy } else { Role::Log },
                    length,
                    min_dead_sequence: optional(dead),
                    max_sequence: Sequence(max),
                })
                .collect(),
            keyspaces: keyspaces
                .into_iter()
                .map(|([id, schema_version, options], texts, dropped)| {
                    let [name, key_tag, codec, type_name] = texts;
                    let id = KeyspaceId(id);
                    KeyspaceMeta {
                        id, name, key_tag, codec, schema_version, options, type_name, dropped,
                    }
                })
                .collect(),
            clean_end: clean_end.map(|(file, length, last)| LogEnd {
                file: FileId(file),
                length,
                last_sequence: Sequence(last),
            }),
            highest_clock_ms: floors.2,
            read_only_features: 0,
        };
        prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }

    #[test]
    fn m2_any_body_under_a_fitting_checksum_is_a_manifest_that_encodes_to_it_or_an_error(
        body in prop::collection::vec(any::<u8>(), 0..300),
        counts: [u8; 3],
    ) {
        let mut bytes = manifest().encode()[..COUNTS_AT].to_vec();
        for count in counts {
            bytes.extend_from_slice(&[count % 4, 0, 0, 0]);
        }
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&[0; 4]);
        refit(&mut bytes);
        if let Ok(decoded) = Manifest::decode(&bytes) {
            prop_assert_eq!(decoded.encode(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_no_manifest(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Manifest::decode(&bytes).is_err());
        prop_assert!(Manifest::decode(&[&KIND.magic, bytes.as_slice()].concat()).is_err());
    }
}

#[test]
fn m1_every_flipped_bit_of_a_manifest_is_noticed() {
    let bytes = manifest().encode();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let wanted = match bit / 8 {
            0..8 => FormatError::NotOurs { wanted: "manifest" },
            _ => FormatError::Damaged { what: "checksum mismatch" },
        };
        assert_eq!(Manifest::decode(&damaged), Err(wanted), "bit {bit}");
    }
}

#[test]
fn a_manifest_cut_or_extended_at_any_byte_is_noticed() {
    let bytes = manifest().encode();
    for cut in 0..bytes.len() {
        assert!(Manifest::decode(&bytes[..cut]).is_err(), "cut {cut}");
    }
    assert!(Manifest::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn newer_versions_and_unknown_features_of_a_manifest_are_refused() {
    let changed = |at: usize| {
        let mut bytes = manifest().encode();
        bytes[at] = 2;
        refit(&mut bytes);
        Manifest::decode(&bytes)
    };
    assert_eq!(changed(8), Err(FormatError::NewerFormat { found: 2, supported: 1 }));
    assert_eq!(changed(12), Err(FormatError::UnknownFeature { bits: 2 }));
    let read_only = Manifest { read_only_features: 2, ..manifest() };
    assert_eq!(changed(16), Ok(read_only));
}

#[test]
fn m2_counts_beyond_the_bytes_in_hand_are_refused_before_allocation() {
    for at in [COUNTS_AT, COUNTS_AT + 4, COUNTS_AT + 8] {
        let mut bytes = manifest().encode();
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        refit(&mut bytes);
        let impossible = FormatError::Damaged { what: "impossible count" };
        assert_eq!(Manifest::decode(&bytes), Err(impossible), "{at}");
    }
}

#[test]
fn golden_bytes_of_a_manifest_never_change() {
    assert_eq!(hex(&manifest().encode()), GOLDEN);
}
const GOLDEN: &str = concat!(
    "896b766d6673740a0100000000000000000000000000000030313233343536373839616263646566",
    "0c000000000000006665646362613938373635343332313004000000000000000200000000000000",
    "070000000000000003000000020100000000000006000000000000002c0100000000000029000000",
    "00000000010000000200000001000000bbaa00000000000001000000000000000200000000000000",
    "01341200000000000000000000000000001e00000000000000030000000000000002785600000000",
    "00000900000000000000280000000000000001000000050000000100000001060000007573c3a972",
    "7309000000287374722c753634291200000062696e636f64652f322d7374616e6461726409000000",
    "6170703a3a5573657208a011b9",
);
