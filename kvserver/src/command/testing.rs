//! Runs requests against databases in memory, for tests: no sockets, no workers, a clock by hand.

mod forgetful;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use kvcore::clock::SimClock;
use kvcore::disk::SimDisk;
use kvcore::{Background, Durability, Options, ReadMode};

use super::table::table;
use crate::background::expire_step;
use crate::blocking::{Delivery, Figures};
use crate::client::{Card, ClientState};
use crate::config::{AppendFsync, Config};
use crate::context::Context;
use crate::data::{Class, Cleaning, Data, Db, Engine};
use crate::eviction;
use crate::executor::{Executor, Turn, call};
use crate::pubsub::Outbox;
use crate::resp::Reply;
use crate::shared::Shared;
use crate::stats::Tally;

pub(crate) use forgetful::compare_with_forgetful;

/// One client of a server in memory.
pub(crate) struct Fixture {
    pub(crate) client: ClientState,
    pub(crate) now_ms: u64,
    clock: Arc<SimClock>,
    data: Data,
    shared: Shared,
    rng: fastrand::Rng,
    /// Clients that do not speak now.
    others: Vec<ClientState>,
    served: Vec<Delivery>,
    outbox: Outbox,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    /// With parameters that only the start sets.
    pub(super) fn with_settings(settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Self::with(Config { settings: settings.collect(), ..Config::default() })
    }

    pub(crate) fn with(config: Config) -> Self {
        let now_ms = 1_700_000_000_000;
        let clock = Arc::new(SimClock::new(now_ms));
        let options = Options::new()
            .disk(Arc::new(SimDisk::new(0x5eed)))
            .clock(Arc::<SimClock>::clone(&clock))
            .background(Background::Manual)
            .read_mode(ReadMode::Pread)
            .durability(Durability::Buffered);
        let store = options.open("/store").expect("a simulated disk fails only when asked to");
        let engine = Engine::new(store, config.databases, config.reverse_index());
        let engine = engine.expect("the keyspaces are new");
        let engine = Arc::new(engine);
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let (jobs, _) = crossbeam_channel::unbounded();
        Fixture {
            client: ClientState::new(Arc::new(Card::new(1, addr, addr, 0, 0))),
            now_ms,
            clock,
            data: Data::new(Arc::clone(&engine)),
            shared: Shared::new(config, addr, engine, jobs).expect("there are no settings"),
            rng: fastrand::Rng::with_seed(0x5eed),
            others: Vec::new(),
            served: Vec::new(),
            outbox: Outbox::default(),
        }
    }

    /// Runs a request of words separated by single spaces; `""` is an empty word.
    pub(crate) fn run(&mut self, request: &str) -> String {
        let words = request.split(' ').map(|word| if word == "\"\"" { "" } else { word });
        let words: Vec<&[u8]> = words.map(str::as_bytes).collect();
        String::from_utf8(self.call(&words)).expect("replies to such requests are text")
    }

    /// Runs a request and returns the reply's bytes.
    pub(crate) fn call(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        self.clock.set_wall_ms(self.now_ms);
        self.data.set_now_ms(self.now_ms);
        eviction::tick(&self.shared, self.now_ms);
        let entry = table().resolve(args[0], args.get(1).copied());
        let mut executor = Executor {
            shared: &self.shared,
            data: &mut self.data,
            rng: &mut self.rng,
            tally: &mut Tally::new(),
            outbox: &mut self.outbox,
            time: self.shared.engine.hold_time(),
            turn: Turn::default(),
        };
        let run = self.shared.engine.round(AppendFsync::No, |round| {
            executor.execute(entry, args, &mut self.client, &mut out, Some(round));
        });
        run.expect("a simulated disk fails only when asked to");
        self.served.append(&mut executor.end().served);
        out
    }

    /// Makes the next request ask the store of its collections.
    pub(super) fn forget_hot(&self) {
        self.shared.engine.forget_hot();
    }

    /// Lets the client with this id speak, a new one if there is none.
    pub(crate) fn be(&mut self, id: u64) -> &mut Self {
        if self.client.id != id {
            let client = match self.others.iter().position(|other| other.id == id) {
                Some(at) => self.others.swap_remove(at),
                None => {
                    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
                    ClientState::new(Arc::new(Card::new(id, addr, addr, 0, 0)))
                }
            };
            self.others.push(std::mem::replace(&mut self.client, client));
        }
        self
    }

    /// Who has been served since this was asked last, and the replies.
    pub(crate) fn served(&mut self) -> Vec<(u64, String)> {
        let mut served = Vec::new();
        for Delivery { ticket, reply, .. } in std::mem::take(&mut self.served) {
            let clients = self.others.iter_mut().chain([&mut self.client]);
            let is_meant = |client: &&mut ClientState| {
                client.blocked.as_ref().is_some_and(|blocked| blocked.ticket == ticket)
            };
            let client = clients.into_iter().find(is_meant).expect("who is served has waited");
            client.blocked = None;
            let reply = String::from_utf8(reply).expect("replies to such requests are text");
            served.push((client.id, reply.replace("\r\n", " ").trim_end().to_owned()));
        }
        served
    }

