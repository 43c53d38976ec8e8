//! The writes of a transaction.

use super::{Transaction, own::Write};
use crate::{
    codec::Codec,
    error::Result,
    iter::Entry,
    key::{AsKey, Key, KeyRange},
    keyspace::{Keyspace, check_key},
    options::{Durability, Put, unix_ms},
};
use std::{ops::Bound, time::SystemTime};

impl Transaction<'_> {
    /// Sets a key's value; an expiry it had is gone.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| tx.put(&users, "ada", &36))?;
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
    /// [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace); the transaction is as before.
    pub fn put<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        value: &V,
    ) -> Result<()> {
        self.put_with(keyspace, key, value, Put::default())
    }

    /// The same with an expiry. A durability in `put` counts for nothing here: see
    /// [`Transaction::set_durability`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::Duration;
    /// let minute = kvcore::Put::expires_in(Duration::from_secs(60));
    /// store.transaction(|tx| tx.put_with(&users, "ada", &36, minute))?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::put`].
    pub fn put_with<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        value: &V,
        put: impl Into<Put>,
    ) -> Result<()> {
        let key = keyspace.key_in(self.store, key)?;
        let mut bytes = Vec::new();
        keyspace.encode_value(value, &mut bytes)?;
        let expires_at_ms = put.into().expires_at_ms(|| self.store.engine().clock.now_ms());
        let write = Write::Put { value: bytes.into(), expires_at_ms };
        self.own.space_mut(&keyspace.inner).keys.insert(key, write);
        Ok(())
    }

    /// Deletes a key; false if it was not there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// assert!(store.transaction(|tx| tx.delete(&users, "ada"))?);
    /// assert!(!store.transaction(|tx| tx.delete(&users, "ada"))?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::contains`], and [`Error::KeyTooLong`](crate::Error::KeyTooLong).
    pub fn delete<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        let key = keyspace.key_in(self.store, key)?;
        let was_there = self.expiry_of(keyspace, &key)?.is_some();
        if was_there {
            self.own.space_mut(&keyspace.inner).keys.insert(key, Write::Delete);
        }
        Ok(was_there)
    }

    /// Deletes all keys in a range, own writes included.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     tx.delete_range(&users, "a".."b")?;
    ///     assert_eq!(tx.count(&users, ..)?, 1);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unordered`](crate::Error::Unordered),
    /// [`Error::KeyTooLong`](crate::Error::KeyTooLong) for a bound,
    /// [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace).
    pub fn delete_range<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Result<()> {
        keyspace.check_store(self.store)?;
        let range = range.encode_range();
        keyspace.check_range(&range, "delete_range")?;
        for bound in [&range.start, &range.end] {
            if let Bound::Included(key) | Bound::Excluded(key) = bound {
                check_key(key)?;
            }
        }
        if !range.is_empty() {
            self.own.space_mut(&keyspace.inner).delete_range(&range);
        }
        Ok(())
    }

    /// Deletes all keys of a keyspace.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| tx.clear(&users))?;
    /// assert!(users.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::delete_range`].
    pub fn clear<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<()> {
        self.delete_range(keyspace, ..)
    }

    /// Deletes the entry with the smallest key and returns it: how a consumer claims from a
    /// queue, together with whatever it writes about it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use kvcore::Keyspace;
    /// let waiting: Keyspace<u64, String> = store.keyspace("waiting")?;
    /// let running: Keyspace<u64, String> = store.keyspace("running")?;
    /// waiting.put(waiting.next_id()?, &"resize a picture".to_owned())?;
    /// let claimed = store.transaction(|tx| {
    ///     let Some((id, job)) = tx.pop_first(&waiting)? else { return Ok(None) };
    ///     tx.put(&running, id, &job)?;
    ///     Ok(Some(job))
    /// })?;
    /// assert_eq!(claimed.as_deref(), Some("resize a picture"));
    /// assert_eq!((waiting.len(), running.len()), (0, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::first`] and [`Transaction::get`].
    pub fn pop_first<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<(K, C::Owned)>> {
        let first = self.first(keyspace)?;
        self.pop(keyspace, first)
    }

    /// Deletes the entry with the largest key and returns it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let last = store.transaction(|tx| tx.pop_last(&users))?;
    /// assert_eq!(last, Some(("bob".to_owned(), 41)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::pop_first`].
    pub fn pop_last<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<(K, C::Owned)>> {
        let last = self.last(keyspace)?;
        self.pop(keyspace, last)
    }

    fn pop<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        entry: Option<Entry<K, V, C>>,
    ) -> Result<Option<(K, C::Owned)>> {
        let Some(entry) = entry else { return Ok(None) };
        let value = entry.value()?;
        let key = entry.into_key();
        self.delete(keyspace, &key)?;
        Ok(Some((key, value)))
    }

    /// Makes the key expire at this time; false if it is not there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// use std::time::{Duration, SystemTime};
    /// let soon = SystemTime::now() + Duration::from_secs(60);
    /// assert!(store.transaction(|tx| tx.expire(&users, "ada", soon))?);
    /// assert!(users.expires_at("ada")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::delete`].
    pub fn expire<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        at: SystemTime,
    ) -> Result<bool> {
        let key = keyspace.key_in(self.store, key)?;
        let is_there = self.expiry_of(keyspace, &key)?.is_some();
        if is_there {
            self.own.space_mut(&keyspace.inner).expire(key, Some(unix_ms(at)));
        }
        Ok(is_there)
    }

    /// Makes the key stay; false if it is not there or would stay anyway.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// assert!(!store.transaction(|tx| tx.persist(&users, "ada"))?); // it stays anyway
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::delete`].
    pub fn persist<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        let key = keyspace.key_in(self.store, key)?;
        let expires = self.expiry_of(keyspace, &key)?.flatten().is_some();
        if expires {
            self.own.space_mut(&keyspace.inner).expire(key, None);
        }
        Ok(expires)
    }

    /// How durable the commit is when the call returns, instead of the store's durability.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| {
    ///     tx.set_durability(kvcore::Durability::Buffered);
    ///     tx.put(&users, "ada", &36)
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }
}
