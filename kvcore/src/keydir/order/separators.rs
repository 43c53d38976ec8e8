//! The keys between the children of an inner node: their own bytes, packed, with heads in front.
//!
//! Owned and as short as possible, so that no separator dangles when its key is deleted.
//! Knows keys. Does not know children.
//!
//! # Invariants
//!
//! S1. Separators ascend.
//! S2. All share their first `skip` bytes with the fences of the node.

use super::Fences;
use super::heads::Heads;
use super::inner::CHILDREN_MAX;
use super::prefix::head;
use crate::keydir::index;

const LEN_MAX: usize = CHILDREN_MAX - 1;

#[derive(Debug)]
pub(super) struct Separators {
    len: usize,
    skip: usize,
    heads: Heads,
    /// Where each separator ends in `bytes`.
    ends: [u32; LEN_MAX],
    bytes: Vec<u8>,
}

impl Separators {
    pub(super) fn new(skip: usize) -> Self {
        Self { len: 0, skip, heads: Heads::new(), ends: [0; LEN_MAX], bytes: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(super) fn skip(&self) -> usize {
        self.skip
    }

    #[cfg(test)]
    pub(super) fn assert_consistent(&self) {
        assert_eq!(self.start(self.len), self.bytes.len());
        for at in 0..self.len {
            assert_eq!(self.heads.get(at), head(self.get(at), self.skip));
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..index(self.ends[at])]
    }

    /// The child that `key`, which lies between the fences of the node, belongs to: the number of
    /// separators not above it.
    #[inline]
    pub(super) fn child_for(&self, key: &[u8]) -> usize {
        let head = head(key, self.skip);
        let mut child = self.heads.below(head);
        let ties = child + self.heads.equal(child, self.len, head);
        while child < ties && self.get(child) <= key {
            child += 1;
        }
        child
    }

    /// The fences of a child, given those of the node.
    #[inline]
    pub(super) fn fences<'a>(&'a self, child: usize, node: Fences<'a>) -> Fences<'a> {
        Fences {
            low: if child == 0 { node.low } else { self.get(child - 1) },
            high: if child == self.len { node.high } else { self.get(child) },
        }
    }

    pub(super) fn insert(&mut self, at: usize, key: &[u8]) {
        let start = self.start(at);
        if self.bytes.len() + key.len() > self.bytes.capacity() {
            self.bytes.reserve_exact(key.len() + self.bytes.len() / 8);
        }
        self.bytes.splice(start..start, key.iter().copied());
        self.heads.insert(at, self.len, head(key, self.skip));
        self.ends.copy_within(at..self.len, at + 1);
        self.len += 1;
        let added = u32::try_from(key.len()).expect("at most a key's length");
        self.ends[at] = u32::try_from(start).expect("63 keys of 17-bit lengths") + added;
        for end in &mut self.ends[at + 1..self.len] {
            *end += added;
        }
    }

    pub(super) fn push(&mut self, key: &[u8]) {
        self.insert(self.len, key);
    }

    /// Removes separators `from..to`.
    pub(super) fn remove(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        let (start, end) = (self.start(from), index(self.ends[to - 1]));
        self.bytes.drain(start..end);
        let removed = u32::try_from(end - start).expect("63 keys of 17-bit lengths");
        for end in &mut self.ends[to..self.len] {
            *end -= removed;
        }
        self.heads.remove(from, to, self.len);
        self.ends.copy_within(to..self.len, from);
        self.len -= to - from;
    }

    pub(super) fn replace(&mut self, at: usize, key: &[u8]) {
        self.remove(at, at + 1);
        self.insert(at, key);
    }

    /// Copies of separators `from..to`, skipping as much.
    pub(super) fn copy(&self, from: usize, to: usize) -> Self {
        let mut copy = Self::new(self.skip);
        if from < to {
            copy.bytes.reserve_exact(index(self.ends[to - 1]) - self.start(from));
        }
        for at in from..to {
            copy.push(self.get(at));
        }
        copy
    }

    /// Skips so many bytes, more or fewer than before.
    pub(super) fn set_skip(&mut self, skip: usize) {
        if skip != self.skip {
            self.skip = skip;
            let mut heads = std::mem::replace(&mut self.heads, Heads::new());
            heads.remake(self.len, |at, _| head(self.get(at), skip));
            self.heads = heads;
        }
    }

    /// Skips fewer bytes if so many are too many.
    pub(super) fn lower_skip(&mut self, skip: usize) {
        self.set_skip(self.skip.min(skip));
    }

    #[inline]
    fn start(&self, at: usize) -> usize {
        if at == 0 { 0 } else { index(self.ends[at - 1]) }
    }
}
