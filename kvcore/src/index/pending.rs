//! Range deletes that are decided and not yet worked off.
//!
//! The order index has let go of the range at once; the tables' entries go in bounded steps, and
//! until then every read asks whether what it found is covered.

use super::{Applying, Held, Index, SHARDS, Shard, State, Undo, in_range};
use crate::{
    ids::Sequence,
    keydir::{Entry, EntryFlags, EntryRef, Freed, OrderIndex},
    spans::{Span, Spans},
    view::Views,
};
use std::{collections::VecDeque, ops::Bound, sync::atomic::Ordering};

/// The range deletes in progress, in the order of their sequences.
#[derive(Debug, Default)]
pub(crate) struct PendingDeletes {
    all: VecDeque<Pending>,
    covers: Spans<Sequence>,
}

impl PendingDeletes {
    /// The lowest one, above a sequence and up to another, that covers the key. O(log n) for each
    /// that covers it.
    pub(super) fn first_cover(
        &self,
        key: &[u8],
        above: Sequence,
        up_to: Sequence,
    ) -> Option<Sequence> {
        let mut first = None;
        self.covers.each_at(key, &mut |by: &Sequence| {
            if *by > above && *by <= up_to && first.is_none_or(|first| *by < first) {
                first = Some(*by);
            }
        });
        first
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.all.iter()
    }
    /// Those later than a view.
    pub(super) fn after(&self, view: Sequence) -> impl Iterator<Item = &Pending> {
        self.all.range(self.all.partition_point(|p| p.sequence <= view)..)
    }
    pub(super) fn get(&self, sequence: Sequence) -> Option<&Pending> {
        let at = self.all.binary_search_by_key(&sequence, |p| p.sequence).ok()?;
        self.all.get(at)
    }
    pub(super) fn get_mut(&mut self, sequence: Sequence) -> Option<&mut Pending> {
        let at = self.all.binary_search_by_key(&sequence, |p| p.sequence).ok()?;
        self.all.get_mut(at)
    }
    fn push(&mut self, pending: Pending) {
        self.covers.insert(pending.span(), pending.sequence.0, pending.sequence);
        self.all.push_back(pending);
    }
    pub(super) fn first_mut(&mut self) -> Option<&mut Pending> {
        self.all.front_mut()
    }
    /// The first one is worked off; true if there are others.
    pub(super) fn end_first(&mut self) -> bool {
        if let Some(done) = self.all.pop_front() {
            self.covers.remove(&done.span().start, done.sequence.0);
        }
        !self.all.is_empty()
    }
}

/// One range delete in progress.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) sequence: Sequence,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    pub(super) work: Work,
}

/// Where the entries to be removed are found.
#[derive(Debug)]
pub(super) enum Work {
    /// The split-off part of the order index, shrinking from the front.
    Ordered(OrderIndex),
    /// An unordered keyspace is cleared by walking its tables: where the walk is, and how many
    /// entries are left to be removed.
    Walk { cursor: u64, left: u64 },
}

/// At most this many keys are removed in the commit itself.
pub(crate) const INLINE_KEYS_MAX: usize = 64;

impl Pending {
    /// Entries that are still to be removed.
    pub(super) fn entries_left(&self) -> u64 {
        match &self.work {
            Work::Ordered(part) => part.len(),
            Work::Walk { left, .. } => *left,
        }
    }

    fn span(&self) -> Span {
        Span::new(as_slices(&self.start), as_slices(&self.end))
    }

    /// Its range and another one may have a key in common.
    pub(super) fn overlaps(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
        let before = |end: Bound<&[u8]>, start: Bound<&[u8]>| match (end, start) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(end), Bound::Included(start)) => end < start,
            (Bound::Included(end) | Bound::Excluded(end), _) => end <= start_of(start),
        };
        !before(as_slices(&self.end), start) && !before(end, as_slices(&self.start))
    }
}

/// A bound's key; nothing comes before the unbounded one.
fn start_of(bound: Bound<&[u8]>) -> &[u8] {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    }
}

pub(crate) fn as_slices(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    match bound {
        Bound::Included(b) => Bound::Included(b),
        Bound::Excluded(b) => Bound::Excluded(b),
        Bound::Unbounded => Bound::Unbounded,
    }
}

fn to_owned(bound: Bound<&[u8]>) -> Bound<Vec<u8>> {
    bound.map(<[u8]>::to_vec)
}

