//! Pages of the latest state in key order: what walks that register no view are made of.
//!
//! Knows entries and the table of files they point into. Unlike a page of a view it pins nothing
//! by itself: the table, which its owner holds, keeps all files readable, and a pin would be
//! written to memory that threads share, twice for each entry.

use super::{Index, ItemKey, reading::Reading};
use crate::{
    disk::prefetch,
    keydir::{Entry, OrderRef},
    log::{FileTable, Files, FilesGuard, record_bytes},
};
use std::ops::Bound;

/// One key of a page, with its entry.
#[derive(Clone, Debug)]
pub(crate) struct TipItem {
    pub(crate) key: ItemKey,
    pub(crate) entry: Entry,
}

/// Some keys in order, and the files their records are in.
#[derive(Debug)]
pub(crate) struct TipPage {
    pub(crate) items: Vec<TipItem>,
    pub(crate) files: FilesGuard,
    /// The key behind which the next page starts; none at the end of the range.
    pub(crate) last: Option<ItemKey>,
}

/// What part of a keyspace is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TipRequest<'a> {
    pub(crate) start: Bound<&'a [u8]>,
    pub(crate) end: Bound<&'a [u8]>,
    /// From the end backwards.
    pub(crate) reverse: bool,
    pub(crate) limit: usize,
    pub(crate) now_ms: u64,
    pub(crate) records: Records,
}

/// What becomes of the records of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Records {
    /// They will be read, and are fetched.
    Read,
    /// Only the keys are wanted.
    Left,
}

impl Index {
    /// The first keys of a range at the tip. The index must be ordered.
    ///
    /// In passes, so that in each all that is waited for, of memory and of address translation,
    /// is waited for together (see `page`).
    pub(crate) fn tip_page(&self, files: &Files, request: &TipRequest<'_>) -> Option<TipPage> {
        let order = self.order.as_ref()?.read();
        let TipRequest { start, end, reverse, limit, now_ms, records } = *request;
        let mut refs: Vec<OrderRef> = Vec::with_capacity(limit);
        if reverse {
            order.page_rev(self, start, end, limit, &mut refs);
        } else {
            order.page(self, start, end, limit, &mut refs);
        }
        let shards = Reading::new(self, &refs);
        for r in &refs {
            prefetch(shards.shard(*r).table.front(r.entry));
        }
        // Under the shards' locks, so it lists every file that their entries point into.
        let files = files.load();
        let mut items = Vec::with_capacity(refs.len());
        for r in &refs {
            let shard = shards.shard(*r);
            let (entry, key) = shard.table.entry_and_key(r.entry);
            if shard.state(r.entry, entry).is_alive(|| now_ms) {
                items.push(TipItem { key: key.into(), entry });
            }
        }
        if records == Records::Read {
            items.iter().for_each(|item| self.fetch_entry_record(&files, item));
        }
        let last = refs.last().filter(|_| refs.len() == limit);
        let last = last.map(|last| shards.shard(*last).table.key(last.entry).into());
        Some(TipPage { items, files, last })
    }

    /// Starts fetching an entry's record.
    #[inline]
    fn fetch_entry_record(&self, files: &FileTable, TipItem { key, entry }: &TipItem) {
        if let Some(file) = files.get(entry.location.file) {
            let len = record_bytes(self.id, key.len(), entry);
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            file.prefetch(u64::from(entry.location.offset), len);
        }
    }
}
