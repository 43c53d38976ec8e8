//! Iterators of a transaction: what is stored, and over it what the transaction has written.

use super::{
    Transaction,
    own::{OwnSpace, Write},
    reads::{RangeSlot, Reads},
};
use crate::{
    codec::Codec,
    error::Result,
    index::Item,
    iter::{Entry, Iter},
    key::{EncodedRange, Key},
    keyspace::Keyspace,
};
use std::{cell::RefCell, cmp::Ordering, collections::btree_map, fmt, iter::FusedIterator};

/// Entries of a range in key order, with the writes of the transaction itself.
///
/// Borrows the transaction, so nothing can be written while it lives: collect the keys first.
/// After an error it ends.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// store.transaction(|tx| {
///     tx.put(&users, "bob", &41)?;
///     let names: Vec<_> =
///         tx.iter(&users).map(|e| Ok(e?.into_key())).collect::<kvcore::Result<_>>()?;
///     assert_eq!(names, ["ada", "bob"]); // what is stored, and what was just written
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct TxIter<'t, K, V: ?Sized, C> {
    stored: Ends<Items<K, V, C>>,
    own: Ends<btree_map::Range<'t, Vec<u8>, Write>>,
    space: Option<&'t OwnSpace>,
    now_ms: u64,
    reading: Option<Reading<'t>>,
    is_over: bool,
}

/// What an optimistic transaction notes of this iterator's reads.
struct Reading<'t> {
    reads: &'t RefCell<Reads>,
    slot: RangeSlot,
    /// The last keys given from each end.
    front: Option<Vec<u8>>,
    back: Option<Vec<u8>>,
}

/// Stored entries before their keys are decoded.
struct Items<K, V: ?Sized, C>(Iter<K, V, C>);

impl<K, V: ?Sized, C> Iterator for Items<K, V, C> {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Result<Item>> {
        self.0.next_item(false)
    }
}

impl<K, V: ?Sized, C> DoubleEndedIterator for Items<K, V, C> {
    fn next_back(&mut self) -> Option<Result<Item>> {
        self.0.next_item(true)
    }
}

/// An iterator that can be looked into from both ends.
struct Ends<I: DoubleEndedIterator> {
    rest: I,
    front: Option<I::Item>,
    back: Option<I::Item>,
}

impl<I: DoubleEndedIterator> Ends<I> {
    fn new(rest: I) -> Self {
        Ends { rest, front: None, back: None }
    }

    fn peek(&mut self, from: Side) -> Option<&I::Item> {
        let (near, far) = match from {
            Side::Front => (&mut self.front, &mut self.back),
            Side::Back => (&mut self.back, &mut self.front),
        };
        if near.is_none() {
            let next = match from {
                Side::Front => self.rest.next(),
                Side::Back => self.rest.next_back(),
            };
            // With nothing left in between, what was fetched for the other end comes next.
            *near = next.or_else(|| far.take());
        }
        near.as_ref()
    }

