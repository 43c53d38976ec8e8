//! The laws of keys, tried on random ones. proptest prints the seed of a failure.

use std::{collections::BTreeSet, fmt::Debug, ops::Bound};

use proptest::prelude::*;

use super::*;

fn encode<K>(key: impl AsKey<K>, at: Position) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.encode_key(&mut bytes, at);
    bytes
}

/// K1 to K3 for two keys.
fn check_laws<K: Key + Debug>(a: &K, b: &K) -> Result<(), TestCaseError> {
    for at in [Position::Inner, Position::Last] {
        let (bytes_a, bytes_b) = (encode::<K>(a, at), encode::<K>(b, at));
        prop_assert_eq!(bytes_a.cmp(&bytes_b), a.cmp(b), "{:?} {:?} {:?}", at, a, b);
        let mut rest = bytes_a.as_slice();
        prop_assert_eq!(&K::decode_key(&mut rest, at).unwrap(), a);
        prop_assert!(rest.is_empty());
    }
    let (bytes_a, bytes_b) = (encode::<K>(a, Position::Inner), encode::<K>(b, Position::Inner));
    prop_assert!(a == b || !bytes_b.starts_with(&bytes_a));
    let mut followed: &[u8] = &[bytes_a.as_slice(), b"\xFFnext"].concat();
    prop_assert_eq!(&K::decode_key(&mut followed, Position::Inner).unwrap(), a);
    prop_assert_eq!(followed, b"\xFFnext");
    prop_assert_eq!(&decode_whole::<K>(&encode::<K>(a, Position::Last)).unwrap(), a);
    Ok(())
}

/// K3 for arbitrary bytes.
fn check_decode<K: Key>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(key) = decode_whole::<K>(bytes) {
        prop_assert_eq!(encode::<K>(&key, Position::Last), bytes);
    }
    let mut rest = bytes;
    if let Ok(key) = K::decode_key(&mut rest, Position::Inner) {
        let taken = &bytes[..bytes.len() - rest.len()];
        prop_assert_eq!(encode::<K>(&key, Position::Inner), taken);
    }
    Ok(())
}

/// Byte strings rich in what the escaping treats specially, with common beginnings.
fn tricky_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0), Just(1), Just(0xFF), Just(0xFE), Just(b'a'), any::<u8>()];
    prop::collection::vec(byte, 0..6)
}

fn tricky_string() -> impl Strategy<Value = String> {
    prop_oneof!["[\0\u{1}ab]{0,5}", any::<String>()]
}

/// Numbers near the places where a sign or a byte changes.
fn tricky_i64() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -300..300i64, Just(i64::MIN), Just(i64::MAX)]
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct UserId(u64);
crate::key_newtype!(UserId(u64));

macro_rules! laws {
    ($($name:ident: $key:ty = $keys:expr;)*) => {$(
        proptest! {
            #[test]
            fn $name((a, b) in ($keys, $keys)) {
                check_laws::<$key>(&a, &b)?;
            }
        }
    )*};
}

