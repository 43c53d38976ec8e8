//! Iterators: pages of a view, and entries whose value is read when asked for.

use crate::{
    codec::Codec,
    engine::OpenValue,
    error::{Error, Result},
    index::{Item, PageRequest},
    key::{EncodedRange, Key, decode_whole},
    keyspace::{Inner, decode_error},
    options::system_time,
    schema::Types,
    value::{Value, ValueRef},
    value_reader::ValueReader,
    view::View,
};
use std::{
    collections::VecDeque, fmt, iter::FusedIterator, marker::PhantomData, ops::Bound, sync::Arc,
    time::SystemTime,
};

/// Entries of a range in key order: a consistent view taken when it was made.
///
/// Holds no lock between calls. What it may still ask for is kept while it lives: old states of
/// keys that change (see [`Stats::undo_records`](crate::Stats::undo_records)), and files that
/// merge has replaced. After an error it ends.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// users.put("bob", &41)?;
/// let mut entries = users.iter();
/// let last = entries.next_back().expect("two entries")?; // from either end
/// users.clear()?; // what the iterator sees does not change
/// assert_eq!((last.key().as_str(), entries.count()), ("bob", 1));
/// # Ok(())
/// # }
/// ```
pub struct Iter<K, V: ?Sized, C> {
    inner: Arc<Inner>,
    view: Arc<View>,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    /// Fetched from the front, ascending.
    front: VecDeque<Item>,
    /// Fetched from the back, descending.
    back: VecDeque<Item>,
    /// Nothing is left between the two.
    is_exhausted: bool,
    failed: Option<Error>,
    page_keys: usize,
    types: Types<K, V, C>,
}

/// Keys of the first page: many iterators look at a few entries only.
const FIRST_PAGE_KEYS: usize = 11;
const PAGE_KEYS_MAX: usize = 512;

impl<K, V: ?Sized, C> Iter<K, V, C> {
    pub(crate) fn new(inner: &Arc<Inner>, range: EncodedRange, failed: Option<Error>) -> Self {
        let engine = inner.store.engine();
        let view = Arc::new(engine.views.open(engine.clock.now_ms()));
        Iter::at(inner, &view, range, failed)
    }

    /// The same at a view that is open already.
    pub(crate) fn at(
        inner: &Arc<Inner>,
        view: &Arc<View>,
        range: EncodedRange,
        failed: Option<Error>,
    ) -> Self {
        let is_exhausted = range.is_empty() || failed.is_some();
        Iter {
            inner: Arc::clone(inner),
            view: Arc::clone(view),
            start: range.start,
            end: range.end,
            front: VecDeque::new(),
            back: VecDeque::new(),
            is_exhausted,
            failed,
            page_keys: FIRST_PAGE_KEYS,
            types: PhantomData,
        }
    }

    /// Fetches the next page from one end, until there is an entry or nothing is left.
    fn fetch(&mut self, reverse: bool) -> Result<()> {
        while !self.is_exhausted {
            let engine = self.inner.store.engine();
            engine.check_open()?;
            let request = PageRequest {
                start: crate::batch::borrow(&self.start),
                end: crate::batch::borrow(&self.end),
                reverse,
                limit: self.page_keys,
                view: self.view.sequence,
                now_ms: self.view.now_ms,
            };
            let fetched = if reverse { &mut self.back } else { &mut self.front };
            let last = self.inner.core.index.page(&engine.files, &request, fetched);
            self.page_keys = (self.page_keys * 2).min(PAGE_KEYS_MAX);
            match last {
                None => self.is_exhausted = true,
                Some(key) => {
                    move_behind(if reverse { &mut self.end } else { &mut self.start }, &key)
                }
            }
            if !fetched.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(crate) fn next_item(&mut self, reverse: bool) -> Option<Result<Item>> {
        if let Some(e) = self.failed.take() {
            return Some(Err(e));
        }
        let is_empty = |q: &VecDeque<Item>| q.is_empty();
        if is_empty(if reverse { &self.back } else { &self.front })
            && let Err(e) = self.fetch(reverse)
        {
            self.is_exhausted = true;
            self.front.clear();
            self.back.clear();
            return Some(Err(e));
        }
        // When this end has nothing left, what the other end fetched comes next, from behind.
        let item = if reverse {
            self.back.pop_front().or_else(|| self.front.pop_back())
        } else {
            self.front.pop_front().or_else(|| self.back.pop_back())
        };
        item.map(Ok)
    }
}

/// Makes a bound one that excludes this key, in the memory of the key it had.
pub(crate) fn move_behind(bound: &mut Bound<Vec<u8>>, key: &[u8]) {
    let mut bytes = match std::mem::replace(bound, Bound::Unbounded) {
        Bound::Included(bytes) | Bound::Excluded(bytes) => bytes,
        Bound::Unbounded => Vec::new(),
    };
    bytes.clear();
    bytes.extend_from_slice(key);
    *bound = Bound::Excluded(bytes);
}

impl<K: Key, V: ?Sized, C: Codec<V>> Iter<K, V, C> {
    fn entry(&mut self, item: Result<Item>) -> Result<Entry<K, V, C>> {
        let entry = item.and_then(|item| Entry::new(item, &self.inner, Some(&self.view)));
        if entry.is_err() {
            self.is_exhausted = true;
            self.front.clear();
            self.back.clear();
        }
        entry
    }
}

impl<K: Key, V: ?Sized, C: Codec<V>> Iterator for Iter<K, V, C> {
    type Item = Result<Entry<K, V, C>>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_item(false)?;
        Some(self.entry(item))
    }
}

impl<K: Key, V: ?Sized, C: Codec<V>> DoubleEndedIterator for Iter<K, V, C> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let item = self.next_item(true)?;
        Some(self.entry(item))
    }
}

