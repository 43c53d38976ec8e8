//! The first 128 bytes of a data file: which file it is, and what was certain when it was begun.
//!
//! Knows bytes. Does not know which files are live: that is the manifest's word and the log floor.
//!
//! ```text
//! preamble 40 | file 8 | role 1 | zeros 7 | predecessor: file 8, length 8, last sequence 8 |
//! durable watermark: file 8, offset 8 | first sequence 8 | created 8 | zeros 12 | checksum 4
//! ```
//!
//! # Invariants
//!
//! H1. All zeros is a file prepared ahead and not begun; it holds no frame.
//! H2. A file's role never changes.

use super::{
    checksum::{self, StoreId},
    preamble::{self, CRC_LEN, FormatError, Kind, PREAMBLE_LEN, Unverified},
    record::{take, take_file_id, take_u8, take_u64},
};
use crate::ids::{FileId, Sequence};

const ROLE_AT: usize = PREAMBLE_LEN + size_of::<u64>();
const PREDECESSOR_AT: usize = ROLE_AT + size_of::<u64>();
const WATERMARK_AT: usize = PREDECESSOR_AT + 3 * size_of::<u64>();
const FIRST_SEQUENCE_AT: usize = WATERMARK_AT + 2 * size_of::<u64>();
const CREATED_AT: usize = FIRST_SEQUENCE_AT + size_of::<u64>();
const RESERVED_AT: usize = CREATED_AT + size_of::<u64>();
const CRC_AT: usize = RESERVED_AT + RESERVED_LEN;
const RESERVED_LEN: usize = 12;
const ROLE_PADDING: usize = 7;

/// Bytes before a data file's first frame.
pub(crate) const FILE_HEADER_LEN: usize = CRC_AT + CRC_LEN;

const _: () = assert!(FILE_HEADER_LEN == 128);

const KIND: Kind = Kind { magic: *b"\x89kvdata\n", name: "data file", extra: checksum::HEADER };

/// What a data file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Part of the log: live from the manifest's log floor on, or when listed.
    Log,
    /// Merge output or recovery copy: live only when the manifest lists it.
    Copy,
}

impl Role {
    pub(super) fn to_byte(self) -> u8 {
        match self {
            Role::Log => 1,
            Role::Copy => 2,
        }
    }

    pub(super) fn from_byte(byte: u8) -> Result<Role, FormatError> {
        match byte {
            1 => Ok(Role::Log),
            2 => Ok(Role::Copy),
            _ => Err(FormatError::Damaged { what: "impossible role" }),
        }
    }
}

/// Where a file of the log ended: its successor says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogEnd {
    /// The file.
    pub(crate) file: FileId,
    /// Its exact length, header included; bytes behind are none of the log's.
    pub(crate) length: u64,
    /// The last sequence in the log up to there.
    pub(crate) last_sequence: Sequence,
}

/// A position of the log: everything before it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogPosition {
    /// The file.
    pub(crate) file: FileId,
    /// The offset in it.
    pub(crate) offset: u64,
}

/// The header of a data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) store: StoreId,
    pub(crate) file: FileId,
    pub(crate) role: Role,
    /// The log file before this one; none for a store's first file and for copies.
    pub(crate) predecessor: Option<LogEnd>,
    /// Up to where the log was durable when the file was begun; none before the first sync.
    pub(crate) watermark: Option<LogPosition>,
    /// The sequence the first record was to get; for a copy its lowest.
    pub(crate) first_sequence: Sequence,
    /// When the file was begun. For people; no order is ever taken from it.
    pub(crate) created_ms: u64,
    /// Features that allow reading and forbid writing. Written as zero.
    pub(crate) read_only_features: u32,
}

/// What the first bytes of a data file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecodedHeader {
    /// Zeros: prepared ahead, never begun.
    Unused,
    /// A header.
    Written(FileHeader),
}