laws! {
    laws_hold_for_u8: u8 = any::<u8>();
    laws_hold_for_u16: u16 = any::<u16>();
    laws_hold_for_u32: u32 = any::<u32>();
    laws_hold_for_u64: u64 = prop_oneof![any::<u64>(), 0..600u64];
    laws_hold_for_u128: u128 = any::<u128>();
    laws_hold_for_i8: i8 = any::<i8>();
    laws_hold_for_i16: i16 = any::<i16>();
    laws_hold_for_i32: i32 = any::<i32>();
    laws_hold_for_i64: i64 = tricky_i64();
    laws_hold_for_i128: i128 = any::<i128>();
    laws_hold_for_bool: bool = any::<bool>();
    laws_hold_for_char: char = any::<char>();
    laws_hold_for_strings: String = tricky_string();
    laws_hold_for_byte_strings: Vec<u8> = tricky_bytes();
    laws_hold_for_byte_arrays: [u8; 3] = any::<[u8; 3]>();
    laws_hold_for_empty_arrays: [u8; 0] = any::<[u8; 0]>();
    laws_hold_for_newtypes: UserId = any::<u64>().prop_map(UserId);
    laws_hold_for_pairs: (Vec<u8>, Vec<u8>) = (tricky_bytes(), tricky_bytes());
    laws_hold_for_pairs_with_numbers: (String, i64) = (tricky_string(), tricky_i64());
    laws_hold_for_triples: (bool, String, Vec<u8>) =
        (any::<bool>(), tricky_string(), tricky_bytes());
    laws_hold_for_quadruples: (Vec<u8>, u8, String, char) =
        (tricky_bytes(), any::<u8>(), tricky_string(), any::<char>());
    laws_hold_for_nested_tuples: ((Vec<u8>, Vec<u8>), (String, Vec<u8>)) =
        ((tricky_bytes(), tricky_bytes()), (tricky_string(), tricky_bytes()));
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_to_themselves_or_not_at_all(bytes in prop_oneof![
        tricky_bytes(),
        prop::collection::vec(prop_oneof![Just(0u8), Just(0xFF), any::<u8>()], 0..24),
    ]) {
        check_decode::<u8>(&bytes)?;
        check_decode::<i128>(&bytes)?;
        check_decode::<bool>(&bytes)?;
        check_decode::<char>(&bytes)?;
        check_decode::<[u8; 2]>(&bytes)?;
        check_decode::<String>(&bytes)?;
        check_decode::<Vec<u8>>(&bytes)?;
        check_decode::<UserId>(&bytes)?;
        check_decode::<(Vec<u8>, String)>(&bytes)?;
        check_decode::<((bool, Vec<u8>), Vec<u8>, [u8; 1])>(&bytes)?;
        check_decode::<(String, u8, Vec<u8>, char)>(&bytes)?;
    }

    #[test]
    fn k4_borrowed_forms_give_the_bytes_of_the_owned_key(
        s in tricky_string(), b in tricky_bytes(), n in any::<u64>(), array in any::<[u8; 4]>(),
    ) {
        for at in [Position::Inner, Position::Last] {
            prop_assert_eq!(encode::<String>(s.as_str(), at), encode::<String>(s.clone(), at));
            prop_assert_eq!(encode::<String>(&s, at), encode::<String>(s.clone(), at));
            prop_assert_eq!(encode::<Vec<u8>>(b.as_slice(), at), encode::<Vec<u8>>(b.clone(), at));
            prop_assert_eq!(encode::<Vec<u8>>(&array, at), encode::<Vec<u8>>(array.to_vec(), at));
            prop_assert_eq!(encode::<[u8; 4]>(&array, at), encode::<[u8; 4]>(array, at));
            let owned = (s.clone(), n, b.clone());
            let whole = encode::<(String, u64, Vec<u8>)>(&owned, at);
            prop_assert_eq!(encode::<(String, u64, Vec<u8>)>((&*s, &n, &*b), at), whole);
        }
    }

    #[test]
    fn prefix_range_of_bytes_holds_exactly_what_starts_with_the_prefix(
        prefix in tricky_bytes(), key in tricky_bytes(),
    ) {
        let range = EncodedRange::from_prefix(prefix.clone());
        prop_assert_eq!(range.contains(&key), key.starts_with(&prefix));
        prop_assert!(range.contains(&[prefix.as_slice(), &key].concat()));
        prop_assert!(!range.is_empty());
    }

    #[test]
    fn prefix_of_a_tuple_holds_exactly_the_tuples_that_begin_so(
        keys in prop::collection::vec((tricky_bytes(), 0..3u8, tricky_bytes()), 1..20),
        at in any::<prop::sample::Index>(),
    ) {
        type Triple = (Vec<u8>, u8, Vec<u8>);
        let chosen = at.get(&keys);
        let one = prefix_range::<Triple>((chosen.0.as_slice(),));
        let two = prefix_range::<Triple>((chosen.0.as_slice(), chosen.1));
        for key in &keys {
            let bytes = encode::<Triple>(key, Position::Last);
            prop_assert_eq!(one.contains(&bytes), key.0 == chosen.0);
            prop_assert_eq!(two.contains(&bytes), (&key.0, key.1) == (&chosen.0, chosen.1));
        }
    }

    #[test]
    fn prefix_of_a_string_holds_exactly_the_strings_that_begin_so(
        prefix in "[\0ab\u{10FFFF}]{0,3}", key in "[\0ab\u{10FFFF}]{0,4}",
    ) {
        let range = prefix_range::<String>(prefix.as_str());
        let bytes = encode::<String>(&key, Position::Last);
        prop_assert_eq!(range.contains(&bytes), key.starts_with(&prefix));
    }

    #[test]
    fn encoded_ranges_hold_the_keys_the_typed_range_holds(
        keys in prop::collection::btree_set((tricky_string(), tricky_i64()), 0..20),
        bounds in (bound(), bound()),
    ) {
        let typed = |key: &(String, i64)| {
            (match &bounds.0 {
                Bound::Included(start) => key >= start,
                Bound::Excluded(start) => key > start,
                Bound::Unbounded => true,
            }) && (match &bounds.1 {
                Bound::Included(end) => key <= end,
                Bound::Excluded(end) => key < end,
                Bound::Unbounded => true,
            })
        };
        let range = KeyRange::<(String, i64)>::encode_range(&bounds);
        let held: BTreeSet<_> = keys.iter().filter(|key| typed(key)).collect();
        let encoded: BTreeSet<_> = keys
            .iter()
            .filter(|key| range.contains(&encode::<(String, i64)>(*key, Position::Last)))
            .collect();
        prop_assert_eq!(&held, &encoded);
        prop_assert!(held.is_empty() || !range.is_empty());
    }

    #[test]
    fn is_empty_agrees_with_contains(start in tiny_bound(), end in tiny_bound()) {
        let range = EncodedRange { start, end };
        // Three bytes more than the bounds have, so a gap between them is hit if there is one.
        let mut held = false;
        let alphabet = [0, 1, 0xFF];
        for len in 0..=4u32 {
            for n in 0..3usize.pow(len) {
                let key: Vec<u8> =
                    (0..len).map(|i| alphabet[n / 3usize.pow(i) % 3]).collect();
                held |= range.contains(&key);
            }
        }
        prop_assert_eq!(range.is_empty(), !held, "{:?}", range);
    }
}

