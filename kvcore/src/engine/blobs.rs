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
    log::{BLOB_BLOCK_BYTES, BlobHeader, Partial, FileKey, file_names},
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

    /// Files and bytes of live blobs.
    pub(crate) fn live(&self) -> (u64, u64) {
        let blobs = self.0.lock();
        (blobs.live.len() as u64, blobs.live.values().map(|(_, len)| len).sum())
    }

    pub(crate) fn is_live(&self, id: FileId) -> bool {
        self.0.lock().live.values().any(|(live, _)| *live == id)
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
        let key = FileKey::new(&self.store_id, id);
        let header = BlobHeader { store_id: self.store_id, file: id, len_bytes: value.len() as u64 };
        let bytes = header.encode();
        file.reserve(header.file_len()).map_err(|e| io("reserve space in", e))?;
        file.write_all_at(&bytes, 0).map_err(|e| io("write", e))?;
        file.write_all_at(value, bytes.len() as u64).map_err(|e| io("write", e))?;
        let sums = block_checksums(value, key);
        file.write_all_at(&sums, (bytes.len() + value.len()) as u64).map_err(|e| io("write", e))?;
        file.sync_data().map_err(|e| io("sync", e))?;
        self.sync_dir()?;
        // Durable from here.
        let checksum = Partial::of(&sums).at(key, 0, value.len() as u64);
        Ok(NewBlob { id, len_bytes: value.len() as u64, checksum })
    }

    /// Reads a whole blob and checks every block.
    pub(crate) fn read_blob(&self, id: FileId, len_bytes: u64, checksum: u32) -> Result<Vec<u8>> {
        let name = file_names::blob(id);
        let path = self.dir.join(&name);
        let damaged = |offset, what: &str| crate::log::corrupt(&path, offset, what);
        let file = self
            .disk
            .open(&path, crate::disk::OpenMode::Read)
            .map_err(|e| self.io("open", &name, e))?;
        let header = BlobHeader { store_id: self.store_id, file: id, len_bytes };
        let found = file.len().map_err(|e| self.io("measure", &name, e))?;
        if found < header.file_len() {
            return Err(damaged(found, "the blob is cut short"));
        }
        let read = |offset: u64, len: u64| -> Result<Vec<u8>> {
            let len = usize::try_from(len).map_err(|_| Error::ValueTooLong {
                len_bytes: len,
                max_bytes: usize::MAX as u64,
            })?;
            let mut bytes = vec![0; len];
            file.read_exact_at(&mut bytes, offset).map_err(|e| self.io("read", &name, e))?;
            Ok(bytes)
        };
        let start = read(0, BlobHeader::LEN as u64)?;
        if start != header.encode() {
            return Err(damaged(0, "the blob's header is not the one that was written"));
        }
        let key = FileKey::new(&self.store_id, id);
        let value = read(start.len() as u64, len_bytes)?;
        let sums = read(start.len() as u64 + len_bytes, header.file_len() - start.len() as u64 - len_bytes)?;
        if Partial::of(&sums).at(key, 0, len_bytes) != checksum {
            return Err(damaged(start.len() as u64 + len_bytes, "the block checksums do not fit"));
        }
        let computed = block_checksums(&value, key);
        let pairs = sums.chunks(4).zip(computed.chunks(4));
        if let Some(block) = pairs.into_iter().position(|(a, b)| a != b) {
            let offset = start.len() + block * BLOB_BLOCK_BYTES;
            return Err(damaged(offset as u64, "a block's checksum does not fit"));
        }
        Ok(value)
    }

    /// Unlinks blobs that nothing can ask for any more (B2).
    pub(crate) fn unlink_dead_blobs(&self) -> Result<()> {
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

/// One checksum per block, each bound to its place.
fn block_checksums(value: &[u8], key: FileKey) -> Vec<u8> {
    let blocks = value.chunks(BLOB_BLOCK_BYTES).enumerate();
    blocks
        .flat_map(|(i, block)| {
            let offset = (BlobHeader::LEN + i * BLOB_BLOCK_BYTES) as u64;
            Partial::of(block).at(key, offset, 0).to_le_bytes()
        })
        .collect()
}
