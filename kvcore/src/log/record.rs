//! One record: what happened to one key, one range of keys or the store's clock.
//!
//! Knows the bytes of a record and nothing of where they lie: sequence, checksum and place are the
//! frame's. A record ends itself, so records can follow each other without a length in between.
//!
//! ```text
//! put            kind 01 | keyspace v | key length v | value length v | [expiry 8] | key | value
//! blob reference kind 02 | keyspace v | key length v | blob length 8 | blob file 8 | checksum 4 |
//!                                                                       [expiry 8] | key
//! tombstone      kind 03 | keyspace v | key length v | key
//! range          kind 04 | keyspace v | bounds 1 | start length v | end length v | start | end
//! expiry change  kind 05 | keyspace v | key length v | put's sequence 8 | [expiry 8] | key
//! watermark      kind 06 | clock 8
//! ```
//!
//! `v` is a varint. The kind byte's high bits are flags: `80` an expiry is there, `40` the value of
//! a put is compressed (see `compression`), its length that of the stored bytes. `bounds` holds the
//! start's kind in its low four bits and the end's in its high four: 0 unbounded (its length is 0),
//! 1 included, 2 excluded.
//!
//! # Invariants
//!
//! R1. Decoding never reads past the bytes in hand and never allocates.
//! R2. Unknown kinds and flags are [`RecordError::Unknown`], not damage: the checksum has vouched
//!     for the bytes before they come here.
//! R3. Nothing encodes to a zero byte in front.

use std::ops::Bound;

use super::varint;
use crate::ids::{FileId, KeyspaceId, Sequence};

mod value;

pub(crate) use value::{Found, decode_put_value};

/// Longest key, and longest bound of a range.
pub(crate) const KEY_LEN_MAX: usize = 65_536;

const PUT: u8 = 0x01;
const BLOB_REF: u8 = 0x02;
const TOMBSTONE: u8 = 0x03;
const RANGE_TOMBSTONE: u8 = 0x04;
const EXPIRY_CHANGE: u8 = 0x05;
const WATERMARK: u8 = 0x06;

/// Flag: eight bytes of expiry precede the key.
const EXPIRES: u8 = 0x80;
/// Flag of puts: the value is compressed.
const COMPRESSED: u8 = 0x40;

const COMPRESSED_PUT: u8 = PUT | COMPRESSED;

const UNBOUNDED: u8 = 0;
const INCLUDED: u8 = 1;
const EXCLUDED: u8 = 2;

const EXPIRY_LEN: usize = size_of::<u64>();
/// Blob reference: length, file and checksum of the blob.
const BLOB_LEN: usize = size_of::<u64>() + size_of::<u64>() + size_of::<u32>();

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The key has this value from here on.
    Put {
        keyspace: KeyspaceId,
        key: &'a [u8],
        /// As stored.
        value: &'a [u8],
        form: Form,
        expires_at_ms: Option<u64>,
    },
    /// The key has the value in a blob file from here on.
    BlobRef {
        keyspace: KeyspaceId,
        key: &'a [u8],
        blob: FileId,
        len_bytes: u64,
        /// Of the blob's block checksums.
        checksum: u32,
        expires_at_ms: Option<u64>,
    },
    /// The key is gone.
    Tombstone { keyspace: KeyspaceId, key: &'a [u8] },
    /// All keys between the bounds are gone. Both unbounded: the keyspace was cleared.
    RangeTombstone { keyspace: KeyspaceId, start: Bound<&'a [u8]>, end: Bound<&'a [u8]> },
    /// The put of that sequence expires at another time; `None`: never.
    ExpiryChange {
        keyspace: KeyspaceId,
        key: &'a [u8],
        put_sequence: Sequence,
        expires_at_ms: Option<u64>,
    },
    /// Nothing happened: carries a durable watermark (its frame does) and the highest clock seen.
    Watermark { clock_ms: u64 },
}

/// What a put's stored bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The value.
    Plain,
    /// The value, compressed.
    Compressed,
}

/// Why bytes are not a record this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    /// A kind or flag of a newer version.
    #[error("record kind {kind:#04x} is not known to this version")]
    Unknown { kind: u8 },
    /// The bytes end before the record does.
    #[error("record is cut off")]
    Truncated,
    /// A length or number that no encoder writes.
    #[error("record has an impossible {what}")]
    Impossible { what: &'static str },
    /// A sound record, but not the one asked for.
    #[error("another record than the one asked for")]
    Other,
}

