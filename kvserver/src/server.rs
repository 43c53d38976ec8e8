//! The server as a whole: listens, accepts, hands connections to workers, ends in order.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::JoinHandle;
use std::time::Duration;

use kvcore::Store;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use crate::background::{self, Job};
use crate::client::Card;
use crate::config::Config;
use crate::data::Engine;
use crate::error::Error;
use crate::eviction;
use crate::keepalive;
use crate::parameters::Live;
use crate::shared::{Shared, now_ms};
use crate::threads::{self, join};
use crate::worker::{Mail, Mailbox, Worker, reactor};

const LISTENER: Token = Token(0);
const WAKER: Token = Token(1);
/// How long a full table of descriptors is given to empty.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What clients from other machines are told while protected mode is on and there is no password.
const DENIED: &[u8] = b"-DENIED protected mode is on and no password is set for the default user: \
    only connections from this machine are accepted\r\n";

/// A server that listens; [`Server::run`] serves.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    poll: Poll,
    listener: TcpListener,
    workers: Vec<JoinHandle<()>>,
    helpers: Vec<JoinHandle<()>>,
}

/// Serves `store` on `listener` until the process is told to end by SHUTDOWN; for an application
/// that wants redis-cli to see its data. [`Server::with_listener`] also gives a handle to stop it.
///
/// The store stays open.
///
/// # Errors
///
/// As [`Server::with_listener`] and [`Server::run`].
pub fn serve(listener: StdListener, store: Store, config: Config) -> Result<(), Error> {
    Server::with_listener(listener, store, config)?.run()
}

/// Ends a server from another thread; may be cloned.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Shared>);

impl StopHandle {
    /// Asks the server to end: requests that are running finish, then [`Server::run`] returns.
    pub fn stop(&self) {
        self.0.stop.ask();
    }
}

impl Server {
    /// Listens as `config` says, to serve `store`.
    ///
    /// The databases are the keyspaces `db0:keys`, `db0:elements`, `db1:keys` and so on of the
    /// store, `kvserver:state`, and with [`Config::set_reverse_index`] `db0:members`, `db0:sets`
    /// and so on, which only the server may write; an application's other keyspaces are its own.
    ///
    /// # Errors
    ///
    /// As [`Config::listen`], [`Error::Store`] if the keyspaces cannot be opened, and
    /// [`Error::Setting`] if [`Config::settings`] holds what no parameter takes.
    pub fn bind(config: Config, store: Store) -> Result<Self, Error> {
        let listener = config.listen()?;
        Server::with_listener(listener, store, config)
    }

    /// Serves `store` on a listener that exists; `bind` and `port` of `config` count for nothing.
    ///
    /// # Errors
    ///
    /// As [`Server::bind`].
    pub fn with_listener(
        listener: StdListener,
        store: Store,
        config: Config,
    ) -> Result<Self, Error> {
        let engine = Engine::new(store, config.databases, config.reverse_index());
        let engine = engine.map_err(|error| Error::Store(error.to_string()))?;
        Server::start(config, listener, Arc::new(engine))
    }

