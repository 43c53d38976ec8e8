//! The copying part of a merge: a fixed buffer, a rate, no lock held.

use super::{Plan, stopped};
use crate::{
    engine::{Engine, GROUP_KEYS},
    error::{Error, Result},
    ids::{KeyspaceId, Location, Sequence},
    index::{Index, KeyHash},
    log::{
        BatchEncoder, DataFile, FILE_HEADER_LEN, FileHeader, FileKey, FileParts, FrameWalk,
        HintDraft, HintItem, Member, Place, Record, Role, Step, WATERMARK_IN_HEADER, file_names,
    },
    options::ReadMode,
};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes read between two looks at the clock.
const LOOK_EVERY_BYTES: u64 = 32 << 10;
/// Bytes of hints that one merge holds in memory: few enough in tests of this crate's inside that
/// outputs without a hint come up there.
const HINT_BYTES_MAX: usize = if cfg!(test) { 64 } else { 64 << 20 };
/// What an entry of a hint takes beside its key, about.
const HINT_ENTRY_BYTES: usize = 18;

impl Plan<'_> {
    /// Copies what must be kept of every input that is read.
    pub(super) fn copy_all(&self, outputs: &mut Outputs<'_>) -> Result<()> {
        if cfg!(debug_assertions) {
            // Once whoever has just taken the last of a file is done with it.
            let _ = outputs.engine.durable_below();
            self.check_unread();
        }
        let mut group = Group::default();
        for input in self.read() {
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
                    // A watermark, whose clock the manifest keeps, or a keyspace that is gone, has
                    // no index.
                    let keyspace = member.record.keyspace();
                    if keyspace.is_some_and(|id| self.indexes.contains_key(&id)) {
                        if group.is_full_for(&member) {
                            self.copy_group(&mut group, outputs)?;
                        }
                        group.push(&member, place);
                    }
                }
                outputs.pace(frame.len)?;
            }
        }
        self.copy_group(&mut group, outputs)
    }

    /// M7, for tests: what is not read would not have been kept. Damage is as dead as the rest.
    fn check_unread(&self) {
        for input in self.inputs.iter().filter(|f| self.unread.contains(&f.id)) {
            let mut walk = FrameWalk::new(input, input.written());
            while let Ok(Step::Frame(at, frame)) = walk.step() {
                for member in frame.members() {
                    let Ok(offset) = offset_of(input, at, &member) else { return };
                    let index = member.record.keyspace().and_then(|id| self.indexes.get(&id));
                    let at = Location { file: input.id, offset };
                    let queued = Queued { at, sequence: member.sequence, end: 0 };
                    let hash = |index: &Index| member.record.key().map(|key| index.hash(key));
                    let is_kept = index.is_some_and(|index| match member.record {
                        // Worked off by now, whatever has come since.
                        Record::RangeTombstone { keyspace, .. } => {
                            self.deaths_outside.need(keyspace, member.sequence)
                        }
                        record => {
                            let hash = hash(index).unwrap_or(KeyHash { shard: 0, tag: 0 });
                            self.why_kept(index, &record, hash, &queued).is_some()
                        }
                    });
                    assert!(!is_kept, "{} needs reading: {:?}", input.id, member.record);
                }
            }
        }
    }

    /// Copies what must be kept of a group, and empties it.
    fn copy_group(&self, group: &mut Group, outputs: &mut Outputs<'_>) -> Result<()> {
        if let Some(index) = group.keyspace.and_then(|id| self.indexes.get(&id)) {
            let mut hashes = [KeyHash { shard: 0, tag: 0 }; GROUP_KEYS];
            for (hash, (_, record)) in hashes.iter_mut().zip(group.records()) {
                *hash = record.key().map_or(*hash, |key| index.hash(key));
            }
            index.fetch(&hashes[..group.queued.len()]);
            for ((queued, record), hash) in group.records().zip(hashes) {
                if let Some(kept) = self.why_kept(index, &record, hash, queued) {
                    outputs.push(&record, queued.sequence, kept)?;
                }
            }
        }
        group.clear();
        Ok(())
    }

    /// Whether a record must be kept.
    fn why_kept(
        &self,
        index: &Index,
        record: &Record<'_>,
        hash: KeyHash,
        Queued { at, sequence, .. }: &Queued,
    ) -> Option<Kept> {
        match *record {
            Record::Put { key, .. } | Record::BlobRef { key, .. } => {
                index.points_at(key, hash, *at).then_some(Kept::Live)
            }
            Record::Tombstone { keyspace, key } => {
                // A newer record of the key hides whatever the tombstone hides.
                let newer = index.state(key, hash).is_some_and(|s| s.entry.sequence > *sequence);
                let hides = || self.deaths_outside.need(keyspace, *sequence);
                (!newer && hides()).then_some(Kept::Retained)
            }
            Record::RangeTombstone { keyspace, .. } => {
                let keep = index.has_pending() || self.deaths_outside.need(keyspace, *sequence);
                keep.then_some(Kept::Retained)
            }
            Record::ExpiryChange { key, .. } => {
                index.change_points_at(key, hash, *at).then_some(Kept::Retained)
            }
            Record::Watermark { .. } => None,
        }
    }
}

/// Records of one keyspace that are looked up together, so that what one of them waits for is
/// fetched beside the next.
#[derive(Default)]
struct Group {
    keyspace: Option<KeyspaceId>,
    /// The records as they are encoded, one after the other.
    bytes: Vec<u8>,
    queued: Vec<Queued>,
}

