//! Reading a blob, block by block, each checked before a byte of it is handed out.

use super::{BlobPin, Engine};
use crate::{
    disk::{Disk, DiskFile, OpenMode},
    error::{Error, Result},
    ids::FileId,
    log::{
        StoreId,
        blob::{self, BLOB_HEADER_LEN, BLOCK_LEN, BlobSums},
        corrupt, file_names,
    },
};
use std::{path::PathBuf, sync::Arc};

/// An open blob, which is not unlinked meanwhile.
#[derive(Debug)]
pub(crate) struct BlobFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    sums: BlobSums,
    /// Against being unlinked; none where nobody unlinks.
    pin: Option<BlobPin>,
}

impl Engine {
    /// Opens a blob that a record refers to; see [`BlobFile::open`].
    pub(crate) fn open_blob(&self, id: FileId, len_bytes: u64, checksum: u32) -> Result<BlobFile> {
        let pin = self.blobs.pin(id);
        let path = self.dir.join(file_names::blob(id));
        let mut blob =
            BlobFile::open(&*self.disk, path, &self.store_id, (id, len_bytes, checksum))?;
        blob.pin = Some(pin);
        Ok(blob)
    }

    /// Keeps a blob, if it is there.
    pub(crate) fn pin_there(&self, id: FileId) -> Result<Option<BlobPin>> {
        let pin = self.blobs.pin(id);
        let name = file_names::blob(id);
        match self.disk.metadata(&self.dir.join(&name)) {
            Ok(_) => Ok(Some(pin)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.io("look at", &name, e)),
        }
    }

    /// Reads a whole blob.
    pub(crate) fn read_blob(&self, id: FileId, len_bytes: u64, checksum: u32) -> Result<Vec<u8>> {
        let blob = self.open_blob(id, len_bytes, checksum)?;
        let max_bytes = usize::MAX as u64;
        let len =
            usize::try_from(len_bytes).map_err(|_| Error::ValueTooLong { len_bytes, max_bytes })?;
        // The file is known to be longer.
        let mut value = vec![0; len];
        for (number, block) in (0..).zip(value.chunks_mut(BLOCK_LEN)) {
            blob.read_block(number, block)?;
        }
        Ok(value)
    }
}

impl BlobFile {
    /// Opens a blob of which this length and checksum are known, and checks its block checksums,
    /// four bytes for each 64 KiB of the value, which stay in memory.
    pub(crate) fn open(
        disk: &dyn Disk,
        path: PathBuf,
        store: &StoreId,
        (id, len_bytes, checksum): (FileId, u64, u32),
    ) -> Result<BlobFile> {
        let io = |action, source| Error::Io { action, path: path.clone(), source };
        let file = disk.open(&path, OpenMode::Read).map_err(|e| io("open", e))?;
        let found = file.len().map_err(|e| io("measure", e))?;
        let cut_short = || corrupt(&path, found, "the blob is cut short");
        let (at, len) = blob::checksums_at(len_bytes)
            .filter(|(at, len)| at + len <= found)
            .ok_or_else(cut_short)?;
        let mut header = [0; BLOB_HEADER_LEN];
        file.read_exact_at(&mut header, 0).map_err(|e| io("read", e))?;
        let mut checksums = vec![0; usize::try_from(len).map_err(|_| cut_short())?];
        file.read_exact_at(&mut checksums, at).map_err(|e| io("read", e))?;
        let sums = BlobSums::verify(&header, checksums, (store, id), len_bytes, checksum)
            .map_err(|e| corrupt(&path, 0, e))?;
        Ok(BlobFile { path, file, sums, pin: None })
    }

    /// The value's length.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.sums.len_bytes()
    }

    /// How long a block is; 0 behind the last one.
    pub(crate) fn block_len(&self, number: u64) -> usize {
        self.sums.block_len(number)
    }

    /// Fills `out`, which is as long as the block, with its checked bytes.
    pub(crate) fn read_block(&self, number: u64, out: &mut [u8]) -> Result<()> {
        let at = blob::block_at(number);
        self.file.read_exact_at(out, at).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => corrupt(&self.path, at, "the blob is cut short"),
            _ => Error::Io { action: "read", path: self.path.clone(), source },
        })?;
        self.sums.check(number, out).map_err(|e| corrupt(&self.path, at, e))
    }
}
