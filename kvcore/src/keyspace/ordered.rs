//! The calls that need key order.

use super::{Keyspace, decode_error};
use crate::{
    batch::borrow,
    codec::Codec,
    engine::When,
    error::Result,
    index::Item,
    iter::{Entry, Iter},
    key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position, decode_whole},
};

/// Which end of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// All entries in key order, as of now: a consistent view that later writes do not change.
    ///
    /// Values are read when asked for. Writing while iterating is fine.
    #[must_use]
    pub fn iter(&self) -> Iter<K, V, C> {
        self.range(..)
    }

    /// The entries of a range of keys, in order, from either end.
    ///
    /// On an unordered keyspace the first item is an error.
    #[must_use]
    pub fn range(&self, range: impl KeyRange<K>) -> Iter<K, V, C> {
        Iter::new(&self.inner, range.encode_range(), self.check_ordered("range").err())
    }

    /// The entries whose key starts with a prefix: bytes of a string, or leading components of a
    /// tuple.
    #[must_use]
    pub fn prefix(&self, prefix: impl KeyPrefix<K>) -> Iter<K, V, C> {
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        let range = EncodedRange::from_prefix(bytes);
        Iter::new(&self.inner, range, self.check_ordered("prefix").err())
    }

    /// How many keys lie in a range. O(log n). Expired keys count until their removal.
    ///
    /// # Errors
    ///
    /// [`Error::Unordered`](crate::Error::Unordered), [`Error::Closed`](crate::Error::Closed).
    pub fn count(&self, range: impl KeyRange<K>) -> Result<u64> {
        self.engine().check_open()?;
        let range = range.encode_range();
        self.check_range(&range, "count")?;
        if !self.index().is_ordered() {
            return Ok(self.len());
        }
        Ok(self.index().count(borrow(&range.start), borrow(&range.end)))
    }

    /// How many keys are below this one; `None` if it is not there. O(log n).
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`].
    pub fn rank(&self, key: impl AsKey<K>) -> Result<Option<u64>> {
        self.engine().check_open()?;
        self.check_ordered("rank")?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let (below, is_there) = self.index().rank(&bytes);
        Ok((is_there && self.state_now(&bytes).is_some()).then_some(below))
    }

    /// The entry with this many keys below it. O(log n).
    ///
    /// Expired keys count until their removal; where one has this place, the next entry that has
    /// not expired is given.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`], and [`Error::Decode`](crate::Error::Decode) for the key.
    pub fn nth(&self, index: u64) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        self.check_ordered("nth")?;
        let now_ms = self.engine().clock.now_ms();
        self.entry(|| {
            let mut items = (index..).map_while(|at| self.index().nth(&self.engine().files, at));
            items.find(|item| item.state.is_alive(|| now_ms))
        })
    }

    /// The entry with the smallest key.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn first(&self) -> Result<Option<Entry<K, V, C>>> {
        self.at_end(End::First)
    }

    /// The entry with the largest key.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn last(&self) -> Result<Option<Entry<K, V, C>>> {
        self.at_end(End::Last)
    }

    /// Deletes the entry with the smallest key and returns it: what a queue's consumer does.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::take`].
    pub fn pop_first(&self) -> Result<Option<(K, C::Owned)>> {
        self.pop(End::First)
    }

    /// Deletes the entry with the largest key and returns it.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::take`].
    pub fn pop_last(&self) -> Result<Option<(K, C::Owned)>> {
        self.pop(End::Last)
    }

    fn at_end(&self, end: End) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        self.check_ordered("first and last")?;
        self.entry(|| self.item_at(end))
    }

    /// The outermost entry that has not expired.
    fn item_at(&self, end: End) -> Option<Item> {
        let now_ms = self.engine().clock.now_ms();
        let files = &self.engine().files;
        let mut skipped = 0;
        loop {
            let at = match end {
                End::First => skipped,
                End::Last => self.index().len().checked_sub(1 + skipped)?,
            };
            let item = self.index().nth(files, at)?;
            if item.state.is_alive(|| now_ms) {
                return Some(item);
            }
            skipped += 1;
        }
    }

    fn pop(&self, end: End) -> Result<Option<(K, C::Owned)>> {
        self.check_ordered("pop_first and pop_last")?;
        let engine = self.engine();
        let when = When::Now(engine.options.durability);
        let mut guard = engine.write()?;
        let Some(item) = self.item_at(end) else { return Ok(None) };
        let key: K = decode_whole(&item.key).map_err(decode_error)?;
        let id = self.index().id;
        let value = engine.read_value(&item.file, id, &item.key, &item.state.entry, C::decode)?;
        let sequence = self.delete_back(&mut guard, &item.key, when)?;
        drop(guard);
        engine.acknowledge(sequence, when)?;
        Ok(Some((key, value)))
    }
}
