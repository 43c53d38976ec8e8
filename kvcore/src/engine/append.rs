//! Appending to the log: sequences, space, the roll.
//!
//! # Invariants
//!
//! A1. Space for a frame is reserved before the frame is written, where the file system can.
//! A2. A frame goes behind the last whole frame of the active file, never over old bytes: after a
//!     failed write the log continues in a new file, and what failed is made unreadable.
//! A3. A generation is durable before its first append.
//! A4. File numbers grow along the log: recovery follows it only upwards, and merge raises the log
//!     floor by them.

use super::{Engine, Task, space::Purpose};
use crate::{
    disk::Reserve,
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{
        BatchEncoder, DataFile, FILE_HEADER_LEN, FRAME_HEADER_LEN, FileHeader, FileKey, FileParts,
        FilesOnce, Generation, LogEnd, LogPosition, MEMBER_OVERHEAD, Role, SINGLE_OVERHEAD,
        WATERMARK_IN_HEADER, file_names,
    },
    options::{DATA_FILE_BYTES_MAX, ReadMode},
};
use std::sync::{Arc, atomic::Ordering};

#[cfg(test)]
mod tests;

/// Where the log ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogEndState {
    /// The last log file, its exact length; `None` in a new store.
    pub(crate) last_file: Option<(FileId, u64)>,
    pub(crate) last_sequence: Sequence,
}

/// What the writer lock protects.
#[derive(Debug)]
pub(crate) struct Writer {
    active: Option<Active>,
    /// Made ahead by the background: reserved, without a header.
    prepared: Option<Arc<DataFile>>,
    end: LogEndState,
    generation_is_durable: bool,
    /// Log files with bytes that no sync has covered, oldest first; the active one is not listed.
    unsynced: Vec<Arc<DataFile>>,
    /// A log file was created since the directory was synced.
    directory_changed: bool,
    frame: Vec<u8>,
    /// The data files, for all commits until the log goes on to a new one or merge removes some.
    /// What is listed here is kept from being freed: see [`Engine::forget_files`].
    files: FilesOnce,
}

#[derive(Debug)]
struct Active {
    file: Arc<DataFile>,
    /// Bytes that writes may go into; a frame beyond makes the log roll.
    limit: u64,
    reserved: bool,
    /// The background has been told that it is nearly full.
    told: bool,
}

impl Active {
    /// Time to make the next file.
    fn is_nearly_full(&self) -> bool {
        self.limit.saturating_sub(self.file.len()) < self.limit / 8
    }
}

/// Where a batch came to lie.
pub(crate) struct Appended<'a> {
    pub(crate) file: &'a Arc<DataFile>,
    pub(crate) offset: u64,
    pub(crate) first: Sequence,
    pub(crate) last: Sequence,
}

/// The same within the active file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    offset: u64,
    first: Sequence,
    last: Sequence,
}

/// What a sync has to cover, captured before the call.
pub(crate) struct SyncScope {
    pub(crate) files: Vec<Arc<DataFile>>,
    pub(crate) directory: bool,
    pub(crate) end: Option<LogPosition>,
    pub(crate) last: Sequence,
}

/// Whether a batch must be with the operating system when the commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Through,
    Deferred,
}

/// The largest frame: offsets in a file are 32 bits wide, and its header comes first.
pub(crate) const FRAME_BYTES_MAX: u64 = DATA_FILE_BYTES_MAX;

/// Reservations of less than this are not worth a preparation ahead.
const PREPARE_BYTES_MIN: u64 = 64 << 10;

impl Writer {
    pub(crate) fn new(end: LogEndState) -> Writer {
        Writer {
            active: None,
            prepared: None,
            end,
            generation_is_durable: false,
            unsynced: Vec::new(),
            directory_changed: false,
            frame: Vec::new(),
            files: FilesOnce::default(),
        }
    }

