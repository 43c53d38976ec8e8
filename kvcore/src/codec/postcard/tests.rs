//! postcard: its bytes, and what damaged ones cost.

use std::collections::HashSet;

use proptest::prelude::*;

use super::super::samples::*;
use super::*;

/// `docs/format.md` lists these vectors: values in old stores consist of such bytes.
#[test]
fn golden_bytes_of_postcard_1() {
    assert_eq!(
        encode::<Postcard, _>(&(300u16, -1i32, 'é', None::<u8>)).unwrap(),
        [0xAC, 2, 1, 2, 0xC3, 0xA9, 0]
    );
    assert_eq!(
        encode::<Postcard, _>(&user()).unwrap(),
        [3, b'A', b'd', b'a', 36, 0xD7, 4, 2, 2, 0xC3, 0xA9, 0]
    );
    assert_eq!(<Postcard as Codec<u8>>::ID, "postcard/1");
}

#[test]
fn values_round_trip_and_use_every_byte() {
    assert_round_trip::<Postcard, _>(&user());
    assert_round_trip::<Postcard, _>(&shapes());
    assert_round_trip::<Postcard, _>(&(i128::MIN, u128::MAX, 'x', 1.5f32));
}

proptest! {
    #[test]
    fn random_values_round_trip(shapes in prop::collection::vec(any_shape(), 0..6)) {
        check_round_trip::<Postcard>(&shapes)?;
    }

    #[test]
    fn random_bytes_decode_or_err(bytes in likely_bytes()) {
        check_decodes_or_errs::<Postcard>(&bytes)?;
    }
}

#[test]
fn b1_to_b3_huge_claimed_lengths_are_errors() {
    // As varints: 2^35 - 1 and the largest u64.
    for claim in [&[0xFF, 0xFF, 0xFF, 0xFF, 0x7F][..], &[[0xFF; 9].as_slice(), &[1]].concat()] {
        assert!(decode::<Postcard, String>(claim).is_err());
        assert!(decode::<Postcard, Vec<u8>>(claim).is_err());
        assert!(decode::<Postcard, Vec<String>>(claim).is_err());
        assert!(decode::<Postcard, HashSet<()>>(claim).is_err());
        let error = decode::<Postcard, Vec<()>>(claim).unwrap_err().to_string();
        assert!(error.contains("more elements than bytes"), "{error}");
        // postcard withholds a hint of more than the bytes left by itself.
        let hinted = decode::<Postcard, Hinted>(claim).unwrap().0;
        assert!(hinted.is_none_or(|len| len <= claim.len()), "{hinted:?}");
    }
}

#[test]
fn b4_b5_depth_is_refused_on_both_ways() {
    let error = decode::<Postcard, List>(&vec![1; 1 << 20]).unwrap_err().to_string();
    assert_eq!(error, "value is nested more than 128 levels deep");
    assert_refused_when_too_deep::<Postcard, _>(list, 128);
    assert_refused_when_too_deep::<Postcard, _>(nodes, 129);
    assert_refused_when_too_deep::<Postcard, _>(tree, 128);
}
