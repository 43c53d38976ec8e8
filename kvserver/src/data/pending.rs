//! The changes of one command, or of one MULTI, before they are committed.
//!
//! Keys and values lie in one buffer that is reused, so a plain SET allocates nothing. Few changes
//! are searched one by one; from [`LINEAR_MAX`] on an index is built, if somebody reads: by hash
//! for keys, in order for elements.
//!
//! Pure: knows neither the store nor a clock.
//!
//! # Laws
//!
//! P1. Changes are applied in their order, none left out: a batch has at least as many records as
//!     changes, which is what collection ids rest on.

mod elements;
mod keys;
mod sets;
mod shrink;

use std::ops::Range;

use super::Place;
use super::engine::{Large, LargeValue};
use super::event::{Class, Event};
pub(super) use elements::Bounds;

/// Up to this many changes a look-up walks them.
const LINEAR_MAX: usize = 16;

/// A place in the list of changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    ops: usize,
    bytes: usize,
    touches: usize,
    events: usize,
}

/// A change, with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change<'p> {
    /// To a key.
    Key(&'p [u8], What<'p>),
    /// Every key and element of the database goes.
    Clear,
    /// An element, by collection id and the rest, gets this value or goes.
    Element(&'p [u8], Option<&'p [u8]>),
    /// All elements that begin with this collection id go.
    Elements(&'p [u8]),
    /// The database and the one with this index exchange what they hold.
    Swap(usize),
}

impl<'p> Change<'p> {
    /// The value that is put.
    pub(super) fn value(&self) -> Option<&'p [u8]> {
        match *self {
            Change::Key(_, What::Put { value, .. }) => Some(value),
            Change::Element(_, value) => value,
            _ => None,
        }
    }
}

/// What happens to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'p> {
    Put {
        value: &'p [u8],
        expires_at_ms: Option<u64>,
    },
    Delete,
    /// The expiry changes, the value stays: `None` removes it.
    Expire(Option<u64>),
}

/// What the pending changes say about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latest<'p> {
    Changed(What<'p>),
    /// Its database was cleared after its last change.
    Cleared,
}

#[derive(Debug)]
struct Op {
    place: Place,
    /// Of a key, an element or a collection.
    key: Range<usize>,
    kind: OpKind,
}

#[derive(Debug)]
enum OpKind {
    Put { value: Range<usize>, expires_at_ms: Option<u64> },
    Delete,
    Expire(Option<u64>),
    Clear,
    Element { value: Option<Range<usize>> },
    Elements,
    Swap { with: usize },
}

impl OpKind {
    fn is_of_elements(&self) -> bool {
        matches!(self, OpKind::Element { .. } | OpKind::Elements)
    }
}

#[derive(Debug)]
struct Told {
    place: Place,
    class: Class,
    name: &'static str,
    key: Range<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    ops: Vec<Op>,
    /// Keys whose elements changed.
    touches: Vec<(Place, Range<usize>)>,
    events: Vec<Told>,
    /// Changes of elements among the ops, and swaps.
    element_ops: usize,
    swaps: usize,
    room: shrink::Room,
    keys: keys::Index,
    elements: elements::Overlay,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
    pub(super) fn mark(&self) -> Mark {
        Mark {
            ops: self.ops.len(),
            bytes: self.bytes.len(),
            touches: self.touches.len(),
            events: self.events.len(),
        }
    }
    pub(super) fn truncate(&mut self, mark: Mark) {
        for op in &self.ops[mark.ops..] {
            self.element_ops -= usize::from(op.kind.is_of_elements());
            self.swaps -= usize::from(matches!(op.kind, OpKind::Swap { .. }));
            self.room.give_back(op);
        }
        self.ops.truncate(mark.ops);
        self.bytes.truncate(mark.bytes);
        self.touches.truncate(mark.touches);
        self.events.truncate(mark.events);
        self.keys.forget_after(mark.ops);
        self.elements.forget_after(mark.ops);
    }
    pub(super) fn clear(&mut self) {
        self.ops.clear();
        self.bytes.clear();
        self.touches.clear();
        self.events.clear();
        (self.element_ops, self.swaps) = (0, 0);
        self.keys.forget_after(0);
        self.elements.forget_after(0);
        self.room.clear();
        // One huge command must not pin its memory for ever.
        if self.bytes.capacity() > 1 << 20 {
            self.bytes = Vec::new();
        }
        if self.ops.capacity() > 1 << 14 {
            self.ops = Vec::new();
        }
    }

