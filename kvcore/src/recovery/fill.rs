//! From what one file tells of its records to the indexes of their keyspaces.

use super::load::{ExpiryChange, Loader};
use crate::{
    ids::{KeyspaceId, Location},
    index::{Index, LoadQueue, Loaded},
    keydir::EntryFlags,
    log::{DataFile, HintEntry, HintKind, tombstone_len},
};
use std::sync::Arc;

/// Fills the indexes from one file.
pub(super) struct Filler<'a> {
    loader: &'a Loader<'a>,
    file: &'a Arc<DataFile>,
    /// Of the records in the queue; `None` for a keyspace that was dropped.
    index: Option<Arc<Index>>,
    keyspace: Option<KeyspaceId>,
    queue: LoadQueue,
}

impl<'a> Filler<'a> {
    pub(super) fn new(loader: &'a Loader<'a>, file: &'a Arc<DataFile>) -> Filler<'a> {
        Filler { loader, file, index: None, keyspace: None, queue: LoadQueue::default() }
    }

    /// Takes one entry on its way.
    pub(super) fn add(&mut self, entry: &HintEntry<'_>) {
        if self.keyspace != Some(entry.keyspace) || self.queue.is_full() {
            self.flush();
            self.keyspace = Some(entry.keyspace);
            self.index = self.loader.indexes.get(&entry.keyspace).cloned();
        }
        // Records of a keyspace that was dropped are dead.
        let Some(index) = &self.index else {
            self.file.hiding.note_death(entry.keyspace, entry.place.sequence);
            self.loader.note_unknown(entry.keyspace);
            if let HintKind::BlobRef { blob, len_bytes, .. } = entry.kind {
                self.loader.blobs.add(entry.place.sequence, blob, len_bytes);
                self.loader.blobs.forget(entry.place.sequence);
            }
            return;
        };
        let location = Location { file: self.file.id, offset: entry.place.offset };
        let sequence = entry.place.sequence;
        let mut flags = EntryFlags::NONE;
        if entry.place.is_member {
            flags = flags.with(EntryFlags::MEMBER);
        }
        let (value_len, expires_at_ms) = match entry.kind {
            HintKind::Put { value_len, expires_at_ms } => (value_len, expires_at_ms),
            HintKind::BlobRef { blob, len_bytes, expires_at_ms } => {
                self.loader.blobs.add(sequence, blob, len_bytes);
                flags = flags.with(EntryFlags::BLOB);
                (u32::try_from(len_bytes).unwrap_or(u32::MAX), expires_at_ms)
            }
            HintKind::Tombstone => {
                let len = entry.place.with_overhead(tombstone_len(entry.keyspace, entry.key.len()));
                self.file.hiding.note_delete(entry.keyspace, sequence, len);
                flags = flags.with(EntryFlags::TOMBSTONE);
                (0, None)
            }
            HintKind::ExpiryChange { put_sequence, expires_at_ms } => {
                self.file.hiding.note_expiry_change();
                self.loader.add_change(ExpiryChange {
                    keyspace: entry.keyspace,
                    key: entry.key.to_vec(),
                    put: put_sequence,
                    at_ms: expires_at_ms,
                    record: (location, sequence),
                });
                return;
            }
        };
        if expires_at_ms.is_some() {
            flags = flags.with(EntryFlags::EXPIRES).with(EntryFlags::EXPIRY_IN_RECORD);
        }
        let loaded = Loaded { key: entry.key, sequence, location, value_len, flags, expires_at_ms };
        self.queue.push(index, &loaded);
    }

    /// Takes what is on its way into the index.
    pub(super) fn flush(&mut self) {
        let Some(index) = &self.index else { return };
        let note_dead = |key_len: usize, dead| self.loader.note_dead(index.id, key_len, dead);
        let count = self.queue.flush(index, self.file, note_dead);
        self.loader.count_keys(count);
    }
}
