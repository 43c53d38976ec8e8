//! Snapshots: all keyspaces of a store as they were at one moment.

use crate::{
    codec::Codec,
    engine::Scratch,
    error::Result,
    ids::Sequence,
    index::{Item, NEVER_MS},
    iter::{Entry, Iter},
    key::{AsKey, Key, KeyPrefix, KeyRange, Position},
    keyspace::Keyspace,
    options::system_time,
    read::Read,
    store::Store,
    token::ChangeToken,
    value::Value,
    view::View,
};
use std::{fmt, sync::Arc, time::SystemTime};

/// All keyspaces of a store as they were when it was made: one sequence, one time.
///
/// Clones share it; it may be sent to other threads, and it keeps the store open. Making one costs
/// a lock and no copy, and nothing is paid while none is open. While one is, the first change of
/// each key since leaves its old state in memory (later changes of the same key do not, unless
/// another snapshot lies in between), and files that merge has replaced stay on disk: see
/// [`Stats::undo_records`](crate::Stats::undo_records), [`Stats::pinned_bytes`] and
/// [`Stats::oldest_view_age`](crate::Stats::oldest_view_age). Entries count as expired by the time
/// at which it was made.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// let before = store.snapshot();
/// users.put("ada", &37)?;
/// users.put("bob", &41)?;
/// assert_eq!(before.get(&users, "ada")?, Some(36));
/// assert_eq!(before.count(&users, ..)?, 1);
/// assert_eq!(users.get("ada")?, Some(37));
/// # Ok(())
/// # }
/// ```
///
/// [`Stats::pinned_bytes`]: crate::Stats::pinned_bytes
#[derive(Clone)]
pub struct Snapshot {
    store: Store,
    view: Arc<View>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.sequence()).finish_non_exhaustive()
    }
}

impl Store {
    /// A view of all keyspaces as they are now, whatever is written later.
    ///
    /// It holds whole commits only: what it sees of one keyspace fits what it sees of another.
    /// See [`Snapshot`] for what it costs.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let empty = store.snapshot();
    /// users.put("ada", &36)?;
    /// assert!(!empty.contains(&users, "ada")?);
    /// assert_eq!(empty.range(&users, ..).count(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let engine = self.engine();
        let view = engine.views.open_snapshot(engine.clock.now_ms());
        Snapshot { store: self.clone(), view: Arc::new(view) }
    }
}

impl Snapshot {
    /// The sequence it looks from: it sees what was committed up to there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let sequence = users.put("ada", &36)?;
    /// assert_eq!(store.snapshot().sequence(), sequence);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.view.sequence
    }

    /// Its place in the store's history, to be kept outside of the store.
    ///
    /// May wait for a file of the store that is being written.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert_eq!(view.token(), store.snapshot().token());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn token(&self) -> ChangeToken {
        let engine = self.store.engine();
        let manifest = engine.manifest.lock();
        ChangeToken::new(engine.store_id, &manifest.generations, self.sequence())
    }

    /// The store it is of.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let view = store.snapshot();
    /// assert_eq!(view.store().tip_sequence(), view.sequence());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// What the keydir knew of a key, if it was there and had not expired.
    pub(crate) fn item<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<Item>> {
        keyspace.check_store(&self.store)?;
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            self.store.engine().item_at(keyspace.index(), &s.key, &self.view)
        })
    }

    /// The value a key had, decoded; `None` if it was absent or had expired.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// users.delete("ada")?;
    /// assert_eq!(view.get(&users, "ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`], and [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace).
    pub fn get<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<C::Owned>> {
        Read::get(self, keyspace, key)
    }

    /// The stored bytes of the value a key had. Large ones are not copied.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert!(view.get_bytes(&users, "ada")?.is_some_and(|bytes| !bytes.is_empty()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`], without decoding.
    pub fn get_bytes<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<Value>> {
        Read::get_bytes(self, keyspace, key)
    }

    /// The values several keys had, in the keys' order.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert_eq!(view.get_many(&users, ["ada", "eve"])?, [Some(36), None]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Snapshot::get`]; the first error ends it.
    pub fn get_many<K: Key, V: ?Sized + 'static, C: Codec<V>, Q: AsKey<K>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<C::Owned>>> {
        Read::get_many(self, keyspace, keys)
    }

    /// Whether the key was there and had not expired. Reads nothing but memory.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert!(view.contains(&users, "ada")?);
    /// assert!(!view.contains(&users, "eve")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Poisoned`](crate::Error::Poisoned),
    /// [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace).
    pub fn contains<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        Read::contains(self, keyspace, key)
    }

    /// When the key was to expire; `None` if it was absent or was not to.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert_eq!(view.expires_at(&users, "ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Snapshot::contains`].
    pub fn expires_at<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<Option<SystemTime>> {
        let at_ms = self.item(keyspace, key)?.and_then(|item| item.state.expires_at_ms);
        Ok(at_ms.filter(|ms| *ms != NEVER_MS).map(system_time))
    }

    /// All entries in key order.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert_eq!(view.iter(&users).count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn iter<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Iter<K, V, C> {
        self.range(keyspace, ..)
    }

    /// The entries of a range of keys, in order, from either end.
    ///
    /// On an unordered keyspace, or one of another store, the first item is an error.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// users.clear()?;
    /// let mut keys = view.range(&users, "a".."n").rev().map(|e| e.map(|e| e.into_key()));
    /// assert_eq!(keys.next().transpose()?.as_deref(), Some("bob"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn range<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Iter<K, V, C> {
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
    /// let view = store.snapshot();
    /// assert_eq!(view.prefix(&users, "a").count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn prefix<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        prefix: impl KeyPrefix<K>,
    ) -> Iter<K, V, C> {
        Read::prefix(self, keyspace, prefix)
    }

    /// How many keys lay in a range. O(log n), and the number of keys of the range that changed
    /// since. Expired keys count if they had not been removed by then.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let before = store.snapshot();
    /// users.clear()?;
    /// assert_eq!(before.count(&users, "a".."n")?, 1);
    /// assert_eq!(users.count("a".."n")?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::count`], and [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace).
    pub fn count<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        range: impl KeyRange<K>,
    ) -> Result<u64> {
        Read::count(self, keyspace, range)
    }

    /// Keys of a keyspace; as [`Snapshot::count`] of `..`.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let view = store.snapshot();
    /// assert_eq!(view.len(&users)?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Snapshot::count`].
    pub fn len<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<u64> {
        self.count(keyspace, ..)
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
    /// let view = store.snapshot();
    /// assert_eq!(view.first(&users)?.map(|e| e.into_key()).as_deref(), Some("ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`], and [`Error::ForeignKeyspace`](crate::Error::ForeignKeyspace).
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
    /// let view = store.snapshot();
    /// assert_eq!(view.last(&users)?.map(|e| e.into_key()).as_deref(), Some("bob"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Snapshot::first`].
    pub fn last<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<Option<Entry<K, V, C>>> {
        Read::last(self, keyspace)
    }
}
