//! Large values on their way into files of their own.
//!
//! A value too large for the log is written and synced before the commit that puts it, and no
//! connection thread waits for the disk. So a command whose changes hold such a value is taken
//! back as if it had not run, a helper thread writes the values, and then the command runs again:
//! if it puts the same values, the batch refers to what was written; if not, because its key has
//! changed meanwhile (APPEND), they are written anew. Its connection waits, the others go on.
//!
//! Knows values and whose they are. Does not know commands or sockets.
//!
//! # Laws
//!
//! S1. What is committed is what the last run of the command put: values that differ from it are
//!     thrown away.
//! S2. A command that is taken back has left nothing: no change, no reply, no state of its client.
//!     One that does what cannot be taken back (EXEC with CLIENT KILL) is not: its worker writes
//!     the values.
//! S3. A command is taken back a bounded number of times; then its worker writes the values.

use crate::data::{Large, Staged, StoreError};

/// Values that are written in vain before the worker does it, under the gate: while so many clients
/// change one long string at the same time, each overtaken by all others, nobody else waits.
const TRIES_MAX: u8 = 32;

/// What a helper is asked to write, and for whom.
#[derive(Debug)]
pub(crate) struct StageJob {
    pub(crate) values: Large,
    /// The index of the worker, its slot, and the client in it.
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    pub(crate) client: u64,
}

/// Where the large values of a client's next request are.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    state: State,
    tries: u8,
}

#[derive(Debug, Default)]
enum State {
    /// There is no helper: whoever runs a command writes its values.
    #[default]
    InPlace,
    Idle,
    /// The request was taken back, and these are to be written.
    Wanted(Large),
    Underway,
    Ready(Result<Vec<Staged>, StoreError>),
}

/// How a command with large values goes on.
#[derive(Debug)]
pub(crate) enum Verdict {
    Commit(Vec<Staged>),
    TakeBack,
    Fail(StoreError),
}

impl Staging {
    /// For a client that a worker serves.
    pub(crate) fn by_helper() -> Self {
        Staging { state: State::Idle, tries: 0 }
    }

    /// What to do with a command whose changes hold large values; `fits` tells whether those that
    /// were written are these.
    pub(crate) fn decide(&mut self, fits: impl FnOnce(&[Staged]) -> bool) -> Verdict {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::InPlace => {
                self.state = State::InPlace;
                Verdict::Commit(Vec::new())
            }
            State::Ready(Err(error)) => Verdict::Fail(error),
            State::Ready(Ok(staged)) if fits(&staged) => Verdict::Commit(staged),
            _ if self.tries >= TRIES_MAX => Verdict::Commit(Vec::new()),
            _ => Verdict::TakeBack,
        }
    }
    /// The request was taken back; these values are to be written.
    pub(crate) fn want(&mut self, values: Large) {
        self.tries += 1;
        self.state = State::Wanted(values);
    }
    /// The request has run to its end, or was refused.
    pub(crate) fn end(&mut self) {
        if !matches!(self.state, State::InPlace) {
            *self = Staging::by_helper();
        }
    }

    /// True if the request that runs has run before, and was taken back.
    #[inline]
    pub(crate) fn is_repeated(&self) -> bool {
        self.tries > 0
    }
    /// True if the request that was run last was taken back, and nothing has been written since.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self.state, State::Wanted(_))
    }
    /// True while the client has to wait.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Wanted(_) | State::Underway)
    }
    /// What a helper is to write, once.
    pub(crate) fn take_wanted(&mut self) -> Option<Large> {
        match std::mem::replace(&mut self.state, State::Underway) {
            State::Wanted(values) => Some(values),
            other => {
                self.state = other;
                None
            }
        }
    }
    /// The helper has written them, or could not.
    pub(crate) fn ready(&mut self, staged: Result<Vec<Staged>, StoreError>) {
        if matches!(self.state, State::Underway) {
            self.state = State::Ready(staged);
        }
    }
}
