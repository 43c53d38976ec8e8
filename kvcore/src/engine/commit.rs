//! From an encoded batch to an applied one.
//!
//! # Invariants
//!
//! C1. What is applied was appended before; what failed to append is not applied.
//! C2. A batch becomes visible as a whole: its tables are locked together.
//! C3. The tip advances after the batch is applied, under the views' mutex.

use super::{
    Engine,
    append::{Appended, Write},
    thread_token,
};
use crate::{
    error::{Error, Result},
    ids::{FileId, Location, Sequence},
    index::{Applying, Change, Held, Index, KeyHash, NEVER_MS, PutChange},
    keydir::{Entry, EntryFlags},
    log::{BatchEncoder, LogEnd, Record},
    options::Durability,
};
use parking_lot::MutexGuard;
use std::{
    cell::Cell,
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

/// When a commit is written and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As the durability says, before the call returns.
    Now(Durability),
    /// By whoever writes next; see [`Engine::flush`].
    Later,
}

impl When {
    fn write(self) -> Write {
        match self {
            When::Now(_) => Write::Through,
            When::Later => Write::Deferred,
        }
    }
}

/// Buffers of one thread, so that small operations allocate nothing.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) batch: BatchEncoder,
}

/// A buffer that grew beyond this is not kept for the next operation.
const SCRATCH_BYTES_MAX: usize = 1 << 20;

thread_local! { static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) }; }

impl Scratch {
    /// Lends this thread's buffers, emptied. User code may run inside `f` and come here again.
    pub(crate) fn with<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        scratch.key.clear();
        scratch.value.clear();
        scratch.batch.clear();
        let result = f(&mut scratch);
        if scratch.value.capacity() <= SCRATCH_BYTES_MAX {
            SCRATCH.set(Some(scratch));
        }
        result
    }
}

/// The target of a record that is about no keyspace.
const NO_INDEX: u16 = u16::MAX;

/// Records of one commit, encoded, with the index each belongs to.
#[derive(Debug, Default)]
pub(crate) struct PreparedBatch {
    pub(crate) encoder: BatchEncoder,
    pub(crate) indexes: Vec<Arc<Index>>,
    /// For every record, the position of its index.
    pub(crate) targets: Vec<u16>,
    /// Expiry changes, whose puts' sequences are known only when the batch is appended.
    expiries: Vec<LateExpiry>,
}

/// An expiry change on its way into a batch.
#[derive(Debug)]
struct LateExpiry {
    index: Arc<Index>,
    key: Vec<u8>,
    at_ms: Option<u64>,
    /// How many of the batch's records came before it.
    after: usize,
}

impl PreparedBatch {
    /// Adds a change of the expiry of a key, of the put it has when the batch is committed.
    pub(crate) fn push_expiry(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
    ) -> Result<()> {
        let (index, key, after) = (Arc::clone(index), key.to_vec(), self.targets.len());
        self.expiries.push(LateExpiry { index, key, at_ms, after });
        Ok(())
    }

    /// Turns the expiry changes into records, now that the first sequence is known. They come
    /// last, which is the same: what a later record of the batch overwrites is left out, and so
    /// is what would bring an expired key back.
    fn settle_expiries(&mut self, first: Sequence, now_ms: u64) -> Result<()> {
        for late in std::mem::take(&mut self.expiries) {
            let Some((put_sequence, expires_at_ms)) = self.put_of(&late, first) else { continue };
            let stays = expires_at_ms.is_none_or(|at_ms| at_ms == NEVER_MS);
            let is_gone = expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if is_gone || (stays && late.at_ms.is_none()) {
                continue;
            }
            let record = Record::ExpiryChange {
                keyspace: late.index.id,
                key: &late.key,
                put_sequence,
                expires_at_ms: late.at_ms,
            };
            self.push(&late.index, &record)?;
        }
        Ok(())
    }

