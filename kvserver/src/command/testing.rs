//! Runs commands against databases in memory, for tests: no sockets, no workers, a clock by hand.

use std::sync::Arc;

use super::{Command, CommandError, table};
use crate::client::ClientState;
use crate::context::Context;
use crate::data::{Data, Engine};
use crate::resp::{Protocol, Reply};
use crate::server::Shared;

/// One client of a server in memory.
pub(super) struct Fixture {
    pub(super) client: ClientState,
    pub(super) now_ms: u64,
    data: Data,
    shared: Shared,
    rng: fastrand::Rng,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Fixture {
            client: ClientState { id: 1, db: 0, protocol: Protocol::Resp2 },
            now_ms: 1_700_000_000_000,
            data: Data::new(Arc::new(Engine::in_memory(16))),
            shared: Shared { proto_max_bulk_len: (512 << 20).into() },
            rng: fastrand::Rng::with_seed(0x5eed),
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
        let outcome = find(args).and_then(|command| {
            (command.handler)(&mut Context {
                args,
                now_ms: self.now_ms,
                rng: &mut self.rng,
                reply: Reply::new(&mut out, self.client.protocol),
                client: &mut self.client,
                server: &self.shared,
                data: &mut self.data,
            })
        });
        let engine = Arc::clone(self.data.engine());
        match outcome {
            Ok(()) => engine.round(|round| self.data.commit(round)).expect("memory does not fail"),
            Err(error) => {
                out.clear();
                Reply::new(&mut out, self.client.protocol).error(&error);
                self.data = Data::new(engine);
            }
        }
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

fn find(args: &[&[u8]]) -> Result<&'static Command, CommandError> {
    let named = |commands: &[&'static Command], name: &[u8]| {
        let found =
            commands.iter().find(|command| name.eq_ignore_ascii_case(command.name.as_bytes()));
        found.copied().ok_or(CommandError::text("ERR unknown command"))
    };
    let mut command = named(table::all(), args[0])?;
    let mut name = command.name.to_owned();
    if !command.subcommands.is_empty() && args.len() > 1 {
        command = named(&command.subcommands.iter().collect::<Vec<_>>(), args[1])?;
        name = format!("{name}|{}", command.name);
    }
    if command.accepts(args.len()) { Ok(command) } else { Err(CommandError::Arity(name.into())) }
}
