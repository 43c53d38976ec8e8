//! A worker thread: a reactor, its connections, and rounds of reading, running and replying.
//!
//! One round: take events, read and parse every ready connection, run the requests that only read
//! under the shared gate, those of connections that may write under the exclusive one with a single
//! write to the log, then send every reply with one call per connection; long ones of those that
//! only read leave in between.
//!
//! Does not know commands, and never waits for the disk.

mod ahead;
mod blocked;
mod idle;
mod readers;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::background::Job;
use crate::blocking::{Delivery, Local};
use crate::client::{Card, ClientState};
use crate::config::AppendFsync;
use crate::connection::Connection;
use crate::data::{Data, Position, Staged, StoreError};
use crate::executor::{Executor, Turn};
use crate::inbox::Inbox;
use crate::pubsub::{Frame, Letter, Outbox, PostBox};
use crate::resp::Limits;
use crate::shared::{Shared, now_ms};
use crate::staging::StageJob;
use crate::stats::Tally;

const WAKER: Token = Token(usize::MAX);
const EVENTS_PER_ROUND: usize = 1024;
/// Empty inboxes kept for the next connections that have something to say.
const INBOXES_KEPT_MAX: usize = 256;
/// How often connections beyond the soft limit of their output are looked at.
const EXCESS_EVERY: Duration = Duration::from_millis(100);
/// Arguments of one request, as Redis limits them.
const ARGS_MAX: u64 = 0x7FFF_FFFF;

/// What other threads tell a worker.
#[derive(Debug)]
pub(crate) enum Mail {
    Connection(TcpStream, Arc<Card>),
    /// The large values that the client in a slot waits for are written, or could not be.
    Staged {
        slot: usize,
        client: u64,
        staged: Result<Vec<Staged>, StoreError>,
    },
    /// The wait of one of the clients is over.
    Unblocked(Box<Delivery>),
    /// One of the clients has been killed.
    Kill,
    Stop,
}

