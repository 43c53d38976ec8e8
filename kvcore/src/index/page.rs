//! Pages of a view in key order: what iterators are made of.

use super::{FilePin, Index, State, undo::OldState};
use crate::{
    ids::Sequence,
    keydir::{KeySource, OrderRef, Side},
    log::{FileTable, Files},
};
use std::{ops::Bound, sync::Arc};

/// One key of a page with its state at the view.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    pub(crate) state: State,
    pub(crate) file: FilePin,
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
        if self.undo.read().is_empty() && !self.has_pending() {
            return self.plain_page(files, request, &refs);
        }
        self.merged_page(files, request, refs)
    }

    /// No key of the keyspace changed since the view: the order index is the view.
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
        let entry = shard.table.entry(r.entry);
        let current = shard.state(r.entry, entry);
        let undo = self.undo.read();
        let (state, file) = match undo.at(key, request.view) {
            Some(old) => {
                let OldState { state, file } = old?;
                (*state, file.clone()?)
            }
            None if entry.sequence > request.view => return None,
            None if self.has_pending()
                && self.first_cover(key, entry.sequence, request.view).is_some() =>
            {
                return None;
            }
            None => (current, pin(files, table, &current)?),
        };
        let item = state.is_alive(|| request.now_ms).then(|| key.to_vec());
        item.map(|key| Item { key, state, file })
    }

    /// A key that is in undo: its state at the view.
    fn undone_item(&self, request: &PageRequest<'_>, key: &[u8]) -> Option<Item> {
        let undo = self.undo.read();
        let OldState { state, file } = undo.at(key, request.view)??;
        if !state.is_alive(|| request.now_ms) {
            return None;
        }
        Some(Item { key: key.to_vec(), state: *state, file: file.clone()? })
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
        let Some(order) = &self.order else { return 0 };
        let (from, to) = order.read().ranks(self, start, end);
        to.saturating_sub(from)
    }

    /// How many keys are below this one, and whether it is there.
    pub(crate) fn rank(&self, key: &[u8]) -> (u64, bool) {
        let Some(order) = &self.order else { return (0, false) };
        let order = order.read();
        let below = order.position(self, key, Side::Before);
        (below, order.position(self, key, Side::After) > below)
    }

    /// The key with this many keys below it, at the tip.
    pub(crate) fn nth(&self, files: &Files, n: u64) -> Option<Item> {
        let order = self.order.as_ref()?.read();
        let r = order.nth(n)?;
        let shard = self.shard_at(usize::from(r.shard));
        let state = shard.state(r.entry, shard.table.entry(r.entry));
        let file = pin(files, &files.load(), &state)?;
        Some(Item { key: shard.table.key(r.entry).to_vec(), state, file })
    }
}

/// The file a state points into. Called under the shard's lock, so the file is still listed.
fn pin(files: &Files, table: &FileTable, state: &State) -> Option<FilePin> {
    let id = state.entry.location.file;
    match table.get(id) {
        Some(file) => Some(Arc::clone(file)),
        None => files.load().get(id).cloned(),
    }
}
