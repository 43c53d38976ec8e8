//! CLIENT PAUSE: for a time, requests of clients wait, all of them or those that write.
//!
//! A request that has to wait stays where it is, in its client's inbox, and is looked at again when
//! the pause is over. Nothing expires meanwhile, so that what is paused does not change.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::client::ClientState;
use crate::command::Flags;
use crate::command::table::Entry;

/// What a pause concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paused {
    Writes,
    All,
}

/// The one pause, of the whole server.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// Twice its end in milliseconds since the Unix epoch, and one if it concerns all; 0 is none.
    state: AtomicU64,
    /// Clients whose requests wait for its end.
    waiting: AtomicUsize,
}

impl Pause {
    /// Pauses until `until_ms`. A pause that holds is made longer and stricter, never less.
    pub(crate) fn begin(&self, paused: Paused, until_ms: u64, now_ms: u64) {
        let all = u64::from(paused == Paused::All);
        // It fails only if the function gives nothing.
        let _ = self.state.fetch_update(Relaxed, Relaxed, |state| {
            let holds = state >> 1 > now_ms;
            let (end, is_all) = if holds { (state >> 1, state & 1) } else { (0, 0) };
            Some(end.max(until_ms.min(u64::MAX >> 1)) << 1 | is_all | all)
        });
    }
    pub(crate) fn end(&self) {
        self.state.store(0, Relaxed);
    }
    /// What is paused, and until when. While there was no pause it costs one load.
    #[inline]
    pub(crate) fn holds(&self, now_ms: u64) -> Option<(Paused, u64)> {
        let state = self.state.load(Relaxed);
        let paused = if state & 1 == 1 { Paused::All } else { Paused::Writes };
        (state >> 1 > now_ms).then_some((paused, state >> 1))
    }
    /// True if a request that could run has to wait.
    #[inline]
    pub(crate) fn stops(&self, entry: &Entry, client: &ClientState, now_ms: u64) -> bool {
        match self.holds(now_ms) {
            None => false,
            Some((Paused::All, _)) => true,
            Some((Paused::Writes, _)) => changes(entry, client),
        }
    }
    /// A client's request waits from now on, or no longer.
    pub(crate) fn count(&self, waits: bool) {
        if waits {
            self.waiting.fetch_add(1, Relaxed);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }
    /// How many clients wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
}

/// True for what a follower of this server would have to hear of.
fn changes(entry: &Entry, client: &ClientState) -> bool {
    let changes = |entry: &Entry| {
        entry.command.flags.has(Flags::WRITE) || entry.command.flags.has(Flags::MAY_REPLICATE)
    };
    if entry.command.name == "exec" {
        let queued = client.transaction.iter().flat_map(|transaction| &transaction.requests);
        return queued.into_iter().any(|queued| changes(queued.entry));
    }
    changes(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_that_holds_is_made_longer_and_stricter_but_never_less() {
        let pause = Pause::default();
        assert_eq!(pause.holds(0), None);
        pause.begin(Paused::All, 200, 100);
        pause.begin(Paused::Writes, 150, 110);
        assert_eq!(pause.holds(199), Some((Paused::All, 200)));
        assert_eq!(pause.holds(200), None);
        pause.begin(Paused::Writes, 300, 250);
        assert_eq!(pause.holds(250), Some((Paused::Writes, 300)));
        pause.begin(Paused::All, 260, 251);
        assert_eq!(pause.holds(299), Some((Paused::All, 300)));
        pause.end();
        assert_eq!(pause.holds(0), None);
    }
}
