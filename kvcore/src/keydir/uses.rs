//! When the entries of one shard were last used, for keyspaces that evict what was not.
//!
//! Time is a count of the writes to the keyspace, given by the caller. Knows entries and numbers.
//! Does not know keys or what is evicted when.
//!
//! # Invariants
//!
//! U1. Every entry of the shard's table has a number from [`Uses::set`] on until it is removed.

use std::{
    collections::HashMap,
    hash::BuildHasherDefault,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{entry::EntryRef, expiry::RefHasher, figure};

/// The last uses of one shard's entries.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    at: HashMap<EntryRef, AtomicU32, BuildHasherDefault<RefHasher>>,
}

impl Uses {
    /// A new entry, or one that is written again.
    pub(crate) fn set(&mut self, r: EntryRef, tick: u32) {
        self.at.insert(r, AtomicU32::new(tick));
    }

    /// Changes the number of an entry that has one. Readers share the shard: another's change at
    /// the same time may be lost.
    pub(crate) fn update(&self, r: EntryRef, f: impl FnOnce(u32) -> u32) {
        if let Some(at) = self.at.get(&r) {
            let old = at.load(Ordering::Relaxed);
            let new = f(old);
            // Written only if it is another: readers of a hot key share its cache line.
            if new != old {
                at.store(new, Ordering::Relaxed);
            }
        }
    }

    /// An entry's number.
    pub(crate) fn get(&self, r: EntryRef) -> Option<u32> {
        self.at.get(&r).map(|at| at.load(Ordering::Relaxed))
    }

    /// An entry has a number.
    pub(crate) fn has(&self, r: EntryRef) -> bool {
        self.at.contains_key(&r)
    }

    /// An entry was read, which is no later a use than the last write, so that only what was
    /// written last has an age of 0. Readers share the shard, so it takes no exclusive access.
    pub(crate) fn touch(&self, r: EntryRef, tick: u32) {
        let read_at = tick.wrapping_sub(1);
        if let Some(at) = self.at.get(&r) {
            let last = at.load(Ordering::Relaxed);
            // Written only if it is another: readers of a hot key share its cache line.
            if last != read_at && last != tick {
                at.store(read_at, Ordering::Relaxed);
            }
        }
    }

    /// How many writes ago the entry was used.
    pub(crate) fn age(&self, r: EntryRef, tick: u32) -> u32 {
        self.at.get(&r).map_or(u32::MAX, |at| tick.wrapping_sub(at.load(Ordering::Relaxed)))
    }

    /// The entry is gone.
    pub(crate) fn remove(&mut self, r: EntryRef) {
        if self.at.is_empty() {
            return;
        }
        self.at.remove(&r);
        if self.at.len() < self.at.capacity() / 8 {
            self.at.shrink_to(self.at.len() * 2);
        }
    }

    /// Bytes taken from the allocator: a control byte per slot, an eighth of the slots empty.
    pub(crate) fn memory_bytes(&self) -> u64 {
        figure(self.at.capacity() * 8 / 7 * (size_of::<(EntryRef, AtomicU32)>() + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_from_the_last_use_and_survives_the_wrap() {
        let mut uses = Uses::default();
        uses.set(EntryRef(1), u32::MAX - 1);
        uses.set(EntryRef(2), u32::MAX);
        assert_eq!((uses.age(EntryRef(1), 1), uses.age(EntryRef(2), 1)), (3, 2));
        uses.touch(EntryRef(1), 1);
        assert_eq!(uses.age(EntryRef(1), 1), 1, "read after the last write, which is not its own");
        uses.set(EntryRef(1), 1);
        uses.touch(EntryRef(1), 1);
        assert_eq!(uses.age(EntryRef(1), 1), 0, "written last");
        uses.remove(EntryRef(1));
        assert_eq!(uses.age(EntryRef(1), 1), u32::MAX, "what is not known is oldest");
        uses.touch(EntryRef(1), 1);
        assert_eq!(uses.age(EntryRef(1), 1), u32::MAX, "and a read does not make it known");
    }

    #[test]
    fn memory_is_given_back_with_the_entries() {
        let mut uses = Uses::default();
        (0..10_000).for_each(|n| uses.set(EntryRef(n), n));
        assert!(uses.memory_bytes() < 10_000 * 24, "{}", uses.memory_bytes());
        (0..10_000).for_each(|n| uses.remove(EntryRef(n)));
        assert!(uses.memory_bytes() < 500, "{}", uses.memory_bytes());
    }
}
