//! Who follows the store, and what merge leaves alone for them.
//!
//! Knows sequences, files and their dead bytes. Does not know what followers do with records.
//!
//! # Invariants
//!
//! N1. Every record above the floor is in a file as it was committed, in its batch: merge takes a
//!     file only after the floor was raised over it.
//! N2. A feed starts at or above the floor, and merge raises the floor over no open feed's place
//!     and nothing within the retention budget, unless space has run out.
//! N3. A commit asks nothing here but whether somebody waits for it to be visible: one flag.

use super::{
    BlobTable, Engine,
    waiting::{Waiter, Waiting},
};
use crate::{
    error::Error,
    ids::Sequence,
    log::{DataFile, Generation},
    token::ChangeToken,
};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

mod cursor;
mod held;

pub(crate) use cursor::{FeedCursor, FeedRecord};

/// What merge does about followers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Leaves alone what they may still ask for.
    ForFollowers,
    /// Takes everything: writers wait for space.
    Nothing,
}

/// The open feeds and the floor.
#[derive(Debug)]
pub(crate) struct Feeds {
    state: Mutex<State>,
    /// Somebody waits for the tip to move.
    is_awaited: AtomicBool,
    waiting: Waiting,
}

#[derive(Debug)]
struct State {
    /// What is above is whole (N1). The manifest's, or a running merge's.
    floor: Sequence,
    places: Vec<Arc<AtomicU64>>,
}

/// A registered place: what is above it is kept.
#[derive(Debug)]
pub(crate) struct OpenFeed {
    engine: Arc<Engine>,
    place: Arc<AtomicU64>,
}

impl OpenFeed {
    /// Everything up to here has been given.
    fn advance(&self, to: Sequence) {
        self.place.store(to.0, Ordering::Release);
    }
}

impl Drop for OpenFeed {
    fn drop(&mut self) {
        self.engine.feeds.state.lock().places.retain(|place| !Arc::ptr_eq(place, &self.place));
    }
}

impl Feeds {
    pub(super) fn new(floor: Sequence) -> Feeds {
        let state = Mutex::new(State { floor, places: Vec::new() });
        Feeds { state, is_awaited: AtomicBool::new(false), waiting: Waiting::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.state.lock().places.len()
    }

    fn floor(&self) -> Sequence {
        self.state.lock().floor
    }

    /// Wakes it, once, when the tip moves. The caller looks at the tip after this.
    pub(crate) fn await_tip(&self, waiter: Waiter, waker: &Waker) {
        self.waiting.join(waiter, waker);
        // Whoever moves the tip locks the views for it, and so does whoever looks at it: either
        // the one sees this flag, or the other the new tip.
        self.is_awaited.store(true, Ordering::Relaxed);
    }

    /// The tip has moved: adds those who wait for that to whom is woken when no lock is held.
    #[inline]
    pub(super) fn tip_moved(&self, to_wake: &mut Vec<Waker>) {
        if self.is_awaited.load(Ordering::Relaxed) {
            self.take_waiting(to_wake);
        }
    }

    #[cold]
    fn take_waiting(&self, to_wake: &mut Vec<Waker>) {
        // In this order: whoever joins in between is found by the next commit, or taken with them.
        self.is_awaited.store(false, Ordering::Relaxed);
        to_wake.append(&mut self.waiting.take());
    }

    /// It waits no longer.
    pub(crate) fn leave(&self, waiter: Waiter) {
        self.waiting.leave(waiter);
    }

    /// Another process has merged.
    pub(super) fn raise(&self, floor: Sequence) {
        let mut state = self.state.lock();
        state.floor = state.floor.max(floor);
    }
}

impl State {
    /// The place of the feed that is furthest behind.
    fn last(&self) -> Option<Sequence> {
        self.places.iter().map(|place| Sequence(place.load(Ordering::Acquire))).min()
    }
}

impl Engine {
    /// Registers a feed of what comes after this sequence.
    fn open_feed(self: &Arc<Self>, after: Sequence) -> Result<OpenFeed, Error> {
        let mut state = self.feeds.state.lock();
        if after < state.floor {
            drop(state);
            return Err(self.compacted());
        }
        let place = Arc::new(AtomicU64::new(after.0));
        state.places.push(Arc::clone(&place));
        Ok(OpenFeed { engine: Arc::clone(self), place })
    }

