//! What merge asks and changes: where entries point.
//!
//! Runs beside commits, under one shard's lock at a time (X1).

use super::{Index, KeyHash};
use crate::{
    ids::{Location, Sequence},
    keydir::{Entry, EntryFlags},
    log::{DataFile, FileTable, record_bytes},
};
use parking_lot::RwLockUpgradableReadGuard;

impl Index {
    /// The keydir points at this place for this key.
    pub(crate) fn points_at(&self, key: &[u8], hash: KeyHash, location: Location) -> bool {
        let shard = self.shard(hash);
        shard.table.get(hash.tag, key).is_some_and(|(_, e)| e.location == location)
    }

    /// The latest expiry-change record of this key's entry is at this place.
    pub(crate) fn change_points_at(&self, key: &[u8], hash: KeyHash, location: Location) -> bool {
        let shard = self.shard(hash);
        shard
            .table
            .get(hash.tag, key)
            .and_then(|(r, _)| shard.expiries.get(r))
            .and_then(|e| e.change)
            .is_some_and(|(at, _)| at == location)
    }

    /// Points the entry at the copy, if it still means the copied record. False if it does not.
    pub(crate) fn relocate(
        &self,
        key: &[u8],
        hash: KeyHash,
        sequence: Sequence,
        (file, to): (&DataFile, Location),
        files: &FileTable,
    ) -> bool {
        let shard = self.shard_to_change(hash);
        let Some((r, old)) = shard.table.get(hash.tag, key) else { return false };
        if old.sequence != sequence {
            return false;
        }
        // Copies are batches of one.
        let flags = old.flags.without(EntryFlags::MEMBER);
        let entry = Entry { location: to, flags, ..old };
        file.add_live(record_bytes(self.id, key.len(), &entry));
        if let Some(input) = files.get(old.location.file) {
            input.sub_live(record_bytes(self.id, key.len(), &old));
        }
        RwLockUpgradableReadGuard::upgrade(shard).table.set(r, entry);
        true
    }

    /// The same for an expiry-change record.
    pub(crate) fn relocate_change(
        &self,
        key: &[u8],
        hash: KeyHash,
        sequence: Sequence,
        to: Location,
    ) {
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let Some((r, _)) = shard.table.get(hash.tag, key) else { return };
        if let Some(mut expiry) = shard.expiries.get(r)
            && expiry.change.is_some_and(|(_, change)| change == sequence)
        {
            expiry.change = Some((to, sequence));
            shard.expiries.set(r, expiry);
        }
    }
}
