//! One entry of a hint, and the iterator that opening a large store spends its time in.

use super::{HintRange, put_bounds, take_bounds};
use crate::{
    ids::{FileId, KeyspaceId, Sequence},
    log::{
        MEMBER_OVERHEAD, SINGLE_OVERHEAD,
        preamble::FormatError,
        record::{
            self, RecordError, take, take_array, take_expiry, take_file_id, take_head,
            take_keyspace, take_u8, take_u64,
        },
        varint,
    },
};

const PUT: u8 = 1;
const BLOB_REF: u8 = 2;
const TOMBSTONE: u8 = 3;
const RANGE_TOMBSTONE: u8 = 4;
const EXPIRY_CHANGE: u8 = 5;
const EXPIRES: u8 = 0x80;
const MEMBER: u8 = 0x20;

const PLACE_LEN: usize = size_of::<u8>() + size_of::<u32>() + size_of::<u64>();
#[cfg(test)]
/// Place, keyspace and key length: a tombstone of the empty key.
#[cfg(test)]
pub(super) const LEN_MIN: usize = PLACE_LEN + 2;

const _: () = assert!(PLACE_LEN == 13);

/// Where a record lies and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Of its frame, or of its member checksum.
    pub(crate) offset: u32,
    /// Whether it is a member of a larger batch.
    pub(crate) is_member: bool,
    pub(crate) sequence: Sequence,
}

impl Place {
    /// How long a record of this length is with what is around it.
    pub(crate) fn with_overhead(self, len: usize) -> u64 {
        (len + if self.is_member { MEMBER_OVERHEAD } else { SINGLE_OVERHEAD }) as u64
    }
}

/// What an entry's record says, without its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HintKind {
    Put { value_len: u32, expires_at_ms: Option<u64> },
    BlobRef { blob: FileId, len_bytes: u64, expires_at_ms: Option<u64> },
    Tombstone,
    ExpiryChange { put_sequence: Sequence, expires_at_ms: Option<u64> },
}

/// A record of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HintEntry<'a> {
    pub(crate) place: Place,
    pub(crate) keyspace: KeyspaceId,
    pub(crate) key: &'a [u8],
    pub(crate) kind: HintKind,
}

impl HintKind {
    fn tag(self) -> u8 {
        let (kind, expiry) = match self {
            HintKind::Put { expires_at_ms, .. } => (PUT, expires_at_ms),
            HintKind::BlobRef { expires_at_ms, .. } => (BLOB_REF, expires_at_ms),
            HintKind::Tombstone => (TOMBSTONE, None),
            HintKind::ExpiryChange { expires_at_ms, .. } => (EXPIRY_CHANGE, expires_at_ms),
        };
        if expiry.is_some() { kind | EXPIRES } else { kind }
    }

    fn put(self, out: &mut Vec<u8>) {
        let expiry = match self {
            HintKind::Put { value_len, expires_at_ms } => {
                varint::put(out, value_len);
                expires_at_ms
            }
            HintKind::BlobRef { blob, len_bytes, expires_at_ms } => {
                out.extend_from_slice(&len_bytes.to_le_bytes());
                out.extend_from_slice(&u64::from(blob.0).to_le_bytes());
                expires_at_ms
            }
            HintKind::Tombstone => None,
            HintKind::ExpiryChange { put_sequence, expires_at_ms } => {
                out.extend_from_slice(&put_sequence.0.to_le_bytes());
                expires_at_ms
            }
        };
        if let Some(at_ms) = expiry {
            out.extend_from_slice(&at_ms.to_le_bytes());
        }
    }

