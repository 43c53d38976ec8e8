//! The keyspace as it was at a view: one key, a count, and what has changed since.
//!
//! Rests on X4: whatever changed since an open view began left its old state in undo, under the
//! lock of the key's shard.

use super::{Index, Item, State, page::pin, pending::Work, undo::OldState};
use crate::{
    ids::Sequence,
    keydir::{Entry, EntryRef},
    log::{FilePin, FileTable, Files},
};
use std::ops::Bound;

/// Keys of undo that are looked at between two takings of its lock.
const UNDO_STEP_KEYS: usize = 1_024;

impl Index {
    /// One key at an open view, expired or not.
    pub(crate) fn item_of(&self, files: &Files, key: &[u8], view: Sequence) -> Option<Item> {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let found = shard.table.get(hash.tag, key);
        let current = found.map(|(r, entry)| shard.state(r, entry));
        let (state, file) = self.state_at(files, &files.load(), key, current, view)?;
        Some(Item { key: key.into(), state, file })
    }

    /// What a key was at a view, given what its shard, which is locked, says now.
    pub(super) fn state_at(
        &self,
        files: &Files,
        table: &FileTable,
        key: &[u8],
        current: Option<State>,
        view: Sequence,
    ) -> Option<(State, FilePin)> {
        let undone = if self.has_undo() { self.undone(key, view) } else { None };
        if let Some(old) = undone {
            let OldState { state, file } = old?;
            return Some((state, file?));
        }
        let current = current?;
        let put = current.entry.sequence;
        if put > view || (self.has_pending() && self.first_cover(key, put, view).is_some()) {
            return None;
        }
        let file = pin(files, table, &current)?;
        Some((current, file))
    }

    /// Keys of a range at an open view, expired ones included if they had not been removed by
    /// then. O(log n) and what changed in the range since.
    ///
    /// An unordered keyspace is counted as a whole, by a caller who keeps commits out meanwhile.
    pub(crate) fn count_at(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, view: Sequence) -> u64 {
        // Held to the end: keys neither come nor go, so undo and tables fit together.
        let order = self.order.as_ref().map(|order| order.read());
        let now = match &order {
            Some(order) => {
                let (from, to) = order.ranks(self, start, end);
                to.saturating_sub(from)
            }
            None => self.len(),
        };
        let taken_out = self.taken_out_since(start, end, view);
        let (came, went) = self.changes_since(start, end, view);
        (now + taken_out + went).saturating_sub(came)
    }

    /// Keys of a range that a later range delete took out and that still wait to be removed.
    fn taken_out_since(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, view: Sequence) -> u64 {
        if !self.has_pending() {
            return 0;
        }
        let parts: Vec<Sequence> = {
            let pending = self.pending.read();
            pending.after(view).map(|p| p.sequence).collect()
        };
        parts.into_iter().map(|sequence| self.waiting_in(sequence, start, end)).sum()
    }

    /// The same for one range delete, whose part is looked at under no other lock than the
    /// order index's, which keeps it as it is (X2).
    fn waiting_in(&self, sequence: Sequence, start: Bound<&[u8]>, end: Bound<&[u8]>) -> u64 {
        let pending = self.pending.read();
        let Some(p) = pending.get(sequence) else { return 0 };
        match &p.work {
            Work::Ordered(part) => {
                let (from, to) = part.ranks(self, start, end);
                to.saturating_sub(from)
            }
            Work::Walk { left, .. } => *left,
        }
    }

    /// Of the keys that changed since the view: how many are counted now and were not there, and
    /// how many were there and are not counted now.
    fn changes_since(&self, start: Bound<&[u8]>, end: Bound<&[u8]>, view: Sequence) -> (u64, u64) {
        let (mut came, mut went) = (0, 0);
        let mut from = start.map(<[u8]>::to_vec);
        while self.has_undo() {
            let changed = {
                let start = super::pending::as_slices(&from);
                self.undo.read().changed_in(start, end, view, UNDO_STEP_KEYS)
            };
            for (key, was_there) in &changed.keys {
                match (was_there, self.is_counted(key, view)) {
                    (true, false) => went += 1,
                    (false, true) => came += 1,
                    _ => {}
                }
            }
            match changed.next {
                Some(next) => from = Bound::Excluded(next),
                None => break,
            }
        }
        (came, went)
    }

    /// The key is in the order index now, or in the part of a range delete later than the view.
    fn is_counted(&self, key: &[u8], view: Sequence) -> bool {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let Some((_, Entry { sequence, .. })) = shard.table.get(hash.tag, key) else {
            return false;
        };
        !self.has_pending()
            || self.first_cover(key, sequence, Sequence(u64::MAX)).is_none_or(|cover| cover > view)
    }

    /// Whether a key is another one than at an open view, or may be: a range delete that is being
    /// worked off counts for every key of its range.
    pub(crate) fn has_changed(&self, key: &[u8], view: Sequence) -> bool {
        let hash = self.hash(key);
        let _shard = self.shard(hash);
        (self.has_undo() && self.undone(key, view).is_some())
            || (self.has_pending()
                && self.pending.read().first_cover(key, view, Sequence(u64::MAX)).is_some())
    }

    /// The same for all keys of a range. Asked by the holder of the writer lock.
    pub(crate) fn has_range_changed(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        view: Sequence,
    ) -> bool {
        if self.has_pending() && self.pending.read().after(view).any(|p| p.overlaps(start, end)) {
            return true;
        }
        self.has_undo() && self.undo.read().any_changed_in(start, end, view)
    }
}

/// What is in a table about a key, before it is asked what it was at a view.
pub(super) fn current(shard: &super::Shard, r: EntryRef) -> State {
    shard.state(r, shard.table.entry(r))
}
