//! Inner nodes of the order index: children, how many entries each holds, and what separates them.
//!
//! A full child is split before an insert goes down into it, so an insert never has to come back
//! up. Leaves share with their siblings before they split, which keeps them fuller.
//!
//! Knows the tree below it. Does not know its own place: its fences are given by the caller.
//!
//! # Invariants
//!
//! N1. A child's keys are not below the separator before it and below the one behind it.
//! N2. `counts` are the numbers of entries below each child; none is zero between two calls.
//! N3. All children are of the same height.

use super::heads::HEADS_MAX;
use super::leaf::{LEAF_LEN_MAX, Leaf};
use super::separators::Separators;
use super::{Edge, Fences, KeySource, OrderRef, Side};
use crate::keydir::{ALLOCATION_OVERHEAD_BYTES, figure};

/// Most children of an inner node.
pub(super) const CHILDREN_MAX: usize = HEADS_MAX;
/// Two siblings with at most so many entries or children together become one.
const MERGED_LEN_MAX: usize = 48;
/// A leaf takes from a full sibling if it has at least so many free places.
const SHARE_FREE_MIN: usize = 2;
/// Sharing may cost a leaf so many skipped bytes.
const SHARE_SKIP_LOSS_MAX: usize = 4;

#[derive(Debug)]
pub(super) enum Node {
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

#[derive(Debug)]
pub(super) struct Inner {
    len: usize,
    separators: Separators,
    counts: [u64; CHILDREN_MAX],
    children: [Option<Node>; CHILDREN_MAX],
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
    fn len(&self) -> usize {
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

    /// Sees to it that the full child that `key` belongs to is no longer full.
    fn make_room<K: KeySource>(&mut self, keys: &K, key: &[u8], at: usize, fences: Fences<'_>) {
        match self.child(at) {
            Node::Inner(_) => self.split_inner(key, at, fences),
            Node::Leaf(_) => {
                let most = figure(LEAF_LEN_MAX - SHARE_FREE_MIN);
                let takes = |at: &usize| *at < self.len && self.counts[*at] <= most;
                let (left, right) = (at.checked_sub(1).filter(takes), Some(at + 1).filter(takes));
                let shared = left.is_some_and(|left| self.share(keys, at, left, fences))
                    || right.is_some_and(|right| self.share(keys, at, right, fences));
                if !shared {
                    self.split_leaf(keys, key, at, fences);
                }
            }
        }
    }

    /// Moves entries from a leaf to the one beside it, so that both have as many. Declines if the
    /// one beside it would have to compare keys from much further in front.
    fn share<K: KeySource>(
        &mut self,
        keys: &K,
        from: usize,
        to: usize,
        fences: Fences<'_>,
    ) -> bool {
        let (giver_fences, taker_fences) =
            (self.separators.fences(from, fences), self.separators.fences(to, fences));
        let (giver, taker) = leaves_mut(&mut self.children, from, to);
        let moved = (giver.len() - taker.len()) / 2;
        let (cut, edge) =
            if to < from { (moved, Edge::High) } else { (giver.len() - moved, Edge::Low) };
        let boundary = giver.separator(keys, cut, giver_fences.low);
        let (widened, shared) = match edge {
            Edge::Low => (Fences { low: &boundary, ..taker_fences }, taker_fences.high),
            Edge::High => (Fences { high: &boundary, ..taker_fences }, taker_fences.low),
        };
        let skip = giver.skip().min(taker.skip()).min(widened.shared_len());
        if giver.skip().max(taker.skip()) > skip + SHARE_SKIP_LOSS_MAX {
            return false;
        }
        taker.lower_skip(skip, shared);
        let (start, end) = if to < from { (0, cut) } else { (cut, giver.len()) };
        let mut part = giver.take(start, end);
        part.lower_skip(skip, giver_fences.low);
        match edge {
            Edge::Low => taker.prepend(part),
            Edge::High => taker.append(&part),
        }
        self.counts[from] = figure(giver.len());
        self.counts[to] = figure(taker.len());
        self.separators.replace(from.min(to), &boundary);
        true
    }

    /// Splits a full leaf: in the middle, or at the end where `key` is going to be added, so that
    /// keys that come in order leave full leaves behind.
    fn split_leaf<K: KeySource>(&mut self, keys: &K, key: &[u8], at: usize, fences: Fences<'_>) {
        let low = self.separators.fences(at, fences).low;
        let Some(Node::Leaf(leaf)) = &mut self.children[at] else {
            unreachable!("the caller saw a leaf")
        };
        let place = leaf.position(keys, key, Side::Before);
        let (boundary, right) = if place == leaf.len() {
            (leaf.separator_from(keys, key), Leaf::with_skip(leaf.skip()))
        } else if place == 0 {
            (leaf.separator_to(keys, key), leaf.take(0, leaf.len()))
        } else {
            let cut = leaf.middle();
            (leaf.separator(keys, cut, low), leaf.take(cut, leaf.len()))
        };
        self.counts[at] = figure(leaf.len());
        self.insert_child(at + 1, &boundary, Node::Leaf(Box::new(right)));
    }

    /// Splits a full inner node, in the same manner.
    fn split_inner(&mut self, key: &[u8], at: usize, fences: Fences<'_>) {
        let node_fences = self.separators.fences(at, fences);
        let Some(Node::Inner(inner)) = &mut self.children[at] else {
            unreachable!("the caller saw an inner node")
        };
        let in_last = inner.separators.child_for(key) == inner.len - 1;
        let cut = if in_last { inner.len - 1 } else { inner.len / 2 };
        let boundary = inner.separators.get(cut - 1).to_vec();
        let right = inner.split_off(cut, node_fences);
        self.counts[at] = inner.counts().iter().sum();
        self.insert_child(at + 1, &boundary, Node::Inner(Box::new(right)));
    }

    /// Moves the children from `cut` on to a new node.
    fn split_off(&mut self, cut: usize, fences: Fences<'_>) -> Self {
        let len = self.len;
        let boundary = self.separators.get(cut - 1).to_vec();
        let mut right = Self::new(0);
        right.separators = self.separators.copy(cut, len - 1);
        right.separators.set_skip(Fences { low: &boundary, ..fences }.shared_len());
        self.separators.remove(cut - 1, len - 1);
        self.separators.set_skip(Fences { high: &boundary, ..fences }.shared_len());
        right.counts[..len - cut].copy_from_slice(&self.counts[cut..len]);
        right.children[..len - cut].swap_with_slice(&mut self.children[cut..len]);
        right.len = len - cut;
        self.len = cut;
        right
    }

    fn insert_child(&mut self, at: usize, separator: &[u8], child: Node) {
        self.separators.insert(at - 1, separator);
        self.counts.copy_within(at..self.len, at + 1);
        self.counts[at] = child.count();
        self.children[at..=self.len].rotate_right(1);
        self.children[at] = Some(child);
        self.len += 1;
    }

    /// Takes a child out; the separators are the caller's business.
    fn take_child(&mut self, at: usize) -> Option<Node> {
        let child = self.children[at].take();
        self.children[at..self.len].rotate_left(1);
        self.counts.copy_within(at + 1..self.len, at);
        self.len -= 1;
        child
    }

    /// Joins a small child of so many entries or children with one beside it, if they fit well.
    fn merge_with_sibling(&mut self, at: usize, len: usize, fences: Fences<'_>) {
        let fits = |sibling: &usize| {
            *sibling < self.len && self.child(*sibling).len() + len <= MERGED_LEN_MAX
        };
        let left = at.checked_sub(1).filter(fits);
        let right = Some(at + 1).filter(fits);
        if let Some(left) = left.or(right.map(|_| at)) {
            self.merge(left, fences);
        }
    }

    /// Joins a child with the one behind it.
    fn merge(&mut self, at: usize, fences: Fences<'_>) {
        let count = self.counts[at + 1];
        let right = self.take_child(at + 1).expect("the caller saw a sibling");
        let low = self.separators.fences(at, fences).low;
        let high = self.separators.fences(at + 1, fences).high;
        let skip = Fences { low, high }.shared_len();
        match (self.children[at].as_mut().expect("the caller saw it"), right) {
            (Node::Leaf(left), Node::Leaf(mut right)) => {
                let skip = skip.min(left.skip()).min(right.skip());
                left.lower_skip(skip, low);
                right.lower_skip(skip, high);
                left.append(&right);
            }
            (Node::Inner(left), Node::Inner(right)) => {
                left.separators.set_skip(skip);
                left.append(self.separators.get(at), *right);
            }
            _ => unreachable!("siblings are of the same height (N3)"),
        }
        self.counts[at] += count;
        self.separators.remove(at, at + 1);
    }

    fn append(&mut self, boundary: &[u8], mut other: Self) {
        for at in 0..other.len {
            let separator = if at == 0 { boundary } else { other.separators.get(at - 1) };
            self.separators.push(separator);
        }
        let (len, new) = (self.len, self.len + other.len);
        self.counts[len..new].copy_from_slice(other.counts());
        self.children[len..new].swap_with_slice(&mut other.children[..other.len]);
        self.len = new;
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

fn leaves_mut(children: &mut [Option<Node>], a: usize, b: usize) -> (&mut Leaf, &mut Leaf) {
    match children.get_disjoint_mut([a, b]) {
        Ok([Some(Node::Leaf(a)), Some(Node::Leaf(b))]) => (a, b),
        _ => unreachable!("siblings of a leaf are leaves (N3)"),
    }
}
