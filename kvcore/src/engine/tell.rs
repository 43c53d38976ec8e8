//! Telling watchers of a commit.
//!
//! # Invariants
//!
//! T1. Who is told is settled under the views' mutex before the commit is applied, and they are
//!     told after it, still under the writer lock: in the order of sequences, and never of
//!     something that a read does not see.
//! T2. Old values are looked up before the commit is applied, without reading them.

use super::{Engine, append::Appended, commit::When, prepared::change_of, wake};
use crate::{
    error::{Error, Result},
    ids::{KeyspaceId, Sequence},
    index::{Change, Index, Item, KeyHash},
    key::EncodedRange,
    keydir::EntryFlags,
    log::{BatchEncoder, Form, Record},
    spans::Span,
    value::COPIED_LEN_BYTES_MAX,
    watch::{About, End, Inner, Queue, Stored, Told, What},
};
use parking_lot::MutexGuard;
use std::{collections::HashMap, ops::Bound, sync::Arc, task::Waker};

/// A commit that is about to be applied and then told.
pub(super) struct Telling<'a> {
    engine: &'a Engine,
    batch: &'a BatchEncoder,
    at: &'a Appended<'a>,
    /// Locked: nobody joins or leaves in between.
    watchers: MutexGuard<'a, Inner>,
    /// What keys held before, by record and key.
    olds: HashMap<(usize, Box<[u8]>), Stored>,
}

/// Wakers of watchers and feeds, called when it is dropped: when the writer lock has been released.
#[derive(Debug, Default)]
pub(super) struct Wakers(pub(super) Vec<Waker>);

impl Drop for Wakers {
    #[inline]
    fn drop(&mut self) {
        if !self.0.is_empty() {
            wake(std::mem::take(&mut self.0));
        }
    }
}

impl Engine {
    /// To be called under the views' mutex, before the commit is applied. `None`, at the cost of
    /// one relaxed load, if nobody watches.
    #[inline]
    pub(super) fn start_telling<'a>(
        &'a self,
        batch: &'a BatchEncoder,
        at: &'a Appended<'a>,
        indexes: &[Arc<Index>],
    ) -> Option<Telling<'a>> {
        if !self.watching.is_watched() {
            return None;
        }
        self.start_telling_watchers(batch, at, indexes)
    }

    #[cold]
    fn start_telling_watchers<'a>(
        &'a self,
        batch: &'a BatchEncoder,
        at: &'a Appended<'a>,
        indexes: &[Arc<Index>],
    ) -> Option<Telling<'a>> {
        let watchers = self.watching.lock_if_any(indexes.iter().map(|index| index.id))?;
        let wants_old = indexes.iter().any(|index| watchers.wants_old(index.id));
        let mut telling = Telling { engine: self, batch, at, watchers, olds: HashMap::new() };
        if wants_old {
            telling.look_up_olds(indexes);
        }
        Some(telling)
    }

    /// Registers a watcher: it is told of every commit that is not visible yet.
    pub(crate) fn watch(&self, queue: &Arc<Queue>, keyspace: &str) -> Result<()> {
        let _no_commit = self.views.lock();
        self.watching.register(queue).map_err(|end| match end {
            End::Closed => Error::Closed,
            End::Gone => Error::KeyspaceGone { keyspace: keyspace.to_owned() },
        })
    }
}

