//! A typed keyspace: the calls most programs make.
//!
//! Knows types, and turns every call into bytes for the engine. User code (keys, codecs,
//! closures) runs here, under no keydir lock.

use crate::{
    batch::borrow,
    codec::{Codec, Raw},
    engine::{KeyspaceCore, PreparedBatch, Scratch, When},
    error::{BoxError, Error, Result},
    ids::Sequence,
    index::{Index, Item, State},
    iter::Entry,
    key::{AsKey, EncodedRange, Key, KeyRange, Position},
    log::{BatchEncoder, COMPRESSED, Form, Record, compression},
    options::{KEY_BYTES_MAX, Put, VALUE_BYTES_MAX, system_time, unix_ms},
    schema::Types,
    store::{Handle, Store},
    value::{Value, ValueRef},
    view::View,
};
use std::{
    fmt,
    marker::PhantomData,
    ops::Bound,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

mod expiring;
mod modify;
mod next_id;
mod ordered;
mod stream;
mod tip;

pub use tip::{Direction, Visited};

/// A keyspace of raw bytes.
pub type BytesKeyspace = Keyspace<Vec<u8>, [u8], Raw>;

/// A named, typed part of a store. Clones are handles to the same one.
///
/// Keys are ordered by [`Key`]'s encoding, which is the order of the Rust type. Values are encoded
/// by the codec `C`. Every handle is `Send + Sync + 'static` and keeps the store open.
pub struct Keyspace<K, V: ?Sized, C = crate::Bincode> {
    pub(crate) inner: Arc<Inner>,
    types: Types<K, V, C>,
}

/// A keyspace and the store it is in.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) core: Arc<KeyspaceCore>,
    pub(crate) store: Store,
}

impl Inner {
    /// The record of a put; a large value is in a durable blob when this returns.
    pub(crate) fn put_record<'a>(
        &self,
        key: &'a [u8],
        value: &'a [u8],
        packed: &'a mut Vec<u8>,
        expires_at_ms: Option<u64>,
    ) -> Result<Record<'a>> {
        let (keyspace, engine) = (self.core.id(), self.store.engine());
        if value.len() as u64 <= engine.blob_threshold() {
            let (value, form) = self.stored(value, packed);
            return Ok(Record::Put { keyspace, key, value, form, expires_at_ms });
        }
        let blob = engine.write_blob(value)?;
        Ok(Record::BlobRef {
            keyspace,
            key,
            blob: blob.id,
            len_bytes: blob.len_bytes,
            checksum: blob.checksum,
            expires_at_ms,
        })
    }

    /// A value as it goes into the log: compressed, if the keyspace says so and it saves.
    fn stored<'a>(&self, value: &'a [u8], packed: &'a mut Vec<u8>) -> (&'a [u8], Form) {
        if self.core.meta.options & COMPRESSED == 0 {
            return (value, Form::Plain);
        }
        match compression::compress(value, packed) {
            Some(stored) => {
                self.store.engine().counters.compressed(value.len() as u64, stored.len() as u64);
                (stored, Form::Compressed)
            }
            None => (value, Form::Plain),
        }
    }
}

/// Where a scan goes on; the default is the start, and a scan has ended when it comes back.
///
/// A number below 2^40 that means the same after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor(pub u64);

/// The outcome of [`Keyspace::compare_and_swap`].
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap<T> {
    /// The value was as expected and has been replaced.
    Swapped,
    /// The value is another one, and has been left.
    Differs(Option<T>),
}

impl<K, V: ?Sized, C> Clone for Keyspace<K, V, C> {
    fn clone(&self) -> Self {
        Keyspace { inner: Arc::clone(&self.inner), types: PhantomData }
    }
}

