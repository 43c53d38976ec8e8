//! What a transaction reads of ranges, its own writes among what is stored.

use super::{Transaction, TxIter, own::Write};
#[cfg(doc)]
use crate::Error;
use crate::{
    batch::borrow,
    codec::Codec,
    error::Result,
    index::Index,
    iter::Entry,
    key::{EncodedRange, Key, KeyPrefix, KeyRange},
    keyspace::Keyspace,
    read::Read,
};

impl Transaction<'_> {
    /// All entries in key order.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     assert_eq!(tx.iter(&users).count(), 2);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn iter<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> TxIter<'_, K, V, C> {
        self.range(keyspace, ..)
    }

    /// The entries of a range of keys, in order, from either end, with the transaction's own
    /// writes. Nobody else adds to what was read of it, or takes away, before the commit.
    ///
    /// The iterator borrows the transaction: collect the keys before writing.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let removed = store.transaction(|tx| {
    ///     tx.put(&users, "bob", &41)?;
    ///     let keys: Vec<String> =
    ///         tx.range(&users, ..).map(|e| e.map(|e| e.into_key())).collect::<Result<_, _>>()?;
    ///     for key in &keys {
    ///         tx.delete(&users, key)?;
    ///     }
    ///     Ok(keys.len())
    /// })?;
    /// assert_eq!((removed, users.len()), (2, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn range<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> TxIter<'_, K, V, C> {
        Read::range(self, keyspace, range)
    }

    /// The entries whose key starts with a prefix; see [`Keyspace::prefix`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     assert_eq!(tx.prefix(&users, "a").count(), 1);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        prefix: impl KeyPrefix<K>,
    ) -> TxIter<'_, K, V, C> {
        Read::prefix(self, keyspace, prefix)
    }

    /// How many keys lie in a range, own writes included. O(log n), and the transaction's own
    /// writes in the range. Expired keys count until their removal.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     tx.put(&users, "eve", &29)?;
    ///     assert_eq!(tx.count(&users, "b"..)?, 2);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`], and [`Error::ForeignKeyspace`].
    pub fn count<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Result<u64> {
        Read::count(self, keyspace, range)
    }

    /// The entry with the smallest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     let first = tx.first(&users)?.map(|entry| entry.into_key());
    ///     assert_eq!(first.as_deref(), Some("ada"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::nth`].
    pub fn first<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Entry<K, V, C>>> {
        Read::first(self, keyspace)
    }

    /// The entry with the largest key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     let last = tx.last(&users)?.map(|entry| entry.into_key());
    ///     assert_eq!(last.as_deref(), Some("bob"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::nth`].
    pub fn last<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Entry<K, V, C>>> {
        Read::last(self, keyspace)
    }

    /// How many keys lie in a range, own writes included, and that it was asked.
    pub(super) fn count_encoded<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: &EncodedRange,
    ) -> Result<u64> {
        keyspace.check_store(self.store)?;
        keyspace.check_range(range, "count")?;
        let index = keyspace.index();
        if range.is_empty() {
            return Ok(0);
        }
        if let Some(reads) = &self.reads {
            reads.borrow_mut().add_range(index, range);
        }
        self.count_within(index, range)
    }

    /// The same, without its being noted.
    pub(super) fn count_within(&self, index: &Index, range: &EncodedRange) -> Result<u64> {
        let engine = self.store.engine();
        let stored = |range: &EncodedRange| {
            let (start, end) = (borrow(&range.start), borrow(&range.end));
            engine.count_at(index, start, end, &self.view)
        };
        let mut count = stored(range)?;
        let Some(space) = self.own.space(index.id) else { return Ok(count) };
        for deleted in space.deleted_within(range) {
            // An unordered keyspace is deleted as a whole or not at all.
            let gone = if index.is_ordered() { stored(&deleted)? } else { count };
            count = count.saturating_sub(gone);
        }
        for (key, write) in space.range(range) {
            let was_there = !space.is_deleted(key)
                && index.item_of(&engine.files, key, self.view.sequence).is_some();
            match (write, was_there) {
                (Write::Put { .. }, false) => count += 1,
                (Write::Delete, true) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }
}
