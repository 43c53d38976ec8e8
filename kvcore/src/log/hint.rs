//! A hint file: what opening needs to know of one sealed data file, without its values.
//!
//! Knows entries and their order. It is a cache: any doubt about it means reading the data file.
//!
//! ```text
//! preamble 40 | file 8 | data length 8 | entries 8 | ranges 8 | length of the ranges 8 |
//! minimum dead sequence 8 | minimum sequence 8 | maximum sequence 8 | highest clock 8 |
//! ranges | entries | checksum 4
//!
//! range   place | keyspace v | bounds, as in its record
//! entry   place | keyspace v | key length v | by kind | [expiry 8] | key
//!         by kind: put value length v; blob reference length 8, file 8; expiry change put 8
//! place   tag 1 | offset 4 | sequence 8
//! ```
//!
//! The tag is the record's kind, `80` for an expiry, and `20` for a member of a larger batch.
//!
//! # Invariants
//!
//! T1. Entries are sorted by keyspace, then key, then sequence, so an order index can be merged
//!     from several hints bottom-up.
//! T2. The checksum is verified over everything before anything is yielded, and it is bound to
//!     store, file and data length.
//! T3. A hint stands for the whole data file: a file with a record the hint cannot express has no
//!     hint.

use super::{
    checksum::{HEADER, StoreId},
    preamble::{CRC_LEN, FormatError, Kind, PREAMBLE_LEN, Unverified},
    record::{Bounds, put_bounds, take, take_bounds, take_file_id, take_u64},
};
use crate::ids::{FileId, KeyspaceId, Sequence};

mod entry;
mod item;
mod write;

pub(crate) use entry::{Entries, HintEntry, HintKind, Place};
pub(crate) use item::{HintDraft, HintItem};
pub(crate) use write::HintWriter;

const KIND: Kind = Kind { magic: *b"\x89kvhint\n", name: "hint file", extra: HEADER - 1 };

const FACTS_LEN: usize = 9 * size_of::<u64>();
const HEAD_LEN: usize = PREAMBLE_LEN + FACTS_LEN;

const _: () = assert!(HEAD_LEN == 112);

/// What a hint says of its data file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HintFacts {
    /// The data file's exact logical length, header included.
    pub(crate) data_len: u64,
    /// Was meant for the lowest sequence of a dead put. Not looked at.
    pub(crate) min_dead_sequence: Option<Sequence>,
    /// Lowest sequence in the file.
    pub(crate) min_sequence: Sequence,
    /// Highest sequence in the file.
    pub(crate) max_sequence: Sequence,
    /// Highest clock seen up to the end of the file.
    pub(crate) highest_clock_ms: u64,
}

/// A range tombstone of the data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HintRange<'a> {
    pub(crate) place: Place,
    pub(crate) keyspace: KeyspaceId,
    pub(crate) bounds: Bounds<'a>,
}

/// A verified hint file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HintReader<'a> {
    facts: HintFacts,
    range_count: u64,
    entry_count: u64,
    ranges: &'a [u8],
    entries: &'a [u8],
}

/// The data length a hint claims, before anything of it is verified.
pub(crate) fn data_len_of(bytes: &[u8]) -> Option<u64> {
    let mut rest = Unverified::of(bytes, KIND).ok()?.body;
    take_file_id(&mut rest).ok()?;
    take_u64(&mut rest).ok()
}

/// These bytes with a checksum that fits, if they begin as a hint, and what it is bound to.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn signed(bytes: &[u8]) -> Option<(Vec<u8>, StoreId, FileId, u64)> {
    let unverified = Unverified::of(bytes, KIND).ok()?;
    let mut rest = unverified.body;
    let (file, data_len) = (take_file_id(&mut rest).ok()?, take_u64(&mut rest).ok()?);
    let signed = super::preamble::signed(bytes, KIND, file, data_len);
    Some((signed, unverified.store, file, data_len))
}

impl<'a> HintReader<'a> {
    /// Verifies that `bytes` are the hint for the first `data_len` bytes of that file.
    pub(crate) fn open(
        bytes: &'a [u8],
        store: &StoreId,
        file: FileId,
        data_len: u64,
    ) -> Result<HintReader<'a>, FormatError> {
        let unverified = Unverified::of(bytes, KIND)?;
        let mut rest = unverified.body;
        let found_file = take_file_id(&mut rest)?;
        let found_len = take_u64(&mut rest)?;
        let found = unverified.verify(found_file, found_len)?.store;
        if found != *store {
            return Err(FormatError::WrongStore { found, wanted: *store });
        }
        if found_file != file {
            return Err(FormatError::WrongFile { found: found_file, wanted: file });
        }
        if found_len != data_len {
            return Err(FormatError::WrongLength { found: found_len, wanted: data_len });
        }
        HintReader::split(rest, data_len)
    }

    /// The facts and the two sections.
    fn split(mut rest: &'a [u8], data_len: u64) -> Result<HintReader<'a>, FormatError> {
        let entry_count = take_u64(&mut rest)?;
        let range_count = take_u64(&mut rest)?;
        let ranges_len = usize::try_from(take_u64(&mut rest)?).unwrap_or(usize::MAX);
        let min_dead = Sequence(take_u64(&mut rest)?);
        let facts = HintFacts {
            data_len,
            min_dead_sequence: (min_dead != Sequence::ZERO).then_some(min_dead),
            min_sequence: Sequence(take_u64(&mut rest)?),
            max_sequence: Sequence(take_u64(&mut rest)?),
            highest_clock_ms: take_u64(&mut rest)?,
        };
        let ranges = take(&mut rest, ranges_len)?;
        Ok(HintReader { facts, range_count, entry_count, ranges, entries: rest })
    }

    /// What it says of the data file as a whole.
    pub(crate) fn facts(&self) -> HintFacts {
        self.facts
    }

    #[cfg(test)]
    /// How many entries follow. Under the checksum, and still no reason to allocate before they
    /// are seen: an entry is at least [`entry::LEN_MIN`] bytes long, which bounds it.
    #[cfg(test)]
    pub(crate) fn entry_count(&self) -> usize {
        let bound = self.entries.len() / entry::LEN_MIN;
        usize::try_from(self.entry_count).unwrap_or(usize::MAX).min(bound)
    }

    /// The range tombstones, in the order of the data file.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Result<HintRange<'a>, FormatError>> {
        let (mut rest, mut left, data_len) = (self.ranges, self.range_count, self.facts.data_len);
        std::iter::from_fn(move || {
            if left == 0 && rest.is_empty() {
                return None;
            }
            let taken = match left.checked_sub(1) {
                Some(fewer) => {
                    left = fewer;
                    entry::take_range(&mut rest, data_len)
                }
                None => Err(FormatError::Damaged { what: "more ranges than counted" }),
            };
            if taken.is_err() {
                (rest, left) = (&[], 0);
            }
            Some(taken)
        })
    }

    /// The entries, sorted by keyspace, key and sequence.
    pub(crate) fn entries(&self) -> Entries<'a> {
        Entries::new(self.entries, self.entry_count, self.facts.data_len)
    }
}

#[cfg(test)]
mod tests;
