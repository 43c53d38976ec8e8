//! What an optimistic transaction has read, and whether that still holds.
//!
//! Knows keys and ranges as bytes. Does not know what was found there: a key that was absent is
//! read too, and a range that was empty.
//!
//! # Invariants
//!
//! R1. Whatever could have made a read answer otherwise lies in a recorded key or range.
//! R2. The view is open until the reads are judged, so that every change since has left undo.

use crate::{batch::borrow, ids::Sequence, index::Index, key::EncodedRange};
use std::{collections::HashSet, ops::Bound, sync::Arc};

/// The reads of one transaction.
#[derive(Debug, Default)]
pub(super) struct Reads(Vec<SpaceReads>);

#[derive(Debug)]
struct SpaceReads {
    index: Arc<Index>,
    keys: HashSet<Box<[u8]>>,
    /// `None` where an iterator was dropped before it gave anything.
    ranges: Vec<Option<EncodedRange>>,
}

/// The place of a range that is still being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct RangeSlot {
    space: usize,
    range: usize,
}

impl Reads {
    fn space(&mut self, index: &Arc<Index>) -> usize {
        let known = self.0.iter().position(|space| space.index.id == index.id);
        known.unwrap_or_else(|| {
            let index = Arc::clone(index);
            self.0.push(SpaceReads { index, keys: HashSet::new(), ranges: Vec::new() });
            self.0.len() - 1
        })
    }

    pub(super) fn add_key(&mut self, index: &Arc<Index>, key: &[u8]) {
        let space = self.space(index);
        let keys = &mut self.0[space].keys;
        if !keys.contains(key) {
            keys.insert(key.into());
        }
    }

    /// Records a range as read to its ends; an iterator may say later that it was less.
    pub(super) fn add_range(&mut self, index: &Arc<Index>, range: &EncodedRange) -> RangeSlot {
        let space = self.space(index);
        let ranges = &mut self.0[space].ranges;
        ranges.push(Some(range.clone()));
        RangeSlot { space, range: ranges.len() - 1 }
    }

    /// Only the keys up to `front` and those from `back` on were read.
    pub(super) fn narrow(
        &mut self,
        slot: RangeSlot,
        front: Option<Vec<u8>>,
        back: Option<Vec<u8>>,
    ) {
        let ranges = &mut self.0[slot.space].ranges;
        let Some(whole) = ranges[slot.range].take() else { return };
        let EncodedRange { start, end } = whole;
        ranges[slot.range] = front.map(|front| EncodedRange { start, end: Bound::Included(front) });
        if let Some(back) = back {
            ranges.push(Some(EncodedRange { start: Bound::Included(back), end }));
        }
    }

    /// Something that was read is another than at the view. Asked by the holder of the writer
    /// lock, so that the answer stays true until the commit.
    pub(super) fn have_changed(&self, view: Sequence) -> bool {
        self.0.iter().any(|space| {
            let index = &space.index;
            let range = |range: &EncodedRange| {
                index.has_range_changed(borrow(&range.start), borrow(&range.end), view)
            };
            space.keys.iter().any(|key| index.has_changed(key, view))
                || space.ranges.iter().flatten().any(range)
        })
    }
}