    pub(super) fn put(
        &mut self,
        place: Place,
        key: &[u8],
        (tag, payload): (u8, &[u8]),
        expires_at_ms: Option<u64>,
    ) {
        self.put_edited(place, key, (tag, payload, payload.len()), expires_at_ms, |_| ());
    }
    /// Puts a value that begins as given, is so long, and that `f` changes where it lies.
    pub(super) fn put_edited<R>(
        &mut self,
        place: Place,
        key: &[u8],
        (tag, beginning, len): (u8, &[u8], usize),
        expires_at_ms: Option<u64>,
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> R {
        let key = self.store(key);
        let start = self.bytes.len();
        self.bytes.reserve(1 + len);
        self.bytes.push(tag);
        self.bytes.extend_from_slice(beginning);
        self.bytes.resize(start + 1 + len, 0);
        let result = f(&mut self.bytes[start + 1..]);
        let value = start..self.bytes.len();
        self.room.add(value.len());
        self.ops.push(Op { place, key, kind: OpKind::Put { value, expires_at_ms } });
        result
    }
    pub(super) fn delete(&mut self, place: Place, key: &[u8]) {
        let key = self.store(key);
        self.ops.push(Op { place, key, kind: OpKind::Delete });
    }
    pub(super) fn clear_db(&mut self, place: Place) {
        self.ops.push(Op { place, key: 0..0, kind: OpKind::Clear });
        self.element_ops += 1;
    }
    pub(super) fn swap(&mut self, place: Place, with: usize) {
        self.ops.push(Op { place, key: 0..0, kind: OpKind::Swap { with } });
        self.swaps += 1;
    }
    /// Changes the expiry of a key that exists. A pending put is repeated with the new expiry, so
    /// that the latest change of a key always tells its whole state, or that the store's one stays.
    pub(super) fn expire(&mut self, place: Place, key: &[u8], expires_at_ms: Option<u64>) {
        let kind = match self.latest_op(place.home, key).map(|at| &self.ops[at].kind) {
            Some(OpKind::Put { value, .. }) => {
                self.room.add(value.len());
                OpKind::Put { value: value.clone(), expires_at_ms }
            }
            _ => OpKind::Expire(expires_at_ms),
        };
        let key = self.store(key);
        self.ops.push(Op { place, key, kind });
    }

    /// What the pending changes say about a key; `None` if nothing.
    #[inline]
    pub(super) fn latest(&mut self, home: usize, key: &[u8]) -> Option<Latest<'_>> {
        if self.ops.is_empty() {
            return None;
        }
        let at = self.latest_op(home, key)?;
        match self.view(&self.ops[at]) {
            Change::Key(_, what) => Some(Latest::Changed(what)),
            _ => Some(Latest::Cleared),
        }
    }

