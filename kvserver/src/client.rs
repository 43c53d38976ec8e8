//! The state of a connection that commands see and change, and what others may see of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::access::{DEFAULT_USER, Login, User};
use crate::blocking::{Blocked, Wait};
use crate::command::table::Entry;
use crate::monitor::Monitors;
use crate::output_limits::Class;
use crate::pubsub::{Kind, Outgoing, Seat, Subscriptions};
use crate::resp::Protocol;
use crate::staging::Staging;
use crate::watch::Watched;

/// One client's state, owned by the worker that serves it.
#[derive(Debug)]
pub(crate) struct ClientState {
    /// Never used twice.
    pub(crate) id: u64,
    /// Its place among the connections of its worker.
    pub(crate) slot: usize,
    /// The selected database.
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
    pub(crate) replies: Replies,
    /// It has given a password, or there was none when it connected.
    pub(crate) is_authenticated: bool,
    /// As whom it speaks.
    pub(crate) login: Login,
    /// Close the connection when the reply has left.
    pub(crate) close: bool,
    /// The replies so far leave only when what they tell is durable (SAVE).
    pub(crate) wait_durable: bool,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    /// It sees every command.
    pub(crate) is_monitor: bool,
    /// The commands since MULTI.
    pub(crate) transaction: Option<Box<Transaction>>,
    /// The commands that EXEC has run, until they are committed.
    pub(crate) executed: Option<Box<Transaction>>,
    /// EXEC runs its commands: they do not wait.
    pub(crate) is_in_exec: bool,
    /// The command that ran last found nothing and waits.
    pub(crate) wait: Option<Box<Wait>>,
    /// The request that ran last has not run: it waits for the end of a pause.
    pub(crate) is_postponed: bool,
    /// Nothing of the client runs until this is over.
    pub(crate) blocked: Option<Box<Blocked>>,
    /// Where the large values of the next request are.
    pub(crate) staging: Staging,
    /// The keys of WATCH.
    pub(crate) watched: Watched,
    pub(crate) subscriptions: Subscriptions,
    /// What the running request has published, each after so many events of its changes.
    pub(crate) published: Vec<(usize, Outgoing)>,
    /// The commands of the running request that have failed, with their errors, to be counted.
    pub(crate) failed: Vec<(&'static Entry, String)>,
    pub(crate) traffic: Traffic,
    /// What CLIENT LIST shows.
    pub(crate) card: Arc<Card>,
}

impl ClientState {
    pub(crate) fn new(card: Arc<Card>) -> Self {
        ClientState {
            id: card.id,
            slot: 0,
            db: 0,
            protocol: Protocol::Resp2,
            replies: Replies::On,
            is_authenticated: true,
            login: Login::default(),
            close: false,
            wait_durable: false,
            no_evict: false,
            no_touch: false,
            is_monitor: false,
            transaction: None,
            executed: None,
            is_in_exec: false,
            is_postponed: false,
            wait: None,
            blocked: None,
            staging: Staging::default(),
            watched: Watched::telling(Arc::clone(&card.watched_changed)),
            subscriptions: Subscriptions::default(),
            published: Vec::new(),
            failed: Vec::new(),
            traffic: Traffic::default(),
            card,
        }
    }

    /// Where others find it.
    pub(crate) fn seat(&self) -> Seat {
        Seat { worker: self.card.worker(), slot: self.slot, client: self.id }
    }
    /// It speaks as this user from now on.
    pub(crate) fn log_in(&mut self, login: Login) {
        self.card.seen.lock().user = login.user().cloned();
        self.login = login;
    }
    /// True if it has a subscription.
    pub(crate) fn is_subscribed(&self) -> bool {
        !self.subscriptions.is_empty()
    }
    /// True if it may be told something by a command of its own, beside the reply.
    pub(crate) fn hears(&self) -> bool {
        self.is_subscribed() || self.is_monitor
    }
    /// It sees no more commands.
    pub(crate) fn end_monitoring(&mut self, monitors: &Monitors) {
        if std::mem::take(&mut self.is_monitor) {
            monitors.remove(self.seat());
        }
    }
    /// True while only some commands are open to it: what it gets could not be told from replies.
    #[inline]
    pub(crate) fn is_in_subscriber_mode(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.is_subscribed()
    }
    /// Which output limits apply to it.
    pub(crate) fn class(&self) -> Class {
        if self.is_subscribed() { Class::PubSub } else { Class::Normal }
    }

