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

mod db;
mod engine;
mod pending;

pub(crate) use db::Db;
pub(crate) use engine::{Engine, Position, Round, StoreError};

use std::sync::Arc;

use engine::Value;
use pending::{Mark, Pending};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    String,
}

impl Type {
    /// The byte every stored value begins with.
    pub(crate) const fn tag(self) -> u8 {
        match self {
            Type::String => 0,
        }
    }
    /// The name TYPE answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Type::String => "string",
        }
    }
    fn from_tag(tag: u8) -> Option<Self> {
        (tag == 0).then_some(Type::String)
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
    /// The bytes after the type tag.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    fn new(bytes: Value) -> Result<Self, StoreError> {
        let kind = bytes.first().copied().and_then(Type::from_tag);
        kind.map(|kind| Stored { kind, bytes }).ok_or(StoreError::UnknownType)
    }
}

/// A worker's view of all databases: the store, and the pending changes of the command that runs.
#[derive(Debug)]
pub(crate) struct Data {
    engine: Arc<Engine>,
    pending: Pending,
    now_ms: u64,
    lookups: Lookups,
}

/// How many values were asked for and found, and how many not found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl Data {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Data { engine, pending: Pending::default(), now_ms: 0, lookups: Lookups::default() }
    }
    /// The number of databases.
    pub(crate) fn count(&self) -> usize {
        self.engine.count()
    }
    /// The database with this index, which must be below [`Data::count`].
    pub(crate) fn db(&mut self, index: usize) -> Db<'_> {
        Db::new(self, index)
    }
    /// The time for what follows; pending changes are judged by it.
    pub(crate) fn set_now_ms(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }
    /// The point to come back to if the command that starts now fails.
    pub(crate) fn mark(&self) -> Mark {
        self.pending.mark()
    }
    /// Forgets the changes made since `mark`.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.pending.truncate(mark);
    }
    /// The look-ups since this was asked last.
    pub(crate) fn take_lookups(&mut self) -> Lookups {
        std::mem::take(&mut self.lookups)
    }
    /// The number of changes waiting.
    pub(crate) fn pending_len(&self) -> usize {
        self.pending.len()
    }
    /// Calls `f` with the database and key of every pending change, `None` for a cleared database.
    pub(crate) fn touched(&self, mut f: impl FnMut(usize, Option<&[u8]>)) {
        for change in self.pending.iter() {
            f(change.db, change.key);
        }
    }
    /// True if the store has `key`, whatever changes are pending.
    pub(crate) fn is_stored(&self, db: usize, key: &[u8]) -> bool {
        self.engine.contains(db, key).unwrap_or(false)
    }
    /// Applies the pending changes as one batch. They are gone afterwards, whatever happens.
    pub(crate) fn commit(&mut self, round: &mut Round<'_, '_>) -> Result<(), StoreError> {
        let result = round.apply(&self.pending);
        self.pending.clear();
        result
    }
}
