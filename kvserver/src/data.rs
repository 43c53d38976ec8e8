//! What handlers see of the databases: keys with a type tag, a payload and an optional expiry.
//!
//! Knows which changes a command has made and not yet committed. Does not know sockets, replies
//! or locks; only `engine` knows how databases lie on the store.
//!
//! # Laws
//!
//! D1. Reads see the changes the same command (or MULTI) made before.
//! D2. Nothing reaches the store before [`Data::commit`], and then all of it as one batch.
//! D3. Keys past their time are absent, in the store and among the pending changes alike.

mod collection;
mod db;
mod drawn;
mod ends;
mod engine;
mod event;
pub(crate) mod hashed;
mod hot;
mod joined;
mod list_ends;
mod parts;
mod pending;
mod reverse;
mod transfer;
mod uses;

pub(crate) use collection::{Collection, Element, Seen, Span, WHOLE};
pub(crate) use db::Db;
pub(crate) use ends::Removed;
pub(crate) use engine::{
    Ahead, Check, Checked, Cleaning, Engine, Large, MemoryHeld, Named, Position, ReverseIndex,
    Round, Staged, StoreError, Value,
};
pub(crate) use event::{Class, Classes, Event};
pub(crate) use joined::Joined;
pub(crate) use kvcore::Direction;
pub(crate) use list_ends::OuterNumber;
pub(crate) use parts::Parts;
pub(crate) use uses::{Among, LastUse};

use std::sync::Arc;

use collection::Id;
use hot::EndsSeen;
use pending::{Change, Mark, Pending};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Hash,
    List,
    Set,
    ZSet,
}

impl Type {
    /// The byte every stored value begins with.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Type::String => 0,
            Type::Hash => 1,
            Type::List => 2,
            Type::Set => 3,
            Type::ZSet => 4,
        }
    }
    /// The name TYPE answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::Hash => "hash",
            Type::List => "list",
            Type::Set => "set",
            Type::ZSet => "zset",
        }
    }
    #[inline]
    fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0 => Type::String,
            1 => Type::Hash,
            2 => Type::List,
            3 => Type::Set,
            4 => Type::ZSet,
            _ => return None,
        })
    }
}

/// What becomes of the expiry of a key that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// None afterwards, as a plain SET.
    None,
    /// As before, as APPEND or SET … KEEPTTL. Costs one more look-up.
    Keep,
    /// At this time, in milliseconds since the Unix epoch; must lie in the future.
    At(u64),
}

/// A value read: its type and its bytes, which are shared with the store, not copied.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    kind: Type,
    bytes: Value,
}

impl Stored {
    pub(crate) fn kind(&self) -> Type {
        self.kind
    }
    /// The bytes after the type tag: a string, or the id of a collection.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    fn new(bytes: Value) -> Result<Self, StoreError> {
        let kind = bytes.first().copied().and_then(Type::from_tag);
        kind.map(|kind| Stored { kind, bytes }).ok_or(StoreError::UnknownType)
    }
    fn collection_id(&self) -> Option<Id> {
        Self::id_in(&self.bytes)
    }
    /// The collection this refers to, with its type; strings refer to none.
    fn held(&self) -> Option<(Type, Id)> {
        Self::held_in(&self.bytes)
    }
    /// The id of the collection a stored value refers to.
    fn id_in(value: &[u8]) -> Option<Id> {
        Self::held_in(value).map(|(_, id)| id)
    }
    fn held_in(value: &[u8]) -> Option<(Type, Id)> {
        let (tag, payload) = value.split_first()?;
        let kind = Type::from_tag(*tag).filter(|kind| *kind != Type::String)?;
        Some((kind, Id::from_bytes(payload)?))
    }
}

/// A database: the index clients know it by, and the number of its keyspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    index: usize,
    home: usize,
}

