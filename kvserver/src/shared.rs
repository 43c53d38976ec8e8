//! What all workers share.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crossbeam_channel::Sender;
use parking_lot::{Mutex, RwLock};

use crate::access::Access;
use crate::background::{Job, OrphanCheck};
use crate::balance::Balance;
use crate::blocking::{self, Delivery, Unblock, Waiter};
use crate::client::Card;
use crate::command::debug::DebugState;
use crate::config::Config;
use crate::data::{Classes, Data, Engine, Event, StoreError};
use crate::error::Error;
use crate::eviction::Eviction;
use crate::monitor::Monitors;
use crate::notify::notify;
use crate::observe::Observer;
use crate::output_limits::OutputLimits;
use crate::parameters::{Live, Parameters};
use crate::pause::Pause;
use crate::pubsub::{Outbox, PubSub};
use crate::stats::Stats;
use crate::watch::Watches;
use crate::worker::{Mail, Mailbox};

/// No string is longer, whatever the parameter allows: the store takes no more, and room for one is
/// made before it is filled.
const STRING_BYTES_MAX: u64 = u32::MAX as u64;

/// The state of the server, shared by its threads.
///
/// Lock order: `gate`, then any one of the others; those are never held together.
pub(crate) struct Shared {
    pub(crate) engine: Arc<Engine>,
    pub(crate) config: Config,
    pub(crate) addr: SocketAddr,
    pub(crate) parameters: Parameters,
    pub(crate) access: Access,
    pub(crate) stats: Stats,
    pub(crate) watches: Watches,
    pub(crate) eviction: Eviction,
    /// Memory for keys when the server started.
    pub(crate) memory_at_start: u64,
    pub(crate) blocked: blocking::Registry,
    pub(crate) clients: Clients,
    pub(crate) output_limits: OutputLimits,
    pub(crate) pubsub: PubSub,
    pub(crate) debug: DebugState,
    pub(crate) monitors: Monitors,
    pub(crate) pause: Pause,
    pub(crate) observer: Observer,
    /// Held shared by commands that read, exclusively by those that may write.
    pub(crate) gate: RwLock<()>,
    pub(crate) started_ms: u64,
    /// Forty hex digits, different at each start.
    pub(crate) run_id: String,
    pub(crate) jobs: Sender<Job>,
    pub(crate) background: BackgroundState,
    pub(crate) mailboxes: OnceLock<Vec<Mailbox>>,
    pub(crate) balance: Mutex<Balance>,
    pub(crate) stop: Stop,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// What the background thread is at, for INFO.
#[derive(Debug, Default)]
pub(crate) struct BackgroundState {
    pub(crate) merging: AtomicBool,
    pub(crate) saving: AtomicBool,
    /// Seconds since the Unix epoch.
    pub(crate) last_save_s: AtomicU64,
    pub(crate) orphans: OrphanCheck,
}

/// How the server is asked to end.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    cause: Mutex<Option<String>>,
    /// The first thread that panicked.
    panicked: OnceLock<String>,
    waker: OnceLock<mio::Waker>,
}

