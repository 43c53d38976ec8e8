//! A bound on the bytes of a keyspace, kept by evicting what was not used for long.
//!
//! As in Redis, a few entries are looked at and the one that was not used for longest goes. Time is
//! counted in writes to the keyspace: reads between two writes are equally recent, as recent as the
//! write before the last one, and no clock is asked.
//!
//! # Invariants
//!
//! B1. While a budget is set, every entry has a number of its last use.
//! B2. What was written last is not evicted to make room for itself. Anything else may be, however
//!     lately it was read, so that a budget is reached without another write.

use super::{Index, SHARDS, Shard, uses::Shares};
use crate::keydir::EntryRef;
use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
};

/// Entries looked at for each eviction. Five are close to exact already; see Redis's documentation
/// on its approximated LRU.
const SAMPLES: u32 = 8;
/// Entries drawn for each of them, if those drawn first may not be chosen.
const SAMPLE_TRIES: usize = 64;
/// Evicting goes on until this part of the budget is free, so that not every put evicts.
const SLACK_DIVISOR: u64 = 64;

/// The budget of one keyspace, if it has one.
#[derive(Debug)]
pub(super) struct Budget {
    is_set: AtomicBool,
    bytes: AtomicU64,
    /// Writes so far.
    tick: AtomicU32,
    evicted: AtomicU64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            is_set: AtomicBool::new(false),
            bytes: AtomicU64::new(u64::MAX),
            tick: AtomicU32::new(0),
            evicted: AtomicU64::new(0),
        }
    }
}

impl Index {
    /// The most bytes of keys and values that are kept.
    pub(crate) fn budget_bytes(&self) -> Option<u64> {
        self.has_budget().then(|| self.budget.bytes.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn has_budget(&self) -> bool {
        self.budget.is_set.load(Ordering::Relaxed)
    }

    /// Entries that were evicted.
    pub(crate) fn evicted(&self) -> u64 {
        self.budget.evicted.load(Ordering::Relaxed)
    }

    pub(crate) fn note_evicted(&self, entries: u64) {
        self.budget.evicted.fetch_add(entries, Ordering::Relaxed);
    }

    /// Sets or changes the budget. Called by the holder of the writer lock.
    pub(crate) fn set_budget(&self, bytes: u64) {
        self.budget.bytes.store(bytes, Ordering::Relaxed);
        if self.budget.is_set.swap(true, Ordering::Relaxed) {
            return;
        }
        self.tracker.note_for_budget();
        // B1: what was there before counts as used two writes ago, before any read from now on.
        let before = self.budget.tick.load(Ordering::Relaxed).wrapping_sub(2);
        for number in 0..SHARDS {
            let mut shard = self.shard_mut(number);
            let Shard { table, uses, .. } = &mut *shard;
            table.scan_from(0).for_each(|(_, r)| uses.set(r, before));
        }
    }

    /// Bytes beyond the budget.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.has_budget() && self.data_bytes() > self.budget.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that evicting should free, the next writes' included; 0 within the budget.
    pub(crate) fn bytes_to_evict(&self) -> u64 {
        if !self.is_over_budget() {
            return 0;
        }
        let budget = self.budget.bytes.load(Ordering::Relaxed);
        self.data_bytes().saturating_sub(budget - budget / SLACK_DIVISOR)
    }

    pub(super) fn note_budget_read(&self, shard: &Shard, r: EntryRef) {
        shard.uses.touch(r, self.budget.tick.load(Ordering::Relaxed));
    }

    pub(super) fn note_budget_write(&self, shard: &mut Shard, r: EntryRef) {
        let tick = self.budget.tick.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        shard.uses.set(r, tick);
    }

    /// A key that was not used for long, and its bytes; none if there are only those that were
    /// chosen before and what was written last.
    pub(crate) fn choose_victim(
        &self,
        shares: &Shares,
        chosen: &HashSet<Vec<u8>>,
        mut rng: impl FnMut() -> u64,
    ) -> Option<(Vec<u8>, u64)> {
        let mut victim: Option<(u32, Vec<u8>, u64)> = None;
        for _ in 0..SAMPLES {
            let than = victim.as_ref().map_or(0, |(age, ..)| *age);
            let sample = (0..SAMPLE_TRIES).find_map(|_| {
                let number = shares.shard_of(rng())?;
                self.sample(number, than, chosen, &mut rng)
            });
            if let Some(Sample::Older(age, key, bytes)) = sample {
                victim = Some((age, key, bytes));
            }
        }
        victim.map(|(_, key, bytes)| (key, bytes))
    }

    /// Looks at one entry of a shard; none if it may not be chosen, or there is none.
    fn sample(
        &self,
        number: usize,
        than: u32,
        chosen: &HashSet<Vec<u8>>,
        rng: &mut impl FnMut() -> u64,
    ) -> Option<Sample> {
        let shard = self.shard_at(number);
        let r = shard.table.random(rng)?;
        let entry = shard.table.entry(r);
        let age = shard.uses.age(r, self.budget.tick.load(Ordering::Relaxed));
        let key = shard.table.key(r);
        // B2; and what a range delete covers goes by itself.
        if age == 0 || self.covered_at_tip(key, entry.sequence) || chosen.contains(key) {
            return None;
        }
        if age <= than {
            return Some(Sample::Other);
        }
        Some(Sample::Older(age, key.to_vec(), super::apply::data_bytes(key.len(), &entry)))
    }
}

/// What a look at one entry gave.
enum Sample {
    /// Not older than what was found before.
    Other,
    /// Its age, key and bytes.
    Older(u32, Vec<u8>, u64),
}