fn prefix_range<K>(prefix: impl KeyPrefix<K>) -> EncodedRange {
    let mut bytes = Vec::new();
    prefix.encode_prefix(&mut bytes);
    EncodedRange::from_prefix(bytes)
}

fn bound() -> impl Strategy<Value = Bound<(String, i64)>> {
    let key = (tricky_string(), tricky_i64());
    (key, 0..3u8).prop_map(|(key, kind)| match kind {
        0 => Bound::Included(key),
        1 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    })
}

fn tiny_bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    let key = prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0xFF)], 0..3);
    (key, 0..3u8).prop_map(|(key, kind)| match kind {
        0 => Bound::Included(key),
        1 => Bound::Excluded(key),
        _ => Bound::Unbounded,
    })
}

#[test]
fn encodings_are_the_documented_bytes() {
    let last = Position::Last;
    assert_eq!(encode::<u16>(258, last), [1, 2]);
    assert_eq!(encode::<i16>(-1, last), [0x7F, 0xFF]);
    assert_eq!(encode::<i16>(1, last), [0x80, 1]);
    assert_eq!(encode::<bool>(true, last), [1]);
    assert_eq!(encode::<char>('é', last), [0, 0, 0, 0xE9]);
    assert_eq!(encode::<String>("a\0b", last), b"a\0b");
    assert_eq!(encode::<String>("a\0b", Position::Inner), b"a\0\xFFb\0\0");
    assert_eq!(encode::<(String, u8)>(("", 7), last), [0, 0, 7]);
    assert_eq!(encode::<(u8, String)>((7, "\0"), last), [7, 0]);
    assert_eq!(encode::<(u8, String)>((7, "\0"), Position::Inner), [7, 0, 0xFF, 0, 0]);
    assert_eq!(encode::<Vec<u8>>(b"", last), b"");
}

