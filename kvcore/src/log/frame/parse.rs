//! Reading frames in order, and finding the next one behind damage: for recovery and merge.

use super::{
    BODY, BODY_CRC_AT, BODY_LEN_AT, CRC_LEN, FrameError, HEADER_CRC_AT, HEADER_LEN, SEQUENCE_AT,
    WATERMARK_AT, WATERMARK_IN_HEADER, body, header_checksum, length, u32_at, u64_at,
};
use crate::{
    ids::Sequence,
    log::{
        checksum::{FileKey, Partial},
        record::Record,
        varint,
    },
};

/// What starts at a place of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// No frame: nothing, or zeros where a header would be. Later bytes may still hold frames, if
    /// the zeros are a hole that a power cut left; [`find_next_frame`] tells.
    End,
    /// A whole frame, every checksum verified, every record decoded once.
    Frame(FrameView<'a>),
    /// Bytes that are no frame.
    Damaged(FrameError),
}

/// A verified frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameView<'a> {
    /// Its first member's sequence.
    pub(crate) first: Sequence,
    /// How many members it holds.
    pub(crate) count: u32,
    /// How far before the frame's start the log was durable when the frame was written; `None`:
    /// the watermark in the file header holds.
    pub(crate) watermark_distance: Option<u32>,
    /// Its length, header included.
    pub(crate) len: usize,
    /// The body after its count.
    members: &'a [u8],
}

/// A record in its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member<'a> {
    /// Its sequence.
    pub(crate) sequence: Sequence,
    /// Its place, counted from the start of the frame (F3).
    pub(crate) at: u32,
    /// What it says.
    pub(crate) record: Record<'a>,
    /// The length of its record's bytes.
    pub(crate) encoded_len: usize,
}

impl<'a> FrameView<'a> {
    /// Its last member's sequence.
    pub(crate) fn last(&self) -> Sequence {
        Sequence(self.first.0 + u64::from(self.count) - 1)
    }

    /// Whether it is a batch of one, whose place is the frame's.
    pub(crate) fn is_single(&self) -> bool {
        self.count == 1
    }

    /// Its records, in order.
    pub(crate) fn members(&self) -> Members<'a> {
        Members { rest: self.members, next: self.first, left: self.count, frame: *self }
    }

    /// Walks the members once, so that [`Members`] can yield records rather than results.
    fn check_members(&self, file: FileKey, offset: u64) -> Result<(), FrameError> {
        let mut members = self.members();
        while members.left > 0 {
            members.advance()?.check(file, offset)?;
        }
        if members.rest.is_empty() {
            Ok(())
        } else {
            Err(FrameError::Impossible { what: "body length" })
        }
    }
}

/// The records of a frame; see [`FrameView::members`].
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    next: Sequence,
    left: u32,
    frame: FrameView<'a>,
}

/// A decoded member and what its checksum is about; a batch of one has none of its own.
struct Decoded<'a> {
    member: Member<'a>,
    checksum: Option<[u8; CRC_LEN]>,
    bytes: &'a [u8],
}

impl Decoded<'_> {
    fn check(&self, file: FileKey, offset: u64) -> Result<(), FrameError> {
        let place = offset.saturating_add(u64::from(self.member.at));
        let crc = Partial::of(self.bytes).at(file, place, self.member.sequence.0);
        match self.checksum {
            Some(stored) if u32::from_le_bytes(stored) != crc => Err(FrameError::MemberChecksum),
            _ => Ok(()),
        }
    }
}

impl<'a> Members<'a> {
    #[inline]
    fn advance(&mut self) -> Result<Decoded<'a>, FrameError> {
        let (at, checksum, bytes) = if self.frame.is_single() {
            (0, None, self.rest)
        } else {
            let at = self.frame.len - self.rest.len();
            let split = self.rest.split_first_chunk();
            let (checksum, bytes) = split.ok_or(FrameError::Impossible { what: "count" })?;
            (at, Some(*checksum), bytes)
        };
        let (record, encoded_len) = Record::decode(bytes)?;
        let at = u32::try_from(at).map_err(|_| FrameError::Impossible { what: "length" })?;
        let member = Member { sequence: self.next, at, record, encoded_len };
        let (bytes, rest) = bytes.split_at(encoded_len);
        self.rest = rest;
        self.left -= 1;
        self.next = Sequence(self.next.0.wrapping_add(1));
        Ok(Decoded { member, checksum, bytes })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        if self.left == 0 {
            return None;
        }
        let decoded = self.advance().expect("every member was decoded when the frame was parsed");
        Some(decoded.member)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).ok();
        (left.unwrap_or(usize::MAX), left)
    }
}

