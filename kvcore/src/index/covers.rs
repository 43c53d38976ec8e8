//! Which pending range deletes cover a key: in O(log n), be there one or thousands.
//!
//! The ranges cut the keys into segments; each has the sequences of those that cover it. Every
//! bound is a place between two keys, named by the first key behind it: nothing comes between a
//! key and the same with a zero byte at its end.
//!
//! Pure: knows bounds and sequences.
//!
//! # Invariants
//!
//! C1. Segments are disjoint, and each has at least one sequence, ascending.
//! C2. A range is inserted with a higher sequence than all before.

use crate::ids::Sequence;
use std::{collections::BTreeMap, ops::Bound};

/// The ranges that are pending.
#[derive(Debug, Default)]
pub(super) struct Covers {
    /// By the first key.
    segments: BTreeMap<Vec<u8>, Segment>,
}

#[derive(Clone, Debug)]
struct Segment {
    /// The first key behind it; none behind the last one.
    end: Option<Vec<u8>>,
    by: Vec<Sequence>,
}

impl Covers {
    /// The lowest sequence that covers the key, above one and up to another.
    pub(super) fn first(&self, key: &[u8], above: Sequence, up_to: Sequence) -> Option<Sequence> {
        let to_key = (Bound::Unbounded, Bound::Included(key));
        let (_, segment) = self.segments.range::<[u8], _>(to_key).next_back()?;
        if segment.end.as_deref().is_some_and(|end| key >= end) {
            return None;
        }
        let at = segment.by.partition_point(|sequence| *sequence <= above);
        segment.by.get(at).copied().filter(|sequence| *sequence <= up_to)
    }

    /// Adds a range.
    pub(super) fn insert(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>, by: Sequence) {
        let Some((start, end)) = places(start, end) else { return };
        self.cut_at(&start);
        if let Some(end) = &end {
            self.cut_at(end);
        }
        let mut gaps = Vec::new();
        let mut at = Some(start.clone());
        for (first, segment) in self.range_mut(&start, end.as_deref()) {
            let from = at.take().unwrap_or_default();
            if from < *first {
                gaps.push((from, Some(first.clone())));
            }
            segment.by.push(by);
            at.clone_from(&segment.end);
        }
        // Behind a segment without an end there is no gap.
        if let Some(from) = at.filter(|from| end.as_ref().is_none_or(|end| from < end)) {
            gaps.push((from, end));
        }
        let new = gaps.into_iter().map(|(first, end)| (first, Segment { end, by: vec![by] }));
        self.segments.extend(new);
    }

    /// Takes a range out that was inserted.
    pub(super) fn remove(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>, by: Sequence) {
        let Some((start, end)) = places(start, end) else { return };
        let mut empty = Vec::new();
        for (first, segment) in self.range_mut(&start, end.as_deref()) {
            segment.by.retain(|sequence| *sequence != by);
            if segment.by.is_empty() {
                empty.push(first.clone());
            }
        }
        for first in empty {
            self.segments.remove(&first);
        }
    }

    /// The segments that begin in a range.
    fn range_mut(
        &mut self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = (&Vec<u8>, &mut Segment)> {
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        self.segments.range_mut::<[u8], _>((Bound::Included(start), end))
    }

    /// Makes a segment that this place lies inside of two.
    fn cut_at(&mut self, place: &[u8]) {
        let before = (Bound::Unbounded, Bound::Excluded(place));
        let Some((_, segment)) = self.segments.range_mut::<[u8], _>(before).next_back() else {
            return;
        };
        if segment.end.as_deref().is_some_and(|end| end <= place) {
            return;
        }
        let behind = segment.clone();
        segment.end = Some(place.to_vec());
        self.segments.insert(place.to_vec(), behind);
    }
}

/// The first key of a range and the first behind it; `None` for one without any.
fn places(start: Bound<&[u8]>, end: Bound<&[u8]>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let behind = |key: &[u8]| [key, &[0]].concat();
    let start = match start {
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => behind(key),
        Bound::Unbounded => Vec::new(),
    };
    let end = match end {
        Bound::Included(key) => Some(behind(key)),
        Bound::Excluded(key) => Some(key.to_vec()),
        Bound::Unbounded => None,
    };
    end.as_ref().is_none_or(|end| start < *end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::in_range;

    /// A range with short bounds, so that they meet, touch and contain one another.
    fn bound(random: &mut fastrand::Rng) -> Bound<Vec<u8>> {
        let key = vec![random.u8(..3); random.usize(..3)];
        match random.u32(..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    fn borrow(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
        bound.as_ref().map(Vec::as_slice)
    }

    #[test]
    fn what_covers_a_key_is_what_a_look_at_every_range_finds() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut covers, mut ranges) = (Covers::default(), Vec::new());
        for number in 1..3_000 {
            if random.u32(..9) < 4 && !ranges.is_empty() {
                let (start, end, by) = ranges.remove(random.usize(..ranges.len()));
                covers.remove(borrow(&start), borrow(&end), by);
            } else {
                let (start, end) = (bound(&mut random), bound(&mut random));
                covers.insert(borrow(&start), borrow(&end), Sequence(number));
                ranges.push((start, end, Sequence(number)));
            }
            for _ in 0..20 {
                let key = vec![random.u8(..3); random.usize(..4)];
                let above = Sequence(random.u64(..number + 2));
                let up_to = Sequence(random.u64(..number + 2));
                let covering = ranges.iter().filter(|(start, end, by)| {
                    *by > above && *by <= up_to && in_range(&key, borrow(start), borrow(end))
                });
                let wanted = covering.map(|(_, _, by)| *by).min();
                assert_eq!(covers.first(&key, above, up_to), wanted, "seed {seed}, {number}");
            }
        }
        for (start, end, by) in ranges {
            covers.remove(borrow(&start), borrow(&end), by);
        }
        assert!(covers.segments.is_empty(), "seed {seed}");
    }
}
