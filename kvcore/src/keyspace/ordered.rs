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
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("bob", &41)?;
    /// users.put("ada", &36)?;
    /// let mut names = users.iter().map(|e| e.map(|e| e.into_key()));
    /// assert_eq!(names.next().transpose()?.as_deref(), Some("ada"));
    /// assert_eq!(names.next().transpose()?.as_deref(), Some("bob"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn iter(&self) -> Iter<K, V, C> {
        self.range(..)
    }

    /// The entries of a range of keys, in order, from either end.
    ///
    /// On an unordered keyspace the first item is an error.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// for entry in users.range("b"..).rev() {
    ///     users.delete(entry?.key())?; // the iterator is a view: writing meanwhile is fine
    /// }
    /// assert_eq!(users.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn range(&self, range: impl KeyRange<K>) -> Iter<K, V, C> {
        Iter::new(&self.inner, range.encode_range(), self.check_ordered("range").err())
    }

    /// The entries whose key starts with a prefix: bytes of a string, or leading components of a
    /// tuple.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use kvcore::Keyspace;
    /// let visits: Keyspace<(String, u64), ()> = store.keyspace("visits")?;
    /// visits.put(("ada", 1), &())?;
    /// visits.put(("ada", 2), &())?;
    /// visits.put(("bob", 1), &())?;
    /// assert_eq!(visits.prefix(("ada",)).count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prefix(&self, prefix: impl KeyPrefix<K>) -> Iter<K, V, C> {
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        let range = EncodedRange::from_prefix(bytes);
        Iter::new(&self.inner, range, self.check_ordered("prefix").err())
    }

    /// How many keys lie in a range. O(log n). Expired keys count until their removal.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// assert_eq!(users.count("b"..)?, 2); // walks over nothing
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// assert_eq!(users.rank("bob")?, Some(1));
    /// assert_eq!(users.count("b"..)?, 2);
    /// assert_eq!(users.nth(2)?.map(|e| e.into_key()).as_deref(), Some("eve"));
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// assert_eq!(users.nth(1)?.expect("three").key(), "bob"); // the median
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`], and [`Error::Decode`](crate::Error::Decode) for the key.
    pub fn nth(&self, index: u64) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        self.check_ordered("nth")?;
        let now_ms = self.engine().clock.now_ms();
        self.entry(|| self.index().nth(&self.engine().files, index, now_ms))
    }

    /// The entry with the smallest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("bob", &41)?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.first()?.expect("two").value()?, 36);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn first(&self) -> Result<Option<Entry<K, V, C>>> {
        self.at_end(End::First)
    }

    /// The entry with the largest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let log: kvcore::Keyspace<u64, String> = store.keyspace("log")?;
    /// let next = log.last()?.map_or(0, |entry| entry.key() + 1);
    /// log.put(next, &"started".to_owned())?;
    /// assert_eq!(log.last()?.expect("one").key(), &0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn last(&self) -> Result<Option<Entry<K, V, C>>> {
        self.at_end(End::Last)
    }

    /// Deletes the entry with the smallest key and returns it: what a queue's consumer does.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("job 1", &1)?;
    /// users.put("job 2", &2)?;
    /// assert_eq!(users.pop_first()?, Some(("job 1".to_owned(), 1)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::take`].
    pub fn pop_first(&self) -> Result<Option<(K, C::Owned)>> {
        self.pop(End::First)
    }

    /// Deletes the entry with the largest key and returns it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// assert_eq!(users.pop_last()?, Some(("bob".to_owned(), 41))); // a stack
    /// # Ok(())
    /// # }
    /// ```
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
        match end {
            End::First => self.index().nth(files, 0, now_ms),
            End::Last => self.index().last(files, now_ms),
        }
    }

    fn pop(&self, end: End) -> Result<Option<(K, C::Owned)>> {
        self.check_ordered("pop_first and pop_last")?;
        let engine = self.engine();
        let when = When::Now(engine.options.durability);
        let mut guard = engine.write_paced(when)?;
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
