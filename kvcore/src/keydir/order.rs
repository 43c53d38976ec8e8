//! The keys of a keyspace in order: a B+tree that holds no keys.
//!
//! A leaf entry is eight bytes of the key, the first ones that tell it from its neighbours, and a
//! reference to the shard and entry that hold it whole. Only where eight bytes do not decide is
//! the key itself looked up, through a [`KeySource`]. Inner nodes own short separators and the
//! number of entries below each child, so ranks and counts cost one walk down.
//!
//! Knows order and references. Does not know hashes, entries' contents or locks.
//!
//! # Invariants
//!
//! O1. References ascend by their keys; every key of the keyspace is there once.
//! O2. `low` is not above any key and `high` not below any: they are the fences of the root. A
//!     node's fences are the separators beside it, or its parent's fences. All keys of a node
//!     begin with what its fences have in common, so nodes may skip those bytes unseen.
//! O3. All leaves have the same depth and none is empty.

mod balance;
mod build;
mod heads;
mod inner;
mod leaf;
mod prefix;
mod separators;
#[cfg(test)]
mod tests;

use std::ops::Bound;

pub(crate) use build::{Leaves, OrderBuilder};
use inner::{Inner, Node};
use leaf::Leaf;

use super::entry::EntryRef;
use super::figure;

/// Where a key and its entry are: which shard's table, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) struct OrderRef {
    pub(crate) shard: u8,
    pub(crate) entry: EntryRef,
}

/// Looks up the key of a reference. Expensive (a lock and a cache miss), so called rarely.
pub(crate) trait KeySource {
    /// Calls `f` with the key that `r` refers to.
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R;
}

/// A place beside a key, whether or not the key is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Before,
    After,
}

/// Two keys that all keys of a node lie between: none is below `low` or above `high`.
#[derive(Clone, Copy)]
struct Fences<'a> {
    low: &'a [u8],
    high: &'a [u8],
}

impl Fences<'_> {
    /// How many leading bytes everything between the fences has in common.
    fn shared_len(self) -> usize {
        prefix::shared_len(self.low, self.high)
    }
}

/// One of a node's fences.
#[derive(Clone, Copy)]
enum Edge {
    Low,
    High,
}

/// The order of all keys of a keyspace.
#[derive(Debug, Default)]
pub(crate) struct OrderIndex {
    root: Option<Node>,
    len: u64,
    low: Vec<u8>,
    high: Vec<u8>,
}

impl OrderIndex {
    /// An empty index; takes no memory.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds a key that is not in the index.
    pub(crate) fn insert(&mut self, keys: &impl KeySource, key: &[u8], r: OrderRef) {
        self.include(key);
        let fences = Fences { low: &self.low, high: &self.high };
        let mut root = self.root.take().unwrap_or_else(|| Node::Leaf(Box::new(Leaf::new())));
        if root.is_full() {
            root = Node::Inner(Box::new(Inner::above(root, fences)));
        }
        root.insert(keys, key, r, fences);
        self.root = Some(root);
        self.len += 1;
    }

    /// Removes a key; returns whether it was there with this reference. Looks up no keys.
    pub(crate) fn remove(&mut self, key: &[u8], r: OrderRef) -> bool {
        self.contains_fenced(key) && self.remove_held(key, r)
    }

    /// The same of a key that is there, at this reference.
    pub(crate) fn remove_held(&mut self, key: &[u8], r: OrderRef) -> bool {
        debug_assert!(self.contains_fenced(key), "all keys lie between the fences");
        let fences = Fences { low: &self.low, high: &self.high };
        let removed = match &mut self.root {
            None => false,
            Some(Node::Inner(inner)) => inner.remove(key, r, fences),
            Some(Node::Leaf(leaf)) => {
                leaf.locate(key, r).inspect(|&at| leaf.remove_at(at)).is_some()
            }
        };
        if removed {
            self.len -= 1;
            self.lower_root();
        }
        removed
    }

    /// The rank of a place beside `key`: the number of keys below it, or not above it.
    pub(crate) fn position(&self, keys: &impl KeySource, key: &[u8], side: Side) -> u64 {
        if key < &self.low[..] {
            return 0;
        }
        if key > &self.high[..] {
            return self.len;
        }
        let (mut node, mut rank) = (self.root.as_ref(), 0);
        while let Some(Node::Inner(inner)) = node {
            let at = inner.separators().child_for(key);
            rank += inner.count_before(at);
            node = Some(inner.child(at));
        }
        match node {
            Some(Node::Leaf(leaf)) => rank + figure(leaf.position(keys, key, side)),
            _ => rank,
        }
    }

    /// The rank of the first key of a range that starts so.
    pub(crate) fn rank_of_start(&self, keys: &impl KeySource, from: Bound<&[u8]>) -> u64 {
        match from {
            Bound::Unbounded => 0,
            Bound::Included(key) => self.position(keys, key, Side::Before),
            Bound::Excluded(key) => self.position(keys, key, Side::After),
        }
    }

