//! Several keys looked up and read side by side.
//!
//! A look-up waits for memory three times, for the bucket, the entry and the record, each of which
//! says where the next one is. Of several keys all buckets can be waited for together, then all
//! entries, then all records: so a group of keys goes through these passes together.

use super::{
    Engine,
    read::{Decoded, record_bytes_len},
};
use crate::{
    error::Result,
    index::{Index, KeyHash, State},
    keydir::EntryFlags,
    value::ValueRef,
};

/// Keys that go together: their buckets, entries and records, as far as they are fetched ahead,
/// fit the first-level cache.
pub(crate) const GROUP_KEYS: usize = 32;

/// Encoded keys, one after the other.
#[derive(Debug, Default)]
pub(crate) struct KeyGroup {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl KeyGroup {
    /// Adds a key that `encode` appends.
    pub(crate) fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn is_full(&self) -> bool {
        self.ends.len() >= GROUP_KEYS
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[*start..*end])
    }
}

impl Engine {
    /// Reads the values of a group of keys at the tip, each as of its own moment, and appends them
    /// to `out` in the order of the keys. Runs user code under no lock.
    pub(crate) fn get_group<T>(
        &self,
        index: &Index,
        keys: &KeyGroup,
        decode: impl Fn(ValueRef<'_>) -> Decoded<T>,
        out: &mut Vec<Option<T>>,
    ) -> Result<()> {
        self.check_open()?;
        let found = self.look_up_group(index, keys);
        // Loaded later than they were found, so a file may have been merged away meanwhile: then
        // the key is looked up again.
        let files = self.files.load();
        for (key, state) in keys.iter().zip(&found) {
            let Some(State { entry, .. }) = state else { continue };
            if let Some(file) = files.get(entry.location.file) {
                let len = record_bytes_len(index.id, key, entry);
                file.prefetch(u64::from(entry.location.offset), len);
            }
        }
        for (key, state) in keys.iter().zip(found) {
            let Some(state) = state.filter(|s| s.is_alive(|| self.clock.now_ms())) else {
                out.push(None);
                continue;
            };
            let value = match files.get(state.entry.location.file) {
                Some(file) if !state.entry.flags.has(EntryFlags::BLOB) => {
                    Some(self.read_value(file, index.id, key, &state.entry, &decode)?)
                }
                _ => self.get(index, key, &decode)?,
            };
            out.push(value);
        }
        Ok(())
    }

    /// The states of a group of keys, expired or not.
    fn look_up_group(&self, index: &Index, keys: &KeyGroup) -> Vec<Option<State>> {
        let hashes: Vec<KeyHash> = keys.iter().map(|key| index.hash(key)).collect();
        index.fetch(&hashes);
        let find = |(key, hash): (&[u8], KeyHash)| index.find_used(&index.shard(hash), key, hash);
        keys.iter().zip(hashes).map(find).collect()
    }
}
