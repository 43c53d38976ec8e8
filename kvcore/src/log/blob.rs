//! A blob file: one value, then the checksums of its blocks.
//!
//! ```text
//! header 64: magic 8 | version 4 | block bytes 4 | store id 16 | file id 8 | value length 8 |
//!            zero 12 | checksum 4
//! value      as many bytes as the header says
//! checksums  4 per block of 64 KiB, the last block may be shorter
//! ```
//!
//! The record that refers to a blob holds its length and the checksum of the checksums, so a blob
//! is never believed by its header alone.

use super::checksum::{FileKey, HEADER, Partial, StoreId};
use crate::ids::FileId;

/// Bytes of the value that share a checksum.
pub(crate) const BLOB_BLOCK_BYTES: usize = 64 << 10;

const MAGIC: [u8; 8] = *b"kvcblob\n";
const VERSION: u32 = 1;

/// What a blob file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlobHeader {
    pub(crate) store_id: StoreId,
    pub(crate) file: FileId,
    pub(crate) len_bytes: u64,
}

impl BlobHeader {
    pub(crate) const LEN: usize = 64;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(64u32 << 10).to_le_bytes());
        out.extend_from_slice(&self.store_id.0);
        out.extend_from_slice(&u64::from(self.file.0).to_le_bytes());
        out.extend_from_slice(&self.len_bytes.to_le_bytes());
        out.resize(Self::LEN - size_of::<u32>(), 0);
        let key = FileKey::new(&self.store_id, self.file);
        let checksum = Partial::of(&out).at(key, 0, HEADER);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Length of the whole file.
    pub(crate) fn file_len(&self) -> u64 {
        let blocks = self.len_bytes.div_ceil(BLOB_BLOCK_BYTES as u64);
        Self::LEN as u64 + self.len_bytes + blocks * size_of::<u32>() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_as_long_as_its_constant_and_the_file_ends_behind_its_checksums() {
        let header = BlobHeader { store_id: StoreId([7; 16]), file: FileId(3), len_bytes: 65_537 };
        assert_eq!(header.encode().len(), BlobHeader::LEN);
        assert_eq!(header.file_len(), 64 + 65_537 + 2 * 4);
    }
}
