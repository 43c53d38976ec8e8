//! A door for benchmarks: requests as bytes, run without sockets, workers and threads.
//!
//! Not part of the API: there with the feature `bench`. What runs is what a worker runs between
//! reading and sending: the parser, the gate, the executor, one write to the log per round.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crossbeam_channel::Receiver;
use kvcore::Store;

use crate::background::Job;
use crate::client::{Card, ClientState};
use crate::config::{AppendFsync, Config};
use crate::data::{Data, Engine, Round, StoreError};
use crate::error::Error;
use crate::executor::{Executor, Turn};
use crate::inbox::{Inbox, Next};
use crate::pubsub::Outbox;
use crate::resp::Limits;
use crate::shared::{Shared, now_ms};
use crate::stats::Tally;

const LIMITS: Limits = Limits { args_max: 1 << 20, bulk_len_max: 1 << 29, authenticated: true };

/// One client of a server that has no others.
#[derive(Debug)]
pub struct Door {
    shared: Shared,
    data: Data,
    client: ClientState,
    inbox: Inbox,
    tally: Tally,
    outbox: Outbox,
    rng: fastrand::Rng,
    /// What is asked of helper threads, which are not there.
    _jobs: Receiver<Job>,
}

impl Door {
    /// A server with one database in `store`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if its keyspaces cannot be opened.
    pub fn new(store: Store) -> Result<Self, Error> {
        let config = Config { databases: 1, threads: 1, ..Config::default() };
        let engine = Engine::new(store, config.databases, config.reverse_index());
        let engine = Arc::new(engine.map_err(failed)?);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let (jobs, _jobs) = crossbeam_channel::unbounded();
        Ok(Door {
            data: Data::new(Arc::clone(&engine)),
            shared: Shared::new(config, addr, engine, jobs)?,
            client: ClientState::new(Arc::new(Card::new(1, addr, addr, 0, now_ms()))),
            inbox: Inbox::default(),
            tally: Tally::new(),
            outbox: Outbox::default(),
            rng: fastrand::Rng::with_seed(0x5eed),
            _jobs,
        })
    }

    /// Runs the requests in `bytes`, one round for each read, and appends the replies to `out`.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store fails.
    pub fn run(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while !bytes.is_empty() {
            let received = self.inbox.receive(&mut bytes);
            received.map_err(Error::io("cannot read from memory"))?;
            self.inbox.parse(&LIMITS);
            self.round(out).map_err(failed)?;
        }
        if self.inbox.is_empty() {
            self.inbox.reset();
        }
        Ok(())
    }

    fn round(&mut self, out: &mut Vec<u8>) -> Result<(), StoreError> {
        let Door { shared, data, client, inbox, tally, outbox, rng, .. } = self;
        let shared = &*shared;
        let time = shared.engine.hold_time();
        data.set_now_ms(time.now_ms());
        tally.start();
        let may_write = inbox.may_write();
        let turn = Turn::default();
        let mut executor = Executor { shared, data, rng, tally, outbox, time, turn };
        let mut run = |mut round: Option<&mut Round<'_, '_>>| {
            inbox.take(|entry, args| {
                executor.execute(entry, args, client, out, round.as_deref_mut());
                Next::GoOn
            });
            executor.end_run();
        };
        if may_write {
            let _gate = shared.gate.write();
            return shared.engine.round(AppendFsync::EverySec, |round| run(Some(round)));
        }
        let _gate = shared.gate.read();
        run(None);
        Ok(())
    }
}

fn failed(error: StoreError) -> Error {
    Error::Store(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_answered_in_their_order() {
        let mut door = Door::new(Store::in_memory().unwrap()).unwrap();
        let mut out = Vec::new();
        door.run(b"SET k v\r\nGET k\r\n", &mut out).unwrap();
        door.run(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "+OK\r\n$1\r\nv\r\n$1\r\nv\r\n");
    }
}
