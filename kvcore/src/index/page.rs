//! Pages of a view in key order: what iterators are made of.

use super::{Index, State, reading::Reading, undo::OldState};
use crate::{
    disk::prefetch,
    ids::Sequence,
    keydir::{KeySource, OrderRef, Side},
    log::{FilePin, FileTable, Files, record_bytes},
};
use std::{collections::VecDeque, ops::Bound, sync::atomic::Ordering};

/// One key of a page with its state at the view.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: ItemKey,
    pub(crate) state: State,
    pub(crate) file: FilePin,
}

/// A key's bytes; short ones without an allocation.
#[derive(Clone, Debug)]
pub(crate) enum ItemKey {
    Short { len: u8, bytes: [u8; SHORT_KEY_BYTES] },
    Long(Box<[u8]>),
}

const SHORT_KEY_BYTES: usize = 38;

impl From<&[u8]> for ItemKey {
    #[inline]
    fn from(key: &[u8]) -> ItemKey {
        match u8::try_from(key.len()) {
            Ok(len) if key.len() <= SHORT_KEY_BYTES => {
                let mut bytes = [0; SHORT_KEY_BYTES];
                bytes[..key.len()].copy_from_slice(key);
                ItemKey::Short { len, bytes }
            }
            _ => ItemKey::Long(key.into()),
        }
    }
}

impl std::ops::Deref for ItemKey {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            ItemKey::Short { len, bytes } => &bytes[..usize::from(*len)],
            ItemKey::Long(key) => key,
        }
    }
}

/// What part of a keyspace is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageRequest<'a> {
    pub(crate) start: Bound<&'a [u8]>,
    pub(crate) end: Bound<&'a [u8]>,
    /// From the end backwards.
    pub(crate) reverse: bool,
    pub(crate) limit: usize,
    pub(crate) view: Sequence,
    pub(crate) now_ms: u64,
}

impl Index {
    /// Appends the next keys of a range at a view to `out`, in order. The index must be ordered.
    ///
    /// Returns the key behind which the next page starts, or `None` if the range has been looked
    /// through to its end.
    pub(crate) fn page(
        &self,
        files: &Files,
        request: &PageRequest<'_>,
        out: &mut VecDeque<Item>,
    ) -> Option<ItemKey> {
        let order = self.order.as_ref()?.read();
        let (mut refs, mut doubtful) = (Vec::with_capacity(request.limit + 1), 0);
        let (start, end, limit) = (request.start, request.end, request.limit);
        match start {
            _ if request.reverse => order.page_rev(self, start, end, limit, &mut refs),
            Bound::Unbounded => order.page_at(0, limit, &mut refs),
            Bound::Included(key) | Bound::Excluded(key) => {
                doubtful = order.page_near(key, limit, &mut refs);
            }
        }
        let shards = Reading::new(self, &refs);
        // Both change under the lock of a changed key's shard, or the order index's.
        if self.has_undo() || self.has_pending() {
            drop(shards);
            if !request.reverse {
                refs.clear();
                order.page(self, start, end, limit, &mut refs);
            }
            return self.merged_page(files, request, refs, out);
        }
        self.plain_page(&shards, files, request, (&refs, doubtful), out)
    }

    /// No key of the page changed since the view: the order index is the view.
    ///
    /// Of the references the first `doubtful` may be before the range, which ends the page where
    /// the first one is behind it; backwards they are all inside.
    ///
    /// In passes, so that in each all that is waited for, of memory and of address translation,
    /// is waited for together: a look at each entry after the other takes twice as long. What
    /// writes to memory that threads share is kept out of the passes that fetch.
    fn plain_page(
        &self,
        shards: &Reading<'_>,
        files: &Files,
        request: &PageRequest<'_>,
        (refs, doubtful): (&[OrderRef], usize),
        out: &mut VecDeque<Item>,
    ) -> Option<ItemKey> {
        for r in refs {
            prefetch(shards.shard(*r).table.front(r.entry));
        }
        let table = files.load();
        let before = out.len();
        out.reserve(refs.len());
        let is_before = |r: &&OrderRef| {
            let key = shards.shard(**r).table.key(r.entry);
            !super::in_range(key, request.start, Bound::Unbounded)
        };
        let skipped = refs.iter().take(doubtful).take_while(is_before).count();
        let refs = &refs[skipped..refs.len().min(skipped.saturating_add(request.limit))];
        let mut is_last = refs.len() < request.limit;
        for r in refs {
            let shard = shards.shard(*r);
            let (entry, key) = shard.table.entry_and_key(r.entry);
            if !request.reverse && !super::in_range(key, Bound::Unbounded, request.end) {
                is_last = true;
                break;
            }
            let state = shard.state(r.entry, entry);
            if entry.sequence <= request.view
                && state.is_alive(|| request.now_ms)
                && let Some(file) = pin(files, &table, &state)
            {
                out.push_back(Item { key: key.into(), state, file });
            }
        }
        for item in out.range(before..) {
            self.fetch_record(item);
        }
        let last = refs.last().filter(|_| !is_last)?;
        Some(shards.shard(*last).table.key(last.entry).into())
    }

