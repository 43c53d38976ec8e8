//! How the two elements of a member lie, and how they are written together.
//!
//! By name: `NAMES`, hash, member → score as eight bytes. In order: `ORDER`, score as eight bytes
//! whose order is the numbers', member → nothing. Zero and negative zero have one place.

use std::ops::{Bound, ControlFlow};

use crate::data::{Collection, Db, Direction, Joined, Span, StoreError, WHOLE};

type Result<T> = std::result::Result<T, StoreError>;

/// What the elements by name begin with.
pub(super) const NAMES: &[u8] = &[1];
/// What the elements in order begin with.
const ORDER: u8 = 2;
/// What the elements in order begin with, for those who ask for the outermost of them.
pub(super) const FIRST_IN_ORDER: &[u8] = &[ORDER];
/// Bytes before the member in an element by name, and in one in order.
const NAME_AT: usize = 1 + crate::data::hashed::HASH_LEN;
const MEMBER_AT: usize = 1 + size_of::<u64>();

/// All elements by name.
pub(in crate::command) const BY_NAME: Span<'static> =
    (Bound::Included(NAMES), Bound::Excluded(&[ORDER]));

/// All elements in order.
pub(super) const IN_ORDER: Span<'static> = (Bound::Included(&[ORDER]), Bound::Unbounded);

/// A member and its score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scored {
    pub(super) member: Vec<u8>,
    pub(super) score: f64,
}

/// The place of a score among all: the order of these numbers is that of the scores.
pub(super) fn rank_bits(score: f64) -> u64 {
    // Adding zero makes one of the two zeros.
    let bits = (score + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn score_of_bits(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// The key in order of a member.
pub(super) fn in_order(score: f64, member: &[u8]) -> Joined {
    Joined::new([&[ORDER], &rank_bits(score).to_be_bytes(), member])
}

/// The first key in order of this place, or of a member there.
pub(super) fn at_bits(bits: u64, member: &[u8]) -> Vec<u8> {
    [&[ORDER], &bits.to_be_bytes()[..], member].concat()
}

/// The member and score in a key in order.
pub(super) fn scored(sub: &[u8]) -> Scored {
    let (member, score) = member_and_score(sub);
    Scored { member: member.to_vec(), score }
}

/// The same, not copied.
pub(super) fn member_and_score(sub: &[u8]) -> (&[u8], f64) {
    let bits = sub.get(1..MEMBER_AT).and_then(|bits| bits.try_into().ok());
    let score = bits.map_or(0.0, |bits| score_of_bits(u64::from_be_bytes(bits)));
    (sub.get(MEMBER_AT..).unwrap_or_default(), score)
}

/// The member in a key by name.
pub(in crate::command) fn name_of(sub: &[u8]) -> &[u8] {
    sub.get(NAME_AT..).unwrap_or_default()
}

/// The score that an element by name holds.
pub(super) fn score_in(value: &[u8]) -> f64 {
    value.try_into().map_or(0.0, f64::from_le_bytes)
}

/// The number of members: each has two elements.
pub(super) fn len(db: &mut Db<'_>, zset: Collection<'_>) -> Result<u64> {
    Ok(db.count(zset, WHOLE)? / 2)
}

/// All members in the order of their scores, or the reverse.
pub(in crate::command) fn members(
    db: &mut Db<'_>,
    zset: Collection<'_>,
    direction: Direction,
) -> Result<Vec<Vec<u8>>> {
    let mut members = Vec::new();
    db.walk(zset, IN_ORDER, direction, usize::MAX, |seen| {
        members.push(seen.sub().get(MEMBER_AT..).unwrap_or_default().to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(members)
}

/// The score of a member.
pub(super) fn score(db: &mut Db<'_>, zset: Collection<'_>, member: &[u8]) -> Result<Option<f64>> {
    let sub = db.hashed(NAMES, member);
    db.element_with(zset, &sub, score_in)
}

/// Writes a member whose score was `old`, another one.
pub(super) fn put(
    db: &mut Db<'_>,
    zset: Collection<'_>,
    member: &[u8],
    (old, new): (Option<f64>, f64),
) {
    let by_name = db.hashed(NAMES, member);
    if let Some(old) = old {
        db.remove_element(zset, &in_order(old, member));
    }
    db.put_element(zset, &by_name, &new.to_le_bytes());
    db.put_element(zset, &in_order(new, member), &[]);
}

/// Removes a member that is there with this score.
pub(super) fn remove(db: &mut Db<'_>, zset: Collection<'_>, scored: &Scored) {
    remove_at(db, zset, &in_order(scored.score, &scored.member));
}

/// Removes the member with this key in order.
pub(super) fn remove_at(db: &mut Db<'_>, zset: Collection<'_>, in_order: &[u8]) {
    let by_name = db.hashed(NAMES, member_and_score(in_order).0);
    db.remove_element(zset, &by_name);
    db.remove_element(zset, in_order);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_order_are_in_the_order_of_the_scores() {
        let scores = [
            f64::NEG_INFINITY,
            -1e300,
            -2.5,
            -1.0,
            -5e-324,
            0.0,
            5e-324,
            1.0,
            2.5,
            1e300,
            f64::INFINITY,
        ];
        let keys: Vec<Vec<u8>> =
            scores.iter().map(|score| in_order(*score, b"m").to_vec()).collect();
        assert!(keys.is_sorted());
        for (key, score) in keys.iter().zip(scores) {
            assert_eq!(scored(key), Scored { member: b"m".to_vec(), score });
        }
        assert_eq!(*in_order(-0.0, b"m"), *in_order(0.0, b"m"));
        assert!(*in_order(1.0, b"b") > *in_order(1.0, b"a"));
    }
}
