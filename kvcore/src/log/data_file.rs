//! One data file: bytes at offsets, readable while its end is still being written.
//!
//! Knows a file, its written length and its counters. Does not know keys, types or the other
//! files.
//!
//! # Invariants
//!
//! F1. Bytes below `written` never change and are in the file; bytes from `written` on are only in
//!     the tail buffer. Only the holder of the writer lock moves `written`.
//! F2. A file is never shrunk; it is unlinked as a whole.
//! F3. No live bytes means that the keydir points at nothing in the file, or that the commit that
//!     has just taken the last of it is still held by the writer lock.

use crate::{
    disk::{DiskFile, Mapping},
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{FRAME_HEADER_LEN, FileKey, Hiding, Role},
    value::Bytes,
};
use parking_lot::RwLock;
use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A data file that is open for reading, and for appending while it is the active one.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) id: FileId,
    pub(crate) role: Role,
    pub(crate) key: FileKey,
    pub(crate) path: PathBuf,
    handle: Arc<dyn DiskFile>,
    mapping: Option<Mapping>,
    written: AtomicU64,
    /// `written` and the length of the tail, so that the writer need not lock it to know.
    end: AtomicU64,
    tail: RwLock<Vec<u8>>,
    /// Bytes of records that the keydir points at.
    pub(crate) live_bytes: AtomicU64,
    max_sequence: AtomicU64,
    /// Bytes of expiry changes that a merge had to keep.
    retained: AtomicU64,
    /// Its deletes, and what is dead in it.
    pub(crate) hiding: Hiding,
    /// No more appends; `written` is the exact length.
    sealed: AtomicBool,
    /// A valid hint file stands beside it.
    pub(crate) has_hint: AtomicBool,
}

/// Of a longer record only the front is fetched ahead; the hardware follows from there.
const PREFETCH_BYTES_MAX: usize = 512;

/// Bytes that are entered into the page table together, behind the end of the file.
const WINDOW_BYTES: u64 = 64 << 10;

/// What a new [`DataFile`] is made of.
pub(crate) struct Parts {
    pub(crate) id: FileId,
    pub(crate) role: Role,
    pub(crate) key: FileKey,
    pub(crate) path: PathBuf,
    pub(crate) handle: Arc<dyn DiskFile>,
    /// How much of it may be mapped, in bytes; 0 for none.
    pub(crate) map_bytes: u64,
    pub(crate) written: u64,
}

impl DataFile {
    /// Opens the view on a file. A file that cannot be mapped is read with `pread`.
    pub(crate) fn new(parts: Parts) -> Result<DataFile> {
        let Parts { id, role, key, path, handle, map_bytes, written } = parts;
        let mapping = if map_bytes == 0 {
            None
        } else {
            match handle.map(map_bytes) {
                Ok(mapping) => Some(mapping),
                Err(e) if e.kind() == io::ErrorKind::Unsupported => None,
                Err(source) => return Err(Error::Io { action: "map", path, source }),
            }
        };
        Ok(DataFile {
            id,
            role,
            key,
            path,
            handle,
            mapping,
            written: AtomicU64::new(written),
            end: AtomicU64::new(written),
            tail: RwLock::new(Vec::new()),
            live_bytes: AtomicU64::new(0),
            max_sequence: AtomicU64::new(0),
            retained: AtomicU64::new(0),
            hiding: Hiding::default(),
            sealed: AtomicBool::new(false),
            has_hint: AtomicBool::new(false),
        })
    }

    /// The same file, its first `len` bytes, read with `pread` only: an unreadable sector is an
    /// error then.
    pub(crate) fn unmapped(&self, len: u64) -> Result<DataFile> {
        let handle = Arc::clone(&self.handle);
        let DataFile { id, role, key, ref path, .. } = *self;
        let path = path.clone();
        let written = len;
        let file = DataFile::new(Parts { id, role, key, path, handle, map_bytes: 0, written })?;
        if self.is_sealed() {
            file.seal();
        }
        Ok(file)
    }

