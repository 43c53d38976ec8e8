//! How much memory a keydir takes, measured and estimated.

use super::{Index, SHARDS, ShardLock};

/// Memory of a key besides its own bytes, as measured with random keys. The table grows in steps,
/// so that the real figure moves around it.
const UNORDERED_BYTES: u64 = 38;
const ORDERED_BYTES: u64 = 56;
/// The same for an expiry.
const EXPIRY_BYTES: u64 = 56;
/// The same for the number of an entry's last use: between one and two slots of a hash table.
const USE_BYTES: u64 = 14;

impl Index {
    /// Heap bytes of tables and order index, keys included.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let shards: u64 = self
            .shards
            .iter()
            .map(|s| {
                let shard = s.0.read();
                shard.table.memory_bytes()
                    + shard.expiries.memory_bytes()
                    + shard.uses.memory_bytes()
            })
            .sum();
        let order = self.order.as_ref().map_or(0, |o| o.read().memory_bytes());
        shards + order + (SHARDS * size_of::<ShardLock>()) as u64
    }

    /// About the same as [`Index::memory_bytes`], from counts alone: cheap enough for every put.
    pub(crate) fn footprint_bytes(&self) -> u64 {
        let fixed = (SHARDS * size_of::<ShardLock>()) as u64;
        let expiries = self.expiring() * EXPIRY_BYTES;
        let uses = if self.remembers_uses() { self.len() * USE_BYTES } else { 0 };
        fixed + self.entries_bytes.get() + expiries + uses
    }

    /// What one entry counts in the footprint.
    pub(crate) fn bytes_of(&self, key_len: usize, expires: bool) -> u64 {
        let uses = if self.remembers_uses() { USE_BYTES } else { 0 };
        self.entry_bytes(key_len) + uses + if expires { EXPIRY_BYTES } else { 0 }
    }

    /// Entries that pending range deletes will give back, and their part of the footprint.
    pub(crate) fn leaving(&self) -> (u64, u64) {
        if !self.has_pending() {
            return (0, 0);
        }
        let leaving: u64 = self.pending.read().iter().map(|p| p.entries_left()).sum();
        let entries = u128::from(self.len() + leaving).max(1);
        let bytes = u128::from(self.entries_bytes.get());
        (leaving, u64::try_from(bytes * u128::from(leaving) / entries).unwrap_or(u64::MAX))
    }

    /// What a key adds to the footprint if it is put; 0 if it is there.
    pub(crate) fn added_bytes(&self, key: &[u8]) -> u64 {
        match self.state(key, self.hash(key)) {
            Some(_) => 0,
            None => self.entry_bytes(key.len()),
        }
    }

    /// An entry, its part of the table and, in an ordered keyspace, of the order index.
    pub(super) fn entry_bytes(&self, key_len: usize) -> u64 {
        key_len as u64 + if self.is_ordered() { ORDERED_BYTES } else { UNORDERED_BYTES }
    }

    /// Records of undo, and their heap bytes.
    pub(crate) fn undo_size(&self) -> (u64, u64) {
        let undo = self.undo.read();
        (undo.len(), undo.memory_bytes())
    }
}
