//! A worker thread: a reactor, its connections, and rounds of reading, running and replying.
//!
//! Here is its life: waiting for events, opening and closing connections. A round is in `round`,
//! what others tell it in `mail`, its clients that wait in `blocked`, which clients it passes on
//! to other workers in `sharing`.
//!
//! Does not know commands, and never waits for the disk.

mod ahead;
mod blocked;
mod idle;
mod mail;
mod readers;
mod round;
mod sharing;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::blocking::Local;
use crate::client::{Card, ClientState};
use crate::connection::Connection;
use crate::data::Data;
use crate::inbox::Inbox;
use crate::pubsub::{Outbox, PostBox};
use crate::shared::Shared;
use crate::stats::Tally;
pub(crate) use mail::{Mail, Mailbox};

const WAKER: Token = Token(usize::MAX);
const EVENTS_PER_ROUND: usize = 1024;
/// How often connections beyond the soft limit of their output are looked at.
const EXCESS_EVERY: Duration = Duration::from_millis(100);

/// A worker, before and while it runs.
pub(crate) struct Worker {
    index: usize,
    poll: Poll,
    mail: Receiver<Mail>,
    shared: Arc<Shared>,
    data: Data,
    rng: fastrand::Rng,
    tally: Tally,
    outbox: Outbox,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    /// Connections with something to do in this round.
    ready: Vec<usize>,
    queued: Vec<bool>,
    /// Connections to come back to without an event.
    again: Vec<usize>,
    held: Vec<usize>,
    /// Clients that wait for a key.
    waiting: Local,
    /// When connections are looked at that have nothing to say.
    idle: idle::Idle,
    period: sharing::Period,
    /// Connections beyond the soft limit of their output.
    excessive: Vec<usize>,
    /// Connections with a request that waits for the end of a pause.
    postponed: Vec<usize>,
    #[expect(clippy::vec_box, reason = "connections and this list pass the boxes on")]
    inboxes: Vec<Box<Inbox>>,
    /// The last round has posted something.
    posted: bool,
    stopping: bool,
}

/// The halves of a worker: what runs, and how to reach it.
pub(crate) fn reactor() -> io::Result<(Poll, Receiver<Mail>, Mailbox)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let (sender, mail) = crossbeam_channel::unbounded();
    Ok((poll, mail, Mailbox { post: PostBox::default(), sender, waker }))
}

impl Worker {
    /// The worker with this index among the mailboxes.
    pub(crate) fn new(index: usize, poll: Poll, mail: Receiver<Mail>, shared: Arc<Shared>) -> Self {
        Worker {
            index,
            poll,
            mail,
            data: Data::new(Arc::clone(&shared.engine)),
            shared,
            rng: fastrand::Rng::new(),
            tally: Tally::new(),
            outbox: Outbox::default(),
            connections: Vec::new(),
            free: Vec::new(),
            ready: Vec::new(),
            queued: Vec::new(),
            again: Vec::new(),
            held: Vec::new(),
            waiting: Local::default(),
            idle: idle::Idle::default(),
            period: sharing::Period::new(),
            excessive: Vec::new(),
            postponed: Vec::new(),
            inboxes: Vec::new(),
            posted: false,
            stopping: false,
        }
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_ROUND);
        while !self.stopping {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for slot in std::mem::take(&mut self.again) {
                self.queue(slot);
            }
            // Settling a connection looks at its limits.
            for slot in std::mem::take(&mut self.excessive) {
                self.queue(slot);
            }
            for event in &events {
                match event.token() {
                    WAKER => self.read_mail(),
                    Token(slot) => {
                        if let Some(Some(connection)) = self.connections.get_mut(slot) {
                            connection.note_event(event);
                            self.queue(slot);
                        }
                    }
                }
            }
            self.time_out();
            self.end_postponements();
            self.round();
            self.share();
            self.close_idle();
        }
        for slot in 0..self.connections.len() {
            self.close(slot);
        }
        Ok(())
    }

    /// How long to wait for events.
    fn timeout(&self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let excess = (!self.excessive.is_empty()).then_some(EXCESS_EVERY);
        let pause = if self.postponed.is_empty() { None } else { self.until_pause_ends() };
        [excess, pause, self.idle.until_next(), self.waiting.until_next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// How long the pause lasts that connections wait for.
    fn until_pause_ends(&self) -> Option<Duration> {
        let now_ms = self.shared.engine.now_ms();
        let until_ms = self.shared.pause.holds(now_ms).map_or(now_ms, |(_, until_ms)| until_ms);
        Some(Duration::from_millis(until_ms - now_ms))
    }

    /// Lets requests go on that waited for the end of a pause, if that has come.
    fn end_postponements(&mut self) {
        if self.postponed.is_empty()
            || self.shared.pause.holds(self.shared.engine.now_ms()).is_some()
        {
            return;
        }
        for slot in std::mem::take(&mut self.postponed) {
            if let Some(connection) = &mut self.connections[slot] {
                connection.end_postponement(&self.shared.pause);
                self.queue(slot);
            }
        }
    }

    /// Puts a connection on this round's list, once.
    fn queue(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.queued[slot], true) {
            self.ready.push(slot);
        }
    }

    fn close_killed(&mut self) {
        for slot in 0..self.connections.len() {
            if self.connections[slot].as_ref().is_some_and(|c| c.client.card.is_killed()) {
                self.close(slot);
            }
        }
    }

    fn open(&mut self, stream: TcpStream, card: Arc<Card>) {
        let mut client = ClientState::new(card);
        client.is_authenticated = self.shared.access.is_open();
        let slot = self.place(Connection::new(stream, client));
        self.queue(slot);
    }

    /// Watches a connection, and gives it a slot. One that cannot be watched will be closed.
    fn place(&mut self, mut connection: Connection) -> usize {
        let slot = self.free.pop().unwrap_or(self.connections.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered =
            self.poll.registry().register(&mut connection.stream, Token(slot), interest);
        connection.client.slot = slot;
        if slot == self.connections.len() {
            self.connections.push(None);
            self.queued.push(false);
        }
        self.connections[slot] = Some(connection);
        if let Err(error) = registered {
            tracing::warn!(%error, "cannot watch a connection; closing it");
            self.close(slot);
        }
        slot
    }

    fn close(&mut self, slot: usize) {
        let Some(mut connection) = self.connections[slot].take() else { return };
        self.forget_blocked(&connection);
        connection.end_postponement(&self.shared.pause);
        connection.end();
        let client = &mut connection.client;
        self.shared.watches.forget(&mut client.watched);
        self.shared.pubsub.forget(client.seat(), &mut client.subscriptions);
        client.end_monitoring(&self.shared.monitors);
        self.shared.clients.remove(connection.client.id);
        if let Err(error) = self.poll.registry().deregister(&mut connection.stream) {
            tracing::debug!(%error, "cannot stop watching a connection");
        }
        self.free.push(slot);
    }
}
