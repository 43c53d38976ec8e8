//! A blob: one value too large for the log, in a file of its own.
//!
//! Knows bytes. The record that refers to a blob carries its length and the checksum of its
//! checksums, so a blob without its record means nothing.
//!
//! ```text
//! preamble 40 | file 8 | zeros 12 | checksum 4 | value | block checksum 4 …
//! ```
//!
//! The value lies in one piece, so that it can be lent out of a mapped file. One checksum per block
//! of 64 KiB (the last one may be shorter) follows it, bound to the block's offset.
//!
//! # Invariants
//!
//! G1. The record's checksum vouches for the block checksums, and they for the value: nothing of a
//!     blob is believed by itself.
//! G2. A value is written in one pass, its length unknown until the end.

use super::{
    checksum::{FileKey, HEADER, Partial, StoreId},
    preamble::{self, CRC_LEN, FormatError, Kind, PREAMBLE_LEN, Unverified},
    record::take_file_id,
};
use crate::ids::FileId;

const RESERVED_LEN: usize = 12;
/// Bytes before the value.
pub(crate) const BLOB_HEADER_LEN: usize = PREAMBLE_LEN + size_of::<u64>() + RESERVED_LEN + CRC_LEN;
/// Bytes of value under one checksum.
pub(crate) const BLOCK_LEN: usize = 64 * 1024;

const _: () = assert!(BLOB_HEADER_LEN == 64);

const KIND: Kind = Kind { magic: *b"\x89kvblob\n", name: "blob", extra: HEADER };
/// `extra` of a block's checksum.
const BLOCK: u64 = 0;
/// `extra` of the checksum over the block checksums; its offset is the value's length.
const BLOCKS: u64 = HEADER - 3;

/// The bytes before the value.
pub(crate) fn header(store: &StoreId, file: FileId) -> [u8; BLOB_HEADER_LEN] {
    let mut out = Vec::with_capacity(BLOB_HEADER_LEN);
    preamble::put(&mut out, KIND, store);
    out.extend_from_slice(&u64::from(file.0).to_le_bytes());
    out.extend_from_slice(&[0; RESERVED_LEN]);
    preamble::put_checksum(&mut out, 0, KIND, file, 0);
    out.try_into().expect("the chain of constants adds up to the length")
}

/// Checksums of a value as it is written, piece by piece.
#[derive(Debug)]
pub(crate) struct BlobWriter {
    key: FileKey,
    block: Partial,
    /// Bytes in the unfinished block.
    filled: usize,
    /// Bytes before the unfinished block.
    finished_bytes: u64,
    checksums: Vec<u8>,
}

/// What follows the value, and what its record says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlobEnd {
    /// To be written behind the value.
    pub(crate) checksums: Vec<u8>,
    pub(crate) len_bytes: u64,
    pub(crate) checksum: u32,
}

impl BlobWriter {
    /// For a value of which nothing was written yet.
    pub(crate) fn new(store: &StoreId, file: FileId) -> BlobWriter {
        BlobWriter {
            key: FileKey::new(store, file),
            block: Partial::of(&[]),
            filled: 0,
            finished_bytes: 0,
            checksums: Vec::new(),
        }
    }

    /// Covers the next bytes of the value.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK_LEN - self.filled));
            self.block = self.block.and(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == BLOCK_LEN {
                self.end_block();
            }
        }
    }

    /// The value is complete.
    pub(crate) fn finish(mut self) -> BlobEnd {
        if self.filled > 0 {
            self.end_block();
        }
        let len_bytes = self.finished_bytes;
        let checksum = Partial::of(&self.checksums).at(self.key, len_bytes, BLOCKS);
        BlobEnd { checksums: self.checksums, len_bytes, checksum }
    }

    fn end_block(&mut self) {
        let crc = self.block.at(self.key, block_offset(self.finished_bytes), BLOCK);
        self.checksums.extend_from_slice(&crc.to_le_bytes());
        self.finished_bytes += in_64_bits(self.filled);
        self.block = Partial::of(&[]);
        self.filled = 0;
    }
}

/// Where the block checksums of a value this long begin, and how many bytes they are. `None` for a
/// length that no file has.
pub(crate) fn checksums_at(len_bytes: u64) -> Option<(u64, u64)> {
    let start = in_64_bits(BLOB_HEADER_LEN).checked_add(len_bytes)?;
    let len = len_bytes.div_ceil(in_64_bits(BLOCK_LEN)) * in_64_bits(CRC_LEN);
    start.checked_add(len).map(|_| (start, len))
}

/// The block checksums of a blob, which its record vouches for (G1).
#[derive(Debug)]
pub(crate) struct BlobSums {
    key: FileKey,
    len_bytes: u64,
    checksums: Vec<u8>,
}

impl BlobSums {
    /// Compares a blob's first bytes and its block checksums with what a record says of it.
    pub(crate) fn verify(
        header: &[u8; BLOB_HEADER_LEN],
        checksums: Vec<u8>,
        (store, file): (&StoreId, FileId),
        len_bytes: u64,
        checksum: u32,
    ) -> Result<BlobSums, FormatError> {
        check_header(header, store, file)?;
        let key = FileKey::new(store, file);
        if Partial::of(&checksums).at(key, len_bytes, BLOCKS) != checksum {
            return Err(FormatError::Damaged { what: "checksum of block checksums mismatch" });
        }
        Ok(BlobSums { key, len_bytes, checksums })
    }

    /// The value's length.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// How long a block is; 0 behind the last one.
    pub(crate) fn block_len(&self, number: u64) -> usize {
        let start = number.saturating_mul(in_64_bits(BLOCK_LEN));
        let left = self.len_bytes.saturating_sub(start);
        usize::try_from(left).map_or(BLOCK_LEN, |left| left.min(BLOCK_LEN))
    }

    /// Whether these are the bytes of the block.
    pub(crate) fn check(&self, number: u64, block: &[u8]) -> Result<(), FormatError> {
        let (stored, _) = self.checksums.as_chunks::<CRC_LEN>();
        let stored = usize::try_from(number).ok().and_then(|n| stored.get(n));
        let crc = Partial::of(block).at(self.key, block_at(number), BLOCK);
        match stored {
            Some(stored) if crc == u32::from_le_bytes(*stored) => Ok(()),
            _ => Err(FormatError::Damaged { what: "block checksum mismatch" }),
        }
    }
}

/// Where in the file a block begins. Its number is one of a value that has a file.
pub(crate) fn block_at(number: u64) -> u64 {
    block_offset(number.saturating_mul(in_64_bits(BLOCK_LEN)))
}

fn check_header(
    bytes: &[u8; BLOB_HEADER_LEN],
    store: &StoreId,
    file: FileId,
) -> Result<(), FormatError> {
    let unverified = Unverified::of(bytes, KIND)?;
    let found_file = take_file_id(&mut &*unverified.body)?;
    let found = unverified.verify(found_file, 0)?.store;
    if found != *store {
        return Err(FormatError::WrongStore { found, wanted: *store });
    }
    if found_file != file {
        return Err(FormatError::WrongFile { found: found_file, wanted: file });
    }
    Ok(())
}

/// Where in the file the block lies that starts `at` bytes into the value.
fn block_offset(at: u64) -> u64 {
    in_64_bits(BLOB_HEADER_LEN) + at
}

fn in_64_bits(len: usize) -> u64 {
    u64::try_from(len).expect("addresses fit 64 bits")
}

#[cfg(test)]
mod tests;
