//! A frame: one batch on disk, the unit of append and of atomicity.
//!
//! Knows checksums, lengths and sequences around records. Does not know files, nor what a damaged
//! frame means for the store: that depends on the durable watermark.
//!
//! ```text
//! header checksum 4 | body length 4 | sequence 8 | watermark distance 4 | body checksum 4 | body
//!
//! body of a batch of one   01 | record
//! body of a larger batch   count v | (member checksum 4 | record) × count
//! ```
//!
//! The header checksum covers the 20 header bytes after it, the body checksum the whole body, a
//! member's its record; each also covers its place (`checksum`): the frame's offset, for a member
//! the offset of its checksum and its sequence. Member i has the frame's sequence + i. The distance
//! counts back from the frame to the durable watermark; all ones: the one in the file header holds.
//!
//! # Invariants
//!
//! F1. No frame has sequence 0 or an empty body, so zeros are not a frame: they are the end.
//! F2. The header's checksum is verified before its length is believed, and the body's before the
//!     body is looked at.
//! F3. A record's place is where its frame starts in a batch of one, and where its member checksum
//!     starts in a larger one: a read needs nothing but the place and the sequence.
//! F4. What [`parse_frame`] yields, [`read_single`] or [`read_member`] reads.
//! F5. A watermark distance does not reach before its file's start.

use super::{
    checksum::{self, FileKey, Partial},
    record::RecordError,
};
use crate::ids::Sequence;

const CRC_LEN: usize = size_of::<u32>();

const HEADER_CRC_AT: usize = 0;
const BODY_LEN_AT: usize = HEADER_CRC_AT + size_of::<u32>();
const SEQUENCE_AT: usize = BODY_LEN_AT + size_of::<u32>();
const WATERMARK_AT: usize = SEQUENCE_AT + size_of::<u64>();
const BODY_CRC_AT: usize = WATERMARK_AT + size_of::<u32>();
const BODY_AT: usize = BODY_CRC_AT + size_of::<u32>();

/// Bytes before a frame's body.
pub(crate) const HEADER_LEN: usize = BODY_AT;
/// Bytes a batch of one adds to its record: the header and the count.
pub(crate) const SINGLE_OVERHEAD: usize = HEADER_LEN + size_of::<u8>();
/// Bytes a larger batch adds to each of its records: the member checksum.
pub(crate) const MEMBER_OVERHEAD: usize = CRC_LEN;
/// The watermark distance that says: the one in the file header.
pub(crate) const WATERMARK_IN_HEADER: u32 = u32::MAX;

const _: () = assert!(HEADER_LEN == 24 && SINGLE_OVERHEAD == 25);

const SINGLE_COUNT: u8 = 1;
/// `extra` of a body's checksum.
const BODY: u64 = 0;

mod encode;
mod parse;

pub(crate) use encode::BatchEncoder;
pub(crate) use parse::{FrameView, Member, Parsed, find_next_frame, parse_frame};

/// Why bytes are not the frame or member they were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// The bytes end before the frame does.
    #[error("frame reaches past the end: {needed} bytes, {available} there")]
    Truncated { needed: usize, available: usize },
    /// The header's checksum does not fit its bytes and place.
    #[error("frame header checksum mismatch")]
    HeaderChecksum,
    /// The body's checksum does not fit its bytes and place.
    #[error("frame body checksum mismatch")]
    BodyChecksum,
    /// The member's checksum does not fit its bytes, place and sequence.
    #[error("member checksum mismatch")]
    MemberChecksum,
    /// The checksums fit, but no encoder writes this.
    #[error("frame has an impossible {what}")]
    Impossible { what: &'static str },
    /// A record in the frame does not decode.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl FrameError {
    /// The bytes are sound, and from a newer version.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, FrameError::Record(RecordError::Unknown { .. }))
    }
}

/// The record of the batch of one whose frame starts at `bytes`, its body's checksum verified.
///
/// The hot read path. The header is not verified: a wrong body length there fails the body's
/// checksum, and nothing else of it is used.
#[inline]
pub(crate) fn read_single(bytes: &[u8], file: FileKey, offset: u64) -> Result<&[u8], FrameError> {
    let header: &[u8; HEADER_LEN] = bytes
        .first_chunk()
        .ok_or(FrameError::Truncated { needed: HEADER_LEN, available: bytes.len() })?;
    let body = body(bytes, length(header))?;
    if Partial::of(body).at(file, offset, BODY) != u32_at(header, BODY_CRC_AT) {
        return Err(FrameError::BodyChecksum);
    }
    match body.split_first() {
        Some((&SINGLE_COUNT, record)) => Ok(record),
        _ => Err(FrameError::Impossible { what: "count" }),
    }
}

/// The record of the member that `bytes` are, from its checksum to its end, verified against its
/// place and sequence.
///
/// The hot read path: whoever asks knows the member's length, so nothing is decoded before the
/// checksum has vouched for it.
#[inline]
pub(crate) fn read_member(
    bytes: &[u8],
    file: FileKey,
    offset: u64,
    sequence: Sequence,
) -> Result<&[u8], FrameError> {
    let (stored, record) = bytes
        .split_first_chunk()
        .ok_or(FrameError::Truncated { needed: CRC_LEN, available: bytes.len() })?;
    if Partial::of(record).at(file, offset, sequence.0) != u32::from_le_bytes(*stored) {
        return Err(FrameError::MemberChecksum);
    }
    Ok(record)
}

/// The body length a header declares.
#[inline]
fn length(header: &[u8; HEADER_LEN]) -> usize {
    // Longer than any slice where addresses are narrower; `body` refuses it.
    usize::try_from(u32_at(header, BODY_LEN_AT)).unwrap_or(usize::MAX)
}

/// The `len` bytes after the header, if they are there.
#[inline]
fn body(bytes: &[u8], len: usize) -> Result<&[u8], FrameError> {
    let needed = HEADER_LEN.saturating_add(len);
    bytes.get(HEADER_LEN..needed).ok_or(FrameError::Truncated { needed, available: bytes.len() })
}

fn header_checksum(header: &[u8; HEADER_LEN], file: FileKey, offset: u64) -> u32 {
    let covered = header.last_chunk().expect("a header is longer than its checksum");
    checksum::of_frame_header(covered, file, offset)
}

#[inline]
fn u32_at(header: &[u8; HEADER_LEN], at: usize) -> u32 {
    let mut bytes = [0; size_of::<u32>()];
    bytes.copy_from_slice(&header[at..at + size_of::<u32>()]);
    u32::from_le_bytes(bytes)
}

fn u64_at(header: &[u8; HEADER_LEN], at: usize) -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    bytes.copy_from_slice(&header[at..at + size_of::<u64>()]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