impl Held<'_> {
    /// Deletes a range: a small one now, a large one by putting it on the pending list.
    pub(super) fn delete_range(
        &mut self,
        cx: &Applying<'_>,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        sequence: Sequence,
    ) {
        let few = self.few_keys_in(start, end);
        if let Some(keys) = few {
            for key in keys {
                self.remove(cx, (&key, self.index.hash(&key)), sequence);
            }
            return;
        }
        let work = self.split_off(start, end);
        let gone = match &work {
            Work::Ordered(part) => part.len(),
            Work::Walk { left, .. } => *left,
        };
        self.index.len.sub(gone);
        let pending = Pending { sequence, start: to_owned(start), end: to_owned(end), work };
        self.index.pending.write().push(pending);
        self.index.has_pending.store(true, Ordering::Release);
    }

    /// The keys of the range, if they are few enough to be removed at once.
    fn few_keys_in(&self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Option<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        if self.index.is_ordered() {
            let refs = self.page(start, end, INLINE_KEYS_MAX + 1);
            keys.extend(refs.into_iter().map(|r| self.key_of(r)));
        } else {
            if self.index.len() > INLINE_KEYS_MAX as u64 {
                return None;
            }
            for shard in 0..SHARDS {
                self.with_shard(shard, |s| {
                    for (_, r) in s.table.scan_from(0) {
                        let key = s.table.key(r);
                        let entry = s.table.entry(r);
                        if in_range(key, start, end)
                            && !self.index.covered_at_tip(key, entry.sequence)
                        {
                            keys.push(key.to_vec());
                        }
                    }
                });
            }
        }
        (keys.len() <= INLINE_KEYS_MAX).then_some(keys)
    }
}

impl Index {
    pub(crate) fn has_pending(&self) -> bool {
        self.has_pending.load(Ordering::Acquire)
    }

    /// One entry less is left to the walk of this range delete.
    pub(super) fn note_worked_off(&self, cover: Sequence) {
        let mut pending = self.pending.write();
        let walk = pending.get_mut(cover).map(|p| &mut p.work);
        if let Some(Work::Walk { left, .. }) = walk {
            *left = left.saturating_sub(1);
        }
    }

    /// The common end of every removal: undo, accounting, expiry, table. Returns memory that the
    /// caller may drop later.
    pub(super) fn take_out(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        tag: u32,
        key: &[u8],
        (r, entry): (EntryRef, Entry),
        until: Sequence,
    ) -> Freed {
        let state: State = shard.state(r, entry);
        self.keep_undo(cx, key, Some(state), until);
        self.forget_record(cx, key.len(), &entry, until);
        if entry.flags.has(EntryFlags::EXPIRES) {
            self.forget_expiry(shard, r);
        }
        self.note_removed(shard, r);
        self.entries_bytes.sub(self.entry_bytes(key.len()));
        shard.table.take(tag, r)
    }

    /// Drops undo that no open view needs; whether any is left, and what is to be freed when the
    /// locks are not held any more.
    pub(crate) fn purge_undo(&self, views: &Views) -> (bool, Option<Undo>) {
        let mut undo = self.undo.write();
        let garbage = undo.purge(views);
        self.has_undo.store(!undo.is_empty(), Ordering::Release);
        (!undo.is_empty(), garbage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    /// A range with short bounds, so that they meet, touch and contain one another.
    fn bound(random: &mut fastrand::Rng) -> Bound<Vec<u8>> {
        let key = vec![random.u8(..3); random.usize(..3)];
        match random.u32(..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(key),
            _ => Bound::Excluded(key),
        }
    }

    #[test]
    fn what_covers_a_key_is_what_a_look_at_every_range_finds() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pending = PendingDeletes::default();
        for number in 1..3_000 {
            if random.u32(..9) < 4 {
                pending.end_first();
            } else {
                let (start, end) = (bound(&mut random), bound(&mut random));
                let work = Work::Walk { cursor: 0, left: 0 };
                pending.push(Pending { sequence: Sequence(number), start, end, work });
            }
            for _ in 0..20 {
                let key = vec![random.u8(..3); random.usize(..4)];
                let above = Sequence(random.u64(..number + 2));
                let up_to = Sequence(random.u64(..number + 2));
                let covers = |p: &&Pending| {
                    p.sequence > above
                        && p.sequence <= up_to
                        && in_range(&key, as_slices(&p.start), as_slices(&p.end))
                };
                let wanted = pending.iter().filter(covers).map(|p| p.sequence).min();
                assert_eq!(pending.first_cover(&key, above, up_to), wanted, "seed {seed}");
            }
        }
    }
}