    /// Bytes in the file, without the tail buffer.
    #[inline]
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Bytes in the file and in the tail buffer.
    pub(crate) fn len(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    pub(crate) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    pub(crate) fn handle(&self) -> &Arc<dyn DiskFile> {
        &self.handle
    }

    /// Bytes that merge could give back: everything but the header and live records.
    pub(crate) fn dead_bytes(&self) -> u64 {
        let live = self.live_bytes.load(Ordering::Relaxed) + crate::log::FILE_HEADER_LEN as u64;
        self.written().saturating_sub(live)
    }

    pub(crate) fn add_retained(&self, bytes: u64) {
        self.retained.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn retained_bytes(&self) -> u64 {
        self.retained.load(Ordering::Relaxed)
    }

    /// Nothing in it lives, and no expiry change in it may still mean something (F3).
    pub(crate) fn is_wholly_dead(&self) -> bool {
        self.live_bytes.load(Ordering::Acquire) == 0 && !self.hiding.has_expiry_changes()
    }

    pub(crate) fn max_sequence(&self) -> Sequence {
        Sequence(self.max_sequence.load(Ordering::Acquire))
    }

    /// The file holds a record with this sequence. Said by one thread at a time: the writer, the
    /// merge that makes the file, or the loader of it.
    pub(crate) fn note_sequence(&self, sequence: Sequence) {
        if sequence.0 > self.max_sequence.load(Ordering::Relaxed) {
            self.max_sequence.store(sequence.0, Ordering::Release);
        }
    }

    pub(crate) fn add_live(&self, bytes: u64) {
        self.live_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The record of this length is not pointed at any more.
    pub(crate) fn sub_live(&self, bytes: u64) {
        let before = self.live_bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "live bytes of {} went below zero", self.id);
    }

    // ---- appending: only by the holder of the writer lock ----

    /// Writes `bytes` at the end of the file; the tail buffer must be empty.
    pub(crate) fn write_through(&self, bytes: &[u8]) -> io::Result<()> {
        debug_assert!(self.tail.read().is_empty(), "the tail comes first");
        let at = self.written.load(Ordering::Relaxed);
        self.handle.write_all_at(bytes, at)?;
        let end = at + bytes.len() as u64;
        self.written.store(end, Ordering::Release);
        self.end.store(end, Ordering::Release);
        self.enter_windows(at, end);
        Ok(())
    }

    /// Spares readers the page faults of the windows that are full now: beside a writer every
    /// fourth read takes one, and some of those wait for a page that is being written back.
    #[inline]
    fn enter_windows(&self, from: u64, to: u64) {
        let (from, to) = (from / WINDOW_BYTES, to / WINDOW_BYTES);
        if from < to {
            self.enter_pages(from * WINDOW_BYTES, to * WINDOW_BYTES);
        }
    }

    /// The same for what is left, when the last bytes are written.
    pub(crate) fn enter_rest(&self) {
        let written = self.written();
        self.enter_pages(written - written % WINDOW_BYTES, written);
    }

    #[cold]
    fn enter_pages(&self, from: u64, to: u64) {
        if let (Some(mapping), Ok(len)) = (&self.mapping, usize::try_from(to - from)) {
            mapping.populate(from, len);
        }
    }

    /// Another process has written up to here, and it counts now. Never goes back.
    pub(crate) fn grow(&self, to: u64) {
        self.written.fetch_max(to, Ordering::AcqRel);
        self.end.fetch_max(to, Ordering::AcqRel);
    }

    /// Lets `put` append bytes behind the end, readable at once, to be written by `flush`.
    pub(crate) fn buffer(&self, put: impl FnOnce(&mut Vec<u8>)) {
        let mut tail = self.tail.write();
        let before = tail.len();
        put(&mut tail);
        let added = (tail.len() - before) as u64;
        self.end.store(self.end.load(Ordering::Relaxed) + added, Ordering::Release);
    }

    pub(crate) fn has_tail(&self) -> bool {
        self.len() > self.written()
    }

    /// Writes the tail buffer. After an error it is unknown how much of it is in the file.
    pub(crate) fn flush(&self) -> io::Result<()> {
        if !self.has_tail() {
            return Ok(());
        }
        let at = self.written.load(Ordering::Relaxed);
        let len = {
            let tail = self.tail.read();
            self.handle.write_all_at(&tail, at)?;
            tail.len() as u64
        };
        let mut tail = self.tail.write();
        self.written.store(at + len, Ordering::Release);
        tail.clear();
        drop(tail);
        self.enter_windows(at, at + len);
        Ok(())
    }

    /// Makes sure that a frame whose write failed is not found after a crash: it may be there
    /// whole, and until a successor's header is durable nothing says that it does not count.
    pub(crate) fn erase_failed_frame(&self) -> io::Result<()> {
        let at = self.written();
        let there = self.handle.len()?.saturating_sub(at).min(FRAME_HEADER_LEN as u64);
        if there == 0 {
            return Ok(());
        }
        let zeros = [0; FRAME_HEADER_LEN];
        let there = usize::try_from(there).unwrap_or(zeros.len());
        self.handle.write_all_at(&zeros[..there], at)?;
        self.handle.sync_data()
    }

    // ---- reading ----

    /// The mapped bytes at `offset`, if they are written and mapped.
    #[inline]
    pub(crate) fn mapped(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let mapping = self.mapping.as_ref()?;
        let end = offset.checked_add(len as u64)?;
        if end > self.written() { None } else { mapping.slice(offset, len) }
    }

    /// Starts fetching bytes that are about to be read, where they are mapped.
    #[inline]
    pub(crate) fn prefetch(&self, offset: u64, len: usize) {
        if let Some(mapping) = &self.mapping {
            mapping.prefetch(offset, len.min(PREFETCH_BYTES_MAX));
        }
    }

    /// Asks the system for bytes that are read soon, in order, where they are mapped.
    pub(crate) fn read_ahead(&self, offset: u64, len: usize) {
        if let Some(mapping) = &self.mapping {
            mapping.read_ahead(offset, len);
        }
    }

    /// Calls `f` with up to `len` bytes from `offset`, fewer at the end of the file.
    ///
    /// Costs nothing over mapped bytes; a copy over the tail buffer and without a map.
    pub(crate) fn with_bytes<R>(
        &self,
        offset: u64,
        len: usize,
        f: impl Fn(&[u8]) -> R,
    ) -> Result<R> {
        let mut result = None;
        self.lend_bytes(offset, len, &mut |bytes| result = Some(f(bytes)))?;
        Ok(result.expect("bytes are lent once, or there was an error"))
    }

    fn lend_bytes(&self, offset: u64, len: usize, f: &mut dyn FnMut(&[u8])) -> Result<()> {
        let written = self.written();
        if offset < written {
            let len = len.min(usize::try_from(written - offset).unwrap_or(usize::MAX));
            if let Some(bytes) = self.mapped(offset, len) {
                f(bytes);
                return Ok(());
            }
            let mut buffer = vec![0; len];
            self.read_exact_at(&mut buffer, offset)?;
            f(&buffer);
            return Ok(());
        }
        let tail = self.tail.read();
        let written = self.written();
        if offset < written {
            drop(tail);
            return self.lend_bytes(offset, len, f);
        }
        let start = usize::try_from(offset - written).unwrap_or(usize::MAX).min(tail.len());
        let end = start.saturating_add(len).min(tail.len());
        f(&tail[start..end]);
        Ok(())
    }

    /// Reads written bytes with `pread`, whatever the read mode.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.handle.read_exact_at(buffer, offset).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                return Error::Corrupt {
                    file: self.path.clone(),
                    offset_bytes: offset,
                    what: format!("the file ends within {} bytes", buffer.len()),
                };
            }
            Error::Io { action: "read", path: self.path.clone(), source }
        })
    }

    pub(crate) fn corrupt(&self, offset_bytes: u64, what: impl ToString) -> Error {
        corrupt(&self.path, offset_bytes, what)
    }
}

/// The error for bytes that are not what was written.
pub(crate) fn corrupt(file: &Path, offset_bytes: u64, what: impl ToString) -> Error {
    Error::Corrupt { file: file.to_path_buf(), offset_bytes, what: what.to_string() }
}

impl Bytes for DataFile {
    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        self.mapped(start as u64, len).expect("a value is pinned only when it is mapped")
    }
}
