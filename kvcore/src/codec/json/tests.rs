//! JSON: its text, and what damaged text costs.

use proptest::prelude::*;

use super::super::samples::*;
use super::*;

#[test]
fn values_are_json_without_white_space() {
    let json = encode::<Json, _>(&user()).unwrap();
    assert_eq!(
        String::from_utf8(json).unwrap(),
        r#"{"name":"Ada","age":36,"balance":-300,"tags":["é",""]}"#
    );
    assert_eq!(<Json as Codec<u8>>::ID, "json/1");
}

#[test]
fn values_round_trip_and_use_every_byte() {
    assert_round_trip::<Json, _>(&user());
    assert_round_trip::<Json, _>(&shapes());
    let any = serde_json::json!({"a": [1, null, {"b": "}]\"\\"}]});
    assert_round_trip::<Json, _>(&any);
}

proptest! {
    #[test]
    fn random_values_round_trip(shapes in prop::collection::vec(any_shape(), 0..6)) {
        check_round_trip::<Json>(&shapes)?;
    }

    #[test]
    fn finite_floats_come_back_to_the_last_bit(bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        if float.is_finite() {
            let json = encode::<Json, f64>(&float).unwrap();
            prop_assert_eq!(decode::<Json, f64>(&json).unwrap().to_bits(), bits);
        }
    }

    #[test]
    fn random_text_decodes_or_errs(text in r#"[\[\]{}",:0-9a-z\\ null]{0,40}"#) {
        check_decodes_or_errs::<Json>(text.as_bytes())?;
    }
}

#[test]
fn depth_is_refused_on_both_ways() {
    assert!(decode::<Json, Tree>(&vec![b'['; 1 << 20]).is_err());
    assert!(decode::<Json, serde_json::Value>(&vec![b'['; 1 << 20]).is_err());
    assert_refused_when_too_deep::<Json, _>(list, 127);
    assert_refused_when_too_deep::<Json, _>(nodes, 127);
    assert_refused_when_too_deep::<Json, _>(tree, 127);
}

#[test]
fn brackets_in_strings_are_not_levels() {
    let text = "[".repeat(500) + "\"\\";
    assert_round_trip::<Json, _>(&vec![text]);
}