/// Where a worker's mail goes.
pub(crate) struct Mailbox {
    /// What the worker hands out to its clients.
    pub(crate) post: PostBox,
    sender: Sender<Mail>,
    waker: Waker,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn send(&self, mail: Mail) {
        // A worker that has ended needs no mail.
        if self.sender.send(mail).is_ok() {
            self.wake();
        }
    }
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a worker");
        }
    }
}

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
        let now_ms = now_ms();
        let until_ms = self.shared.pause.holds(now_ms).map_or(now_ms, |(_, until_ms)| until_ms);
        Some(Duration::from_millis(until_ms - now_ms))
    }
    /// Lets requests go on that waited for the end of a pause, if that has come.
    fn end_postponements(&mut self) {
        if self.postponed.is_empty() || self.shared.pause.holds(now_ms()).is_some() {
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

    fn read_mail(&mut self) {
        let mut kill = false;
        while let Ok(mail) = self.mail.try_recv() {
            match mail {
                Mail::Connection(stream, card) => self.open(stream, card),
                Mail::Staged { slot, client, staged } => self.resume(slot, client, staged),
                Mail::Unblocked(delivery) => self.read_delivery(&delivery),
                Mail::Kill => kill = true,
                Mail::Stop => self.stopping = true,
            }
        }
        self.hand_out();
        self.release_held();
        if kill {
            self.close_killed();
        }
    }

    /// Gives clients what others have for them.
    fn hand_out(&mut self) {
        let Some(mailbox) = self.shared.mailboxes.get().and_then(|all| all.get(self.index)) else {
            return;
        };
        let letters = mailbox.post.take();
        if letters.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let Worker { connections, queued, ready, .. } = self;
        let always = shared.parameters.appendfsync() == AppendFsync::Always;
        let mut touched = Vec::new();
        for letter in letters {
            let give = |slot: usize, client, frame: &Frame| {
                if let Some(Some(connection)) = connections.get_mut(slot)
                    && connection.client.id == client
                {
                    connection.push(frame);
                    if !std::mem::replace(&mut queued[slot], true) {
                        ready.push(slot);
                    }
                    if always {
                        touched.push(slot);
                    }
                }
            };
            match letter {
                Letter::Message(message) => shared.pubsub.hand_out(self.index, &message, give),
                Letter::Line(line) => shared.monitors.hand_out(self.index, &line, give),
            }
        }
        if always {
            // A message may tell of what is not durable yet.
            touched.sort_unstable();
            touched.dedup();
            self.hold(&touched, shared.engine.tip());
        }
    }

    /// A client's large values are written; what became of a client that is gone is dropped.
    fn resume(&mut self, slot: usize, client: u64, staged: Result<Vec<Staged>, StoreError>) {
        if let Some(Some(connection)) = self.connections.get_mut(slot)
            && connection.client.id == client
        {
            connection.client.staging.ready(staged);
            self.queue(slot);
        }
    }

    /// Asks for large values of commands that were taken back to be written.
    fn stage(&mut self, slots: &[usize]) {
        for &slot in slots {
            let Some(connection) = &mut self.connections[slot] else { continue };
            if let Some(values) = connection.client.staging.take_wanted() {
                let (client, worker) = (connection.client.id, connection.client.card.worker);
                let job = Box::new(StageJob { values, worker, slot, client });
                self.shared.ask_background(Job::Stage(job));
            }
        }
    }

    fn release_held(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let durable = self.shared.engine.durable();
        let failure = self.shared.stop.cause();
        for slot in std::mem::take(&mut self.held) {
            let Some(connection) = &mut self.connections[slot] else { continue };
            connection.release(durable);
            if let (true, Some(cause)) = (connection.is_held(), &failure) {
                connection.fail_held(cause);
            }
            if connection.is_held() { self.held.push(slot) } else { self.queue(slot) }
        }
    }

    fn close_killed(&mut self) {
        for slot in 0..self.connections.len() {
            if self.connections[slot].as_ref().is_some_and(|c| c.client.card.is_killed()) {
                self.close(slot);
            }
        }
    }

    fn open(&mut self, mut stream: TcpStream, card: Arc<Card>) {
        let slot = self.free.pop().unwrap_or(self.connections.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut stream, Token(slot), interest) {
            tracing::warn!(%error, "cannot watch a connection; closing it");
            self.shared.clients.remove(card.id);
            if slot < self.connections.len() {
                self.free.push(slot);
            }
            return;
        }
        let mut client = ClientState::new(card, slot);
        client.is_authenticated = self.shared.access.is_open();
        let connection = Some(Connection::new(stream, client));
        if slot == self.connections.len() {
            self.connections.push(connection);
            self.queued.push(false);
        } else {
            self.connections[slot] = connection;
        }
        self.queue(slot);
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

    fn round(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let mut ready = std::mem::take(&mut self.ready);
        let (readers, writers) = self.receive(&ready);
        self.fetch_ahead(&readers);
        self.fetch_ahead(&writers);
        if !readers.is_empty() {
            self.run_readers(&readers);
        }
        if !writers.is_empty() {
            self.run_writers(&writers);
        }
        if std::mem::take(&mut self.posted) {
            // Among it may be something for clients of this worker, which nobody wakes.
            self.hand_out();
            ready.append(&mut self.ready);
        }
        for slot in ready.drain(..) {
            self.queued[slot] = false;
            self.settle(slot);
        }
        self.ready = ready;
    }

    /// Reads and parses; the connections that only read, and those that may write.
    fn receive(&mut self, ready: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let (mut readers, mut writers) = (Vec::new(), Vec::new());
        let parameters = &self.shared.parameters;
        let bulk_len_max = parameters.bulk_len_max();
        let input_bytes_max = parameters.input_bytes_max();
        let limits = Limits { args_max: ARGS_MAX, bulk_len_max, authenticated: true };
        for &slot in ready {
            let Some(connection) = &mut self.connections[slot] else { continue };
            let inboxes = &mut self.inboxes;
            let lend = || inboxes.pop().unwrap_or_default();
            connection.receive(&limits, input_bytes_max, lend, &self.shared);
            if connection.is_runnable() {
                if connection.may_write() { writers.push(slot) } else { readers.push(slot) }
            }
        }
        (readers, writers)
    }

    fn run_writers(&mut self, slots: &[usize]) {
        let shared = Arc::clone(&self.shared);
        let ends: Vec<usize> = slots
            .iter()
            .map(|slot| self.connections[*slot].as_ref().map_or(0, Connection::output_end))
            .collect();
        let (result, turn, observed) = {
            let _gate = shared.gate.write();
            let (mut executor, connections) = self.executor(&shared);
            let result = shared.engine.round(shared.parameters.appendfsync(), |round| {
                for &slot in slots {
                    if let Some(connection) = &mut connections[slot] {
                        connection.run(&mut executor, Some(round));
                    }
                }
            });
            let turn = executor.turn;
            if result.is_ok() {
                self.post();
            } else {
                self.outbox.clear();
            }
            (result, turn, shared.engine.tip())
        };
        match result {
            Ok(()) => {
                self.hold(slots, observed);
                self.stage(slots);
                let is_always = shared.parameters.appendfsync() == AppendFsync::Always;
                self.end_turn(turn, slots, is_always.then_some(observed));
            }
            Err(error) => self.fail(slots, &ends, &error),
        }
    }

    /// Posts what the requests of this round have for clients, under the gate that they ran under:
    /// so nobody sees what they did and speaks of it first.
    fn post(&mut self) {
        if !self.outbox.is_empty() {
            self.outbox.post(&self.shared, Some(self.index));
            self.posted = true;
        }
    }

    fn executor<'w>(
        &'w mut self,
        shared: &'w Shared,
    ) -> (Executor<'w>, &'w mut Vec<Option<Connection>>) {
        let now_ms = now_ms();
        self.data.set_now_ms(now_ms);
        let Worker { data, rng, tally, outbox, connections, .. } = self;
        tally.start();
        let turn = Turn::default();
        (Executor { shared, data, rng, tally, outbox, now_ms, turn }, connections)
    }

    /// Under `appendfsync always`, keeps the replies until what they observed is durable.
    fn hold(&mut self, slots: &[usize], observed: Position) {
        let always = self.shared.parameters.appendfsync() == AppendFsync::Always;
        let mut asked = false;
        for &slot in slots {
            let Some(connection) = &mut self.connections[slot] else { continue };
            let asks = std::mem::take(&mut connection.client.wait_durable);
            if (always || asks) && observed > self.shared.engine.durable() {
                connection.hold_until(observed);
                if connection.is_held() {
                    self.held.push(slot);
                    asked = true;
                }
            }
        }
        if asked {
            self.shared.ask_background(Job::Durable(observed));
        }
    }

    fn fail(&mut self, slots: &[usize], ends: &[usize], error: &StoreError) {
        for (slot, end) in slots.iter().zip(ends) {
            if let Some(connection) = &mut self.connections[*slot] {
                connection.fail_from(*end, error);
            }
        }
        self.shared.fail(error);
    }

    /// Sends replies, and decides whether the connection ends, goes on or waits.
    fn settle(&mut self, slot: usize) {
        let Some(connection) = &mut self.connections[slot] else { return };
        if connection.check_output(&self.shared.output_limits, now_ms) {
            self.excessive.push(slot);
        }
        connection.flush(&self.shared.stats);
        connection.check_stranger(&self.shared.access);
        if let Some(mut inbox) = connection.give_back_inbox()
            && inbox.is_worth_keeping()
            && self.inboxes.len() < INBOXES_KEPT_MAX
        {
            inbox.reset();
            self.inboxes.push(inbox);
        }
        if connection.take_newly_postponed() {
            self.postponed.push(slot);
        }
        if connection.is_finished() {
            self.close(slot);
        } else if connection.wants_turn() {
            self.again.push(slot);
        }
    }
}