    /// The ranks of the keys between two bounds: from the first to before the second.
    pub(crate) fn ranks(
        &self,
        keys: &impl KeySource,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> (u64, u64) {
        let start = self.rank_of_start(keys, from);
        let end = match to {
            Bound::Unbounded => self.len,
            Bound::Included(key) => self.position(keys, key, Side::After),
            Bound::Excluded(key) => self.position(keys, key, Side::Before),
        };
        (start, end.max(start))
    }

    /// The key of this rank, counted from zero.
    pub(crate) fn nth(&self, rank: u64) -> Option<OrderRef> {
        let (mut node, mut rank) = (self.root.as_ref().filter(|_| rank < self.len)?, rank);
        while let Node::Inner(inner) = node {
            let (at, start) = inner.child_at(rank);
            (node, rank) = (inner.child(at), rank - start);
        }
        let Node::Leaf(leaf) = node else { return None };
        Some(leaf.get(usize::try_from(rank).expect("ranks in a leaf are small")))
    }

    /// The memory that adding or removing a key will look at and change, to be fetched ahead.
    pub(crate) fn leaf_of(&self, key: &[u8]) -> &[impl Sized] {
        let mut node = self.root.as_ref().filter(|_| self.contains_fenced(key));
        while let Some(Node::Inner(inner)) = node {
            node = Some(inner.child(inner.separators().child_for(key)));
        }
        match node {
            Some(Node::Leaf(leaf)) => std::slice::from_ref(&**leaf),
            _ => &[],
        }
    }

    /// Appends up to `limit` keys between the bounds to `out`, ascending from the first.
    pub(crate) fn page(
        &self,
        keys: &impl KeySource,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        out: &mut Vec<OrderRef>,
    ) {
        let (start, end) = self.ranks(keys, from, to);
        self.page_at(start, at_most(limit, end - start), out);
    }

    /// Appends the keys from `key` on to `out`, which is empty, ascending, at most `limit` of them.
    /// In front of them stand keys, the number of which is returned, that may be below `key`:
    /// only looking them up tells, which is left to the caller, who looks at all of them anyway.
    ///
    /// One walk down the tree, without waiting for a key.
    pub(crate) fn page_near(&self, key: &[u8], limit: usize, out: &mut Vec<OrderRef>) -> usize {
        match &self.root {
            Some(root) if key < &self.low[..] => root.collect(0, limit, out),
            Some(root) if key <= &self.high[..] => return root.collect_near(key, limit, out),
            _ => {}
        }
        0
    }

    /// Appends up to `limit` keys between the bounds to `out`, descending from the last.
    pub(crate) fn page_rev(
        &self,
        keys: &impl KeySource,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        limit: usize,
        out: &mut Vec<OrderRef>,
    ) {
        let (start, end) = self.ranks(keys, from, to);
        self.page_rev_at(end, at_most(limit, end - start), out);
    }

    /// Appends up to `limit` keys to `out`, ascending from this rank on.
    pub(crate) fn page_at(&self, rank: u64, limit: usize, out: &mut Vec<OrderRef>) {
        if let Some(root) = &self.root
            && rank < self.len
        {
            root.collect(rank, out.len().saturating_add(limit), out);
        }
    }

    /// Appends up to `limit` keys to `out`, descending from the one before this rank.
    pub(crate) fn page_rev_at(&self, rank: u64, limit: usize, out: &mut Vec<OrderRef>) {
        if let Some(root) = &self.root
            && rank > 0
        {
            root.collect_rev(rank.min(self.len), out.len().saturating_add(limit), out);
        }
    }

    /// Removes all keys between the bounds and returns them as an index of their own. Costs two
    /// walks down the tree, however many keys there are.
    pub(crate) fn split_off_range(
        &mut self,
        keys: &impl KeySource,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> Self {
        let (from, to) = self.ranks(keys, start, end);
        if from == to {
            return Self::new();
        }
        if to - from == self.len {
            return std::mem::take(self);
        }
        let fences = Fences { low: &self.low, high: &self.high };
        let root = self.root.as_mut().expect("there are keys");
        let (taken, low, high) = inner::extract_part(root, from, to, fences);
        let mut taken = Self { root: Some(taken), len: to - from, low, high };
        self.len -= taken.len;
        self.lower_root();
        taken.lower_root();
        taken
    }

    /// Moves up to `limit` references from the front to `out`. Looks up no keys.
    pub(crate) fn pop_front(&mut self, limit: usize, out: &mut Vec<OrderRef>) {
        let before = out.len();
        match &mut self.root {
            None => return,
            Some(Node::Leaf(leaf)) => {
                out.extend(leaf.take(0, leaf.len().min(limit)).refs());
            }
            Some(Node::Inner(inner)) => {
                if let Some(low) = inner.pop_front(before.saturating_add(limit), out) {
                    self.low = low;
                }
            }
        }
        self.len -= figure(out.len() - before);
        self.lower_root();
    }

    /// Bytes taken from the allocator.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let nodes = self.root.as_ref().map_or(0, Node::memory_bytes);
        figure(size_of::<Self>() + self.low.capacity() + self.high.capacity() + nodes)
    }

    /// Moves the outer fences so that `key` lies between them.
    fn include(&mut self, key: &[u8]) {
        if self.root.is_none() {
            self.low = key.to_vec();
            self.high = key.to_vec();
        }
        let edge = if key < &self.low[..] {
            lower(&mut self.low, key);
            Edge::Low
        } else if key > &self.high[..] {
            raise(&mut self.high, key);
            Edge::High
        } else {
            return;
        };
        if let Some(root) = &mut self.root {
            root.widen(edge, Fences { low: &self.low, high: &self.high });
        }
    }

    fn contains_fenced(&self, key: &[u8]) -> bool {
        &self.low[..] <= key && key <= &self.high[..]
    }

    /// Drops inner nodes above a single child, and the last leaf with its last key.
    fn lower_root(&mut self) {
        if self.len == 0 {
            *self = Self::new();
        }
        while matches!(&self.root, Some(Node::Inner(inner)) if inner.len() == 1) {
            if let Some(Node::Inner(inner)) = self.root.take() {
                self.root = inner.into_only_child();
            }
        }
    }
}

impl Node {
    /// Appends entries from `rank` on until `out` is `out_len` long.
    fn collect(&self, rank: u64, out_len: usize, out: &mut Vec<OrderRef>) {
        match self {
            Self::Leaf(leaf) => {
                let skip = usize::try_from(rank).expect("ranks in a leaf are small");
                let wanted = out_len.saturating_sub(out.len());
                out.extend(leaf.refs().skip(skip).take(wanted));
            }
            Self::Inner(inner) => {
                let (first, start) = inner.child_at(rank);
                let mut rank = rank - start;
                for at in first..inner.len() {
                    if out.len() >= out_len {
                        return;
                    }
                    inner.child(at).collect(rank, out_len, out);
                    rank = 0;
                }
            }
        }
    }

