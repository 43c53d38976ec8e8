//! Several writes that become one commit.

use crate::{
    codec::Codec,
    engine::{PreparedBatch, When, with_key_buffer},
    error::Result,
    ids::Sequence,
    index::Index,
    key::{AsKey, Key, KeyRange, Position},
    keyspace::{Keyspace, check_key},
    log::Record,
    options::{Durability, Put, unix_ms},
    store::Store,
};
use std::{fmt, ops::Bound, sync::Arc, time::SystemTime};

/// Writes in any keyspaces of one store that are applied together or not at all.
///
/// Takes effect at [`Batch::commit`], as one record of the log: readers and a crash see all of it
/// or nothing. Writes to the same key apply in the order in which they were added.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// use kvcore::{Durability, Keyspace};
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// let by_age: Keyspace<(u64, String), ()> = store.keyspace("users by age")?;
/// let mut batch = store.batch();
/// batch.put(&users, "ada", &37)?;
/// batch.delete(&by_age, (36, "ada"))?;
/// batch.put(&by_age, (37, "ada"), &())?;
/// let sequence = batch.commit_with(Durability::Immediate)?;
/// assert!(store.durable_sequence() >= sequence);
/// # Ok(())
/// # }
/// ```
#[must_use = "a batch does nothing until `commit`"]
pub struct Batch {
    store: Store,
    prepared: PreparedBatch,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Batch {
    pub(crate) fn new(store: Store) -> Batch {
        Batch { store, prepared: PreparedBatch::lent() }
    }

    pub(crate) fn prepared_mut(&mut self) -> &mut PreparedBatch {
        &mut self.prepared
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn push(&mut self, index: &Arc<Index>, record: &Record<'_>) -> Result<()> {
        self.prepared.push(index, record)
    }

    pub(crate) fn push_expiry(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
    ) -> Result<()> {
        self.prepared.push_expiry(index, key, at_ms)
    }

    /// The same of an expiry that was decided elsewhere.
    pub(crate) fn push_told_expiry(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
    ) -> Result<()> {
        self.prepared.push_told_expiry(index, key, at_ms)
    }

    /// Its records, for a commit by the holder of the writer lock.
    pub(crate) fn take(&mut self) -> PreparedBatch {
        std::mem::take(&mut self.prepared)
    }

    /// How many writes it holds.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// batch.delete(&users, "bob")?;
    /// assert_eq!(batch.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.prepared.len()
    }

    /// It holds nothing.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// assert!(batch.is_empty());
    /// batch.put(&users, "ada", &36)?;
    /// assert!(!batch.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prepared.is_empty()
    }

