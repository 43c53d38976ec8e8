//! A leaf of the order index: up to 64 entries as arrays of heads and references.
//!
//! Knows its entries. Does not know its place in the tree: the fences (two keys that all its keys
//! lie between) are given by the caller.
//!
//! # Invariants
//!
//! F1. Entries ascend by key.
//! F2. All keys share their first `skip` bytes with both fences, and the heads are behind those.

use std::{hint::black_box, ops::Range};

use super::heads::{HEADS_MAX, Heads};
use super::prefix::{head, lowered, separator, separator_of_heads};
use super::{Fences, KeySource, OrderRef, Side};
use crate::keydir::entry::EntryRef;
use crate::keydir::index;

/// Most entries of a leaf.
pub(super) const LEAF_LEN_MAX: usize = HEADS_MAX;
/// So many equal heads in a row are worth looking up every key of the leaf, once, to skip more.
const TIES_MAX: usize = 3;

#[derive(Debug)]
pub(super) struct Leaf {
    len: u32,
    skip: u32,
    heads: Heads,
    entries: [u32; LEAF_LEN_MAX],
    shards: [u8; LEAF_LEN_MAX],
}

impl Leaf {
    pub(super) fn new() -> Self {
        Self {
            len: 0,
            skip: 0,
            heads: Heads::new(),
            entries: [0; LEAF_LEN_MAX],
            shards: [0; LEAF_LEN_MAX],
        }
    }

    /// An empty leaf with this many skipped bytes.
    pub(super) fn with_skip(skip: usize) -> Self {
        let mut leaf = Self::new();
        leaf.set_skip(skip);
        leaf
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        index(self.len)
    }