#[test]
fn inner_strings_order_a_before_a_zero_before_ab() {
    let [a, a_zero, ab] =
        ["a", "a\0", "ab"].map(|s| encode::<(String, u8)>((s, 255), Position::Last));
    assert!(a < a_zero && a_zero < ab);
}

#[test]
fn bad_bytes_are_errors_that_say_what_is_wrong() {
    fn message<K: Key + Debug>(bytes: &[u8]) -> String {
        decode_whole::<K>(bytes).unwrap_err().to_string()
    }
    assert_eq!(message::<u32>(&[1, 2, 3]), "key ends inside its u32: 3 of 4 bytes");
    assert_eq!(message::<u8>(&[1, 2]), "1 of a key's 2 bytes are left over after decoding it");
    assert_eq!(message::<bool>(&[2]), "a bool key is 0 or 1, not 2");
    assert_eq!(message::<char>(&[0, 0, 0xD8, 0]), "0xd800 is no Unicode scalar");
    assert!(message::<String>(&[0xFF]).starts_with("invalid utf-8"));
    assert!(message::<(String, u8)>(b"ab").contains("no terminator"));
    assert!(message::<(String, u8)>(b"ab\0").contains("inside an escape"));
    assert!(message::<(String, u8)>(b"a\0\x07\0\0").contains("00 07"));
    assert!(message::<(u8, String)>(&[7, 0xC3]).contains("utf-8"));
}

#[test]
fn type_tags_name_the_structure() {
    fn tag<K: Key>() -> String {
        let mut tag = String::new();
        K::type_tag(&mut tag);
        tag
    }
    assert_eq!(tag::<(String, u64)>(), "(str,u64)");
    assert_eq!(tag::<[u8; 16]>(), "[u8;16]");
    assert_eq!(tag::<UserId>(), "u64");
    assert_eq!(tag::<((Vec<u8>, i8), bool, char)>(), "((bytes,i8),bool,char)");
}

#[test]
fn every_range_shape_encodes_its_bounds() {
    use Bound::{Excluded, Included, Unbounded};
    fn bounds<K>(range: impl KeyRange<K>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let EncodedRange { start, end } = range.encode_range();
        (start, end)
    }
    let (a, n) = (|| b"a".to_vec(), || b"n".to_vec());
    assert_eq!(bounds::<String>(..), (Unbounded, Unbounded));
    assert_eq!(bounds::<String>("a".."n"), (Included(a()), Excluded(n())));
    assert_eq!(bounds::<String>("a"..="n"), (Included(a()), Included(n())));
    assert_eq!(bounds::<String>("a"..), (Included(a()), Unbounded));
    assert_eq!(bounds::<String>(.."n".to_string()), (Unbounded, Excluded(n())));
    assert_eq!(bounds::<String>(..="n"), (Unbounded, Included(n())));
    assert_eq!(bounds::<String>((Excluded("a"), Unbounded)), (Excluded(a()), Unbounded));
    assert_eq!(bounds::<Vec<u8>>(b"a"..b"n"), (Included(a()), Excluded(n())));
    assert_eq!(bounds::<u8>(&1..&10), (Included(vec![1]), Excluded(vec![10])));
    let last = bounds::<(u8, String)>((1, "")..(2, "n"));
    assert_eq!(last, (Included(vec![1]), Excluded(vec![2, b'n'])));
    let mut used_up = 3..=3u8;
    used_up.next();
    assert!(KeyRange::<u8>::encode_range(&used_up).is_empty());
}

#[test]
fn prefix_of_only_ff_has_no_end() {
    assert_eq!(EncodedRange::from_prefix(vec![0xFF, 0xFF]).end, Bound::Unbounded);
    assert_eq!(EncodedRange::from_prefix(vec![]).end, Bound::Unbounded);
    assert_eq!(EncodedRange::from_prefix(vec![1, 0xFF]).end, Bound::Excluded(vec![2]));
}
