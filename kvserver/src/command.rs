//! The command table: one entry per command, the single source for dispatch, `COMMAND`,
//! statistics and the reference page.
//!
//! Knows names, arity, flags and key positions. Does not know sockets, workers or the store.
//!
//! # Laws
//!
//! T1. A handler is a function from (state, arguments, now, seed) to (reply, batch): it reads the
//!     clock and randomness only from its [`Context`], and writes only through [`Context::db`].
//! T2. A handler that returns `Err` leaves nothing: its reply bytes and its writes are discarded.
//! T3. A command without [`Flags::WRITE`] or [`Flags::REMEMBERS`] never writes: it may run under
//!     the shared lock.
//! T4. Before a handler runs, the arity has been checked; `args[0]` is the name as it was sent.

pub(crate) mod acl;
pub(crate) mod alone;
pub(crate) mod arguments;
#[cfg(test)]
mod bad_input;
pub(crate) mod bitmap;
pub(crate) mod blocking;
pub(crate) mod client;
mod collection;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod debug;
#[cfg(test)]
mod differential;
pub(crate) mod error;
mod expiry;
pub(crate) mod extensions;
pub(crate) mod generic;
pub(crate) mod hash;
pub(crate) mod hyperloglog;
pub(crate) mod introspection;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod limits;
pub(crate) mod list;
pub(crate) mod memory;
mod names;
#[cfg(test)]
pub(crate) mod page;
pub(crate) mod pubsub;
pub(crate) mod sensitive;
pub(crate) mod server;
pub(crate) mod set;
pub(crate) mod slowlog;
pub(crate) mod string;
pub(crate) mod syntax;
pub(crate) mod table;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod transaction;
pub(crate) mod zset;

use std::fmt;
use std::ops::BitOr;

pub(crate) use error::CommandError;
pub(crate) use keys::{KeyFlags, KeySpec};
pub(crate) use limits::{check_key, check_name};
pub(crate) use names::Names;

use crate::context::Context;

/// What every handler answers: the reply has been written, or the error to send instead.
pub(crate) type Outcome = Result<(), CommandError>;

/// Executes one command.
pub(crate) type Handler = fn(&mut Context<'_>) -> Outcome;

/// Finds key positions (indices into `args`) where no [`KeySpec`] can say them, or where the
/// flags depend on the options. `None`: the arguments make no sense.
pub(crate) type KeysFn = fn(&[&[u8]]) -> Option<Vec<(usize, KeyFlags)>>;

/// One command or subcommand.
pub(crate) struct Command {
    /// Lower case; for a subcommand only its own word.
    pub(crate) name: &'static str,
    /// Redis' convention: the exact number of arguments with the name, negative for "at least".
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    pub(crate) group: Group,
    pub(crate) keys: &'static [KeySpec],
    pub(crate) keys_of: Option<KeysFn>,
    /// Where names of elements are among its arguments, if it looks these up.
    pub(crate) names: Option<Names>,
    pub(crate) since: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) complexity: &'static str,
    pub(crate) handler: Handler,
    /// When not empty, `args[1]` selects one of these, whose handler runs with all arguments.
    pub(crate) subcommands: &'static [Command],
}

impl Command {
    /// A command with no flags, no keys and no subcommands; the setters below fill it in a const.
    pub(crate) const fn new(name: &'static str, arity: i32, handler: Handler) -> Self {
        Command {
            name,
            arity,
            flags: Flags::NONE,
            group: Group::Server,
            keys: &[],
            keys_of: None,
            names: None,
            since: "1.0.0",
            summary: "",
            complexity: "O(1)",
            handler,
            subcommands: &[],
        }
    }
    pub(crate) const fn flags(mut self, flags: Flags) -> Self {
        self.flags = flags;
        self
    }
    pub(crate) const fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }
    pub(crate) const fn keys(mut self, keys: &'static [KeySpec]) -> Self {
        self.keys = keys;
        self
    }
    pub(crate) const fn keys_of(mut self, keys_of: KeysFn) -> Self {
        self.keys_of = Some(keys_of);
        self
    }
    pub(crate) const fn names(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
    }
    pub(crate) const fn since(mut self, since: &'static str) -> Self {
        self.since = since;
        self
    }
    pub(crate) const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }
    pub(crate) const fn complexity(mut self, complexity: &'static str) -> Self {
        self.complexity = complexity;
        self
    }
    pub(crate) const fn subcommands(mut self, subcommands: &'static [Command]) -> Self {
        self.subcommands = subcommands;
        self
    }

    /// True if a request of `count` arguments, name included, fits the arity.
    pub(crate) fn accepts(&self, count: usize) -> bool {
        let least = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity >= 0 { count == least } else { count >= least }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A set of command flags, named as Redis names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u32);

