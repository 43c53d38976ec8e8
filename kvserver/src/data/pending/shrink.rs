//! Giving back the room of values that later changes replace: a string that one MULTI edits a
//! thousand times neither lies there a thousand times nor is it written as often.

use std::collections::HashSet;
use std::ops::Range;

use super::{Op, OpKind, Pending};
use crate::data::collection::ID_LEN;

/// Values up to this length stay: what replaces them takes about as much by itself.
const KEPT_LEN_MAX: usize = 1 << 10;
/// With fewer bytes of long values nobody looks for replaced ones: between two commands, and
/// before the commit.
const SHRINK_FROM_BYTES: usize = 16 << 20;
const SHRINK_AT_END_FROM_BYTES: usize = 1 << 20;

/// How much long values take.
#[derive(Debug, Default)]
pub(super) struct Room {
    long_bytes: usize,
    /// With so many it may pay to look again.
    shrink_at: usize,
}

impl Room {
    #[inline]
    pub(super) fn add(&mut self, len: usize) {
        if len > KEPT_LEN_MAX {
            self.long_bytes += len;
        }
    }
    /// A change is no more.
    pub(super) fn give_back(&mut self, op: &Op) {
        let len = op.kind.value().map_or(0, Range::len);
        if len > KEPT_LEN_MAX {
            self.long_bytes -= len;
        }
    }
    pub(super) fn clear(&mut self) {
        *self = Room::default();
    }
}

impl OpKind {
    fn value(&self) -> Option<&Range<usize>> {
        match self {
            OpKind::Put { value, .. } | OpKind::Element { value: Some(value) } => Some(value),
            _ => None,
        }
    }
}

