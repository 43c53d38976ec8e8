//! The order index against a sorted map, with every invariant checked along the way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use super::*;
use crate::keydir::{index, order::prefix::separator};

/// Keys by the number in their reference.
#[derive(Default)]
struct Keys {
    keys: Vec<Vec<u8>>,
    looked_up: Cell<u64>,
}

impl Keys {
    fn add(&mut self, key: &[u8]) -> OrderRef {
        self.keys.push(key.to_vec());
        let number = u32::try_from(self.keys.len()).unwrap();
        OrderRef { shard: u8::try_from(number % 64).unwrap(), entry: EntryRef(number) }
    }

    fn key(&self, r: OrderRef) -> &[u8] {
        assert_eq!(r.entry.0 % 64, u32::from(r.shard), "a reference was torn");
        &self.keys[index(r.entry.0) - 1]
    }
}

impl KeySource for Keys {
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R {
        self.looked_up.set(self.looked_up.get() + 1);
        f(self.key(r))
    }
}

impl OrderIndex {
    /// Walks the tree and checks O1 to O3 and the invariants of the nodes.
    fn assert_consistent(&self, keys: &Keys) {
        let mut all = Vec::new();
        if let Some(root) = &self.root {
            let fences = Fences { low: &self.low, high: &self.high };
            let count = assert_node(root, fences, keys, &mut all).0;
            assert_eq!(count, self.len);
        }
        assert_eq!(figure(all.len()), self.len);
        for pair in all.windows(2) {
            assert!(keys.key(pair[0]) < keys.key(pair[1]), "keys ascend (O1)");
        }
    }
}

fn assert_node(
    node: &Node,
    fences: Fences<'_>,
    keys: &Keys,
    all: &mut Vec<OrderRef>,
) -> (u64, u32) {
    match node {
        Node::Leaf(leaf) => {
            assert!(leaf.len() > 0, "no leaf is empty (O3)");
            assert!(leaf.skip() <= fences.shared_len(), "skipped bytes are shared (F2)");
            for (at, r) in leaf.refs().enumerate() {
                let key = keys.key(r);
                assert!(fences.low <= key && key <= fences.high, "between the fences (O2)");
                assert_eq!(leaf.head_at(at), prefix::head(key, leaf.skip()));
                all.push(r);
            }
            (figure(leaf.len()), 0)
        }
        Node::Inner(inner) => {
            assert!(inner.len() > 0 && inner.separators().len() == inner.len() - 1);
            assert!(inner.separators().skip() <= fences.shared_len(), "shared (S2)");
            inner.separators().assert_consistent();
            let mut heights = Vec::new();
            for at in 0..inner.len() {
                let child = inner.separators().fences(at, fences);
                assert!(child.low <= child.high, "separators ascend (S1)");
                let before = all.len();
                let (count, height) = assert_node(inner.child(at), child, keys, all);
                assert_eq!(count, inner.counts()[at], "counts (N2)");
                let highest = keys.key(all[all.len() - 1]);
                assert!(at + 1 == inner.len() || highest < child.high, "below the next (N1)");
                assert!(before < all.len());
                heights.push(height);
            }
            assert!(heights.iter().all(|height| *height == heights[0]), "same height (N3)");
            (inner.counts().iter().sum(), heights[0] + 1)
        }
    }
}

const NOWHERE: OrderRef = OrderRef { shard: 63, entry: EntryRef(u32::MAX) };

type Model = BTreeMap<Vec<u8>, OrderRef>;

/// A key of one of several shapes that are hard on an index of prefixes.
fn random_key(random: &mut fastrand::Rng, shape: usize, space: u32) -> Vec<u8> {
    let number = random.u32(..space);
    match shape {
        0 => std::iter::repeat_with(|| random.u8(..)).take(24).collect(),
        1 => format!("user:{number:09}").into_bytes(),
        2 => vec![0; index(number) % 300],
        3 => {
            let len = random.usize(..12);
            std::iter::repeat_with(|| [0, 0, 1, 255][random.usize(..4)]).take(len).collect()
        }
        4 => {
            let mut key = vec![b'p'; 200 + index(number % 3) * 10];
            key.extend_from_slice(&number.to_be_bytes());
            key
        }
        5 => {
            let mut key = u64::from(number % 5).to_be_bytes().to_vec();
            key.extend_from_slice(&number.wrapping_mul(0x9e37_79b9).to_be_bytes());
            key.extend_from_slice(b"member");
            key
        }
        6 => format!("https://host{}.example/{}", number % 7, "a/".repeat(index(number) % 90))
            .into_bytes(),
        _ => [&[b'k'; 65_000][..index(number % 3) * 30_000], &number.to_le_bytes()].concat(),
    }
}
const SHAPES: usize = 8;

