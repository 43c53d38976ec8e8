//! What a transaction reads of single keys: its own writes first, then the view.

use super::{Transaction, own::Seen};
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    engine::Scratch,
    error::{BoxError, Result},
    index::NEVER_MS,
    key::{AsKey, EncodedRange, Key, Position},
    keyspace::{Keyspace, decode_error},
    options::system_time,
    read::{Read, Source},
    value::{Value, ValueRef},
};
use std::time::SystemTime;

impl Transaction<'_> {
    /// The value of a key, decoded; `None` if it is absent or has expired.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| {
    ///     tx.put(&users, "ada", &36)?;
    ///     assert_eq!(tx.get(&users, "ada")?, Some(36));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`], and [`Error::ForeignKeyspace`].
    pub fn get<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<C::Owned>> {
        Read::get(self, keyspace, key)
    }

    /// The stored bytes of a key's value, not decoded.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| {
    ///     tx.put(&users, "ada", &36)?;
    ///     assert!(tx.get_bytes(&users, "ada")?.is_some_and(|bytes| !bytes.is_empty()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::get`], without decoding.
    pub fn get_bytes<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<Value>> {
        Read::get_bytes(self, keyspace, key)
    }

    /// The values of several keys, in their order.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     assert_eq!(tx.get_many(&users, ["ada", "eve"])?, [Some(36), None]);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::get`]; the first error ends it.
    pub fn get_many<K: Key, V: ?Sized + 'static, C: Codec<V>, Q: AsKey<K>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<C::Owned>>> {
        Read::get_many(self, keyspace, keys)
    }

    /// Whether the key is there and has not expired. Reads nothing but memory.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     assert!(tx.contains(&users, "ada")?);
    ///     assert!(!tx.contains(&users, "eve")?);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`], [`Error::ForeignKeyspace`].
    pub fn contains<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        Read::contains(self, keyspace, key)
    }

    /// When the key expires; `None` if it is absent or does not.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     assert_eq!(tx.expires_at(&users, "ada")?, None);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::contains`].
    pub fn expires_at<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<SystemTime>> {
        Ok(self.expiry_of(keyspace, &keyspace.key_in(self.store, key)?)?.flatten().map(system_time))
    }

    /// When a key expires, if it is there: `None` is "absent", `Some(None)` "never".
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    pub(super) fn expiry_of<K, V: ?Sized, C>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: &[u8],
    ) -> Result<Option<Option<u64>>> {
        let seen = self.own.seen(keyspace.index().id, key);
        let expires_at_ms = match seen {
            Seen::Gone => return Ok(None),
            Seen::Put { expires_at_ms, .. } | Seen::Expiring(expires_at_ms) => expires_at_ms,
            Seen::Stored => {
                self.note_key(keyspace, key);
                let found = self.store.engine().item_at(keyspace.index(), key, &self.view)?;
                let Some(item) = found else { return Ok(None) };
                item.state.expires_at_ms.filter(|ms| *ms != NEVER_MS)
            }
        };
        Ok(self.is_alive(expires_at_ms).then_some(expires_at_ms))
    }

    fn is_alive(&self, expires_at_ms: Option<u64>) -> bool {
        expires_at_ms.is_none_or(|at| at > self.view.now_ms)
    }

    fn note_key<K, V: ?Sized, C>(&self, keyspace: &Keyspace<K, V, C>, key: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.borrow_mut().add_key(keyspace.index(), key);
        }
    }
}

/// Its own writes, and its view below them.
impl Source for Transaction<'_> {
    fn look_up<K: Key, V: ?Sized + 'static, C: Codec<V>, T>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        decode: impl FnOnce(ValueRef<'_>) -> Result<T, BoxError>,
    ) -> Result<Option<T>> {
        keyspace.check_store(self.store)?;
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            match self.own.seen(keyspace.index().id, &s.key) {
                Seen::Gone => return Ok(None),
                Seen::Put { expires_at_ms, .. } if !self.is_alive(expires_at_ms) => {
                    return Ok(None);
                }
                Seen::Put { value, .. } => {
                    return decode(ValueRef::copied(value)).map(Some).map_err(decode_error);
                }
                Seen::Expiring(at_ms) if !self.is_alive(at_ms) => return Ok(None),
                Seen::Expiring(_) | Seen::Stored => {}
            }
            self.note_key(keyspace, &s.key);
            self.store.engine().get_at(keyspace.index(), &s.key, &self.view, decode)
        })
    }

    fn is_there<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        Ok(self.expiry_of(keyspace, &keyspace.key_in(self.store, key)?)?.is_some())
    }

    fn count_in<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: EncodedRange,
    ) -> Result<u64> {
        self.count_encoded(keyspace, &range)
    }
}
