//! Filling an empty index from files in any order, and finishing it for use.
//!
//! While loading, deleted keys stand in the tables as tombstones, so that older puts from files
//! loaded later lose against them.

use super::{Index, KeyHash, SHARDS, Shard, in_range};
use crate::{
    ids::{Location, Sequence},
    index::pending::as_slices,
    keydir::{Entry, EntryFlags, EntryRef, Expiry},
};
use std::{ops::Bound, sync::atomic::Ordering};

/// One put or tombstone as a hint or data file tells it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) sequence: Sequence,
    pub(crate) location: Location,
    pub(crate) value_len: u32,
    pub(crate) flags: EntryFlags,
    pub(crate) expires_at_ms: Option<u64>,
}

/// A record that something newer of its key was found for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dead {
    pub(crate) entry: Entry,
    /// A newer record that hides it.
    pub(crate) until: Sequence,
    /// It had been counted as live.
    pub(crate) was_live: bool,
}

/// A range tombstone: its sequence and bounds.
pub(crate) type RangeBounds = (Sequence, Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Index {
    /// Takes a record in, if it is the newest of its key so far. False if it is not.
    pub(super) fn load(
        &self,
        shard: &mut Shard,
        (hash, key): (KeyHash, &[u8]),
        entry: Entry,
        expires_at_ms: Option<u64>,
        dead: &mut impl FnMut(usize, Dead),
    ) -> bool {
        let r = match shard.table.get(hash.tag, key) {
            Some((_, old)) if old.sequence >= entry.sequence => {
                // The same record twice is possible: a hint given up half-way, then its data.
                if old.sequence > entry.sequence {
                    dead(key.len(), Dead { entry, until: old.sequence, was_live: false });
                }
                return false;
            }
            Some((r, old)) => {
                if old.flags.has(EntryFlags::EXPIRES) {
                    self.forget_expiry(shard, r);
                }
                shard.table.set(r, entry);
                dead(key.len(), Dead { entry: old, until: entry.sequence, was_live: true });
                r
            }
            None => insert(&mut shard.table, hash.tag, key, entry),
        };
        if let Some(at_ms) = expires_at_ms {
            shard.expiries.set(r, Expiry { at_ms, change: None });
            self.expiring.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Removes every entry that an older-to-newer range tombstone covers.
    pub(crate) fn load_ranges(&self, ranges: &[RangeBounds], mut dead: impl FnMut(usize, Dead)) {
        // Most are clears, of which only the last counts.
        let whole = |r: &&RangeBounds| r.1 == Bound::Unbounded && r.2 == Bound::Unbounded;
        let cleared = ranges.iter().filter(whole).map(|r| r.0).max().unwrap_or(Sequence::ZERO);
        let rest: Vec<_> = ranges.iter().filter(|r| !whole(r) && r.0 > cleared).collect();
        let covered_by = |key: &[u8], sequence: Sequence| {
            let covers = |r: &&&RangeBounds| {
                sequence < r.0 && in_range(key, as_slices(&r.1), as_slices(&r.2))
            };
            let some = || rest.iter().find(covers).map(|r| r.0);
            if sequence < cleared { Some(cleared) } else { some() }
        };
        self.retain(|key, entry| {
            let until = covered_by(key, entry.sequence);
            if let Some(until) = until {
                dead(key.len(), Dead { entry, until, was_live: true });
            }
            until.is_none()
        });
    }

    /// Applies an expiry change, if the put it names is the key's newest record.
    pub(crate) fn load_change(
        &self,
        key: &[u8],
        put: Sequence,
        at_ms: Option<u64>,
        record: (Location, Sequence),
    ) {
        let hash = self.hash(key);
        let mut shard = self.shard_mut(usize::from(hash.shard));
        if let Some((r, mut entry)) = shard.table.get(hash.tag, key)
            && entry.sequence == put
        {
            self.set_expiry(&mut shard, r, &mut entry, at_ms, Some(record));
        }
    }

    /// Keeps the entries that `keep` says to. Loading only: no order index, no views.
    fn retain(&self, mut keep: impl FnMut(&[u8], Entry) -> bool) {
        for number in 0..SHARDS {
            let mut shard = self.shard_mut(number);
            let all = shard.table.entries();
            let gone: Vec<EntryRef> =
                all.filter(|(_, entry, key)| !keep(key, *entry)).map(|(r, _, _)| r).collect();
            gone.into_iter().for_each(|r| remove(self, &mut shard, r));
        }
    }
}

/// Removes an entry that only the table and the expiries know.
pub(super) fn remove(index: &Index, shard: &mut Shard, r: EntryRef) {
    if shard.table.entry(r).flags.has(EntryFlags::EXPIRES) {
        index.forget_expiry(shard, r);
    }
    let key = shard.table.key(r).to_vec();
    shard.table.remove(index.hash(&key).tag, &key);
}

/// Adds an entry. A shard addresses 32 GiB of keys, sixty-four of them more than any machine has.
pub(super) fn insert(
    table: &mut crate::keydir::Table,
    tag: u32,
    key: &[u8],
    entry: Entry,
) -> EntryRef {
    table.insert(tag, key, entry).expect("2 TiB of keys do not fit a machine's memory")
}
