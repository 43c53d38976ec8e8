//! A worker's clients that wait: their timers, and the replies that others send them.
//!
//! The laws are those of [`crate::blocking`].

use std::time::Instant;

use super::{Mail, Worker};
use crate::blocking::{Delivery, Ticket};
use crate::connection::Connection;
use crate::data::Position;
use crate::executor::Turn;

impl Worker {
    /// After a turn: starts the timers of those who wait from now on, and sends the replies of
    /// those who were served.
    pub(super) fn end_turn(&mut self, turn: Turn, slots: &[usize], observed: Option<Position>) {
        if turn.has_blocked {
            self.note_blocked(slots);
        }
        for mut delivery in turn.served {
            delivery.until = observed;
            self.send(delivery);
        }
    }

    fn note_blocked(&mut self, slots: &[usize]) {
        let now = Instant::now();
        for &slot in slots {
            let Some(connection) = &self.connections[slot] else { continue };
            if let Some(blocked) = &connection.client.blocked {
                self.waiting.begin(slot, blocked.ticket, now, blocked.timeout);
            }
        }
    }

    /// To the client's worker, which may be this one.
    fn send(&mut self, delivery: Delivery) {
        match self.shared.mailboxes.get().and_then(|all| all.get(delivery.worker)) {
            Some(mailbox) if delivery.worker != self.index => {
                mailbox.send(Mail::Unblocked(Box::new(delivery)));
            }
            _ => {
                // Its turn comes after the round that runs.
                let slot = self.deliver(&delivery);
                self.again.extend(slot);
            }
        }
    }

    /// The wait of a client is over, as another thread says.
    pub(super) fn read_delivery(&mut self, delivery: &Delivery) {
        if let Some(slot) = self.deliver(delivery) {
            self.queue(slot);
        }
    }

    /// The client is owed the reply, and goes on: its slot, if it is still there.
    fn deliver(&mut self, delivery: &Delivery) -> Option<usize> {
        let slot = self.waiting.end(delivery.ticket)?;
        let connection = self.connections[slot].as_mut()?;
        let was_held = connection.is_held();
        connection.unblock(&delivery.reply);
        if let Some(position) = delivery.until
            && position > self.shared.engine.durable()
        {
            connection.hold_until(position);
            if connection.is_held() && !was_held {
                self.held.push(slot);
            }
            self.ask_durable(position);
        }
        Some(slot)
    }

    /// Ends the waits whose time is over.
    pub(super) fn time_out(&mut self) {
        if self.waiting.is_timeless() {
            return;
        }
        let now = Instant::now();
        while let Some(ticket) = self.waiting.pop_due(now) {
            if let Some(delivery) = self.give_up(ticket) {
                self.read_delivery(&delivery);
            }
        }
    }
    /// Nothing, if the client has been served meanwhile: the reply is on its way.
    fn give_up(&mut self, ticket: Ticket) -> Option<Delivery> {
        let _gate = self.shared.gate.read();
        let waiter = self.shared.blocked.take(ticket)?;
        Some(self.shared.time_out(&waiter))
    }

    /// A connection ends: nobody serves it any more.
    pub(super) fn forget_blocked(&mut self, connection: &Connection) {
        if let Some(blocked) = &connection.client.blocked {
            self.waiting.end(blocked.ticket);
            let _gate = self.shared.gate.read();
            self.shared.blocked.take(blocked.ticket);
        }
    }
}
