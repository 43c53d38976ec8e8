//! The waiting clients of one worker: where they are, and whose time is over.
//!
//! Pure bookkeeping: tickets, slots and instants that others read from a clock.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::Ticket;

/// Tickets and timers of one worker.
#[derive(Debug, Default)]
pub(crate) struct Local {
    places: HashMap<Ticket, Place>,
    timers: BTreeSet<(Instant, Ticket)>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    slot: usize,
    deadline: Option<Instant>,
}

impl Local {
    /// The client in `slot` waits, for at most so long.
    pub(crate) fn begin(
        &mut self,
        slot: usize,
        ticket: Ticket,
        now: Instant,
        timeout: Option<Duration>,
    ) {
        // A time that the clock cannot name does not come.
        let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        if self.places.insert(ticket, Place { slot, deadline }).is_none()
            && let Some(deadline) = deadline
        {
            self.timers.insert((deadline, ticket));
        }
    }
    /// The wait is over; the client's slot, if it is still there.
    pub(crate) fn end(&mut self, ticket: Ticket) -> Option<usize> {
        let Place { slot, deadline } = self.places.remove(&ticket)?;
        if let Some(deadline) = deadline {
            self.timers.remove(&(deadline, ticket));
        }
        Some(slot)
    }
    /// How long until the next time is over.
    pub(crate) fn until_next(&self) -> Option<Duration> {
        let (deadline, _) = self.timers.first()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
    /// True if nobody waits for a time.
    pub(crate) fn is_timeless(&self) -> bool {
        self.timers.is_empty()
    }
    /// The next wait whose time is over at `now`, once.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Ticket> {
        let first = *self.timers.first()?;
        let (deadline, ticket) = first;
        (deadline <= now).then(|| {
            self.timers.remove(&first);
            ticket
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_over_in_their_order_and_only_once() {
        let (mut local, start) = (Local::default(), Instant::now());
        let second = Duration::from_secs(1);
        local.begin(7, 1, start, Some(second * 2));
        local.begin(8, 2, start, Some(second));
        local.begin(9, 3, start, None);
        local.begin(10, 4, start, Some(Duration::MAX));
        assert_eq!(local.pop_due(start), None);
        assert_eq!(local.pop_due(start + second * 2), Some(2));
        assert_eq!(local.pop_due(start + second * 2), Some(1));
        assert_eq!(local.pop_due(start + second * 2), None);
        assert!(local.is_timeless());
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| local.end(n)),
            [Some(7), Some(8), Some(9), Some(10), None]
        );
    }

    #[test]
    fn a_wait_that_ends_takes_its_timer_with_it() {
        let (mut local, start) = (Local::default(), Instant::now());
        local.begin(7, 1, start, Some(Duration::from_secs(1)));
        assert_eq!(local.end(1), Some(7));
        assert_eq!(local.end(1), None);
        assert_eq!(local.until_next(), None);
        assert!(local.is_timeless());
    }
}
