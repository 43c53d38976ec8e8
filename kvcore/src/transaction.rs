//! Transactions: reads and writes over any keyspaces that take effect as one, or not at all.
//!
//! Knows types and what the transaction has written itself. Writes are in `write`; how it is run
//! and committed is in `run`.
//!
//! # Invariants
//!
//! T1. Every read is as of one view, overlaid with the transaction's own writes.
//! T2. Nothing is appended before the closure has returned `Ok`.
//! T3. At the commit, under the writer lock, nothing that was read has changed since the view: the
//!     lock was held all along, or the reads are compared.

use crate::{
    batch::{Batch, borrow},
    codec::Codec,
    engine::Scratch,
    error::{Error, Result},
    index::NEVER_MS,
    iter::Entry,
    key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position},
    keyspace::{Keyspace, check_key, decode_error},
    log::Record,
    options::{Durability, system_time},
    store::Store,
    value::{Value, ValueRef},
    view::View,
};
use std::{cell::RefCell, fmt, marker::PhantomData, sync::Arc, time::SystemTime};

mod iter;
mod own;
mod reads;
mod run;
mod write;

pub use iter::TxIter;
use own::{Own, Seen, Write};
use reads::Reads;

/// Reads and writes that happen at one moment for everybody else: what the closure of
/// [`Store::transaction`] and [`Store::optimistic_transaction`] is given.
///
/// Reads see the store as it was when the closure began, and what the transaction itself has
/// written since. Entries count as expired by the time at which it began. Writes are kept in
/// memory until the closure returns `Ok`, and are then committed as one batch.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// use kvcore::{Error, Keyspace};
/// let accounts: Keyspace<String, u64> = store.keyspace("accounts")?;
/// accounts.put("ada", &100)?;
/// let moved = store.transaction(|tx| {
///     let ada = tx.get(&accounts, "ada")?.unwrap_or(0);
///     let bob = tx.get(&accounts, "bob")?.unwrap_or(0);
///     let rest = ada.checked_sub(70).ok_or_else(|| Error::abort("too poor"))?;
///     tx.put(&accounts, "ada", &rest)?;
///     tx.put(&accounts, "bob", &(bob + 70))?;
///     assert_eq!(tx.get(&accounts, "bob")?, Some(70)); // it sees its own writes
///     Ok(70)
/// })?;
/// assert_eq!(moved, 70);
/// assert_eq!(accounts.get("ada")?, Some(30));
/// # Ok(())
/// # }
/// ```
pub struct Transaction<'s> {
    store: &'s Store,
    view: Arc<View>,
    own: Own,
    /// What an optimistic transaction has read.
    reads: Option<RefCell<Reads>>,
    durability: Durability,
    /// The lock it stands for belongs to this thread.
    not_send: PhantomData<*mut ()>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("view", &self.view.sequence).finish_non_exhaustive()
    }
}

