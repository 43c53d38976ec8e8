//! Values on which every codec for serde's types is tried, and what must hold for each.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
#[cfg(any(feature = "bincode", feature = "postcard"))]
use serde::{
    Deserializer,
    de::{SeqAccess, Visitor},
};

use super::Codec;
use crate::{error::BoxError, value::ValueRef};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) age: u32,
    pub(super) balance: i64,
    pub(super) tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Shape {
    Empty,
    Circle(f64),
    Line((i32, i32), (i32, i32)),
    Text { at: Option<(u8, char)>, words: BTreeMap<String, Option<Vec<u8>>> },
}

/// Recursion through an enum: one level per element.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum List {
    Nil,
    Cons(Box<List>),
}

/// Recursion through an option and a struct.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Node {
    pub(super) id: u8,
    pub(super) next: Option<Box<Node>>,
}

/// Recursion through a sequence.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Tree(pub(super) Vec<Tree>);

/// Remembers the hint of its length that its visitor got.
#[cfg(any(feature = "bincode", feature = "postcard"))]
#[derive(Debug, Serialize)]
pub(super) struct Hinted(pub(super) Option<usize>);

#[cfg(any(feature = "bincode", feature = "postcard"))]
impl<'de> Deserialize<'de> for Hinted {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct HintVisitor;
        impl<'de> Visitor<'de> for HintVisitor {
            type Value = Hinted;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<Hinted, A::Error> {
                Ok(Hinted(access.size_hint()))
            }
        }
        source.deserialize_seq(HintVisitor)
    }
}

pub(super) fn list(len: usize) -> List {
    (0..len).fold(List::Nil, |tail, _| List::Cons(Box::new(tail)))
}

pub(super) fn nodes(len: usize) -> Node {
    (1..len).fold(Node { id: 0, next: None }, |next, _| Node { id: 1, next: Some(next.into()) })
}

pub(super) fn tree(levels: usize) -> Tree {
    (1..levels).fold(Tree(vec![]), |tree, _| Tree(vec![tree]))
}

pub(super) fn user() -> User {
    User { name: "Ada".into(), age: 36, balance: -300, tags: vec!["é".into(), String::new()] }
}

pub(super) fn shapes() -> Vec<Shape> {
    let words = [("k".to_string(), Some(vec![1, 2])), ("none".to_string(), None)].into();
    vec![
        Shape::Empty,
        Shape::Circle(1.5),
        Shape::Line((0, -1), (300, 70_000)),
        Shape::Text { at: Some((3, 'é')), words },
    ]
}

pub(super) fn encode<C: Codec<V>, V>(value: &V) -> Result<Vec<u8>, BoxError> {
    let mut out = Vec::new();
    C::encode(value, &mut out).map(|()| out)
}

pub(super) fn decode<C: Codec<V, Owned = V>, V>(bytes: &[u8]) -> Result<V, BoxError> {
    C::decode(ValueRef::copied(bytes))
}

/// C1 and C2 for one value.
pub(super) fn assert_round_trip<C, V>(value: &V)
where
    C: Codec<V, Owned = V>,
    V: PartialEq + fmt::Debug,
{
    let bytes = encode::<C, V>(value).unwrap();
    assert_eq!(&decode::<C, V>(&bytes).unwrap(), value);
    for trailing in [&b"\0"[..], b"1", b"\xFF\xFF"] {
        assert!(decode::<C, V>(&[bytes.as_slice(), trailing].concat()).is_err(), "{trailing:?}");
    }
    for cut in 0..bytes.len() {
        // A number in JSON may be cut to another number, but never to the same value.
        assert_ne!(decode::<C, V>(&bytes[..cut]).ok().as_ref(), Some(value), "cut to {cut}");
    }
}

/// What nests as deep as the codec's limit survives, one level more is refused when it is put,
/// by an error that names the depth, and the buffer stays as it was (B5, C4).
pub(super) fn assert_refused_when_too_deep<C, V>(build: impl Fn(usize) -> V, deepest: usize)
where
    C: Codec<V, Owned = V>,
    V: PartialEq + fmt::Debug,
{
    let value = build(deepest);
    let bytes = encode::<C, V>(&value).unwrap();
    assert!(decode::<C, V>(&bytes).unwrap() == value);
    let mut out = b"before".to_vec();
    let error = C::encode(&build(deepest + 1), &mut out).unwrap_err().to_string();
    assert!(error.contains("levels deep"), "{error}");
    assert_eq!(out, b"before");
}

fn words() -> impl Strategy<Value = BTreeMap<String, Option<Vec<u8>>>> {
    let bytes = prop::option::of(prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::btree_map(any::<String>(), bytes, 0..4)
}

pub(super) fn any_shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Empty),
        (-1e9..1e9f64).prop_map(Shape::Circle),
        any::<((i32, i32), (i32, i32))>().prop_map(|(from, to)| Shape::Line(from, to)),
        (any::<Option<(u8, char)>>(), words()).prop_map(|(at, words)| Shape::Text { at, words }),
    ]
}

/// C1 for random values.
pub(super) fn check_round_trip<C>(shapes: &Vec<Shape>) -> Result<(), TestCaseError>
where
    C: Codec<Vec<Shape>, Owned = Vec<Shape>>,
{
    let mut out = b"before".to_vec();
    C::encode(shapes, &mut out).unwrap();
    prop_assert_eq!(&out[..6], b"before");
    prop_assert_eq!(&decode::<C, Vec<Shape>>(&out[6..]).unwrap(), shapes);
    Ok(())
}

/// C3 for random bytes: that decoding ends, and without a panic, is what is checked; and that
/// whatever it accepts is a value that can be stored again.
pub(super) fn check_decodes_or_errs<C>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    C: Codec<Vec<Shape>, Owned = Vec<Shape>>
        + Codec<User, Owned = User>
        + Codec<Node, Owned = Node>
        + Codec<Tree, Owned = Tree>
        + Codec<HashSet<()>, Owned = HashSet<()>>
        + Codec<Vec<()>, Owned = Vec<()>>,
{
    fn check<C: Codec<V, Owned = V>, V: DeserializeOwned>(bytes: &[u8]) -> bool {
        decode::<C, V>(bytes).is_ok_and(|value| encode::<C, V>(&value).is_err())
    }
    let accepted_only = [
        check::<C, Vec<Shape>>(bytes),
        check::<C, User>(bytes),
        check::<C, Node>(bytes),
        check::<C, Tree>(bytes),
        check::<C, HashSet<()>>(bytes),
        check::<C, Vec<()>>(bytes),
    ];
    prop_assert_eq!(accepted_only, [false; 6]);
    Ok(())
}

/// Bytes in which lengths, tags and options are likely.
#[cfg(any(feature = "bincode", feature = "postcard"))]
pub(super) fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0..5u8, 2 => 0xF8..=0xFFu8, 1 => any::<u8>()];
    prop::collection::vec(byte, 0..40)
}
