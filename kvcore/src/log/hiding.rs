//! What the deletes of a data file hide elsewhere, and what in it deletes have to hide, as far as
//! merge asks.
//!
//! Knows sequences and keyspaces. Does not know keys, so what it says is on the safe side.
//!
//! A put dies when a later record of its key, or a delete of its range, is committed. Which of
//! them hides it may change; but as long as it is in a file, the newest record of its key that is
//! no put is not older than its death. So a delete is of no use any more when no file has a put
//! that had died by then, and one that is older than all deaths in a file has nothing to hide in
//! it, however old what died there is.
//!
//! # Invariants
//!
//! D1. `oldest_death` is not above the sequence of the record that hid a dead put of the file
//!     first. It only goes down.
//! D2. `newest_delete` is not below the sequence of any tombstone or range tombstone of the file.
//! D3. A file that holds an expiry change says so.

use crate::{
    ids::{KeyspaceId, Sequence},
    log::Record,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Keyspaces share slots. What is often overwritten is then seldom beside what is often deleted.
const SLOTS: usize = 8;

fn slot(keyspace: KeyspaceId) -> usize {
    // Ids are consecutive, so their low bits spread them.
    keyspace.0 as usize % SLOTS
}

/// No put is dead.
const NEVER: u64 = u64::MAX;

/// One keyspace's part, or that of several.
#[derive(Debug)]
struct Slot {
    oldest_death: AtomicU64,
    newest_delete: AtomicU64,
    delete_bytes: AtomicU64,
}

/// The deletes and the deaths of one data file.
#[derive(Debug)]
pub(crate) struct Hiding {
    slots: [Slot; SLOTS],
    has_expiry_changes: AtomicBool,
}

impl Default for Hiding {
    fn default() -> Hiding {
        let slot = |_| Slot {
            oldest_death: AtomicU64::new(NEVER),
            newest_delete: AtomicU64::new(0),
            delete_bytes: AtomicU64::new(0),
        };
        Hiding { slots: std::array::from_fn(slot), has_expiry_changes: AtomicBool::new(false) }
    }
}

impl Hiding {
    /// A put in this file is dead, hidden by a record of this sequence, or by one after it.
    #[inline]
    pub(crate) fn note_death(&self, keyspace: KeyspaceId, at: Sequence) {
        let oldest = &self.slots[slot(keyspace)].oldest_death;
        // It only goes down, and seldom: most of the time looking is enough.
        if at.0 < oldest.load(Ordering::Acquire) {
            oldest.fetch_min(at.0, Ordering::AcqRel);
        }
    }

    /// Puts of any keyspace may be dead, for how long nobody knows.
    pub(crate) fn note_unknown_deaths(&self) {
        self.slots.iter().for_each(|slot| slot.oldest_death.store(0, Ordering::Release));
    }

    /// There is a delete in this file. Said by one thread at a time, as all of the following: the
    /// writer, the merge that makes the file, or the loader of it.
    pub(crate) fn note_delete(&self, keyspace: KeyspaceId, at: Sequence, len: u64) {
        let slot = &self.slots[slot(keyspace)];
        if at.0 > slot.newest_delete.load(Ordering::Relaxed) {
            slot.newest_delete.store(at.0, Ordering::Release);
        }
        slot.delete_bytes.store(slot.delete_bytes.load(Ordering::Relaxed) + len, Ordering::Relaxed);
    }

    /// There is an expiry change in this file.
    pub(crate) fn note_expiry_change(&self) {
        self.has_expiry_changes.store(true, Ordering::Release);
    }

    /// There is this record in this file, `len` bytes long with what is around it.
    pub(crate) fn note_record(&self, record: &Record<'_>, at: Sequence, len: u64) {
        match *record {
            Record::Tombstone { keyspace, .. } | Record::RangeTombstone { keyspace, .. } => {
                self.note_delete(keyspace, at, len);
            }
            Record::ExpiryChange { .. } => self.note_expiry_change(),
            Record::Put { .. } | Record::BlobRef { .. } | Record::Watermark { .. } => {}
        }
    }

    pub(crate) fn has_expiry_changes(&self) -> bool {
        self.has_expiry_changes.load(Ordering::Acquire)
    }

    /// The deaths in this file.
    pub(crate) fn deaths(&self) -> Deaths {
        Deaths(std::array::from_fn(|n| self.slots[n].oldest_death.load(Ordering::Acquire)))
    }

    /// Bytes of deletes that may still hide something, if these are the deaths elsewhere.
    pub(crate) fn needed_bytes(&self, elsewhere: &Deaths) -> u64 {
        let needed = self.slots.iter().zip(elsewhere.0).filter(|(slot, death)| slot.needs(*death));
        needed.map(|(slot, _)| slot.delete_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Whether any delete may still hide something, if these are the deaths elsewhere.
    pub(crate) fn is_needed(&self, elsewhere: &Deaths) -> bool {
        self.slots.iter().zip(elsewhere.0).any(|(slot, death)| slot.needs(death))
    }
}

impl Slot {
    /// A delete of sequence zero is none.
    fn needs(&self, death: u64) -> bool {
        let newest = self.newest_delete.load(Ordering::Acquire);
        newest > 0 && death <= newest
    }
}

/// The oldest deaths in some files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deaths([u64; SLOTS]);

impl Deaths {
    /// Nothing is dead.
    pub(crate) const NONE: Deaths = Deaths([NEVER; SLOTS]);

    /// Puts of every keyspace died before anything was deleted.
    pub(crate) const ANY: Deaths = Deaths([0; SLOTS]);

    /// Those of all of these.
    pub(crate) fn of_all(all: impl Iterator<Item = Deaths>) -> Deaths {
        all.fold(Deaths::NONE, |a, b| Deaths(std::array::from_fn(|n| a.0[n].min(b.0[n]))))
    }

    pub(crate) fn is_none(&self) -> bool {
        self.0.iter().all(|death| *death == NEVER)
    }

    /// A delete of this sequence may still hide something.
    pub(crate) fn need(&self, keyspace: KeyspaceId, delete: Sequence) -> bool {
        self.0[slot(keyspace)] <= delete.0
    }
}

/// The oldest deaths of many files, asked for without each of them.
#[derive(Debug)]
pub(crate) struct DeathsBut {
    oldest: Deaths,
    /// Those of all files but the ones that have the oldest.
    second: Deaths,
}

impl DeathsBut {
    pub(crate) fn of_all(all: impl Iterator<Item = Deaths>) -> DeathsBut {
        let none = DeathsBut { oldest: Deaths::NONE, second: Deaths::NONE };
        all.fold(none, |mut so_far, one| {
            for (n, death) in one.0.into_iter().enumerate() {
                let (oldest, second) = (&mut so_far.oldest.0[n], &mut so_far.second.0[n]);
                *second = (*second).min(death.max(*oldest));
                *oldest = (*oldest).min(death);
            }
            so_far
        })
    }

    /// The oldest deaths in all but a file that has these.
    pub(crate) fn but(&self, one: &Deaths) -> Deaths {
        let without = |n: usize| match self.oldest.0[n] {
            oldest if oldest == one.0[n] => self.second.0[n],
            oldest => oldest,
        };
        Deaths(std::array::from_fn(without))
    }
}

/// Where deletes that still hide something take most, and what would have to go with them.
pub(crate) struct Burden {
    slot: usize,
    newest_delete: u64,
}

impl Burden {
    /// None if there are no deletes.
    pub(crate) fn heaviest<'a>(files: impl Iterator<Item = &'a Hiding>) -> Option<Burden> {
        let mut sums = [(0, 0); SLOTS];
        for file in files {
            for ((bytes, newest), slot) in sums.iter_mut().zip(&file.slots) {
                *bytes += slot.delete_bytes.load(Ordering::Relaxed);
                *newest = slot.newest_delete.load(Ordering::Acquire).max(*newest);
            }
        }
        let (slot, (bytes, newest_delete)) =
            sums.into_iter().enumerate().max_by_key(|(_, (bytes, _))| *bytes)?;
        (bytes > 0).then_some(Burden { slot, newest_delete })
    }

    /// The file has some of those deletes, or something that they may hide.
    pub(crate) fn concerns(&self, file: &Hiding) -> bool {
        let slot = &file.slots[self.slot];
        slot.newest_delete.load(Ordering::Acquire) > 0
            || slot.oldest_death.load(Ordering::Acquire) <= self.newest_delete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUE: KeyspaceId = KeyspaceId(3);
    const OTHER: KeyspaceId = KeyspaceId(4);

    fn file(deaths: &[(KeyspaceId, u64)], deletes: &[(KeyspaceId, u64)]) -> Hiding {
        let file = Hiding::default();
        deaths.iter().for_each(|(k, at)| file.note_death(*k, Sequence(*at)));
        deletes.iter().for_each(|(k, at)| file.note_delete(*k, Sequence(*at), 10));
        file
    }

    #[test]
    fn d1_delete_is_needed_where_a_put_had_died_by_then() {
        let deletes = file(&[], &[(QUEUE, 20), (QUEUE, 30)]);
        for (died_at, needed) in [(19, true), (20, true), (30, true), (31, false)] {
            let elsewhere = file(&[(QUEUE, 90), (QUEUE, died_at)], &[]).deaths();
            assert_eq!(deletes.is_needed(&elsewhere), needed, "{died_at}");
            assert_eq!(deletes.needed_bytes(&elsewhere), if needed { 20 } else { 0 });
            assert_eq!(elsewhere.need(QUEUE, Sequence(30)), needed);
        }
        assert!(!deletes.is_needed(&file(&[(OTHER, 1)], &[]).deaths()), "another keyspace's");
        assert!(!file(&[], &[]).is_needed(&file(&[(QUEUE, 0)], &[]).deaths()), "no delete");
    }

    #[test]
    fn d1_deaths_nobody_knows_of_need_every_delete() {
        let unknown = Hiding::default();
        unknown.note_unknown_deaths();
        assert!(unknown.deaths().need(QUEUE, Sequence(1)) && !unknown.deaths().is_none());
        assert!(Deaths::NONE.is_none() && !Deaths::NONE.need(QUEUE, Sequence(u64::MAX - 1)));
    }

    #[test]
    fn deaths_without_one_file_are_those_of_all_others() {
        let files = [&[(QUEUE, 5), (OTHER, 9)][..], &[(QUEUE, 7)], &[(QUEUE, 5)], &[(OTHER, 8)]];
        let files: Vec<Deaths> = files.iter().map(|deaths| file(deaths, &[]).deaths()).collect();
        let all = DeathsBut::of_all(files.iter().copied());
        for (n, one) in files.iter().enumerate() {
            let others = files.iter().enumerate().filter(|(i, _)| *i != n).map(|(_, d)| *d);
            assert_eq!(all.but(one).0, Deaths::of_all(others).0, "without file {n}");
        }
        let single = DeathsBut::of_all(files[..1].iter().copied());
        assert!(single.but(&files[0]).is_none());
    }

    #[test]
    fn heaviest_burden_is_the_keyspace_with_most_deletes_and_what_they_may_hide() {
        let queue = file(&[(OTHER, 1)], &[(QUEUE, 50), (QUEUE, 60), (OTHER, 70)]);
        let old = file(&[(QUEUE, 60)], &[]);
        let later = file(&[(QUEUE, 61)], &[]);
        let other = file(&[(OTHER, 1)], &[(OTHER, 70)]);
        let burden = Burden::heaviest([&queue, &old, &later].into_iter()).expect("deletes");
        let concerned = [&queue, &old, &later, &other].map(|f| burden.concerns(f));
        assert_eq!(concerned, [true, true, false, false]);
        assert!(Burden::heaviest([&old].into_iter()).is_none());
    }
}