    /// Where a batch that was just appended lies, and the data files.
    #[inline]
    pub(super) fn appended(&self, placed: Placed) -> (Appended<'_>, &FilesOnce) {
        let Placed { offset, first, last } = placed;
        let file = &self.active.as_ref().expect("it was appended to").file;
        (Appended { file, offset, first, last }, &self.files)
    }

    pub(crate) fn last_sequence(&self) -> Sequence {
        self.end.last_sequence
    }

    /// There is no active file.
    pub(super) fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// Something was appended since the store was opened.
    pub(super) fn has_appended(&self) -> bool {
        self.generation_is_durable
    }

    pub(crate) fn end(&self) -> LogEndState {
        let active = self.active.as_ref().map(|a| (a.file.id, a.file.len()));
        LogEndState { last_file: active.or(self.end.last_file), ..self.end }
    }

    /// The last file of the log, which the next one's number must exceed (A4).
    fn newest_file(&self) -> Option<FileId> {
        self.end().last_file.map(|(id, _)| id)
    }

    /// Bytes appended since the last sync are spread over these files.
    pub(crate) fn take_sync_scope(&mut self) -> SyncScope {
        let mut files = std::mem::take(&mut self.unsynced);
        let active = self.active.as_ref().map(|a| {
            files.push(Arc::clone(&a.file));
            (a.file.id, a.file.written())
        });
        // With the log sealed, it ends where its last file does.
        let end = active.or(self.end.last_file);
        let end = end.map(|(file, offset)| LogPosition { file, offset });
        SyncScope {
            files,
            directory: std::mem::take(&mut self.directory_changed),
            end,
            last: self.end.last_sequence,
        }
    }
}

impl Engine {
    /// Appends a batch: its sequences, its place, its bytes. Applies nothing.
    ///
    /// `fetch` starts fetching what applying it will look at, so that the write, which is most of a
    /// small commit, and what the processor waits for of memory go on side by side.
    pub(super) fn append(
        &self,
        writer: &mut Writer,
        batch: &BatchEncoder,
        write: Write,
        fetch: &dyn Fn(),
    ) -> Result<Placed> {
        match self.append_once(writer, batch, write, fetch) {
            // Where nothing reserves space, it is the write that finds none.
            Err(e) if e.is_full() => self.with_reserve_after(e, Purpose::of(batch), || {
                self.append_once(writer, batch, write, &|| {})
            }),
            appended => appended,
        }
    }