    /// Writes what CLIENT LIST shows.
    pub(crate) fn publish(&self, command: Option<&'static Entry>, now_ms: u64, buffers: Buffers) {
        let mut seen = self.card.seen.lock();
        seen.db = self.db;
        seen.protocol = self.protocol;
        seen.no_evict = self.no_evict;
        seen.no_touch = self.no_touch;
        seen.is_monitor = self.is_monitor;
        seen.watching = self.watched.len();
        seen.subscriptions = Kind::ALL.map(|kind| self.subscriptions.len(kind));
        seen.queued = self.transaction.as_ref().map(|transaction| transaction.requests.len());
        seen.active_ms = now_ms;
        seen.buffers = buffers;
        seen.traffic = self.traffic;
        if command.is_some() {
            seen.command = command;
        }
    }
}

/// What a command may change of its client, to be put back if it is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    db: usize,
    protocol: Protocol,
    replies: Replies,
    close: bool,
    wait_durable: bool,
    no_evict: bool,
    no_touch: bool,
}

impl ClientState {
    pub(crate) fn before(&self) -> Before {
        let ClientState { db, protocol, replies, close, wait_durable, no_evict, no_touch, .. } =
            *self;
        Before { db, protocol, replies, close, wait_durable, no_evict, no_touch }
    }
    /// The command that ran since has not run.
    pub(crate) fn take_back(&mut self, before: Before) {
        self.db = before.db;
        self.protocol = before.protocol;
        self.replies = before.replies;
        self.close = before.close;
        self.wait_durable = before.wait_durable;
        self.no_evict = before.no_evict;
        self.no_touch = before.no_touch;
        self.published.clear();
        self.failed.clear();
        if let Some(executed) = self.executed.take() {
            self.transaction = Some(executed);
        }
    }
}

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// Not for the next command.
    SkipNext,
    /// Not for the command that runs.
    SkipThis,
}

impl Replies {
    /// What applies to the next command.
    pub(crate) fn after_command(self) -> Self {
        match self {
            Replies::SkipNext => Replies::SkipThis,
            Replies::SkipThis => Replies::On,
            other => other,
        }
    }
}

/// What has been queued since MULTI.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) requests: Vec<Queued>,
    /// A command was refused while queueing: EXEC answers EXECABORT.
    pub(crate) refused: bool,
}

/// A queued request.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) entry: &'static Entry,
    pub(crate) args: Vec<Vec<u8>>,
}

/// Sizes of a connection's buffers, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buffers {
    pub(crate) input: usize,
    pub(crate) output: usize,
}

/// What has passed over a connection since it was opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) input_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) commands: u64,
}

/// What other connections may know and do about a client.
#[derive(Debug)]
pub(crate) struct Card {
    pub(crate) id: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) connected_ms: u64,
    /// The index of the worker that serves it.
    worker: AtomicUsize,
    pub(crate) seen: Mutex<Seen>,
    killed: AtomicBool,
    blocked: AtomicBool,
    /// One of the keys it watches has changed.
    watched_changed: Arc<AtomicBool>,
}

/// The part of a card that changes.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) name: Vec<u8>,
    /// `None` is `default`.
    pub(crate) user: Option<Arc<User>>,
    pub(crate) lib_name: Vec<u8>,
    pub(crate) lib_ver: Vec<u8>,
    pub(crate) db: usize,
    pub(crate) protocol: Protocol,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    pub(crate) is_monitor: bool,
    pub(crate) watching: usize,
    /// Channels, patterns, shard channels.
    pub(crate) subscriptions: [usize; 3],
    pub(crate) queued: Option<usize>,
    pub(crate) active_ms: u64,
    pub(crate) command: Option<&'static Entry>,
    pub(crate) buffers: Buffers,
    pub(crate) traffic: Traffic,
}

