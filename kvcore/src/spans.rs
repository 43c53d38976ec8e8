//! Spans of keys, and which of many a key lies in.
//!
//! Knows encoded keys. Does not know what spans are for.
//!
//! A treap ordered by start, every node knowing how far its subtree reaches. Finding what a key or
//! a range meets costs O(log n) for each span met and O(log n) if none is; adding and removing
//! costs O(log n). Priorities are made of the numbers, so that every run is the same.
//!
//! # Invariants
//!
//! N1. In-order, (start, number) ascends.
//! N2. `reach` is the furthest end in a node's subtree; none stands for no end.

use std::{ops::Bound, sync::Arc};

/// All keys from `start` on and before `end`; without an end, all that follow. There is one that
/// has none: from nothing to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: Arc<[u8]>,
    pub(crate) end: Option<Arc<[u8]>>,
}

impl Span {
    /// The same keys as between these bounds.
    pub(crate) fn new(start: Bound<&[u8]>, end: Bound<&[u8]>) -> Span {
        let start: Arc<[u8]> = match start {
            Bound::Unbounded => Arc::default(),
            Bound::Included(key) => key.into(),
            Bound::Excluded(key) => successor(key),
        };
        let end = match end {
            Bound::Unbounded => None,
            Bound::Included(key) => Some(successor(key)),
            Bound::Excluded(key) => Some(key.into()),
        };
        let span = Span { start, end };
        if span.is_empty() {
            Span { start: Arc::default(), end: Some(Arc::default()) }
        } else {
            span
        }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        *self.start <= *key && ends_after(self.end.as_deref(), key)
    }

    /// Some key lies in both.
    #[cfg(test)]
    pub(crate) fn overlaps(&self, other: &Span) -> bool {
        let starts_in = |a: &Span, b: &Span| ends_after(b.end.as_deref(), &a.start);
        starts_in(self, other) && starts_in(other, self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        !ends_after(self.end.as_deref(), &self.start)
    }
}

/// Many spans, each with a number and an item.
#[derive(Debug)]
pub(crate) struct Spans<T> {
    root: Link<T>,
}

type Link<T> = Option<Box<Node<T>>>;

#[derive(Debug)]
struct Node<T> {
    span: Span,
    number: u64,
    item: T,
    reach: Option<Arc<[u8]>>,
    left: Link<T>,
    right: Link<T>,
}

impl<T> Default for Spans<T> {
    fn default() -> Self {
        Spans { root: None }
    }
}

impl<T> Spans<T> {
    /// Adds an item; its number must not be in use.
    pub(crate) fn insert(&mut self, span: Span, number: u64, item: T) {
        let reach = span.end.clone();
        let node = Box::new(Node { span, number, item, reach, left: None, right: None });
        self.root = Some(insert(self.root.take(), node));
    }

    /// Takes an item out, if it is there.
    pub(crate) fn remove(&mut self, start: &[u8], number: u64) -> Option<T> {
        let mut removed = None;
        self.root = remove(self.root.take(), (start, number), &mut removed);
        removed
    }

    /// Every item whose span contains the key.
    pub(crate) fn each_at<'a>(&'a self, key: &[u8], f: &mut dyn FnMut(&'a T)) {
        visit(&self.root, key, &|start| start <= key, f);
    }

    /// Every item whose span has a key in common with this one.
    pub(crate) fn each_meeting<'a>(&'a self, span: &Span, f: &mut dyn FnMut(&'a T)) {
        visit(&self.root, &span.start, &|start| ends_after(span.end.as_deref(), start), f);
    }

    /// Every item.
    pub(crate) fn each<'a>(&'a self, f: &mut dyn FnMut(&'a T)) {
        each(&self.root, f);
    }
}

impl<T> Node<T> {
    fn place(&self) -> (&[u8], u64) {
        (&self.span.start, self.number)
    }