    fn append_once(
        &self,
        writer: &mut Writer,
        batch: &BatchEncoder,
        write: Write,
        fetch: &dyn Fn(),
    ) -> Result<Placed> {
        let len = batch.frame_len() as u64;
        if len > FRAME_BYTES_MAX {
            return Err(Error::BatchTooLarge { len_bytes: len, max_bytes: FRAME_BYTES_MAX });
        }
        let first = writer.end.last_sequence.0.checked_add(1);
        let last = writer.end.last_sequence.0.checked_add(batch.count() as u64);
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Error::Exhausted { what: "sequences" });
        };
        self.check_tight(batch)?;
        self.make_room(writer, batch, Sequence(first))?;
        fetch();
        let active = writer.active.as_mut().expect("make_room leaves an active file");
        let file = &*active.file;
        let offset = file.len();
        let distance = self.watermark_distance(file.id, offset);
        let seal = |out: &mut Vec<u8>| {
            batch.seal(out, file.key, offset, Sequence(first), distance);
        };
        // Without a reservation a write may fail for want of space: it must come first (A1).
        if write == Write::Deferred && active.reserved {
            file.buffer(seal);
        } else {
            writer.frame.clear();
            seal(&mut writer.frame);
            let written = file.flush().and_then(|()| file.write_through(&writer.frame));
            if let Err(source) = written {
                return Err(self.write_failed(writer, source));
            }
        }
        file.note_sequence(Sequence(last));
        if batch.takes_away() {
            note_taken_away(file, batch, first);
        }
        if !active.told && active.is_nearly_full() {
            active.told = true;
            self.notify(Task::NearlyFull);
        }
        writer.end.last_sequence = Sequence(last);
        if self.counters.appended(len) > self.options.sync_after_bytes {
            self.notify(Task::SyncSoon);
        }
        Ok(Placed { offset, first: Sequence(first), last: Sequence(last) })
    }

    /// Lets go of the files that commits have looked up, some of which were taken out of the table.
    pub(crate) fn forget_files(&self) {
        self.writer.lock().files = FilesOnce::default();
    }

    /// Writes what was deferred, everybody's.
    pub(super) fn flush_tail(&self, writer: &mut Writer) -> Result<()> {
        let Some(active) = &writer.active else { return Ok(()) };
        active.file.flush().map_err(|source| self.write_failed(writer, source))
    }

    fn write_failed(&self, writer: &mut Writer, source: std::io::Error) -> Error {
        let Some(active) = writer.active.take() else {
            return self.io("write", "", source);
        };
        let path = active.file.path.clone();
        if active.reserved || active.file.has_tail() {
            // Applied or not, the bytes should have been there: memory may be ahead (E2).
            writer.active = Some(active);
            return self.poison(Error::Io { action: "write", path, source });
        }
        if let Err(source) = erase_failed_frame(&active.file) {
            writer.active = Some(active);
            return self.poison(Error::Io { action: "erase a failed write in", path, source });
        }
        // Nothing was applied; what the file holds behind its last whole frame stays outside
        // the length that its successor records (A2).
        self.retire(writer, active.file);
        Error::Io { action: "write", path, source }
    }

    fn watermark_distance(&self, file: FileId, offset: u64) -> u32 {
        match self.sync.durable_position() {
            Some(durable) if durable.file == file => u32::try_from(offset - durable.offset)
                .ok()
                .filter(|d| *d != WATERMARK_IN_HEADER)
                .unwrap_or(WATERMARK_IN_HEADER),
            _ => WATERMARK_IN_HEADER,
        }
    }

    /// Leaves an active file with room for the batch. After a refusal the old one stays active, so
    /// that something smaller still finds room in it.
    fn make_room(&self, writer: &mut Writer, batch: &BatchEncoder, first: Sequence) -> Result<()> {
        let len = batch.frame_len() as u64;
        if writer.active.as_ref().is_some_and(|a| a.file.len() + len <= a.limit) {
            return Ok(());
        }
        self.check_process()?;
        let purpose = Purpose::of(batch);
        let next = self
            .take_prepared(writer, FILE_HEADER_LEN as u64 + len, purpose)
            .inspect_err(|e| self.note_refused(e))?;
        let path = next.0.path.clone();
        let begun = self.begin_file(writer, next, first, purpose).inspect_err(|_| {
            // Never listed, never applied to: a leftover without a valid header is no log file.
            let _ = self.disk.unlink(&path);
        });
        writer.active = Some(begun?);
        Ok(())
    }

    /// The active file takes no more frames.
    fn retire(&self, writer: &mut Writer, file: Arc<DataFile>) {
        file.enter_rest();
        file.seal();
        writer.end.last_file = Some((file.id, file.written()));
        writer.unsynced.push(file);
        self.update_overfull();
        self.notify(Task::Rolled);
    }

    /// Seals the active file, so that it can be hinted or merged. No-op without one.
    pub(super) fn seal_active(&self, writer: &mut Writer) -> Result<()> {
        self.flush_tail(writer)?;
        if let Some(active) = writer.active.take() {
            self.retire(writer, active.file);
        }
        Ok(())
    }

    fn start_generation(&self, first: Sequence) -> Result<()> {
        let id = getrandom::u64()
            .map_err(|e| self.io("draw a generation for", "", std::io::Error::other(e)))?;
        self.publish(|manifest| {
            manifest.clean_end = None;
            manifest.generations.push(Generation { id, first_sequence: first });
        })
    }

    /// Seals the active file and makes the next one follow it.
    fn begin_file(
        &self,
        writer: &mut Writer,
        (file, limit, reserved): (Arc<DataFile>, u64, bool),
        first: Sequence,
        purpose: Purpose,
    ) -> Result<Active> {
        assert!(writer.newest_file().is_none_or(|id| id < file.id), "A4: file numbers grow");
        self.flush_tail(writer)?;
        if let Some(active) = writer.active.take() {
            self.retire(writer, active.file);
        }
        if !writer.generation_is_durable {
            self.with_reserve(purpose, || self.start_generation(first))?;
            writer.generation_is_durable = true;
        }
        let last_sequence = writer.end.last_sequence;
        let header = FileHeader {
            store: self.store_id,
            file: file.id,
            role: Role::Log,
            predecessor: writer.end.last_file.map(|(file, length)| LogEnd {
                file,
                length,
                last_sequence,
            }),
            watermark: self.sync.durable_position(),
            first_sequence: first,
            created_ms: self.clock.now_ms(),
            read_only_features: 0,
        };
        if let Err(source) = file.write_through(&header.encode()) {
            let path = file.path.clone();
            return Err(Error::Io { action: "write the header of", path, source });
        }
        self.files.change(&[Arc::clone(&file)], &[]);
        writer.files = FilesOnce::default();
        writer.directory_changed = true;
        self.counters.rolled();
        crate::trace::rolled(&file.path);
        Ok(Active { file, limit, reserved, told: false })
    }

    /// The prepared file if it is large enough, else a new one.
    fn take_prepared(
        &self,
        writer: &mut Writer,
        needed: u64,
        purpose: Purpose,
    ) -> Result<(Arc<DataFile>, u64, bool)> {
        if let Some(file) = writer.prepared.take() {
            self.space.prepared_bytes.store(0, Ordering::Relaxed);
            let limit = file.handle().len().map_err(|source| Error::Io {
                action: "measure",
                path: file.path.clone(),
                source,
            })?;
            if limit >= needed {
                return Ok((file, limit, true));
            }
            let _ = self.disk.unlink(&file.path);
        }
        if purpose == Purpose::Growing {
            self.check_reserve()?;
        }
        let wanted = self.grant(self.file_bytes_target().max(needed), needed, purpose)?;
        self.with_reserve(purpose, || {
            // What was kept back has to last for a merge too.
            let wanted = if self.is_tight() { (wanted / 8).max(needed) } else { wanted };
            self.create_large_file(wanted, needed)
        })
    }

    /// A new file of this size, or a smaller one where little space is left.
    fn create_large_file(&self, wanted: u64, needed: u64) -> Result<(Arc<DataFile>, u64, bool)> {
        let sizes = [wanted, (wanted / 8).max(needed)];
        for bytes in sizes.into_iter().filter(|b| *b > needed) {
            match self.create_file(bytes) {
                Err(e) if e.is_full() => {}
                made => return made,
            }
        }
        self.create_file(needed)
    }

    /// How large data files are now: small stores merge in small steps.
    pub(crate) fn file_bytes_target(&self) -> u64 {
        let live: u64 = self.files.load().iter().map(live_bytes).sum();
        let max = self.options.data_file_bytes_max;
        (live / FILES_OF_LIVE).clamp(max.min(FILE_BYTES_SMALL), max)
    }

    /// A new log file without a header: its bytes reserved and mapped, its number used up.
    fn create_file(&self, bytes: u64) -> Result<(Arc<DataFile>, u64, bool)> {
        let id = self.allocate_file()?;
        let name = file_names::data(id);
        let path = self.dir.join(&name);
        let handle = self.disk.create_new(&path).map_err(|e| self.io("create", &name, e))?;
        let reserved = handle.reserve(bytes).map_err(|e| {
            let _ = self.disk.unlink(&path);
            self.io("reserve space in", &name, e)
        })?;
        let map_bytes = if self.options.read_mode == ReadMode::Map { bytes } else { 0 };
        let key = FileKey::new(&self.store_id, id);
        let parts = FileParts { id, role: Role::Log, key, path, handle, map_bytes, written: 0 };
        Ok((Arc::new(DataFile::new(parts)?), bytes, reserved == Reserve::Done))
    }

    /// Makes the next file ahead, so that a roll is one header write. Background only.
    pub(crate) fn prepare_next_file(&self) -> Result<()> {
        let wanted = {
            let guard = self.writer.lock();
            let near_end = guard.active.as_ref().is_some_and(Active::is_nearly_full);
            (near_end && guard.prepared.is_none()).then(|| self.file_bytes_target())
        };
        let Some(bytes) = wanted.filter(|b| *b >= PREPARE_BYTES_MIN) else { return Ok(()) };
        let made = self.check_reserve().and_then(|()| {
            self.grant(bytes, bytes, Purpose::Growing)?;
            self.create_file(bytes)
        });
        let (file, _, reserved) = match made {
            // The commit that needs it will say so, or find a smaller place.
            Err(e) if e.is_full() => return Ok(()),
            made => made?,
        };
        if reserved && self.keep_prepared(&file, bytes) {
            return Ok(());
        }
        self.disk.unlink(&file.path).map_err(|e| self.io("remove", &file_names::data(file.id), e))
    }

    /// Makes this the next file, unless there is one, or the log has gone on to a later number
    /// meanwhile (A4).
    fn keep_prepared(&self, file: &Arc<DataFile>, bytes: u64) -> bool {
        let mut writer = self.writer.lock();
        let keep = writer.prepared.is_none() && writer.newest_file().is_none_or(|id| id < file.id);
        if keep {
            writer.prepared = Some(Arc::clone(file));
            self.space.prepared_bytes.store(bytes, Ordering::Relaxed);
        }
        keep
    }

    /// Gives back what was made ahead. At close.
    pub(super) fn drop_prepared(&self, writer: &mut Writer) {
        if let Some(file) = writer.prepared.take() {
            self.space.prepared_bytes.store(0, Ordering::Relaxed);
            let _ = self.disk.unlink(&file.path);
        }
    }
}

