//! Runs commands against databases in memory, for tests: no sockets, no workers, a clock by hand.

use std::sync::{Arc, OnceLock};

use super::table::table;
use crate::client::{Card, ClientState};
use crate::config::Config;
use crate::data::{Data, Engine};
use crate::executor::Executor;
use crate::parameters::Parameters;
use crate::shared::{BackgroundState, Clients, Shared, Stop};
use crate::stats::{Stats, Tally};
use crate::watch::Watches;

/// One client of a server in memory.
pub(super) struct Fixture {
    pub(super) client: ClientState,
    pub(super) now_ms: u64,
    data: Data,
    shared: Shared,
    rng: fastrand::Rng,
    tally: Tally,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let engine = Arc::new(Engine::in_memory(16));
        let shared = shared(Arc::clone(&engine));
        let now_ms = 1_700_000_000_000;
        let card = Card::new(1, shared.addr, shared.addr, 0, now_ms);
        Fixture {
            client: ClientState::new(Arc::new(card)),
            now_ms,
            data: Data::new(engine),
            shared,
            rng: fastrand::Rng::with_seed(0x5eed),
            tally: Tally::new(),
        }
    }

    /// Runs a request of words separated by single spaces; `""` is an empty word.
    pub(super) fn run(&mut self, request: &str) -> String {
        let words = request.split(' ').map(|word| if word == "\"\"" { "" } else { word });
        let words: Vec<&[u8]> = words.map(str::as_bytes).collect();
        String::from_utf8(self.call(&words)).expect("replies to such requests are text")
    }

    /// Runs a request and returns the reply's bytes.
    pub(super) fn call(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        self.data.set_now_ms(self.now_ms);
        self.tally.start();
        let engine = Arc::clone(self.data.engine());
        let mut executor = Executor {
            shared: &self.shared,
            data: &mut self.data,
            rng: &mut self.rng,
            tally: &mut self.tally,
            now_ms: self.now_ms,
        };
        let entry = table().resolve(args[0], args.get(1).copied());
        let round = engine.round(|round| {
            executor.execute(entry, args, &mut self.client, &mut out, Some(round));
            Ok(())
        });
        round.expect("memory does not fail");
        out
    }

    /// Checks the replies to requests, each written `request => reply` with `\r\n` left out.
    pub(super) fn check(&mut self, dialogue: &[(&str, &str)]) {
        for (request, expected) in dialogue {
            let reply = self.run(request);
            assert_eq!(reply.replace("\r\n", " ").trim_end(), *expected, "{request}");
        }
    }
}

fn shared(engine: Arc<Engine>) -> Shared {
    let config = Config::default();
    let (jobs, _) = crossbeam_channel::unbounded();
    Shared {
        parameters: Parameters::new(&config, 0),
        engine,
        addr: config.addr(),
        stats: Stats::default(),
        watches: Watches::default(),
        clients: Clients::default(),
        gate: parking_lot::RwLock::new(()),
        started_ms: 0,
        run_id: String::new(),
        jobs,
        background: BackgroundState::default(),
        mailboxes: OnceLock::new(),
        stop: Stop::default(),
        config,
    }
}
