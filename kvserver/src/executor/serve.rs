//! Serving those who wait: their requests run directly behind the commit that made a key ready.
//!
//! The laws are those of [`crate::blocking`].

use std::collections::VecDeque;
use std::sync::atomic::Ordering::Relaxed;

use super::{Executor, call};
use crate::blocking::{Delivery, Wait, Waiter};
use crate::client::ClientState;
use crate::command::CommandError;
use crate::command::acl::permit;
use crate::command::table::Entry;
use crate::context::Context;
use crate::data::{Round, Type};
use crate::resp::Reply;

/// What the requests of one turn have to do with those who wait.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Keys that were changed and that somebody waits for, in the order of the changes.
    ready: VecDeque<(usize, Vec<u8>)>,
    /// Replies for those served, which are true once the turn's changes are written.
    pub(crate) served: Vec<Delivery>,
    /// A client of this worker waits from now on.
    pub(crate) has_blocked: bool,
}

impl Turn {
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

impl Executor<'_> {
    /// The request has found nothing and waits.
    #[cold]
    pub(super) fn block(
        &mut self,
        entry: &'static Entry,
        args: &[&[u8]],
        client: &mut ClientState,
        wait: Wait,
    ) {
        // It is counted when it ends.
        self.tally.take_back();
        self.turn.has_blocked = true;
        self.shared.blocked.add(|ticket| Waiter::new(ticket, (entry, args), client, wait));
    }

    /// Remembers which of the keys that are about to change somebody waits for.
    pub(super) fn note_ready(&mut self) {
        let (blocked, ready) = (&self.shared.blocked, &mut self.turn.ready);
        self.data.touched(|touched| blocked.touched(touched, |key| ready.push_back(key)));
    }

    /// Serves who waits for keys that are ready, and for those that this makes ready.
    #[cold]
    pub(super) fn serve(&mut self, round: &mut Round<'_, '_>) {
        while let Some(key) = self.turn.ready.pop_front() {
            let mut ticket = 0;
            while let Some(waiter) = self.shared.blocked.next(&key, ticket) {
                ticket = waiter.ticket;
                match self.kind_of(&key) {
                    None => break,
                    kind if kind != waiter.wait.kind => continue,
                    Some(_) => {}
                }
                // Its worker has been told to close it.
                if !waiter.card.is_killed() {
                    self.serve_one(&waiter, round);
                }
            }
        }
    }

    /// What a key holds now; looking does not count.
    fn kind_of(&mut self, (db, key): &(usize, Vec<u8>)) -> Option<Type> {
        let lookups = self.data.lookups();
        let kind = self.data.db(*db).kind(key);
        self.data.set_lookups(lookups);
        // A store that cannot be read serves nobody; whoever asks next is told.
        kind.ok().flatten()
    }

    /// Runs the request of a waiter as its client would (B3).
    fn serve_one(&mut self, waiter: &Waiter, round: &mut Round<'_, '_>) {
        let (mut out, mut client) = (Vec::new(), waiter.stand_in());
        let args: Vec<&[u8]> = waiter.args.iter().map(Vec::as_slice).collect();
        self.data.set_heard(self.shared.is_listening());
        let mut ctx = Context {
            args: &args,
            now_ms: self.time.now_ms(),
            rng: self.rng,
            reply: Reply::new(&mut out, client.protocol),
            client: &mut client,
            server: self.shared,
            data: self.data,
        };
        let permitted = match ctx.client.login.is_free_in(ctx.server.access.epoch()) {
            true => Ok(()),
            false => permit(waiter.entry, &args, ctx.client, ctx.server),
        };
        if let Err(error) = permitted {
            return self.refuse(waiter, &error);
        }
        call(waiter.entry, &mut ctx);
        debug_assert!(client.wait.is_none(), "B3");
        if client.wait.is_some() {
            return;
        }
        // A large value is written here, not by a helper: the element must not wait.
        if let Err(error) = self.commit(Some(round), Vec::new()) {
            out = waiter.error(&CommandError::from(error));
        }
        self.shared.blocked.take(waiter.ticket);
        self.shared.stats.command(waiter.entry).count_call();
        self.shared.stats.count_failed(&mut client.failed);
        self.turn.served.push(waiter.delivery(out, None));
    }

    /// The client may not do any more what it waits for.
    fn refuse(&mut self, waiter: &Waiter, error: &CommandError) {
        self.shared.blocked.take(waiter.ticket);
        self.shared.stats.error(&error.to_string());
        self.shared.stats.command(waiter.entry).rejected.fetch_add(1, Relaxed);
        self.turn.served.push(waiter.delivery(waiter.error(error), None));
    }
}