/// What is changed by changes seen so far, the last ones first.
#[derive(Default)]
struct Later<'b> {
    cleared: HashSet<usize>,
    keys: HashSet<(usize, &'b [u8])>,
    elements: HashSet<(usize, &'b [u8])>,
    collections: HashSet<(usize, &'b [u8])>,
}

impl<'b> Later<'b> {
    /// Notes what `op` changes; true if a later change leaves nothing of it.
    fn replaces(&mut self, op: &Op, bytes: &'b [u8]) -> bool {
        let home = op.place.home;
        let key = (home, &bytes[op.key.clone()]);
        let is_cleared = self.cleared.contains(&home);
        match op.kind {
            OpKind::Put { .. } | OpKind::Delete => !self.keys.insert(key) || is_cleared,
            OpKind::Element { .. } => {
                let id = key.1.get(..ID_LEN).unwrap_or_default();
                !self.elements.insert(key) || self.collections.contains(&(home, id)) || is_cleared
            }
            OpKind::Elements => !self.collections.insert(key),
            OpKind::Clear => !self.cleared.insert(home),
            OpKind::Expire(_) | OpKind::Swap { .. } => false,
        }
    }
}

impl Pending {
    /// Gives back the room of replaced values, where there is so much that it may pay. Marks of
    /// before are of no use any more.
    pub(in crate::data) fn shrink(&mut self) {
        if self.room.long_bytes < self.room.shrink_at.max(SHRINK_FROM_BYTES) {
            return;
        }
        self.cut_replaced();
        self.move_together();
        self.room.shrink_at = 2 * self.room.long_bytes;
    }

    /// The same before the commit: what is replaced is not written.
    pub(in crate::data) fn shrink_at_end(&mut self) {
        if self.room.long_bytes >= SHRINK_AT_END_FROM_BYTES {
            self.cut_replaced();
        }
    }

    /// Cuts long values that a later change replaces or removes. What is left of each is a change
    /// all the same (P1): of a key to a string without bytes, of an element to no bytes.
    fn cut_replaced(&mut self) {
        let Pending { bytes, ops, room, .. } = self;
        let mut later = Later::default();
        for op in ops.iter_mut().rev() {
            let is_replaced = later.replaces(op, bytes);
            let (value, tag_len) = match &mut op.kind {
                OpKind::Put { value, .. } => (value, 1),
                OpKind::Element { value: Some(value) } => (value, 0),
                _ => continue,
            };
            if is_replaced && value.len() > KEPT_LEN_MAX {
                room.long_bytes -= value.len();
                value.end = value.start + tag_len;
            }
        }
    }

    /// Leaves out of the buffer what nothing refers to.
    fn move_together(&mut self) {
        let old = std::mem::take(&mut self.bytes);
        let mut new = Vec::with_capacity(self.room.long_bytes);
        let mut keep = |range: &mut Range<usize>| {
            let start = new.len();
            new.extend_from_slice(&old[range.clone()]);
            *range = start..new.len();
        };
        for op in &mut self.ops {
            keep(&mut op.key);
            match &mut op.kind {
                OpKind::Put { value, .. } | OpKind::Element { value: Some(value) } => keep(value),
                _ => {}
            }
        }
        self.touches.iter_mut().for_each(|(_, key)| keep(key));
        self.events.iter_mut().for_each(|told| keep(&mut told.key));
        self.bytes = new;
        // It knows values by their places.
        self.elements.forget_after(0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Latest, What};
    use super::*;
    use crate::data::Place;
    use crate::data::collection::Id;

    const DB: Place = Place { index: 0, home: 0 };
    const LONG: usize = 100_000;

    fn value_of(n: u8) -> Vec<u8> {
        let mut value = vec![0, n];
        value.resize(1 + LONG, b'x');
        value
    }

    #[test]
    fn values_that_are_replaced_give_their_room_back_and_stay_changes() {
        let mut pending = Pending::default();
        let (long, other) = (vec![b'x'; LONG], vec![b'y'; 2_000]);
        let id = Id::from_bytes(&7u64.to_be_bytes()).unwrap();
        pending.put(DB, b"other", (0, &other), Some(9));
        pending.touch(DB, b"touched");
        for n in 0..200u8 {
            pending.put_edited(DB, b"key", (0, &long, LONG), Some(7), |bytes| bytes[0] = n);
            pending.expire(DB, b"key", Some(8));
            pending.put_element(DB, id, b"sub", &[n; LONG]);
            pending.shrink();
            assert!(pending.bytes.len() < SHRINK_FROM_BYTES + 3 * LONG, "{n}");
        }
        let whole = [&id.bytes()[..], b"sub"].concat();
        assert_eq!(pending.element(0, &whole), Some(Some(&[199; LONG][..])));
        pending.put(DB, b"gone", (0, &long), None);
        pending.delete(DB, b"gone");
        pending.shrink_at_end();
        assert_eq!(pending.room.long_bytes, value_of(0).len() + LONG + 2_001);
        assert_eq!(pending.element(0, &whole), Some(Some(&[199; LONG][..])));

        let put = |value, expires_at_ms| Latest::Changed(What::Put { value, expires_at_ms });
        let last = value_of(199);
        assert_eq!(pending.latest(0, b"key"), Some(put(&last[..], Some(8))));
        let other = [&[0], &other[..]].concat();
        assert_eq!(pending.latest(0, b"other"), Some(put(&other[..], Some(9))));
        assert_eq!(pending.latest(0, b"gone"), Some(Latest::Changed(What::Delete)));
        assert_eq!(pending.touches().collect::<Vec<_>>(), [(DB, &b"touched"[..])]);
        // P1: none is left out, and each is still of its key and type.
        assert_eq!(pending.len(), 603);
        let is_cut = |change: &Change<'_>| match change {
            Change::Key(b"key" | b"gone", What::Put { value, .. }) => *value == [0],
            _ => false,
        };
        assert_eq!(pending.iter().filter(|(_, change)| is_cut(change)).count(), 400);
        pending.truncate(super::super::Mark { ops: 0, bytes: 0, touches: 0, events: 0 });
        assert_eq!(pending.room.long_bytes, 0);
    }

    #[test]
    fn values_of_what_is_removed_as_a_whole_are_cut() {
        let mut pending = Pending::default();
        let id = Id::from_bytes(&7u64.to_be_bytes()).unwrap();
        for n in 0..20u8 {
            pending.put_element(DB, id, &[n], &[n; LONG]);
        }
        pending.remove_elements(DB, id);
        pending.put_element(DB, id, b"after", &[1; LONG]);
        pending.shrink_at_end();
        assert_eq!(pending.room.long_bytes, LONG);
        pending.put(DB, b"key", (0, &[2; 1 << 20]), None);
        pending.clear_db(DB);
        pending.put(DB, b"key", (0, &[3; LONG]), None);
        pending.shrink_at_end();
        assert_eq!(pending.room.long_bytes, LONG + 1);
        let rest = [&[0][..], &[3; LONG]].concat();
        let put = What::Put { value: &rest, expires_at_ms: None };
        assert_eq!(pending.latest(0, b"key"), Some(Latest::Changed(put)));
    }
}
