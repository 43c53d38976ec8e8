//! The latest change of a key, found by its hash where changes are many.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use super::{LINEAR_MAX, Op, OpKind, Pending};

/// The latest change of each key, and the latest clear of each database, among the first
/// `covered` changes. A chain per hash, because the index holds no keys of its own.
#[derive(Debug, Default)]
pub(super) struct Index {
    covered: usize,
    hasher: RandomState,
    heads: HashMap<u64, usize>,
    previous: Vec<Option<usize>>,
    clears: HashMap<usize, usize>,
}

impl Pending {
    pub(super) fn latest_op(&mut self, home: usize, key: &[u8]) -> Option<usize> {
        if self.ops.len() > LINEAR_MAX {
            return self.indexed(home, key);
        }
        self.ops.iter().rposition(|op| {
            op.place.home == home
                && match op.kind {
                    OpKind::Clear => true,
                    OpKind::Put { .. } | OpKind::Delete | OpKind::Expire(_) => {
                        self.bytes[op.key.clone()] == *key
                    }
                    OpKind::Element { .. } | OpKind::Elements | OpKind::Swap { .. } => false,
                }
        })
    }
    fn indexed(&mut self, home: usize, key: &[u8]) -> Option<usize> {
        let Pending { bytes, ops, keys: index, .. } = self;
        index.extend(bytes, ops);
        let mut at = index.heads.get(&index.hasher.hash_one((home, key))).copied();
        while let Some(found) = at
            && (ops[found].place.home != home || bytes[ops[found].key.clone()] != *key)
        {
            at = index.previous[found];
        }
        at.max(index.clears.get(&home).copied())
    }
}

impl Index {
    /// Changes from `ops` on are no more.
    pub(super) fn forget_after(&mut self, ops: usize) {
        if self.covered > ops {
            self.covered = 0;
            self.heads = HashMap::new();
            self.previous = Vec::new();
            self.clears = HashMap::new();
        }
    }
    fn extend(&mut self, bytes: &[u8], ops: &[Op]) {
        for (at, op) in ops.iter().enumerate().skip(self.covered) {
            let home = op.place.home;
            let previous = match op.kind {
                OpKind::Clear => {
                    self.clears.insert(home, at);
                    None
                }
                OpKind::Put { .. } | OpKind::Delete | OpKind::Expire(_) => {
                    let key = &bytes[op.key.clone()];
                    self.heads.insert(self.hasher.hash_one((home, key)), at)
                }
                OpKind::Element { .. } | OpKind::Elements | OpKind::Swap { .. } => None,
            };
            self.previous.push(previous);
        }
        self.covered = ops.len();
    }
}
