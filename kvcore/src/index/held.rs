//! Several shards and the order index, locked together so that changes become visible together.

use super::{Applying, Index, KeyHash, Shard, State, pending::Work};
use crate::{
    ids::{FileId, Location, Sequence},
    keydir::{Entry, EntryFlags, EntryRef, Expiry, KeySource, OrderIndex, OrderRef},
};
use parking_lot::RwLockWriteGuard;
use smallvec::SmallVec;
use std::{ops::Bound, sync::atomic::Ordering};

/// A put that has been appended to the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PutChange<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) hash: KeyHash,
    pub(crate) entry: Entry,
    pub(crate) expires_at_ms: Option<u64>,
    /// The blob the value is in, and its length.
    pub(crate) blob: Option<(FileId, u64)>,
}

/// One record's effect on the keydir.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    /// A record without effect on keys.
    Nothing,
    Put(PutChange<'a>),
    Delete {
        key: &'a [u8],
        hash: KeyHash,
        sequence: Sequence,
    },
    DeleteRange {
        start: Bound<&'a [u8]>,
        end: Bound<&'a [u8]>,
        sequence: Sequence,
    },
    Expire {
        key: &'a [u8],
        put: Sequence,
        at_ms: Option<u64>,
        record: (Location, Sequence),
    },
}

/// The write locks of an index that a commit needs.
pub(crate) struct Held<'a> {
    pub(super) index: &'a Index,
    order: Option<RwLockWriteGuard<'a, OrderIndex>>,
    shards: Shards<'a>,
}

/// As many locked shards take no memory from the allocator: most batches are that small.
const FEW_SHARDS: usize = 4;

/// The locked shards.
struct Shards<'a> {
    index: &'a Index,
    /// Ascending by number.
    held: SmallVec<[(u8, RwLockWriteGuard<'a, Shard>); FEW_SHARDS]>,
}

impl<'a> Shards<'a> {
    fn get_mut(&mut self, number: u8) -> &mut Shard {
        let at = self.held.binary_search_by_key(&number, |(n, _)| *n);
        let at = at.expect("every shard of a changed key is held");
        &mut self.held[at].1
    }

    fn beside(&self) -> Beside<'_> {
        Beside { index: self.index, locked: Locked::Several(&self.held) }
    }
}

/// Looks keys up while shards are locked. One type for one and for several, so that the order
/// index's code is there once.
pub(super) struct Beside<'a> {
    pub(super) index: &'a Index,
    pub(super) locked: Locked<'a>,
}

/// The shards that are locked.
pub(super) enum Locked<'a> {
    One(u8, &'a Shard),
    /// Ascending by number.
    Several(&'a [(u8, RwLockWriteGuard<'a, Shard>)]),
}

impl Locked<'_> {
    #[inline]
    fn get(&self, number: u8) -> Option<&Shard> {
        match self {
            Locked::One(n, shard) => (*n == number).then_some(*shard),
            Locked::Several(held) => {
                let at = held.binary_search_by_key(&number, |(n, _)| *n).ok()?;
                Some(&held[at].1)
            }
        }
    }
}

impl KeySource for Beside<'_> {
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R {
        match self.locked.get(r.shard) {
            Some(shard) => f(shard.table.key(r.entry)),
            None => self.index.with_key(r, f),
        }
    }
}

