//! From a record's bytes to the value of a key: the read path, which knows what it looks for.
//!
//! # Invariants
//!
//! V1. A value is found only in a record of the keyspace and key asked for.
//! V2. Every form of record gives what `Record::decode` gives of it; the quick way takes the most
//!     frequent one and leaves all others to the careful way.

use super::{
    EXPIRES, Form, PUT, Record, RecordError, take, take_head, take_length, take_u8, take_u64,
};
use crate::ids::{FileId, KeyspaceId};

/// The value of a put, as the read path finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The value itself.
    Value(&'a [u8]),
    /// The value, compressed.
    Compressed(&'a [u8]),
    /// The value lies in a blob.
    Blob { blob: FileId, len_bytes: u64, checksum: u32 },
}

/// The value of the put or blob reference at the front of `bytes`, if it is the one of that
/// keyspace and key.
#[inline]
pub(crate) fn decode_put_value<'a>(
    bytes: &'a [u8],
    keyspace: KeyspaceId,
    key: &[u8],
) -> Result<Found<'a>, RecordError> {
    match short_put_value(bytes, keyspace, key) {
        Some(value) => Ok(Found::Value(value)),
        None => decode_any_value(bytes, keyspace, key),
    }
}

/// The high bit of a byte of a varint that is not its last.
const MORE: u8 = 0x80;

/// The value, where the record is a plain put of that key without an expiry, its keyspace and key
/// length take a byte each, and its value's length at most two: as nearly all are.
#[inline]
fn short_put_value<'a>(bytes: &'a [u8], keyspace: KeyspaceId, key: &[u8]) -> Option<&'a [u8]> {
    let &[kind, space, key_len, low, high] = bytes.first_chunk()?;
    if kind != PUT
        || (space | key_len) & MORE != 0
        || u32::from(space) != keyspace.0
        || usize::from(key_len) != key.len()
    {
        return None;
    }
    let (key_at, value_len) = match (low & MORE, high & MORE) {
        (0, _) => (4, usize::from(low)),
        // A zero in the last byte is padding, which the careful way refuses.
        (_, 0) if high != 0 => (5, usize::from(low & !MORE) | usize::from(high) << 7),
        _ => return None,
    };
    let (found, rest) = bytes[key_at..].split_at_checked(key.len())?;
    if found != key {
        return None;
    }
    rest.get(..value_len)
}

fn decode_any_value<'a>(
    bytes: &'a [u8],
    keyspace: KeyspaceId,
    key: &[u8],
) -> Result<Found<'a>, RecordError> {
    let mut rest = bytes;
    let kind = take_u8(&mut rest)?;
    if kind & !EXPIRES != PUT {
        return decode_other_value(bytes, keyspace, key);
    }
    let (found_keyspace, key_len) = take_head(&mut rest)?;
    let value_len = take_length(&mut rest)?;
    if kind & EXPIRES != 0 {
        take_u64(&mut rest)?;
    }
    if found_keyspace != keyspace || take(&mut rest, key_len)? != key {
        return Err(RecordError::Other);
    }
    Ok(Found::Value(take(&mut rest, value_len)?))
}

#[cold]
fn decode_other_value<'a>(
    bytes: &'a [u8],
    wanted: KeyspaceId,
    wanted_key: &[u8],
) -> Result<Found<'a>, RecordError> {
    match Record::decode(bytes)?.0 {
        Record::BlobRef { keyspace, key, blob, len_bytes, checksum, .. }
            if keyspace == wanted && key == wanted_key =>
        {
            Ok(Found::Blob { blob, len_bytes, checksum })
        }
        Record::Put { keyspace, key, value, form: Form::Compressed, .. }
            if keyspace == wanted && key == wanted_key =>
        {
            Ok(Found::Compressed(value))
        }
        _ => Err(RecordError::Other),
    }
}
