//! The changes of one command, or of one MULTI, before they are committed.
//!
//! Keys and values lie in one buffer that is reused, so a plain SET allocates nothing. Few changes
//! are searched one by one; from [`LINEAR_MAX`] on a hash index is built, if somebody reads.
//!
//! Pure: knows neither the store nor a clock.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Up to this many changes a look-up walks them.
const LINEAR_MAX: usize = 16;

/// A place in the list of changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    ops: usize,
    bytes: usize,
}

/// A change, with its bytes.
#[derive(Debug)]
pub(super) struct Change<'p> {
    pub(super) db: usize,
    /// `None`: the whole database.
    pub(super) key: Option<&'p [u8]>,
    pub(super) what: What<'p>,
}

/// What happens to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'p> {
    Put {
        value: &'p [u8],
        expires_at_ms: Option<u64>,
    },
    Delete,
    /// The expiry changes, the value stays: `None` removes it.
    Expire(Option<u64>),
    /// Every key of the database goes.
    Clear,
}

#[derive(Debug)]
struct Op {
    db: usize,
    key: Range<usize>,
    kind: OpKind,
}

#[derive(Debug)]
enum OpKind {
    Put { value: Range<usize>, expires_at_ms: Option<u64> },
    Delete,
    Expire(Option<u64>),
    Clear,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    ops: Vec<Op>,
    index: Index,
}

/// The latest change of each key, and the latest clear of each database, among the first
/// `covered` changes. A chain per hash, because the index holds no keys of its own.
#[derive(Debug, Default)]
struct Index {
    covered: usize,
    hasher: RandomState,
    heads: HashMap<u64, usize>,
    previous: Vec<Option<usize>>,
    clears: HashMap<usize, usize>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }
    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
    pub(super) fn mark(&self) -> Mark {
        Mark { ops: self.ops.len(), bytes: self.bytes.len() }
    }
    pub(super) fn truncate(&mut self, mark: Mark) {
        self.ops.truncate(mark.ops);
        self.bytes.truncate(mark.bytes);
        if self.index.covered > mark.ops {
            self.index.clear();
        }
    }
    pub(super) fn clear(&mut self) {
        self.truncate(Mark { ops: 0, bytes: 0 });
        self.index.clear();
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
        db: usize,
        key: &[u8],
        tag: u8,
        payload: &[u8],
        expires_at_ms: Option<u64>,
    ) {
        let key = self.store(key);
        let start = self.bytes.len();
        self.bytes.push(tag);
        self.bytes.extend_from_slice(payload);
        let value = start..self.bytes.len();
        self.ops.push(Op { db, key, kind: OpKind::Put { value, expires_at_ms } });
    }
    pub(super) fn delete(&mut self, db: usize, key: &[u8]) {
        let key = self.store(key);
        self.ops.push(Op { db, key, kind: OpKind::Delete });
    }
    pub(super) fn clear_db(&mut self, db: usize) {
        self.ops.push(Op { db, key: 0..0, kind: OpKind::Clear });
    }
    /// Changes the expiry of a key that exists. A pending put is repeated with the new expiry, so
    /// that the latest change of a key always tells its whole state, or that the store's one stays.
    pub(super) fn expire(&mut self, db: usize, key: &[u8], expires_at_ms: Option<u64>) {
        let kind = match self.latest_op(db, key).map(|at| &self.ops[at].kind) {
            Some(OpKind::Put { value, .. }) => OpKind::Put { value: value.clone(), expires_at_ms },
            _ => OpKind::Expire(expires_at_ms),
        };
        let key = self.store(key);
        self.ops.push(Op { db, key, kind });
    }

    /// What the pending changes say about a key; `None` if nothing.
    pub(super) fn latest(&mut self, db: usize, key: &[u8]) -> Option<What<'_>> {
        if self.ops.is_empty() {
            return None;
        }
        self.latest_op(db, key).map(|at| self.view(&self.ops[at]).what)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Change<'_>> {
        self.ops.iter().map(|op| self.view(op))
    }

    fn store(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }
    fn view(&self, op: &Op) -> Change<'_> {
        let what = match &op.kind {
            OpKind::Put { value, expires_at_ms } => {
                What::Put { value: &self.bytes[value.clone()], expires_at_ms: *expires_at_ms }
            }
            OpKind::Delete => What::Delete,
            OpKind::Expire(at) => What::Expire(*at),
            OpKind::Clear => return Change { db: op.db, key: None, what: What::Clear },
        };
        Change { db: op.db, key: Some(&self.bytes[op.key.clone()]), what }
    }
    fn latest_op(&mut self, db: usize, key: &[u8]) -> Option<usize> {
        if self.ops.len() > LINEAR_MAX {
            return self.indexed(db, key);
        }
        self.ops.iter().rposition(|op| {
            op.db == db && (matches!(op.kind, OpKind::Clear) || self.bytes[op.key.clone()] == *key)
        })
    }
    fn indexed(&mut self, db: usize, key: &[u8]) -> Option<usize> {
        let Pending { bytes, ops, index } = self;
        index.extend(bytes, ops);
        let mut at = index.heads.get(&index.hasher.hash_one((db, key))).copied();
        while let Some(found) = at
            && (ops[found].db != db || bytes[ops[found].key.clone()] != *key)
        {
            at = index.previous[found];
        }
        at.max(index.clears.get(&db).copied())
    }
}

impl Index {
    fn clear(&mut self) {
        if self.covered > 0 {
            self.covered = 0;
            self.heads = HashMap::new();
            self.previous = Vec::new();
            self.clears = HashMap::new();
        }
    }
    fn extend(&mut self, bytes: &[u8], ops: &[Op]) {
        for (at, op) in ops.iter().enumerate().skip(self.covered) {
            let previous = if matches!(op.kind, OpKind::Clear) {
                self.clears.insert(op.db, at);
                None
            } else {
                let key = &bytes[op.key.clone()];
                self.heads.insert(self.hasher.hash_one((op.db, key)), at)
            };
            self.previous.push(previous);
        }
        self.covered = ops.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pending: &mut Pending, key: &str, value: &str) {
        pending.put(0, key.as_bytes(), 0, value.as_bytes(), None);
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
            assert_eq!(pending.latest(0, b"a"), Some(put_2));
            assert_eq!(pending.latest(1, b"a"), None);
            pending.expire(0, b"a", Some(7));
            let put_7 = What::Put { value: b"\x002", expires_at_ms: Some(7) };
            assert_eq!(pending.latest(0, b"a"), Some(put_7));
            pending.delete(0, b"a");
            assert_eq!(pending.latest(0, b"a"), Some(What::Delete));
            pending.clear_db(0);
            assert_eq!(pending.latest(0, b"never seen"), Some(What::Clear));
            put(&mut pending, "b", "3");
            assert!(matches!(pending.latest(0, b"b"), Some(What::Put { .. })));
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
            pending.delete(0, b"c");
            assert_eq!(pending.latest(0, b"c"), Some(What::Delete));
            pending.truncate(mark);
            assert_eq!(pending.latest(0, b"c"), None);
            let put_1 = What::Put { value: b"\x001", expires_at_ms: None };
            assert_eq!(pending.latest(0, b"a"), Some(put_1));
        }
    }
}
