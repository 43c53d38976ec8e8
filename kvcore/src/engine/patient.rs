//! The writer lock in the hands of work that can wait: range deletes, expiry, eviction.
//!
//! Whoever has a command to run waits for one step of such work at the most.
//!
//! # Invariants
//!
//! P1. A step is bounded by the entries it looks at, whatever is left to do.
//! P2. Between two steps all who wait have their turn: a lock that is taken again at once would be
//!     taken from those who are only just waking up.
//! P3. In the background it takes no more of the processors than others leave over: a thread that
//!     wants more than its share is taken off in the middle of a step, and then writers wait for
//!     as long as others run. See [`Pace`].
//! P4. Memory is given back to the operating system while no lock is held.

use super::{Engine, WriteGuard, pace::Pace};
use crate::{error::Result, index::Index};
use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Entries of one step (P1), a thirtieth of a millisecond: what is fetched ahead for so many fits
/// the first-level cache.
const STEP_ENTRIES: usize = 32;
/// Steps before a pause: some fifty microseconds.
const STEPS_PER_TURN: usize = 8;
/// Turns until other work of the background has its turn: at most some tenths of a second.
const TURNS_PER_ROUND: usize = 100;

#[cfg(test)]
mod tests;

/// The writer lock, held for a step.
pub(super) struct Patient<'a> {
    guard: WriteGuard<'a>,
    since: Instant,
    longest: Duration,
}

impl Engine {
    /// Takes the writer lock for work that can wait.
    pub(super) fn write_patiently(&self) -> Result<Patient<'_>> {
        let guard = self.write()?;
        Ok(Patient { guard, since: Instant::now(), longest: Duration::ZERO })
    }

    /// Works all pending range deletes off, for somebody who waits for that.
    pub(crate) fn work_off_pending(&self) -> Result<()> {
        for keyspace in self.all_keyspaces() {
            while keyspace.index.has_pending() {
                self.work_off_some(&keyspace.index)?;
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Works some of the pending range deletes off while others are at work (P3): so many that
    /// what else waits for the background comes to its turn soon.
    pub(super) fn work_off_in_background(&self) -> Result<()> {
        self.work_off_paced(TURNS_PER_ROUND)
    }

    /// Works all pending range deletes off before a merge copies, without haste unless writers
    /// wait for it.
    pub(crate) fn work_off_for_merge(&self) -> Result<()> {
        self.work_off_paced(usize::MAX)
    }

    #[expect(clippy::disallowed_methods, reason = "nobody waits for it: it leaves the processor")]
    fn work_off_paced(&self, turns_max: usize) -> Result<()> {
        let mut pace = *self.pace.lock();
        let mut turns = 0;
        for keyspace in self.all_keyspaces() {
            while keyspace.index.has_pending() && turns < turns_max {
                turns += 1;
                let longest = self.work_off_some(&keyspace.index)?;
                let pause = pace.pause_after(longest);
                match self.counters.is_overfull.load(Ordering::Relaxed) {
                    true => std::thread::yield_now(),
                    false => std::thread::sleep(pause),
                }
            }
        }
        *self.pace.lock() = if self.has_pending() { pace } else { Pace::default() };
        Ok(())
    }

    /// A range delete waits to be worked off.
    pub(super) fn has_pending(&self) -> bool {
        self.all_keyspaces().iter().any(|keyspace| keyspace.index.has_pending())
    }

    /// Works off some of the pending range deletes of an index. Returns the longest time that one
    /// step took.
    fn work_off_some(&self, index: &Arc<Index>) -> Result<Duration> {
        let mut garbage = Vec::new();
        let mut turn = self.write_patiently()?;
        for _ in 0..STEPS_PER_TURN {
            garbage.extend(turn.work_off(index, STEP_ENTRIES));
            turn.end_step();
            if !index.has_pending() {
                break;
            }
        }
        Ok(turn.longest)
        // The lock is released first, then what is garbage is freed (P4).
    }
}

impl Patient<'_> {
    /// Lets all in who wait (P2). Every step ends so, the last one too.
    pub(super) fn end_step(&mut self) {
        let took = self.since.elapsed();
        self.guard.engine.counters.background_holds.add(took);
        self.longest = self.longest.max(took);
        self.guard.let_others_in();
        self.since = Instant::now();
    }
}

impl<'a> Deref for Patient<'a> {
    type Target = WriteGuard<'a>;
    fn deref(&self) -> &WriteGuard<'a> {
        &self.guard
    }
}

impl<'a> DerefMut for Patient<'a> {
    fn deref_mut(&mut self) -> &mut WriteGuard<'a> {
        &mut self.guard
    }
}
