//! Reading single keys at the tip.

use super::Keyspace;
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    engine::Scratch,
    error::Result,
    index::{Item, State},
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
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.engine().get(self.index(), &s.key, C::decode)
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
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.engine().get(self.index(), &s.key, |v| Ok(v.to_value()))
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
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.engine().get(self.index(), &s.key, |v| Ok(f(&v)))
        })
    }

    /// The values of several keys, in their order.
    ///
    /// All are looked up before the first is read, so that the memory they are in can be fetched
    /// side by side. Each is as of its own moment: a [`Snapshot`](crate::Snapshot) has them as of
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
        let (engine, index) = (self.engine(), self.index());
        let found: Result<Vec<Option<Item>>> = keys
            .into_iter()
            .map(|key| {
                Scratch::with(|s| {
                    key.encode_key(&mut s.key, Position::Last);
                    engine.find_ahead(index, &s.key)
                })
            })
            .collect();
        let read = |item: Option<Item>| match item {
            None => Ok(None),
            Some(item) => engine.get_found(index, &item, C::decode),
        };
        found?.into_iter().map(read).collect()
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
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            let state = self.index().state(&s.key, self.index().hash(&s.key))?;
            state.is_alive(|| self.engine().clock.now_ms()).then_some(state)
        })
    }

    /// The key's state, if it is there and has not expired.
    pub(super) fn state_now(&self, key: &[u8]) -> Option<State> {
        let state = self.index().state(key, self.index().hash(key))?;
        state.is_alive(|| self.engine().clock.now_ms()).then_some(state)
    }
}