fn bound(random: &mut fastrand::Rng, key: &[u8]) -> Bound<Vec<u8>> {
    match random.u32(..5) {
        0 => Bound::Unbounded,
        1 | 2 => Bound::Included(key.to_vec()),
        _ => Bound::Excluded(key.to_vec()),
    }
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &key[..])
}

fn in_range(key: &[u8], from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    let after = match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= &from[..],
        Bound::Excluded(from) => key > &from[..],
    };
    let before = match to {
        Bound::Unbounded => true,
        Bound::Included(to) => key <= &to[..],
        Bound::Excluded(to) => key < &to[..],
    };
    after && before
}

fn assert_reads_agree(
    index: &OrderIndex,
    keys: &Keys,
    model: &Model,
    random: &mut fastrand::Rng,
    probe: &[Vec<u8>; 2],
) {
    let below = figure(model.range(..probe[0].clone()).count());
    let not_above = below + u64::from(model.contains_key(&probe[0]));
    assert_eq!(index.position(keys, &probe[0], Side::Before), below);
    assert_eq!(index.position(keys, &probe[0], Side::After), not_above);
    assert_eq!(index.nth(below), model.range(probe[0].clone()..).next().map(|(_, &r)| r));
    assert_eq!(index.nth(0), model.values().next().copied());
    let last = index.len().checked_sub(1).and_then(|at| index.nth(at));
    assert_eq!(last, model.values().next_back().copied());
    let (from, to) = (bound(random, &probe[0]), bound(random, &probe[1]));
    let limit = random.usize(..200);
    let expected: Vec<OrderRef> =
        model.iter().filter(|(key, _)| in_range(key, &from, &to)).map(|(_, &r)| r).collect();
    let (start, end) = index.ranks(keys, as_slice(&from), as_slice(&to));
    assert_eq!(end - start, figure(expected.len()));
    let mut page = Vec::new();
    index.page(keys, as_slice(&from), as_slice(&to), limit, &mut page);
    assert_eq!(page, expected[..limit.min(expected.len())]);
    page.clear();
    let doubtful = index.page_near(&probe[0], limit, &mut page);
    let near = |r: &OrderRef| keys.with_key(*r, |key| key >= &probe[0][..]);
    let above: Vec<OrderRef> = model.range(probe[0].clone()..).map(|(_, &r)| r).collect();
    let skipped = page.iter().take_while(|r| !near(r)).count();
    assert!(skipped <= doubtful && page.len() <= limit + doubtful);
    assert_eq!(page[skipped..], above[..(limit + doubtful - skipped).min(above.len())]);
    page.clear();
    index.page_rev(keys, as_slice(&from), as_slice(&to), limit, &mut page);
    let backwards: Vec<OrderRef> = expected.iter().rev().take(limit).copied().collect();
    assert_eq!(page, backwards);
}

