//! Which uses of entries a keyspace remembers, for whoever evicts: its budget, or its owner.
//!
//! # Invariants
//!
//! U1. Where nothing is remembered a read looks at one flag.
//! U2. While uses are remembered, every entry has a number of its last use, or gets one when its
//!     shard's turn comes. A read writes to that number only, under the shard's read lock.

use super::{Index, SHARDS, Shard, State, held::NEVER_MS};
use crate::{
    ids::Sequence,
    keydir::{EntryFlags, EntryRef, Heat, Uses},
};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// What is remembered of the uses of a keyspace's entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remembered {
    Nothing,
    /// When an entry was used last.
    Time,
    /// How often, lately.
    Frequency(Heat),
}

const NOTHING: u8 = 0;
const TIME: u8 = 1;
const FREQUENCY: u8 = 2;

/// What is remembered now, and the owner's clock.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    /// Uses are noted: for the owner, or for a budget.
    is_on: AtomicBool,
    mode: AtomicU8,
    tick: AtomicU32,
    log_factor: AtomicU32,
    decay_ticks: AtomicU32,
    /// Held while the entries get their numbers.
    changing: Mutex<()>,
}

impl Tracker {
    pub(super) fn note_for_budget(&self) {
        self.is_on.store(true, Ordering::Relaxed);
    }
    fn tick(&self) -> u32 {
        self.tick.load(Ordering::Relaxed)
    }
    fn heat(&self) -> Heat {
        let decay = self.decay_ticks.load(Ordering::Relaxed);
        Heat { log_factor: self.log_factor.load(Ordering::Relaxed), decay_ticks: decay }
    }
}

/// What is known of an entry's uses, and of its last write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownUse {
    pub(crate) written: Sequence,
    pub(crate) idle_ticks: Option<u32>,
    pub(crate) frequency: Option<u8>,
}

/// Which entries may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawn {
    All,
    Expiring,
}

/// Entries looked at for one that expires, before it is drawn by time.
const EXPIRING_TRIES: usize = 16;

impl Index {
    /// Says what is remembered from now on, and gives every entry a number. Locks one shard at a
    /// time; entries written meanwhile have theirs.
    pub(crate) fn remember_uses(&self, remembered: Remembered) {
        let tracker = &self.tracker;
        let _one_at_a_time = tracker.changing.lock();
        let mode = match remembered {
            Remembered::Nothing => NOTHING,
            Remembered::Time => TIME,
            Remembered::Frequency(Heat { log_factor, decay_ticks }) => {
                tracker.log_factor.store(log_factor, Ordering::Relaxed);
                tracker.decay_ticks.store(decay_ticks, Ordering::Relaxed);
                FREQUENCY
            }
        };
        if tracker.mode.swap(mode, Ordering::Relaxed) == mode {
            return;
        }
        tracker.is_on.store(mode != NOTHING, Ordering::Relaxed);
        for number in 0..SHARDS {
            let mut shard = self.shard_mut(number);
            let Shard { table, uses, .. } = &mut *shard;
            *uses = Uses::default();
            if mode != NOTHING {
                let first = first_use(mode, tracker.tick());
                table.scan_from(0).for_each(|(_, r)| uses.set(r, first));
            }
        }
    }

    /// Every entry has a number.
    pub(super) fn remembers_uses(&self) -> bool {
        self.tracker.is_on.load(Ordering::Relaxed)
    }

