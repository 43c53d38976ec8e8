//! Inner nodes of the order index: children, how many entries each holds, and what separates them.
//!
//! Knows the tree below it. Does not know its own place: its fences are given by the caller.
//!
//! # Invariants
//!
//! N1. A child's keys are not below the separator before it and below the one behind it.
//! N2. `counts` are the numbers of entries below each child; none is zero between two calls.
//! N3. All children are of the same height.

use super::balance::MERGED_LEN_MAX;
use super::heads::HEADS_MAX;
use super::leaf::{LEAF_LEN_MAX, Leaf};
use super::separators::Separators;
use super::{Edge, Fences, KeySource, OrderRef};
use crate::keydir::{ALLOCATION_OVERHEAD_BYTES, figure};

/// Most children of an inner node.
pub(super) const CHILDREN_MAX: usize = HEADS_MAX;

#[derive(Debug)]
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) len: usize,
    pub(super) separators: Separators,
    pub(super) counts: [u64; CHILDREN_MAX],
    pub(super) children: [Option<Node>; CHILDREN_MAX],
}

impl Node {
    /// Number of entries below.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Leaf(leaf) => figure(leaf.len()),
            Self::Inner(inner) => inner.counts[..inner.len()].iter().sum(),
        }
    }

    /// Number of entries of a leaf, or of children.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.len(),
            Self::Inner(inner) => inner.len,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Leaf(leaf) => leaf.len() == LEAF_LEN_MAX,
            Self::Inner(inner) => inner.len() == CHILDREN_MAX,
        }
    }

    pub(super) fn insert<K: KeySource>(
        &mut self,
        keys: &K,
        key: &[u8],
        r: OrderRef,
        fences: Fences<'_>,
    ) {
        match self {
            Self::Leaf(leaf) => leaf.insert(keys, key, r, fences),
            Self::Inner(inner) => inner.insert(keys, key, r, fences),
        }
    }

    /// Makes `fences`, of which only the one at `edge` is new and it lies further out, hold.
    pub(super) fn widen(&mut self, edge: Edge, fences: Fences<'_>) {
        let shared = match edge {
            Edge::Low => fences.high,
            Edge::High => fences.low,
        };
        match self {
            Self::Leaf(leaf) => leaf.lower_skip(fences.shared_len(), shared),
            Self::Inner(inner) => {
                inner.separators.lower_skip(fences.shared_len());
                let at = match edge {
                    Edge::Low => 0,
                    Edge::High => inner.len() - 1,
                };
                inner.widen_child(at, edge, fences);
            }
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::Leaf(_) => size_of::<Leaf>() + ALLOCATION_OVERHEAD_BYTES,
            Self::Inner(inner) => {
                let own = size_of::<Inner>() + inner.separators.heap_bytes();
                let below = match &inner.children[0] {
                    Some(leaf @ Self::Leaf(_)) => leaf.memory_bytes() * inner.len(),
                    _ => inner.nodes().map(Self::memory_bytes).sum(),
                };
                own + 2 * ALLOCATION_OVERHEAD_BYTES + below
            }
        }
    }
}

impl Inner {
    /// A node without children, whose separators skip so many bytes.
    pub(super) fn new(skip: usize) -> Self {
        Self {
            len: 0,
            separators: Separators::new(skip),
            counts: [0; CHILDREN_MAX],
            children: [const { None }; CHILDREN_MAX],
        }
    }

    /// A node with one child.
    pub(super) fn above(child: Node, fences: Fences<'_>) -> Self {
        let mut inner = Self::new(fences.shared_len());
        inner.push(None, child);
        inner
    }

