//! Collections: a key holds an id, and the elements lie under that id in the database's ordered
//! keyspace.
//!
//! Knows ids, elements and their order. Does not know what the bytes of an element mean: the
//! families of commands do.
//!
//! # Laws
//!
//! C1. The record of a key and the elements under its id change in the same batch: an element
//!     whose id no key holds does not exist, before a crash or after. (Those of a set that is gone
//!     stay a while if there is a reverse index: law R2 of `engine/reverse`.)
//! C2. An id is given to one collection only. It is above the sequence of every commit before, and
//!     a batch has at least as many records as ids it makes.
//! C3. There are no empty collections: whoever removes elements calls [`Db::settle`].
//! C4. Whatever takes the record of a key away, or writes another one over it, removes the
//!     elements with it, be the key past its time or not: two small records, whatever the size.

use std::collections::VecDeque;
use std::ops::{Bound, ControlFlow};

use kvcore::Direction;

use super::engine::{Held, Visit};
use super::pending::{Bounds, Latest, What};
use super::{Db, Expiry, Joined, StoreError, Stored, Type, Value};

type Result<T> = std::result::Result<T, StoreError>;

/// Bytes of an id before each of its elements.
pub(super) const ID_LEN: usize = size_of::<u64>();

/// What tells the elements of one collection from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(super) u64);

impl Id {
    /// As they stand before elements: their order is that of the ids.
    pub(super) fn bytes(self) -> [u8; ID_LEN] {
        self.0.to_be_bytes()
    }
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Id(u64::from_be_bytes(bytes.try_into().ok()?)))
    }
    /// The whole key of an element.
    pub(super) fn element_key(self, sub: &[u8]) -> Joined {
        Joined::new([&self.bytes(), sub])
    }
    /// A range of elements as a range of whole keys.
    fn bounds(self, (start, end): Span<'_>) -> (Bound<Joined>, Bound<Joined>) {
        let start = match start {
            Bound::Unbounded => Bound::Included(self.element_key(&[])),
            bound => bound.map(|sub| self.element_key(sub)),
        };
        let end = match end {
            Bound::Unbounded => Bound::Excluded(Id(self.0 + 1).element_key(&[])),
            bound => bound.map(|sub| self.element_key(sub)),
        };
        (start, end)
    }
}

/// A range that is owned, lent.
fn slices<'a>(start: &'a Bound<Joined>, end: &'a Bound<Joined>) -> Bounds<'a> {
    let lend = |bound: &'a Bound<Joined>| bound.as_ref().map(|key| &**key);
    (lend(start), lend(end))
}

/// A range of elements of one collection, by their keys without the id.
pub(crate) type Span<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// All elements.
pub(crate) const WHOLE: Span<'static> = (Bound::Unbounded, Bound::Unbounded);

/// A collection that exists, and the key that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collection<'k> {
    pub(super) key: &'k [u8],
    pub(super) id: Id,
}

/// An element: its key without the id, and its value.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub(crate) sub: Vec<u8>,
    pub(crate) value: Value,
}

/// An element that a walk has come to.
#[derive(Debug)]
pub(crate) struct Seen<'a>(Held<'a>);

impl<'a> Seen<'a> {
    /// Its key without the id.
    pub(crate) fn sub(&self) -> &'a [u8] {
        &self.0.key()[ID_LEN..]
    }
    /// Hands its value to `f`; read now.
    pub(crate) fn value_with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        match self.0 {
            Held::Stored(visited) => Ok(visited.value_with(f)?),
            Held::Pending { value, .. } => Ok(f(value)),
        }
    }
    /// A copy that outlives the walk.
    pub(crate) fn to_element(&self) -> Result<Element> {
        let value = match self.0 {
            Held::Stored(visited) => visited.value_bytes()?,
            Held::Pending { value, .. } => Value::from(value),
        };
        Ok(Element { sub: self.sub().to_vec(), value })
    }
}

impl<'k> Collection<'k> {
    pub(crate) fn key(&self) -> &'k [u8] {
        self.key
    }
}

