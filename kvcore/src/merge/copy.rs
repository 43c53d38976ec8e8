//! The copying part of a merge: a fixed buffer, a rate, no lock held.

use super::{Plan, stopped};
use crate::{
    engine::Engine,
    error::{Error, Result},
    ids::{Location, Sequence},
    index::Index,
    log::{
        BatchEncoder, DataFile, FILE_HEADER_LEN, FileHeader, FileKey, FileParts, FrameWalk, Member,
        Record, Role, Step, WATERMARK_IN_HEADER, file_names,
    },
    options::ReadMode,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;

impl Plan<'_> {
    /// Copies what must be kept of every input.
    pub(super) fn copy_all(&self, outputs: &mut Outputs<'_>) -> Result<()> {
        for input in self.inputs {
            let mut walk = FrameWalk::new(input, input.written());
            loop {
                let (at, frame) = match walk.step()? {
                    Step::Frame(at, frame) => (at, frame),
                    Step::End(at) if at == input.written() => break,
                    Step::End(at) => return Err(input.corrupt(at, "zeros where a record is due")),
                    Step::Damaged(at, e) => return Err(input.corrupt(at, e)),
                };
                for member in frame.members() {
                    let place = Location { file: input.id, offset: offset_of(input, at, &member)? };
                    self.copy(&member, place, outputs)?;
                }
                outputs.pace(frame.len)?;
            }
        }
        Ok(())
    }

    fn copy(&self, member: &Member<'_>, at: Location, outputs: &mut Outputs<'_>) -> Result<()> {
        let Some(index) = member.record.keyspace().and_then(|id| self.indexes.get(&id)) else {
            // A watermark, whose clock the manifest keeps; or a keyspace that is gone.
            return Ok(());
        };
        match member.record {
            Record::Put { key, .. } | Record::BlobRef { key, .. } => {
                if index.points_at(key, index.hash(key), at) {
                    outputs.push(member, Kept::Live)?;
                }
            }
            Record::Tombstone { key, .. } => {
                // A newer record of the key hides whatever the tombstone hides.
                let newer = index
                    .state(key, index.hash(key))
                    .is_some_and(|s| s.entry.sequence > member.sequence);
                if !newer && self.must_keep_tombstone(member.sequence) {
                    outputs.push(member, Kept::Retained)?;
                }
            }
            Record::RangeTombstone { .. } => {
                if index.has_pending() || self.must_keep_tombstone(member.sequence) {
                    outputs.push(member, Kept::Retained)?;
                }
            }
            Record::ExpiryChange { key, .. } => {
                if index.change_points_at(key, index.hash(key), at) {
                    outputs.push(member, Kept::Retained)?;
                }
            }
            Record::Watermark { .. } => {}
        }
        Ok(())
    }
}

fn offset_of(file: &DataFile, frame: u64, member: &Member<'_>) -> Result<u32> {
    let offset = frame + u64::from(member.at);
    u32::try_from(offset).map_err(|_| file.corrupt(offset, "an offset beyond 4 GiB"))
}

/// Why a record is copied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Live,
    /// Dead by itself, and still needed.
    Retained,
}

