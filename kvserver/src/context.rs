//! What a handler is given: arguments, data, time, chance, the reply and the connection.
//!
//! Everything a command may depend on is here, so that the same inputs give the same reply and
//! the same batch, whoever runs it (a worker, MULTI, a test, later a replicated log).

use crate::client::ClientState;
use crate::data::{Data, Db};
use crate::resp::Reply;
use crate::shared::Shared;

/// The inputs and outputs of one command. See the laws in [`crate::command`].
pub(crate) struct Context<'a> {
    /// The request; `args[0]` is the name as sent. Copy it out to keep borrows short:
    /// `let args = ctx.args;`.
    pub(crate) args: &'a [&'a [u8]],
    /// Milliseconds since the Unix epoch, one value for the whole command (and for a MULTI).
    pub(crate) now_ms: u64,
    /// The only source of chance.
    pub(crate) rng: &'a mut fastrand::Rng,
    /// Where the answer goes; speaks the connection's protocol version.
    pub(crate) reply: Reply<'a>,
    /// The connection that asks.
    pub(crate) client: &'a mut ClientState,
    /// What all workers share: parameters, statistics, registry of clients.
    pub(crate) server: &'a Shared,
    /// All databases; most handlers use [`Context::db`].
    pub(crate) data: &'a mut Data,
}

impl Context<'_> {
    /// The selected database.
    pub(crate) fn db(&mut self) -> Db<'_> {
        self.data.db(self.client.db)
    }

    /// Another database, by an index that has been checked with [`Data::count`].
    pub(crate) fn db_at(&mut self, index: usize) -> Db<'_> {
        self.data.db(index)
    }
}