    /// Starts fetching an item's record.
    #[inline]
    fn fetch_record(&self, item: &Item) {
        let len = record_bytes(self.id, item.key.len(), &item.state.entry);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        item.file.prefetch(u64::from(item.state.entry.location.offset), len);
    }

    /// The state behind a reference at the view; `None` if it was not there, or had expired.
    fn item_at(
        &self,
        files: &Files,
        table: &FileTable,
        request: &PageRequest<'_>,
        r: OrderRef,
    ) -> Option<Item> {
        let shard = self.shard_at(usize::from(r.shard));
        let key = shard.table.key(r.entry);
        let current = super::past::current(&shard, r.entry);
        let (state, file) = self.state_at(files, table, key, Some(current), request.view)?;
        if !state.is_alive(|| request.now_ms) {
            return None;
        }
        let item = Item { key: key.into(), state, file };
        self.fetch_record(&item);
        Some(item)
    }

    pub(super) fn has_undo(&self) -> bool {
        self.has_undo.load(Ordering::Acquire)
    }

    /// The key's state at a view, if it changed since.
    #[expect(clippy::option_option, reason = "unchanged and absent are different answers")]
    pub(super) fn undone(&self, key: &[u8], view: Sequence) -> Option<Option<OldState>> {
        self.undo.read().at(key, view).map(|old| old.cloned())
    }

    /// A key that is in undo: its state at the view.
    fn undone_item(&self, request: &PageRequest<'_>, key: &[u8]) -> Option<Item> {
        let OldState { state, file } = self.undone(key, request.view)??;
        if !state.is_alive(|| request.now_ms) {
            return None;
        }
        Some(Item { key: key.into(), state, file: file? })
    }

    /// Merges the order index with keys that were removed from it since the view.
    fn merged_page(
        &self,
        files: &Files,
        request: &PageRequest<'_>,
        refs: Vec<OrderRef>,
        out: &mut VecDeque<Item>,
    ) -> Option<ItemKey> {
        let limit = request.limit;
        let mut sources: Vec<Vec<(Vec<u8>, Option<OrderRef>)>> = Vec::new();
        let with_keys = |refs: Vec<OrderRef>| -> Vec<(Vec<u8>, Option<OrderRef>)> {
            refs.into_iter().map(|r| (self.with_key(r, <[u8]>::to_vec), Some(r))).collect()
        };
        sources.push(with_keys(refs));
        for part in self.pending_refs(request) {
            sources.push(with_keys(part));
        }
        sources.push(self.undo_keys(request));
        // Beyond the nearest end of a source that was cut short, other keys may be missing.
        let nearer = |a: &Vec<u8>, b: &Vec<u8>| if request.reverse { b.cmp(a) } else { a.cmp(b) };
        let cut = sources
            .iter()
            .filter(|s| s.len() == limit)
            .filter_map(|s| s.last().map(|(key, _)| key.clone()))
            .min_by(|a, b| nearer(a, b));
        let mut keys: Vec<_> = sources.into_iter().flatten().collect();
        keys.sort_by(|(a, ra), (b, rb)| nearer(a, b).then_with(|| rb.is_some().cmp(&ra.is_some())));
        keys.dedup_by(|(a, _), (b, _)| a == b);
        if let Some(cut) = &cut {
            keys.retain(|(key, _)| nearer(key, cut).is_le());
        }
        let table = files.load();
        out.extend(keys.into_iter().filter_map(|(key, r)| match r {
            Some(r) => self.item_at(files, &table, request, r),
            None => self.undone_item(request, &key),
        }));
        cut.map(|key| ItemKey::from(&key[..]))
    }