impl Flags {
    pub(crate) const NONE: Flags = Flags(0);
    /// May write; runs under the exclusive lock.
    pub(crate) const WRITE: Flags = Flags(1);
    pub(crate) const READONLY: Flags = Flags(1 << 1);
    pub(crate) const DENYOOM: Flags = Flags(1 << 2);
    pub(crate) const ADMIN: Flags = Flags(1 << 3);
    pub(crate) const PUBSUB: Flags = Flags(1 << 4);
    pub(crate) const NOSCRIPT: Flags = Flags(1 << 5);
    pub(crate) const BLOCKING: Flags = Flags(1 << 6);
    pub(crate) const LOADING: Flags = Flags(1 << 7);
    pub(crate) const STALE: Flags = Flags(1 << 8);
    pub(crate) const SKIP_SLOWLOG: Flags = Flags(1 << 10);
    pub(crate) const FAST: Flags = Flags(1 << 11);
    pub(crate) const NO_AUTH: Flags = Flags(1 << 12);
    pub(crate) const NO_ASYNC_LOADING: Flags = Flags(1 << 13);
    /// Refused inside MULTI.
    pub(crate) const NO_MULTI: Flags = Flags(1 << 14);
    pub(crate) const ALLOW_BUSY: Flags = Flags(1 << 15);
    pub(crate) const MOVABLEKEYS: Flags = Flags(1 << 16);
    pub(crate) const NO_MANDATORY_KEYS: Flags = Flags(1 << 17);
    /// Touches keys that are not among its arguments (KEYS, FLUSHDB, RANDOMKEY).
    pub(crate) const ARBITRARY_KEYS: Flags = Flags(1 << 18);
    /// Belongs to the ACL category `dangerous` beyond what `ADMIN` implies.
    pub(crate) const DANGEROUS: Flags = Flags(1 << 19);
    /// Executed at once inside MULTI rather than queued (EXEC, DISCARD, WATCH, …).
    pub(crate) const NOT_QUEUED: Flags = Flags(1 << 20);
    /// Changes nothing that a key means, but may write down what it has found out (PFCOUNT): runs
    /// under the exclusive lock.
    pub(crate) const REMEMBERS: Flags = Flags(1 << 27);
    /// Its replies are pushes: CLIENT REPLY does not silence them.
    pub(crate) const PUSHES: Flags = Flags(1 << 24);
    /// Open to RESP2 clients with subscriptions.
    pub(crate) const WHILE_SUBSCRIBED: Flags = Flags(1 << 25);
    /// Not a write, but followers of a log would have to hear of it; CLIENT PAUSE WRITE stops it.
    pub(crate) const MAY_REPLICATE: Flags = Flags(1 << 26);

    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
    /// True if it must not run beside others.
    pub(crate) const fn may_write(self) -> bool {
        self.has(Flags::WRITE) || self.has(Flags::REMEMBERS)
    }
    /// Union, usable in constants.
    pub(crate) const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        self.and(other)
    }
}

/// The group a command is documented under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Bitmap,
    Connection,
    Generic,
    Hash,
    HyperLogLog,
    List,
    PubSub,
    Server,
    Set,
    SortedSet,
    String,
    Transactions,
}

impl Group {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Bitmap => "bitmap",
            Group::Connection => "connection",
            Group::Generic => "generic",
            Group::Hash => "hash",
            Group::HyperLogLog => "hyperloglog",
            Group::List => "list",
            Group::PubSub => "pubsub",
            Group::Server => "server",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::String => "string",
            Group::Transactions => "transactions",
        }
    }
}