impl Stop {
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
    /// Asks; says so to the accept loop, which stops the workers.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(waker) = self.waker.get()
            && let Err(error) = waker.wake()
        {
            tracing::error!(%error, "cannot wake the accept loop");
        }
    }
    pub(crate) fn set_waker(&self, waker: mio::Waker) {
        // Only the accept loop sets it, once.
        let _ = self.waker.set(waker);
    }
    /// Asks, as a thread has panicked and is missing.
    pub(crate) fn mourn(&self, thread: String) {
        tracing::error!(thread, "a thread of the server panicked; the server ends");
        // The first one is kept: others may follow from it.
        let _ = self.panicked.set(thread);
        self.ask();
    }
    /// The thread that panicked, if one has.
    pub(crate) fn panicked(&self) -> Option<String> {
        self.panicked.get().cloned()
    }
    /// Why the server ends, if it was not asked to by a person.
    pub(crate) fn cause(&self) -> Option<String> {
        self.cause.lock().clone()
    }
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        addr: SocketAddr,
        engine: Arc<Engine>,
        jobs: Sender<Job>,
    ) -> Result<Self, Error> {
        let background = BackgroundState::default();
        background.last_save_s.store(now_ms() / 1000, Ordering::Relaxed);
        let parameters = Parameters::new(&config, addr.port())?;
        let output_limits = OutputLimits::default();
        output_limits.set(&parameters.value("client-output-buffer-limit"));
        let access = Access::start(&config, &parameters)?;
        Ok(Shared {
            access,
            memory_at_start: engine.memory().held,
            parameters,
            output_limits,
            pubsub: PubSub::new(config.threads),
            debug: DebugState::default(),
            monitors: Monitors::new(config.threads),
            pause: Pause::default(),
            observer: Observer::new(config.threads),
            balance: Mutex::new(Balance::new(config.threads)),
            engine,
            config,
            addr,
            stats: Stats::default(),
            watches: Watches::default(),
            eviction: Eviction::default(),
            blocked: blocking::Registry::default(),
            clients: Clients::default(),
            gate: RwLock::new(()),
            started_ms: now_ms(),
            run_id: run_id(),
            jobs,
            background,
            mailboxes: OnceLock::new(),
            stop: Stop::default(),
        })
    }
    /// True if somebody wants to know which keys a command changes.
    pub(crate) fn is_listening(&self) -> bool {
        !self.watches.is_empty()
            || !self.blocked.is_empty()
            || !self.notified().is_none()
            || tracing::enabled!(tracing::Level::TRACE)
    }
    /// The classes of events that are published, while somebody subscribes to anything.
    #[inline]
    pub(crate) fn notified(&self) -> Classes {
        let bits = self.parameters.number(Live::NotifiedEvents);
        if bits == 0 || self.pubsub.is_empty() {
            return Classes::NONE;
        }
        Classes::from_bits(u16::try_from(bits).unwrap_or(0))
    }
    /// Tells whoever listens of the events among pending changes, in the commit that follows; what
    /// is published of them waits in `outbox` for it.
    pub(crate) fn hear_all(&self, data: &Data, outbox: &mut Outbox) {
        for (at, event) in data.events().enumerate() {
            self.hear(&event);
            outbox.stage_spoken(at);
            notify(self, &event, |outgoing| outbox.stage(outgoing));
        }
    }
    /// A key is about to change, in the commit that follows.
    pub(crate) fn hear(&self, event: &Event<'_>) {
        let Event { class, name, db, key } = event;
        tracing::trace!(?class, name, db, key = %key.escape_ascii(), "keyspace event");
    }
    /// The longest string a command may make, in bytes (`proto-max-bulk-len`).
    pub(crate) fn string_len_max(&self) -> u64 {
        self.parameters.bulk_len_max().min(STRING_BYTES_MAX)
    }
    /// Ends the server because the store failed; the first cause is kept.
    pub(crate) fn fail(&self, cause: &StoreError) {
        tracing::error!(%cause, "the store failed; the server ends");
        self.stop.cause.lock().get_or_insert_with(|| cause.to_string());
        self.stop.ask();
    }
    /// Asks the background thread for something.
    pub(crate) fn ask_background(&self, job: Job) {
        // It ends only after all workers have.
        if self.jobs.send(job).is_err() {
            tracing::error!("the background thread has ended");
        }
    }
    /// Makes these workers look which of their replies may leave now.
    pub(crate) fn wake(&self, workers: &[usize]) {
        let mailboxes = self.mailboxes.get().map_or(&[][..], Vec::as_slice);
        workers.iter().filter_map(|index| mailboxes.get(*index)).for_each(Mailbox::wake);
    }
    /// Makes every worker look which of its replies may leave now.
    pub(crate) fn wake_workers(&self) {
        self.mailboxes.get().into_iter().flatten().for_each(Mailbox::wake);
    }
    /// Ends the wait of a client; false if it does not wait.
    pub(crate) fn unblock(&self, id: u64, how: Unblock) -> bool {
        let Some(waiter) = self.blocked.take_client(id) else { return false };
        let delivery = match how {
            Unblock::Timeout => self.time_out(&waiter),
            Unblock::Error => {
                let text = "UNBLOCKED client unblocked via CLIENT UNBLOCK";
                self.stats.error(text);
                let command = self.stats.command(waiter.entry);
                command.count_call();
                command.failed.fetch_add(1, Ordering::Relaxed);
                waiter.delivery(waiter.error(&text), None)
            }
        };
        if let Some(mailbox) = self.mailboxes.get().and_then(|all| all.get(delivery.worker)) {
            mailbox.send(Mail::Unblocked(Box::new(delivery)));
        }
        true
    }
    /// What a client is sent whose time is over, and whose wait has been ended.
    pub(crate) fn time_out(&self, waiter: &Waiter) -> Delivery {
        self.stats.command(waiter.entry).count_call();
        let until = waiter.wait.wait_durable.then(|| self.engine.tip());
        waiter.delivery(waiter.wait.on_timeout.clone(), until)
    }
    /// Closes a client, at the next turn of its worker.
    pub(crate) fn kill(&self, card: &Card) {
        card.kill();
        // It counts no longer, whenever its worker comes to it.
        self.clients.remove(card.id);
        if let Some(mailbox) = self.mailboxes.get().and_then(|all| all.get(card.worker())) {
            mailbox.send(Mail::Kill);
        }
    }
}

/// The connected clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    cards: Mutex<BTreeMap<u64, Arc<Card>>>,
    last_id: AtomicU64,
}

impl Clients {
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }
    pub(crate) fn add(&self, card: Arc<Card>) {
        self.cards.lock().insert(card.id, card);
    }
    pub(crate) fn remove(&self, id: u64) {
        self.cards.lock().remove(&id);
    }
    pub(crate) fn len(&self) -> usize {
        self.cards.lock().len()
    }
    /// What their buffers hold, as they last said.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        let of = |card: &Arc<Card>| {
            let buffers = card.seen.lock().buffers;
            u64::try_from(buffers.input + buffers.output).unwrap_or(0)
        };
        self.cards.lock().values().map(of).sum()
    }
    /// All of them, oldest first.
    pub(crate) fn cards(&self) -> Vec<Arc<Card>> {
        self.cards.lock().values().cloned().collect()
    }
}

fn run_id() -> String {
    let mut rng = fastrand::Rng::new();
    (0..40).filter_map(|_| char::from_digit(rng.u32(..16), 16)).collect()
}

/// Microseconds since the Unix epoch.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