fn run_against_model(random: &mut fastrand::Rng, shape: usize, steps: u32, check_every: u32) {
    let (mut index, mut keys, mut model) = (OrderIndex::new(), Keys::default(), Model::new());
    let space = [40, 3_000, 1_000_000][random.usize(..3)];
    for step in 0..steps {
        let key = random_key(random, shape, space);
        let growing = step % (steps / 2) < steps / 3;
        let kind = random.u32(..1_000);
        match model.get(&key).copied() {
            _ if kind == 0 => {
                let other = random_key(random, shape, space);
                let (from, to) = (bound(random, &key), bound(random, &other));
                let mut off = index.split_off_range(&keys, as_slice(&from), as_slice(&to));
                let expected: Model =
                    model.extract_if(.., |key, _| in_range(key, &from, &to)).collect();
                off.assert_consistent(&keys);
                assert_off_is(&mut off, &keys, expected, random);
            }
            _ if kind == 1 => {
                let (mut out, limit) = (Vec::new(), random.usize(..100));
                index.pop_front(limit, &mut out);
                let expected: Vec<OrderRef> = std::iter::from_fn(|| model.pop_first())
                    .map(|pair| pair.1)
                    .take(limit)
                    .collect();
                assert_eq!(out, expected);
            }
            None if growing || kind < 300 => {
                let r = keys.add(&key);
                index.insert(&keys, &key, r);
                model.insert(key.clone(), r);
            }
            None => assert!(!index.remove(&key, NOWHERE)),
            Some(r) if kind < 400 => {
                let new = keys.add(&key);
                assert!(index.remove(&key, r));
                index.insert(&keys, &key, new);
                model.insert(key.clone(), new);
            }
            Some(r) => {
                assert!(index.remove(&key, r));
                model.remove(&key);
            }
        }
        if !growing && let Some((key, _)) = model.range(key.clone()..).next() {
            let key = key.clone();
            let r = model.remove(&key).unwrap();
            assert!(index.remove(&key, r));
        }
        assert_eq!(index.len(), figure(model.len()));
        if step % check_every == 0 {
            index.assert_consistent(&keys);
            let probe = [key, random_key(random, shape, space)];
            assert_reads_agree(&index, &keys, &model, random, &probe);
        }
    }
    index.assert_consistent(&keys);
}

/// Works a split-off range off and checks that it was the expected one.
fn assert_off_is(off: &mut OrderIndex, keys: &Keys, expected: Model, random: &mut fastrand::Rng) {
    let (mut out, expected): (_, Vec<OrderRef>) = (Vec::new(), expected.into_values().collect());
    while off.len() > 0 {
        off.pop_front(random.usize(1..150), &mut out);
        off.assert_consistent(keys);
    }
    assert_eq!(out, expected);
}

#[test]
fn index_equals_model_after_every_operation_of_small_runs() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for shape in 0..SHAPES {
        let steps = if shape == SHAPES - 1 { 200 } else { 1_000 };
        run_against_model(&mut random, shape, steps, 1);
    }
}

#[test]
fn index_equals_model_in_large_runs() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for shape in 0..SHAPES - 1 {
        run_against_model(&mut random, shape, 30_000, 3_000);
    }
}

#[test]
fn ranges_split_off_a_tall_tree_leave_two_consistent_trees() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for shape in [0, 1, 5] {
        let (mut index, mut keys, mut model) = (OrderIndex::new(), Keys::default(), Model::new());
        while model.len() < 20_000 {
            let key = random_key(&mut random, shape, 1_000_000);
            if let Entry::Vacant(vacant) = model.entry(key) {
                let r = keys.add(vacant.key());
                index.insert(&keys, vacant.key(), r);
                vacant.insert(r);
            }
        }
        while index.len() > 0 {
            let [from, to] = [(); 2].map(|()| random_key(&mut random, shape, 1_000_000));
            let (from, to) = (bound(&mut random, &from), bound(&mut random, &to));
            let mut off = index.split_off_range(&keys, as_slice(&from), as_slice(&to));
            let expected: Model =
                model.extract_if(.., |key, _| in_range(key, &from, &to)).collect();
            index.assert_consistent(&keys);
            off.assert_consistent(&keys);
            assert_off_is(&mut off, &keys, expected, &mut random);
            assert_eq!(index.len(), figure(model.len()));
            if random.u32(..10) == 0 {
                index.split_off_range(&keys, Bound::Unbounded, Bound::Unbounded);
                model.clear();
            }
        }
    }
}