/// One of them.
#[derive(Clone, Copy)]
struct Queued {
    at: Location,
    sequence: Sequence,
    /// Where it ends in the group's bytes.
    end: usize,
}

impl Group {
    fn is_full_for(&self, member: &Member<'_>) -> bool {
        self.queued.len() == GROUP_KEYS
            || self.bytes.len() >= BUFFER_BYTES
            || (!self.queued.is_empty() && self.keyspace != member.record.keyspace())
    }

    fn push(&mut self, member: &Member<'_>, at: Location) {
        self.keyspace = member.record.keyspace();
        member.record.encode(&mut self.bytes);
        self.queued.push(Queued { at, sequence: member.sequence, end: self.bytes.len() });
    }

    fn records(&self) -> impl Iterator<Item = (&Queued, Record<'_>)> {
        let starts = std::iter::once(0).chain(self.queued.iter().map(|queued| queued.end));
        starts.zip(&self.queued).map(|(start, queued)| {
            let record = Record::decode(&self.bytes[start..queued.end]);
            (queued, record.expect("it was encoded here").0)
        })
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.queued.clear();
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

/// A file that a merge has written, and its hint, if it was gathered.
pub(super) struct Output {
    pub(super) file: Arc<DataFile>,
    pub(super) hint: Option<Vec<u8>>,
}

/// The files a merge writes.
pub(super) struct Outputs<'a> {
    engine: &'a Engine,
    done: Vec<Output>,
    open: Option<Arc<DataFile>>,
    /// What the hint of the open file will say.
    draft: Option<HintDraft>,
    /// Bytes of the hints gathered so far, about.
    hint_bytes: usize,
    buffer: Vec<u8>,
    batch: BatchEncoder,
    /// How large files are to be.
    target: u64,
    started: Instant,
    read_bytes: u64,
    /// When so many bytes are read, it is time to look at the clock.
    look_at: u64,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(engine: &'a Engine) -> Outputs<'a> {
        Outputs {
            engine,
            done: Vec::new(),
            open: None,
            draft: None,
            hint_bytes: 0,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            batch: BatchEncoder::new(),
            target: engine.file_bytes_target(),
            started: Instant::now(),
            read_bytes: 0,
            look_at: 0,
        }
    }

    /// Appends a record as a batch of one with its sequence.
    fn push(&mut self, record: &Record<'_>, sequence: Sequence, kept: Kept) -> Result<()> {
        self.batch.clear();
        self.batch.push(record);
        let len = self.batch.frame_len() as u64;
        let target = self.target;
        if self.open.as_ref().is_some_and(|f| f.written() + self.buffered() + len > target) {
            self.end_file()?;
        }
        let file = match &self.open {
            Some(file) => Arc::clone(file),
            None => self.begin_file(sequence, target.max(len + FILE_HEADER_LEN as u64))?,
        };
        let at = file.written() + self.buffered();
        self.batch.seal(&mut self.buffer, file.key, at, sequence, WATERMARK_IN_HEADER);
        file.note_sequence(sequence);
        self.note_in_hint(record, sequence, at);
        file.hiding.note_record(record, sequence, len);
        if kept == Kept::Retained && matches!(record, Record::ExpiryChange { .. }) {
            file.add_retained(len);
        }
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(())
    }

    /// Gathers the hint, so that nobody need read the file for it; of a very large merge only that
    /// of the first files.
    fn note_in_hint(&mut self, record: &Record<'_>, sequence: Sequence, at: u64) {
        let Some(draft) = &mut self.draft else { return };
        self.hint_bytes += HINT_ENTRY_BYTES + record.key().map_or(0, <[u8]>::len);
        if self.hint_bytes > HINT_BYTES_MAX {
            self.draft = None;
            return;
        }
        let offset = u32::try_from(at).expect("a data file ends below 4 GiB");
        let place = Place { offset, is_member: false, sequence };
        draft.add(&HintItem::of(record, place));
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
        self.draft =
            (self.hint_bytes <= HINT_BYTES_MAX).then(|| HintDraft::new(engine.store_id, id));
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
            let draft = self.draft.take();
            let hint = draft.map(|draft| draft.finish(file.written(), file.max_sequence()));
            self.done.push(Output { file: Arc::clone(&file), hint });
            file.handle().sync_data().map_err(|source| Error::Io {
                action: "sync",
                path: file.path.clone(),
                source,
            })?;
            file.enter_rest();
            file.seal();
        }
        Ok(())
    }

    /// All outputs, synced. Their directory entries are not yet.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.end_file()
    }

    /// The finished files.
    pub(super) fn files(&self) -> Vec<Arc<DataFile>> {
        self.done.iter().map(|output| Arc::clone(&output.file)).collect()
    }

    /// The finished files with their hints.
    pub(super) fn into_done(self) -> Vec<Output> {
        self.done
    }

    /// Removes whatever was written.
    pub(super) fn discard(&mut self) {
        for file in self.files().into_iter().chain(self.open.take()) {
            let _ = self.engine.disk.unlink(&file.path);
        }
    }

    /// Keeps to the rate limit, unless writers wait for space, and stops for a closing store.
    fn pace(&mut self, read: usize) -> Result<()> {
        self.read_bytes += read as u64;
        if self.read_bytes < self.look_at {
            return Ok(());
        }
        self.look_at = self.read_bytes + LOOK_EVERY_BYTES;
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