    /// Adds a put. It clears the key's expiry.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// assert!(!users.contains("ada")?); // nothing happens before the commit
    /// batch.commit()?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`](crate::Error::KeyTooLong),
    /// [`Error::ValueTooLong`](crate::Error::ValueTooLong),
    /// [`Error::Encode`](crate::Error::Encode),
    /// [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace),
    /// [`Error::BatchTooLarge`](crate::Error::BatchTooLarge); the batch is as before.
    pub fn put<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        value: &V,
    ) -> Result<()> {
        self.put_with(keyspace, key, value, Put::default())
    }

    /// Adds a put with an expiry. A durability in `put` counts for nothing here.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Put;
    /// use std::time::Duration;
    /// let mut batch = store.batch();
    /// batch.put_with(&users, "ada", &36, Put::expires_in(Duration::from_secs(60)))?;
    /// batch.put(&users, "bob", &41)?;
    /// batch.commit()?;
    /// assert!(users.expires_at("ada")?.is_some() && users.expires_at("bob")?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`].
    pub fn put_with<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        value: &V,
        put: impl Into<Put>,
    ) -> Result<()> {
        keyspace.check_store(&self.store)?;
        let put = put.into();
        keyspace
            .with_put_record(key, value, &put, |index, record, _| self.prepared.push(index, record))
    }

    /// Adds a delete.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut batch = store.batch();
    /// batch.delete(&users, "ada")?;
    /// batch.put(&users, "countess", &36)?; // renamed in one step
    /// batch.commit()?;
    /// assert_eq!((users.get("ada")?, users.get("countess")?), (None, Some(36)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`].
    pub fn delete<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<()> {
        keyspace.check_store(&self.store)?;
        let index = keyspace.index();
        with_key_buffer(|bytes| {
            key.encode_key(bytes, Position::Last);
            check_key(bytes)?;
            self.prepared.push(index, &Record::Tombstone { keyspace: index.id, key: bytes })
        })
    }

    /// Adds a delete of all keys in a range.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("zoe", &7)?;
    /// let mut batch = store.batch();
    /// batch.delete_range(&users, .."n")?;
    /// batch.put(&users, "bob", &41)?; // comes after the delete, so it stays
    /// batch.commit()?;
    /// assert_eq!((users.len(), users.get("ada")?), (2, None));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`], and [`Error::Unordered`](crate::Error::Unordered).
    pub fn delete_range<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Result<()> {
        keyspace.check_store(&self.store)?;
        let range = range.encode_range();
        keyspace.check_range(&range, "delete_range")?;
        if range.is_empty() {
            return Ok(());
        }
        let index = keyspace.index();
        let (start, end) = (borrow(&range.start), borrow(&range.end));
        self.prepared.push(index, &Record::RangeTombstone { keyspace: index.id, start, end })
    }

    /// Adds a delete of all keys.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut batch = store.batch();
    /// batch.clear(&users)?;
    /// batch.put(&users, "bob", &41)?; // the new content, in the same step
    /// batch.commit()?;
    /// assert_eq!((users.len(), users.get("bob")?), (1, Some(41)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`].
    pub fn clear<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<()> {
        self.delete_range(keyspace, ..)
    }

    /// Adds a change of a key's expiry; without effect if the key is not there by then.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::{Duration, SystemTime};
    /// users.put("ada", &36)?;
    /// let mut batch = store.batch();
    /// batch.expire(&users, "ada", SystemTime::now() + Duration::from_secs(60))?;
    /// batch.commit()?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`].
    pub fn expire<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        at: SystemTime,
    ) -> Result<()> {
        let key = keyspace.key_in(&self.store, key)?;
        self.prepared.push_expiry(keyspace.index(), &key, Some(unix_ms(at)))
    }

    /// Adds the removal of a key's expiry; without effect if the key is not there by then.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Put;
    /// use std::time::Duration;
    /// users.put_with("ada", &36, Put::expires_in(Duration::from_secs(60)))?;
    /// let mut batch = store.batch();
    /// batch.persist(&users, "ada")?;
    /// batch.commit()?;
    /// assert_eq!(users.expires_at("ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::put`].
    pub fn persist<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<()> {
        let key = keyspace.key_in(&self.store, key)?;
        self.prepared.push_expiry(keyspace.index(), &key, None)
    }

    /// Commits with the store's durability; returns the sequence of the last write.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// batch.put(&users, "bob", &41)?;
    /// let sequence = batch.commit()?;
    /// assert_eq!(sequence, store.tip_sequence());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io), [`Error::Poisoned`](crate::Error::Poisoned),
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Nested`](crate::Error::Nested),
    /// [`Error::BatchTooLarge`](crate::Error::BatchTooLarge); nothing is applied, except that
    /// after a failed sync (`Poisoned`) it is unknown whether the batch survives.
    pub fn commit(self) -> Result<Sequence> {
        let durability = self.store.engine().options.durability;
        self.commit_with(durability)
    }

    /// Commits with this durability.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// let sequence = batch.commit_with(Durability::Immediate)?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<Sequence> {
        self.commit_when(When::Now(durability))
    }

    pub(crate) fn commit_when(mut self, when: When) -> Result<Sequence> {
        let mut prepared = std::mem::take(&mut self.prepared);
        let committed = self.store.engine().commit(&mut prepared, when);
        prepared.give_back();
        committed
    }

    /// The store holds more afterwards.
    pub(crate) fn grows(&self) -> bool {
        self.prepared.grows()
    }
}

/// What was put into blobs for a batch that is not committed is of no use.
impl Drop for Batch {
    fn drop(&mut self) {
        self.prepared.blobs().for_each(|id| self.store.engine().discard_blob(id));
    }
}

/// A bound's bytes, borrowed.
pub(crate) fn borrow(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(b) => Bound::Included(b),
        Bound::Excluded(b) => Bound::Excluded(b),
        Bound::Unbounded => Bound::Unbounded,
    }
}