/// An index of leaves that were built in a few parts of random lengths.
fn built_in_parts(model: &Model, random: &mut fastrand::Rng) -> OrderIndex {
    let all: Vec<(&Vec<u8>, OrderRef)> = model.iter().map(|(key, &r)| (key, r)).collect();
    let Some((last, _)) = all.last() else { return Leaves::join(Vec::new(), Vec::new()) };
    let (mut rest, mut low, mut parts) = (&all[..], all[0].0.clone(), Vec::new());
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(random.usize(1..=rest.len()));
        let high = match behind.first() {
            Some((next, _)) => separator(part[part.len() - 1].0, next),
            None => (*last).clone(),
        };
        let mut builder = OrderBuilder::starting_at(low);
        part.iter().for_each(|(key, r)| builder.push(key, *r));
        parts.push(builder.finish(&high));
        (low, rest) = (high, behind);
    }
    Leaves::join(parts, (*last).clone())
}

#[test]
fn built_index_equals_inserted_index_and_takes_changes() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for (shape, count) in [(0, 0), (0, 1), (1, 57), (2, 58), (3, 60), (5, 3_400), (1, 9_000)] {
        let (mut keys, mut model) = (Keys::default(), Model::new());
        for _ in 0..count {
            let key = random_key(&mut random, shape, 1_000_000);
            if let Entry::Vacant(vacant) = model.entry(key) {
                let r = keys.add(vacant.key());
                vacant.insert(r);
            }
        }
        let mut index = built_in_parts(&model, &mut random);
        index.assert_consistent(&keys);
        for _ in 0..1_000 {
            let key = random_key(&mut random, shape, 1_000_000);
            if let Some(r) = model.remove(&key) {
                assert!(index.remove(&key, r));
            } else {
                let r = keys.add(&key);
                index.insert(&keys, &key, r);
                model.insert(key, r);
            }
        }
        index.assert_consistent(&keys);
        let mut all = Vec::new();
        index.page_at(0, usize::MAX, &mut all);
        assert_eq!(all, model.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn keys_in_order_leave_full_leaves_and_are_hardly_ever_looked_up() {
    for descending in [false, true] {
        let (mut index, mut keys) = (OrderIndex::new(), Keys::default());
        let count = 20_000_u32;
        for step in 0..count {
            let number = if descending { count - step } else { step };
            let key = format!("collection:7:{number:010}").into_bytes();
            let r = keys.add(&key);
            index.insert(&keys, &key, r);
        }
        index.assert_consistent(&keys);
        let per_key = index.memory_bytes() / u64::from(count);
        assert!(per_key <= 16, "{per_key} bytes per key");
        let looked_up = keys.looked_up.get();
        assert!(looked_up < u64::from(count) / 2, "{looked_up} keys looked up");
    }
}

#[test]
fn random_keys_are_not_looked_up() {
    let mut random = fastrand::Rng::with_seed(5);
    let (mut index, mut keys, mut all) = (OrderIndex::new(), Keys::default(), Vec::new());
    for _ in 0..20_000 {
        let key = random_key(&mut random, 0, 1);
        let r = keys.add(&key);
        index.insert(&keys, &key, r);
        all.push((key, r));
    }
    for (key, r) in &all[..10_000] {
        assert!(index.remove(key, *r));
    }
    assert_eq!(keys.looked_up.get(), 0);
    for (key, r) in &all[10_000..] {
        assert_eq!(index.nth(index.position(&keys, key, Side::Before)), Some(*r));
    }
    assert!(keys.looked_up.get() <= 10_000, "only the key asked for");
}

#[test]
fn structured_keys_are_seldom_looked_up() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for shape in [1, 4, 5] {
        let (mut index, mut keys, mut model) = (OrderIndex::new(), Keys::default(), Model::new());
        for _ in 0..20_000 {
            let key = random_key(&mut random, shape, 1_000_000_000);
            if let Entry::Vacant(vacant) = model.entry(key) {
                let r = keys.add(vacant.key());
                index.insert(&keys, vacant.key(), r);
                vacant.insert(r);
            }
        }
        let per_insert = keys.looked_up.get() as f64 / model.len() as f64;
        keys.looked_up.set(0);
        for key in model.keys() {
            index.position(&keys, key, Side::Before);
        }
        let per_rank = keys.looked_up.get() as f64 / model.len() as f64;
        assert!(per_insert < 0.3, "shape {shape}: {per_insert:.2} per insert");
        assert!(per_rank < 1.1, "shape {shape}: {per_rank:.2} per rank");
    }
}