/// Notes what merge asks of deletes and expiry changes.
fn note_taken_away(file: &DataFile, batch: &BatchEncoder, first: u64) {
    let overhead = if batch.is_single() { SINGLE_OVERHEAD } else { MEMBER_OVERHEAD };
    for (i, sequence) in (0..batch.count()).zip(first..) {
        let len = batch.record_len(i) + overhead;
        file.hiding.note_record(&batch.record(i), Sequence(sequence), len as u64);
    }
}

/// Makes sure that a frame whose write failed is not found after a crash: it may be there whole,
/// and until a successor's header is durable nothing says that it does not count.
fn erase_failed_frame(file: &DataFile) -> std::io::Result<()> {
    let handle = file.handle();
    let at = file.written();
    let there = handle.len()?.saturating_sub(at).min(FRAME_HEADER_LEN as u64);
    if there == 0 {
        return Ok(());
    }
    let zeros = [0; FRAME_HEADER_LEN];
    let there = usize::try_from(there).unwrap_or(zeros.len());
    handle.write_all_at(&zeros[..there], at)?;
    handle.sync_data()
}

/// Data files of a small store are at least this large, in bytes.
pub(crate) const FILE_BYTES_SMALL: u64 = 4 << 20;

/// The live bytes of a store fill so many data files. The file that is written and the one made
/// ahead count whole, and so, for a while, do the files that a merge writes; more files are more
/// merges, each with its syncs.
const FILES_OF_LIVE: u64 = 16;

fn live_bytes(file: &Arc<DataFile>) -> u64 {
    file.live_bytes.load(std::sync::atomic::Ordering::Relaxed)
}
