//! From an encoded batch to an applied one.
//!
//! # Invariants
//!
//! C1. What is applied was appended before; what failed to append is not applied.
//! C2. A batch becomes visible as a whole: its tables are locked together.
//! C3. The tip advances after the batch is applied, under the views' mutex.

use super::{
    Engine,
    append::Write,
    prepared::{PreparedBatch, change_of},
    thread_token,
};
use crate::{
    error::{Error, Result},
    ids::Sequence,
    index::{Applying, Change, Index, KeyHash},
    log::{BatchEncoder, LogEnd},
    options::Durability,
};
use parking_lot::MutexGuard;
use std::{
    cell::Cell,
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
    /// What `value` is compressed to.
    pub(crate) packed: Vec<u8>,
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
        if scratch.value.capacity().max(scratch.packed.capacity()) <= SCRATCH_BYTES_MAX {
            SCRATCH.set(Some(scratch));
        }
        result
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
        let me = thread_token();
        if self.owner.load(Ordering::Relaxed) == me {
            return Err(Error::Nested);
        }
        let writer = self.writer.lock();
        self.check_open()?;
        self.owner.store(me, Ordering::Relaxed);
        Ok(WriteGuard { engine: self, writer })
    }

    /// The same for a commit of a caller, who waits while merge is behind. Commits of a round have
    /// waited when it began.
    pub(crate) fn write_paced(&self, when: When) -> Result<WriteGuard<'_>> {
        if when != When::Later && self.owner.load(Ordering::Relaxed) != thread_token() {
            self.wait_for_space();
        }
        self.write()
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
        let committed = self.write_paced(when).and_then(|mut guard| guard.commit(batch, when));
        let sequence = committed.inspect_err(|_| {
            // Nothing refers to them, unless the store is poisoned, and then they stay.
            batch.blobs().for_each(|id| self.discard_blob(id));
        })?;
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
        engine.check_memory(|| batch.record(0).key().map_or(0, |key| index.added_bytes(key)))?;
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
        if batch.has_late_expiries() {
            let first = self.writer.last_sequence().0.saturating_add(1);
            batch.settle_expiries(Sequence(first), engine.clock.now_ms())?;
        }
        if batch.record_count() == 0 {
            return Ok(self.writer.last_sequence());
        }
        if let Some((index, hash)) = batch.single_put() {
            return self.commit_put(index, &batch.encoder, hash, when);
        }
        engine.check_memory(|| batch.added_memory_bytes())?;
        let at = engine.append(&mut self.writer, &batch.encoder, when.write())?;
        let files = engine.files.load();
        let mut views = engine.views.lock();
        batch.indexes.iter().for_each(|index| views.touch(index));
        let cx = Applying { files: &files, views: &views, file: &at.file, blobs: &engine.blobs };
        batch.apply(&cx, &at);
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
