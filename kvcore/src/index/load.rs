//! Filling an empty index from files in any order, and finishing it for use.
//!
//! While loading, deleted keys stand in the tables as tombstones, so that older puts from files
//! loaded later lose against them.

use super::{Index, SHARDS, in_range};
use crate::{
    ids::{Location, Sequence},
    index::pending::as_slices,
    keydir::{Entry, EntryFlags, EntryRef, Expiry, OrderBuilder, OrderRef},
    log::{DataFile, record_bytes},
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
    /// It had been counted as live.
    pub(crate) was_live: bool,
}

/// A range tombstone: its sequence and bounds.
pub(crate) type RangeBounds = (Sequence, Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Index {
    /// Takes a record in, if it is the newest of its key so far.
    pub(crate) fn load(&self, new: &Loaded<'_>, dead: impl FnOnce(Dead), file: &DataFile) {
        let hash = self.hash(new.key);
        let Loaded { sequence, location, value_len, flags, .. } = *new;
        let entry = Entry { sequence, location, value_len, flags };
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let r = match shard.table.get(hash.tag, new.key) {
            Some((_, old)) if old.sequence >= sequence => {
                drop(shard);
                // The same record twice is possible: a hint given up half-way, then its data.
                if old.sequence > sequence {
                    dead(Dead { entry, was_live: false });
                }
                return;
            }
            Some((r, old)) => {
                if old.flags.has(EntryFlags::EXPIRES) {
                    self.forget_expiry(&mut shard, r);
                }
                shard.table.set(r, entry);
                dead(Dead { entry: old, was_live: true });
                r
            }
            None => insert(&mut shard.table, hash.tag, new.key, entry),
        };
        if !flags.has(EntryFlags::TOMBSTONE) {
            file.add_live(record_bytes(self.id, new.key.len(), &entry));
        }
        if let Some(at_ms) = new.expires_at_ms {
            shard.expiries.set(r, Expiry { at_ms, change: None });
            self.expiring.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Removes every entry that an older-to-newer range tombstone covers.
    pub(crate) fn load_ranges(&self, ranges: &[RangeBounds], mut dead: impl FnMut(usize, Dead)) {
        // Most are clears, of which only the last counts.
        let whole = |r: &&RangeBounds| r.1 == Bound::Unbounded && r.2 == Bound::Unbounded;
        let cleared = ranges.iter().filter(whole).map(|r| r.0).max().unwrap_or(Sequence::ZERO);
        let rest: Vec<_> = ranges.iter().filter(|r| !whole(r) && r.0 > cleared).collect();
        let covered = |key: &[u8], sequence: Sequence| {
            sequence < cleared
                || rest.iter().any(|(s, start, end)| {
                    sequence < *s && in_range(key, as_slices(start), as_slices(end))
                })
        };
        self.retain(|key, entry| {
            let gone = covered(key, entry.sequence);
            if gone {
                dead(key.len(), Dead { entry, was_live: true });
            }
            !gone
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

    /// Drops the tombstones, counts the keys and builds the order index bottom-up.
    pub(crate) fn finish_loading(&self) {
        self.retain(|_, entry| !entry.flags.has(EntryFlags::TOMBSTONE));
        let len: usize = (0..SHARDS).map(|n| self.shard_at(n).table.len()).sum();
        self.data_bytes.store(self.sum_data_bytes(), Ordering::Relaxed);
        self.len.store(len as u64, Ordering::Release);
        self.entries_bytes.store(self.loaded_bytes(), Ordering::Relaxed);
        if let Some(order) = &self.order {
            *order.write() = self.build_order();
        }
    }

    fn loaded_bytes(&self) -> u64 {
        let of_shard = |n| {
            let shard = self.shard_at(n);
            let keys = shard.table.scan_from(0).map(|(_, r)| shard.table.key(r).len());
            keys.map(|len| self.entry_bytes(len)).sum::<u64>()
        };
        (0..SHARDS).map(of_shard).sum()
    }

    fn sum_data_bytes(&self) -> u64 {
        let of_shard = |number| {
            let shard = self.shard_at(number);
            let of = |r| super::apply::data_bytes(shard.table.key(r).len(), &shard.table.entry(r));
            shard.table.scan_from(0).map(|(_, r)| of(r)).sum::<u64>()
        };
        (0..SHARDS).map(of_shard).sum()
    }

    fn build_order(&self) -> crate::keydir::OrderIndex {
        let shards: Vec<_> = (0..SHARDS).map(|n| self.shard_at(n)).collect();
        let mut keys: Vec<(u64, OrderRef)> = Vec::new();
        for (number, shard) in shards.iter().enumerate() {
            let number = u8::try_from(number).expect("below 64");
            keys.extend(shard.table.scan_from(0).map(|(_, entry)| {
                (first_bytes(shard.table.key(entry)), OrderRef { shard: number, entry })
            }));
        }
        let key_of = |r: &OrderRef| shards[usize::from(r.shard)].table.key(r.entry);
        keys.sort_unstable_by(|(a, ra), (b, rb)| a.cmp(b).then_with(|| key_of(ra).cmp(key_of(rb))));
        let mut builder = OrderBuilder::new();
        for (_, r) in &keys {
            builder.push(key_of(r), *r);
        }
        builder.finish()
    }

    /// Keeps the entries that `keep` says to. Loading only: no order index, no views.
    fn retain(&self, mut keep: impl FnMut(&[u8], Entry) -> bool) {
        for number in 0..SHARDS {
            let mut shard = self.shard_mut(number);
            let gone: Vec<(u32, EntryRef)> = shard
                .table
                .scan_from(0)
                .filter(|(_, r)| !keep(shard.table.key(*r), shard.table.entry(*r)))
                .collect();
            for (tag, r) in gone {
                if shard.table.entry(r).flags.has(EntryFlags::EXPIRES) {
                    self.forget_expiry(&mut shard, r);
                }
                let key = shard.table.key(r).to_vec();
                shard.table.remove(tag, &key);
            }
        }
    }
}

/// The front of a key as a number that sorts like it, as far as it goes.
fn first_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    let len = key.len().min(bytes.len());
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
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
