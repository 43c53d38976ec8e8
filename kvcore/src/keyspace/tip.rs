//! Reads at the tip in key order that register no view: for callers who know that nobody writes
//! meanwhile, or whom it does not matter.

use super::{Inner, Keyspace};
use crate::{
    batch::borrow,
    codec::Codec,
    error::{Error, Result},
    index::{Index, Item, Records, TipItem, TipPage, TipRequest},
    iter::{Entry, move_behind},
    key::{EncodedRange, Key, KeyRange},
    keydir::EntryFlags,
    log::{DataFile, FilesInRuns},
    value::Value,
};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// From which end a range is walked.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, Direction, Store};
/// use std::ops::ControlFlow;
/// let notes: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
/// notes.put(b"a", b"first")?;
/// notes.put(b"b", b"last")?;
/// notes.walk(.., Direction::Descending, 1, |note| {
///     assert_eq!(note.key(), b"b");
///     Ok(ControlFlow::Continue(()))
/// })
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The smallest key first.
    Ascending,
    /// The largest key first.
    Descending,
}

/// Entries fetched first: many walks look at a few only. Pages double from there.
const FIRST_PAGE_KEYS: usize = 16;
/// A limit up to here is taken for what is wanted, not for what is too much.
const MEANT_KEYS_MAX: usize = 1 << 14;
/// Entries fetched under one taking of the order index's lock, at most.
const PAGE_KEYS_MAX: usize = 512;

/// An entry that a walk has come to; its value is read when asked for.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BytesKeyspace, Direction, Store};
/// use std::ops::ControlFlow;
/// let notes: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
/// notes.put(b"a", b"text")?;
/// notes.walk(.., Direction::Ascending, 1, |note| {
///     assert_eq!((note.key(), &note.value_bytes()?[..]), (&b"a"[..], &b"text"[..]));
///     Ok(ControlFlow::Continue(()))
/// })
/// # }
/// ```
pub struct Visited<'a> {
    item: TipItem<'a>,
    /// What its record is in; listed when the page was fetched.
    file: Option<&'a Arc<DataFile>>,
    inner: &'a Inner,
}

impl fmt::Debug for Visited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visited").field("key", &self.key()).finish_non_exhaustive()
    }
}

