//! From an encoded batch to an applied one.
//!
//! # Invariants
//!
//! C1. What is applied was appended before; what failed to append is not applied.
//! C2. A batch becomes visible as a whole: its tables are locked together.
//! C3. The tip advances after the batch is applied, under the views' mutex.

use super::{
    Engine,
    append::{Appended, LogEndState, Placed, Write},
    hints::Hinted,
    prepared::{PreparedBatch, put_change},
    tell::Wakers,
    thread_token,
};
use crate::{
    error::{Error, Result},
    ids::{Location, Sequence},
    index::{Applying, Garbage, Index, KeyHash},
    keydir::{EntryFlags, EntryRef},
    log::{BatchEncoder, DataFile, FilesOnce, LogEnd, Record},
    options::Durability,
    view::Views,
};
use parking_lot::MutexGuard;
use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    sync::{Arc, atomic::Ordering},
};

/// When a commit is written and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// As the durability says, before the call returns.
    Now(Durability),
    /// By whoever writes next; see [`Engine::flush`]. Synced as the durability says by whoever
    /// acknowledges it.
    Later(Durability),
}

impl When {
    fn write(self) -> Write {
        match self {
            When::Now(_) => Write::Through,
            When::Later(_) => Write::Deferred,
        }
    }

    /// It is not acknowledged before it is durable.
    pub(super) fn must_be_durable(self) -> bool {
        let (When::Now(durability) | When::Later(durability)) = self;
        durability == Durability::Immediate
    }
}

/// Whether the log says how far it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Yes,
    /// It would after another sync.
    NotYet,
    /// Nothing is being written.
    NoFile,
}

/// The log goes on while it is told of; so often it is tried again.
const TELL_ATTEMPTS_MAX: usize = 3;

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

thread_local! { static KEY: Cell<Vec<u8>> = const { Cell::new(Vec::new()) }; }

/// Lends this thread's buffer for one key, emptied: all that a read needs, and less to reset than
/// a [`Scratch`]. User code may run inside `f` and come here again.
#[inline]
pub(crate) fn with_key_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut key = KEY.take();
    key.clear();
    let result = f(&mut key);
    if key.capacity() <= SCRATCH_BYTES_MAX {
        KEY.set(key);
    }
    result
}