    /// The put whose expiry is meant and when it expires so far, if it is the key's at the end.
    fn put_of(&self, late: &LateExpiry, first: Sequence) -> Option<(Sequence, Option<u64>)> {
        let about = |i: &usize| match self.encoder.record(*i) {
            Record::Put { keyspace, key, .. }
            | Record::BlobRef { keyspace, key, .. }
            | Record::Tombstone { keyspace, key } => keyspace == late.index.id && key == late.key,
            Record::RangeTombstone { keyspace, start, end } => {
                keyspace == late.index.id && crate::index::in_range(&late.key, start, end)
            }
            Record::ExpiryChange { .. } | Record::Watermark { .. } => false,
        };
        let last = (0..self.targets.len()).rev().find(about);
        let (put, expires_at_ms) = match last {
            Some(i) if i >= late.after => return None,
            Some(i) => match self.encoder.record(i) {
                Record::Put { expires_at_ms, .. } | Record::BlobRef { expires_at_ms, .. } => {
                    (Sequence(first.0 + i as u64), expires_at_ms)
                }
                _ => return None,
            },
            None => {
                let state = late.index.state(&late.key, late.index.hash(&late.key))?;
                (state.entry.sequence, state.expires_at_ms)
            }
        };
        Some((put, self.changed_expiry(put).unwrap_or(expires_at_ms)))
    }

    /// What an earlier change in this batch made of a put's expiry.
    fn changed_expiry(&self, put: Sequence) -> Option<Option<u64>> {
        (0..self.targets.len()).rev().find_map(|i| match self.encoder.record(i) {
            Record::ExpiryChange { put_sequence, expires_at_ms, .. } if put_sequence == put => {
                Some(expires_at_ms)
            }
            _ => None,
        })
    }

    /// Adds a record for this index.
    pub(crate) fn push(&mut self, index: &Arc<Index>, record: &Record<'_>) -> Result<()> {
        let known = self.indexes.iter().position(|i| Arc::ptr_eq(i, index));
        let at = known.unwrap_or_else(|| {
            self.indexes.push(Arc::clone(index));
            self.indexes.len() - 1
        });
        let at = u16::try_from(at).map_err(|_| Error::BatchTooLarge {
            len_bytes: at as u64,
            max_bytes: u16::MAX.into(),
        })?;
        let len = (self.encoder.frame_len() + record.encoded_len()) as u64;
        if len > super::append::FRAME_BYTES_MAX {
            let max_bytes = super::append::FRAME_BYTES_MAX;
            return Err(Error::BatchTooLarge { len_bytes: len, max_bytes });
        }
        self.encoder.push(record);
        self.targets.push(at);
        Ok(())
    }

    /// The blobs its records refer to.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = FileId> {
        (0..self.targets.len()).filter_map(|i| match self.encoder.record(i) {
            Record::BlobRef { blob, .. } => Some(blob),
            _ => None,
        })
    }

    /// Adds a record that is about no keyspace.
    pub(crate) fn push_bare(&mut self, record: &Record<'_>) {
        self.encoder.push(record);
        self.targets.push(NO_INDEX);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.expiries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len() + self.expiries.len()
    }
}

/// The writer lock, held.
pub(crate) struct WriteGuard<'a> {
    engine: &'a Engine,
    writer: MutexGuard<'a, super::Writer>,
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.engine.owner.store(0, Ordering::Relaxed);
    }
}