/// Length of an encoded put, from lengths alone.
#[inline]
pub(crate) fn put_len(
    keyspace: KeyspaceId,
    key_len: usize,
    value_len: usize,
    expiry: Option<u64>,
) -> usize {
    head_len(keyspace, key_len, expiry) + length_len(value_len) + key_len + value_len
}

/// Length of an encoded blob reference, from lengths alone.
pub(crate) fn blob_ref_len(keyspace: KeyspaceId, key_len: usize, expiry: Option<u64>) -> usize {
    head_len(keyspace, key_len, expiry) + BLOB_LEN + key_len
}

/// Length of an encoded tombstone, from lengths alone.
pub(crate) fn tombstone_len(keyspace: KeyspaceId, key_len: usize) -> usize {
    head_len(keyspace, key_len, None) + key_len
}

/// Length of an encoded expiry change, from lengths alone.
pub(crate) fn expiry_change_len(
    keyspace: KeyspaceId,
    key_len: usize,
    expiry: Option<u64>,
) -> usize {
    head_len(keyspace, key_len, expiry) + size_of::<u64>() + key_len
}

/// Kind, keyspace, key length and expiry: what all records of one key share.
fn head_len(keyspace: KeyspaceId, key_len: usize, expiry: Option<u64>) -> usize {
    let expiry_len = if expiry.is_some() { EXPIRY_LEN } else { 0 };
    size_of::<u8>() + varint::len(keyspace.0) + length_len(key_len) + expiry_len
}

fn length_len(len: usize) -> usize {
    varint::len(length(len))
}

/// A length as stored. Callers keep keys within [`KEY_LEN_MAX`] and values within a data file,
/// whose offsets are 32 bits.
fn length(len: usize) -> u32 {
    u32::try_from(len).expect("keys and values are bounded before they get here")
}

impl<'a> Record<'a> {
    /// The keyspace concerned, if any.
    /// The one key the record is about.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        match *self {
            Record::Put { key, .. }
            | Record::BlobRef { key, .. }
            | Record::Tombstone { key, .. }
            | Record::ExpiryChange { key, .. } => Some(key),
            Record::RangeTombstone { .. } | Record::Watermark { .. } => None,
        }
    }

    pub(crate) fn keyspace(&self) -> Option<KeyspaceId> {
        match *self {
            Record::Put { keyspace, .. }
            | Record::BlobRef { keyspace, .. }
            | Record::Tombstone { keyspace, .. }
            | Record::RangeTombstone { keyspace, .. }
            | Record::ExpiryChange { keyspace, .. } => Some(keyspace),
            Record::Watermark { .. } => None,
        }
    }

    /// How many bytes [`Record::encode`] appends.
    pub(crate) fn encoded_len(&self) -> usize {
        match *self {
            Record::Put { keyspace, key, value, expires_at_ms, .. } => {
                put_len(keyspace, key.len(), value.len(), expires_at_ms)
            }
            Record::BlobRef { keyspace, key, expires_at_ms, .. } => {
                blob_ref_len(keyspace, key.len(), expires_at_ms)
            }
            Record::Tombstone { keyspace, key } => tombstone_len(keyspace, key.len()),
            Record::RangeTombstone { keyspace, start, end } => {
                let bounds = [bound_bytes(start).len(), bound_bytes(end).len()];
                let bounds_len: usize = bounds.iter().map(|&len| length_len(len) + len).sum();
                size_of::<u8>() + varint::len(keyspace.0) + size_of::<u8>() + bounds_len
            }
            Record::ExpiryChange { keyspace, key, expires_at_ms, .. } => {
                expiry_change_len(keyspace, key.len(), expires_at_ms)
            }
            Record::Watermark { .. } => size_of::<u8>() + size_of::<u64>(),
        }
    }

    /// Appends the record's bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Record::Put { keyspace, key, value, form, expires_at_ms } => {
                put_head(out, kind_of_put(form), expires_at_ms, keyspace, key);
                varint::put(out, length(value.len()));
                put_expiry(out, expires_at_ms);
                out.extend_from_slice(key);
                out.extend_from_slice(value);
            }
            Record::BlobRef { keyspace, key, blob, len_bytes, checksum, expires_at_ms } => {
                put_head(out, BLOB_REF, expires_at_ms, keyspace, key);
                out.extend_from_slice(&len_bytes.to_le_bytes());
                out.extend_from_slice(&u64::from(blob.0).to_le_bytes());
                out.extend_from_slice(&checksum.to_le_bytes());
                put_expiry(out, expires_at_ms);
                out.extend_from_slice(key);
            }
            Record::Tombstone { keyspace, key } => {
                put_head(out, TOMBSTONE, None, keyspace, key);
                out.extend_from_slice(key);
            }
            Record::RangeTombstone { keyspace, start, end } => {
                out.push(RANGE_TOMBSTONE);
                varint::put(out, keyspace.0);
                put_bounds(out, start, end);
            }
            Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms } => {
                put_head(out, EXPIRY_CHANGE, expires_at_ms, keyspace, key);
                out.extend_from_slice(&put_sequence.0.to_le_bytes());
                put_expiry(out, expires_at_ms);
                out.extend_from_slice(key);
            }
            Record::Watermark { clock_ms } => {
                out.push(WATERMARK);
                out.extend_from_slice(&clock_ms.to_le_bytes());
            }
        }
    }

    /// The record at the front of `bytes`, and how many bytes it takes.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<(Record<'a>, usize), RecordError> {
        let mut rest = bytes;
        let kind = take_u8(&mut rest)?;
        let expires = kind & EXPIRES != 0;
        let record = match (kind & !EXPIRES, expires) {
            (PUT, _) => decode_put(&mut rest, Form::Plain, expires)?,
            (COMPRESSED_PUT, _) => decode_put(&mut rest, Form::Compressed, expires)?,
            (BLOB_REF, _) => decode_blob_ref(&mut rest, expires)?,
            (TOMBSTONE, false) => {
                let (keyspace, key_len) = take_head(&mut rest)?;
                Record::Tombstone { keyspace, key: take(&mut rest, key_len)? }
            }
            (RANGE_TOMBSTONE, false) => {
                let keyspace = take_keyspace(&mut rest)?;
                let (start, end) = take_bounds(&mut rest)?;
                Record::RangeTombstone { keyspace, start, end }
            }
            (EXPIRY_CHANGE, _) => decode_expiry_change(&mut rest, expires)?,
            (WATERMARK, false) => Record::Watermark { clock_ms: take_u64(&mut rest)? },
            _ => return Err(RecordError::Unknown { kind }),
        };
        Ok((record, bytes.len() - rest.len()))
    }
}