    fn start(config: Config, listener: StdListener, engine: Arc<Engine>) -> Result<Self, Error> {
        let addr = listener.local_addr().map_err(Error::io("cannot read the listening address"))?;
        config.check(addr)?;
        listener
            .set_nonblocking(true)
            .map_err(Error::io("cannot make the listener non-blocking"))?;
        let mut listener = TcpListener::from_std(listener);
        let poll = Poll::new().map_err(Error::io("cannot make a reactor"))?;
        let registry = poll.registry();
        registry
            .register(&mut listener, LISTENER, Interest::READABLE)
            .map_err(Error::io("cannot watch the listener"))?;
        let (jobs, asked) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared::new(config, addr, engine, jobs)?);
        shared
            .stop
            .set_waker(Waker::new(registry, WAKER).map_err(Error::io("cannot make a waker"))?);
        let mut server =
            Server { shared, poll, listener, workers: Vec::new(), helpers: Vec::new() };
        eviction::tick(&server.shared, now_ms());
        eviction::remember_uses(&server.shared);
        server.start_helpers(asked)?;
        server.start_workers()?;
        Ok(server)
    }

    fn start_helpers(&mut self, asked: crossbeam_channel::Receiver<Job>) -> Result<(), Error> {
        let (slow, slow_asked) = crossbeam_channel::unbounded();
        let (stage, stage_asked) = crossbeam_channel::unbounded();
        let (alive, ended) = crossbeam_channel::bounded(0);
        let ended_too = ended.clone();
        let shared = Arc::clone(&self.shared);
        let sync = move || {
            background::sync_loop(&shared, &asked, &slow, &stage);
            // That it is gone tells the others to end.
            drop((alive, stage));
        };
        self.helpers.push(self.spawn("kv-sync", sync)?);
        let shared = Arc::clone(&self.shared);
        let slow = move || background::slow_loop(&shared, &slow_asked);
        self.helpers.push(self.spawn("kv-background", slow)?);
        let shared = Arc::clone(&self.shared);
        let stage = move || background::stage_loop(&shared, &stage_asked);
        self.helpers.push(self.spawn("kv-stage", stage)?);
        let shared = Arc::clone(&self.shared);
        let expiry = move || background::expiry_loop(&shared, &ended);
        self.helpers.push(self.spawn("kv-expiry", expiry)?);
        let (shared, until) = (Arc::clone(&self.shared), ended_too.clone());
        let evict = move || background::eviction_loop(&shared, &until);
        self.helpers.push(self.spawn("kv-eviction", evict)?);
        if self.shared.parameters.number(Live::CheckOrphans) != 0 {
            let (shared, until) = (Arc::clone(&self.shared), ended_too.clone());
            shared.background.orphans.is_running.store(true, Relaxed);
            let check = move || background::check_orphans(&shared, &until);
            self.helpers.push(self.spawn("kv-orphans", check)?);
        }
        if self.shared.config.set_reverse_index {
            let shared = Arc::clone(&self.shared);
            let clean = move || background::clean_loop(&shared, &ended_too);
            self.helpers.push(self.spawn("kv-sets", clean)?);
        }
        Ok(())
    }

    /// Starts a thread without which the server ends.
    fn spawn(
        &self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>, Error> {
        let shared = Arc::clone(&self.shared);
        threads::spawn(name, move |name| shared.stop.mourn(name), run)
    }

    fn start_workers(&mut self) -> Result<(), Error> {
        let mut mailboxes = Vec::new();
        for index in 0..self.shared.config.threads {
            let (poll, mail, mailbox) = reactor().map_err(Error::io("cannot make a reactor"))?;
            mailboxes.push(mailbox);
            let worker = Worker::new(index, poll, mail, Arc::clone(&self.shared));
            let shared = Arc::clone(&self.shared);
            let run = move || {
                if let Err(error) = worker.run() {
                    tracing::error!(%error, index, "a worker ended");
                    shared.stop.ask();
                }
            };
            self.workers.push(self.spawn(&format!("kv-worker-{index}"), run)?);
        }
        // Nobody else sets it, and it is set once.
        let _ = self.shared.mailboxes.set(mailboxes);
        Ok(())
    }

    /// The address clients connect to, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// What ends this server.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.shared))
    }

    /// Accepts and serves until stopped; returns when every connection is closed and everything
    /// committed has been synced.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store failed: what it acknowledged is safe, and nothing more is
    /// accepted. [`Error::Panicked`] if the server has a bug; the same holds.
    pub fn run(mut self) -> Result<(), Error> {
        let result = self.accept_until_stopped();
        self.shut_down();
        if let Some(cause) = self.shared.stop.cause() {
            return Err(Error::Store(cause));
        }
        result?;
        self.shared.engine.sync().map_err(|error| Error::Store(error.to_string()))?;
        match self.shared.stop.panicked() {
            Some(thread) => Err(Error::Panicked { thread }),
            None => Ok(()),
        }
    }

    fn accept_until_stopped(&mut self) -> Result<(), Error> {
        let mut events = Events::with_capacity(8);
        let mut retry = None;
        while !self.shared.stop.is_asked() {
            match self.poll.poll(&mut events, retry) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(Error::Io { what: "cannot wait for connections", source: error });
                }
                _ => retry = self.accept_waiting(),
            }
        }
        Ok(())
    }

    /// Accepts all that wait; when to try again if the system has no room for more.
    fn accept_waiting(&self) -> Option<Duration> {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if is_passing(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    return Some(ACCEPT_RETRY);
                }
            }
        }
    }

    fn admit(&self, mut stream: TcpStream, peer: SocketAddr) {
        let shared = &self.shared;
        shared.stats.connections.fetch_add(1, Relaxed);
        if shared.clients.len() >= shared.parameters.clients_max() {
            shared.stats.connections_rejected.fetch_add(1, Relaxed);
            // The client may be gone already; it is refused either way.
            let _ = io::Write::write(&mut stream, b"-ERR max number of clients reached\r\n");
            return;
        }
        if shared.config.protected_mode
            && !peer.ip().to_canonical().is_loopback()
            && shared.access.default_user().is_without_password()
        {
            shared.stats.connections_rejected.fetch_add(1, Relaxed);
            // As above.
            let _ = io::Write::write(&mut stream, DENIED);
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection ended before it was served");
            return;
        }
        let keepalive_s = shared.parameters.number(Live::TcpKeepaliveS);
        if let Err(error) = keepalive::set(&stream, keepalive_s) {
            tracing::debug!(%error, "cannot have the system ask whether a client is there");
        }
        let Some(mailboxes) = shared.mailboxes.get() else { return };
        let worker = least_loaded(shared, mailboxes);
        let (id, local) = (shared.clients.next_id(), stream.local_addr().unwrap_or(shared.addr));
        let card = Arc::new(Card::new(id, peer, local, worker, now_ms()));
        shared.clients.add(Arc::clone(&card));
        mailboxes[worker].send(Mail::Connection(stream, card));
    }

    fn shut_down(&mut self) {
        for mailbox in self.shared.mailboxes.get().into_iter().flatten() {
            mailbox.send(Mail::Stop);
        }
        join(&mut self.workers);
        self.shared.ask_background(Job::Stop);
        join(&mut self.helpers);
    }
}

/// True for the end of one connection before it was accepted: the next one may be fine.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn least_loaded(shared: &Shared, mailboxes: &[Mailbox]) -> usize {
    let mut loads = vec![0usize; mailboxes.len()];
    shared.clients.cards().iter().for_each(|card| loads[card.worker()] += 1);
    (0..loads.len()).min_by_key(|worker| loads[*worker]).unwrap_or(0)
}