impl Engine {
    /// Takes the writer lock, unless the store is closed or poisoned or this thread has it.
    pub(crate) fn write(&self) -> Result<WriteGuard<'_>> {
        self.check_nested()?;
        self.wait_for_space();
        let writer = self.writer.lock();
        self.check_open()?;
        self.owner.store(thread_token(), Ordering::Relaxed);
        Ok(WriteGuard { engine: self, writer })
    }

    /// Whatever takes the writer lock, or waits for somebody who does, asks this first: it would
    /// wait for itself inside a closure that is called under the lock.
    pub(crate) fn check_nested(&self) -> Result<()> {
        if self.owner.load(Ordering::Relaxed) == thread_token() {
            return Err(Error::Nested);
        }
        Ok(())
    }

    /// Waits until the commit is as durable as asked.
    pub(crate) fn acknowledge(&self, sequence: Sequence, when: When) -> Result<()> {
        match when {
            When::Now(Durability::Immediate) => self.sync_through(sequence),
            When::Now(Durability::Interval(every)) => {
                self.sync_within(every);
                Ok(())
            }
            When::Now(Durability::Buffered) | When::Later => Ok(()),
        }
    }

    /// Seals the log at a close. `None` if nothing was appended since open.
    pub(crate) fn end_log(&self) -> Result<Option<LogEnd>> {
        let mut writer = self.writer.lock();
        self.drop_prepared(&mut writer);
        if !writer.has_appended() {
            return Ok(None);
        }
        self.seal_active(&mut writer)?;
        let end = writer.end();
        let last_sequence = end.last_sequence;
        Ok(end.last_file.map(|(file, length)| LogEnd { file, length, last_sequence }))
    }

    /// Writes what was committed with [`When::Later`], everybody's.
    pub(crate) fn flush(&self) -> Result<()> {
        let mut guard = self.write()?;
        self.flush_tail(&mut guard.writer)
    }

    /// One batch: lock, append, apply, unlock, acknowledge.
    pub(crate) fn commit(&self, batch: &mut PreparedBatch, when: When) -> Result<Sequence> {
        if batch.is_empty() {
            self.check_open()?;
            return Ok(self.tip());
        }
        let sequence = self.write()?.commit(batch, when)?;
        self.acknowledge(sequence, when)?;
        Ok(sequence)
    }
}

impl WriteGuard<'_> {
    /// Appends and applies one put whose record is the only one in `batch`.
    pub(crate) fn commit_put(
        &mut self,
        index: &Arc<Index>,
        batch: &BatchEncoder,
        hash: KeyHash,
        when: When,
    ) -> Result<Sequence> {
        let engine = self.engine;
        let at = engine.append(&mut self.writer, batch, when.write())?;
        let change = change_of(batch, 0, &at, hash);
        let files = engine.files.load();
        let mut views = engine.views.lock();
        views.touch(index);
        let cx = Applying { files: &files, views: &views, file: &at.file, blobs: &engine.blobs };
        if let Change::Put(put) = &change {
            index.put(&cx, put);
        }
        views.advance(at.last);
        Ok(at.last)
    }

    /// Appends and applies a batch as a whole.
    pub(crate) fn commit(&mut self, batch: &mut PreparedBatch, when: When) -> Result<Sequence> {
        let engine = self.engine;
        if !batch.expiries.is_empty() {
            let first = self.writer.last_sequence().0.saturating_add(1);
            batch.settle_expiries(Sequence(first), engine.clock.now_ms())?;
        }
        if batch.targets.is_empty() {
            return Ok(self.writer.last_sequence());
        }
        let hashes = batch.hashes();
        if let ([index], [Some(hash)]) = (batch.indexes.as_slice(), hashes.as_slice())
            && batch.encoder.is_single()
            && matches!(batch.encoder.record(0), Record::Put { .. } | Record::BlobRef { .. })
        {
            return self.commit_put(index, &batch.encoder, *hash, when);
        }
        let at = engine.append(&mut self.writer, &batch.encoder, when.write())?;
        let files = engine.files.load();
        let mut views = engine.views.lock();
        batch.indexes.iter().for_each(|index| views.touch(index));
        let cx = Applying { files: &files, views: &views, file: &at.file, blobs: &engine.blobs };
        batch.apply(&cx, &at, &hashes);
        views.advance(at.last);
        let pending = batch.indexes.iter().any(|i| i.has_pending());
        drop(views);
        if pending {
            engine.notify(super::Task::WorkOff);
        }
        Ok(at.last)
    }

    /// Seals the active file.
    pub(crate) fn seal(&mut self) -> Result<()> {
        self.engine.seal_active(&mut self.writer)
    }

    /// One bounded step of the pending range deletes of an index.
    pub(crate) fn work_off(&mut self, index: &Arc<Index>, limit: usize) {
        let engine = self.engine;
        let files = engine.files.load();
        let Some(file) = files.iter().next() else { return };
        let mut views = engine.views.lock();
        views.touch(index);
        let cx = Applying { files: &files, views: &views, file, blobs: &engine.blobs };
        index.work_off(&cx, limit);
    }
}