/// A worker's view of all databases: the store, and the pending changes of the command that runs.
#[derive(Debug)]
pub(crate) struct Data {
    engine: Arc<Engine>,
    pending: Pending,
    now_ms: u64,
    lookups: Lookups,
    /// Somebody wants to know which keys change, and how.
    is_heard: bool,
    /// Reads are no uses of what they read.
    is_quiet: bool,
    /// The classes of events that are published.
    notified: Classes,
    /// Looking up a key that is not there is an event.
    tells_misses: bool,
    /// What was remembered of the collection whose key was looked up last. Nothing is committed
    /// between that look-up and what a command asks of the collection.
    ends_seen: Option<EndsSeen>,
}

/// How many values were asked for and found, and how many not found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// What a pending change concerns, for WATCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched<'a> {
    Key(usize, &'a [u8]),
    /// A database is cleared.
    Cleared(usize),
    /// Two databases exchange what they hold.
    Swapped(usize, usize),
}

impl Data {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Data {
            engine,
            pending: Pending::default(),
            now_ms: 0,
            lookups: Lookups::default(),
            is_heard: false,
            is_quiet: false,
            notified: Classes::NONE,
            tells_misses: false,
            ends_seen: None,
        }
    }
    /// The number of databases.
    pub(crate) fn count(&self) -> usize {
        self.engine.count()
    }
    /// The database with this index, which must be below [`Data::count`].
    #[inline]
    pub(crate) fn db(&mut self, index: usize) -> Db<'_> {
        let place = self.place(index);
        Db::new(self, place)
    }
    #[inline]
    fn place(&self, index: usize) -> Place {
        if self.pending.has_swaps() {
            return self.swapped_place(index);
        }
        Place { index, home: self.engine.home(index) }
    }
    /// After a SWAPDB in the same MULTI.
    #[cold]
    fn swapped_place(&self, index: usize) -> Place {
        // Each swap before tells which index the contents had.
        let mut at = index;
        let swaps: Vec<(usize, usize)> = self.pending.swaps().collect();
        for (a, b) in swaps.into_iter().rev() {
            at = if at == a {
                b
            } else if at == b {
                a
            } else {
                at
            };
        }
        Place { index, home: self.engine.home(at) }
    }
    /// Exchanges what two databases hold.
    pub(crate) fn swap(&mut self, a: usize, b: usize) {
        let place = self.place(a);
        self.pending.swap(place, b);
    }
    /// The time for what follows; pending changes are judged by it.
    pub(crate) fn set_now_ms(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }
    /// Whether somebody wants to know which keys the commands that follow change, and how.
    pub(crate) fn set_heard(&mut self, is_heard: bool) {
        self.is_heard = is_heard;
    }
    pub(crate) fn is_heard(&self) -> bool {
        self.is_heard
    }
    /// Which events are published: some of them take a look-up to notice.
    pub(crate) fn set_notified(&mut self, notified: Classes) {
        self.notified = notified;
        self.tells_misses = false;
    }
    pub(crate) fn notified(&self) -> Classes {
        self.notified
    }
    /// A command begins: what was seen for the one before it may be out of date.
    pub(crate) fn begin(&mut self) {
        self.ends_seen = None;
    }
    /// Whether looking up a key that is not there is an event from now on, if such are published.
    pub(crate) fn tell_misses(&mut self, tells_misses: bool) {
        self.tells_misses = tells_misses && self.notified.has(Class::KeyMiss);
    }
    /// Forgets the events.
    pub(crate) fn clear_events(&mut self) {
        self.pending.clear_events();
    }
    /// The number of events so far.
    pub(crate) fn events_len(&self) -> usize {
        self.pending.events_len()
    }
    /// The point to come back to if the command that starts now fails.
    pub(crate) fn mark(&self) -> Mark {
        self.pending.mark()
    }
    /// Forgets the changes made since `mark`.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.pending.truncate(mark);
    }
    /// A command of a MULTI is done, and nobody comes back to before it: values that it replaced
    /// give their room back, where they take much.
    pub(crate) fn shrink(&mut self) {
        self.pending.shrink();
    }
    /// All of them are done: what is replaced will not be written.
    pub(crate) fn shrink_at_end(&mut self) {
        self.pending.shrink_at_end();
    }
    /// The same of a command that has failed: what it did not find has been missed all the same.
    pub(crate) fn roll_back_failed(&mut self, mark: Mark) {
        let misses = if self.tells_misses { self.pending.misses_since(mark) } else { Vec::new() };
        self.roll_back(mark);
        for (place, key) in misses {
            Db::new(self, place).tell(Class::KeyMiss, "keymiss", &key);
        }
    }
    /// The look-ups since this was asked last.
    pub(crate) fn take_lookups(&mut self) -> Lookups {
        std::mem::take(&mut self.lookups)
    }
    /// The number of changes waiting.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }
    /// Calls `f` with what every pending change concerns. Complete only if somebody is heard.
    pub(crate) fn touched(&self, mut f: impl FnMut(Touched<'_>)) {
        for (place, change) in self.pending.iter() {
            match change {
                Change::Key(key, _) => f(Touched::Key(place.index, key)),
                Change::Clear => f(Touched::Cleared(place.index)),
                Change::Swap(with) => f(Touched::Swapped(place.index, with)),
                Change::Element(..) | Change::Elements(_) => {}
            }
        }
        self.pending.touches().for_each(|(place, key)| f(Touched::Key(place.index, key)));
    }
    /// What the pending changes mean, in order, for whoever listens.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.pending.events()
    }
    /// True if the store has `key`, whatever changes are pending.
    pub(crate) fn is_stored(&self, db: usize, key: &[u8]) -> bool {
        self.engine.contains(self.engine.home(db), key).unwrap_or(false)
    }
    /// The same of a key that may be past its time.
    pub(crate) fn is_stored_expired_too(
        &self,
        index: usize,
        key: &[u8],
    ) -> Result<bool, StoreError> {
        self.engine.is_stored(self.engine.home(index), key)
    }
    /// Applies the pending changes as one batch. They are gone afterwards, whatever happens.
    pub(crate) fn commit(&mut self, round: &mut Round<'_, '_>) -> Result<(), StoreError> {
        self.commit_staged(round, Vec::new())
    }
    /// The same of changes whose large values have been written.
    pub(crate) fn commit_staged(
        &mut self,
        round: &mut Round<'_, '_>,
        staged: Vec<Staged>,
    ) -> Result<(), StoreError> {
        self.ends_seen = None;
        let result = round.apply(&self.pending, staged);
        self.pending.clear();
        result
    }
    /// True if a commit of the changes would wait for the disk, as values are too large for the
    /// log.
    pub(crate) fn has_large(&self) -> bool {
        self.pending.has_longer(self.engine.large_value_bytes())
    }
    /// True if these are the large values of the changes.
    pub(crate) fn are_staged(&self, staged: &[Staged]) -> bool {
        let large_value_bytes = self.engine.large_value_bytes();
        let mut left = staged.iter();
        let fit = self.pending.iter().all(|(place, change)| match change.value() {
            Some(value) if value.len() > large_value_bytes => {
                let is_element = matches!(change, Change::Element(..));
                left.next().is_some_and(|staged| staged.is(place.home, is_element, value))
            }
            _ => true,
        });
        fit && left.next().is_none()
    }
    /// Forgets all changes, and gives their large values, to be staged.
    pub(crate) fn take_back(&mut self) -> Large {
        self.pending.take_longer(self.engine.large_value_bytes())
    }
    /// As if no look-ups had been made since they were these.
    pub(crate) fn set_lookups(&mut self, lookups: Lookups) {
        self.lookups = lookups;
    }
    /// The look-ups since they were taken last.
    pub(crate) fn lookups(&self) -> Lookups {
        self.lookups
    }
    /// Makes pending the removal of up to `limit` keys past their time, each with its elements;
    /// how many.
    pub(crate) fn remove_expired(&mut self, limit: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        for index in 0..self.count() {
            if removed == limit {
                break;
            }
            let place = self.place(index);
            for (key, id) in self.engine.due(place.home, limit - removed)? {
                if let Some(id) = id {
                    self.pending.remove_elements(place, id);
                }
                self.pending.delete(place, &key);
                Db::new(self, place).tell(Class::Expired, "expired", &key);
                removed += 1;
            }
        }
        Ok(removed)
    }
}