impl FileHeader {
    /// The header's bytes.
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut out = Vec::with_capacity(FILE_HEADER_LEN);
        preamble::put(&mut out, KIND, &self.store);
        out.extend_from_slice(&u64::from(self.file.0).to_le_bytes());
        out.push(self.role.to_byte());
        out.extend_from_slice(&[0; ROLE_PADDING]);
        put_log_end(&mut out, self.predecessor);
        let watermark = self.watermark.map_or([0, 0], |at| [u64::from(at.file.0), at.offset]);
        let numbers = [watermark[0], watermark[1], self.first_sequence.0, self.created_ms];
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        out.extend_from_slice(&[0; RESERVED_LEN]);
        preamble::put_checksum(&mut out, 0, KIND, self.file, 0);
        out.try_into().expect("the chain of constants adds up to the length")
    }

    /// Decodes the header of a file that is expected to be `file` of `store`.
    ///
    /// `bytes` are the file's first ones; more than the header may be given.
    pub(crate) fn decode(
        bytes: &[u8],
        store: &StoreId,
        file: FileId,
    ) -> Result<DecodedHeader, FormatError> {
        let decoded = FileHeader::decode_any(bytes)?;
        let DecodedHeader::Written(header) = decoded else { return Ok(decoded) };
        if header.store != *store {
            return Err(FormatError::WrongStore { found: header.store, wanted: *store });
        }
        if header.file != file {
            return Err(FormatError::WrongFile { found: header.file, wanted: file });
        }
        Ok(decoded)
    }

    /// Decodes the header of a file of which nothing is known, as salvage must.
    pub(crate) fn decode_any(bytes: &[u8]) -> Result<DecodedHeader, FormatError> {
        let bytes = bytes
            .get(..FILE_HEADER_LEN)
            .ok_or(FormatError::Damaged { what: "shorter than a header" })?;
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(DecodedHeader::Unused);
        }
        let unverified = Unverified::of(bytes, KIND)?;
        let mut rest = unverified.body;
        let file = take_file_id(&mut rest)?;
        let preamble = unverified.verify(file, 0)?;
        let role = Role::from_byte(take_u8(&mut rest)?)?;
        take(&mut rest, ROLE_PADDING)?;
        Ok(DecodedHeader::Written(FileHeader {
            store: preamble.store,
            file,
            role,
            predecessor: take_log_end(&mut rest)?,
            watermark: take_position(&mut rest)?,
            first_sequence: Sequence(take_u64(&mut rest)?),
            created_ms: take_u64(&mut rest)?,
            read_only_features: preamble.read_only_features,
        }))
    }
}

/// Appends a log end; none is three zeros.
pub(super) fn put_log_end(out: &mut Vec<u8>, end: Option<LogEnd>) {
    let numbers =
        end.map_or([0; 3], |end| [u64::from(end.file.0), end.length, end.last_sequence.0]);
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// Takes what [`put_log_end`] appended.
pub(super) fn take_log_end(rest: &mut &[u8]) -> Result<Option<LogEnd>, FormatError> {
    let file = take_optional_file(rest)?;
    let (length, last_sequence) = (take_u64(rest)?, Sequence(take_u64(rest)?));
    match file {
        Some(file) => Ok(Some(LogEnd { file, length, last_sequence })),
        None if length == 0 && last_sequence == Sequence::ZERO => Ok(None),
        None => Err(FormatError::Damaged { what: "a log end in no file" }),
    }
}

fn take_position(rest: &mut &[u8]) -> Result<Option<LogPosition>, FormatError> {
    let file = take_optional_file(rest)?;
    let offset = take_u64(rest)?;
    match file {
        Some(file) => Ok(Some(LogPosition { file, offset })),
        None if offset == 0 => Ok(None),
        None => Err(FormatError::Damaged { what: "a watermark in no file" }),
    }
}

fn take_optional_file(rest: &mut &[u8]) -> Result<Option<FileId>, FormatError> {
    if rest.starts_with(&[0; size_of::<u64>()]) {
        take(rest, size_of::<u64>())?;
        return Ok(None);
    }
    Ok(Some(take_file_id(rest)?))
}

#[cfg(test)]
mod tests;