/// What starts at `bytes`, which is `offset` in the file of that key and reaches to the file's end.
pub(crate) fn parse_frame(bytes: &[u8], file: FileKey, offset: u64) -> Parsed<'_> {
    let header = &bytes[..bytes.len().min(HEADER_LEN)];
    if header.iter().all(|&byte| byte == 0) {
        return Parsed::End;
    }
    match parse_whole(bytes, file, offset) {
        Ok(frame) => Parsed::Frame(frame),
        Err(error) => Parsed::Damaged(error),
    }
}

fn parse_whole(bytes: &[u8], file: FileKey, offset: u64) -> Result<FrameView<'_>, FrameError> {
    let frame = parse_checksums(bytes, file, offset)?;
    frame.check_members(file, offset)?;
    Ok(frame)
}

/// Header and body verified, members not looked at.
fn parse_checksums(bytes: &[u8], file: FileKey, offset: u64) -> Result<FrameView<'_>, FrameError> {
    let header: &[u8; HEADER_LEN] = bytes
        .first_chunk()
        .ok_or(FrameError::Truncated { needed: HEADER_LEN, available: bytes.len() })?;
    if header_checksum(header, file, offset) != u32_at(header, HEADER_CRC_AT) {
        return Err(FrameError::HeaderChecksum);
    }
    let body = body(bytes, length(header))?;
    if Partial::of(body).at(file, offset, BODY) != u32_at(header, BODY_CRC_AT) {
        return Err(FrameError::BodyChecksum);
    }
    let mut members = body;
    let count = varint::take(&mut members).ok_or(FrameError::Impossible { what: "count" })?;
    let first = Sequence(u64_at(header, SEQUENCE_AT));
    let last = first.0.checked_add(u64::from(count).saturating_sub(1));
    if count == 0 || first == Sequence::ZERO || last.is_none() {
        return Err(FrameError::Impossible { what: "sequence or count" });
    }
    let watermark = u32_at(header, WATERMARK_AT);
    if !reaches(watermark, offset) {
        return Err(FrameError::Impossible { what: "watermark distance" });
    }
    Ok(FrameView {
        first,
        count,
        watermark_distance: (watermark != WATERMARK_IN_HEADER).then_some(watermark),
        len: HEADER_LEN + body.len(),
        members,
    })
}

/// Where the first frame in `bytes` starts, trying every byte; `bytes` start at `from` in the file
/// and reach to its end. Looks past damage, so that watermarks behind it are found.
///
/// One pass over the bytes where they are not frames: zeros cost next to nothing, and checksums are
/// computed only where a header could be. Records are not decoded.
pub(crate) fn find_next_frame(bytes: &[u8], file: FileKey, from: u64) -> Option<u64> {
    let mut at = 0;
    while let Some((header, body)) = bytes[at..].split_first_chunk::<HEADER_LEN>() {
        let len = length(header);
        if len == 0 {
            at += empty_headers(&bytes[at + BODY_LEN_AT..]);
            continue;
        }
        let offset = from + u64::try_from(at).expect("addresses fit 64 bits");
        if len <= body.len()
            && is_plausible(header, body[0], offset)
            && parse_checksums(&bytes[at..], file, offset).is_ok()
        {
            return Some(offset);
        }
        at += 1;
    }
    None
}

/// Whether a header at `offset` could be one, its length aside: cheap enough to ask at every byte.
/// Its watermark lies in its file, its sequence and its count are not zero.
fn is_plausible(header: &[u8; HEADER_LEN], count: u8, offset: u64) -> bool {
    reaches(u32_at(header, WATERMARK_AT), offset) && u64_at(header, SEQUENCE_AT) != 0 && count != 0
}

/// Whether a frame at `offset` may have that watermark distance (F5).
fn reaches(distance: u32, offset: u64) -> bool {
    distance == WATERMARK_IN_HEADER || u64::from(distance) <= offset
}

/// How many headers in a row have a zero length, if the first one's length starts at `bytes`: at
/// least one, and all of them in a long run of zeros.
fn empty_headers(bytes: &[u8]) -> usize {
    const STRIDE: usize = 64;
    let (strides, _) = bytes.as_chunks::<STRIDE>();
    let zeros = strides.iter().take_while(|stride| **stride == [0; STRIDE]).count() * STRIDE;
    zeros.saturating_sub(CRC_LEN - 1).max(1)
}
