//! One round of a worker: from ready sockets to replies.
//!
//! Reads and parses every ready connection, runs the requests that only read under the shared gate,
//! those of connections that may write under the exclusive one with a single write to the log, then
//! sends every reply with one call per connection; long ones of those that only read leave in
//! between.
//!
//! Does not know commands, and never waits for the disk.

use std::sync::Arc;

use super::Worker;
use crate::background::Job;
use crate::config::AppendFsync;
use crate::connection::Connection;
use crate::data::{Position, StoreError};
use crate::executor::{Executor, Turn};
use crate::resp::Limits;
use crate::shared::{Shared, now_ms};
use crate::staging::StageJob;

/// Empty inboxes kept for the next connections that have something to say.
const INBOXES_KEPT_MAX: usize = 256;
/// Arguments of one request, as Redis limits them.
const ARGS_MAX: u64 = 0x7FFF_FFFF;

impl Worker {
    pub(super) fn round(&mut self) {
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
                connection.spoke_in = self.period.number;
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
            let turn = executor.end();
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
    pub(super) fn post(&mut self) {
        if !self.outbox.is_empty() {
            self.outbox.post(&self.shared, Some(self.index));
            self.posted = true;
        }
    }

    pub(super) fn executor<'w>(
        &'w mut self,
        shared: &'w Shared,
    ) -> (Executor<'w>, &'w mut Vec<Option<Connection>>) {
        let time = shared.engine.hold_time();
        self.data.set_now_ms(time.now_ms());
        let Worker { data, rng, tally, outbox, connections, .. } = self;
        tally.start();
        let turn = Turn::default();
        (Executor { shared, data, rng, tally, outbox, time, turn }, connections)
    }

    /// Under `appendfsync always`, keeps the replies until what they observed is durable.
    pub(super) fn hold(&mut self, slots: &[usize], observed: Position) {
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
            self.ask_durable(observed);
        }
    }

    /// Asks to be woken when everything up to there is durable.
    pub(super) fn ask_durable(&self, until: Position) {
        self.shared.ask_background(Job::Durable { until, worker: self.index });
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
    pub(super) fn settle(&mut self, slot: usize) {
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

    /// Asks for large values of commands that were taken back to be written.
    fn stage(&mut self, slots: &[usize]) {
        for &slot in slots {
            let Some(connection) = &mut self.connections[slot] else { continue };
            if let Some(values) = connection.client.staging.take_wanted() {
                let (client, worker) = (connection.client.id, connection.client.card.worker());
                let job = Box::new(StageJob { values, worker, slot, client });
                self.shared.ask_background(Job::Stage(job));
            }
        }
    }

    pub(super) fn release_held(&mut self) {
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
}