impl Telling<'_> {
    /// Tells everybody who asks for it, once the commit is applied and the views' mutex released.
    pub(super) fn tell(mut self, when: When, wakers: &mut Vec<Waker>) {
        for i in 0..self.batch.count() {
            self.tell_record(i, when.must_be_durable(), wakers);
        }
    }

    fn tell_record(&mut self, i: usize, when_durable: bool, wakers: &mut Vec<Waker>) {
        let Telling { engine, batch, at, watchers, olds } = self;
        let record = batch.record(i);
        let Some(keyspace) = record.keyspace() else { return };
        let sequence = Sequence(at.first.0 + i as u64);
        let told = |what, old| Told { sequence, when_durable, what, old };
        if let Some(key) = record.key() {
            let mut make = || told(engine.what(batch, at, i, &record), take(olds, i, key));
            return engine.watching.tell(watchers, keyspace, About::Key(key), &mut make, wakers);
        }
        let Record::RangeTombstone { start, end, .. } = record else { return };
        let span = Span::new(start, end);
        let range = || {
            let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
            What::DeleteRange(EncodedRange { start: owned(start), end: owned(end) })
        };
        let mut make = || told(range(), None);
        engine.watching.tell(watchers, keyspace, About::Range(&span), &mut make, wakers);
        for key in watchers.watched_keys(keyspace, &span) {
            let mut make = || told(What::Delete { key: key.clone() }, take(olds, i, &key));
            engine.watching.tell(watchers, keyspace, About::OnlyKey(&key), &mut make, wakers);
        }
    }

    /// What every key held just before each record (T2).
    fn look_up_olds(&mut self, indexes: &[Arc<Index>]) {
        let mut before = Before::default();
        for i in 0..self.batch.count() {
            let record = self.batch.record(i);
            let Some(index) = indexes.iter().find(|index| Some(index.id) == record.keyspace())
            else {
                continue;
            };
            match record {
                Record::Put { key, .. } | Record::BlobRef { key, .. } => {
                    self.look_up_old(&before, index, (i, key, About::Key(key)), true);
                    before.written.insert((index.id, key.into()), i);
                }
                Record::Tombstone { key, .. } => {
                    self.look_up_old(&before, index, (i, key, About::Key(key)), false);
                    before.written.insert((index.id, key.into()), i);
                }
                Record::RangeTombstone { start, end, .. } => {
                    let span = Span::new(start, end);
                    for key in self.watchers.watched_keys(index.id, &span) {
                        let about = About::OnlyKey(&key);
                        self.look_up_old(&before, index, (i, &key, about), false);
                    }
                    before.ranges.push((i, index.id, span));
                }
                Record::ExpiryChange { .. } | Record::Watermark { .. } => {}
            }
        }
    }

    /// What one key held. A put finds nothing where the time of an entry has passed; its removal
    /// finds what expired.
    fn look_up_old(
        &mut self,
        before: &Before,
        index: &Arc<Index>,
        (i, key, about): (usize, &[u8], About<'_>),
        must_be_alive: bool,
    ) {
        if !self.watchers.wants_old_of(index.id, about) {
            return;
        }
        let (engine, at) = (self.engine, self.at);
        let found = match before.of(index.id, key) {
            Last::Deleted => return,
            Last::Written(j) => engine.stored(self.batch, at, j),
            Last::Untouched => engine.stored_now(index, key),
        };
        let Some((stored, expires_at_ms)) = found else { return };
        let is_alive = || expires_at_ms.is_none_or(|at_ms| at_ms > engine.clock.now_ms());
        if !must_be_alive || is_alive() {
            self.olds.insert((i, key.into()), stored);
        }
    }
}

fn take(olds: &mut HashMap<(usize, Box<[u8]>), Stored>, i: usize, key: &[u8]) -> Option<Stored> {
    if olds.is_empty() { None } else { olds.remove(&(i, key.into())) }
}

/// What the records of a batch did so far.
#[derive(Default)]
struct Before {
    /// The last record about a key.
    written: HashMap<(KeyspaceId, Box<[u8]>), usize>,
    ranges: Vec<(usize, KeyspaceId, Span)>,
}

enum Last {
    Untouched,
    Deleted,
    /// By the record of this number, which may be a delete.
    Written(usize),
}

impl Before {
    fn of(&self, keyspace: KeyspaceId, key: &[u8]) -> Last {
        let written = self.written.get(&(keyspace, key.into())).copied();
        let mut later = self.ranges.iter().rev().take_while(|(j, ..)| Some(*j) > written);
        if later.any(|(_, id, span)| *id == keyspace && span.contains(key)) {
            return Last::Deleted;
        }
        written.map_or(Last::Untouched, Last::Written)
    }
}

impl Engine {
    /// What the record at `i`, which is about one key, is told as.
    fn what(&self, batch: &BatchEncoder, at: &Appended<'_>, i: usize, record: &Record<'_>) -> What {
        match *record {
            Record::Put { key, value, form: Form::Plain, .. }
                if value.len() <= COPIED_LEN_BYTES_MAX =>
            {
                What::Put { bytes: [key, value].concat().into(), key_len: key.len() }
            }
            Record::ExpiryChange { key, expires_at_ms: at_ms, .. } => {
                What::Expire { key: key.into(), at_ms }
            }
            _ => {
                let key = record.key().unwrap_or_default().into();
                match self.stored(batch, at, i) {
                    Some((value, _)) => What::PutStored { key, value },
                    None => What::Delete { key },
                }
            }
        }
    }

    /// Where the value of a put of this batch is, and when it expires; none of a delete.
    fn stored(
        &self,
        batch: &BatchEncoder,
        at: &Appended<'_>,
        i: usize,
    ) -> Option<(Stored, Option<u64>)> {
        let Change::Put(put) = change_of(batch, i, at, KeyHash { shard: 0, tag: 0 }) else {
            return None;
        };
        let _blob = put.blob.map(|(id, _)| self.blobs.pin(id));
        let stored = Stored { entry: put.entry, file: Arc::clone(at.file), _blob };
        Some((stored, put.expires_at_ms))
    }

    /// The same of what a key holds now.
    fn stored_now(&self, index: &Index, key: &[u8]) -> Option<(Stored, Option<u64>)> {
        let found = index.find(key, index.hash(key), |state| self.item(key, state)).flatten();
        let Item { state, file, .. } = found?;
        let entry = state.entry;
        let is_blob = entry.flags.has(EntryFlags::BLOB);
        let _blob = if is_blob { self.blobs.pin_of(entry.sequence) } else { None };
        Some((Stored { entry, file: Arc::clone(&file), _blob }, state.expires_at_ms))
    }
}
