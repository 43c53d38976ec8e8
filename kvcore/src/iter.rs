//! Iterators: pages of a view, and entries whose value is read when asked for.

use crate::{
    codec::Codec,
    error::{Error, Result},
    index::{Item, PageRequest},
    key::{EncodedRange, Key, decode_whole},
    keyspace::{Inner, decode_error},
    schema::Types,
    value::Value,
    view::View,
};
use std::{
    collections::VecDeque, fmt, iter::FusedIterator, marker::PhantomData, ops::Bound, sync::Arc,
};

/// Entries of a range in key order: a consistent view taken when it was made.
///
/// Holds no lock between calls. What it may still ask for is kept while it lives: old states of
/// keys that change (see [`Stats::undo_records`](crate::Stats::undo_records)), and files that
/// merge has replaced. After an error it ends.
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
const FIRST_PAGE_KEYS: usize = 12;
const PAGE_KEYS_MAX: usize = 512;

impl<K, V: ?Sized, C> Iter<K, V, C> {
    pub(crate) fn new(inner: &Arc<Inner>, range: EncodedRange, failed: Option<Error>) -> Self {
        let engine = inner.store.engine();
        let view = engine.views.open(engine.clock.now_ms());
        let is_exhausted = range.is_empty() || failed.is_some();
        Iter {
            inner: Arc::clone(inner),
            view: Arc::new(view),
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
            let page = self.inner.core.index.page(&engine.files, &request);
            self.page_keys = (self.page_keys * 2).min(PAGE_KEYS_MAX);
            match page.last {
                None => self.is_exhausted = true,
                Some(key) if reverse => self.end = Bound::Excluded(key),
                Some(key) => self.start = Bound::Excluded(key),
            }
            let fetched = if reverse { &mut self.back } else { &mut self.front };
            fetched.extend(page.items);
            if !fetched.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn next_item(&mut self, reverse: bool) -> Option<Result<Item>> {
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
pub struct Entry<K, V: ?Sized, C> {
    key: K,
    item: Item,
    inner: Arc<Inner>,
    /// Keeps a blob from being unlinked; values in the log need no such thing.
    _view: Option<Arc<View>>,
    types: Types<K, V, C>,
}

impl<K, V: ?Sized, C: Codec<V>> Entry<K, V, C> {
    pub(crate) fn new(item: Item, inner: &Arc<Inner>, view: Option<&Arc<View>>) -> Result<Self>
    where
        K: Key,
    {
        let key = decode_whole(&item.key).map_err(decode_error)?;
        let is_blob = item.state.entry.flags.has(crate::keydir::EntryFlags::BLOB);
        let view = view.filter(|_| is_blob).cloned();
        Ok(Entry { key, item, inner: Arc::clone(inner), _view: view, types: PhantomData })
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The key, without the value.
    pub fn into_key(self) -> K {
        self.key
    }

    /// Length of the stored value in bytes, without reading it: as encoded, and compressed if that
    /// made it shorter. (For one of 4 GiB or more the
    /// small record that refers to it is read; 4 GiB − 1 if that fails.)
    pub fn size_bytes(&self) -> u64 {
        self.inner.store.engine().value_len(self.inner.core.id(), &self.item)
    }

    /// The value, read and decoded now.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Decode`], [`Error::Io`].
    pub fn value(&self) -> Result<C::Owned> {
        let Item { key, state, file } = &self.item;
        let id = self.inner.core.id();
        self.inner.store.engine().read_value(file, id, key, &state.entry, C::decode)
    }

    /// The value's stored bytes. Large ones are not copied.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn value_bytes(&self) -> Result<Value> {
        let Item { key, state, file } = &self.item;
        let id = self.inner.core.id();
        self.inner.store.engine().value_bytes(file, id, key, &state.entry)
    }
}

impl<K: fmt::Debug, V: ?Sized, C> fmt::Debug for Entry<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.key).finish_non_exhaustive()
    }
}
