//! Runs one request: checks it, queues it inside MULTI, calls the handler, commits its changes.
//!
//! Does not know sockets, parsing or locks; the worker holds the gate while this runs.
//!
//! # Laws
//!
//! E1. A handler that fails leaves one error line and no change (T2).
//! E2. All changes of a request, an EXEC included, become one batch, committed right after it.
//!     Or, if it holds values too large for the log that nobody has written yet, the request is
//!     taken back: it has not run, and runs again when they are (see [`crate::staging`]).
//! E3. Without a round nothing is committed: the request must not be able to write (T3).

mod repeat;
mod serve;

use crate::client::{ClientState, Queued, Replies};
use crate::command::acl::permit;
use crate::command::table::{Entry, table};
use crate::command::{CommandError, Flags};
use crate::context::Context;
use crate::data::{Class, Classes, Data, Lookups, Round, Staged, StoreError, Touched};
use crate::eviction::Room;
use crate::parameters::Live;
use crate::pubsub::Outbox;
use crate::resp::Reply;
use crate::shared::Shared;
use crate::stats::Tally;
use crate::{monitor, notify};
use kvcore::clock::HeldTime;
pub(crate) use serve::Turn;
use std::sync::atomic::Ordering::Relaxed;

/// What a worker lends to the requests it runs.
#[derive(Debug)]
pub(crate) struct Executor<'w> {
    pub(crate) shared: &'w Shared,
    pub(crate) data: &'w mut Data,
    pub(crate) rng: &'w mut fastrand::Rng,
    pub(crate) tally: &'w mut Tally,
    /// Posted when the round is committed.
    pub(crate) outbox: &'w mut Outbox,
    /// The store's time, which stands still meanwhile: what is there for one request of an EXEC is
    /// there for the next.
    pub(crate) time: HeldTime<'w>,
    /// What these requests have to do with clients that wait.
    pub(crate) turn: Turn,
}

