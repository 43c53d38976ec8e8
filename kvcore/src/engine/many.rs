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
use std::cell::Cell;

/// Keys that go together: their buckets, entries and records, as far as they are fetched ahead,
/// fit the first-level cache.
pub(crate) const GROUP_KEYS: usize = 32;

/// How far to fetch ahead of reads and writes of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// What tells where a record is and, for keys that are new, what will.
    Places,
    /// Both, for keys that are read and then written.
    Updates,
    /// All that goes with keys that are deleted.
    Deletes,
    /// The records too.
    Values,
}

/// A group whose keys took more is not kept for the next one.
const GROUP_BYTES_MAX: usize = 1 << 18;

thread_local! { static GROUP: Cell<KeyGroup> = const { Cell::new(KeyGroup::new()) }; }

/// Lends this thread's group, emptied.
pub(crate) fn with_key_group<R>(f: impl FnOnce(&mut KeyGroup) -> R) -> R {
    let mut group = GROUP.take();
    group.clear();
    let result = f(&mut group);
    if group.bytes.capacity() <= GROUP_BYTES_MAX {
        GROUP.set(group);
    }
    result
}

/// Encoded keys, one after the other.
#[derive(Debug, Default)]
pub(crate) struct KeyGroup {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl KeyGroup {
    const fn new() -> KeyGroup {
        KeyGroup { bytes: Vec::new(), ends: Vec::new() }
    }

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

    /// Starts fetching what a look-up of each of these keys will touch and, if values are wanted,
    /// the records. Marks nothing as used.
    pub(crate) fn fetch_group(&self, index: &Index, keys: &KeyGroup, ahead: Ahead) {
        let mut hashes = [KeyHash::default(); GROUP_KEYS];
        for (hash, key) in hashes.iter_mut().zip(keys.iter()) {
            *hash = index.hash(key);
        }
        let hashes = &hashes[..keys.ends.len()];
        match ahead {
            Ahead::Values => index.fetch(hashes),
            Ahead::Updates => fetch_places(index, keys, hashes, ahead),
            Ahead::Places | Ahead::Deletes => return fetch_places(index, keys, hashes, ahead),
        }
        let files = self.files.load();
        for (key, hash) in keys.iter().zip(hashes) {
            let entry = index.find(key, *hash, |state| state.entry);
            // One that is gone has been merged away meanwhile.
            let file = entry.and_then(|entry| Some((entry, files.get(entry.location.file)?)));
            if let Some((entry, file)) = file {
                let len = record_bytes_len(index.id, key, &entry);
                file.prefetch(u64::from(entry.location.offset), len);
            }
        }
    }

    /// The states of a group of keys, expired or not.
    fn look_up_group(&self, index: &Index, keys: &KeyGroup) -> Vec<Option<State>> {
        let hashes: Vec<KeyHash> = keys.iter().map(|key| index.hash(key)).collect();
        index.fetch(&hashes);
        let find = |(key, hash): (&[u8], KeyHash)| index.find_used(&index.shard(hash), key, hash);
        keys.iter().zip(hashes).map(find).collect()
    }
}

/// Starts fetching what writing or deleting these keys will look at and change.
fn fetch_places(index: &Index, keys: &KeyGroup, hashes: &[KeyHash], ahead: Ahead) {
    hashes.iter().for_each(|hash| index.fetch_bucket(*hash));
    // What is overwritten stays in its place among the others.
    let moves = |hash: &KeyHash| !index.fetch_entry(*hash) || ahead == Ahead::Deletes;
    let moving = keys.iter().zip(hashes).filter(|(_, hash)| moves(hash));
    index.fetch_order(moving.map(|(key, _)| key));
}
