//! Clients that wait for a key, or for time to pass, and what wakes them.
//!
//! A handler that finds nothing leaves a [`Wait`] with its client and answers nothing. The executor
//! makes a [`Waiter`] of it, which holds the request, and the client runs nothing more. Directly
//! after the commit that makes a key ready, whoever ran that command runs the waiters' requests for
//! them, each in a commit of its own behind it, and their workers are sent the replies.
//!
//! Knows requests, keys and the order of arrival. Does not know commands, sockets or the store.
//!
//! # Laws
//!
//! B1. Waiters for keys are added, and served, under the exclusive gate; whatever else ends a wait
//!     (time, CLIENT UNBLOCK, the end of the connection) holds the gate shared. So a wait ends
//!     once, and nobody is served whose connection was seen to end before.
//! B2. Of the waiters for a key the one that came first is served first, whichever workers serve
//!     the clients: tickets are drawn under B1 and never used twice.
//! B3. A waiter runs only if one of its keys exists and has its type. Collections are not empty, so
//!     its request then answers, be it with an error, and does not wait again.
//! B4. A client that was served and whose connection ends before the reply leaves has got its
//!     element, as it has where the reply was on its way: serving is where the line is.

mod local;
mod registry;

use std::sync::Arc;
use std::time::Duration;

use crate::access::Login;
use crate::client::{Card, ClientState, Replies};
use crate::command::table::Entry;
use crate::data::{Position, Type};
use crate::resp::{Protocol, Reply};
pub(crate) use local::Local;
#[cfg(test)]
pub(crate) use registry::Figures;
pub(crate) use registry::Registry;

/// What tells a wait from all others, in the order of arrival.
pub(crate) type Ticket = u64;

/// What a handler leaves with its client instead of a reply.
#[derive(Debug)]
pub(crate) struct Wait {
    /// For any of these keys of the client's database, if it holds this type; none: only for time.
    pub(crate) keys: Vec<Vec<u8>>,
    pub(crate) kind: Option<Type>,
    /// For so long; `None` is for ever.
    pub(crate) timeout: Option<Duration>,
    /// The bytes to answer when the time is over.
    pub(crate) on_timeout: Vec<u8>,
    /// That answer leaves only when everything before the wait is durable.
    pub(crate) wait_durable: bool,
}

/// What a client that waits knows of it.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) ticket: Ticket,
    pub(crate) timeout: Option<Duration>,
    /// CLIENT REPLY says that there will be no answer.
    is_muted: bool,
}

/// A request that waits, and whose it is.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) ticket: Ticket,
    pub(crate) entry: &'static Entry,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) wait: Wait,
    pub(crate) db: usize,
    pub(crate) card: Arc<Card>,
    slot: usize,
    protocol: Protocol,
    no_touch: bool,
    login: Login,
}

/// How a wait ended, on its way to the client's worker.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) ticket: Ticket,
    /// The index of the worker.
    pub(crate) worker: usize,
    pub(crate) reply: Vec<u8>,
    /// The reply leaves when this is durable.
    pub(crate) until: Option<Position>,
}

/// How CLIENT UNBLOCK ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unblock {
    /// As if its time were over.
    Timeout,
    Error,
}

impl Blocked {
    /// Puts the answer behind what the client is owed, unless it wants none.
    pub(crate) fn answer(&self, reply: &[u8], out: &mut Vec<u8>) {
        if !self.is_muted {
            out.extend_from_slice(reply);
        }
    }
}

impl Waiter {
    /// The request of `client`, which waits from now on.
    pub(crate) fn new(
        ticket: Ticket,
        (entry, args): (&'static Entry, &[&[u8]]),
        client: &mut ClientState,
        wait: Wait,
    ) -> Self {
        let is_muted = client.replies != Replies::On;
        client.blocked = Some(Box::new(Blocked { ticket, timeout: wait.timeout, is_muted }));
        Waiter {
            ticket,
            entry,
            args: args.iter().map(|arg| arg.to_vec()).collect(),
            wait,
            db: client.db,
            card: Arc::clone(&client.card),
            slot: client.seat().slot,
            protocol: client.protocol,
            no_touch: client.no_touch,
            login: client.login.clone(),
        }
    }
    /// As much of its client as a handler that waits may look at.
    pub(crate) fn stand_in(&self) -> ClientState {
        let mut client = ClientState::new(Arc::clone(&self.card));
        client.slot = self.slot;
        client.db = self.db;
        client.protocol = self.protocol;
        client.no_touch = self.no_touch;
        client.login = self.login.clone();
        client
    }
    /// An error as its client reads it.
    pub(crate) fn error(&self, error: &dyn std::fmt::Display) -> Vec<u8> {
        let mut reply = Vec::new();
        Reply::new(&mut reply, self.protocol).error(error);
        reply
    }
    /// What the client is sent.
    pub(crate) fn delivery(&self, reply: Vec<u8>, until: Option<Position>) -> Delivery {
        Delivery { ticket: self.ticket, worker: self.card.worker(), reply, until }
    }
}
