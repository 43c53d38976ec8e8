//! What one worker has for the clients of others, on its way.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Message;
use crate::monitor::Line;
use crate::shared::Shared;

/// What a worker hands out to its clients.
#[derive(Clone, Debug)]
pub(crate) enum Letter {
    Message(Arc<Message>),
    /// For clients that see every command.
    Line(Arc<Line>),
}

/// A letter and the workers it is for.
#[derive(Debug)]
pub(crate) struct Outgoing {
    receivers: usize,
    letter: Letter,
    workers: Vec<usize>,
}

impl Outgoing {
    pub(super) fn new(receivers: usize, message: Arc<Message>, workers: Vec<usize>) -> Self {
        Outgoing { receivers, letter: Letter::Message(message), workers }
    }
    pub(crate) fn line(line: Arc<Line>, workers: Vec<usize>) -> Self {
        Outgoing { receivers: 0, letter: Letter::Line(line), workers }
    }
    /// The number of subscriptions that hear it.
    pub(crate) fn receivers(&self) -> usize {
        self.receivers
    }
    #[cfg(test)]
    pub(super) fn letter(&self) -> &Letter {
        &self.letter
    }
}

/// Letters that wait for one worker.
#[derive(Debug, Default)]
pub(crate) struct PostBox(Mutex<Vec<Letter>>);

impl PostBox {
    /// Adds letters; true if there were none, so that the worker has to be told.
    fn put(&self, letters: &mut Vec<Letter>) -> bool {
        let mut waiting = self.0.lock();
        let was_empty = waiting.is_empty();
        waiting.append(letters);
        was_empty
    }
    /// Takes all that wait, in their order.
    pub(crate) fn take(&self) -> Vec<Letter> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// What a round has to post when it ends.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By worker; as long as the highest one that got anything.
    by_worker: Vec<Vec<Letter>>,
    len: usize,
    /// What the running request tells, if it is committed.
    staged: Vec<Outgoing>,
    /// What it has published, each after so many of its events.
    spoken: VecDeque<(usize, Outgoing)>,
}

impl Outbox {
    /// The number of letters, each counted once.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The request that ends has published this, each after so many of its events.
    #[inline]
    pub(crate) fn speak(&mut self, published: &mut Vec<(usize, Outgoing)>) {
        if !published.is_empty() {
            self.spoken.extend(published.drain(..));
        }
    }
    /// The request's event number `at` comes next: what was published before it precedes it.
    pub(crate) fn stage_spoken(&mut self, at: usize) {
        while let Some((_, outgoing)) = self.spoken.pop_front_if(|(after, _)| *after <= at) {
            self.staged.push(outgoing);
        }
    }
    /// The request tells this, if it is committed.
    pub(crate) fn stage(&mut self, outgoing: Outgoing) {
        self.staged.push(outgoing);
    }
    /// The request is committed.
    #[inline]
    pub(crate) fn keep(&mut self) {
        if !self.staged.is_empty() || !self.spoken.is_empty() {
            let spoken = self.spoken.drain(..).map(|(_, outgoing)| outgoing);
            let all: Vec<Outgoing> = self.staged.drain(..).chain(spoken).collect();
            all.into_iter().for_each(|outgoing| self.add(outgoing));
        }
    }
    /// The request is not committed.
    pub(crate) fn forget(&mut self) {
        self.staged.clear();
        self.spoken.clear();
    }
    fn add(&mut self, outgoing: Outgoing) {
        let Outgoing { letter, workers, .. } = outgoing;
        self.len += 1;
        for worker in workers {
            if self.by_worker.len() <= worker {
                self.by_worker.resize_with(worker + 1, Vec::new);
            }
            self.by_worker[worker].push(letter.clone());
        }
    }
    /// The messages for the first worker, each with its channel.
    #[cfg(test)]
    pub(crate) fn messages(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.by_worker.first().into_iter().flatten().filter_map(|letter| match letter {
            Letter::Message(message) => Some((&message.channel()[..], message.payload())),
            Letter::Line(_) => None,
        })
    }
    /// Nothing of it has happened.
    pub(crate) fn clear(&mut self) {
        self.by_worker.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }
    /// Posts everything, and wakes whom it is for, except the worker that does this, if one does.
    pub(crate) fn post(&mut self, shared: &Shared, me: Option<usize>) {
        self.len = 0;
        let Some(mailboxes) = shared.mailboxes.get() else { return self.clear() };
        for (worker, (letters, mailbox)) in self.by_worker.iter_mut().zip(mailboxes).enumerate() {
            if !letters.is_empty() && mailbox.post.put(letters) && me != Some(worker) {
                mailbox.wake();
            }
        }
    }
}
