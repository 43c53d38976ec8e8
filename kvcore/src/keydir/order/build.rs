//! Building an order index from keys that come in order, bottom-up and without comparing them
//! again.
//!
//! Knows leaves and inner nodes. Does not know where the keys come from, and looks none up.

use super::inner::{CHILDREN_MAX, Inner, Node};
use super::leaf::{LEAF_LEN_MAX, Leaf};
use super::prefix::separator;
use super::{Fences, OrderIndex, OrderRef};
use crate::keydir::figure;

/// Nodes are filled to about nine tenths, so that the first inserts do not split every leaf.
const LEAF_LEN: usize = LEAF_LEN_MAX * 9 / 10;
const CHILDREN_LEN: usize = CHILDREN_MAX * 9 / 10;

/// Takes keys in ascending order and makes an index of them.
#[derive(Debug, Default)]
pub(crate) struct OrderBuilder {
    /// The keys of the leaf being filled, one behind the other, and where each ends.
    keys: Vec<u8>,
    ends: Vec<usize>,
    refs: Vec<OrderRef>,
    /// What separates that leaf from the one before.
    low: Vec<u8>,
    /// Finished nodes of the lowest level, with what separates each from the one before.
    nodes: Vec<(Vec<u8>, Node)>,
    len: usize,
}

/// The finished leaves of a part of the keys.
#[derive(Debug)]
pub(crate) struct Leaves {
    nodes: Vec<(Vec<u8>, Node)>,
    len: usize,
}

impl Leaves {
    /// The index of all keys: the parts in their order, up to the last key, `high`.
    pub(crate) fn join(parts: Vec<Leaves>, high: Vec<u8>) -> OrderIndex {
        let len = figure(parts.iter().map(|part| part.len).sum());
        let mut nodes: Vec<_> = parts.into_iter().flat_map(|part| part.nodes).collect();
        while nodes.len() > 1 {
            nodes = level_above(nodes, &high);
        }
        match nodes.pop() {
            None => OrderIndex::new(),
            Some((low, root)) => OrderIndex { root: Some(root), len, low, high },
        }
    }
}

impl OrderBuilder {
    /// The part of the keys from `low` on.
    pub(crate) fn starting_at(low: Vec<u8>) -> Self {
        Self { low, ..Self::default() }
    }

    /// Adds a key above all before it.
    pub(crate) fn push(&mut self, key: &[u8], r: OrderRef) {
        debug_assert!(self.refs.is_empty() || self.last_key() < key, "keys must ascend");
        if self.refs.len() == LEAF_LEN {
            let boundary = separator(self.last_key(), key);
            self.finish_leaf(&boundary);
            self.low = boundary;
        }
        self.keys.extend_from_slice(key);
        self.ends.push(self.keys.len());
        self.refs.push(r);
        self.len += 1;
    }

    /// The leaves of this part, all of whose keys are at most `high`.
    pub(crate) fn finish(mut self, high: &[u8]) -> Leaves {
        if !self.refs.is_empty() {
            self.finish_leaf(high);
        }
        Leaves { nodes: self.nodes, len: self.len }
    }

    fn last_key(&self) -> &[u8] {
        self.key(self.refs.len() - 1)
    }

    fn key(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.keys[start..self.ends[at]]
    }

    fn finish_leaf(&mut self, high: &[u8]) {
        let mut leaf = Leaf::with_skip(Fences { low: &self.low, high }.shared_len());
        for (at, &r) in self.refs.iter().enumerate() {
            leaf.push(self.key(at), r);
        }
        self.nodes.push((std::mem::take(&mut self.low), Node::Leaf(Box::new(leaf))));
        self.keys.clear();
        self.ends.clear();
        self.refs.clear();
    }
}

/// Groups nodes under parents of about the same size.
fn level_above(nodes: Vec<(Vec<u8>, Node)>, high: &[u8]) -> Vec<(Vec<u8>, Node)> {
    let groups = nodes.len().div_ceil(CHILDREN_LEN);
    let mut parents: Vec<(Vec<u8>, Node)> = Vec::with_capacity(groups);
    let mut lows: Vec<Vec<u8>> = Vec::with_capacity(groups + 1);
    let per_group = nodes.len().div_ceil(groups);
    for (at, (low, _)) in nodes.iter().enumerate() {
        if at % per_group == 0 {
            lows.push(low.clone());
        }
    }
    lows.push(high.to_vec());
    let mut nodes = nodes.into_iter();
    for pair in lows.windows(2) {
        let mut parent = Inner::new(Fences { low: &pair[0], high: &pair[1] }.shared_len());
        for (low, node) in nodes.by_ref().take(per_group) {
            parent.push((parent.len() > 0).then_some(&low), node);
        }
        parents.push((pair[0].clone(), Node::Inner(Box::new(parent))));
    }
    parents
}