#[inline]
fn decode_put<'a>(
    rest: &mut &'a [u8],
    form: Form,
    expires: bool,
) -> Result<Record<'a>, RecordError> {
    let (keyspace, key_len) = take_head(rest)?;
    let value_len = take_length(rest)?;
    let expires_at_ms = take_expiry(rest, expires)?;
    let key = take(rest, key_len)?;
    Ok(Record::Put { keyspace, key, value: take(rest, value_len)?, form, expires_at_ms })
}

fn decode_blob_ref<'a>(rest: &mut &'a [u8], expires: bool) -> Result<Record<'a>, RecordError> {
    let (keyspace, key_len) = take_head(rest)?;
    let len_bytes = take_u64(rest)?;
    let blob = take_file_id(rest)?;
    let checksum = u32::from_le_bytes(take_array(rest)?);
    let expires_at_ms = take_expiry(rest, expires)?;
    let key = take(rest, key_len)?;
    Ok(Record::BlobRef { keyspace, key, blob, len_bytes, checksum, expires_at_ms })
}

fn decode_expiry_change<'a>(rest: &mut &'a [u8], expires: bool) -> Result<Record<'a>, RecordError> {
    let (keyspace, key_len) = take_head(rest)?;
    let put_sequence = Sequence(take_u64(rest)?);
    let expires_at_ms = take_expiry(rest, expires)?;
    let key = take(rest, key_len)?;
    Ok(Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms })
}

fn kind_of_put(form: Form) -> u8 {
    match form {
        Form::Plain => PUT,
        Form::Compressed => COMPRESSED_PUT,
    }
}

fn put_head(out: &mut Vec<u8>, kind: u8, expiry: Option<u64>, keyspace: KeyspaceId, key: &[u8]) {
    out.push(if expiry.is_some() { kind | EXPIRES } else { kind });
    varint::put(out, keyspace.0);
    varint::put(out, length(key.len()));
}

fn put_expiry(out: &mut Vec<u8>, expiry: Option<u64>) {
    if let Some(at_ms) = expiry {
        out.extend_from_slice(&at_ms.to_le_bytes());
    }
}

