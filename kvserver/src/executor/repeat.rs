//! Commands that are taken back, as their large values are to be written first, and run again.
//!
//! The laws are those of [`crate::staging`].

use super::Executor;
use crate::client::ClientState;
use crate::command::table::Entry;
use crate::command::{Flags, Group};
use crate::data::{Round, StoreError};
use crate::staging::Verdict;

/// Commands beside those on data that change nothing but what is put back.
const HARMLESS: [&str; 4] = ["echo", "ping", "select", "time"];

impl Executor<'_> {
    /// Commits, or takes the changes back until a helper has written their large values.
    #[inline]
    pub(super) fn stage_or_commit(
        &mut self,
        client: &mut ClientState,
        round: Option<&mut Round<'_, '_>>,
    ) -> Result<(), StoreError> {
        if !self.data.has_large() {
            client.staging.end();
            self.outbox.speak(&mut client.published);
            return self.commit(round, Vec::new());
        }
        match client.staging.decide(|staged| self.data.are_staged(staged)) {
            Verdict::Commit(staged) => {
                client.staging.end();
                self.outbox.speak(&mut client.published);
                self.commit(round, staged)
            }
            // Its worker writes the values, and others wait, rather than that it happens twice.
            Verdict::TakeBack if !may_repeat(client) => {
                client.staging.end();
                self.outbox.speak(&mut client.published);
                self.commit(round, Vec::new())
            }
            Verdict::TakeBack => {
                client.staging.want(self.data.take_back());
                Ok(())
            }
            Verdict::Fail(error) => {
                client.staging.end();
                drop(self.data.take_back());
                Err(error)
            }
        }
    }
}

/// True if what the client's request has done can be taken back as a whole. EXEC may hold commands
/// that act on other clients or on the server, or that change what is not put back.
#[cold]
fn may_repeat(client: &ClientState) -> bool {
    let harmless = |entry: &Entry| {
        let flags = entry.command.flags;
        flags.may_write()
            || flags.has(Flags::READONLY)
            || entry.command.group == Group::PubSub
            || HARMLESS.contains(&entry.full_name.as_str())
    };
    let executed = client.executed.as_ref();
    executed.is_none_or(|executed| executed.requests.iter().all(|queued| harmless(queued.entry)))
}
