//! What other threads tell a worker, and how they wake it.
//!
//! Does not know requests.

use std::fmt;
use std::sync::Arc;

use crossbeam_channel::Sender;
use mio::Waker;
use mio::net::TcpStream;

use super::Worker;
use crate::blocking::Delivery;
use crate::client::Card;
use crate::config::AppendFsync;
use crate::connection::Connection;
use crate::data::{Staged, StoreError};
use crate::pubsub::{Frame, Letter, PostBox};

/// What other threads tell a worker.
#[derive(Debug)]
pub(crate) enum Mail {
    Connection(TcpStream, Arc<Card>),
    /// The large values that the client in a slot waits for are written, or could not be.
    Staged {
        slot: usize,
        client: u64,
        staged: Result<Vec<Staged>, StoreError>,
    },
    /// The wait of one of the clients is over.
    Unblocked(Box<Delivery>),
    /// Clients of another worker, to serve from now on.
    Given(Vec<Connection>),
    /// One of the clients has been killed.
    Kill,
    Stop,
}

/// Where a worker's mail goes.
pub(crate) struct Mailbox {
    /// What the worker hands out to its clients.
    pub(crate) post: PostBox,
    pub(super) sender: Sender<Mail>,
    pub(super) waker: Waker,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn send(&self, mail: Mail) {
        // A worker that has ended needs no mail.
        if self.sender.send(mail).is_ok() {
            self.wake();
        }
    }
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake a worker");
        }
    }
}

impl Worker {
    pub(super) fn read_mail(&mut self) {
        let mut kill = false;
        while let Ok(mail) = self.mail.try_recv() {
            match mail {
                Mail::Connection(stream, card) => self.open(stream, card),
                Mail::Given(connections) => self.adopt(connections),
                Mail::Staged { slot, client, staged } => self.resume(slot, client, staged),
                Mail::Unblocked(delivery) => self.read_delivery(&delivery),
                Mail::Kill => kill = true,
                Mail::Stop => self.stopping = true,
            }
        }
        self.hand_out();
        self.release_held();
        if kill {
            self.close_killed();
        }
    }

    /// Gives clients what others have for them.
    pub(super) fn hand_out(&mut self) {
        let Some(mailbox) = self.shared.mailboxes.get().and_then(|all| all.get(self.index)) else {
            return;
        };
        let letters = mailbox.post.take();
        if letters.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let Worker { connections, queued, ready, .. } = self;
        let always = shared.parameters.appendfsync() == AppendFsync::Always;
        let mut touched = Vec::new();
        for letter in letters {
            let give = |slot: usize, client, frame: &Frame| {
                if let Some(Some(connection)) = connections.get_mut(slot)
                    && connection.client.id == client
                {
                    connection.push(frame);
                    if !std::mem::replace(&mut queued[slot], true) {
                        ready.push(slot);
                    }
                    if always {
                        touched.push(slot);
                    }
                }
            };
            match letter {
                Letter::Message(message) => shared.pubsub.hand_out(self.index, &message, give),
                Letter::Line(line) => shared.monitors.hand_out(self.index, &line, give),
            }
        }
        if always {
            // A message may tell of what is not durable yet.
            touched.sort_unstable();
            touched.dedup();
            self.hold(&touched, shared.engine.tip());
        }
    }

    /// A client's large values are written; what became of a client that is gone is dropped.
    fn resume(&mut self, slot: usize, client: u64, staged: Result<Vec<Staged>, StoreError>) {
        if let Some(Some(connection)) = self.connections.get_mut(slot)
            && connection.client.id == client
        {
            connection.client.staging.ready(staged);
            self.queue(slot);
        }
    }
}