    /// Every change, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, Change<'_>)> {
        self.ops.iter().map(|op| (op.place, self.view(op)))
    }
    /// True if the database is cleared by one of the changes.
    pub(super) fn clears(&self, home: usize) -> bool {
        self.ops.iter().any(|op| op.place.home == home && matches!(op.kind, OpKind::Clear))
    }
    /// The indices of databases that are swapped, in order.
    pub(super) fn swaps(&self) -> impl Iterator<Item = (usize, usize)> {
        let swaps = if self.swaps == 0 { &[][..] } else { &self.ops[..] };
        swaps.iter().filter_map(|op| match op.kind {
            OpKind::Swap { with } => Some((op.place.index, with)),
            _ => None,
        })
    }
    pub(super) fn has_swaps(&self) -> bool {
        self.swaps > 0
    }

    /// Some value is longer than this.
    pub(super) fn has_longer(&self, len_bytes: usize) -> bool {
        // The buffer holds them all, and nearly always it is short.
        self.bytes.len() > len_bytes && self.longer(len_bytes).next().is_some()
    }
    /// The values that are longer than this, in the order of the changes.
    fn longer(&self, len_bytes: usize) -> impl Iterator<Item = LargeValue> {
        self.ops.iter().filter_map(move |op| {
            let (at, is_element) = match &op.kind {
                OpKind::Put { value, .. } => (value, false),
                OpKind::Element { value: Some(value) } => (value, true),
                _ => return None,
            };
            let home = op.place.home;
            (at.len() > len_bytes).then(|| LargeValue { home, is_element, at: at.clone() })
        })
    }
    /// Forgets all changes and gives the values that are longer than this.
    pub(super) fn take_longer(&mut self, len_bytes: usize) -> Large {
        let values = self.longer(len_bytes).collect();
        let bytes = std::mem::take(&mut self.bytes);
        self.clear();
        Large { bytes, values }
    }

    /// Remembers that elements of `key` change.
    pub(super) fn touch(&mut self, place: Place, key: &[u8]) {
        let last = self.touches.last();
        if last.is_none_or(|(at, range)| *at != place || self.bytes[range.clone()] != *key) {
            let key = self.store(key);
            self.touches.push((place, key));
        }
    }
    pub(super) fn touches(&self) -> impl Iterator<Item = (Place, &[u8])> {
        self.touches.iter().map(|(place, key)| (*place, &self.bytes[key.clone()]))
    }
    pub(super) fn tell(&mut self, place: Place, (class, name): (Class, &'static str), key: &[u8]) {
        let key = self.store(key);
        self.events.push(Told { place, class, name, key });
    }
    /// Forgets events that come with no change.
    pub(super) fn clear_events(&mut self) {
        debug_assert!(self.ops.is_empty(), "the changes go with their events");
        self.clear();
    }
    pub(super) fn events_len(&self) -> usize {
        self.events.len()
    }
    pub(super) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.events.iter().map(|told| {
            let Told { place, class, name, ref key } = *told;
            Event { class, name, db: place.index, key: &self.bytes[key.clone()] }
        })
    }

    /// The keys that were looked up in vain since `mark`, if that is told.
    pub(super) fn misses_since(&self, mark: Mark) -> Vec<(Place, Vec<u8>)> {
        let told = self.events[mark.events..].iter().filter(|told| told.class == Class::KeyMiss);
        told.map(|told| (told.place, self.bytes[told.key.clone()].to_vec())).collect()
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
    fn view(&self, op: &Op) -> Change<'_> {
        let key = &self.bytes[op.key.clone()];
        let what = match &op.kind {
            OpKind::Put { value, expires_at_ms } => {
                What::Put { value: &self.bytes[value.clone()], expires_at_ms: *expires_at_ms }
            }
            OpKind::Delete => What::Delete,
            OpKind::Expire(at) => What::Expire(*at),
            OpKind::Clear => return Change::Clear,
            OpKind::Element { value } => {
                let value = value.as_ref().map(|value| &self.bytes[value.clone()]);
                return Change::Element(key, value);
            }
            OpKind::Elements => return Change::Elements(key),
            OpKind::Swap { with } => return Change::Swap(*with),
        };
        Change::Key(key, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: Place = Place { index: 0, home: 0 };

    fn put(pending: &mut Pending, key: &str, value: &str) {
        pending.put(DB, key.as_bytes(), (0, value.as_bytes()), None);
    }

    #[test]
    fn latest_change_wins_with_and_without_index() {
        for filler in [0, LINEAR_MAX * 2] {
            let mut pending = Pending::default();
            for n in 0..filler {
                put(&mut pending, &format!("filler{n}"), "x");
            }
            put(&mut pending, "a", "1");
            put(&mut pending, "a", "2");
            let put_2 = What::Put { value: b"\x002", expires_at_ms: None };
            assert_eq!(pending.latest(0, b"a"), Some(Latest::Changed(put_2)));
            assert_eq!(pending.latest(1, b"a"), None);
            pending.expire(DB, b"a", Some(7));
            let put_7 = What::Put { value: b"\x002", expires_at_ms: Some(7) };
            assert_eq!(pending.latest(0, b"a"), Some(Latest::Changed(put_7)));
            pending.delete(DB, b"a");
            assert_eq!(pending.latest(0, b"a"), Some(Latest::Changed(What::Delete)));
            pending.clear_db(DB);
            assert_eq!(pending.latest(0, b"never seen"), Some(Latest::Cleared));
            put(&mut pending, "b", "3");
            assert!(matches!(pending.latest(0, b"b"), Some(Latest::Changed(What::Put { .. }))));
        }
    }

    #[test]
    fn truncating_forgets_what_came_after_the_mark() {
        for filler in [0, LINEAR_MAX * 2] {
            let mut pending = Pending::default();
            for n in 0..filler {
                put(&mut pending, &format!("filler{n}"), "x");
            }
            put(&mut pending, "a", "1");
            let mark = pending.mark();
            put(&mut pending, "a", "2");
            pending.delete(DB, b"c");
            assert_eq!(pending.latest(0, b"c"), Some(Latest::Changed(What::Delete)));
            pending.truncate(mark);
            assert_eq!(pending.latest(0, b"c"), None);
            let put_1 = What::Put { value: b"\x001", expires_at_ms: None };
            assert_eq!(pending.latest(0, b"a"), Some(Latest::Changed(put_1)));
        }
    }
}
