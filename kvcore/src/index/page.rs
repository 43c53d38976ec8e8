//! Pages of a view in key order: what iterators are made of.

use super::{FilePin, Index, State, undo::OldState};
use crate::{
    ids::Sequence,
    keydir::{KeySource, OrderRef, Side},
    log::{FileTable, Files, record_bytes},
};
use std::{
    ops::Bound,
    sync::{Arc, atomic::Ordering},
};

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

    fn deref(&self) -> &[u8] {
        match self {
            ItemKey::Short { len, bytes } => &bytes[..usize::from(*len)],
            ItemKey::Long(key) => key,
        }
    }
}

/// The view of whoever wants the latest state and has registered none.
pub(crate) const TIP: Sequence = Sequence(u64::MAX);

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

/// A page, and whether the range has been looked through to its end.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) items: Vec<Item>,
    /// The next page starts behind this key; `None` at the end.
    pub(crate) last: Option<Vec<u8>>,
}

impl Index {
    /// The next keys of a range at a view, in order. The index must be ordered.
    pub(crate) fn page(&self, files: &Files, request: &PageRequest<'_>) -> Page {
        let Some(order) = &self.order else { return Page::default() };
        let order = order.read();
        let mut refs = Vec::with_capacity(request.limit);
        let (start, end, limit) = (request.start, request.end, request.limit);
        if request.reverse {
            order.page_rev(self, start, end, limit, &mut refs);
        } else {
            order.page(self, start, end, limit, &mut refs);
        }
        // At the tip the order index holds what there is, whatever older views need.
        if request.view == TIP || (!self.has_undo() && !self.has_pending()) {
            return self.plain_page(files, request, &refs);
        }
        self.merged_page(files, request, refs)
    }

    /// No key changed since the view, or it is the tip: the order index is the view.
    fn plain_page(&self, files: &Files, request: &PageRequest<'_>, refs: &[OrderRef]) -> Page {
        let mut page = Page::default();
        page.items.reserve(refs.len());
        let table = files.load();
        for r in refs {
            if let Some(item) = self.item_at(files, &table, request, *r) {
                page.items.push(item);
            }
        }
        if refs.len() == request.limit {
            page.last = refs.last().map(|r| self.with_key(*r, <[u8]>::to_vec));
        }
        page
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
        let len = record_bytes(self.id, key.len(), &state.entry);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        file.prefetch(u64::from(state.entry.location.offset), len);
        Some(Item { key: key.into(), state, file })
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
    fn merged_page(&self, files: &Files, request: &PageRequest<'_>, refs: Vec<OrderRef>) -> Page {
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
        let items = keys
            .into_iter()
            .filter_map(|(key, r)| match r {
                Some(r) => self.item_at(files, &table, request, r),
                None => self.undone_item(request, &key),
            })
            .collect();
        Page { items, last: cut }
    }

    /// What later range deletes took out of the order index but not yet out of the tables.
    fn pending_refs(&self, request: &PageRequest<'_>) -> Vec<Vec<OrderRef>> {
        let pending = self.pending.read();
        let mut parts = Vec::new();
        for p in pending.iter().filter(|p| p.sequence > request.view) {
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
    match table.get(id) {
        Some(file) => Some(Arc::clone(file)),
        None => files.load().get(id).cloned(),
    }
}