    /// Appends entries from `key` on until `out` has `limit` of them, and in front of those what
    /// only a look at the keys would tell from them; returns how many that are.
    fn collect_near(&self, key: &[u8], limit: usize, out: &mut Vec<OrderRef>) -> usize {
        match self {
            Self::Leaf(leaf) => {
                let ties = leaf.ties_of(key);
                out.extend(leaf.refs().skip(ties.start).take(limit.saturating_add(ties.len())));
                ties.len()
            }
            Self::Inner(inner) => {
                let at = inner.separators().child_for(key);
                let doubtful = inner.child(at).collect_near(key, limit, out);
                let out_len = limit.saturating_add(doubtful);
                for next in at + 1..inner.len() {
                    if out.len() >= out_len {
                        break;
                    }
                    inner.child(next).collect(0, out_len, out);
                }
                doubtful
            }
        }
    }

    /// Appends entries downwards from the one before `rank` until `out` is `out_len` long.
    fn collect_rev(&self, rank: u64, out_len: usize, out: &mut Vec<OrderRef>) {
        match self {
            Self::Leaf(leaf) => {
                let end = usize::try_from(rank).expect("ranks in a leaf are small");
                let wanted = out_len.saturating_sub(out.len());
                out.extend((0..end).rev().take(wanted).map(|at| leaf.get(at)));
            }
            Self::Inner(inner) => {
                let (last, start) = inner.child_at(rank - 1);
                let mut end = rank - start;
                for at in (0..=last).rev() {
                    if out.len() >= out_len {
                        return;
                    }
                    inner.child(at).collect_rev(end, out_len, out);
                    end = at.checked_sub(1).map_or(0, |before| inner.counts()[before]);
                }
            }
        }
    }
}

/// The smaller of a limit and a count of keys.
fn at_most(limit: usize, count: u64) -> usize {
    usize::try_from(count).map_or(limit, |count| count.min(limit))
}

/// Moves the upper fence to `key` or, if they begin alike, further: keys that come in order would
/// move it again and again, and all nodes at that edge with it. Two bytes less in common leave room
/// for thousands of them, and cost the nodes there no more than two bytes of what they skip.
fn raise(high: &mut Vec<u8>, key: &[u8]) {
    let shared = prefix::shared_len(high, key);
    replace(high, key);
    if let Some(last) = shared.checked_sub(ROOM_BYTES)
        && let Some(raised) = key[last].checked_add(1)
    {
        high.truncate(last);
        high.push(raised);
    }
}

/// Moves the lower fence to `key` or, if they begin alike, further: so keys that come in descending
/// order do not move it again and again, either.
fn lower(low: &mut Vec<u8>, key: &[u8]) {
    let shared = prefix::shared_len(low, key);
    replace(low, shared.checked_sub(ROOM_BYTES).map_or(key, |room| &key[..room]));
}

/// How many bytes before the first one that differs an outer fence is moved.
const ROOM_BYTES: usize = 2;

/// Overwrites a key in place, so that ascending inserts do not allocate for every one.
fn replace(old: &mut Vec<u8>, key: &[u8]) {
    old.clear();
    old.extend_from_slice(key);
}
