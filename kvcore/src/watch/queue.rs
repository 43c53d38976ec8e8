//! What one watcher has been told and has not taken yet.
//!
//! Knows encoded events and how many may wait. Does not know types, or who tells.
//!
//! # Invariants
//!
//! Q1. At most `capacity` events wait. One more, and all of them go: the watcher lags, and holds
//!     neither memory nor files until it takes notice.
//! Q2. Events wait in the order of their sequences, and while the queue is live nothing that its
//!     scope asks for is left out.
//! Q3. Nobody waits while holding the lock, and no waker is called under it.

use super::scope::Scope;
use crate::{
    engine::BlobPin,
    ids::{KeyspaceId, Sequence},
    key::EncodedRange,
    keydir::Entry,
    log::DataFile,
};
use parking_lot::Mutex;
use std::{collections::VecDeque, sync::Arc, task::Waker};

/// One record, as it is told to all watchers that ask for it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) sequence: Sequence,
    /// Told when it is durable, not before.
    pub(crate) when_durable: bool,
    pub(crate) what: What,
    /// What the key held before, if one of the watchers wants to know.
    pub(crate) old: Option<Stored>,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum What {
    /// A small value, copied behind its key.
    Put {
        bytes: Box<[u8]>,
        key_len: usize,
    },
    /// A value that is read when it is taken.
    PutStored {
        key: Box<[u8]>,
        value: Stored,
    },
    Delete {
        key: Box<[u8]>,
    },
    DeleteRange(EncodedRange),
    Expire {
        key: Box<[u8]>,
        at_ms: Option<u64>,
    },
}

/// A value in the log, or in a blob; its file stays for as long as this does.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) entry: Entry,
    pub(crate) file: Arc<DataFile>,
    pub(crate) _blob: Option<BlobPin>,
}

/// Why nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The store was closed.
    Closed,
    /// The keyspace was dropped or migrated.
    Gone,
}

/// What a watcher finds.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Arc<Told>),
    /// The first event is not durable yet.
    NotDurable,
    /// Events were left out, from this sequence on.
    Lagged(Sequence),
    End(End),
    Nothing,
}

/// The events of one watcher.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) number: u64,
    pub(super) keyspace: KeyspaceId,
    pub(super) scope: Scope,
    pub(super) wants_old: bool,
    /// Tells everything when it is durable only.
    only_durable: bool,
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<Told>>,
    phase: Phase,
    waker: Option<Waker>,
    /// The first event waits to become durable: more of them change nothing.
    waits_for_sync: bool,
}

#[derive(Clone, Debug, Default)]
enum Phase {
    #[default]
    Live,
    Lagged(Sequence),
    Ended(End),
}

/// Whether a queue took an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    Taken,
    /// It was full, and lags from now on.
    Lagged,
}

/// What a new queue is made of.
#[derive(Debug)]
pub(crate) struct QueueParts {
    pub(crate) number: u64,
    pub(crate) keyspace: KeyspaceId,
    pub(crate) scope: Scope,
    pub(crate) wants_old: bool,
    pub(crate) only_durable: bool,
    pub(crate) capacity: usize,
}

impl Queue {
    pub(crate) fn new(parts: QueueParts) -> Queue {
        let QueueParts { number, keyspace, scope, wants_old, only_durable, capacity } = parts;
        let state = Mutex::default();
        Queue { number, keyspace, scope, wants_old, only_durable, capacity, state }
    }

    pub(crate) fn wants_old(&self) -> bool {
        self.wants_old
    }

    /// Adds an event, or lags (Q1).
    pub(super) fn push(&self, told: &Arc<Told>, wakers: &mut Vec<Waker>) -> Pushed {
        let mut state = self.state.lock();
        if state.events.len() < self.capacity {
            state.events.push_back(Arc::clone(told));
            if !state.waits_for_sync {
                wakers.extend(state.waker.take());
            }
            return Pushed::Taken;
        }
        let first = state.events.front().map_or(told.sequence, |first| first.sequence);
        state.phase = Phase::Lagged(first);
        wakers.extend(state.waker.take());
        let dropped = std::mem::take(&mut state.events);
        drop(state);
        drop(dropped);
        Pushed::Lagged
    }

    /// Events were left out from here on, without one at hand to show for it.
    pub(super) fn lag(&self, from: Sequence, wakers: &mut Vec<Waker>) {
        let mut state = self.state.lock();
        let first = state.events.front().map_or(from, |first| first.sequence);
        state.phase = Phase::Lagged(first);
        state.events = VecDeque::new();
        wakers.extend(state.waker.take());
    }

    /// Nothing more will come.
    pub(super) fn end(&self, end: End, wakers: &mut Vec<Waker>) {
        let mut state = self.state.lock();
        state.phase = Phase::Ended(end);
        wakers.extend(state.waker.take());
    }

    /// Events may come again.
    pub(super) fn go_on(&self) {
        self.state.lock().phase = Phase::Live;
    }

    /// Who waits looks again.
    pub(super) fn wake(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.state.lock().waker.take());
    }

    /// Takes the next event. If there is none, `waker` is called when that may have changed; if it
    /// is not durable yet, when it is left out, and the caller sees to the rest.
    pub(crate) fn take(&self, durable: Sequence, waker: Option<&Waker>) -> Next {
        // Dropped after the lock is released: it may be the last to hold a task, and a watcher.
        let _replaced: Option<Waker>;
        let mut state = self.state.lock();
        let state = &mut *state;
        state.waits_for_sync = false;
        if let Phase::Lagged(from) = state.phase {
            return Next::Lagged(from);
        }
        if let Some(first) = state.events.front() {
            let must_be_durable = self.only_durable || first.when_durable;
            if !must_be_durable || first.sequence <= durable {
                let first = state.events.pop_front().expect("looked at above");
                return Next::Event(first);
            }
            state.waits_for_sync = true;
            _replaced = set_waker(&mut state.waker, waker);
            return Next::NotDurable;
        }
        match state.phase {
            Phase::Ended(end) => Next::End(end),
            _ => {
                _replaced = set_waker(&mut state.waker, waker);
                Next::Nothing
            }
        }
    }

    pub(super) fn is_lagging(&self) -> bool {
        matches!(self.state.lock().phase, Phase::Lagged(_))
    }
}

/// The latest one to ask is the one to be woken; who only looks leaves it.
fn set_waker(slot: &mut Option<Waker>, waker: Option<&Waker>) -> Option<Waker> {
    let is_there = |waker: &&Waker| slot.as_ref().is_some_and(|there| there.will_wake(waker));
    waker.filter(|waker| !is_there(waker)).and_then(|waker| slot.replace(waker.clone()))
}
