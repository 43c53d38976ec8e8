//! Everybody who waits, and the queues before the keys.
//!
//! Knows waiters and keys. Does not know what makes a key ready.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use super::{Ticket, Waiter};
use crate::data::Touched;

/// All waiters of the server. Who adds, serves and removes them holds the gate, as B1 says.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// How many keys are waited for: nearly always none, which costs a write one load.
    keys: AtomicUsize,
    state: Mutex<State>,
}

/// Counts for INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) clients: usize,
    /// Clients that will not wait for ever.
    pub(crate) timed: usize,
    /// Keys that somebody waits for.
    pub(crate) keys: usize,
}

/// A key of a database.
pub(crate) type DbKey = (usize, Vec<u8>);

#[derive(Debug, Default)]
struct State {
    last: Ticket,
    waiters: HashMap<Ticket, Arc<Waiter>>,
    by_client: HashMap<u64, Ticket>,
    /// By database, then key.
    queues: HashMap<usize, HashMap<Vec<u8>, BTreeSet<Ticket>>>,
}

impl Registry {
    /// True if nobody waits for any key.
    pub(crate) fn is_empty(&self) -> bool {
        // Whoever makes a key ready holds the gate exclusively, so it sees all that came before.
        self.keys.load(Relaxed) == 0
    }
    pub(crate) fn figures(&self) -> Figures {
        let state = self.state.lock();
        Figures {
            clients: state.waiters.len(),
            timed: state.waiters.values().filter(|waiter| waiter.wait.timeout.is_some()).count(),
            keys: state.queues.values().map(HashMap::len).sum(),
        }
    }

    /// Adds the waiter that `make` makes with its ticket.
    pub(crate) fn add(&self, make: impl FnOnce(Ticket) -> Waiter) {
        let mut state = self.state.lock();
        state.last += 1;
        let waiter = Arc::new(make(state.last));
        waiter.card.set_blocked(true);
        for key in &waiter.wait.keys {
            let queues = state.queues.entry(waiter.db).or_default();
            queues.entry(key.clone()).or_default().insert(waiter.ticket);
        }
        state.by_client.insert(waiter.card.id, waiter.ticket);
        state.waiters.insert(waiter.ticket, waiter);
        self.recount(&state);
    }
    /// Ends a wait; `None` if it has ended already.
    pub(crate) fn take(&self, ticket: Ticket) -> Option<Arc<Waiter>> {
        let mut state = self.state.lock();
        let waiter = state.waiters.remove(&ticket)?;
        state.by_client.remove(&waiter.card.id);
        for key in &waiter.wait.keys {
            state.leave(waiter.db, key, ticket);
        }
        waiter.card.set_blocked(false);
        self.recount(&state);
        Some(waiter)
    }
    /// Ends the wait of a client; `None` if it does not wait.
    pub(crate) fn take_client(&self, id: u64) -> Option<Arc<Waiter>> {
        let ticket = self.state.lock().by_client.get(&id).copied()?;
        self.take(ticket)
    }
    /// The waiter for a key that came first after `ticket`.
    pub(crate) fn next(&self, (db, key): &DbKey, ticket: Ticket) -> Option<Arc<Waiter>> {
        let state = self.state.lock();
        let queue = state.queues.get(db)?.get(key)?;
        let next = queue.range(ticket + 1..).next()?;
        state.waiters.get(next).cloned()
    }
    /// Calls `ready` with every key that somebody waits for, of those that a commit touches: in
    /// the order they are touched, and where whole databases are, in that of the waiters.
    pub(crate) fn touched(&self, touched: Touched<'_>, mut ready: impl FnMut(DbKey)) {
        let state = self.state.lock();
        match touched {
            Touched::Key(db, key) => {
                if state.queues.get(&db).is_some_and(|queues| queues.contains_key(key)) {
                    ready((db, key.to_vec()));
                }
            }
            // What is gone serves nobody.
            Touched::Cleared(_) => {}
            Touched::Swapped(a, b) => {
                let mut keys: Vec<(Option<&Ticket>, usize, &Vec<u8>)> = Vec::new();
                for db in [a, b] {
                    let queues = state.queues.get(&db).into_iter().flatten();
                    keys.extend(queues.map(|(key, queue)| (queue.first(), db, key)));
                }
                keys.sort_unstable();
                keys.into_iter().for_each(|(_, db, key)| ready((db, key.clone())));
            }
        }
    }

    fn recount(&self, state: &State) {
        self.keys.store(state.queues.values().map(HashMap::len).sum(), Relaxed);
    }
}

impl State {
    /// Takes a ticket from a queue, if it is there: a request may name a key twice.
    fn leave(&mut self, db: usize, key: &[u8], ticket: Ticket) {
        let Some(queues) = self.queues.get_mut(&db) else { return };
        if let Some(queue) = queues.get_mut(key) {
            queue.remove(&ticket);
            if queue.is_empty() {
                queues.remove(key);
            }
        }
        if queues.is_empty() {
            self.queues.remove(&db);
        }
    }
}
