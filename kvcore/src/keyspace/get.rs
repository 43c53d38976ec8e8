//! Reading single keys at the tip.

use super::Keyspace;
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    engine::{Ahead, GROUP_KEYS, KeyGroup, with_key_buffer, with_key_group},
    error::Result,
    index::{KeyHash, State},
    key::{AsKey, Key, Position},
    value::Value,
};

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// The value of a key, decoded; `None` if it is absent or has expired.
    ///
    /// Costs one hash probe and one read. The stored bytes are checked before they are decoded.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// assert_eq!(users.get(String::from("bob"))?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if the bytes are not what was written, [`Error::Decode`] if they do not
    /// decode, [`Error::Io`], [`Error::Closed`], [`Error::Poisoned`].
    pub fn get(&self, key: impl AsKey<K>) -> Result<Option<C::Owned>> {
        with_key_buffer(|bytes| {
            key.encode_key(bytes, Position::Last);
            self.engine().get(self.index(), bytes, C::decode)
        })
    }

    /// The stored bytes of a key's value, not decoded. Large ones are not copied.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// films.put(b"night", &vec![7; 100_000])?;
    /// let bytes = films.get_bytes(b"night")?.expect("it was put");
    /// assert_eq!(bytes.len(), 100_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`], without decoding.
    pub fn get_bytes(&self, key: impl AsKey<K>) -> Result<Option<Value>> {
        with_key_buffer(|bytes| {
            key.encode_key(bytes, Position::Last);
            self.engine().get(self.index(), bytes, |v| Ok(v.to_value()))
        })
    }

    /// Hands a key's stored bytes to `f` without copying them; `None` if the key is not there.
    ///
    /// The fastest read: no allocation, no reference count. `f` runs under no lock.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// films.put(b"night", &vec![7; 100_000])?;
    /// let len = films.get_with(b"night", |bytes| bytes.len())?; // nothing is copied
    /// assert_eq!(len, Some(100_000));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get_bytes`].
    pub fn get_with<R>(&self, key: impl AsKey<K>, f: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        with_key_buffer(|bytes| {
            key.encode_key(bytes, Position::Last);
            self.engine().get(self.index(), bytes, |v| Ok(f(&v)))
        })
    }

    /// The values of several keys, in their order.
    ///
    /// They are looked up and read 32 at a time, so that the memory they are in is fetched side by
    /// side: where the data exceeds the processor's caches, this takes about half of the time of
    /// single reads. Each is as of its own moment: a [`Snapshot`](crate::Snapshot) has them as of
    /// one.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.get_many(["ada", "bob"])?, [Some(36), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`]; the first error ends it.
    pub fn get_many<Q: AsKey<K>>(
        &self,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<C::Owned>>> {
        let mut keys = keys.into_iter();
        let (mut group, mut values) = (KeyGroup::default(), Vec::new());
        values.reserve(keys.size_hint().0);
        loop {
            group.clear();
            let left = keys.by_ref().take(GROUP_KEYS);
            left.for_each(|key| group.push(|bytes| key.encode_key(bytes, Position::Last)));
            self.engine().get_group(self.index(), &group, C::decode, &mut values)?;
            if !group.is_full() {
                return Ok(values);
            }
        }
    }

    /// Starts fetching into the processor's caches what reads of these keys will touch, side by
    /// side, for whoever reads them right afterwards, one by one.
    ///
    /// Changes nothing and promises nothing. Pays where the data exceeds the caches; there, it
    /// gives single reads about what [`Keyspace::get_many`] gains. More than some hundred keys
    /// push each other out.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.fetch_ahead(["ada", "bob"]);
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch_ahead<Q: AsKey<K>>(&self, keys: impl IntoIterator<Item = Q>) {
        self.fetch(keys, Ahead::Values);
    }

    /// The same for keys that will be written: their present values are left where they are.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.fetch_places_ahead(["ada", "bob"]);
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch_places_ahead<Q: AsKey<K>>(&self, keys: impl IntoIterator<Item = Q>) {
        self.fetch(keys, Ahead::Places);
    }

    /// The same for keys that will be read and then written.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.fetch_updates_ahead(["ada"]);
    /// let age = users.get("ada")?.unwrap_or(35);
    /// users.put("ada", &(age + 1))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch_updates_ahead<Q: AsKey<K>>(&self, keys: impl IntoIterator<Item = Q>) {
        self.fetch(keys, Ahead::Updates);
    }

    /// The same for keys that will be deleted.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.fetch_deletes_ahead(["ada"]);
    /// assert!(users.delete("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fetch_deletes_ahead<Q: AsKey<K>>(&self, keys: impl IntoIterator<Item = Q>) {
        self.fetch(keys, Ahead::Deletes);
    }

    fn fetch<Q: AsKey<K>>(&self, keys: impl IntoIterator<Item = Q>, ahead: Ahead) {
        with_key_group(|group| {
            for key in keys {
                group.push(|bytes| key.encode_key(bytes, Position::Last));
                if group.is_full() {
                    self.engine().fetch_group(self.index(), group, ahead);
                    group.clear();
                }
            }
            self.engine().fetch_group(self.index(), group, ahead);
        });
    }

    /// Whether the key is there and has not expired. Reads nothing but memory.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert!(users.contains("ada")?);
    /// assert!(!users.contains("bob")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn contains(&self, key: impl AsKey<K>) -> Result<bool> {
        self.engine().check_open()?;
        Ok(self.live_state(key).is_some())
    }

    pub(super) fn live_state(&self, key: impl AsKey<K>) -> Option<State> {
        with_key_buffer(|bytes| {
            key.encode_key(bytes, Position::Last);
            self.state_now(bytes)
        })
    }

    /// The key's state, if it is there and has not expired.
    pub(super) fn state_now(&self, key: &[u8]) -> Option<State> {
        self.state_of(key, self.index().hash(key))
    }

    pub(super) fn state_of(&self, key: &[u8], hash: KeyHash) -> Option<State> {
        let state = self.index().state(key, hash)?;
        state.is_alive(|| self.engine().clock.now_ms()).then_some(state)
    }
}
