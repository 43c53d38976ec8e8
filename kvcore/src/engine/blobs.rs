//! Values too large for the log: a file each.
//!
//! # Invariants
//!
//! B1. A blob and its directory entry are durable before the record that refers to it is appended.
//! B2. A blob is unlinked only when what superseded it is durable, no open view is older, nobody
//!     reads it piece by piece and nothing is kept of it for a change feed.

use super::{Engine, Keep};
use crate::{
    error::Result,
    ids::{FileId, Sequence},
    log::file_names,
};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

mod read;
mod write;

pub(crate) use read::BlobFile;

/// The blobs that live records refer to, by the sequence of the put, and those to be unlinked.
///
/// Clones are the same table.
#[derive(Clone, Debug, Default)]
pub(crate) struct BlobTable(Arc<Mutex<Blobs>>);

#[derive(Debug, Default)]
struct Blobs {
    live: HashMap<Sequence, (FileId, u64)>,
    dead: Vec<Dead>,
    /// Of live and dead ones.
    held_bytes: u64,
    /// How often each is being read.
    pins: HashMap<FileId, usize>,
}

/// A blob whose put is not the key's newest record any more.
#[derive(Clone, Copy, Debug)]
struct Dead {
    id: FileId,
    len: u64,
    put: Sequence,
    /// What superseded it.
    until: Sequence,
}

/// Keeps a blob from being unlinked.
#[derive(Debug)]
pub(crate) struct BlobPin {
    table: BlobTable,
    id: FileId,
}

impl Drop for BlobPin {
    fn drop(&mut self) {
        let mut blobs = self.table.0.lock();
        if let Some(pins) = blobs.pins.get_mut(&self.id) {
            *pins -= 1;
            if *pins == 0 {
                blobs.pins.remove(&self.id);
            }
        }
    }
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
        let mut blobs = self.0.lock();
        let before = blobs.live.insert(put, (id, len));
        blobs.held_bytes += len;
        blobs.held_bytes -= before.map_or(0, |(_, len)| len);
    }

    /// The put's record is dead from `until` on.
    pub(crate) fn supersede(&self, put: Sequence, until: Sequence) {
        let mut blobs = self.0.lock();
        if let Some((id, len)) = blobs.live.remove(&put) {
            blobs.dead.push(Dead { id, len, put, until });
        }
    }

    /// The put turned out to be dead while loading, superseded by something durable.
    pub(crate) fn forget(&self, put: Sequence) {
        self.supersede(put, Sequence::ZERO);
    }

    /// The sequences of dead puts with the lengths of their blobs.
    pub(crate) fn dead(&self) -> Vec<(Sequence, u64)> {
        self.0.lock().dead.iter().map(|dead| (dead.put, dead.len)).collect()
    }

    /// After loading: lets go of dead blobs but those of puts above a sequence.
    pub(crate) fn keep_above(&self, above: Sequence) {
        self.take_dead(|dead| dead.put <= above);
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

    /// Bytes of blobs, those that wait to be unlinked too.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.0.lock().held_bytes
    }

    pub(crate) fn is_live(&self, id: FileId) -> bool {
        self.0.lock().live.values().any(|(live, _)| *live == id)
    }

    /// It is live, or dead and not unlinked yet.
    pub(crate) fn holds(&self, id: FileId) -> bool {
        let blobs = self.0.lock();
        let is_live = blobs.live.values().any(|(live, _)| *live == id);
        is_live || blobs.dead.iter().any(|dead| dead.id == id)
    }

    /// Keeps a blob for as long as the pin lives; it may be gone already.
    pub(crate) fn pin(&self, id: FileId) -> BlobPin {
        *self.0.lock().pins.entry(id).or_default() += 1;
        BlobPin { table: self.clone(), id }
    }

    /// The same of the blob that the put of this sequence refers to.
    pub(crate) fn pin_of(&self, put: Sequence) -> Option<BlobPin> {
        let id = self.0.lock().live.get(&put).map(|(id, _)| *id)?;
        Some(self.pin(id))
    }

    /// Holds what another table holds, which is left empty, and nothing else.
    pub(crate) fn replace(&self, other: &BlobTable) {
        let mut taken = std::mem::take(&mut *other.0.lock());
        let mut blobs = self.0.lock();
        taken.pins = std::mem::take(&mut blobs.pins);
        *blobs = taken;
    }

    fn take_dead(&self, gone: impl Fn(&Dead) -> bool) -> Vec<FileId> {
        let mut blobs = self.0.lock();
        let Blobs { dead, pins, .. } = &mut *blobs;
        let is_gone = |dead: &Dead| gone(dead) && !pins.contains_key(&dead.id);
        let (gone, kept): (Vec<_>, Vec<_>) = dead.drain(..).partition(is_gone);
        blobs.dead = kept;
        blobs.held_bytes -= gone.iter().map(|dead| dead.len).sum::<u64>();
        gone.into_iter().map(|dead| dead.id).collect()
    }
}

impl Engine {
    /// Values longer than this go into a file of their own, in bytes.
    pub(crate) fn blob_threshold(&self) -> u64 {
        self.options.data_file_bytes_max / 4
    }

    /// Removes a blob that no record refers to nor ever will. What stays behind by an error, or
    /// after the close, is removed at the next open.
    pub(crate) fn discard_blob(&self, id: FileId) {
        if self.check_open().is_ok() {
            let _ = self.disk.unlink(&self.dir.join(file_names::blob(id)));
        }
    }

    /// Unlinks blobs that nothing can ask for any more (B2).
    pub(crate) fn unlink_dead_blobs(&self) -> Result<()> {
        // In this order: a view opened after the second look is above what is durable now.
        let durable = self.sync.durable_sequence();
        let oldest = self.views.lock().oldest();
        let keep = if self.wants_space() { Keep::Nothing } else { Keep::ForFollowers };
        let above = self.kept_above(keep);
        let gone = self.blobs.take_dead(|dead| {
            let is_superseded = dead.until <= durable;
            is_superseded && dead.put <= above && oldest.is_none_or(|view| view >= dead.until)
        });
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