    /// The owner's clock, for uses from now on.
    pub(crate) fn set_use_tick(&self, tick: u32) {
        if self.tracker.tick() != tick {
            self.tracker.tick.store(tick, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn note_read(&self, shard: &Shard, r: EntryRef) {
        if self.tracker.is_on.load(Ordering::Relaxed) {
            self.note_use(shard, r);
        }
    }

    fn note_use(&self, shard: &Shard, r: EntryRef) {
        let tracker = &self.tracker;
        match tracker.mode.load(Ordering::Relaxed) {
            TIME => shard.uses.update(r, |_| tracker.tick()),
            FREQUENCY => {
                let (heat, tick) = (tracker.heat(), tracker.tick());
                shard.uses.update(r, |old| heat.used(old, tick, fastrand::u32(..)));
            }
            _ => self.note_budget_read(shard, r),
        }
    }

    pub(super) fn note_written(&self, shard: &mut Shard, r: EntryRef) {
        let tracker = &self.tracker;
        if !tracker.is_on.load(Ordering::Relaxed) {
            // It may be known for its last touch, which the write is later than.
            shard.uses.remove(r);
            return;
        }
        match tracker.mode.load(Ordering::Relaxed) {
            NOTHING => self.note_budget_write(shard, r),
            // What is written again stays as hot as it was, and a bit more.
            FREQUENCY if shard.uses.has(r) => self.note_use(shard, r),
            mode => shard.uses.set(r, first_use(mode, tracker.tick())),
        }
    }

    pub(super) fn note_removed(&self, shard: &mut Shard, r: EntryRef) {
        shard.uses.remove(r);
    }

    /// A use of a key that reads nothing; false if it is not there. It is remembered even where
    /// other uses are not.
    pub(crate) fn touch_use(&self, key: &[u8], is_alive: impl FnOnce(&State) -> bool) -> bool {
        let hash = self.hash(key);
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let Some((r, entry)) = shard.table.get(hash.tag, key) else { return false };
        if self.covered_at_tip(key, entry.sequence) || !is_alive(&shard.state(r, entry)) {
            return false;
        }
        if self.tracker.is_on.load(Ordering::Relaxed) {
            self.note_use(&shard, r);
        } else {
            shard.uses.set(r, self.tracker.tick());
        }
        true
    }

    /// What is known of a key's uses.
    pub(crate) fn known_use(
        &self,
        key: &[u8],
        is_alive: impl FnOnce(&State) -> bool,
    ) -> Option<KnownUse> {
        let hash = self.hash(key);
        let shard = self.shard(hash);
        let (r, entry) = shard.table.get(hash.tag, key)?;
        let there = !self.covered_at_tip(key, entry.sequence) && is_alive(&shard.state(r, entry));
        there.then(|| self.known_use_at(&shard, r, entry.sequence))
    }

    fn known_use_at(&self, shard: &Shard, r: EntryRef, written: Sequence) -> KnownUse {
        let (mut idle_ticks, mut frequency) = (None, None);
        if let Some(number) = shard.uses.get(r) {
            let tick = self.tracker.tick();
            if self.tracker.mode.load(Ordering::Relaxed) == FREQUENCY {
                frequency = Some(self.tracker.heat().at(number, tick));
            } else {
                idle_ticks = Some(tick.wrapping_sub(number));
            }
        }
        KnownUse { written, idle_ticks, frequency }
    }

    /// How many entries each shard has.
    pub(crate) fn shares(&self, drawn: Drawn) -> Shares {
        let len = |shard: &Shard| match drawn {
            Drawn::All => shard.table.len(),
            Drawn::Expiring => shard.expiries.len(),
        };
        let lens = self.shards.iter().map(|shard| len(&shard.0.read()) as u64);
        let behind = lens.scan(0, |sum, len| {
            *sum += len;
            Some(*sum)
        });
        Shares(behind.collect())
    }

    /// Draws entries, the same one perhaps twice, and hands each to `with`.
    pub(crate) fn draw(
        &self,
        drawn: Drawn,
        count: usize,
        mut rng: impl FnMut() -> u64,
        mut with: impl FnMut(&[u8], State, KnownUse),
    ) {
        let shares = self.shares(drawn);
        for _ in 0..count {
            let Some(number) = shares.shard_of(rng()) else { return };
            let shard = self.shard_at(number);
            let found = match drawn {
                Drawn::All => shard.table.random(&mut rng),
                Drawn::Expiring => shard.draw_expiring(&mut rng),
            };
            let Some(r) = found else { continue };
            let (entry, key) = shard.table.entry_and_key(r);
            if !self.covered_at_tip(key, entry.sequence) {
                let known = self.known_use_at(&shard, r, entry.sequence);
                with(key, shard.state(r, entry), known);
            }
        }
    }
}

/// For each shard, how many entries it and those before it have.
pub(crate) struct Shares(Vec<u64>);

impl Shares {
    /// The shard that a random number falls into, evenly by entries; none if there are none.
    pub(super) fn shard_of(&self, random: u64) -> Option<usize> {
        let at = random.checked_rem(*self.0.last()?)?;
        Some(self.0.partition_point(|behind| *behind <= at))
    }
}

impl Shard {
    /// An entry that expires; evenly where many do.
    fn draw_expiring(&self, rng: &mut impl FnMut() -> u64) -> Option<EntryRef> {
        for _ in 0..EXPIRING_TRIES {
            let r = self.table.random(&mut *rng)?;
            let expires = self.table.entry(r).flags.has(EntryFlags::EXPIRES);
            if expires && self.expiries.get(r).is_some_and(|expiry| expiry.at_ms != NEVER_MS) {
                return Some(r);
            }
        }
        self.expiries.draw(NEVER_MS, rng())
    }
}

/// The number of an entry that is new.
fn first_use(mode: u8, tick: u32) -> u32 {
    if mode == FREQUENCY { Heat::first(tick) } else { tick }
}