thread_local! {
    /// Of which stores this thread runs closures of optimistic transactions, outermost first.
    static CLOSURES: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// This thread runs the closure of an optimistic transaction.
pub(crate) struct InClosure(PhantomData<*mut ()>);

impl Drop for InClosure {
    fn drop(&mut self) {
        CLOSURES.with_borrow_mut(Vec::pop);
    }
}

/// The writer lock, held.
pub(crate) struct WriteGuard<'a> {
    pub(super) engine: &'a Engine,
    writer: MutexGuard<'a, super::Writer>,
    /// This commit makes room itself.
    pub(super) is_evicting: bool,
    /// Of watchers that were told. Stands last: it is dropped when the lock has been released.
    wakers: Wakers,
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
        self.check_writable()?;
        if self.is_in_closure() {
            return Err(Error::Nested);
        }
        let writer = self.writer.lock();
        self.check_open()?;
        self.owner.store(thread_token(), Ordering::Relaxed);
        Ok(WriteGuard { engine: self, writer, is_evicting: false, wakers: Wakers::default() })
    }

    /// Until the guard is dropped, writes from this thread are nested, as they are under the
    /// writer lock: the closure of an optimistic transaction may have to run there too.
    pub(crate) fn enter_closure(&self) -> Result<InClosure> {
        self.check_open()?;
        self.check_nested()?;
        if self.is_in_closure() {
            return Err(Error::Nested);
        }
        CLOSURES.with_borrow_mut(|engines| engines.push(self.address()));
        Ok(InClosure(PhantomData))
    }

    fn is_in_closure(&self) -> bool {
        CLOSURES.with_borrow(|engines| engines.contains(&self.address()))
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The writer lock of a read-only store, which applies what others have written.
    pub(super) fn write_lock(&self) -> WriteGuard<'_> {
        let (writer, wakers) = (self.writer.lock(), Wakers::default());
        WriteGuard { engine: self, writer, is_evicting: false, wakers }
    }

    /// The same for a commit of a caller, who waits while merge is behind. A round waits for all
    /// of its commits, before the first that puts something.
    pub(crate) fn write_paced(&self, when: When) -> Result<WriteGuard<'_>> {
        if matches!(when, When::Now(_)) {
            self.check_nested()?;
            self.wait_for_space();
        }
        self.write()
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
            When::Now(Durability::Buffered) | When::Later(_) => Ok(()),
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

    /// Lets the files tell what is durable, before merge drops what it has superseded: a read-only
    /// store sees no more than they tell. A record of the active file tells of all before it;
    /// where it cannot, the hints of sealed files do.
    /// On a full disk they tell later; readers that open meanwhile may miss keys until then.
    pub(crate) fn tell_watermark(&self) {
        for _ in 0..TELL_ATTEMPTS_MAX {
            match self.write().and_then(|mut guard| guard.commit_watermark()) {
                Ok(Told::Yes) => return,
                // The log has gone on to a new file since it was synced.
                Ok(Told::NotYet) if self.sync_all().is_ok() => {}
                _ => break,
            }
        }
        let _ = self.write_missing_hints(Hinted::All);
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
        batch.encoder.close();
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
    /// Appends and applies one put: `record`, the only one in `batch`.
    pub(crate) fn commit_put(
        &mut self,
        index: &Arc<Index>,
        (record, batch): (&Record<'_>, &BatchEncoder),
        hash: KeyHash,
        when: When,
    ) -> Result<Sequence> {
        let engine = self.engine;
        check_frozen(index)?;
        engine.check_memory(|| record.key().map_or(0, |key| index.added_bytes(key)))?;
        let is_absent = Cell::new(false);
        let fetch = || is_absent.set(!index.fetch_entry(hash));
        let last = self.commit_one(index, batch, (fetch, when), |cx, at| {
            let offset = u32::try_from(at.offset).expect("a data file ends below 4 GiB");
            let location = Location { file: at.file.id, offset };
            let put = put_change(record, hash, at.last, location, EntryFlags::NONE);
            match is_absent.get() {
                true => index.put_absent(cx, &put),
                false => index.put(cx, &put),
            }
        })?;
        self.keep_to_budget(index);
        Ok(last)
    }

    /// Appends and applies the deletion of one key, whose entry was found under this lock: the
    /// only record in `batch`.
    pub(crate) fn commit_delete(
        &mut self,
        index: &Arc<Index>,
        (key, batch): (&[u8], &BatchEncoder),
        (hash, entry): (KeyHash, EntryRef),
        when: When,
    ) -> Result<Sequence> {
        check_frozen(index)?;
        self.commit_one(index, batch, (|| {}, when), |cx, at| {
            index.remove_entry(cx, (key, hash), entry, at.last);
        })
    }

    /// Appends a batch of one record, which `apply` then applies; `fetch` starts fetching what it
    /// will look at.
    #[inline]
    fn commit_one(
        &mut self,
        index: &Arc<Index>,
        batch: &BatchEncoder,
        (fetch, when): (impl Fn(), When),
        apply: impl FnOnce(&Applying<'_>, &Appended<'_>),
    ) -> Result<Sequence> {
        let engine = self.engine;
        let placed = engine.append(&mut self.writer, batch, when.write(), &fetch)?;
        Ok(self.publish(std::slice::from_ref(index), batch, (placed, when), apply))
    }

    /// Makes what was appended visible: `apply` changes these indexes (C3). Tells who watches.
    #[inline]
    fn publish(
        &mut self,
        indexes: &[Arc<Index>],
        batch: &BatchEncoder,
        (placed, when): (Placed, When),
        apply: impl FnOnce(&Applying<'_>, &Appended<'_>),
    ) -> Sequence {
        let engine = self.engine;
        let (at, table) = self.writer.appended(placed);
        let mut views = engine.views.lock();
        indexes.iter().for_each(|index| views.touch(index));
        let telling = engine.start_telling(batch, &at, indexes);
        let cx = applying(engine, table, &views, at.file);
        apply(&cx, &at);
        views.advance(at.last);
        drop(views);
        engine.feeds.tip_moved(&mut self.wakers.0);
        if let Some(telling) = telling {
            telling.tell(when, &mut self.wakers.0);
        }
        at.last
    }

    /// Appends and applies a batch as a whole.
    pub(crate) fn commit(&mut self, batch: &mut PreparedBatch, when: When) -> Result<Sequence> {
        let engine = self.engine;
        if batch.has_late_expiries() {
            let first = self.writer.last_sequence().0.saturating_add(1);
            batch.settle_expiries(Sequence(first), engine.clock.now_ms())?;
        }
        batch.encoder.close();
        if batch.record_count() == 0 {
            return Ok(self.writer.last_sequence());
        }
        if let Some((index, hash)) = batch.single_put() {
            let record = batch.encoder.record(0);
            return self.commit_put(index, (&record, &batch.encoder), hash, when);
        }
        batch.indexes.iter().try_for_each(|index| check_frozen(index))?;
        engine.check_memory(|| batch.added_memory_bytes())?;
        let placed = engine.append(&mut self.writer, &batch.encoder, when.write(), &|| {})?;
        let apply = |cx: &Applying<'_>, at: &Appended<'_>| batch.apply(cx, at);
        let last = self.publish(&batch.indexes, &batch.encoder, (placed, when), apply);
        if batch.indexes.iter().any(|index| index.has_pending()) {
            engine.notify(super::Task::WorkOff);
        }
        batch.indexes.iter().for_each(|index| self.keep_to_budget(index));
        Ok(last)
    }

    /// The sequence of the last record.
    pub(super) fn last_sequence(&self) -> Sequence {
        self.writer.last_sequence()
    }

    /// Writes down how far the log is durable, if there is a file to write it into. A frame can
    /// name no place in a file before its own.
    fn commit_watermark(&mut self) -> Result<Told> {
        if self.writer.is_idle() {
            return Ok(Told::NoFile);
        }
        let durable = self.engine.sync.durable_position().map(|position| position.file);
        let mut batch = PreparedBatch::default();
        batch.push_bare(&Record::Watermark { clock_ms: self.engine.clock.now_ms() });
        self.commit(&mut batch, When::Now(Durability::Buffered))?;
        let active = self.end().last_file.map(|(file, _)| file);
        Ok(if durable.is_some() && durable == active { Told::Yes } else { Told::NotYet })
    }

    /// Where the log ends.
    pub(crate) fn end(&self) -> LogEndState {
        self.writer.end()
    }

    /// Seals the active file.
    pub(crate) fn seal(&mut self) -> Result<()> {
        self.engine.seal_active(&mut self.writer)
    }

    /// One bounded step of the pending range deletes of an index; what it has freed is dropped
    /// later, when fewer wait.
    pub(crate) fn work_off(&mut self, index: &Arc<Index>, limit: usize) -> Garbage {
        let engine = self.engine;
        let table = FilesOnce::default();
        let Some(file) = table.of(&engine.files).iter().next() else { return Garbage::new() };
        let mut views = engine.views.lock();
        views.touch(index);
        let cx = applying(engine, &table, &views, file);
        let garbage = index.work_off(&cx, limit);
        MutexGuard::unlock_fair(views);
        garbage
    }

    /// Hands the lock to whoever waits for it, and has it again behind them.
    pub(super) fn let_others_in(&mut self) {
        self.engine.owner.store(0, Ordering::Relaxed);
        MutexGuard::bump(&mut self.writer);
        self.engine.owner.store(thread_token(), Ordering::Relaxed);
    }
}

fn applying<'a>(
    engine: &'a Engine,
    table: &'a FilesOnce,
    views: &'a Views,
    file: &'a DataFile,
) -> Applying<'a> {
    Applying { files: &engine.files, table, views, file, blobs: &engine.blobs }
}

/// A keyspace that was dropped, or is being migrated, takes no writes.
#[inline]
fn check_frozen(index: &Index) -> Result<()> {
    match index.frozen_name() {
        None => Ok(()),
        Some(keyspace) => Err(Error::KeyspaceGone { keyspace }),
    }
}
