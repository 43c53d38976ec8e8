//! Elements of collections among the pending changes: one by one, and in order.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Bound, Range};

use super::{LINEAR_MAX, Op, OpKind, Pending};
use crate::data::Place;
use crate::data::collection::{ID_LEN, Id};

/// A range of whole element keys.
pub(in crate::data) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// An element that differs from the store's: its whole key, and its value or that it is gone.
type Overlaid<'p> = (&'p [u8], Option<&'p [u8]>);

/// The state the first `covered` changes leave elements in, by database, in key order.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    covered: usize,
    homes: HashMap<usize, Home>,
}

#[derive(Debug, Default)]
struct Home {
    /// Values as places in the buffer; `None` is gone.
    changed: BTreeMap<Vec<u8>, Option<Range<usize>>>,
    /// Collections whose elements in the store are gone.
    removed: HashSet<Vec<u8>>,
}

impl Home {
    /// All elements that begin with this collection id go.
    fn remove(&mut self, id: &[u8]) {
        let from = (Bound::Included(id), Bound::Unbounded);
        while let Some((key, _)) = self.changed.range::<[u8], _>(from).next()
            && key.starts_with(id)
        {
            let key = key.clone();
            self.changed.remove(&key);
        }
        self.removed.insert(id.to_vec());
    }
}

impl Pending {
    pub(in crate::data) fn put_element(&mut self, place: Place, id: Id, sub: &[u8], value: &[u8]) {
        let key = self.store_element_key(id, sub);
        self.room.add(value.len());
        let value = Some(self.store(value));
        self.ops.push(Op { place, key, kind: OpKind::Element { value } });
        self.element_ops += 1;
    }
    pub(in crate::data) fn remove_element(&mut self, place: Place, id: Id, sub: &[u8]) {
        let key = self.store_element_key(id, sub);
        self.ops.push(Op { place, key, kind: OpKind::Element { value: None } });
        self.element_ops += 1;
    }
    pub(in crate::data) fn remove_elements(&mut self, place: Place, id: Id) {
        let key = self.store(&id.bytes());
        self.ops.push(Op { place, key, kind: OpKind::Elements });
        self.element_ops += 1;
    }
    /// True if some change may concern an element.
    pub(in crate::data) fn has_elements(&self) -> bool {
        self.element_ops > 0
    }

    /// What the pending changes say about an element; `None` if nothing.
    pub(in crate::data) fn element(&mut self, home: usize, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.element_ops == 0 {
            return None;
        }
        if self.ops.len() > LINEAR_MAX {
            let Pending { bytes, ops, elements, .. } = self;
            let home = elements.extended(bytes, ops).homes.get(&home)?;
            return match home.changed.get(key) {
                Some(value) => Some(value.clone().map(|value| &bytes[value])),
                None => home.removed.contains(&key[..ID_LEN]).then_some(None),
            };
        }
        let found = self.ops.iter().rev().find(|op| {
            let about = &self.bytes[op.key.clone()];
            op.place.home == home
                && match op.kind {
                    OpKind::Element { .. } => about == key,
                    OpKind::Elements => key.starts_with(about),
                    OpKind::Clear => true,
                    _ => false,
                }
        })?;
        match &found.kind {
            OpKind::Element { value: Some(value) } => Some(Some(&self.bytes[value.clone()])),
            _ => Some(None),
        }
    }

    /// The elements of a range that differ from the store's, in order, and whether the store's
    /// ones of this collection count at all.
    pub(in crate::data) fn overlay(
        &mut self,
        home: usize,
        id: Id,
        (start, end): Bounds<'_>,
    ) -> (impl DoubleEndedIterator<Item = Overlaid<'_>>, bool) {
        let Pending { bytes, ops, elements, .. } = self;
        let home = elements.extended(bytes, ops).homes.get(&home);
        let removed = home.is_some_and(|home| home.removed.contains(&id.bytes()[..]));
        let is_empty = is_empty(start, end);
        let range =
            home.filter(|_| !is_empty).map(|home| home.changed.range::<[u8], _>((start, end)));
        let bytes = &*bytes;
        let overlaid = range.into_iter().flatten();
        let overlaid = overlaid
            .map(move |(key, value)| (key.as_slice(), value.clone().map(|value| &bytes[value])));
        (overlaid, removed)
    }

    fn store_element_key(&mut self, id: Id, sub: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&id.bytes());
        self.bytes.extend_from_slice(sub);
        start..self.bytes.len()
    }
}

/// Bounds the map would panic on.
fn is_empty(start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
    }
}

impl Overlay {
    /// Changes from `ops` on are no more.
    pub(super) fn forget_after(&mut self, ops: usize) {
        if self.covered > ops {
            *self = Overlay::default();
        }
    }
    fn extended(&mut self, bytes: &[u8], ops: &[Op]) -> &Self {
        for op in &ops[self.covered..] {
            let key = &bytes[op.key.clone()];
            let home = self.homes.entry(op.place.home);
            match &op.kind {
                OpKind::Element { value } => {
                    home.or_default().changed.insert(key.to_vec(), value.clone());
                }
                OpKind::Elements => {
                    let home = home.or_default();
                    home.remove(key);
                }
                // Nobody asks for collections of before: their keys are gone.
                OpKind::Clear => home.or_default().changed.clear(),
                _ => {}
            }
        }
        self.covered = ops.len();
        self
    }
}
