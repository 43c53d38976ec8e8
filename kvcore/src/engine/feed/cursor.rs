//! Reading the log in sequence order, wherever its files are by now.
//!
//! # Invariants
//!
//! R1. Records are given in sequence order without a gap; a place where one is missing is an error.
//! R2. No frame is read that ends above the bound, and nothing is queued: what is not asked for
//!     costs no memory.
//! R3. Bytes are lent out of a map only if they are durable.

use super::{
    OpenFeed,
    held::{Held, HeldFrame, HeldRecord, Source},
};
use crate::{
    engine::{Engine, blobs::BlobPin, read::unpack_value},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{DataFile, FILE_HEADER_LEN, FrameError, FrameView, Parsed, Record, corrupt, parse_frame},
    value::{Bytes, ValueRef},
};
use std::sync::Arc;

/// Where a feed stands.
#[derive(Debug)]
pub(crate) struct FeedCursor {
    engine: Arc<Engine>,
    /// Keeps what comes from merge; none for a look that may fail.
    open: Option<OpenFeed>,
    /// Everything up to here has been given.
    after: Sequence,
    file: Option<Arc<DataFile>>,
    /// Where the next frame starts in the file.
    offset: u64,
    /// Bytes read ahead of a file that is not mapped, from this offset on.
    chunk: Option<(u64, Arc<[u8]>)>,
    frame: Option<HeldFrame>,
}

/// A record as it was committed.
#[derive(Debug)]
pub(crate) struct FeedRecord {
    held: HeldRecord,
    pub(crate) ends_commit: bool,
    /// Keeps the value's file, if it has one.
    _blob: Option<BlobPin>,
}

impl FeedRecord {
    pub(crate) fn sequence(&self) -> Sequence {
        self.held.sequence
    }

    pub(crate) fn record(&self) -> Record<'_> {
        self.held.record()
    }

    /// A value that is compressed in the record.
    pub(crate) fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>> {
        let held = &self.held.bytes;
        unpack_value(&held.file, held.at + offset_within(held, stored), stored)
    }

    /// Lends part of the record's bytes, to be pinned where they are mapped.
    pub(crate) fn lend<T>(&self, part: &[u8], f: impl FnOnce(ValueRef<'_>) -> T) -> T {
        let held = &self.held.bytes;
        match held.source {
            Source::Mapped(_) => {
                let owner = Arc::clone(&held.file) as Arc<dyn Bytes>;
                let start = held.at + offset_within(held, part);
                let start = usize::try_from(start).expect("what is mapped has an address");
                f(ValueRef::pinnable(part, &owner, start))
            }
            Source::Copied(_) => f(ValueRef::copied(part)),
        }
    }
}

/// Where a part of the held bytes starts in them.
fn offset_within(held: &Held, part: &[u8]) -> u64 {
    (part.as_ptr().addr() - held.bytes().as_ptr().addr()) as u64
}

/// Bytes read at a time where the file is not mapped.
const CHUNK_BYTES: usize = 64 << 10;

impl FeedCursor {
    /// A cursor behind this sequence, for which merge leaves alone what comes.
    pub(crate) fn open(engine: &Arc<Engine>, after: Sequence) -> Result<FeedCursor> {
        let open = engine.open_feed(after)?;
        Ok(FeedCursor { open: Some(open), ..FeedCursor::look(engine, after) })
    }

    fn look(engine: &Arc<Engine>, after: Sequence) -> FeedCursor {
        let engine = Arc::clone(engine);
        FeedCursor { engine, open: None, after, file: None, offset: 0, chunk: None, frame: None }
    }