impl Db<'_> {
    /// Makes an empty collection in place of whatever `key` holds; elements must follow (C3).
    pub(crate) fn create<'k>(
        &mut self,
        key: &'k [u8],
        kind: Type,
        expiry: Expiry,
    ) -> Result<Collection<'k>> {
        let id = self.data.engine.new_id();
        self.put(key, kind, &id.bytes(), expiry)?;
        Ok(Collection { key, id })
    }

    /// Removes the key if its last element has gone; true if so.
    pub(crate) fn settle(&mut self, collection: Collection<'_>) -> Result<bool> {
        let is_empty = !self.any(collection)?;
        if is_empty {
            self.end(collection);
        }
        Ok(is_empty)
    }
    /// Removes the key, whose last element has gone, as the caller knows.
    pub(crate) fn end(&mut self, collection: Collection<'_>) {
        self.data.pending.delete(self.place, collection.key);
        // The elements are gone, one by one: there is nothing else to remove with it.
        if self.data.engine.has_reverse() {
            self.data.pending.remove_elements(self.place, collection.id);
        }
    }
    /// True if the collection has an element.
    fn any(&mut self, collection: Collection<'_>) -> Result<bool> {
        let mut any = false;
        self.walk(collection, WHOLE, Direction::Ascending, 1, |_| {
            any = true;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(any)
    }

    /// The value of an element.
    pub(crate) fn element(&mut self, of: Collection<'_>, sub: &[u8]) -> Result<Option<Value>> {
        let key = of.id.element_key(sub);
        match self.data.pending.element(self.place.home, &key) {
            Some(pending) => Ok(pending.map(Value::from)),
            None => self.data.engine.element(self.place.home, &key),
        }
    }
    /// Hands the value of an element to `f`; `None` if there is no such element.
    pub(crate) fn element_with<R>(
        &mut self,
        of: Collection<'_>,
        sub: &[u8],
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        let key = of.id.element_key(sub);
        match self.data.pending.element(self.place.home, &key) {
            Some(pending) => Ok(pending.map(f)),
            None => self.data.engine.element_with(self.place.home, &key, f),
        }
    }
    /// True if there is such an element; cheaper than its value.
    pub(crate) fn has_element(&mut self, of: Collection<'_>, sub: &[u8]) -> Result<bool> {
        let key = of.id.element_key(sub);
        match self.data.pending.element(self.place.home, &key) {
            Some(pending) => Ok(pending.is_some()),
            None => self.data.engine.has_element(self.place.home, &key),
        }
    }
    /// Writes an element.
    pub(crate) fn put_element(&mut self, of: Collection<'_>, sub: &[u8], value: &[u8]) {
        self.touch(of);
        self.data.pending.put_element(self.place, of.id, sub, value);
    }
    /// Removes an element that exists.
    pub(crate) fn remove_element(&mut self, of: Collection<'_>, sub: &[u8]) {
        self.touch(of);
        self.data.pending.remove_element(self.place, of.id, sub);
    }
    fn touch(&mut self, of: Collection<'_>) {
        if self.data.is_heard {
            self.data.pending.touch(self.place, of.key);
        }
    }

    /// The number of elements in a range. O(log n), and what is pending in it.
    /// Of all elements it is remembered.
    pub(crate) fn count(&mut self, of: Collection<'_>, span: Span<'_>) -> Result<u64> {
        match span {
            (Bound::Unbounded, Bound::Unbounded) => self.len_of(of),
            span => self.count_in(of, span),
        }
    }
    pub(super) fn count_in(&mut self, of: Collection<'_>, span: Span<'_>) -> Result<u64> {
        let (start, end) = of.id.bounds(span);
        let bounds = || slices(&start, &end);
        let (engine, home) = (&self.data.engine, self.place.home);
        if !self.data.pending.has_elements() {
            return engine.count_elements(home, bounds());
        }
        let (overlaid, is_removed) = self.data.pending.overlay(home, of.id, bounds());
        let mut count = if is_removed { 0 } else { engine.count_elements(home, bounds())? };
        for (key, value) in overlaid {
            let was_there = !is_removed && engine.has_element(home, key)?;
            match (was_there, value.is_some()) {
                (false, true) => count += 1,
                (true, false) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }

    /// The element with so many of the range's elements before it. O(log n) if nothing is pending.
    pub(crate) fn nth(
        &mut self,
        of: Collection<'_>,
        span: Span<'_>,
        index: u64,
    ) -> Result<Option<Element>> {
        if !self.data.pending.has_elements() {
            let (start, end) = of.id.bounds(span);
            let bounds = slices(&start, &end);
            return self.data.engine.nth_element(self.place.home, bounds, index);
        }
        let (mut left, mut found) = (index, None);
        self.walk(of, span, Direction::Ascending, usize::MAX, |seen| {
            if left == 0 {
                found = Some(seen.to_element()?);
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The same without the element's value.
    pub(crate) fn nth_key(
        &mut self,
        of: Collection<'_>,
        span: Span<'_>,
        index: u64,
    ) -> Result<Option<Joined>> {
        if !self.data.pending.has_elements() {
            let (start, end) = of.id.bounds(span);
            let bounds = slices(&start, &end);
            return self.data.engine.nth_element_key(self.place.home, bounds, index);
        }
        Ok(self.nth(of, span, index)?.map(|element| Joined::new([&element.sub])))
    }

    /// Calls `f` with the keys of elements, those with so many before them, where nothing is
    /// pending.
    pub(super) fn nth_subs(
        &self,
        of: Collection<'_>,
        places: Vec<u64>,
        f: impl FnMut(&[u8]),
    ) -> Result<()> {
        let (start, end) = of.id.bounds(WHOLE);
        self.data.engine.nth_subs(self.place.home, slices(&start, &end), places, f)
    }

    /// Calls `f` with up to `limit` elements of a range, in order from one end, until it breaks.
    pub(crate) fn walk(
        &mut self,
        of: Collection<'_>,
        span: Span<'_>,
        direction: Direction,
        limit: usize,
        mut f: impl FnMut(&Seen<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (start, end) = of.id.bounds(span);
        let (engine, home) = (&self.data.engine, self.place.home);
        let bounds = slices(&start, &end);
        let store = |limit, f: Visit<'_>| engine.walk_elements(home, bounds, direction, limit, f);
        if !self.data.pending.has_elements() {
            return store(limit, &mut |held| f(&Seen(held)));
        }
        let (overlaid, is_removed) = self.data.pending.overlay(home, of.id, bounds);
        let overlaid: VecDeque<_> = match direction {
            Direction::Ascending => overlaid.collect(),
            Direction::Descending => overlaid.rev().collect(),
        };
        let store_limit = if is_removed { 0 } else { limit.saturating_add(overlaid.len()) };
        let mut merge = Merge { overlaid, direction, left: limit, f: &mut f };
        if store_limit > 0 {
            let mut is_broken = false;
            store(store_limit, &mut |held| {
                let flow = merge.stored(held)?;
                is_broken = flow.is_break();
                Ok(flow)
            })?;
            if is_broken {
                return Ok(());
            }
        }
        merge.rest()
    }

    /// The same with the keys only.
    pub(super) fn walk_subs(
        &mut self,
        of: Collection<'_>,
        span: Span<'_>,
        (direction, limit): (Direction, usize),
        mut f: impl FnMut(&[u8]),
    ) -> Result<()> {
        if self.data.pending.has_elements() {
            return self.walk(of, span, direction, limit, |seen| {
                f(seen.sub());
                Ok(ControlFlow::Continue(()))
            });
        }
        let (start, end) = of.id.bounds(span);
        let (bounds, home) = (slices(&start, &end), self.place.home);
        let sub = |key: &[u8]| f(key.get(ID_LEN..).unwrap_or_default());
        self.data.engine.walk_element_keys(home, bounds, (direction, limit), sub)
    }

    /// What the record of a key refers to goes with it (C4). Called before another record, or a
    /// tombstone, takes its place.
    pub(super) fn drop_elements_of(&mut self, key: &[u8]) -> Result<()> {
        let home = self.place.home;
        if !self.data.pending.has_elements() && !self.data.engine.has_elements(home) {
            return Ok(());
        }
        let id = match self.data.pending.latest(home, key) {
            // Also one past its time, which readers do not see any more.
            None | Some(Latest::Changed(What::Expire(_))) => {
                self.data.engine.stored_collection(home, key)?
            }
            Some(Latest::Changed(What::Put { value, .. })) => Stored::id_in(value),
            Some(Latest::Changed(What::Delete) | Latest::Cleared) => None,
        };
        if let Some(id) = id {
            self.data.pending.remove_elements(self.place, id);
        }
        Ok(())
    }
}

/// Elements of the store and pending ones, as one walk.
struct Merge<'m, F> {
    /// Those that come next, in the walk's direction.
    overlaid: VecDeque<(&'m [u8], Option<&'m [u8]>)>,
    direction: Direction,
    left: usize,
    f: &'m mut F,
}

impl<F: FnMut(&Seen<'_>) -> Result<ControlFlow<()>>> Merge<'_, F> {
    /// The next element of the store, after the pending ones before it.
    fn stored(&mut self, held: Held<'_>) -> Result<ControlFlow<()>> {
        let key = held.key();
        while let Some((pending, value)) = self.overlaid.front().copied() {
            let order = match self.direction {
                Direction::Ascending => pending.cmp(key),
                Direction::Descending => key.cmp(pending),
            };
            if order.is_gt() {
                break;
            }
            self.overlaid.pop_front();
            let flow = self.pending(pending, value)?;
            if flow.is_break() || order.is_eq() {
                return Ok(flow);
            }
        }
        self.give(&Seen(held))
    }
    /// Pending elements after the last one of the store.
    fn rest(&mut self) -> Result<()> {
        while let Some((key, value)) = self.overlaid.pop_front() {
            if self.pending(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
    fn pending(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<ControlFlow<()>> {
        match value {
            Some(value) => self.give(&Seen(Held::Pending { key, value })),
            None => Ok(ControlFlow::Continue(())),
        }
    }
    fn give(&mut self, seen: &Seen<'_>) -> Result<ControlFlow<()>> {
        if self.left == 0 {
            return Ok(ControlFlow::Break(()));
        }
        self.left -= 1;
        let flow = (self.f)(seen)?;
        Ok(if self.left == 0 { ControlFlow::Break(()) } else { flow })
    }
}