    /// Numbers come one after the other: mixed, they are as good as random.
    fn priority(&self) -> u64 {
        let mixed = (self.number ^ (self.number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    /// Looks at the children again (N2).
    fn update(&mut self) {
        let children = [&self.left, &self.right];
        let mut reach = self.span.end.clone();
        for child in children.into_iter().flatten() {
            reach = match (reach, &child.reach) {
                (Some(a), Some(b)) => Some(a.max(Arc::clone(b))),
                _ => None,
            };
        }
        self.reach = reach;
    }
}

fn insert<T>(link: Link<T>, mut node: Box<Node<T>>) -> Box<Node<T>> {
    let Some(mut root) = link else { return node };
    if node.priority() > root.priority() {
        (node.left, node.right) = split(Some(root), node.place());
        node.update();
        return node;
    }
    let side = if node.place() < root.place() { &mut root.left } else { &mut root.right };
    *side = Some(insert(side.take(), node));
    root.update();
    root
}

/// What comes before a place, and what does not.
fn split<T>(link: Link<T>, place: (&[u8], u64)) -> (Link<T>, Link<T>) {
    let Some(mut root) = link else { return (None, None) };
    if root.place() < place {
        let (before, after) = split(root.right.take(), place);
        root.right = before;
        root.update();
        (Some(root), after)
    } else {
        let (before, after) = split(root.left.take(), place);
        root.left = after;
        root.update();
        (before, Some(root))
    }
}

/// Joins two treaps, all of the first before all of the second.
fn join<T>(before: Link<T>, after: Link<T>) -> Link<T> {
    let (mut a, mut b) = match (before, after) {
        (Some(a), Some(b)) => (a, b),
        (one, other) => return one.or(other),
    };
    if a.priority() > b.priority() {
        a.right = join(a.right.take(), Some(b));
        a.update();
        Some(a)
    } else {
        b.left = join(Some(a), b.left.take());
        b.update();
        Some(b)
    }
}

fn remove<T>(link: Link<T>, place: (&[u8], u64), removed: &mut Option<T>) -> Link<T> {
    let mut root = link?;
    if root.place() == place {
        let Node { item, left, right, .. } = *root;
        *removed = Some(item);
        return join(left, right);
    }
    let side = if place < root.place() { &mut root.left } else { &mut root.right };
    *side = remove(side.take(), place, removed);
    root.update();
    Some(root)
}

/// Every item that ends after `from` and whose start satisfies `starts_in_time`, which holds for
/// all starts up to some one and for none after it.
fn visit<'a, T>(
    link: &'a Link<T>,
    from: &[u8],
    starts_in_time: &dyn Fn(&[u8]) -> bool,
    f: &mut dyn FnMut(&'a T),
) {
    let Some(node) = link else { return };
    if !ends_after(node.reach.as_deref(), from) {
        return;
    }
    visit(&node.left, from, starts_in_time, f);
    if !starts_in_time(&node.span.start) {
        return;
    }
    if ends_after(node.span.end.as_deref(), from) {
        f(&node.item);
    }
    visit(&node.right, from, starts_in_time, f);
}

/// An end before which `key` lies.
fn ends_after(end: Option<&[u8]>, key: &[u8]) -> bool {
    end.is_none_or(|end| key < end)
}

/// The first byte string after `key`.
fn successor(key: &[u8]) -> Arc<[u8]> {
    [key, &[0]].concat().into()
}

fn each<'a, T>(link: &'a Link<T>, f: &mut dyn FnMut(&'a T)) {
    if let Some(node) = link {
        each(&node.left, f);
        f(&node.item);
        each(&node.right, f);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rng: &mut fastrand::Rng) -> Span {
        let mut bound = || {
            let key: Vec<u8> = (0..rng.usize(..3)).map(|_| b'a' + rng.u8(..4)).collect();
            match rng.u8(..5) {
                0 => Bound::Unbounded,
                1 | 2 => Bound::Included(key),
                _ => Bound::Excluded(key),
            }
        };
        let (start, end) = (bound(), bound());
        Span::new(start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice))
    }

    fn height<T>(link: &Link<T>) -> usize {
        link.as_ref().map_or(0, |node| 1 + height(&node.left).max(height(&node.right)))
    }

    #[test]
    fn a_key_meets_exactly_the_spans_it_lies_in() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut spans = Spans::default();
        let mut all: Vec<(Span, u64)> = Vec::new();
        for number in 0..2_000 {
            if rng.u8(..3) == 0 && !all.is_empty() {
                let (span, gone) = all.swap_remove(rng.usize(..all.len()));
                assert_eq!(spans.remove(&span.start, gone), Some(gone), "seed 7");
                assert_eq!(spans.remove(&span.start, gone), None);
            } else {
                let span = drawn(&mut rng);
                spans.insert(span.clone(), number, number);
                all.push((span, number));
            }
            let key: Vec<u8> = (0..rng.usize(..4)).map(|_| b'a' + rng.u8(..4)).collect();
            let other = drawn(&mut rng);
            let (mut at, mut meeting) = (Vec::new(), Vec::new());
            spans.each_at(&key, &mut |n| at.push(*n));
            spans.each_meeting(&other, &mut |n| meeting.push(*n));
            let that = |f: &dyn Fn(&Span) -> bool| {
                let mut found: Vec<u64> =
                    all.iter().filter(|(span, _)| f(span)).map(|(_, n)| *n).collect();
                found.sort_unstable();
                found
            };
            at.sort_unstable();
            meeting.sort_unstable();
            assert_eq!(at, that(&|span| span.contains(&key)), "seed 7, {number}");
            assert_eq!(meeting, that(&|span| span.overlaps(&other)), "seed 7, {number}");
        }
        let mut count = 0;
        spans.each(&mut |_| count += 1);
        assert_eq!(count, all.len());
        let height = height(&spans.root);
        assert!(height < 40, "{height} for {}", all.len());
    }
}