    /// The place from which everything is there.
    pub(crate) fn oldest_place(&self) -> ChangeToken {
        self.place_of(self.feeds.floor())
    }

    /// The place in history of a sequence.
    pub(crate) fn place_of(&self, sequence: Sequence) -> ChangeToken {
        ChangeToken::new(self.store_id, &self.manifest.lock().generations, sequence)
    }

    fn compacted(&self) -> Error {
        Error::Compacted { oldest: self.oldest_place() }
    }

    /// The generations, for places up to a sequence: none that comes later begins below it.
    pub(crate) fn generations(&self) -> (Vec<Generation>, Sequence) {
        let tip = self.tip();
        (self.manifest.lock().generations.clone(), tip)
    }

    /// Followers may still ask for what is above this sequence.
    pub(crate) fn kept_above(&self, keep: Keep) -> Sequence {
        self.kept_above_of(&self.feeds.state.lock(), keep)
    }

    fn kept_above_of(&self, state: &State, keep: Keep) -> Sequence {
        if keep == Keep::Nothing {
            return EVERYTHING;
        }
        let budget = self.options.feed_retention_bytes;
        let files = self.files.load();
        let retained = retained_above(files.iter(), &self.blobs, state.floor, budget);
        // What is below the floor is of no use to anybody.
        state.last().map_or(retained, |last| last.min(retained)).max(state.floor)
    }

    /// Gives a merge those of its inputs that it may take, and raises the floor over them (N1).
    /// The merge lock is held.
    pub(crate) fn claim_for_merge(
        &self,
        inputs: &[Arc<DataFile>],
        keep: Keep,
    ) -> Vec<Arc<DataFile>> {
        let mut state = self.feeds.state.lock();
        let above = self.kept_above_of(&state, keep);
        let is_free = |f: &&Arc<DataFile>| f.max_sequence() <= above;
        let inputs: Vec<_> = inputs.iter().filter(is_free).cloned().collect();
        let highest = inputs.iter().map(|f| f.max_sequence()).max().unwrap_or_default();
        state.floor = state.floor.max(highest);
        inputs
    }

    /// A merge has ended, well or not: the floor is what the manifest says.
    pub(crate) fn settle_floor(&self) {
        let floor = self.manifest.lock().feed_floor;
        self.feeds.state.lock().floor = floor;
    }

    /// Dead bytes of data files that merge leaves alone.
    pub(crate) fn kept_dead_bytes(&self) -> u64 {
        let above = self.kept_above(Keep::ForFollowers);
        let files = self.files.load();
        files.iter().filter(|f| f.max_sequence() > above).map(|f| f.dead_bytes()).sum()
    }
}

/// Nothing is kept: no sequence is above.
const EVERYTHING: Sequence = Sequence(u64::MAX);

/// The newest part of the log whose dead bytes, blobs included, stay within the budget is kept:
/// what is above the sequence returned.
pub(crate) fn retained_above<'a>(
    files: impl Iterator<Item = &'a Arc<DataFile>>,
    blobs: &BlobTable,
    floor: Sequence,
    budget_bytes: u64,
) -> Sequence {
    if budget_bytes == 0 {
        return EVERYTHING;
    }
    let mut dead: Vec<(Sequence, u64)> =
        files.map(|f| (f.max_sequence(), f.dead_bytes())).collect();
    dead.extend(blobs.dead());
    dead.retain(|(sequence, _)| *sequence > floor);
    dead.sort_by_cached_key(|(sequence, _)| u64::MAX - sequence.0);
    let mut left = budget_bytes;
    for (sequence, bytes) in dead {
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return sequence,
        }
    }
    floor
}