    /// Number of children.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn separators(&self) -> &Separators {
        &self.separators
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts[..self.len()]
    }

    #[inline]
    pub(super) fn child(&self, at: usize) -> &Node {
        self.children[at].as_ref().expect("places below the length hold children")
    }

    #[inline]
    pub(super) fn child_mut(&mut self, at: usize) -> &mut Node {
        self.children[at].as_mut().expect("places below the length hold children")
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.children.iter().flatten()
    }

    /// Adds a child behind all others, with the separator before it unless it is the first.
    pub(super) fn push(&mut self, separator: Option<&[u8]>, child: Node) {
        let at = self.len();
        if let Some(separator) = separator {
            self.separators.push(separator);
        }
        self.counts[at] = child.count();
        self.children[at] = Some(child);
        self.len += 1;
    }

    /// The only child, if there is only one, or none if there is none.
    pub(super) fn into_only_child(mut self: Box<Self>) -> Option<Node> {
        debug_assert!(self.len() <= 1, "children would be lost");
        self.children[0].take()
    }

    pub(super) fn insert<K: KeySource>(
        &mut self,
        keys: &K,
        key: &[u8],
        r: OrderRef,
        fences: Fences<'_>,
    ) {
        let mut at = self.separators.child_for(key);
        if self.child(at).is_full() {
            self.make_room(keys, key, at, fences);
            at = self.separators.child_for(key);
        }
        self.counts[at] += 1;
        let child = self.children[at].as_mut().expect("places below the length hold children");
        child.insert(keys, key, r, self.separators.fences(at, fences));
    }

    /// Removes an entry; the node may be left without children.
    pub(super) fn remove(&mut self, key: &[u8], r: OrderRef, fences: Fences<'_>) -> bool {
        let at = self.separators.child_for(key);
        let child = self.children[at].as_mut().expect("places below the length hold children");
        let (removed, len) = match child {
            Node::Leaf(leaf) => {
                let found = leaf.locate(key, r);
                found.inspect(|&place| leaf.remove_at(place));
                (found.is_some(), leaf.len())
            }
            Node::Inner(inner) => {
                let removed = inner.remove(key, r, self.separators.fences(at, fences));
                (removed, inner.len())
            }
        };
        if removed {
            self.counts[at] -= 1;
            if len == 0 {
                self.remove_children(at, at + 1, fences);
            } else if len < MERGED_LEN_MAX / 2 {
                self.merge_with_sibling(at, len, fences);
            }
        }
        removed
    }

    /// Removes children `from..to`; a child beside the gap takes over its keys' range.
    pub(super) fn remove_children(&mut self, from: usize, to: usize, fences: Fences<'_>) {
        if from == to {
            return;
        }
        let len = self.len();
        self.children[from..to].fill_with(|| None);
        self.children[from..len].rotate_left(to - from);
        self.counts.copy_within(to..len, from);
        self.len -= to - from;
        if from > 0 {
            self.separators.remove(from - 1, to - 1);
            self.widen_child(from - 1, Edge::High, fences);
        } else {
            self.separators.remove(0, to.min(len - 1));
            if to < len {
                self.widen_child(0, Edge::Low, fences);
            }
        }
    }

    /// Takes references off the front, up to `limit` altogether in `out`. Returns the separator
    /// that none of the remaining entries is below, if one was passed.
    pub(super) fn pop_front(&mut self, limit: usize, out: &mut Vec<OrderRef>) -> Option<Vec<u8>> {
        let mut passed = None;
        while out.len() < limit && self.len() > 0 {
            let child_passed = match self.child_mut(0) {
                Node::Leaf(leaf) => {
                    let count = leaf.len().min(limit - out.len());
                    out.extend(leaf.take(0, count).refs());
                    None
                }
                Node::Inner(inner) => inner.pop_front(limit, out),
            };
            passed = child_passed.or(passed);
            self.counts[0] = self.child(0).count();
            if self.counts[0] == 0 {
                if self.len > 1 {
                    passed = Some(self.separators.get(0).to_vec());
                    self.separators.remove(0, 1);
                }
                self.take_child(0);
            }
        }
        passed
    }

    /// Takes out the entries of ranks `from..to`, neither none nor all, as a node of the same
    /// height. Returns with it the fences of its outermost leaves.
    pub(super) fn extract(
        &mut self,
        from: u64,
        to: u64,
        fences: Fences<'_>,
    ) -> (Self, Vec<u8>, Vec<u8>) {
        let (first, first_start) = self.child_at(from);
        let (last, last_start) = self.child_at(to - 1);
        let mut taken = Self::new(0);
        taken.separators = self.separators.copy(first, last);
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for at in first..=last {
            let child_fences = self.separators.fences(at, fences);
            let start = if at == first { from - first_start } else { 0 };
            let end = if at == last { to - last_start } else { self.counts[at] };
            let (piece, piece_low, piece_high) = if (start, end) == (0, self.counts[at]) {
                let whole = self.children[at].take().expect("children up to the last");
                (whole, child_fences.low.to_vec(), child_fences.high.to_vec())
            } else {
                extract_part(self.children[at].as_mut().expect("a child"), start, end, child_fences)
            };
            if at == first {
                low = piece_low;
            }
            high = piece_high;
            self.counts[at] -= piece.count();
            taken.counts[at - first] = piece.count();
            taken.children[at - first] = Some(piece);
            taken.len += 1;
        }
        let gone_from = first + usize::from(self.counts[first] > 0);
        let gone_to = last + usize::from(self.counts[last] == 0);
        if gone_from < gone_to {
            self.remove_children(gone_from, gone_to, fences);
        }
        (taken, low, high)
    }

    /// The child that holds the entry of this rank, and the rank of its first.
    pub(super) fn child_at(&self, rank: u64) -> (usize, u64) {
        let mut start = 0;
        for (at, count) in self.counts().iter().enumerate() {
            if rank < start + count {
                return (at, start);
            }
            start += count;
        }
        unreachable!("ranks are below the number of entries")
    }

    /// Number of entries in the children before one.
    pub(super) fn count_before(&self, child: usize) -> u64 {
        // Overflow checks would keep this from being done in parallel; the sum is at most `len`.
        self.counts[..child].iter().fold(0, |sum, &count| sum.wrapping_add(count))
    }

    fn widen_child(&mut self, at: usize, edge: Edge, fences: Fences<'_>) {
        let child = self.children[at].as_mut().expect("places below the length hold children");
        child.widen(edge, self.separators.fences(at, fences));
    }
}

/// As [`Inner::extract`], from a child of any height.
pub(super) fn extract_part(
    node: &mut Node,
    from: u64,
    to: u64,
    fences: Fences<'_>,
) -> (Node, Vec<u8>, Vec<u8>) {
    match node {
        Node::Leaf(leaf) => {
            let place = |rank: u64| usize::try_from(rank).expect("ranks in a leaf are small");
            let taken = leaf.take(place(from), place(to));
            (Node::Leaf(Box::new(taken)), fences.low.to_vec(), fences.high.to_vec())
        }
        Node::Inner(inner) => {
            let (taken, low, high) = inner.extract(from, to, fences);
            (Node::Inner(Box::new(taken)), low, high)
        }
    }
}
