//! Pending range deletes worked off: some entries at a time, between which others come to their
//! turn.
//!
//! What one step costs is bounded by the entries it looks at. Every entry is three or four places
//! in memory that no cache holds, so those of a step are fetched side by side; and memory that
//! becomes free is handed to the caller, who drops it when nobody waits.

use super::{
    Applying, Index, KeyHash,
    pending::Work,
    walk::{join_cursor, split_cursor},
};
use crate::{
    disk::prefetch,
    ids::Sequence,
    keydir::{EntryRef, Freed, OrderRef},
};
use parking_lot::RwLockWriteGuard;
use std::sync::atomic::Ordering;

/// Memory that a step has freed, to be dropped when no lock is held.
pub(crate) type Garbage = Vec<Box<[u8]>>;

/// Where the entries of a step come from.
enum Step {
    /// A split-off part of the order index, all of which this range delete covers.
    Part(Sequence),
    /// A walk through all entries, which is to go on here.
    Walk(u64),
}

/// Entries of a step, with what is needed to find them again in their tables.
#[derive(Default)]
struct Doomed {
    keys: Vec<u8>,
    /// Where each one's key ends.
    found: Vec<(OrderRef, KeyHash, usize)>,
}

impl Index {
    /// Removes up to `limit` covered entries; of a keyspace without order, looks at about as many.
    /// Called by the holder of the writer lock. Returns memory to be dropped.
    pub(crate) fn work_off(&self, cx: &Applying<'_>, limit: usize) -> Garbage {
        // Pages hold references to these entries only under the order index's lock.
        let order = self.order.as_ref().map(|order| order.write());
        let mut refs = Vec::with_capacity(limit);
        let freed = match self.next_step(limit, &mut refs) {
            None => Vec::new(),
            Some(Step::Part(cover)) => {
                let freed = self.remove_all(cx, &refs, Some(cover));
                if refs.len() < limit {
                    self.end_first_pending();
                }
                freed
            }
            Some(Step::Walk(next)) => {
                let freed = self.remove_all(cx, &refs, None);
                if split_cursor(next).is_none() {
                    self.end_first_pending();
                }
                freed
            }
        };
        // Readers that wait for it come first, however soon the next step is.
        if let Some(order) = order {
            RwLockWriteGuard::unlock_fair(order);
        }
        freed
    }

    /// The entries of the next step.
    fn next_step(&self, limit: usize, refs: &mut Vec<OrderRef>) -> Option<Step> {
        let cursor = {
            let mut pending = self.pending.write();
            let first = pending.first_mut()?;
            match &mut first.work {
                Work::Ordered(part) => {
                    part.pop_front(limit, refs);
                    return Some(Step::Part(first.sequence));
                }
                Work::Walk { cursor, .. } => *cursor,
            }
        };
        let next = self.walk_on(cursor, limit, refs);
        let mut pending = self.pending.write();
        if let Some(Work::Walk { cursor, .. }) = pending.first_mut().map(|p| &mut p.work) {
            *cursor = next;
        }
        Some(Step::Walk(next))
    }

    fn end_first_pending(&self) {
        let mut pending = self.pending.write();
        self.has_pending.store(pending.end_first(), Ordering::Release);
    }

    /// About `limit` entries of one table, from a cursor on; the cursor behind them.
    fn walk_on(&self, cursor: u64, limit: usize, refs: &mut Vec<OrderRef>) -> u64 {
        let Some((at, tag)) = split_cursor(cursor) else { return cursor };
        let shard = self.shard_at(at);
        let number = u8::try_from(at).expect("below 64");
        let mut last = None;
        for (tag, entry) in shard.table.scan_from(tag) {
            // Entries of one tag go together, as the cursor is a tag.
            if refs.len() >= limit && last != Some(tag) {
                return join_cursor(at, tag);
            }
            last = Some(tag);
            refs.push(OrderRef { shard: number, entry });
        }
        join_cursor(at + 1, 0)
    }

    /// Removes those of the entries that a pending range delete covers: this one covers all.
    fn remove_all(&self, cx: &Applying<'_>, refs: &[OrderRef], cover: Option<Sequence>) -> Garbage {
        let doomed = self.fetch_doomed(refs);
        let mut freed = Vec::new();
        let mut start = 0;
        for &(at, hash, end) in &doomed.found {
            let key = &doomed.keys[start..end];
            start = end;
            freed.extend(self.remove_covered(cx, (at.entry, hash), key, cover));
        }
        freed
    }

    /// Reads the entries' keys, and starts fetching where they are found in their tables.
    fn fetch_doomed(&self, refs: &[OrderRef]) -> Doomed {
        for r in refs {
            prefetch(self.shard_at(usize::from(r.shard)).table.front(r.entry));
        }
        let mut doomed = Doomed::default();
        for r in refs {
            let shard = self.shard_at(usize::from(r.shard));
            let key = shard.table.key(r.entry);
            let hash = self.hash(key);
            prefetch(shard.table.first_bucket(hash.tag));
            doomed.keys.extend_from_slice(key);
            doomed.found.push((*r, hash, doomed.keys.len()));
        }
        doomed
    }

    /// Removes one entry, if a pending range delete covers it, and accounts for its record.
    fn remove_covered(
        &self,
        cx: &Applying<'_>,
        (r, hash): (EntryRef, KeyHash),
        key: &[u8],
        cover: Option<Sequence>,
    ) -> Freed {
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let entry = shard.table.entry(r);
        let found = || self.first_cover(key, entry.sequence, Sequence(u64::MAX));
        debug_assert!(cover.is_none() || cover == found(), "a part is what the first one covers");
        let by = cover.or_else(found)?;
        let freed = self.take_out(cx, &mut shard, hash.tag, key, (r, entry), by);
        if cover.is_none() {
            self.note_worked_off(by);
        }
        freed
    }
}