impl<'a> Visited<'a> {
    /// The encoded key.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Direction, Store};
    /// use std::ops::ControlFlow;
    /// let notes: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
    /// notes.put(b"a", b"text")?;
    /// notes.walk(.., Direction::Ascending, 1, |note| {
    ///     assert_eq!(note.key(), b"a");
    ///     Ok(ControlFlow::Continue(()))
    /// })
    /// # }
    /// ```
    #[must_use]
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.item.key
    }

    /// Hands the stored bytes of the value to `f`, without copying them where they are mapped.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Direction, Store};
    /// use std::ops::ControlFlow;
    /// let notes: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
    /// notes.put(b"a", b"text")?;
    /// notes.walk(.., Direction::Ascending, 1, |note| {
    ///     assert_eq!(note.value_with(|text| text.len())?, 4);
    ///     Ok(ControlFlow::Continue(()))
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::Io`].
    pub fn value_with<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Result<R> {
        if self.is_blob() {
            return Ok(f(&self.value_bytes()?));
        }
        let (TipItem { key, entry, record_len }, id) = (self.item, self.inner.core.id());
        let (engine, at) = (self.inner.store.engine(), (entry, record_len));
        engine.read_listed(self.file, id, key, at, |v| Ok(f(&v)))
    }

    fn is_blob(&self) -> bool {
        self.item.entry.flags.has(EntryFlags::BLOB)
    }

    /// The stored bytes of the value. Large ones are not copied.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{BytesKeyspace, Direction, Store};
    /// use std::ops::ControlFlow;
    /// let notes: BytesKeyspace = Store::in_memory()?.keyspace("notes")?;
    /// notes.put(b"a", b"text")?;
    /// notes.walk(.., Direction::Ascending, 1, |note| {
    ///     assert_eq!(&note.value_bytes()?[..], b"text");
    ///     Ok(ControlFlow::Continue(()))
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Visited::value_with`].
    pub fn value_bytes(&self) -> Result<Value> {
        let TipItem { key, entry, .. } = self.item;
        let (engine, id) = (self.inner.store.engine(), self.inner.core.id());
        match engine.listed_value_bytes(self.file, id, key, entry) {
            // A blob that was superseded meanwhile is gone: what is there now counts.
            Err(e @ Error::Io { .. }) if self.is_blob() => {
                engine.get(&self.inner.core.index, key, |v| Ok(v.to_value()))?.ok_or(e)
            }
            read => read,
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Calls `f` with up to `limit` entries of a range, in order from one end, until it breaks.
    ///
    /// Costs no view, unlike [`Keyspace::range`]: entries come in pages, each as of the moment it
    /// was fetched, so what is written meanwhile may be seen or not. `f` runs under no lock. An
    /// error of `f` ends the walk and is returned.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{BytesKeyspace, Direction};
    /// use std::ops::ControlFlow;
    /// let notes: BytesKeyspace = store.keyspace("notes")?;
    /// for key in [b"a1", b"a2", b"b1"] {
    ///     notes.put(key, b"text")?;
    /// }
    /// let mut seen = Vec::new();
    /// notes.walk(&b"a"[..]..&b"b"[..], Direction::Descending, 10, |note| {
    ///     seen.push((note.key().to_vec(), note.value_with(|text| text.len())?));
    ///     Ok(ControlFlow::Continue(()))
    /// })?;
    /// assert_eq!(seen, [(b"a2".to_vec(), 4), (b"a1".to_vec(), 4)]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unordered`], [`Error::Closed`], [`Error::Poisoned`], and those of `f`.
    pub fn walk(
        &self,
        range: impl KeyRange<K>,
        direction: Direction,
        limit: usize,
        mut f: impl FnMut(&Visited<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.pages(range, (direction, limit, Records::Read), |page| {
            let mut files = FilesInRuns::new(&page.files);
            for item in page.items() {
                let file = files.get(item.entry.location.file);
                if f(&Visited { item, file, inner: &self.inner })?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Calls `f` with up to `limit` encoded keys of a range, in order from one end, until it
    /// breaks.
    ///
    /// As [`Keyspace::walk`], and cheaper where no value is wanted: nothing of the log is touched.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{BytesKeyspace, Direction};
    /// use std::ops::ControlFlow;
    /// let notes: BytesKeyspace = store.keyspace("notes")?;
    /// for key in [b"a1", b"a2", b"b1"] {
    ///     notes.put(key, b"text")?;
    /// }
    /// let mut last = Vec::new();
    /// notes.walk_keys(.., Direction::Descending, 2, |key| {
    ///     last.push(key.to_vec());
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(last, [b"b1", b"a2"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Unordered`], [`Error::Closed`], [`Error::Poisoned`].
    pub fn walk_keys(
        &self,
        range: impl KeyRange<K>,
        direction: Direction,
        limit: usize,
        mut f: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<()> {
        self.pages(range, (direction, limit, Records::Left), |page| {
            let is_break = page.items().any(|item| f(item.key).is_break());
            Ok(if is_break { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Calls `f` with pages of a range until it breaks.
    fn pages(
        &self,
        range: impl KeyRange<K>,
        (direction, limit, records): (Direction, usize, Records),
        mut f: impl FnMut(&TipPage) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.engine().check_open()?;
        self.check_ordered("walk")?;
        let mut range = range.encode_range();
        let (mut left, now_ms) = (limit, self.engine().clock.now_ms());
        // Who says how many mostly wants them all; who does not may want a few.
        let mut page_keys =
            if limit <= MEANT_KEYS_MAX { limit.min(PAGE_KEYS_MAX) } else { FIRST_PAGE_KEYS };
        while left > 0 && !range.is_empty() {
            let request = TipRequest {
                start: borrow(&range.start),
                end: borrow(&range.end),
                reverse: direction == Direction::Descending,
                limit: left.min(page_keys),
                now_ms,
                records,
            };
            let Some(page) = self.index().tip_page(&self.engine().files, &request) else {
                return Ok(());
            };
            if f(&page)?.is_break() {
                return Ok(());
            }
            page_keys = (page_keys * 2).min(PAGE_KEYS_MAX);
            left = left.saturating_sub(page.len());
            match (page.last.as_deref(), direction) {
                (None, _) => return Ok(()),
                (Some(key), Direction::Ascending) => move_behind(&mut range.start, key),
                (Some(key), Direction::Descending) => move_behind(&mut range.end, key),
            }
        }
        Ok(())
    }

    /// The entry of a range with this many of the range's keys below it. O(log n).
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// assert_eq!(users.nth_in("b".., 1)?.map(|e| e.into_key()).as_deref(), Some("eve"));
    /// assert!(users.nth_in(.."eve", 2)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Expired keys count until their removal; where one has this place, the next entry of the
    /// range that has not expired is given.
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn nth_in(&self, range: impl KeyRange<K>, index: u64) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        self.check_ordered("nth_in")?;
        let range = range.encode_range();
        if range.is_empty() {
            return Ok(None);
        }
        let now_ms = self.engine().clock.now_ms();
        self.entry(|| nth_item(self.index(), self.engine(), &range, index, now_ms))
    }

    /// Hands the encoded key of the entry that [`Keyspace::nth_in`] gives to `f`: cheaper, where
    /// no more than the key is wanted.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for name in ["ada", "bob", "eve"] {
    ///     users.put(name, &1)?;
    /// }
    /// assert_eq!(users.nth_key_in("b".., 1, <[u8]>::to_vec)?.as_deref(), Some(&b"eve"[..]));
    /// assert!(users.nth_key_in(.."eve", 2, <[u8]>::len)?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::nth`].
    pub fn nth_key_in<R>(
        &self,
        range: impl KeyRange<K>,
        index: u64,
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        self.engine().check_open()?;
        self.check_ordered("nth_key_in")?;
        let EncodedRange { start, end } = range.encode_range();
        let now_ms = self.engine().clock.now_ms();
        let key = self.index().nth_key((borrow(&start), borrow(&end)), index, now_ms);
        Ok(key.map(|key| f(&key)))
    }
}

fn nth_item(
    index: &Index,
    engine: &crate::engine::Engine,
    range: &EncodedRange,
    nth: u64,
    now_ms: u64,
) -> Option<Item> {
    let (from, to) = index.ranks(borrow(&range.start), borrow(&range.end));
    let at = from.checked_add(nth).filter(|at| *at < to)?;
    let item = index.nth(&engine.files, at, now_ms)?;
    // Where this place was an expired entry's, the next one may lie behind the range.
    crate::index::in_range(&item.key, borrow(&range.start), borrow(&range.end)).then_some(item)
}
