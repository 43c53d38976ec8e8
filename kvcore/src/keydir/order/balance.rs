//! Keeping the nodes of the order index filled: sharing, splitting and joining.
//!
//! A full child is split before an insert goes down into it, so an insert never has to come back
//! up. Leaves share with their siblings before they split, which keeps them fuller: 84 % under
//! random inserts, where plain splits give 69.
//!
//! Knows a node and its children, one level. Does not know the way to them.

use super::inner::{Inner, Node};
use super::leaf::{LEAF_LEN_MAX, Leaf};
use super::{Edge, Fences, KeySource, Side};
use crate::keydir::figure;

/// Two siblings with at most so many entries or children together become one.
pub(super) const MERGED_LEN_MAX: usize = 48;
/// A leaf takes from a full sibling if it has at least so many free places.
const SHARE_FREE_MIN: usize = 2;
/// Sharing may cost a leaf so many skipped bytes.
const SHARE_SKIP_LOSS_MAX: usize = 4;

impl Inner {
    /// Sees to it that the full child that `key` belongs to is no longer full.
    pub(super) fn make_room<K: KeySource>(
        &mut self,
        keys: &K,
        key: &[u8],
        at: usize,
        fences: Fences<'_>,
    ) {
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
    pub(super) fn take_child(&mut self, at: usize) -> Option<Node> {
        let child = self.children[at].take();
        self.children[at..self.len].rotate_left(1);
        self.counts.copy_within(at + 1..self.len, at);
        self.len -= 1;
        child
    }

    /// Joins a small child of so many entries or children with one beside it, if they fit well.
    pub(super) fn merge_with_sibling(&mut self, at: usize, len: usize, fences: Fences<'_>) {
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

fn leaves_mut(children: &mut [Option<Node>], a: usize, b: usize) -> (&mut Leaf, &mut Leaf) {
    match children.get_disjoint_mut([a, b]) {
        Ok([Some(Node::Leaf(a)), Some(Node::Leaf(b))]) => (a, b),
        _ => unreachable!("siblings of a leaf are leaves (N3)"),
    }
}