    /// Everything up to here has been given.
    pub(crate) fn after(&self) -> Sequence {
        self.after
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// The next record, of a commit that lies up to the bound as a whole; none yet otherwise.
    pub(crate) fn next(&mut self, bound: Sequence) -> Result<Option<FeedRecord>> {
        loop {
            let Some(frame) = &mut self.frame else {
                if let Some(open) = &self.open {
                    open.advance(self.after);
                }
                if self.after >= bound {
                    return Ok(None);
                }
                self.frame = Some(self.next_frame()?);
                continue;
            };
            let last = frame.last;
            let Some(held) = frame.take().transpose()? else {
                self.frame = None;
                continue;
            };
            if held.sequence <= self.after {
                continue;
            }
            let blob = match held.record() {
                Record::BlobRef { blob, .. } => Some(self.pin(blob, last, bound)?),
                _ => None,
            };
            self.after = held.sequence;
            if !matches!(held.record(), Record::Watermark { .. }) {
                let ends_commit = held.sequence == last;
                return Ok(Some(FeedRecord { held, ends_commit, _blob: blob }));
            }
        }
    }

    /// Keeps a blob that a record of the commit that ends at `last` refers to.
    fn pin(&self, blob: FileId, last: Sequence, bound: Sequence) -> Result<BlobPin> {
        match self.engine.pin_there(blob)? {
            Some(pin) => Ok(pin),
            None => Err(self.compacted_through(last, bound)?),
        }
    }

    /// A blob of the commit that ends at `last` is gone: looks for the last such commit.
    fn compacted_through(&self, last: Sequence, bound: Sequence) -> Result<Error> {
        let mut oldest = last;
        let mut look = FeedCursor::look(&self.engine, last);
        while look.after < bound {
            let mut frame = look.next_frame()?;
            while let Some(held) = frame.take().transpose()? {
                if let Record::BlobRef { blob, .. } = held.record()
                    && self.engine.pin_there(blob)?.is_none()
                {
                    oldest = frame.last;
                }
            }
            look.after = frame.last;
        }
        Ok(Error::Compacted { oldest: self.engine.place_of(oldest) })
    }

    /// The frame that holds the next sequence.
    fn next_frame(&mut self) -> Result<HeldFrame> {
        let next = Sequence(self.after.0 + 1);
        let file = self.file_of(next)?;
        let durable = self.engine.sync.durable_sequence();
        loop {
            let at = self.offset;
            let (frame, first, len) = self.frame_at(&file, durable)?;
            self.offset += len as u64;
            if first > next {
                return Err(file.corrupt(at, format!("sequence {next} is due, {first} is there")));
            }
            if frame.last >= next {
                return Ok(frame);
            }
        }
    }

    /// The file that holds this sequence. Files overlap in no sequence above the floor, so it is
    /// the one that ends first behind it.
    fn file_of(&mut self, next: Sequence) -> Result<Arc<DataFile>> {
        let holds = |f: &&Arc<DataFile>| f.max_sequence() >= next;
        if let Some(file) = self.file.as_ref().filter(holds) {
            return Ok(Arc::clone(file));
        }
        let files = self.engine.files.load();
        // A read-only store may have another handle of the same file by now.
        let same = self.file.as_ref().and_then(|f| files.get(f.id)).filter(holds);
        let found = same.or_else(|| files.iter().filter(holds).min_by_key(|f| f.max_sequence()));
        // Looked at after the files: a merge raises it before it takes any of them away.
        if self.after < self.engine.feeds.floor() {
            return Err(self.engine.compacted());
        }
        let missing = || corrupt(&self.engine.dir, 0, format!("record {next} is in no data file"));
        let file = Arc::clone(found.ok_or_else(missing)?);
        if same.is_none() {
            self.offset = FILE_HEADER_LEN as u64;
        }
        self.chunk = None;
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// The frame at the offset, its first sequence and its length.
    fn frame_at(
        &mut self,
        file: &Arc<DataFile>,
        durable: Sequence,
    ) -> Result<(HeldFrame, Sequence, usize)> {
        let at = self.offset;
        let left = usize::try_from(file.written().saturating_sub(at)).unwrap_or(usize::MAX);
        let mapped = if left > 0 { file.mapped(at, left) } else { None };
        let Some(bytes) = mapped else { return self.frame_in_chunk(file) };
        let frame = parsed(file, at, bytes)?;
        let source = if frame.last() <= durable {
            Source::Mapped(frame.len)
        } else {
            Source::Copied(Arc::from(&bytes[..frame.len]))
        };
        let held = Held { file: Arc::clone(file), at, source };
        Ok((HeldFrame::new(held, 0, &frame), frame.first, frame.len))
    }

    /// The same where the bytes have to be copied: read, or still in the tail buffer.
    fn frame_in_chunk(&mut self, file: &Arc<DataFile>) -> Result<(HeldFrame, Sequence, usize)> {
        let at = self.offset;
        let mut wanted = CHUNK_BYTES;
        let mut is_fresh = false;
        loop {
            if let Some((from, chunk)) = &self.chunk
                && let Some(start) = at.checked_sub(*from).and_then(|s| usize::try_from(s).ok())
                && let Some(bytes) = chunk.get(start..)
            {
                match parse_frame(bytes, file.key, at) {
                    Parsed::Frame(frame) => {
                        let source = Source::Copied(Arc::clone(chunk));
                        let held = Held { file: Arc::clone(file), at: *from, source };
                        return Ok((HeldFrame::new(held, start, &frame), frame.first, frame.len));
                    }
                    Parsed::Damaged(FrameError::Truncated { needed, .. })
                        if needed > wanted || !is_fresh =>
                    {
                        wanted = wanted.max(needed);
                    }
                    _ if !is_fresh => {}
                    Parsed::Damaged(e) => return Err(file.corrupt(at, e)),
                    Parsed::End => return Err(file.corrupt(at, "zeros where a record is due")),
                }
            }
            self.chunk = Some((at, file.with_bytes(at, wanted, |b| Arc::from(b))?));
            is_fresh = true;
        }
    }
}

fn parsed<'b>(file: &DataFile, at: u64, bytes: &'b [u8]) -> Result<FrameView<'b>> {
    match parse_frame(bytes, file.key, at) {
        Parsed::Frame(frame) => Ok(frame),
        Parsed::Damaged(e) => Err(file.corrupt(at, e)),
        Parsed::End => Err(file.corrupt(at, "zeros where a record is due")),
    }
}