impl<'s> Transaction<'s> {
    fn new(store: &'s Store, reads: Option<Reads>) -> Transaction<'s> {
        let engine = store.engine();
        Transaction {
            store,
            view: Arc::new(engine.views.open(engine.clock.now_ms())),
            own: Own::default(),
            reads: reads.map(RefCell::new),
            durability: engine.options.durability,
            not_send: PhantomData,
        }
    }

    /// The store it is of.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| {
    ///     assert!(tx.store().keyspace_names().contains(&"users".to_owned()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(&self) -> &'s Store {
        self.store
    }

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
        self.read(keyspace, key, C::decode)
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
        self.read(keyspace, key, |v| Ok(v.to_value()))
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
        keys.into_iter().map(|key| self.get(keyspace, key)).collect()
    }

    fn read<K: Key, V: ?Sized + 'static, C: Codec<V>, T>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        decode: impl FnOnce(ValueRef<'_>) -> Result<T, crate::BoxError>,
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

    fn is_alive(&self, expires_at_ms: Option<u64>) -> bool {
        expires_at_ms.is_none_or(|at| at > self.view.now_ms)
    }

    fn note_key<K, V: ?Sized, C>(&self, keyspace: &Keyspace<K, V, C>, key: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.borrow_mut().add_key(keyspace.index(), key);
        }
    }

    /// When a key expires, if it is there: `None` is "absent", `Some(None)` "never".
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    fn expiry_of<K, V: ?Sized, C>(
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
        keyspace.check_store(self.store)?;
        Ok(self.expiry_of(keyspace, &encoded(key)?)?.is_some())
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
        keyspace.check_store(self.store)?;
        Ok(self.expiry_of(keyspace, &encoded(key)?)?.flatten().map(system_time))
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
        TxIter::new(self, keyspace, range.encode_range(), "range")
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
        let mut bytes = Vec::new();
        prefix.encode_prefix(&mut bytes);
        TxIter::new(self, keyspace, EncodedRange::from_prefix(bytes), "prefix")
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
        keyspace.check_store(self.store)?;
        let range = range.encode_range();
        keyspace.check_range(&range, "count")?;
        let (engine, index) = (self.store.engine(), keyspace.index());
        if range.is_empty() {
            return Ok(0);
        }
        if let Some(reads) = &self.reads {
            reads.borrow_mut().add_range(index, &range);
        }
        let stored = |range: &EncodedRange| {
            let (start, end) = (borrow(&range.start), borrow(&range.end));
            engine.count_at(index, start, end, &self.view)
        };
        let mut count = stored(&range)?;
        let Some(space) = self.own.space(index.id) else { return Ok(count) };
        for deleted in space.deleted_within(&range) {
            // An unordered keyspace is deleted as a whole or not at all.
            let gone = if index.is_ordered() { stored(&deleted)? } else { count };
            count = count.saturating_sub(gone);
        }
        for (key, write) in space.range(&range) {
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

    /// The entry with this many entries below it, own writes included. O(n) in its place.
    ///
    /// Entries that have expired do not count here.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// store.transaction(|tx| {
    ///     let second = tx.nth(&users, 1)?.map(|entry| entry.into_key());
    ///     assert_eq!(second.as_deref(), Some("bob"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`], and [`Error::ForeignKeyspace`].
    pub fn nth<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        keyspace: &Keyspace<K, V, C>,
        index: u64,
    ) -> Result<Option<Entry<K, V, C>>> {
        let mut entries = self.iter(keyspace);
        for _ in 0..index {
            if entries.next().transpose()?.is_none() {
                return Ok(None);
            }
        }
        entries.next().transpose()
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
        self.iter(keyspace).next().transpose()
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
        self.iter(keyspace).next_back().transpose()
    }

    /// The writes as one batch; large values are in durable files when this returns.
    fn prepare(&self) -> Result<Batch, Error> {
        let mut batch = Batch::new(self.store.clone());
        let mut packed = Vec::new();
        for space in self.own.spaces() {
            let index = &space.inner.core.index;
            let keyspace = index.id;
            for (start, end) in space.deleted_ranges() {
                batch.push(index, &Record::RangeTombstone { keyspace, start, end })?;
            }
            for (key, write) in &space.keys {
                match write {
                    Write::Put { value, expires_at_ms } => {
                        let record =
                            space.inner.put_record(key, value, &mut packed, *expires_at_ms)?;
                        batch.push(index, &record)?;
                    }
                    Write::Delete if self.is_stored(index, key) && !space.is_deleted(key) => {
                        batch.push(index, &Record::Tombstone { keyspace, key })?;
                    }
                    Write::Delete => {}
                    Write::Expire(at_ms) => batch.push_expiry(index, key, *at_ms)?,
                }
            }
        }
        Ok(batch)
    }

    fn is_stored(&self, index: &crate::index::Index, key: &[u8]) -> bool {
        index.item_of(&self.store.engine().files, key, self.view.sequence).is_some()
    }
}

fn encoded<K>(key: impl AsKey<K>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    key.encode_key(&mut bytes, Position::Last);
    check_key(&bytes)?;
    Ok(bytes)
}