/// Appends a range: bounds byte, both lengths, both keys. Hints store ranges the same way.
pub(super) fn put_bounds(out: &mut Vec<u8>, start: Bound<&[u8]>, end: Bound<&[u8]>) {
    out.push(bound_kind(start) | bound_kind(end) << 4);
    varint::put(out, length(bound_bytes(start).len()));
    varint::put(out, length(bound_bytes(end).len()));
    out.extend_from_slice(bound_bytes(start));
    out.extend_from_slice(bound_bytes(end));
}

fn bound_kind(bound: Bound<&[u8]>) -> u8 {
    match bound {
        Bound::Unbounded => UNBOUNDED,
        Bound::Included(_) => INCLUDED,
        Bound::Excluded(_) => EXCLUDED,
    }
}

fn bound_bytes(bound: Bound<&[u8]>) -> &[u8] {
    match bound {
        Bound::Unbounded => &[],
        Bound::Included(key) | Bound::Excluded(key) => key,
    }
}

/// A range: its start and its end.
pub(super) type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Takes what [`put_bounds`] appended.
pub(super) fn take_bounds<'a>(rest: &mut &'a [u8]) -> Result<Bounds<'a>, RecordError> {
    let kinds = take_u8(rest)?;
    let start_len = take_key_length(rest)?;
    let end_len = take_key_length(rest)?;
    let start = take(rest, start_len)?;
    let end = take(rest, end_len)?;
    Ok((bound(kinds & 0x0f, start)?, bound(kinds >> 4, end)?))
}

fn bound(kind: u8, key: &[u8]) -> Result<Bound<&[u8]>, RecordError> {
    match kind {
        UNBOUNDED if key.is_empty() => Ok(Bound::Unbounded),
        INCLUDED => Ok(Bound::Included(key)),
        EXCLUDED => Ok(Bound::Excluded(key)),
        _ => Err(RecordError::Impossible { what: "bound" }),
    }
}

#[inline]
pub(super) fn take_head(rest: &mut &[u8]) -> Result<(KeyspaceId, usize), RecordError> {
    Ok((take_keyspace(rest)?, take_key_length(rest)?))
}

#[inline]
pub(super) fn take_keyspace(rest: &mut &[u8]) -> Result<KeyspaceId, RecordError> {
    varint::take(rest).map(KeyspaceId).ok_or(RecordError::Impossible { what: "keyspace" })
}

#[inline]
fn take_key_length(rest: &mut &[u8]) -> Result<usize, RecordError> {
    let len = take_length(rest)?;
    if len > KEY_LEN_MAX { Err(RecordError::Impossible { what: "key length" }) } else { Ok(len) }
}

#[inline]
fn take_length(rest: &mut &[u8]) -> Result<usize, RecordError> {
    let len = varint::take(rest).and_then(|len| usize::try_from(len).ok());
    len.ok_or(RecordError::Impossible { what: "length" })
}

#[inline]
pub(super) fn take_expiry(rest: &mut &[u8], expires: bool) -> Result<Option<u64>, RecordError> {
    if expires { take_u64(rest).map(Some) } else { Ok(None) }
}

pub(super) fn take_file_id(rest: &mut &[u8]) -> Result<FileId, RecordError> {
    let id = u32::try_from(take_u64(rest)?).ok().filter(|&id| id != 0);
    id.map(FileId).ok_or(RecordError::Impossible { what: "file number" })
}

#[inline]
pub(super) fn take<'a>(rest: &mut &'a [u8], len: usize) -> Result<&'a [u8], RecordError> {
    let (taken, after) = rest.split_at_checked(len).ok_or(RecordError::Truncated)?;
    *rest = after;
    Ok(taken)
}

#[inline]
pub(super) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], RecordError> {
    let (&taken, after) = rest.split_first_chunk().ok_or(RecordError::Truncated)?;
    *rest = after;
    Ok(taken)
}

#[inline]
pub(super) fn take_u8(rest: &mut &[u8]) -> Result<u8, RecordError> {
    take_array(rest).map(u8::from_le_bytes)
}

#[inline]
pub(super) fn take_u64(rest: &mut &[u8]) -> Result<u64, RecordError> {
    take_array(rest).map(u64::from_le_bytes)
}

#[cfg(test)]
pub(in crate::log) mod tests;