impl<'a> Held<'a> {
    pub(super) fn new(index: &'a Index, shards: u64) -> Held<'a> {
        let order = index.order.as_ref().map(|o| o.write());
        let mut held = SmallVec::new();
        let mut left = shards;
        while left != 0 {
            let n = u8::try_from(left.trailing_zeros()).expect("below 64");
            held.push((n, index.shard_mut(usize::from(n))));
            left &= left - 1;
        }
        Held { index, order, shards: Shards { index, held } }
    }

    pub(super) fn with_shard<R>(&self, number: usize, f: impl FnOnce(&Shard) -> R) -> R {
        let held = self.shards.held.iter().find(|(n, _)| usize::from(*n) == number);
        match held {
            Some((_, shard)) => f(shard),
            None => f(&self.index.shard_at(number)),
        }
    }

    pub(super) fn key_of(&self, r: OrderRef) -> Vec<u8> {
        self.shards.beside().with_key(r, <[u8]>::to_vec)
    }

    /// References to the first keys of a range, in order.
    pub(super) fn page(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        limit: usize,
    ) -> Vec<OrderRef> {
        let mut refs = Vec::new();
        if let Some(order) = &self.order {
            order.page(&self.shards.beside(), start, end, limit, &mut refs);
        }
        refs
    }

    pub(super) fn split_off(&mut self, start: Bound<&[u8]>, end: Bound<&[u8]>) -> Work {
        match &mut self.order {
            Some(order) => Work::Ordered(order.split_off_range(&self.shards.beside(), start, end)),
            None => Work::Walk { cursor: 0, left: self.index.len() },
        }
    }

    /// Applies one change whose shards are held.
    pub(crate) fn apply(&mut self, cx: &Applying<'_>, change: &Change<'_>) {
        match *change {
            Change::Nothing => {}
            Change::Put(put) => self.put(cx, &put),
            Change::Delete { key, hash, sequence } => self.remove(cx, (key, hash), sequence),
            Change::DeleteRange { start, end, sequence } => {
                self.delete_range(cx, start, end, sequence);
            }
            Change::Expire { key, put, at_ms, record } => {
                self.expire(cx, key, put, at_ms, record);
            }
        }
    }

    fn put(&mut self, cx: &Applying<'_>, put: &PutChange<'_>) {
        let index = self.index;
        let shard = self.shards.get_mut(put.hash.shard);
        match shard.table.get(put.hash.tag, put.key) {
            Some((r, old)) => match index.first_cover(put.key, old.sequence, Sequence(u64::MAX)) {
                None => {
                    index.count_overwrite(cx, &old, put);
                    index.overwrite(cx, shard, r, old, put);
                }
                Some(cover) => self.revive(cx, put, (r, old), cover),
            },
            None => {
                let entry = index.insert_absent(cx, shard, put);
                if let Some(order) = &mut self.order {
                    let r = OrderRef { shard: put.hash.shard, entry };
                    order.insert(&self.shards.beside(), put.key, r);
                }
            }
        }
    }

    /// A put over an entry that a pending range delete covers: absent, and still in the table.
    fn revive(
        &mut self,
        cx: &Applying<'_>,
        put: &PutChange<'_>,
        (r, old): (EntryRef, Entry),
        cover: Sequence,
    ) {
        let at = OrderRef { shard: put.hash.shard, entry: r };
        self.leave_pending(cover, put.key, at);
        let index = self.index;
        let shard = self.shards.get_mut(put.hash.shard);
        index.take_out(cx, shard, put.hash.tag, put.key, (r, old), cover);
        index.note_worked_off(cover);
        let entry = index.insert_absent(cx, shard, put);
        if let Some(order) = &mut self.order {
            order.insert(&self.shards.beside(), put.key, OrderRef { shard: put.hash.shard, entry });
        }
    }

    /// Takes a key out of the split-off part that waits to be worked off.
    ///
    /// The part is moved out meanwhile, since looking at keys takes shard locks (X2).
    fn leave_pending(&self, cover: Sequence, key: &[u8], at: OrderRef) {
        let swap = |with: Work| -> Option<Work> {
            let mut pending = self.index.pending.write();
            let p = pending.get_mut(cover)?;
            Some(std::mem::replace(&mut p.work, with))
        };
        if self.order.is_none() {
            return;
        }
        if let Some(mut work) = swap(Work::Ordered(OrderIndex::default())) {
            if let Work::Ordered(part) = &mut work {
                part.remove(key, at);
            }
            swap(work);
        }
    }

    /// Removes a key if it is there.
    pub(super) fn remove(
        &mut self,
        cx: &Applying<'_>,
        (key, hash): (&[u8], KeyHash),
        sequence: Sequence,
    ) {
        let index = self.index;
        let shard = self.shards.get_mut(hash.shard);
        let Some((r, old)) = shard.table.get(hash.tag, key) else { return };
        if index.covered_at_tip(key, old.sequence) {
            return;
        }
        if let Some(order) = &mut self.order {
            let at = OrderRef { shard: hash.shard, entry: r };
            let was_there = order.remove_held(key, at);
            debug_assert!(was_there, "X3: the order index holds every key");
        }
        let shard = self.shards.get_mut(hash.shard);
        index.take_out(cx, shard, hash.tag, key, (r, old), sequence);
        index.len.sub(1);
    }

    /// Sets or removes the expiry of the put with sequence `put`, if it is still the key's latest.
    fn expire(
        &mut self,
        cx: &Applying<'_>,
        key: &[u8],
        put: Sequence,
        at_ms: Option<u64>,
        record: (Location, Sequence),
    ) {
        let index = self.index;
        let hash = index.hash(key);
        let shard = self.shards.get_mut(hash.shard);
        let Some((r, mut entry)) = shard.table.get(hash.tag, key) else { return };
        if entry.sequence != put || index.covered_at_tip(key, entry.sequence) {
            return;
        }
        let old: State = shard.state(r, entry);
        index.keep_undo(cx, key, Some(old), record.1);
        index.set_expiry(shard, r, &mut entry, at_ms, Some(record));
    }
}

impl Index {
    /// Puts the entry's expiry where reads look for it.
    pub(crate) fn set_expiry(
        &self,
        shard: &mut Shard,
        r: EntryRef,
        entry: &mut Entry,
        at_ms: Option<u64>,
        change: Option<(Location, Sequence)>,
    ) {
        if entry.flags.has(EntryFlags::EXPIRES) {
            self.forget_expiry(shard, r);
        }
        // A removed expiry is remembered as one that never comes, so that merge keeps the record.
        let at_ms = at_ms.unwrap_or(NEVER_MS);
        shard.expiries.set(r, Expiry { at_ms, change });
        self.expiring.fetch_add(1, Ordering::Relaxed);
        entry.flags = entry.flags.with(EntryFlags::EXPIRES);
        shard.table.set(r, *entry);
    }
}

/// The time of an expiry that was taken back.
pub(crate) const NEVER_MS: u64 = u64::MAX;
