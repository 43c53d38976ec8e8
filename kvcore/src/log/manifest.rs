//! The manifest: which files are live, where the log stands, what keyspaces there are.
//!
//! Knows the list and its bytes. Does not know the directory: what the manifest says is never
//! guessed from there. Each one is a new file with the next number; the old one stays until the
//! new one is in place.
//!
//! ```text
//! preamble 40 | number 8 | hash seed 16 | log floor 8 | feed floor 8 | next file 8 |
//! next keyspace 4 | highest clock 8 | clean end: file 8, length 8, last sequence 8 |
//! generations 4 | files 4 | keyspaces 4 | generation… | file… | keyspace… | checksum 4
//!
//! generation   id 8 | first sequence 8
//! file         id 8 | role 1 | length 8 | minimum dead sequence 8 | maximum sequence 8
//! keyspace     id 4 | schema version 4 | options 4 | dropped 1 | name s | key tag s | codec s |
//!              type name s
//! s            length 4 | UTF-8
//! ```
//!
//! # Invariants
//!
//! M1. The checksum is bound to the store and the manifest's number and verified first.
//! M2. Counts and lengths are checked against the bytes in hand before anything is allocated.
//! M3. What decodes encodes to the same bytes.

use super::{
    checksum::{HEADER, StoreId},
    header::{LogEnd, Role},
    preamble::{self, FormatError, Kind, Unverified},
};
use crate::ids::{FileId, KeyspaceId, Sequence};

mod codec;

const KIND: Kind = Kind { magic: *b"\x89kvmfst\n", name: "manifest", extra: HEADER - 2 };

/// Keyspace option: no order index.
pub(crate) const UNORDERED: u32 = 1;
/// Keyspace option: values are compressed where that saves.
pub(crate) const COMPRESSED: u32 = 1 << 1;
/// Keyspace option: expired entries are their owner's to remove.
pub(crate) const EXPIRED_BY_OWNER: u32 = 1 << 8;

/// One writable open, and where its history starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Random.
    pub(crate) id: u64,
    /// The first sequence it may have given out.
    pub(crate) first_sequence: Sequence,
}

/// A live file whose end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedFile {
    pub(crate) id: FileId,
    pub(crate) role: Role,
    /// What counts of it, header included; more may lie behind.
    pub(crate) length: u64,
    /// Of earlier versions: the lowest sequence of a dead put in it. Not looked at.
    pub(crate) min_dead_sequence: Option<Sequence>,
    /// Highest sequence in it.
    pub(crate) max_sequence: Sequence,
}

/// A registered keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyspaceMeta {
    /// Never reused.
    pub(crate) id: KeyspaceId,
    pub(crate) name: String,
    /// Structure of the key type, as [`crate::key`] writes it.
    pub(crate) key_tag: String,
    /// Name and wire version of the codec.
    pub(crate) codec: String,
    pub(crate) schema_version: u32,
    /// [`UNORDERED`], [`COMPRESSED`], and bits later versions may define. Unknown ones are kept.
    pub(crate) options: u32,
    /// The Rust type's name, for display; never compared.
    pub(crate) type_name: String,
    /// Dropped, and kept here until the log that says so is synced.
    pub(crate) dropped: bool,
}

/// The store's list of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Counts the manifests of a store; also in the file's name.
    pub(crate) number: u64,
    pub(crate) store_id: StoreId,
    /// Of the in-memory tables, so that cursors survive a reopen.
    pub(crate) hash_seed: [u8; 16],
    /// Every writable open, oldest first.
    pub(crate) generations: Vec<Generation>,
    /// Log files from here on are live without being listed.
    pub(crate) log_floor: FileId,
    /// Highest sequence that merge ever dropped or split off its batch.
    pub(crate) feed_floor: Sequence,
    /// No file at or above was used when this was written.
    pub(crate) next_file: FileId,
    /// No keyspace at or above was ever registered.
    pub(crate) next_keyspace: u32,
    pub(crate) files: Vec<ListedFile>,
    pub(crate) keyspaces: Vec<KeyspaceMeta>,
    /// Where the log ended when the store was closed; none while it is open.
    pub(crate) clean_end: Option<LogEnd>,
    /// Highest clock seen.
    pub(crate) highest_clock_ms: u64,
    /// Features that allow reading and forbid writing. Written as zero.
    pub(crate) read_only_features: u32,
}

/// Generations kept: positions older than these answer that they are compacted.
pub(crate) const GENERATIONS_MAX: usize = 1_024;

impl Manifest {
    /// The highest sequence that must never be given out again, as far as this file knows.
    pub(crate) fn last_sequence_known(&self) -> Sequence {
        let listed = self.files.iter().map(|f| f.max_sequence).max().unwrap_or_default();
        let before = self.generations.last().map_or(0, |g| g.first_sequence.0.saturating_sub(1));
        let clean = self.clean_end.map_or(Sequence::ZERO, |end| end.last_sequence);
        listed.max(Sequence(before)).max(self.feed_floor).max(clean)
    }

    /// Forgets the oldest generations beyond a bound.
    pub(crate) fn trim_generations(&mut self) {
        let excess = self.generations.len().saturating_sub(GENERATIONS_MAX);
        self.generations.drain(..excess);
    }

    /// The file's bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        preamble::put(&mut out, KIND, &self.store_id);
        codec::put(&mut out, self);
        preamble::put_checksum(&mut out, 0, KIND, NO_FILE, self.number);
        out
    }

    /// These bytes with a checksum that fits, if they begin as a manifest.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn signed(bytes: &[u8]) -> Option<Vec<u8>> {
        let number = codec::number(Unverified::of(bytes, KIND).ok()?.body).ok()?;
        Some(preamble::signed(bytes, KIND, NO_FILE, number))
    }

    /// Decodes a whole manifest file. The caller compares the number with the name's.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Manifest, FormatError> {
        let unverified = Unverified::of(bytes, KIND)?;
        let number = codec::number(unverified.body)?;
        let preamble = unverified.verify(NO_FILE, number)?;
        codec::take_all(unverified.body, preamble)
    }
}

/// Manifests are no data files; their number stands for the place in the checksum.
const NO_FILE: FileId = FileId(0);

#[cfg(test)]
mod tests;