impl Card {
    pub(crate) fn new(
        id: u64,
        peer: SocketAddr,
        local: SocketAddr,
        worker: usize,
        now_ms: u64,
    ) -> Self {
        let seen = Mutex::new(Seen { active_ms: now_ms, ..Seen::default() });
        Card {
            id,
            peer,
            local,
            connected_ms: now_ms,
            worker: AtomicUsize::new(worker),
            seen,
            killed: AtomicBool::new(false),
            blocked: AtomicBool::new(false),
            watched_changed: Arc::default(),
        }
    }
    /// Asks the client's worker to close it at its next turn.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::SeqCst);
    }
    pub(crate) fn is_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
    /// The index of the worker that serves it, or will when it has arrived there.
    pub(crate) fn worker(&self) -> usize {
        // One order for this and `killed`: whoever kills a client and finds its old worker here
        // has done so before the new one looks.
        self.worker.load(Ordering::SeqCst)
    }
    /// Says which worker serves it from now on.
    pub(crate) fn move_to(&self, worker: usize) {
        self.worker.store(worker, Ordering::SeqCst);
    }

    /// True if the client speaks as this user, whatever that may do now.
    pub(crate) fn is_of(&self, user: &User) -> bool {
        match &self.seen.lock().user {
            Some(own) => own.is_same(user),
            None => user.name == DEFAULT_USER,
        }
    }
    /// Whether the client waits, for CLIENT LIST.
    pub(crate) fn set_blocked(&self, is_blocked: bool) {
        self.blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Which output limits apply to it.
    pub(crate) fn class(&self) -> Class {
        match self.seen.lock().subscriptions {
            [0, 0, 0] => Class::Normal,
            _ => Class::PubSub,
        }
    }

    /// The line of CLIENT LIST.
    pub(crate) fn line(&self, now_ms: u64) -> String {
        let seen = self.seen.lock();
        let mut flags = String::new();
        let [channels, patterns, shards] = seen.subscriptions;
        for (letter, set) in [
            ('O', seen.is_monitor),
            ('P', channels + patterns + shards > 0),
            ('x', seen.queued.is_some()),
            ('b', self.blocked.load(Ordering::Relaxed)),
            ('d', self.watched_changed.load(Ordering::Relaxed)),
            ('e', seen.no_evict),
            ('T', seen.no_touch),
        ] {
            if set {
                flags.push(letter);
            }
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let user = seen.user.as_ref().map_or(DEFAULT_USER, |user| &user.name);
        let memory = seen.buffers.input + seen.buffers.output;
        let events = if seen.buffers.output > 0 { "rw" } else { "r" };
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db={} \
             sub={channels} psub={patterns} ssub={shards} multi={} watch={} qbuf={} qbuf-free=0 \
             argv-mem=0 multi-mem=0 rbs={} rbp=0 obl={} oll=0 omem=0 tot-mem={memory} \
             events={events} cmd={} user={} redir=-1 resp={} lib-name={} lib-ver={} \
             io-thread={} tot-net-in={} tot-net-out={} tot-cmds={}",
            self.id,
            self.peer,
            self.local,
            String::from_utf8_lossy(&seen.name),
            now_ms.saturating_sub(self.connected_ms) / 1000,
            now_ms.saturating_sub(seen.active_ms) / 1000,
            seen.db,
            seen.queued.map_or(-1, |len| i64::try_from(len).unwrap_or(i64::MAX)),
            seen.watching,
            seen.buffers.input,
            seen.buffers.output,
            seen.buffers.output,
            seen.command.map_or("NULL", |entry| entry.full_name.as_str()),
            String::from_utf8_lossy(user),
            seen.protocol.number(),
            String::from_utf8_lossy(&seen.lib_name),
            String::from_utf8_lossy(&seen.lib_ver),
            self.worker(),
            seen.traffic.input_bytes,
            seen.traffic.output_bytes,
            seen.traffic.commands,
        )
    }
}
