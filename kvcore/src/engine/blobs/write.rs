//! Writing a blob, in one pass and with a fixed buffer.
//!
//! Knows bytes and their source. Does not know keys or records: who refers to the blob comes later.
//!
//! # Invariants
//!
//! W1. Whatever ends the writing early, an error of the disk, an error or a panic of the source,
//!     the file is gone afterwards, unless the store is closed: then the next open removes it.

use super::{Engine, NewBlob};
use crate::{
    disk::DiskFile,
    engine::space::BlobClaim,
    error::{Error, Result},
    ids::FileId,
    log::{
        blob::{self, BLOB_HEADER_LEN, BlobWriter},
        file_names,
    },
};
use std::{
    io::{self, Read},
    sync::Arc,
};

/// Bytes that are read from a source and written at a time.
const CHUNK_BYTES: usize = 256 << 10;

impl Engine {
    /// Writes a value into a blob file and makes it durable (B1).
    pub(crate) fn write_blob(&self, value: &[u8]) -> Result<NewBlob> {
        let mut sink = BlobSink::begin(self)?;
        sink.space.grow(value.len() as u64)?;
        sink.reserve(value.len() as u64)?;
        sink.push(value)?;
        sink.finish()
    }

    /// Writes `head` and all that the source has into a blob file and makes it durable (B1).
    /// The source is user code, and runs under no lock.
    pub(crate) fn write_blob_from(&self, head: &[u8], source: &mut dyn Read) -> Result<NewBlob> {
        let mut sink = BlobSink::begin(self)?;
        sink.space.grow(head.len() as u64)?;
        sink.push(head)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let filled = fill(source, &mut chunk).map_err(|source| Error::Source { source })?;
            self.check_open()?;
            sink.space.grow(filled as u64)?;
            sink.push(&chunk[..filled])?;
            if filled < chunk.len() {
                return sink.finish();
            }
        }
    }
}

/// Reads until the buffer is full or the source has ended.
fn fill(source: &mut dyn Read, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match source.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

/// A blob that is being written.
struct BlobSink<'e> {
    engine: &'e Engine,
    id: FileId,
    file: Arc<dyn DiskFile>,
    sums: BlobWriter,
    /// The file's length so far.
    at: u64,
    space: BlobClaim<'e>,
    is_finished: bool,
}

impl<'e> BlobSink<'e> {
    fn begin(engine: &'e Engine) -> Result<BlobSink<'e>> {
        engine.check_open()?;
        engine.check_writable()?;
        engine.check_process()?;
        let space = engine.claim_blob()?;
        let id = engine.allocate_file()?;
        let name = file_names::blob(id);
        let file = engine.disk.create_new(&engine.dir.join(&name));
        let file = file.map_err(|e| engine.io("create", &name, e))?;
        let sums = BlobWriter::new(&engine.store_id, id);
        let at = BLOB_HEADER_LEN as u64;
        let sink = BlobSink { engine, id, file, sums, at, space, is_finished: false };
        sink.write(&blob::header(&engine.store_id, id), 0)?;
        Ok(sink)
    }

    fn io(&self, action: &'static str, e: io::Error) -> Error {
        self.engine.io(action, &file_names::blob(self.id), e)
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.file.write_all_at(bytes, at).map_err(|e| self.io("write", e))
    }

    /// Takes the space for a value of known length in one piece, where the file system can.
    fn reserve(&self, len_bytes: u64) -> Result<()> {
        let Some((at, len)) = blob::checksums_at(len_bytes) else { return Ok(()) };
        let reserved = self.file.reserve(at + len);
        let _allocated_or_not = reserved.map_err(|e| self.io("reserve space in", e))?;
        Ok(())
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.write(bytes, self.at)?;
        self.sums.push(bytes);
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<NewBlob> {
        let sums =
            std::mem::replace(&mut self.sums, BlobWriter::new(&self.engine.store_id, self.id));
        let end = sums.finish();
        self.write(&end.checksums, self.at)?;
        self.file.sync_data().map_err(|e| self.io("sync", e))?;
        self.engine.sync_dir()?;
        // Durable from here.
        self.is_finished = true;
        Ok(NewBlob { id: self.id, len_bytes: end.len_bytes, checksum: end.checksum })
    }
}

/// Nothing refers to what was not finished (W1).
impl Drop for BlobSink<'_> {
    fn drop(&mut self) {
        if !self.is_finished && !self.engine.is_closed() {
            let name = file_names::blob(self.id);
            let _ = self.engine.disk.unlink(&self.engine.dir.join(name));
        }
    }
}
