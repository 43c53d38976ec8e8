//! Passing clients on to other workers, as [`crate::balance`] advises.
//!
//! # Laws
//!
//! S1. Only a client moves that nobody knows the place of: it has no subscription, sees no other
//!     clients' commands, waits for nothing, and is owed nothing.
//! S2. Its card says where it goes before it leaves, and is looked at when it has arrived: so
//!     whoever kills it meanwhile is heard.

use std::time::{Duration, Instant};

use super::{Mail, Worker};
use crate::balance::{Gift, Permille, REPORT_EVERY};
use crate::connection::Connection;
use crate::process::thread_time;

/// Clients passed on at once.
const GIVEN_MAX: usize = 256;
/// After so long without a round a worker was idle, and says nothing of that time.
const IDLE: Duration = Duration::from_secs(1);

/// The time since a worker last said how busy it was.
#[derive(Debug)]
pub(super) struct Period {
    since: Instant,
    /// The processor time of the thread at its beginning.
    worked: Duration,
    /// Which one it is: connections remember the last one in which they had a request.
    pub(super) number: u64,
}

impl Period {
    pub(super) fn new() -> Self {
        Period { since: Instant::now(), worked: Duration::ZERO, number: 0 }
    }
    /// Begins the next one; how busy this thread was in the last one, unless it was idle.
    fn next(&mut self, now: Instant) -> Option<Permille> {
        let (elapsed, worked) = (now.saturating_duration_since(self.since), thread_time());
        let busy = worked.saturating_sub(self.worked);
        (self.since, self.worked, self.number) = (now, worked, self.number + 1);
        let permille = busy.as_micros() * 1000 / elapsed.as_micros().max(1);
        (elapsed < IDLE).then(|| Permille::try_from(permille).unwrap_or(1000).min(1000))
    }
}

impl Worker {
    /// Says now and then how busy it was, and passes clients on if it should.
    #[inline]
    pub(super) fn share(&mut self) {
        let now = self.tally.last();
        if now.saturating_duration_since(self.period.since) >= REPORT_EVERY {
            self.report(now);
        }
    }

    #[cold]
    fn report(&mut self, now: Instant) {
        let number = self.period.number;
        let Some(load) = self.period.next(now) else { return };
        let gift = self.shared.balance.lock().report(self.index, load, now);
        if let Some(gift) = gift {
            self.give(gift, number);
        }
    }

    /// Passes a part of the clients on that had a request in this period.
    fn give(&mut self, gift: Gift, period: u64) {
        let may_move = |slot: &usize| {
            let connection = self.connections[*slot].as_ref();
            !self.queued[*slot] && connection.is_some_and(|c| c.spoke_in == period && c.may_move())
        };
        let mut slots: Vec<usize> = (0..self.connections.len()).filter(may_move).collect();
        let part = usize::try_from(gift.part).unwrap_or(1000);
        slots.truncate((slots.len() * part / 1000).min(GIVEN_MAX));
        let given: Vec<Connection> = slots.iter().filter_map(|slot| self.take(*slot)).collect();
        if given.is_empty() {
            return;
        }
        tracing::debug!(from = self.index, to = gift.to, clients = given.len(), "clients move");
        given.iter().for_each(|connection| connection.client.card.move_to(gift.to));
        if let Some(mailbox) = self.shared.mailboxes.get().and_then(|all| all.get(gift.to)) {
            mailbox.send(Mail::Given(given));
        }
    }

    /// A connection that this worker has nothing to do with any more.
    fn take(&mut self, slot: usize) -> Option<Connection> {
        let connection = self.connections[slot].as_mut()?;
        if let Err(error) = self.poll.registry().deregister(&mut connection.stream) {
            tracing::debug!(%error, "cannot stop watching a connection; it stays");
            return None;
        }
        self.free.push(slot);
        self.connections[slot].take()
    }

    /// Serves clients of another worker from now on.
    pub(super) fn adopt(&mut self, given: Vec<Connection>) {
        for connection in given {
            let slot = self.place(connection);
            let connection = self.connections[slot].as_ref();
            if connection.is_some_and(|connection| connection.client.card.is_killed()) {
                self.close(slot);
            }
        }
    }
}
