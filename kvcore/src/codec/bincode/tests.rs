//! bincode: its bytes, and what damaged ones cost.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::super::samples::{self, *};
use super::*;

fn encode<V: Serialize + DeserializeOwned + Send + 'static>(value: &V) -> Vec<u8> {
    samples::encode::<Bincode, V>(value).unwrap()
}

fn decode<V: Serialize + DeserializeOwned + Send + 'static>(bytes: &[u8]) -> Result<V, BoxError> {
    samples::decode::<Bincode, V>(bytes)
}

/// The varint that claims the length `len`, in nine bytes.
fn claim(len: u64) -> Vec<u8> {
    [&[253][..], &len.to_le_bytes()].concat()
}

const HUGE: [u64; 4] = [1 << 31, 1 << 40, u64::MAX >> 1, u64::MAX];

/// `docs/format.md` lists these vectors: values in old stores consist of such bytes.
#[test]
fn golden_bytes_of_bincode_2_standard() {
    assert_eq!(
        encode(&(250u16, 251u16, 65_535u32, 65_536u32)),
        [250, 251, 251, 0, 251, 255, 255, 252, 0, 0, 1, 0]
    );
    assert_eq!(encode(&(1u64 << 32)), [253, 0, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(encode(&(-1i64, 1i64, -126i32, i8::MIN, 200u8)), [1, 2, 251, 251, 0, 128, 200]);
    assert_eq!(encode(&(true, 'é', 1.5f32)), [1, 0xC3, 0xA9, 0, 0, 0xC0, 0x3F]);
    assert_eq!(encode(&"Ada".to_string()), [3, b'A', b'd', b'a']);
    assert_eq!(encode(&(None::<u8>, Some(7u8), ())), [0, 1, 7]);
    assert_eq!(encode(&([1u8, 2], vec![3u8, 4])), [1, 2, 2, 3, 4]);
    assert_eq!(
        encode(&BTreeMap::from([("a".to_string(), 1u8), ("b".to_string(), 2)])),
        [2, 1, b'a', 1, 1, b'b', 2]
    );
    assert_eq!(encode(&user()), [3, b'A', b'd', b'a', 36, 251, 87, 2, 2, 2, 0xC3, 0xA9, 0]);
    assert_eq!(
        encode(&shapes()),
        [
            &[4, 0][..],
            &[1, 0, 0, 0, 0, 0, 0, 0xF8, 0x3F],
            &[2, 0, 1, 251, 88, 2, 252, 0xE0, 0x22, 2, 0],
            &[3, 1, 3, 0xC3, 0xA9, 2, 1, b'k', 1, 2, 1, 2, 4, b'n', b'o', b'n', b'e', 0],
        ]
        .concat()
    );
}

#[test]
fn values_round_trip_and_use_every_byte() {
    assert_round_trip::<Bincode, _>(&user());
    assert_round_trip::<Bincode, _>(&shapes());
    assert_round_trip::<Bincode, _>(&list(20));
    assert_round_trip::<Bincode, _>(&(i128::MIN, u128::MAX, 'x', 1.5f32));
    assert_eq!(decode::<()>(&encode(&())).ok(), Some(()));
}

proptest! {
    #[test]
    fn random_values_round_trip(shapes in prop::collection::vec(any_shape(), 0..6)) {
        check_round_trip::<Bincode>(&shapes)?;
    }

    #[test]
    fn random_bytes_decode_or_err(bytes in likely_bytes()) {
        check_decodes_or_errs::<Bincode>(&bytes)?;
    }
}

#[test]
fn b1_huge_claimed_lengths_are_errors() {
    for len in HUGE {
        let bytes = claim(len);
        assert!(decode::<String>(&bytes).is_err());
        assert!(decode::<Vec<u8>>(&bytes).is_err());
        assert!(decode::<Vec<String>>(&bytes).is_err());
        assert!(decode::<BTreeMap<String, u64>>(&bytes).is_err());
        assert!(decode::<std::path::PathBuf>(&bytes).is_err());
    }
}

#[test]
fn b2_hint_of_a_length_is_at_most_the_number_of_bytes() {
    for len in [2, 9, 10, 1 << 40] {
        let hinted = decode::<Hinted>(&claim(len)).unwrap().0;
        assert_eq!(hinted, Some(usize::try_from(len.min(9)).unwrap()));
    }
}

#[test]
fn b3_endless_sequences_of_nothing_are_errors_that_say_so() {
    for len in HUGE {
        let error = decode::<Vec<()>>(&claim(len)).unwrap_err().to_string();
        assert!(error.contains("more elements than bytes"), "{error}");
        assert!(decode::<HashSet<()>>(&claim(len)).is_err());
        assert!(decode::<Vec<[(); 2]>>(&claim(len)).is_err());
        let nested = [vec![100], claim(len).repeat(100)].concat();
        assert!(decode::<Vec<Vec<()>>>(&nested).is_err());
    }
}

#[test]
fn b5_what_decoding_refuses_is_refused_when_it_is_encoded() {
    // 1,027 take three bytes for their number.
    assert_round_trip_of_nothings(1_027);
    let mut out = b"before".to_vec();
    let error = <Bincode as Codec<_>>::encode(&vec![(); 1_028], &mut out).unwrap_err().to_string();
    assert!(error.contains("more elements than bytes"), "{error}");
    assert_eq!(out, b"before");
    assert!(decode::<Vec<()>>(&[251, 4, 4]).is_err());
}

fn assert_round_trip_of_nothings(len: usize) {
    assert_eq!(decode::<Vec<()>>(&encode(&vec![(); len])).unwrap().len(), len);
}

#[test]
fn long_sequences_of_small_elements_are_not_refused() {
    let bytes = vec![7u8; 100_000];
    assert_eq!(decode::<Vec<u8>>(&encode(&bytes)).unwrap(), bytes);
    let nested = vec![vec![Some(true); 10]; 5_000];
    assert_eq!(decode::<Vec<Vec<Option<bool>>>>(&encode(&nested)).unwrap(), nested);
    let many_fields = vec![((), (), (), 1u8); 10_000];
    assert_eq!(decode::<Vec<((), (), (), u8)>>(&encode(&many_fields)).unwrap(), many_fields);
}

#[test]
fn b4_deep_bytes_are_errors_not_stack_overflows() {
    let bytes = vec![1; 1 << 20];
    let error = decode::<List>(&bytes).unwrap_err().to_string();
    assert_eq!(error, "value is nested more than 128 levels deep");
    assert!(decode::<Node>(&bytes).is_err());
    assert!(decode::<Tree>(&bytes).is_err());
}

#[test]
fn b4_b5_depth_is_refused_on_both_ways() {
    assert_refused_when_too_deep::<Bincode, _>(list, 128);
    assert_refused_when_too_deep::<Bincode, _>(nodes, 129);
    assert_refused_when_too_deep::<Bincode, _>(tree, 128);
}

#[test]
fn trailing_bytes_are_named_in_the_error() {
    let error = decode::<u8>(&[1, 2]).unwrap_err().to_string();
    assert_eq!(error, "1 of a value's 2 bytes are left over after decoding it");
}

#[test]
fn the_id_names_the_wire_version() {
    assert_eq!(<Bincode as Codec<u8>>::ID, "bincode/2-standard");
}