    /// The messages to anybody since this was asked last, each with its channel.
    pub(crate) fn told(&mut self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let messages = self.outbox.messages().map(|(to, what)| (text(to), text(what))).collect();
        self.outbox.clear();
        messages
    }

    /// Counts of those who wait.
    pub(crate) fn waiting(&self) -> Figures {
        self.shared.blocked.figures()
    }

    /// Removes what has expired, as the background does; how many keys.
    pub(crate) fn expire(&mut self) -> usize {
        self.clock.set_wall_ms(self.now_ms);
        let step = expire_step(&self.shared, &mut self.data, self.now_ms);
        step.expect("a simulated disk fails only when asked to")
    }

    /// Evicts some keys, as the background does; true if there is more to do.
    pub(crate) fn evict_step(&mut self) -> bool {
        let step = eviction::evict_step(&self.shared, &mut self.data);
        step.expect("a simulated disk fails only when asked to")
    }

    /// Sets a parameter, as another client does.
    pub(crate) fn shared_config_set(&mut self, name: &str, value: &str) {
        let set = self.shared.parameters.set(&[(name.as_bytes(), value.as_bytes())]);
        set.expect("tests know parameters").apply(&self.shared);
    }

    /// A number that INFO tells.
    pub(crate) fn info(&mut self, field: &str) -> u64 {
        let in_multi = self.client.transaction.take();
        let info = self.run("INFO");
        self.client.transaction = in_multi;
        let line = info.split("\r\n").find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap_or_else(|| panic!("INFO tells no {field}")).parse().expect("a number")
    }

    /// Removes what dead sets have left, as the background does.
    pub(crate) fn clean_sets(&mut self) {
        let mut cleaning = Cleaning::default();
        let mut step = || self.shared.engine.clean_sets(&mut cleaning);
        while step().expect("a simulated disk fails only when asked to") {}
    }

    /// How many members and sets the reverse index of sets knows.
    pub(crate) fn reverse_entries(&self) -> (u64, u64) {
        self.shared.engine.store_and_entries().1
    }

    /// Ends the server and starts it again, with or without a reverse index of sets.
    pub(crate) fn restart(&mut self, set_reverse_index: bool) {
        let store = self.shared.engine.store_and_entries().0.clone();
        let mut config = self.shared.config.clone();
        config.set_reverse_index = set_reverse_index;
        let engine = Engine::new(store, config.databases, config.reverse_index());
        let engine = Arc::new(engine.expect("the keyspaces were opened before"));
        let (jobs, _) = crossbeam_channel::unbounded();
        self.data = Data::new(Arc::clone(&engine));
        let shared = Shared::new(config, self.shared.addr, engine, jobs);
        self.shared = shared.expect("there are no settings");
    }

    /// What the changes of requests are told as, in one transaction that is thrown away.
    pub(crate) fn events(&mut self, requests: &[&str]) -> Vec<(Class, &'static str, String)> {
        self.data.set_now_ms(self.now_ms);
        self.data.set_heard(true);
        let mark = self.data.mark();
        for request in requests {
            let args: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let mut out = Vec::new();
            let mut ctx = Context {
                args: &args,
                now_ms: self.now_ms,
                rng: &mut self.rng,
                reply: Reply::new(&mut out, self.client.protocol),
                client: &mut self.client,
                server: &self.shared,
                data: &mut self.data,
            };
            let entry = table().resolve(args[0], args.get(1).copied());
            call(entry.expect("the request names a command"), &mut ctx);
        }
        let text = |key: &[u8]| String::from_utf8(key.to_vec()).expect("keys of tests are text");
        let events = self.data.events().map(|event| (event.class, event.name, text(event.key)));
        let events = events.collect();
        self.data.roll_back(mark);
        events
    }

    /// Calls `f` with database 0 and commits what it changes.
    pub(crate) fn with_db(&mut self, f: impl FnOnce(&mut Db<'_>)) {
        self.data.set_now_ms(self.now_ms);
        f(&mut self.data.db(0));
        let data = &mut self.data;
        let run = self.shared.engine.round(AppendFsync::No, |round| data.commit(round));
        run.and_then(|done| done).expect("a simulated disk fails only when asked to");
    }

    /// The databases.
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.shared.engine
    }

    /// Collections without a key and keys without their collection.
    pub(crate) fn orphans(&self) -> usize {
        let orphans = self.shared.engine.orphans();
        orphans.expect("a simulated disk fails only when asked to").len()
    }

    /// Checks the replies to requests, each written `request => reply` with `\r\n` left out.
    pub(crate) fn check(&mut self, dialogue: &[(&str, &str)]) {
        for (request, expected) in dialogue {
            let reply = self.run(request);
            assert_eq!(reply.replace("\r\n", " ").trim_end(), *expected, "{request}");
        }
    }
}