impl Executor<'_> {
    /// Runs one request and appends its reply to `out`.
    pub(crate) fn execute(
        &mut self,
        entry: Option<&'static Entry>,
        args: &[&[u8]],
        client: &mut ClientState,
        out: &mut Vec<u8>,
        round: Option<&mut Round<'_, '_>>,
    ) {
        let start = out.len();
        if entry.is_none() && is_http(args[0]) {
            tracing::warn!(
                client.id,
                "closing a client that speaks HTTP: a browser was lured here?"
            );
            client.close = true;
            return;
        }
        let admitted = self.admit(entry, args, client, out, round);
        let pushes = admitted.is_ok() && entry.is_some_and(|e| e.command.flags.has(Flags::PUSHES));
        if let Err(error) = admitted {
            out.truncate(start);
            // What was written for a request that is refused when it runs again.
            client.staging.end();
            self.shared.stats.error(&error.to_string());
            Reply::new(out, client.protocol).error(&error);
        }
        if client.staging.is_wanted() || client.is_postponed {
            out.truncate(start);
            return;
        }
        if let (Some(wait), Some(entry)) = (client.wait.take(), entry) {
            self.block(entry, args, client, *wait);
        }
        if client.replies != Replies::On {
            let silenced = !pushes || client.transaction.is_some();
            if silenced {
                out.truncate(start);
            }
            client.replies = client.replies.after_command();
        }
    }

    /// Time goes on; what the requests have to do with clients that wait.
    pub(crate) fn end(self) -> Turn {
        self.turn
    }

    /// Counts what has been executed, so that INFO shows it.
    pub(crate) fn end_run(&mut self) {
        let stats = &self.shared.stats;
        self.tally.end(stats);
        let Lookups { hits, misses } = self.data.take_lookups();
        if hits + misses > 0 {
            stats.hits.fetch_add(hits, Relaxed);
            stats.misses.fetch_add(misses, Relaxed);
        }
    }

    /// Refuses, queues or calls.
    #[inline]
    fn admit(
        &mut self,
        entry: Option<&'static Entry>,
        args: &[&[u8]],
        client: &mut ClientState,
        out: &mut Vec<u8>,
        mut round: Option<&mut Round<'_, '_>>,
    ) -> Result<(), CommandError> {
        let entry = match check(entry, args, client, self.shared) {
            Ok(entry) => entry,
            Err(error) => return Err(self.turn_away(entry, client, error)),
        };
        if self.shared.pause.stops(entry, client, self.time.now_ms()) {
            client.is_postponed = true;
            return Ok(());
        }
        let flags = entry.command.flags;
        if (flags.has(Flags::DENYOOM) || client.transaction.is_some())
            && self.shared.parameters.number(Live::MaxMemory) > 0
        {
            self.check_memory(entry, client, round.as_deref_mut())?;
        }
        if let Some(transaction) = &mut client.transaction
            && !entry.command.flags.has(Flags::NOT_QUEUED)
        {
            // What will not run need not be kept.
            if !transaction.refused && !client.watched.is_marked() {
                let args = args.iter().map(|arg| arg.to_vec()).collect();
                transaction.requests.push(Queued { entry, args });
            }
            Reply::new(out, client.protocol).simple("QUEUED");
            return Ok(());
        }
        self.tally.begin(entry, &self.shared.stats);
        let reply = Reply::new(out, client.protocol);
        let mut ctx = Context {
            args,
            now_ms: self.time.now_ms(),
            rng: self.rng,
            reply,
            client,
            server: self.shared,
            data: self.data,
        };
        if !entry.command.flags.may_write() {
            let tells_misses = ctx.server.notified().has(Class::KeyMiss);
            ctx.data.set_heard(tells_misses);
            ctx.data.set_notified(if tells_misses { ctx.server.notified() } else { Classes::NONE });
            call(entry, &mut ctx);
            show(entry, &mut ctx);
            self.shared.stats.count_failed(&mut client.failed);
            debug_assert_eq!(self.data.pending_len(), 0, "T3");
            let speaks = entry.command.flags.has(Flags::PUBSUB) || !client.published.is_empty();
            if tells_misses || speaks {
                self.end_reader(client);
            }
            return Ok(());
        }
        ctx.data.set_heard(ctx.server.is_listening());
        ctx.data.set_notified(ctx.server.notified());
        let before = (ctx.client.before(), ctx.data.lookups());
        call(entry, &mut ctx);
        show(entry, &mut ctx);
        let result = self.stage_or_commit(client, round.as_deref_mut());
        if client.staging.is_wanted() {
            client.take_back(before.0);
            self.shared.pubsub.take_back(client.seat(), &mut client.subscriptions);
            self.data.set_lookups(before.1);
            self.tally.take_back();
        } else {
            self.end_writer(client);
        }
        if let (true, Some(round)) = (self.turn.has_ready(), round) {
            self.serve(round);
        }
        result.map_err(CommandError::from)
    }

    /// A command that may write has run to its end.
    #[inline]
    fn end_writer(&mut self, client: &mut ClientState) {
        self.shared.stats.count_failed(&mut client.failed);
        if let Some(executed) = client.executed.take() {
            self.shared.watches.forget(&mut client.watched);
            let entries = executed.requests.iter().map(|queued| queued.entry);
            entries.for_each(|entry| self.shared.stats.command(entry).count_call());
            client.subscriptions.keep();
        }
    }
    /// A command that changes nothing has run: others hear what it has published or missed.
    #[cold]
    fn end_reader(&mut self, client: &mut ClientState) {
        client.subscriptions.keep();
        self.outbox.speak(&mut client.published);
        self.tell_events();
        self.outbox.keep();
    }
    /// Tells the events, which are gone afterwards.
    fn tell_events(&mut self) {
        if self.data.events_len() > 0 {
            self.shared.hear_all(self.data, self.outbox);
            self.data.clear_events();
        }
    }

    /// The request has not run. That of an EXEC ends the transaction, as nobody waits for another.
    #[cold]
    fn turn_away(
        &mut self,
        entry: Option<&'static Entry>,
        client: &mut ClientState,
        cause: CommandError,
    ) -> CommandError {
        if let Some(transaction) = &mut client.transaction {
            transaction.refused = true;
        }
        let Some(entry) = entry else { return cause };
        self.shared.stats.command(entry).rejected.fetch_add(1, Relaxed);
        if entry.command.name != "exec" {
            return cause;
        }
        client.transaction = None;
        self.shared.watches.forget(&mut client.watched);
        let cause = cause.to_string();
        let cause = cause.strip_prefix("ERR ").unwrap_or(&cause);
        let text = format!("EXECABORT Transaction discarded because of: {cause}");
        CommandError::Other(text.into())
    }

    /// Makes room for a command that may need memory, or refuses it: one that is queued needs some,
    /// too, and EXEC what its commands need.
    #[cold]
    fn check_memory(
        &mut self,
        entry: &'static Entry,
        client: &mut ClientState,
        round: Option<&mut Round<'_, '_>>,
    ) -> Result<(), CommandError> {
        if self.make_room(round)? != Room::None {
            return Ok(());
        }
        let flags = entry.command.flags;
        let Some(transaction) = &client.transaction else {
            return Err(self.turn_away(Some(entry), client, CommandError::OutOfMemory));
        };
        let is_exec = entry.command.name == "exec";
        let denies = |queued: &Queued| queued.entry.command.flags.has(Flags::DENYOOM);
        let is_over = is_exec && !transaction.refused && transaction.requests.iter().any(denies);
        if is_over || !flags.has(Flags::NOT_QUEUED) {
            return Err(self.turn_away(Some(entry), client, CommandError::OutOfMemory));
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn commit(
        &mut self,
        round: Option<&mut Round<'_, '_>>,
        staged: Vec<Staged>,
    ) -> Result<(), StoreError> {
        if self.data.pending_len() == 0 {
            self.tell_events();
            self.outbox.keep();
            return Ok(());
        }
        let round = round.expect("T3: only commands with the write flag have changes");
        if self.data.is_heard() {
            self.tell();
        }
        self.shared.stats.changes.fetch_add(1, Relaxed);
        let result = self.data.commit_staged(round, staged);
        match &result {
            Ok(()) => self.outbox.keep(),
            Err(error) => {
                self.outbox.forget();
                if error.is_final() {
                    self.shared.fail(error);
                }
            }
        }
        result
    }

    /// Tells whoever listens what is about to change: the one place where WATCH and keyspace
    /// events learn of it.
    fn tell(&mut self) {
        if !self.shared.blocked.is_empty() {
            self.note_ready();
        }
        self.shared.hear_all(self.data, self.outbox);
        let watches = &self.shared.watches;
        self.data.touched(|touched| match touched {
            Touched::Key(db, key) => watches.touch_key(db, key),
            Touched::Cleared(db) => watches.touch_all(db, |key| self.data.is_stored(db, key)),
            Touched::Swapped(a, b) => {
                let exists =
                    |key: &[u8]| self.data.is_stored(a, key) || self.data.is_stored(b, key);
                watches.touch_all(a, exists);
                watches.touch_all(b, exists);
            }
        });
    }
}

/// Shows a command that has run to clients that see every command. EXEC calls this for each
/// command it has queued.
#[inline]
pub(crate) fn show(entry: &Entry, ctx: &mut Context<'_>) {
    if !ctx.server.monitors.is_empty() {
        let line = monitor::report(ctx.server, entry, ctx.args, ctx.client);
        let events = ctx.data.events_len();
        ctx.client.published.extend(line.map(|line| (events, line)));
    }
}

/// True for a word that begins lines of an HTTP request, which a web page may make a browser send.
fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// The entry, if the request may run.
#[inline]
fn check(
    entry: Option<&'static Entry>,
    args: &[&[u8]],
    client: &mut ClientState,
    server: &Shared,
) -> Result<&'static Entry, CommandError> {
    let entry = entry.ok_or_else(|| table().unknown(args))?;
    if !entry.command.accepts(args.len()) {
        return Err(CommandError::Arity(entry.full_name.as_str().into()));
    }
    if !client.login.is_free_in(server.access.epoch()) {
        permit(entry, args, client, server)?;
    }
    if entry.command.flags.has(Flags::NO_MULTI) && client.transaction.is_some() {
        return Err(CommandError::text("ERR Command not allowed inside a transaction"));
    }
    if client.is_in_subscriber_mode() && !entry.command.flags.has(Flags::WHILE_SUBSCRIBED) {
        return Err(CommandError::err(format_args!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context",
            entry.full_name
        )));
    }
    Ok(entry)
}

/// Calls the handler; an error becomes the reply, and what came before it is undone.
/// EXEC calls this for each command it has queued. Whoever calls counts those that failed.
#[inline]
pub(crate) fn call(entry: &'static Entry, ctx: &mut Context<'_>) {
    let (mark, len) = (ctx.data.mark(), ctx.reply.len());
    ctx.data.begin();
    // What is repeated has been a use of its keys.
    ctx.data.set_quiet(ctx.client.no_touch || ctx.client.staging.is_repeated());
    if ctx.data.notified().has(Class::KeyMiss) {
        ctx.data.tell_misses(notify::misses(entry));
    }
    let begun = ctx.server.observer.begin();
    let outcome = (entry.command.handler)(ctx);
    ctx.server.observer.end(begun, entry, ctx);
    if let Err(error) = outcome {
        ctx.data.roll_back_failed(mark);
        ctx.reply.truncate(len);
        ctx.reply.error(&error);
        ctx.client.failed.push((entry, error.to_string()));
    }
}