impl<K: Key, V: ?Sized, C: Codec<V>> FusedIterator for Iter<K, V, C> {}

impl<K, V: ?Sized, C> fmt::Debug for Iter<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iter").field("view", &self.view.sequence).finish_non_exhaustive()
    }
}

/// A key, and its value to be read when asked for.
///
/// It keeps the data file its value is in, also when merge has replaced the file.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// for entry in users.iter() {
///     let entry = entry?;
///     if entry.key().starts_with('a') {
///         assert_eq!(entry.value()?, 36); // read only now
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Entry<K, V: ?Sized, C> {
    key: K,
    source: Source,
    inner: Arc<Inner>,
    /// Keeps a blob from being unlinked; values in the log need no such thing.
    _view: Option<Arc<View>>,
    types: Types<K, V, C>,
}

impl Item {
    /// The value is in a file of its own.
    pub(crate) fn is_blob(&self) -> bool {
        self.state.entry.flags.has(crate::keydir::EntryFlags::BLOB)
    }

    fn expires_at_ms(&self) -> Option<u64> {
        self.state.expires_at_ms.filter(|ms| *ms != crate::index::NEVER_MS)
    }
}

/// Where an entry's value is.
enum Source {
    Stored(Item),
    /// Written by a transaction that has not committed.
    Own(Value),
}

impl<K, V: ?Sized, C: Codec<V>> Entry<K, V, C> {
    /// An entry that only the transaction which wrote it can see.
    pub(crate) fn own(key: &[u8], value: Value, inner: &Arc<Inner>) -> Result<Self>
    where
        K: Key,
    {
        let key = decode_whole(key).map_err(decode_error)?;
        let (source, inner) = (Source::Own(value), Arc::clone(inner));
        Ok(Entry { key, source, inner, _view: None, types: PhantomData })
    }

    pub(crate) fn new(item: Item, inner: &Arc<Inner>, view: Option<&Arc<View>>) -> Result<Self>
    where
        K: Key,
    {
        let key = decode_whole(&item.key).map_err(decode_error)?;
        let view = view.filter(|_| item.is_blob()).cloned();
        let (source, inner) = (Source::Stored(item), Arc::clone(inner));
        Ok(Entry { key, source, inner, _view: view, types: PhantomData })
    }