    fn take(&mut self, from: Side) -> Option<I::Item> {
        self.peek(from)?;
        match from {
            Side::Front => self.front.take(),
            Side::Back => self.back.take(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Front,
    Back,
}

/// What comes next: a stored entry, or one of the transaction's own.
enum Next<'t> {
    Stored(Item),
    Own(&'t [u8], &'t crate::value::Value),
}

impl<'t, K: Key, V: ?Sized + 'static, C: Codec<V>> TxIter<'t, K, V, C> {
    pub(crate) fn new(
        tx: &'t Transaction<'_>,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
        call: &'static str,
    ) -> Self {
        let checked = keyspace.check_store(tx.store).and_then(|()| keyspace.check_ordered(call));
        let is_ok = checked.is_ok() && !range.is_empty();
        let space = tx.own.space(keyspace.index().id).filter(|_| is_ok);
        let own = space.map(|space| space.range(&range)).unwrap_or_default();
        let reading = tx.reads.as_ref().filter(|_| is_ok).map(|reads| {
            let slot = reads.borrow_mut().add_range(keyspace.index(), &range);
            Reading { reads, slot, front: None, back: None }
        });
        let stored = Iter::at(&keyspace.inner, &tx.view, range, checked.err());
        TxIter {
            stored: Ends::new(Items(stored)),
            own: Ends::new(own),
            space,
            now_ms: tx.view.now_ms,
            reading,
            is_over: false,
        }
    }

    fn step(&mut self, from: Side) -> Option<Result<Entry<K, V, C>>> {
        if self.is_over {
            return None;
        }
        let entry = match self.next_visible(from) {
            None => {
                self.is_over = true;
                return None;
            }
            Some(next) => next.and_then(|next| self.entry(from, next)),
        };
        self.is_over = entry.is_err();
        Some(entry)
    }

    fn entry(&mut self, from: Side, next: Next<'t>) -> Result<Entry<K, V, C>> {
        if let Some(reading) = &mut self.reading {
            let key = match &next {
                Next::Stored(item) => item.key.to_vec(),
                Next::Own(key, _) => key.to_vec(),
            };
            match from {
                Side::Front => reading.front = Some(key),
                Side::Back => reading.back = Some(key),
            }
        }
        let iter = &self.stored.rest.0;
        match next {
            Next::Stored(item) => Entry::new(item, iter.inner(), Some(iter.view())),
            Next::Own(key, value) => Entry::own(key, value.clone(), iter.inner()),
        }
    }

    /// The next of both sources that the transaction sees.
    fn next_visible(&mut self, from: Side) -> Option<Result<Next<'t>>> {
        loop {
            let own_key = self.own.peek(from).map(|(key, _)| key.as_slice());
            let order = match (self.stored.peek(from), own_key) {
                (None, None) => return None,
                (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(Ok(item)), Some(own)) => match from {
                    Side::Front => (*item.key).cmp(own),
                    Side::Back => own.cmp(&*item.key),
                },
            };
            let stored = if order.is_le() { self.stored.take(from) } else { None };
            let own = if order.is_ge() { self.own.take(from) } else { None };
            let stored = match stored.transpose() {
                Ok(stored) => stored,
                Err(e) => return Some(Err(e)),
            };
            if let Some(next) = self.visible(stored, own) {
                return Some(Ok(next));
            }
        }
    }

    /// What is seen where one or both sources have something at the same key.
    fn visible(
        &self,
        stored: Option<Item>,
        own: Option<(&'t Vec<u8>, &'t Write)>,
    ) -> Option<Next<'t>> {
        let is_alive = |at_ms: &Option<u64>| at_ms.is_none_or(|at| at > self.now_ms);
        match own {
            Some((key, Write::Put { value, expires_at_ms })) => {
                is_alive(expires_at_ms).then_some(Next::Own(key, value))
            }
            Some((_, Write::Delete)) => None,
            Some((_, Write::Expire(at_ms))) => stored.filter(|_| is_alive(at_ms)).map(Next::Stored),
            None => {
                let is_deleted = |item: &Item| self.space.is_some_and(|s| s.is_deleted(&item.key));
                stored.filter(|item| !is_deleted(item)).map(Next::Stored)
            }
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Iterator for TxIter<'_, K, V, C> {
    type Item = Result<Entry<K, V, C>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Side::Front)
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> DoubleEndedIterator for TxIter<'_, K, V, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(Side::Back)
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> FusedIterator for TxIter<'_, K, V, C> {}

/// An iterator that was left early has read only so far.
impl<K, V: ?Sized, C> Drop for TxIter<'_, K, V, C> {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take()
            && !self.is_over
        {
            reading.reads.borrow_mut().narrow(reading.slot, reading.front, reading.back);
        }
    }
}

impl<K, V: ?Sized, C> fmt::Debug for TxIter<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TxIter").field("is_over", &self.is_over).finish_non_exhaustive()
    }
}
