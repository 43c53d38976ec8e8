//! Publish and subscribe: who hears what, and how a message gets to every worker that needs it.
//!
//! The directory, which all workers share, counts subscriptions by worker: enough to answer PUBLISH
//! and to know where a message has to go. Which clients they are is in the roster of the worker
//! that serves them, so a message crosses to another worker once, however many hear it there.
//!
//! Knows names, clients by slot and id, and messages. Does not know sockets, commands or databases.
//!
//! # Laws
//!
//! B1. A message gets its number while the directory is locked, and a subscription remembers the
//!     last one before it: it hears exactly what is published after it.
//! B2. Only its worker subscribes a client, ends that, and hands it messages: once the end of a
//!     subscription is confirmed, nothing more of it comes.
//! B3. Messages reach a worker in the order in which they are posted, and they are posted before
//!     the publisher's reply leaves: who has seen a reply publishes behind it.
//! B4. Without subscriptions a publisher pays one load.

mod message;
mod post;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::glob::{self, Case};
pub(crate) use message::{Frame, Message};
pub(crate) use post::{Letter, Outbox, Outgoing, PostBox};

/// The name of a channel or a pattern, shared by everybody who needs it.
pub(crate) type Name = Arc<[u8]>;

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Channel,
    Pattern,
    /// A channel of SPUBLISH, which no pattern hears.
    Shard,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::Shard];

    const fn index(self) -> usize {
        match self {
            Kind::Channel => 0,
            Kind::Pattern => 1,
            Kind::Shard => 2,
        }
    }
}

/// Where a client sits: the index of its worker, its slot there, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) worker: usize,
    pub(crate) slot: usize,
    pub(crate) client: u64,
}

/// What one client subscribes to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    names: Option<Box<[BTreeSet<Name>; 3]>>,
    /// What the running request has added (true) and removed.
    changed: Vec<(Kind, Name, bool)>,
}

impl Subscriptions {
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_none()
    }
    /// How many there are of a kind.
    pub(crate) fn len(&self, kind: Kind) -> usize {
        self.names.as_ref().map_or(0, |names| names[kind.index()].len())
    }
    /// Those of a kind, in order.
    pub(crate) fn names(&self, kind: Kind) -> Vec<Name> {
        let names = self.names.iter().flat_map(|names| &names[kind.index()]);
        names.cloned().collect()
    }
    /// The request that made the last changes has run to its end.
    pub(crate) fn keep(&mut self) {
        self.changed.clear();
    }

    fn contains(&self, kind: Kind, name: &[u8]) -> bool {
        self.names.as_ref().is_some_and(|names| names[kind.index()].contains(name))
    }
    fn insert(&mut self, kind: Kind, name: Name) {
        self.names.get_or_insert_default()[kind.index()].insert(name);
    }
    fn remove(&mut self, kind: Kind, name: &[u8]) -> Option<Name> {
        let names = self.names.as_mut()?;
        let name = names[kind.index()].take(name);
        if names.iter().all(BTreeSet::is_empty) {
            self.names = None;
        }
        name
    }
}

/// How many subscriptions a name has, by worker.
#[derive(Debug, Default)]
struct Topic {
    by_worker: Vec<(usize, usize)>,
}

impl Topic {
    fn total(&self) -> usize {
        self.by_worker.iter().map(|(_, count)| count).sum()
    }
    fn add(&mut self, worker: usize) {
        match self.by_worker.iter_mut().find(|(at, _)| *at == worker) {
            Some((_, count)) => *count += 1,
            None => self.by_worker.push((worker, 1)),
        }
    }
    fn remove(&mut self, worker: usize) {
        if let Some(at) = self.by_worker.iter().position(|(at, _)| *at == worker) {
            self.by_worker[at].1 -= 1;
            if self.by_worker[at].1 == 0 {
                self.by_worker.swap_remove(at);
            }
        }
    }
}