impl<K, V: ?Sized, C> fmt::Debug for Keyspace<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl<K, V: ?Sized, C> Keyspace<K, V, C> {
    pub(crate) fn new(core: Arc<KeyspaceCore>, handle: Arc<Handle>) -> Self {
        let inner = Inner { core, store: Store(handle) };
        Keyspace { inner: Arc::new(inner), types: PhantomData }
    }

    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.inner.core.index
    }

    fn engine(&self) -> &crate::engine::Engine {
        self.inner.store.engine()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.core.meta.name
    }

    /// The store it is part of.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn check_store(&self, store: &Store) -> Result<()> {
        if Arc::ptr_eq(&self.inner.store.0, &store.0) {
            return Ok(());
        }
        Err(Error::ForeignKeyspace { keyspace: self.name().to_owned() })
    }

    pub(crate) fn check_ordered(&self, call: &'static str) -> Result<()> {
        if self.index().is_ordered() {
            return Ok(());
        }
        Err(Error::Unordered { keyspace: self.name().to_owned(), call })
    }

    /// An unordered keyspace can only be cleared as a whole.
    pub(crate) fn check_range(&self, range: &EncodedRange, call: &'static str) -> Result<()> {
        match (&range.start, &range.end) {
            (Bound::Unbounded, Bound::Unbounded) => Ok(()),
            _ => self.check_ordered(call),
        }
    }
}

pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    let len_bytes = key.len() as u64;
    if len_bytes > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong { len_bytes, max_bytes: KEY_BYTES_MAX });
    }
    Ok(())
}

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
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn contains(&self, key: impl AsKey<K>) -> Result<bool> {
        self.engine().check_open()?;
        Ok(self.live_state(key).is_some())
    }

    fn live_state(&self, key: impl AsKey<K>) -> Option<State> {
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            let state = self.index().state(&s.key, self.index().hash(&s.key))?;
            state.is_alive(|| self.engine().clock.now_ms()).then_some(state)
        })
    }

    /// Sets a key's value; an expiry it had is gone. Returns the commit's sequence.
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`], [`Error::ValueTooLong`], [`Error::Encode`], [`Error::Io`],
    /// [`Error::Nested`], [`Error::Closed`], [`Error::Poisoned`]. Nothing is applied, except that
    /// after a failed sync (`Poisoned`) it is unknown whether the value survives.
    pub fn put(&self, key: impl AsKey<K>, value: &V) -> Result<Sequence> {
        self.put_with(key, value, Put::default())
    }

    /// The same with an expiry or a durability of its own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Durability, Put};
    /// use std::time::Duration;
    /// users.put_with("ada", &36, Put::expires_in(Duration::from_secs(60)))?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// users.put_with("ada", &37, Durability::Immediate)?;
    /// assert_eq!(users.expires_at("ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn put_with(&self, key: impl AsKey<K>, value: &V, put: impl Into<Put>) -> Result<Sequence> {
        let put = put.into();
        let when = When::Now(self.engine().durability(put.durability));
        self.put_when(key, value, &put, when)
    }

    pub(crate) fn put_when(
        &self,
        key: impl AsKey<K>,
        value: &V,
        put: &Put,
        when: When,
    ) -> Result<Sequence> {
        let engine = self.engine();
        let sequence = self.with_put_record(key, value, put, |index, record, batch| {
            batch.push(record);
            let hash = index.hash(record.key().unwrap_or_default());
            engine.write_paced(when)?.commit_put(index, batch, hash, when)
        })?;
        engine.acknowledge(sequence, when)?;
        Ok(sequence)
    }

    /// Encodes a put, writing its blob first if it needs one, and hands the record on.
    pub(crate) fn with_put_record<R>(
        &self,
        key: impl AsKey<K>,
        value: &V,
        put: &Put,
        f: impl FnOnce(&Arc<Index>, &Record<'_>, &mut BatchEncoder) -> Result<R>,
    ) -> Result<R> {
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            self.encode_value(value, &mut s.value)?;
            let expires_at_ms = put.expires_at_ms(|| self.engine().clock.now_ms());
            let record = self.put_record(&s.key, &s.value, &mut s.packed, expires_at_ms)?;
            let result = f(self.index(), &record, &mut s.batch);
            if let (Err(_), Record::BlobRef { blob, .. }) = (&result, &record) {
                self.engine().discard_blob(*blob);
            }
            result
        })
    }

    fn put_record<'a>(
        &self,
        key: &'a [u8],
        value: &'a [u8],
        packed: &'a mut Vec<u8>,
        expires_at_ms: Option<u64>,
    ) -> Result<Record<'a>> {
        self.inner.put_record(key, value, packed, expires_at_ms)
    }

    /// Encodes a value. The first one of a keyspace is decoded again, since some types encode
    /// what they cannot decode.
    pub(crate) fn encode_value(&self, value: &V, out: &mut Vec<u8>) -> Result<()> {
        C::encode(value, out).map_err(|source| Error::Encode { source })?;
        let len_bytes = out.len() as u64;
        if len_bytes > VALUE_BYTES_MAX {
            return Err(Error::ValueTooLong { len_bytes, max_bytes: VALUE_BYTES_MAX });
        }
        if !self.inner.core.codec_checked.load(Ordering::Relaxed) {
            C::decode(ValueRef::copied(out)).map_err(|source| Error::Encode {
                source: format!("the type does not decode what it encoded: {source}").into(),
            })?;
            self.inner.core.codec_checked.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Deletes a key; false, and nothing written, if it was not there.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn delete(&self, key: impl AsKey<K>) -> Result<bool> {
        let when = When::Now(self.engine().options.durability);
        match self.delete_when(key, when)? {
            None => Ok(false),
            Some(sequence) => {
                self.engine().acknowledge(sequence, when)?;
                Ok(true)
            }
        }
    }

    pub(crate) fn delete_when(&self, key: impl AsKey<K>, when: When) -> Result<Option<Sequence>> {
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            let mut guard = self.engine().write_paced(when)?;
            if self.state_now(&s.key).is_none() {
                return Ok(None);
            }
            let mut batch = PreparedBatch::default();
            let keyspace = self.index().id;
            batch.push(self.index(), &Record::Tombstone { keyspace, key: &s.key })?;
            guard.commit(&mut batch, when).map(Some)
        })
    }

    /// The key's state, if it is there and has not expired.
    fn state_now(&self, key: &[u8]) -> Option<State> {
        let state = self.index().state(key, self.index().hash(key))?;
        state.is_alive(|| self.engine().clock.now_ms()).then_some(state)
    }

    /// Keys, expired ones included until their removal. O(1).
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index().len()
    }

    /// There are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the key expires; `None` if it is absent or does not.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn expires_at(&self, key: impl AsKey<K>) -> Result<Option<SystemTime>> {
        self.engine().check_open()?;
        let at_ms = self.live_state(key).and_then(|s| s.expires_at_ms);
        Ok(at_ms.filter(|ms| *ms != crate::index::NEVER_MS).map(system_time))
    }

    /// Makes the key expire at this time; false if it is not there. Costs a small record, whatever
    /// the value's size.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn expire(&self, key: impl AsKey<K>, at: SystemTime) -> Result<bool> {
        self.change_expiry(key, Some(unix_ms(at)))
    }

    /// Makes the key stay; false if it is not there or would stay anyway.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn persist(&self, key: impl AsKey<K>) -> Result<bool> {
        self.change_expiry(key, None)
    }

    fn change_expiry(&self, key: impl AsKey<K>, expires_at_ms: Option<u64>) -> Result<bool> {
        let when = When::Now(self.engine().options.durability);
        let sequence = Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            let mut guard = self.engine().write_paced(when)?;
            let Some(state) = self.state_now(&s.key) else { return Ok(None) };
            let stays = state.expires_at_ms.is_none_or(|ms| ms == crate::index::NEVER_MS);
            if expires_at_ms.is_none() && stays {
                return Ok(None);
            }
            let mut batch = PreparedBatch::default();
            batch.push_expiry(self.index(), &s.key, expires_at_ms)?;
            guard.commit(&mut batch, when).map(Some)
        })?;
        if let Some(sequence) = sequence {
            self.engine().acknowledge(sequence, when)?;
        }
        Ok(sequence.is_some())
    }

    /// Deletes all keys. One record, whatever their number; memory is freed in the background.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn clear(&self) -> Result<Sequence> {
        self.delete_range(..)
    }

    /// Deletes all keys in a range. One record, whatever their number.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`], and [`Error::Unordered`].
    pub fn delete_range(&self, range: impl KeyRange<K>) -> Result<Sequence> {
        let when = When::Now(self.engine().options.durability);
        let range = range.encode_range();
        self.check_range(&range, "delete_range")?;
        let mut batch = PreparedBatch::default();
        if !range.is_empty() {
            let (start, end) = (borrow(&range.start), borrow(&range.end));
            let keyspace = self.index().id;
            batch.push(self.index(), &Record::RangeTombstone { keyspace, start, end })?;
        }
        self.engine().commit(&mut batch, when)
    }

    /// One page of entries in no particular order, and where to go on.
    ///
    /// A key that is there during the whole scan is returned, whatever is written, resized or
    /// restarted meanwhile; others may be. A page holds about `limit` entries: more where hashes
    /// collide, fewer where entries have expired. Works on every keyspace.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::ScanCursor;
    /// for n in 0..100 {
    ///     users.put(n.to_string(), &n)?;
    /// }
    /// let (mut cursor, mut seen) = (ScanCursor::default(), 0);
    /// loop {
    ///     let (page, next) = users.scan(cursor, 10)?;
    ///     seen += page.len();
    ///     cursor = next;
    ///     if cursor == ScanCursor::default() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(seen, 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a key, [`Error::Closed`], [`Error::Poisoned`].
    #[expect(clippy::type_complexity, reason = "a page and where to go on, nothing to name")]
    pub fn scan(
        &self,
        cursor: ScanCursor,
        limit: usize,
    ) -> Result<(Vec<Entry<K, V, C>>, ScanCursor)> {
        let now_ms = self.engine().clock.now_ms();
        self.scan_where(cursor, limit, |state| state.is_alive(|| now_ms))
    }

    /// The same of the entries in these states, expired or not.
    #[expect(clippy::type_complexity, reason = "a page and where to go on, nothing to name")]
    pub(crate) fn scan_where(
        &self,
        cursor: ScanCursor,
        limit: usize,
        keep: impl Fn(&State) -> bool,
    ) -> Result<(Vec<Entry<K, V, C>>, ScanCursor)> {
        self.engine().check_open()?;
        let ((items, next), view) = self.pinning_blobs(
            || {
                let mut items = Vec::new();
                let next = self.index().scan(cursor.0, limit.max(1), |key, state| {
                    if keep(&state)
                        && let Some(item) = self.engine().item(key, state)
                    {
                        items.push(item);
                    }
                });
                (items, next)
            },
            |(items, _)| items.iter().any(Item::is_blob),
        );
        let entry = |item| Entry::new(item, &self.inner, view.as_ref());
        let entries: Result<Vec<_>> = items.into_iter().map(entry).collect();
        Ok((entries?, ScanCursor(next.unwrap_or(0))))
    }

    /// An entry chosen evenly among all, by this seed; `None` if there are none.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::scan`].
    pub fn random(&self, seed: u64) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        let now_ms = self.engine().clock.now_ms();
        self.entry(|| {
            let mut rng = fastrand::Rng::with_seed(seed);
            self.index().random(
                || rng.u64(..),
                |key, state| {
                    state.is_alive(|| now_ms).then(|| self.engine().item(key, state)).flatten()
                },
            )
        })
    }

    /// The entry that `look` finds at the tip.
    fn entry(&self, look: impl Fn() -> Option<Item>) -> Result<Option<Entry<K, V, C>>> {
        let is_blob = |item: &Option<Item>| item.as_ref().is_some_and(Item::is_blob);
        let (item, view) = self.pinning_blobs(look, is_blob);
        item.map(|item| Entry::new(item, &self.inner, view.as_ref())).transpose()
    }

    /// Looks at the tip; if a blob is among what was found, again under a view, which keeps the
    /// blob from being unlinked until its value is read.
    fn pinning_blobs<T>(
        &self,
        look: impl Fn() -> T,
        has_blob: impl Fn(&T) -> bool,
    ) -> (T, Option<Arc<View>>) {
        let found = look();
        if !has_blob(&found) {
            return (found, None);
        }
        let engine = self.engine();
        let view = Arc::new(engine.views.open(engine.clock.now_ms()));
        (look(), Some(view))
    }
}

/// The error of a key or value that does not decode.
pub(crate) fn decode_error(source: BoxError) -> Error {
    Error::Decode { source }
}
