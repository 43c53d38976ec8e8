//! The entries of one shard that expire: by entry, and by time.
//!
//! Keys without an expiry pay nothing here. Times are milliseconds since the epoch, given by the
//! caller. Knows entries, times and the record that set a time. Does not know keys or a clock.
//!
//! # Invariants
//!
//! E1. `by_time` holds exactly the pairs of `times`.
//! E2. `changes` has entries only for members of `times`.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::entry::EntryRef;
use super::figure;
use crate::ids::{Location, Sequence};

/// When an entry expires, and by which record if not by its own put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expiry {
    /// The first millisecond at which the entry is no longer visible.
    pub(crate) at_ms: u64,
    /// The expiry-change record that set the time.
    pub(crate) change: Option<(Location, Sequence)>,
}

/// Expiries of one shard.
#[derive(Debug, Default)]
pub(crate) struct ExpiryIndex {
    times: HashMap<EntryRef, u64, BuildHasherDefault<RefHasher>>,
    changes: HashMap<EntryRef, (Location, Sequence), BuildHasherDefault<RefHasher>>,
    by_time: BTreeSet<(u64, EntryRef)>,
}

impl ExpiryIndex {
    /// Number of entries that expire.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Gives an entry an expiry, or another one.
    pub(crate) fn set(&mut self, r: EntryRef, expiry: Expiry) {
        if let Some(old_ms) = self.times.insert(r, expiry.at_ms) {
            self.by_time.remove(&(old_ms, r));
        }
        self.by_time.insert((expiry.at_ms, r));
        match expiry.change {
            Some(change) => self.changes.insert(r, change),
            None => self.changes.remove(&r),
        };
    }

    /// The expiry of an entry.
    pub(crate) fn get(&self, r: EntryRef) -> Option<Expiry> {
        let at_ms = *self.times.get(&r)?;
        Some(Expiry { at_ms, change: self.changes.get(&r).copied() })
    }

    /// Takes an entry's expiry away, because it got none or because the entry is gone.
    pub(crate) fn remove(&mut self, r: EntryRef) -> Option<Expiry> {
        let at_ms = self.times.remove(&r)?;
        self.by_time.remove(&(at_ms, r));
        let change = self.changes.remove(&r);
        if self.times.len() < self.times.capacity() / 8 {
            self.times.shrink_to(self.times.len() * 2);
            self.changes.shrink_to(self.changes.len() * 2);
        }
        Some(Expiry { at_ms, change })
    }

    /// Up to `limit` entries whose time has come, the earliest first.
    pub(crate) fn due(&self, now_ms: u64, limit: usize) -> Vec<EntryRef> {
        let due = self.by_time.iter().take_while(|(at_ms, _)| *at_ms <= now_ms);
        due.take(limit).map(|&(_, r)| r).collect()
    }

    /// An entry's time has come, later than `after_ms`.
    pub(crate) fn any_due_after(&self, after_ms: u64, now_ms: u64) -> bool {
        let (first, last) = (EntryRef(0), EntryRef(u32::MAX));
        let due = (after_ms.saturating_add(1), first)..=(now_ms, last);
        after_ms < now_ms && self.by_time.range(due).next().is_some()
    }

    /// An entry that expires before `before_ms`: the first one after a time drawn between the
    /// earliest and the latest.
    pub(crate) fn draw(&self, before_ms: u64, random: u64) -> Option<EntryRef> {
        let end = (before_ms, EntryRef(0));
        let (first, _) = *self.by_time.range(..end).next()?;
        let (last, _) = *self.by_time.range(..end).next_back()?;
        let at_ms = first + random % (last - first + 1);
        self.by_time.range((at_ms, EntryRef(0))..end).next().map(|&(_, r)| r)
    }

    /// The earliest time at which an entry expires.
    #[cfg(test)]
    pub(crate) fn next_at(&self) -> Option<u64> {
        self.by_time.first().map(|&(at_ms, _)| at_ms)
    }

    /// Bytes taken from the allocator. The share of the set by time is an estimate from how full
    /// its nodes are on average (two thirds).
    pub(crate) fn memory_bytes(&self) -> u64 {
        // A hash table keeps a control byte per slot and leaves an eighth of the slots empty.
        let slots = |capacity: usize, slot_bytes: usize| capacity * 8 / 7 * (slot_bytes + 1);
        let times = slots(self.times.capacity(), size_of::<(EntryRef, u64)>());
        let changes = slots(self.changes.capacity(), size_of::<(EntryRef, (Location, Sequence))>());
        let by_time = self.by_time.len() * size_of::<(u64, EntryRef)>() * 3 / 2;
        figure(times + changes + by_time + size_of::<Self>())
    }
}

/// Spreads references, which nobody outside can choose, over a table.
#[derive(Default)]
pub(crate) struct RefHasher(u64);

impl Hasher for RefHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> u32::BITS)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio, odd: the classic multiplier of Fibonacci hashing.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::FileId;

    #[test]
    fn index_equals_model_under_random_operations() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut index = ExpiryIndex::default();
        let mut model: BTreeMap<EntryRef, Expiry> = BTreeMap::new();
        for step in 0..20_000 {
            let r = EntryRef(random.u32(1..300) * 6);
            match random.u32(..4) {
                0 | 1 => {
                    let place = Location { file: FileId(1), offset: step };
                    let change = random.bool().then_some((place, Sequence(u64::from(step))));
                    let expiry = Expiry { at_ms: random.u64(..500), change };
                    index.set(r, expiry);
                    model.insert(r, expiry);
                }
                2 => assert_eq!(index.remove(r), model.remove(&r)),
                _ => assert_eq!(index.get(r), model.get(&r).copied()),
            }
            assert_eq!(index.len(), model.len());
            assert_eq!(index.next_at(), model.values().map(|expiry| expiry.at_ms).min());
            if step % 50 == 0 {
                let now_ms = random.u64(..500);
                let mut due: Vec<(u64, EntryRef)> =
                    model.iter().map(|(&r, expiry)| (expiry.at_ms, r)).collect();
                due.retain(|&(at_ms, _)| at_ms <= now_ms);
                due.sort_unstable();
                due.truncate(20);
                let due: Vec<EntryRef> = due.into_iter().map(|(_, r)| r).collect();
                assert_eq!(index.due(now_ms, 20), due);
            }
        }
    }

    #[test]
    fn memory_is_given_back_when_nothing_expires_any_more() {
        let mut index = ExpiryIndex::default();
        for n in 0..10_000 {
            index.set(EntryRef(n), Expiry { at_ms: u64::from(n), change: None });
        }
        assert!(index.memory_bytes() < 10_000 * 64, "{}", index.memory_bytes());
        for n in 0..10_000 {
            index.remove(EntryRef(n));
        }
        assert_eq!((index.len(), index.next_at()), (0, None));
        assert!(index.memory_bytes() < 2_000, "{} bytes kept", index.memory_bytes());
    }
}