    #[inline]
    pub(super) fn skip(&self) -> usize {
        index(self.skip)
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> OrderRef {
        OrderRef { shard: self.shards[at], entry: EntryRef(self.entries[at]) }
    }

    #[cfg(test)]
    pub(super) fn head_at(&self, at: usize) -> u64 {
        self.heads.get(at)
    }

    /// Entries in order.
    pub(super) fn refs(&self) -> impl DoubleEndedIterator<Item = OrderRef> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// How many keys are below `key`, or not above it.
    pub(super) fn position<K: KeySource>(&self, keys: &K, key: &[u8], side: Side) -> usize {
        let (mut from, mut to) = self.ties(head(key, self.skip()));
        while from < to {
            let middle = from.midpoint(to);
            let below = keys.with_key(self.get(middle), |other| match side {
                Side::Before => other < key,
                Side::After => other <= key,
            });
            if below {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    /// Adds an entry; the leaf is not full and the key is not in it.
    pub(super) fn insert<K: KeySource>(
        &mut self,
        keys: &K,
        key: &[u8],
        r: OrderRef,
        fences: Fences<'_>,
    ) {
        let (from, to) = self.ties(head(key, self.skip()));
        let at = if from == to {
            from
        } else {
            if to - from >= TIES_MAX {
                self.raise_skip(keys, fences.shared_len());
            }
            self.position(keys, key, Side::Before)
        };
        self.insert_at(at, head(key, self.skip()), r);
    }

    /// Adds an entry behind all others.
    pub(super) fn push(&mut self, key: &[u8], r: OrderRef) {
        self.insert_at(self.len(), head(key, self.skip()), r);
    }

    /// Where the entry of this key is. Compares no keys.
    pub(super) fn locate(&self, key: &[u8], r: OrderRef) -> Option<usize> {
        let (from, to) = self.ties(head(key, self.skip()));
        (from..to).find(|&at| self.get(at) == r)
    }

    pub(super) fn remove_at(&mut self, at: usize) {
        let len = self.len();
        self.heads.remove(at, at + 1, len);
        self.entries.copy_within(at + 1..len, at);
        self.shards.copy_within(at + 1..len, at);
        self.len -= 1;
    }

    pub(super) fn set(&mut self, at: usize, r: OrderRef) {
        self.shards[at] = r.shard;
        self.entries[at] = r.entry.0;
    }

    /// Removes entries `from..to` and returns them as a leaf that skips as much.
    pub(super) fn take(&mut self, from: usize, to: usize) -> Self {
        let mut taken = Self::with_skip(self.skip());
        taken.append_range(self, from, to);
        let len = self.len();
        self.heads.remove(from, to, len);
        self.entries.copy_within(to..len, from);
        self.shards.copy_within(to..len, from);
        self.set_len(len - (to - from));
        taken
    }

    /// Puts all entries of `other` behind these; both skip as much.
    pub(super) fn append(&mut self, other: &Self) {
        self.append_range(other, 0, other.len());
    }

    /// Puts all entries of `other` before these; both skip as much.
    pub(super) fn prepend(&mut self, mut other: Self) {
        other.append(self);
        *self = other;
    }

    /// Skips fewer bytes. Needs no key: `shared` begins with the bytes skipped so far.
    pub(super) fn lower_skip(&mut self, to: usize, shared: &[u8]) {
        let (from, len) = (self.skip(), self.len());
        if to < from {
            self.heads.remake(len, |_, head| lowered(head, shared, from, to));
            self.set_skip(to);
        }
    }

    /// The shortest key that separates the entries before `at` from the others.
    pub(super) fn separator<K: KeySource>(&self, keys: &K, at: usize, shared: &[u8]) -> Vec<u8> {
        let (left, right) = (self.heads.get(at - 1), self.heads.get(at));
        separator_of_heads(left, right, shared, self.skip()).unwrap_or_else(|| {
            let left = keys.with_key(self.get(at - 1), <[u8]>::to_vec);
            keys.with_key(self.get(at), |right| separator(&left, right))
        })
    }

    /// The shortest key that separates all entries from `key`, which lies behind them.
    pub(super) fn separator_from<K: KeySource>(&self, keys: &K, key: &[u8]) -> Vec<u8> {
        let last = self.len() - 1;
        separator_of_heads(self.heads.get(last), head(key, self.skip()), key, self.skip())
            .unwrap_or_else(|| keys.with_key(self.get(last), |left| separator(left, key)))
    }

    /// The shortest key above `key`, which lies before all entries, and not above them.
    pub(super) fn separator_to<K: KeySource>(&self, keys: &K, key: &[u8]) -> Vec<u8> {
        separator_of_heads(head(key, self.skip()), self.heads.get(0), key, self.skip())
            .unwrap_or_else(|| keys.with_key(self.get(0), |right| separator(key, right)))
    }

    /// A place near the middle to split at, if possible between different heads.
    pub(super) fn middle(&self) -> usize {
        let middle = self.len() / 2;
        let near = (middle..middle + self.len() / 8).zip((0..=middle).rev());
        near.flat_map(|(above, below)| [above, below])
            .find(|&at| at > 0 && self.heads.get(at - 1) != self.heads.get(at))
            .unwrap_or(middle)
    }

    /// Skips more bytes, all that the fences share. Looks up every key.
    fn raise_skip<K: KeySource>(&mut self, keys: &K, to: usize) {
        if to > self.skip() {
            let mut heads = std::mem::replace(&mut self.heads, Heads::new());
            heads.remake(self.len(), |at, _| keys.with_key(self.get(at), |key| head(key, to)));
            self.heads = heads;
            self.set_skip(to);
        }
    }

    /// The entries that only a look at their keys tells from this one.
    pub(super) fn ties_of(&self, key: &[u8]) -> Range<usize> {
        let (from, to) = self.ties(head(key, self.skip()));
        from..to
    }

    /// The entries with this head.
    #[inline]
    fn ties(&self, head: u64) -> (usize, usize) {
        self.fetch_refs();
        let from = self.heads.below(head);
        let equal = self.heads.equal(from, self.len(), head);
        (from, from + equal)
    }

    /// Reads a byte of each cache line of the references, so that they are on their way while the
    /// heads, on other lines, are being searched.
    #[inline]
    fn fetch_refs(&self) {
        for at in [0, 16, 32, 48] {
            black_box(self.entries[at]);
        }
        black_box(self.shards[0]);
    }

    fn insert_at(&mut self, at: usize, head: u64, r: OrderRef) {
        let len = self.len();
        self.heads.insert(at, len, head);
        self.entries.copy_within(at..len, at + 1);
        self.shards.copy_within(at..len, at + 1);
        self.set(at, r);
        self.len += 1;
    }

    fn append_range(&mut self, other: &Self, from: usize, to: usize) {
        let (len, new) = (self.len(), self.len() + (to - from));
        self.heads.append(len, &other.heads, from, to);
        self.entries[len..new].copy_from_slice(&other.entries[from..to]);
        self.shards[len..new].copy_from_slice(&other.shards[from..to]);
        self.set_len(new);
    }

    fn set_len(&mut self, len: usize) {
        self.len = u32::try_from(len).expect("at most LEAF_LEN_MAX");
    }

    fn set_skip(&mut self, skip: usize) {
        self.skip = u32::try_from(skip).expect("at most a key's length");
    }
}