impl PreparedBatch {
    /// Where each record's key is; `None` for records that are not about one key.
    fn hashes(&self) -> Vec<Option<KeyHash>> {
        (0..self.targets.len())
            .map(|i| {
                let index = self.indexes.get(usize::from(self.targets[i]))?;
                self.encoder.record(i).key().map(|key| index.hash(key))
            })
            .collect()
    }

    fn apply(&self, cx: &Applying<'_>, at: &Appended, hashes: &[Option<KeyHash>]) {
        // C2: everything is locked before anything changes; keyspaces in the order of their ids.
        let mut order: Vec<usize> = (0..self.indexes.len()).collect();
        order.sort_by_key(|i| self.indexes[*i].id);
        let mut held: BTreeMap<usize, Held<'_>> = BTreeMap::new();
        for i in order {
            let mine = (0..self.targets.len()).filter(|r| usize::from(self.targets[*r]) == i);
            let whole = mine.clone().any(|r| hashes[r].is_none());
            let locked = if whole {
                self.indexes[i].hold(Held::all_shards())
            } else {
                self.indexes[i].hold(mine.filter_map(|r| hashes[r]).map(|h| h.shard))
            };
            held.insert(i, locked);
        }
        for (i, hash) in hashes.iter().enumerate() {
            let hash = hash.unwrap_or(KeyHash { shard: 0, tag: 0 });
            let change = change_of(&self.encoder, i, at, hash);
            let target = usize::from(self.targets[i]);
            if let Some(held) = held.get_mut(&target) {
                held.apply(cx, &change);
            }
        }
    }
}

/// What the record at `i` does to its keydir, now that its place is known.
fn change_of<'a>(batch: &'a BatchEncoder, i: usize, at: &Appended, hash: KeyHash) -> Change<'a> {
    let sequence = Sequence(at.first.0 + i as u64);
    let offset = at.offset + u64::from(batch.member_offset(i));
    let offset = u32::try_from(offset).expect("a data file ends below 4 GiB");
    let location = Location { file: at.file.id, offset };
    let record = batch.record(i);
    let member = if batch.is_single() { EntryFlags::NONE } else { EntryFlags::MEMBER };
    match record {
        Record::Put { .. } | Record::BlobRef { .. } => {
            Change::Put(put_change(&record, hash, sequence, location, member))
        }
        Record::Tombstone { key, .. } => Change::Delete { key, sequence },
        Record::RangeTombstone { start, end, .. } => Change::DeleteRange { start, end, sequence },
        Record::ExpiryChange { key, put_sequence, expires_at_ms, .. } => Change::Expire {
            key,
            put: put_sequence,
            at_ms: expires_at_ms,
            record: (location, sequence),
        },
        Record::Watermark { .. } => Change::Nothing,
    }
}

/// The keydir entry of a put or blob reference.
pub(crate) fn put_change<'a>(
    record: &Record<'a>,
    hash: KeyHash,
    sequence: Sequence,
    location: Location,
    member: EntryFlags,
) -> PutChange<'a> {
    let (key, len, expires_at_ms, blob) = match *record {
        Record::Put { key, value, expires_at_ms, .. } => {
            (key, value.len() as u64, expires_at_ms, None)
        }
        Record::BlobRef { key, len_bytes, expires_at_ms, blob, .. } => {
            (key, len_bytes, expires_at_ms, Some(blob))
        }
        _ => unreachable!("called with puts and blob references only"),
    };
    let mut flags = member;
    if blob.is_some() {
        flags = flags.with(EntryFlags::BLOB);
    }
    if expires_at_ms.is_some() {
        flags = flags.with(EntryFlags::EXPIRES).with(EntryFlags::EXPIRY_IN_RECORD);
    }
    // A blob's exact length is in its record; here it saturates.
    let value_len = u32::try_from(len).unwrap_or(u32::MAX);
    let entry = Entry { sequence, location, value_len, flags };
    PutChange { key, hash, entry, expires_at_ms, blob: blob.map(|id| (id, len)) }
}