/// The files a merge writes.
pub(super) struct Outputs<'a> {
    engine: &'a Engine,
    done: Vec<Arc<DataFile>>,
    open: Option<Arc<DataFile>>,
    buffer: Vec<u8>,
    batch: BatchEncoder,
    started: Instant,
    read_bytes: u64,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(engine: &'a Engine) -> Outputs<'a> {
        Outputs {
            engine,
            done: Vec::new(),
            open: None,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            batch: BatchEncoder::new(),
            started: Instant::now(),
            read_bytes: 0,
        }
    }

    /// Appends a record as a batch of one with its sequence.
    fn push(&mut self, member: &Member<'_>, kept: Kept) -> Result<()> {
        self.batch.clear();
        self.batch.push(&member.record);
        let len = self.batch.frame_len() as u64;
        let target = self.engine.file_bytes_target();
        if self.open.as_ref().is_some_and(|f| f.written() + self.buffered() + len > target) {
            self.end_file()?;
        }
        let file = match &self.open {
            Some(file) => Arc::clone(file),
            None => self.begin_file(member.sequence, target.max(len + FILE_HEADER_LEN as u64))?,
        };
        let at = file.written() + self.buffered();
        self.batch.seal(&mut self.buffer, file.key, at, member.sequence, WATERMARK_IN_HEADER);
        file.note_sequence(member.sequence);
        if kept == Kept::Retained {
            file.add_retained(len);
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    fn buffered(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn begin_file(&mut self, first: Sequence, map_bytes: u64) -> Result<Arc<DataFile>> {
        let engine = self.engine;
        let id = engine.allocate_file()?;
        let name = file_names::data(id);
        let path = engine.dir.join(&name);
        let handle = engine.disk.create_new(&path).map_err(|e| engine.io("create", &name, e))?;
        let header = FileHeader {
            store: engine.store_id,
            file: id,
            role: Role::Copy,
            predecessor: None,
            watermark: None,
            first_sequence: first,
            created_ms: engine.clock.now_ms(),
            read_only_features: 0,
        };
        let map_bytes = if engine.options.read_mode == ReadMode::Map { map_bytes } else { 0 };
        let key = FileKey::new(&engine.store_id, id);
        let parts = FileParts { id, role: Role::Copy, key, path, handle, map_bytes, written: 0 };
        let file = Arc::new(DataFile::new(parts)?);
        self.open = Some(Arc::clone(&file));
        file.write_through(&header.encode()).map_err(|e| engine.io("write", &name, e))?;
        Ok(file)
    }

    fn write_out(&mut self) -> Result<()> {
        let Some(file) = &self.open else { return Ok(()) };
        file.write_through(&self.buffer).map_err(|source| Error::Io {
            action: "write",
            path: file.path.clone(),
            source,
        })?;
        self.buffer.clear();
        Ok(())
    }

    fn end_file(&mut self) -> Result<()> {
        self.write_out()?;
        if let Some(file) = self.open.take() {
            self.done.push(Arc::clone(&file));
            file.handle().sync_data().map_err(|source| Error::Io {
                action: "sync",
                path: file.path.clone(),
                source,
            })?;
            file.seal();
        }
        Ok(())
    }

    /// All outputs, synced. Their directory entries are not yet.
    pub(super) fn finish(&mut self) -> Result<Vec<Arc<DataFile>>> {
        self.end_file()?;
        Ok(self.done.clone())
    }

    /// Removes whatever was written.
    pub(super) fn discard(&mut self) {
        for file in self.done.drain(..).chain(self.open.take()) {
            let _ = self.engine.disk.unlink(&file.path);
        }
    }

    /// Keeps to the rate limit, unless writers wait for space, and stops for a closing store.
    fn pace(&mut self, read: usize) -> Result<()> {
        self.read_bytes += read as u64;
        if self.engine.is_closed() {
            return Err(stopped());
        }
        let engine = self.engine;
        if !engine.merges_by_itself() || engine.counters.is_overfull.load(Ordering::Relaxed) {
            return Ok(());
        }
        let rate = engine.options.merge_bytes_per_second;
        let due = Duration::from_secs_f64(self.read_bytes as f64 / rate as f64);
        let ahead = due.saturating_sub(self.started.elapsed());
        if ahead > Duration::from_millis(5) {
            std::thread::park_timeout(ahead.min(Duration::from_millis(100)));
        }
        Ok(())
    }
}

/// Points the keydir at the records of one output, where it still means them (M3).
pub(super) fn swap_into(engine: &Engine, plan: &Plan<'_>, output: &Arc<DataFile>) -> Result<()> {
    let mut walk = FrameWalk::new(output, output.written());
    let files = engine.files.load();
    loop {
        let (at, frame) = match walk.step()? {
            Step::Frame(at, frame) => (at, frame),
            Step::End(at) if at == output.written() => return Ok(()),
            // The inputs stay: entries that were not reached still mean them.
            Step::End(at) => return Err(output.corrupt(at, "zeros where a copy is due")),
            Step::Damaged(at, e) => return Err(output.corrupt(at, e)),
        };
        for member in frame.members() {
            let Some(index) = member.record.keyspace().and_then(|id| plan.indexes.get(&id)) else {
                continue;
            };
            let to = Location { file: output.id, offset: offset_of(output, at, &member)? };
            swap_one(index, &member, to, output, &files);
        }
    }
}

fn swap_one(
    index: &Index,
    member: &Member<'_>,
    to: Location,
    output: &DataFile,
    files: &crate::log::FileTable,
) {
    match member.record {
        Record::Put { key, .. } | Record::BlobRef { key, .. } => {
            let hash = index.hash(key);
            if !index.relocate(key, hash, member.sequence, (output, to), files) {
                output.note_dead(member.sequence);
            }
        }
        Record::ExpiryChange { key, .. } => {
            index.relocate_change(key, index.hash(key), member.sequence, to);
        }
        _ => {}
    }
}
