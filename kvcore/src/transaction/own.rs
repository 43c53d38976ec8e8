//! What a transaction has written so far, and has not committed.
//!
//! Knows encoded keys and values. Does not know what the store holds, nor types.
//!
//! # Invariants
//!
//! O1. Deleted ranges are disjoint, and come before whatever `keys` says: a key written after its
//!     range was deleted is there.
//! O2. A key of a deleted range is in `keys` only if it was written later.

use crate::{ids::KeyspaceId, key::EncodedRange, keyspace::Inner, value::Value};
use std::{
    collections::{BTreeMap, btree_map},
    ops::Bound,
    sync::Arc,
};

/// The last write to one key.
#[derive(Debug)]
pub(super) enum Write {
    Put {
        value: Value,
        expires_at_ms: Option<u64>,
    },
    Delete,
    /// The stored value stays, with another expiry.
    Expire(Option<u64>),
}

/// What a transaction sees of a key.
#[derive(Debug)]
pub(super) enum Seen<'a> {
    /// Its own put.
    Put { value: &'a Value, expires_at_ms: Option<u64> },
    /// Its own delete.
    Gone,
    /// What is stored.
    Stored,
    /// What is stored, with another expiry.
    Expiring(Option<u64>),
}

/// The writes to one keyspace.
#[derive(Debug)]
pub(super) struct OwnSpace {
    pub(super) inner: Arc<Inner>,
    pub(super) keys: BTreeMap<Vec<u8>, Write>,
    /// From a key up to, but not including, another; `None` is the end of the keyspace.
    deleted: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

/// The writes to all keyspaces.
#[derive(Debug, Default)]
pub(super) struct Own(Vec<OwnSpace>);

impl Own {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|space| space.keys.is_empty() && space.deleted.is_empty())
    }

    pub(super) fn spaces(&self) -> impl Iterator<Item = &OwnSpace> {
        self.0.iter()
    }

    pub(super) fn space(&self, id: KeyspaceId) -> Option<&OwnSpace> {
        self.0.iter().find(|space| space.inner.core.id() == id)
    }

    pub(super) fn space_mut(&mut self, inner: &Arc<Inner>) -> &mut OwnSpace {
        let id = inner.core.id();
        let at = self.0.iter().position(|space| space.inner.core.id() == id);
        let at = at.unwrap_or_else(|| {
            let (inner, keys, deleted) = (Arc::clone(inner), BTreeMap::new(), BTreeMap::new());
            self.0.push(OwnSpace { inner, keys, deleted });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub(super) fn seen(&self, id: KeyspaceId, key: &[u8]) -> Seen<'_> {
        self.space(id).map_or(Seen::Stored, |space| space.seen(key))
    }
}

impl OwnSpace {
    pub(super) fn seen(&self, key: &[u8]) -> Seen<'_> {
        match self.keys.get(key) {
            Some(Write::Put { value, expires_at_ms }) => {
                Seen::Put { value, expires_at_ms: *expires_at_ms }
            }
            Some(Write::Delete) => Seen::Gone,
            Some(Write::Expire(at_ms)) => Seen::Expiring(*at_ms),
            None if self.is_deleted(key) => Seen::Gone,
            None => Seen::Stored,
        }
    }

    /// The stored key is in a deleted range.
    pub(super) fn is_deleted(&self, key: &[u8]) -> bool {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        let below = self.deleted.range::<[u8], _>(up_to).next_back();
        below.is_some_and(|(_, end)| is_before(key, end.as_deref()))
    }

    /// Changes a key's expiry; the caller has seen that it is there.
    pub(super) fn expire(&mut self, key: Vec<u8>, at_ms: Option<u64>) {
        match self.keys.get_mut(&key) {
            Some(Write::Put { expires_at_ms, .. }) => *expires_at_ms = at_ms,
            _ => drop(self.keys.insert(key, Write::Expire(at_ms))),
        }
    }

    pub(super) fn delete_range(&mut self, range: &EncodedRange) {
        let (mut start, mut end) = half_open(range);
        self.keys.retain(|key, _| *key < start || !is_before(key, end.as_deref()));
        // What it touches becomes one range with it (O1).
        let touches = |(from, to): (&Vec<u8>, &Option<Vec<u8>>)| {
            let begins_before_end = end.as_ref().is_none_or(|end| from <= end);
            let ends_after_start = to.as_ref().is_none_or(|to| *to >= start);
            (begins_before_end && ends_after_start).then(|| from.clone())
        };
        let touched: Vec<Vec<u8>> = self.deleted.iter().filter_map(touches).collect();
        for from in touched {
            let to = self.deleted.remove(&from).flatten();
            end = end.zip(to).map(|(a, b)| a.max(b));
            start = start.min(from);
        }
        self.deleted.insert(start, end);
    }

    /// The deleted ranges, as bounds.
    pub(super) fn deleted_ranges(&self) -> impl Iterator<Item = (Bound<&[u8]>, Bound<&[u8]>)> {
        self.deleted.iter().map(|(start, end)| (from(start), to(end.as_deref())))
    }

    /// The deleted ranges' parts that lie in a range, as bounds.
    pub(super) fn deleted_within(&self, range: &EncodedRange) -> Vec<EncodedRange> {
        let (start, end) = half_open(range);
        let part = |(from, to): (&Vec<u8>, &Option<Vec<u8>>)| {
            let from = from.max(&start).clone();
            let to = match (to, &end) {
                (Some(a), Some(b)) => Some(a.min(b).clone()),
                (a, b) => a.as_ref().or(b.as_ref()).cloned(),
            };
            let bounds = EncodedRange {
                start: Bound::Included(from),
                end: to.map_or(Bound::Unbounded, Bound::Excluded),
            };
            (!bounds.is_empty()).then_some(bounds)
        };
        self.deleted.iter().filter_map(part).collect()
    }

    /// The keys written in a range, in order. The range is not empty.
    pub(super) fn range(&self, range: &EncodedRange) -> btree_map::Range<'_, Vec<u8>, Write> {
        let bounds = (as_slice(&range.start), as_slice(&range.end));
        self.keys.range::<[u8], _>(bounds)
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    crate::batch::borrow(bound)
}

/// Nothing comes before the empty key, and nothing between a key and itself with a zero, which
/// may be too long for a bound.
fn from(start: &[u8]) -> Bound<&[u8]> {
    match start {
        [] => Bound::Unbounded,
        [key @ .., 0] => Bound::Excluded(key),
        key => Bound::Included(key),
    }
}

fn to(end: Option<&[u8]>) -> Bound<&[u8]> {
    match end {
        None => Bound::Unbounded,
        Some([key @ .., 0]) => Bound::Included(key),
        Some(key) => Bound::Excluded(key),
    }
}

fn is_before(key: &[u8], end: Option<&[u8]>) -> bool {
    end.is_none_or(|end| key < end)
}

/// The same range from a first key up to, but not including, another.
fn half_open(range: &EncodedRange) -> (Vec<u8>, Option<Vec<u8>>) {
    let after = |key: &[u8]| [key, &[0]].concat();
    let start = match &range.start {
        Bound::Included(key) => key.clone(),
        Bound::Excluded(key) => after(key),
        Bound::Unbounded => Vec::new(),
    };
    let end = match &range.end {
        Bound::Included(key) => Some(after(key)),
        Bound::Excluded(key) => Some(key.clone()),
        Bound::Unbounded => None,
    };
    (start, end)
}