/// One subscription of one client.
#[derive(Clone, Copy, Debug)]
struct Subscriber {
    slot: usize,
    client: u64,
    /// The number of the last message before it.
    since: u64,
}

type Directory = [HashMap<Name, Topic>; 3];
/// The subscribers of each name, in the order of their slots.
type Roster = [HashMap<Name, Vec<Subscriber>>; 3];

/// All subscriptions.
#[derive(Debug)]
pub(crate) struct PubSub {
    directory: RwLock<Directory>,
    /// By worker, who alone takes its lock, but for [`PubSub::listeners`].
    rosters: Box<[Mutex<Roster>]>,
    subscriptions: AtomicUsize,
    clients: AtomicUsize,
    last_number: AtomicU64,
}

impl PubSub {
    pub(crate) fn new(workers: usize) -> Self {
        PubSub {
            directory: RwLock::default(),
            rosters: (0..workers).map(|_| Mutex::default()).collect(),
            subscriptions: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            last_number: AtomicU64::new(0),
        }
    }
    /// True if nobody subscribes to anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.subscriptions.load(Ordering::Relaxed) == 0
    }
    /// The number of clients with at least one subscription.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }
    /// How many different names have subscriptions.
    pub(crate) fn names(&self, kind: Kind) -> usize {
        self.directory.read()[kind.index()].len()
    }
    /// The names with subscriptions that match `pattern`.
    pub(crate) fn matching(&self, kind: Kind, pattern: Option<&[u8]>) -> Vec<Name> {
        let directory = self.directory.read();
        let names = directory[kind.index()].keys();
        let fits = |name: &&Name| pattern.is_none_or(|p| glob::matches(p, name, Case::Sensitive));
        names.filter(fits).cloned().collect()
    }
    /// The number of subscriptions to a name.
    pub(crate) fn subscribers(&self, kind: Kind, name: &[u8]) -> usize {
        self.directory.read()[kind.index()].get(name).map_or(0, Topic::total)
    }

    /// Subscribes a client, unless it is.
    pub(crate) fn subscribe(&self, seat: Seat, mine: &mut Subscriptions, kind: Kind, name: &[u8]) {
        if mine.contains(kind, name) {
            return;
        }
        if mine.is_empty() {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        let (name, since) = {
            let mut directory = self.directory.write();
            let topics = &mut directory[kind.index()];
            let name = topics.get_key_value(name).map_or_else(|| name.into(), |(k, _)| k.clone());
            topics.entry(Name::clone(&name)).or_default().add(seat.worker);
            self.subscriptions.fetch_add(1, Ordering::Relaxed);
            // Nobody gives a number meanwhile: that takes the directory's lock (B1).
            (name, self.last_number.load(Ordering::Relaxed))
        };
        let mut roster = self.rosters[seat.worker].lock();
        let subscribers = roster[kind.index()].entry(Name::clone(&name)).or_default();
        let at = subscribers.partition_point(|other| other.slot < seat.slot);
        subscribers.insert(at, Subscriber { slot: seat.slot, client: seat.client, since });
        drop(roster);
        mine.changed.push((kind, Name::clone(&name), true));
        mine.insert(kind, name);
    }

    /// Ends a subscription; false if there was none.
    pub(crate) fn unsubscribe(
        &self,
        seat: Seat,
        mine: &mut Subscriptions,
        kind: Kind,
        name: &[u8],
    ) -> bool {
        let Some(name) = mine.remove(kind, name) else { return false };
        self.strike(seat, kind, &name);
        if mine.is_empty() {
            self.clients.fetch_sub(1, Ordering::Relaxed);
        }
        mine.changed.push((kind, name, false));
        true
    }

    /// The clients with a subscription for which `is_meant` is true.
    pub(crate) fn listeners(&self, is_meant: impl Fn(Kind, &[u8]) -> bool) -> Vec<u64> {
        let mut found = Vec::new();
        for roster in &self.rosters {
            let roster = roster.lock();
            for kind in Kind::ALL {
                let names = roster[kind.index()].iter().filter(|(name, _)| is_meant(kind, name));
                found.extend(names.flat_map(|(_, all)| all.iter().map(|one| one.client)));
            }
        }
        found
    }

    /// Takes one subscription out of directory and roster.
    fn strike(&self, seat: Seat, kind: Kind, name: &Name) {
        {
            let mut roster = self.rosters[seat.worker].lock();
            let topics = &mut roster[kind.index()];
            if let Some(subscribers) = topics.get_mut(name) {
                if let Ok(at) = subscribers.binary_search_by_key(&seat.slot, |other| other.slot) {
                    subscribers.remove(at);
                }
                if subscribers.is_empty() {
                    topics.remove(name);
                }
            }
        }
        let mut directory = self.directory.write();
        let topics = &mut directory[kind.index()];
        if let Some(topic) = topics.get_mut(name) {
            topic.remove(seat.worker);
            if topic.by_worker.is_empty() {
                topics.remove(name);
            }
        }
        self.subscriptions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends every subscription of a client.
    pub(crate) fn forget(&self, seat: Seat, mine: &mut Subscriptions) {
        if mine.is_empty() {
            return;
        }
        for kind in Kind::ALL {
            for name in mine.names(kind) {
                self.unsubscribe(seat, mine, kind, &name);
            }
        }
        mine.keep();
    }

    /// The request that changed these subscriptions has not run.
    pub(crate) fn take_back(&self, seat: Seat, mine: &mut Subscriptions) {
        for (kind, name, added) in std::mem::take(&mut mine.changed).into_iter().rev() {
            if added {
                self.unsubscribe(seat, mine, kind, &name);
            } else {
                self.subscribe(seat, mine, kind, &name);
            }
        }
        mine.keep();
    }

    /// Addresses a message to everybody who hears it; nobody does, if it is `None`.
    pub(crate) fn publish(&self, kind: Kind, channel: &[u8], payload: &[u8]) -> Option<Outgoing> {
        if self.is_empty() {
            return None;
        }
        let directory = self.directory.read();
        let (mut receivers, mut workers, mut patterns) = (0, BTreeSet::new(), Vec::new());
        let mut address = |topic: &Topic| {
            receivers += topic.total();
            workers.extend(topic.by_worker.iter().map(|(worker, _)| *worker));
        };
        let name = directory[kind.index()].get_key_value(channel).map(|(name, topic)| {
            address(topic);
            Name::clone(name)
        });
        if kind == Kind::Channel {
            for (pattern, topic) in &directory[Kind::Pattern.index()] {
                if glob::matches(pattern, channel, Case::Sensitive) {
                    address(topic);
                    patterns.push(Name::clone(pattern));
                }
            }
        }
        if receivers == 0 {
            return None;
        }
        let number = self.last_number.fetch_add(1, Ordering::Relaxed) + 1;
        drop(directory);
        let channel = name.unwrap_or_else(|| channel.into());
        let message = Message::new(number, kind, channel, payload.into(), patterns);
        Some(Outgoing::new(receivers, Arc::new(message), workers.into_iter().collect()))
    }

    /// Calls `f` with slot, id and frame for every client of a worker that hears `message`: first
    /// those of the channel, then those of each pattern.
    pub(crate) fn hand_out(
        &self,
        worker: usize,
        message: &Message,
        mut f: impl FnMut(usize, u64, &Frame),
    ) {
        let roster = self.rosters[worker].lock();
        let mut to = |kind: Kind, name: &Name, frame: &Frame| {
            let subscribers = roster[kind.index()].get(name).into_iter().flatten();
            subscribers
                .filter(|subscriber| subscriber.since < message.number())
                .for_each(|subscriber| f(subscriber.slot, subscriber.client, frame));
        };
        to(message.kind(), message.channel(), message.frame());
        message.pattern_frames().for_each(|(pattern, frame)| to(Kind::Pattern, pattern, frame));
    }
}

#[cfg(test)]
mod tests;