    /// The key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.first()?.expect("one").key(), "ada");
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key, without the value.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let names = users.iter().map(|e| Ok(e?.into_key()));
    /// assert_eq!(names.collect::<kvcore::Result<Vec<_>>>()?, ["ada"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_key(self) -> K {
        self.key
    }

    /// Length of the stored value in bytes, without reading it: as encoded, and compressed if that
    /// made it shorter. (For one of 4 GiB or more the
    /// small record that refers to it is read; 4 GiB − 1 if that fails.)
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let files: kvcore::BytesKeyspace = store.keyspace("files")?;
    /// files.put(b"a", &[0; 100])?;
    /// files.put(b"b", &[0; 20])?;
    /// let mut total = 0;
    /// for entry in files.iter() {
    ///     total += entry?.size_bytes(); // reads no value
    /// }
    /// assert_eq!(total, 120);
    /// # Ok(())
    /// # }
    /// ```
    pub fn size_bytes(&self) -> u64 {
        match &self.source {
            Source::Stored(item) => self.inner.store.engine().value_len(self.inner.core.id(), item),
            Source::Own(value) => value.len() as u64,
        }
    }

    /// When it expires, or expired; in milliseconds since the epoch.
    pub(crate) fn expires_at_ms(&self) -> Option<u64> {
        match &self.source {
            Source::Stored(item) => item.expires_at_ms(),
            Source::Own(_) => None,
        }
    }

    /// When it expires, or expired: some calls give entries whose time has come. Of an entry that
    /// the transaction has written that reads it, none is known here.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use std::time::{Duration, SystemTime};
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let hour = kvcore::Put::expires_in(Duration::from_secs(3_600));
    /// users.put_with("ada", &36, hour)?;
    /// let ada = users.first()?.expect("it was put");
    /// assert!(ada.expires_at() > Some(SystemTime::now()));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at_ms().map(system_time)
    }

    /// The stored bytes of the value, to be read piece by piece and from anywhere in it; see
    /// [`Keyspace::reader`](crate::Keyspace::reader).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use std::io::Read;
    /// let films: kvcore::BytesKeyspace = store.keyspace("films")?;
    /// films.put_reader(b"night", std::io::repeat(7).take(3 << 20))?;
    /// for film in films.iter() {
    ///     assert_eq!(film?.reader()?.bytes().count(), 3 << 20); // in constant memory
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt), [`Error::Io`](crate::Error::Io). Damage found
    /// later is an [`std::io::Error`] that holds the [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn reader(&self) -> Result<ValueReader> {
        let open = match &self.source {
            Source::Stored(Item { key, state, file }) => {
                let id = self.inner.core.id();
                self.inner.store.engine().open_entry(file, id, key, &state.entry)?
            }
            Source::Own(value) => OpenValue::InLog(value.clone()),
        };
        Ok(ValueReader::new(open))
    }

    /// Its value is in a file of its own.
    pub(crate) fn is_large(&self) -> bool {
        matches!(&self.source, Source::Stored(item) if item.is_blob())
    }

    /// The value, read and decoded now.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let entry = users.first()?.expect("one");
    /// users.put("ada", &37)?;
    /// assert_eq!(entry.value()?, 36); // the entry is of its moment
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Decode`], [`Error::Io`].
    pub fn value(&self) -> Result<C::Owned> {
        match &self.source {
            Source::Stored(Item { key, state, file }) => {
                let id = self.inner.core.id();
                self.inner.store.engine().read_value(file, id, key, &state.entry, C::decode)
            }
            Source::Own(value) => C::decode(ValueRef::copied(value)).map_err(decode_error),
        }
    }

    /// Hands the value's stored bytes to `f` without copying them where they lie in the log.
    ///
    /// The fastest way through many values: no allocation, no reference count. `f` runs under no
    /// lock.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut stored_bytes = 0;
    /// for entry in users.iter() {
    ///     stored_bytes += entry?.value_with(<[u8]>::len)?;
    /// }
    /// assert_eq!(stored_bytes, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn value_with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        match &self.source {
            Source::Stored(Item { key, state, file }) => {
                let id = self.inner.core.id();
                self.inner.store.engine().read_value(file, id, key, &state.entry, |v| Ok(f(&v)))
            }
            Source::Own(value) => Ok(f(value)),
        }
    }

    /// The value's stored bytes. Large ones are not copied.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let bytes = users.first()?.expect("one").value_bytes()?;
    /// assert_eq!(&*bytes, [36]); // as bincode wrote it
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn value_bytes(&self) -> Result<Value> {
        match &self.source {
            Source::Stored(Item { key, state, file }) => {
                let id = self.inner.core.id();
                self.inner.store.engine().value_bytes(file, id, key, &state.entry)
            }
            Source::Own(value) => Ok(value.clone()),
        }
    }
}

impl<K: fmt::Debug, V: ?Sized, C> fmt::Debug for Entry<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}
