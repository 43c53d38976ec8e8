//! Making watchers: of a key, a prefix, a range.
//!
//! Knows types and options; what a watcher does is in `watch.rs`.

use super::{Keyspace, check_key};
use crate::{
    codec::Codec,
    error::Result,
    key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position},
    watch::{CAPACITY_DEFAULT, QueueParts, Scope, Watcher},
};
use std::fmt;

/// How a watcher is to be, before it is said of what; see [`Keyspace::watcher`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// let mut watcher = users.watcher().capacity(10_000).only_durable().prefix("a")?;
/// users.put("ada", &36)?; // `Immediate`
/// assert!(watcher.try_next()?.is_some());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is watched before `key`, `prefix` or `range` is called"]
pub struct WatchBuilder<'k, K, V: ?Sized, C = crate::Bincode> {
    keyspace: &'k Keyspace<K, V, C>,
    capacity: usize,
    wants_old: bool,
    only_durable: bool,
}

impl<K, V: ?Sized, C> fmt::Debug for WatchBuilder<'_, K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchBuilder")
            .field("keyspace", &self.keyspace.name())
            .field("capacity", &self.capacity)
            .field("with_old_values", &self.wants_old)
            .field("only_durable", &self.only_durable)
            .finish()
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Watches one key: what is committed to it from now on.
    ///
    /// A range delete that takes the key is told as a delete of it. So is, of every watcher, a
    /// delete in a batch, whether or not the key was there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Event;
    /// let mut watcher = users.watch("ada")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// users.clear()?;
    /// let key = "ada".to_owned();
    /// assert_eq!(watcher.wait_next()?.event, Event::Put { key: key.clone(), value: 36 });
    /// assert_eq!(watcher.wait_next()?.event, Event::Delete { key });
    /// assert_eq!(watcher.try_next()?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`KeyTooLong`](crate::Error::KeyTooLong), [`Closed`](crate::Error::Closed),
    /// [`Poisoned`](crate::Error::Poisoned),
    /// [`KeyspaceGone`](crate::Error::KeyspaceGone).
    pub fn watch(&self, key: impl AsKey<K>) -> Result<Watcher<K, V, C>> {
        self.watcher().key(key)
    }

    /// Watches all keys with a prefix, of unordered keyspaces too.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watch_prefix("a")?;
    /// users.put("bob", &41)?;
    /// users.put("ada", &36)?;
    /// assert_eq!(watcher.wait_next()?.event.key().map(String::as_str), Some("ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::watch`].
    pub fn watch_prefix(&self, prefix: impl KeyPrefix<K>) -> Result<Watcher<K, V, C>> {
        self.watcher().prefix(prefix)
    }

    /// Watches all keys in a range, of unordered keyspaces too; `..` for the whole keyspace.
    ///
    /// A range delete is told with its whole range, of which only a part may be watched.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watch_range("a".."b")?;
    /// users.put("bob", &41)?;
    /// users.put("ada", &36)?;
    /// assert_eq!(watcher.wait_next()?.event.key().map(String::as_str), Some("ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::watch`].
    pub fn watch_range(&self, range: impl KeyRange<K>) -> Result<Watcher<K, V, C>> {
        self.watcher().range(range)
    }

    /// A watcher with options: how many events may wait, whether old values are wanted, whether
    /// everything must be durable first.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watcher().capacity(100).with_old_values().prefix("a")?;
    /// users.put("ada", &36)?;
    /// users.put("ada", &37)?;
    /// assert_eq!(watcher.wait_next()?.old, None);
    /// assert_eq!(watcher.wait_next()?.old, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watcher(&self) -> WatchBuilder<'_, K, V, C> {
        WatchBuilder {
            keyspace: self,
            capacity: CAPACITY_DEFAULT,
            wants_old: false,
            only_durable: false,
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> WatchBuilder<'_, K, V, C> {
    /// How many events may wait to be taken: 1,024 if nothing is said, at least one. With one more
    /// the watcher [lags](Watcher#lag).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Error;
    /// let mut watcher = users.watcher().capacity(1).range(..)?;
    /// users.put("ada", &36)?;
    /// let seen = store.snapshot().token();
    /// users.put("bob", &41)?;
    /// users.put("eve", &52)?;
    /// assert!(matches!(watcher.try_next(), Err(Error::Lagged { resume_from })
    ///     if resume_from.sequence() < seen.sequence()));
    /// users.put("joe", &63)?;
    /// assert_eq!(watcher.wait_next()?.event.key().map(String::as_str), Some("joe"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(self, events: usize) -> Self {
        WatchBuilder { capacity: events.max(1), ..self }
    }

    /// Events carry the value that the key had before. It is looked up by the commit, and read
    /// when the event is taken.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut watcher = users.watcher().with_old_values().key("ada")?;
    /// users.delete("ada")?;
    /// assert_eq!(watcher.wait_next()?.old, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_old_values(self) -> Self {
        WatchBuilder { wants_old: true, ..self }
    }

    /// Events wait until they survive power loss, those of `Buffered` commits too: for what is
    /// passed on to other systems. They wait for the next sync, and cause none.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let mut watcher = users.watcher().only_durable().key("ada")?;
    /// users.put_with("ada", &36, Durability::Buffered)?;
    /// store.sync()?;
    /// assert!(watcher.try_next()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn only_durable(self) -> Self {
        WatchBuilder { only_durable: true, ..self }
    }

    /// Watches one key; see [`Keyspace::watch`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watcher().capacity(8).key("ada")?;
    /// assert_eq!(watcher.try_next()?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::watch`].
    pub fn key(self, key: impl AsKey<K>) -> Result<Watcher<K, V, C>> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        check_key(&bytes)?;
        self.scope(Scope::Key(bytes.into()))
    }

    /// Watches all keys with a prefix; see [`Keyspace::watch_prefix`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<(u64, String), u64> = store.keyspace("users")?;
    /// let mut watcher = users.watcher().capacity(8).prefix((36,))?;
    /// users.put((36, "ada"), &1)?;
    /// assert!(watcher.wait_next().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::watch`].
    pub fn prefix(self, prefix: impl KeyPrefix<K>) -> Result<Watcher<K, V, C>> {
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        self.scope(Scope::from(&EncodedRange::from_prefix(bytes)))
    }

    /// Watches all keys in a range; see [`Keyspace::watch_range`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<u64, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watcher().capacity(8).range(10..20)?;
    /// users.put(15, &1)?;
    /// assert_eq!(watcher.wait_next()?.event.key(), Some(&15));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::watch`].
    pub fn range(self, range: impl KeyRange<K>) -> Result<Watcher<K, V, C>> {
        self.scope(Scope::from(&range.encode_range()))
    }

    fn scope(self, scope: Scope) -> Result<Watcher<K, V, C>> {
        let inner = &self.keyspace.inner;
        let engine = &inner.store.0.engine;
        let parts = QueueParts {
            number: engine.watching.next_number(),
            keyspace: inner.core.id(),
            scope,
            wants_old: self.wants_old,
            only_durable: self.only_durable,
            capacity: self.capacity,
        };
        Watcher::new(engine, &inner.core, parts)
    }
}