    #[inline]
    fn take(tag: u8, rest: &mut &[u8]) -> Result<HintKind, RecordError> {
        let expires = tag & EXPIRES != 0;
        Ok(match tag & !(EXPIRES | MEMBER) {
            PUT => {
                let value_len = varint::take(rest);
                let value_len = value_len.ok_or(RecordError::Impossible { what: "length" })?;
                HintKind::Put { value_len, expires_at_ms: take_expiry(rest, expires)? }
            }
            BLOB_REF => {
                let len_bytes = take_u64(rest)?;
                let blob = take_file_id(rest)?;
                HintKind::BlobRef { blob, len_bytes, expires_at_ms: take_expiry(rest, expires)? }
            }
            TOMBSTONE if !expires => HintKind::Tombstone,
            EXPIRY_CHANGE => {
                let put_sequence = Sequence(take_u64(rest)?);
                HintKind::ExpiryChange { put_sequence, expires_at_ms: take_expiry(rest, expires)? }
            }
            kind => return Err(RecordError::Unknown { kind }),
        })
    }
}

fn put_place(out: &mut Vec<u8>, tag: u8, place: Place) {
    out.push(if place.is_member { tag | MEMBER } else { tag });
    out.extend_from_slice(&place.offset.to_le_bytes());
    out.extend_from_slice(&place.sequence.0.to_le_bytes());
}

/// The place at the front of `rest`, which must lie in the data file, and its tag.
#[inline]
fn take_place(rest: &mut &[u8], data_len: u64) -> Result<(u8, Place), FormatError> {
    let tag = take_u8(rest)?;
    let offset = u32::from_le_bytes(take_array(rest)?);
    let sequence = Sequence(take_u64(rest)?);
    if u64::from(offset) >= data_len {
        return Err(FormatError::Damaged { what: "a place behind the data file's end" });
    }
    Ok((tag, Place { offset, is_member: tag & MEMBER != 0, sequence }))
}

pub(super) fn put_range(out: &mut Vec<u8>, range: &HintRange<'_>) {
    put_place(out, RANGE_TOMBSTONE, range.place);
    varint::put(out, range.keyspace.0);
    put_bounds(out, range.bounds.0, range.bounds.1);
}

pub(super) fn take_range<'a>(
    rest: &mut &'a [u8],
    data_len: u64,
) -> Result<HintRange<'a>, FormatError> {
    let (tag, place) = take_place(rest, data_len)?;
    if tag & !MEMBER != RANGE_TOMBSTONE {
        return Err(FormatError::Damaged { what: "not a range where one was due" });
    }
    let keyspace = take_keyspace(rest)?;
    Ok(HintRange { place, keyspace, bounds: take_bounds(rest)? })
}

/// Appends an entry and returns where its key starts.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &HintEntry<'_>) -> usize {
    put_place(out, entry.kind.tag(), entry.place);
    varint::put(out, entry.keyspace.0);
    let key_len = u32::try_from(entry.key.len()).expect("keys are bounded long before");
    debug_assert!(entry.key.len() <= record::KEY_LEN_MAX);
    varint::put(out, key_len);
    entry.kind.put(out);
    let key_at = out.len();
    out.extend_from_slice(entry.key);
    key_at
}

/// The entries of a hint; after an error nothing more.
///
/// An error means the hint is not to be trusted, also not for what it yielded before.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    left: u64,
    data_len: u64,
}

impl<'a> Entries<'a> {
    pub(super) fn new(entries: &'a [u8], left: u64, data_len: u64) -> Entries<'a> {
        Entries { rest: entries, left, data_len }
    }

    #[inline]
    fn take_entry(&mut self) -> Result<HintEntry<'a>, FormatError> {
        let left = self.left.checked_sub(1);
        self.left = left.ok_or(FormatError::Damaged { what: "more entries than counted" })?;
        let rest = &mut self.rest;
        let (tag, place) = take_place(rest, self.data_len)?;
        let (keyspace, key_len) = take_head(rest)?;
        let kind = HintKind::take(tag, rest)?;
        Ok(HintEntry { place, keyspace, key: take(rest, key_len)?, kind })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<HintEntry<'a>, FormatError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 && self.rest.is_empty() {
            return None;
        }
        let entry = self.take_entry();
        if entry.is_err() {
            *self = Entries { rest: &[], left: 0, data_len: 0 };
        }
        Some(entry)
    }
}
