//! Blobs, and what records say of them.

use crate::{
    disk::Disk,
    engine::BlobFile,
    error::{Error, Result},
    ids::{FileId, KeyspaceId, Sequence},
    log::{Member, Record, StoreId, corrupt},
};
use std::{
    collections::{BTreeMap, HashMap},
    io::ErrorKind,
    path::Path,
};

/// What records say of blobs: length and checksum of their checksums.
#[derive(Debug, Default)]
pub(crate) struct BlobRefs {
    blobs: BTreeMap<FileId, (u64, u32)>,
    /// The newest reference of a key, by which a missing blob is missed or not.
    keys: HashMap<(KeyspaceId, Vec<u8>), (Sequence, FileId)>,
}

impl BlobRefs {
    /// Notes a record, if it refers to a blob.
    pub(crate) fn add(&mut self, member: &Member<'_>) {
        let Record::BlobRef { keyspace, key, blob, len_bytes, checksum, .. } = member.record else {
            return;
        };
        self.blobs.insert(blob, (len_bytes, checksum));
        let newest = self.keys.entry((keyspace, key.to_vec())).or_insert((member.sequence, blob));
        if newest.0 < member.sequence {
            *newest = (member.sequence, blob);
        }
    }

    /// Notes a record that may supersede a reference noted before: in a second pass.
    pub(crate) fn supersede(&mut self, member: &Member<'_>) {
        match member.record {
            Record::Put { keyspace, key, .. } | Record::Tombstone { keyspace, key } => {
                let at = (keyspace, key.to_vec());
                if self.keys.get(&at).is_some_and(|(put, _)| *put < member.sequence) {
                    self.keys.remove(&at);
                }
            }
            Record::RangeTombstone { keyspace, start, end } => {
                self.keys.retain(|(space, key), (put, _)| {
                    let covers = crate::index::in_range(key, start, end);
                    *space != keyspace || *put > member.sequence || !covers
                });
            }
            _ => {}
        }
    }

    /// Every blob a record refers to, with its length and checksum.
    pub(crate) fn all(&self) -> Vec<(FileId, u64, u32)> {
        self.blobs.iter().map(|(id, (len, checksum))| (*id, *len, *checksum)).collect()
    }

    /// A key's newest record, as far as known, refers to it.
    pub(crate) fn is_needed(&self, id: FileId, is_known: impl Fn(KeyspaceId) -> bool) -> bool {
        self.keys.iter().any(|((space, _), (_, blob))| *blob == id && is_known(*space))
    }
}

/// Checks every block of a blob, one at a time.
pub(crate) fn check_blob(
    disk: &dyn Disk,
    path: &Path,
    store: &StoreId,
    (id, len, checksum): (FileId, u64, u32),
) -> Result<()> {
    let blob = match BlobFile::open(disk, path.to_path_buf(), store, (id, len, checksum)) {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Err(corrupt(path, 0, "a value refers to it, it is missing"));
        }
        opened => opened?,
    };
    let mut block = vec![0; blob.block_len(0)];
    for number in 0.. {
        let len = blob.block_len(number);
        if len == 0 {
            break;
        }
        blob.read_block(number, &mut block[..len])?;
    }
    Ok(())
}
