//! Pages of the latest state in key order: what walks that register no view are made of.
//!
//! Knows entries and the table of files they point into. Unlike a page of a view it pins nothing
//! by itself: the table, which its owner holds, keeps all files readable, and a pin would be
//! written to memory that threads share, twice for each entry.

use super::{Index, ItemKey, reading::Reading};
use crate::{
    disk::prefetch,
    keydir::{Entry, EntryFlags, OrderRef},
    log::{Files, FilesGuard, FilesInRuns, record_bytes},
};
use std::{cell::Cell, ops::Bound};

/// One key of a page, with its entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TipItem<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) entry: &'a Entry,
    /// Length of its record; zero where records are left.
    pub(crate) record_len: usize,
}

/// Some keys in order, and the files their records are in.
#[derive(Debug)]
pub(crate) struct TipPage {
    room: Room,
    pub(crate) files: FilesGuard,
    /// The key behind which the next page starts; none at the end of the range.
    pub(crate) last: Option<ItemKey>,
}

/// The memory of a page, which each thread keeps for its next one.
#[derive(Debug, Default)]
struct Room {
    refs: Vec<OrderRef>,
    /// The keys, one behind the other.
    keys: Vec<u8>,
    parts: Vec<Part>,
}

/// Room for more bytes of keys than these is given back: 512 keys of 64 bytes.
const KEPT_KEYS_BYTES_MAX: usize = 1 << 15;

thread_local! {
    static SPARE: Cell<Option<Room>> = const { Cell::new(None) };
}

impl Room {
    fn take() -> Room {
        SPARE.take().unwrap_or_default()
    }

    fn give_back(mut self) {
        if self.keys.capacity() <= KEPT_KEYS_BYTES_MAX {
            self.refs.clear();
            self.keys.clear();
            self.parts.clear();
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| spare.set(Some(self)));
        }
    }
}

impl Drop for TipPage {
    fn drop(&mut self) {
        std::mem::take(&mut self.room).give_back();
    }
}

/// A key's end among the keys, and what is known about it.
#[derive(Debug)]
struct Part {
    entry: Entry,
    key_end: usize,
    record_len: usize,
}

impl TipPage {
    pub(crate) fn len(&self) -> usize {
        self.room.parts.len()
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = TipItem<'_>> {
        let (Room { keys, parts, .. }, mut start) = (&self.room, 0);
        parts.iter().map(move |Part { entry, key_end, record_len }| {
            let key = &keys[start..*key_end];
            start = *key_end;
            TipItem { key, entry, record_len: *record_len }
        })
    }
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
    /// is waited for together (see `page`): the entries are fetched in one, and each entry's record
    /// in the next, which waits for none of them.
    pub(crate) fn tip_page(&self, files: &Files, request: &TipRequest<'_>) -> Option<TipPage> {
        let order = self.order.as_ref()?.read();
        let TipRequest { start, end, reverse, limit, now_ms, records } = *request;
        let mut room = Room::take();
        let Room { refs, keys, parts } = &mut room;
        refs.reserve(limit);
        if reverse {
            order.page_rev(self, start, end, limit, refs);
        } else {
            order.page(self, start, end, limit, refs);
        }
        let shards = Reading::new(self, refs);
        for r in &*refs {
            prefetch(shards.shard(*r).table.front(r.entry));
        }
        // Under the shards' locks, so it lists every file that their entries point into.
        let files = files.load();
        let mut near = FilesInRuns::new(&files);
        parts.reserve(refs.len());
        for r in &*refs {
            let shard = shards.shard(*r);
            let (entry, key) = shard.table.entry_and_key(r.entry);
            if entry.flags.has(EntryFlags::EXPIRES)
                && !shard.state(r.entry, entry).is_alive(|| now_ms)
            {
                continue;
            }
            let record_bytes = match records {
                Records::Read => record_bytes(self.id, key.len(), &entry),
                Records::Left => 0,
            };
            let record_len = usize::try_from(record_bytes).unwrap_or(usize::MAX);
            if records == Records::Read
                && let Some(file) = near.get(entry.location.file)
            {
                file.prefetch(u64::from(entry.location.offset), record_len);
            }
            keys.extend_from_slice(key);
            parts.push(Part { entry, key_end: keys.len(), record_len });
        }
        let last = refs.last().filter(|_| refs.len() == limit);
        let last = last.map(|last| shards.shard(*last).table.key(last.entry).into());
        Some(TipPage { room, files, last })
    }
}
