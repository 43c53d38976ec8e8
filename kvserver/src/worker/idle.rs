//! A worker's connections that have nothing to say for too long: the parameter `timeout`.
//!
//! Nothing is done per request: when bytes last moved is on each client's card anyway. The
//! connections are looked at once a second at most, and not before one of them can be due.
//!
//! Does not know requests.

use std::time::Duration;

use super::Worker;
use crate::connection::Connection;
use crate::parameters::Live;
use crate::shared::now_ms;

/// Time between two looks, at least.
const LOOK_EVERY_MS: u64 = 1000;

/// When a worker looks for idle connections.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// The timeout that `next_ms` was worked out for; 0 while there is none.
    timeout_ms: u64,
    next_ms: u64,
}

impl Idle {
    /// How long until the next look, if there is one.
    pub(super) fn until_next(&self) -> Option<Duration> {
        let wait = || Duration::from_millis(self.next_ms.saturating_sub(now_ms()));
        (self.timeout_ms > 0).then(wait)
    }

    /// True if it is time to look. A clock that was set back makes nobody wait for longer.
    fn is_due(&mut self, timeout_ms: u64, now_ms: u64) -> bool {
        let is_new = std::mem::replace(&mut self.timeout_ms, timeout_ms) != timeout_ms;
        let latest_ms = now_ms.saturating_add(timeout_ms.max(LOOK_EVERY_MS));
        timeout_ms > 0 && (is_new || now_ms >= self.next_ms || self.next_ms > latest_ms)
    }
    /// One who comes from now on cannot be due before `timeout_ms` is over, and of those that are
    /// here none before `first_ms`.
    fn looked(&mut self, first_ms: Option<u64>, now_ms: u64) {
        let newcomer_ms = now_ms.saturating_add(self.timeout_ms);
        let first_ms = first_ms.map_or(newcomer_ms, |first_ms| first_ms.min(newcomer_ms));
        self.next_ms = first_ms.max(now_ms + LOOK_EVERY_MS);
    }
}

impl Worker {
    /// Closes connections over which nothing has moved for longer than `timeout` allows.
    #[inline]
    pub(super) fn close_idle(&mut self) {
        let timeout_s = self.shared.parameters.number(Live::TimeoutS);
        if timeout_s > 0 || self.idle.timeout_ms > 0 {
            self.look_for_idle(u64::try_from(timeout_s).unwrap_or(0).saturating_mul(1000));
        }
    }

    #[cold]
    fn look_for_idle(&mut self, timeout_ms: u64) {
        let now_ms = now_ms();
        if !self.idle.is_due(timeout_ms, now_ms) {
            return;
        }
        let mut first_ms: Option<u64> = None;
        for slot in 0..self.connections.len() {
            let Some(connection) = &self.connections[slot] else { continue };
            let due_ms = connection.active_ms().saturating_add(timeout_ms);
            if !may_be_idle(connection) {
                continue;
            }
            if due_ms < now_ms {
                tracing::debug!(connection.client.id, "closing an idle client");
                self.close(slot);
            } else {
                first_ms = Some(first_ms.map_or(due_ms, |first_ms| first_ms.min(due_ms)));
            }
        }
        self.idle.looked(first_ms, now_ms);
    }
}

/// False for who is meant to be silent: clients that wait for a key, for a message or for the
/// server, and those that watch others.
fn may_be_idle(connection: &Connection) -> bool {
    !connection.waits_for_server() && !connection.client.hears()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_as_rare_as_the_timeout_allows() {
        let mut idle = Idle::default();
        assert!(!idle.is_due(0, 5_000));
        assert!(idle.until_next().is_none());
        assert!(idle.is_due(60_000, 5_000));
        idle.looked(None, 5_000);
        assert!(!idle.is_due(60_000, 64_999) && idle.is_due(60_000, 65_000));
        idle.looked(Some(65_010), 65_000);
        assert!(!idle.is_due(60_000, 65_999) && idle.is_due(60_000, 66_000));
    }

    #[test]
    fn a_new_timeout_and_a_clock_set_back_make_it_look_at_once() {
        let mut idle = Idle::default();
        assert!(idle.is_due(60_000, 500_000));
        idle.looked(None, 500_000);
        assert!(idle.is_due(2_000, 500_001));
        idle.looked(None, 500_001);
        assert!(!idle.is_due(2_000, 500_002));
        assert!(idle.is_due(2_000, 100_000));
        assert!(!idle.is_due(0, 100_001));
        assert!(idle.until_next().is_none());
    }
}
