//! Values too large for the log: a file each.
//!
//! # Invariants
//!
//! B1. A blob and its directory entry are durable before the record that refers to it is appended.
//! B2. A blob is unlinked only when what superseded it is durable and no open view is older.

use super::Engine;
use crate::{
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::{
        blob::{self, BLOB_HEADER_LEN, BlobWriter},
        file_names,
    },
};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The blobs that live records refer to, by the sequence of the put, and those to be unlinked.
#[derive(Debug, Default)]
pub(crate) struct BlobTable(Mutex<Blobs>);

#[derive(Debug, Default)]
struct Blobs {
    live: HashMap<Sequence, (FileId, u64)>,
    /// Superseded by the sequence beside them.
    dead: Vec<(FileId, Sequence)>,
}

/// A blob that is complete and durable, and that no record refers to yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewBlob {
    pub(crate) id: FileId,
    pub(crate) len_bytes: u64,
    pub(crate) checksum: u32,
}

impl BlobTable {
    pub(crate) fn add(&self, put: Sequence, id: FileId, len: u64) {
        self.0.lock().live.insert(put, (id, len));
    }

    /// The put's record is dead from `until` on.
    pub(crate) fn supersede(&self, put: Sequence, until: Sequence) {
        let mut blobs = self.0.lock();
        if let Some((id, _)) = blobs.live.remove(&put) {
            blobs.dead.push((id, until));
        }
    }

    /// The put turned out to be dead while loading; its file is an orphan.
    pub(crate) fn forget(&self, put: Sequence) {
        self.0.lock().live.remove(&put);
    }

    pub(crate) fn live_ids(&self) -> Vec<FileId> {
        self.0.lock().live.values().map(|(id, _)| *id).collect()
    }

    /// Every live blob with its length.
    pub(crate) fn live_files(&self) -> Vec<(FileId, u64)> {
        self.0.lock().live.values().copied().collect()
    }

    /// Files and bytes of live blobs.
    pub(crate) fn live(&self) -> (u64, u64) {
        let blobs = self.0.lock();
        (blobs.live.len() as u64, blobs.live.values().map(|(_, len)| len).sum())
    }

    pub(crate) fn is_live(&self, id: FileId) -> bool {
        self.0.lock().live.values().any(|(live, _)| *live == id)
    }

    /// Holds what another table holds, and nothing else.
    pub(crate) fn replace(&self, other: BlobTable) {
        *self.0.lock() = other.0.into_inner();
    }

    fn take_dead(&self, gone: impl Fn(Sequence) -> bool) -> Vec<FileId> {
        let mut blobs = self.0.lock();
        let (gone, kept) = blobs.dead.drain(..).partition(|(_, until)| gone(*until));
        blobs.dead = kept;
        gone.into_iter().map(|(id, _): (FileId, Sequence)| id).collect()
    }
}

impl Engine {
    /// Values longer than this go into a file of their own, in bytes.
    pub(crate) fn blob_threshold(&self) -> u64 {
        self.options.data_file_bytes_max / 4
    }

    /// Writes a value into a blob file and makes it durable (B1).
    pub(crate) fn write_blob(&self, value: &[u8]) -> Result<NewBlob> {
        self.check_open()?;
        self.check_writable()?;
        let id = self.allocate_file()?;
        let name = file_names::blob(id);
        let result = self.write_blob_file(id, &name, value);
        if result.is_err() {
            let _ = self.disk.unlink(&self.dir.join(&name));
        }
        result
    }

    fn write_blob_file(&self, id: FileId, name: &str, value: &[u8]) -> Result<NewBlob> {
        let io = |action, e| self.io(action, name, e);
        let file = self.disk.create_new(&self.dir.join(name)).map_err(|e| io("create", e))?;
        let mut sums = BlobWriter::new(&self.store_id, id);
        sums.push(value);
        let end = sums.finish();
        let value_at = BLOB_HEADER_LEN as u64;
        let end_at = value_at + end.len_bytes;
        let file_len = end_at + end.checksums.len() as u64;
        let _allocated_or_not = file.reserve(file_len).map_err(|e| io("reserve space in", e))?;
        file.write_all_at(&blob::header(&self.store_id, id), 0).map_err(|e| io("write", e))?;
        file.write_all_at(value, value_at).map_err(|e| io("write", e))?;
        file.write_all_at(&end.checksums, end_at).map_err(|e| io("write", e))?;
        file.sync_data().map_err(|e| io("sync", e))?;
        self.sync_dir()?;
        // Durable from here.
        Ok(NewBlob { id, len_bytes: end.len_bytes, checksum: end.checksum })
    }

    /// Removes a blob that no record refers to nor ever will. What stays behind by an error, or
    /// after the close, is removed at the next open.
    pub(crate) fn discard_blob(&self, id: FileId) {
        if self.check_open().is_ok() {
            let _ = self.disk.unlink(&self.dir.join(file_names::blob(id)));
        }
    }

    /// Reads a whole blob and checks every block.
    pub(crate) fn read_blob(&self, id: FileId, len_bytes: u64, checksum: u32) -> Result<Vec<u8>> {
        let name = file_names::blob(id);
        let io = |action, e| self.io(action, &name, e);
        let path = self.dir.join(&name);
        let file = self.disk.open(&path, crate::disk::OpenMode::Read).map_err(|e| io("open", e))?;
        let found = file.len().map_err(|e| io("measure", e))?;
        if found < len_bytes {
            return Err(crate::log::corrupt(&path, found, "the blob is cut short"));
        }
        let max_bytes = usize::MAX as u64;
        let found = usize::try_from(found)
            .map_err(|_| Error::ValueTooLong { len_bytes: found, max_bytes })?;
        let mut bytes = vec![0; found];
        file.read_exact_at(&mut bytes, 0).map_err(|e| io("read", e))?;
        let value = blob::open(&bytes, &self.store_id, id, len_bytes, checksum)
            .map_err(|e| crate::log::corrupt(&path, 0, e))?;
        let len = value.len();
        bytes.drain(..BLOB_HEADER_LEN);
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Unlinks blobs that nothing can ask for any more (B2).
    pub(crate) fn unlink_dead_blobs(&self) -> Result<()> {
        // In this order: a view opened after the second look is above what is durable now.
        let durable = self.sync.durable_sequence();
        let oldest = self.views.lock().oldest();
        let gone = self
            .blobs
            .take_dead(|until| until <= durable && oldest.is_none_or(|view| view >= until));
        for id in gone {
            let name = file_names::blob(id);
            match self.disk.unlink(&self.dir.join(&name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.io("remove", &name, e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