    /// What later range deletes took out of the order index but not yet out of the tables.
    fn pending_refs(&self, request: &PageRequest<'_>) -> Vec<Vec<OrderRef>> {
        let pending = self.pending.read();
        let mut parts = Vec::new();
        for p in pending.after(request.view) {
            let super::pending::Work::Ordered(part) = &p.work else { continue };
            let mut refs = Vec::new();
            let (start, end, limit) = (request.start, request.end, request.limit);
            if request.reverse {
                part.page_rev(self, start, end, limit, &mut refs);
            } else {
                part.page(self, start, end, limit, &mut refs);
            }
            parts.push(refs);
        }
        parts
    }

    fn undo_keys(&self, request: &PageRequest<'_>) -> Vec<(Vec<u8>, Option<OrderRef>)> {
        let undo = self.undo.read();
        let keys = undo.keys_in(request.start, request.end);
        let owned = |key: &[u8]| (key.to_vec(), None);
        if request.reverse {
            keys.rev().take(request.limit).map(owned).collect()
        } else {
            keys.take(request.limit).map(owned).collect()
        }
    }

    /// Keys in a range at the tip. Expired ones count until their removal. O(log n).
    pub(crate) fn count(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> u64 {
        let (from, to) = self.ranks(start, end);
        to.saturating_sub(from)
    }

    /// Ranks of the first key of a range and of the first behind it, at the tip.
    pub(crate) fn ranks(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> (u64, u64) {
        let Some(order) = &self.order else { return (0, 0) };
        order.read().ranks(self, start, end)
    }

    /// How many keys are below this one, and whether it is there.
    pub(crate) fn rank(&self, key: &[u8]) -> (u64, bool) {
        let Some(order) = &self.order else { return (0, false) };
        let order = order.read();
        let below = order.position(self, key, Side::Before);
        (below, order.position(self, key, Side::After) > below)
    }

    /// The first key at or after this rank that has not expired, at the tip.
    pub(crate) fn nth(&self, files: &Files, rank: u64, now_ms: u64) -> Option<Item> {
        let order = self.order.as_ref()?.read();
        (rank..order.len()).find_map(|at| self.alive_item(files, order.nth(at)?, now_ms))
    }

    /// The key at this rank, at the tip.
    pub(crate) fn key_at(&self, rank: u64) -> Option<Box<[u8]>> {
        let order = self.order.as_ref()?.read();
        let r = order.nth(rank)?;
        Some(self.shard_at(usize::from(r.shard)).table.key(r.entry).into())
    }

    /// The key of the entry with this many of a range's keys before it, at the tip; where that has
    /// expired, of the next one.
    pub(crate) fn nth_key(
        &self,
        (start, end): (Bound<&[u8]>, Bound<&[u8]>),
        nth: u64,
        now_ms: u64,
    ) -> Option<ItemKey> {
        let order = self.order.as_ref()?.read();
        let first = order.rank_of_start(self, start).checked_add(nth)?;
        (first..order.len()).find_map(|at| {
            let r = order.nth(at)?;
            let shard = self.shard_at(usize::from(r.shard));
            let (entry, key) = shard.table.entry_and_key(r.entry);
            if !super::in_range(key, start, end) {
                return Some(None);
            }
            let is_alive = shard.state(r.entry, entry).is_alive(|| now_ms);
            is_alive.then(|| Some(key.into()))
        })?
    }

    /// The last key that has not expired, at the tip.
    pub(crate) fn last(&self, files: &Files, now_ms: u64) -> Option<Item> {
        let order = self.order.as_ref()?.read();
        (0..order.len()).rev().find_map(|at| self.alive_item(files, order.nth(at)?, now_ms))
    }

    fn alive_item(&self, files: &Files, r: OrderRef, now_ms: u64) -> Option<Item> {
        let shard = self.shard_at(usize::from(r.shard));
        let state = shard.state(r.entry, shard.table.entry(r.entry));
        if !state.is_alive(|| now_ms) {
            return None;
        }
        let file = pin(files, &files.load(), &state)?;
        Some(Item { key: shard.table.key(r.entry).into(), state, file })
    }
}

/// The file a state points into. Called under the shard's lock, so the file is still listed.
pub(super) fn pin(files: &Files, table: &FileTable, state: &State) -> Option<FilePin> {
    let id = state.entry.location.file;
    table.pin(id).or_else(|| files.load().pin(id))
}
