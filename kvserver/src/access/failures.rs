//! Who failed to authenticate, or was refused something: what ACL LOG and INFO show.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::Denial;

/// A failure this soon after an equal one is counted with it, in milliseconds.
const GROUPED_MS_MAX: u64 = 60_000;
/// How many of the newest entries are looked at for an equal one.
const GROUPED_WITH_MAX: usize = 10;
/// What is kept of a name that does not exist, in bytes: whoever fails chooses it.
const NAME_BYTES_KEPT_MAX: usize = 128;
/// The same of a key or a channel.
const OBJECT_BYTES_KEPT_MAX: usize = 1024;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Auth,
    Command,
    Key,
    Channel,
}

impl Reason {
    const COUNT: usize = 4;

    pub(crate) const fn of(denial: Denial) -> Self {
        match denial {
            Denial::Command => Reason::Command,
            Denial::Key(_) => Reason::Key,
            Denial::Channel(_) => Reason::Channel,
        }
    }
    /// As ACL LOG names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Reason::Auth => "auth",
            Reason::Command => "command",
            Reason::Key => "key",
            Reason::Channel => "channel",
        }
    }
    const fn index(self) -> usize {
        match self {
            Reason::Auth => 0,
            Reason::Command => 1,
            Reason::Key => 2,
            Reason::Channel => 3,
        }
    }
}

/// Equal failures, one soon after the other.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) id: u64,
    pub(crate) count: u64,
    pub(crate) reason: Reason,
    /// It happened between MULTI and the end of EXEC.
    pub(crate) is_in_multi: bool,
    /// The command, the key or the channel.
    pub(crate) object: Vec<u8>,
    /// The name that was given.
    pub(crate) user: Vec<u8>,
    /// The last client that failed, as CLIENT LIST shows it.
    pub(crate) client: String,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
}

impl Failure {
    /// One failure, now.
    pub(crate) fn new(
        (reason, object): (Reason, &[u8]),
        user: &[u8],
        client: String,
        now_ms: u64,
    ) -> Self {
        Failure {
            id: 0,
            count: 1,
            reason,
            is_in_multi: false,
            object: object[..object.len().min(OBJECT_BYTES_KEPT_MAX)].to_vec(),
            user: user[..user.len().min(NAME_BYTES_KEPT_MAX)].to_vec(),
            client,
            first_ms: now_ms,
            last_ms: now_ms,
        }
    }
    fn is_like(&self, other: &Failure) -> bool {
        self.is_in_multi == other.is_in_multi
            && self.reason == other.reason
            && self.object == other.object
            && self.user == other.user
            && self.last_ms.abs_diff(other.last_ms) <= GROUPED_MS_MAX
    }
}

/// The failures, newest first.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    kept: Mutex<Kept>,
    counts: [AtomicU64; Reason::COUNT],
}

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Failure>,
    next_id: u64,
}

impl Failures {
    /// Adds a failure, and forgets the oldest beyond `len_max` entries.
    pub(crate) fn add(&self, mut failure: Failure, len_max: usize) {
        self.counts[failure.reason.index()].fetch_add(1, Relaxed);
        let mut kept = self.kept.lock();
        if len_max == 0 {
            kept.entries.clear();
            return;
        }
        let entries = &mut kept.entries;
        let like = entries.iter().take(GROUPED_WITH_MAX).position(|known| known.is_like(&failure));
        match like.and_then(|at| entries.remove(at)) {
            Some(known) => {
                failure.id = known.id;
                failure.count = known.count + 1;
                failure.first_ms = known.first_ms;
            }
            None => {
                failure.id = kept.next_id;
                kept.next_id += 1;
            }
        }
        kept.entries.push_front(failure);
        kept.entries.truncate(len_max);
    }
    /// The newest entries, at most so many.
    pub(crate) fn newest(&self, count: usize) -> Vec<Failure> {
        self.kept.lock().entries.iter().take(count).cloned().collect()
    }
    /// How many there have been, those that are forgotten included.
    pub(crate) fn count(&self, reason: Reason) -> u64 {
        self.counts[reason.index()].load(Relaxed)
    }
    pub(crate) fn clear(&self) {
        self.kept.lock().entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_failures_are_counted_together_for_a_minute() {
        let failures = Failures::default();
        for (user, now_ms) in [("a", 0), ("b", 1), ("a", 60_000), ("a", 120_001)] {
            failures.add(
                Failure::new((Reason::Auth, b"AUTH"), user.as_bytes(), String::new(), now_ms),
                3,
            );
        }
        let shown: Vec<_> = failures.newest(9).iter().map(|f| (f.id, f.count)).collect();
        assert_eq!(shown, [(2, 1), (0, 2), (1, 1)]);
        failures
            .add(Failure::new((Reason::Auth, b"AUTH"), &[b'x'; 1000], String::new(), 120_002), 3);
        let newest = failures.newest(9);
        assert_eq!((newest.len(), newest[0].user.len()), (3, NAME_BYTES_KEPT_MAX));
        failures.clear();
        assert!(failures.newest(9).is_empty());
    }
}
