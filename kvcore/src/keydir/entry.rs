//! What the keydir stores about one key, and its packed form.
//!
//! ```text
//!  0        8      12       16          20                       24
//!  sequence  file   offset   value_len   key_len 17 | - 7 | flags 8   key …
//! ```
//!
//! Knows the bytes. Does not know where they are kept.

use crate::ids::{FileId, Location, Sequence};

/// Where an entry lives in its shard's arena. Stable until the entry is removed; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub(crate) struct EntryRef(pub(crate) u32);

/// Everything the keydir knows about a key besides the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    pub(crate) sequence: Sequence,
    pub(crate) location: Location,
    pub(crate) value_len: u32,
    pub(crate) flags: EntryFlags,
}

/// Marks of an entry, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct EntryFlags(u8);

impl EntryFlags {
    /// No mark.
    pub(crate) const NONE: Self = Self(0);
    /// The location is that of a member of a batch of several.
    pub(crate) const MEMBER: Self = Self(1);
    /// The value in the log is a reference to a blob.
    pub(crate) const BLOB: Self = Self(1 << 1);
    /// The expiry index knows this entry.
    pub(crate) const EXPIRES: Self = Self(1 << 2);
    /// The newest record of the key is a tombstone; only while a store is being opened.
    pub(crate) const TOMBSTONE: Self = Self(1 << 3);
    /// The put's own record holds an expiry, which may have been changed since.
    pub(crate) const EXPIRY_IN_RECORD: Self = Self(1 << 4);

    /// These marks and those.
    pub(crate) const fn with(self, marks: Self) -> Self {
        Self(self.0 | marks.0)
    }

    /// These marks except those.
    pub(crate) const fn without(self, marks: Self) -> Self {
        Self(self.0 & !marks.0)
    }

    /// Whether all of those marks are set.
    pub(crate) const fn has(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// The bits, for storing them.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }
}

const SEQUENCE_AT: usize = 0;
const FILE_AT: usize = SEQUENCE_AT + size_of::<u64>();
const OFFSET_AT: usize = FILE_AT + size_of::<u32>();
const VALUE_LEN_AT: usize = OFFSET_AT + size_of::<u32>();
const META_AT: usize = VALUE_LEN_AT + size_of::<u32>();
/// Bytes in front of the key.
pub(super) const HEADER_BYTES: usize = META_AT + size_of::<u32>();
const _: () = assert!(HEADER_BYTES == 24);

const KEY_LEN_BITS: u32 = 17;
const KEY_LEN_MASK: u32 = (1 << KEY_LEN_BITS) - 1;
const FLAGS_SHIFT: u32 = 24;
const _: () = assert!(KEY_LEN_BITS < FLAGS_SHIFT);
/// The longest key that can be stored; the store's own limit is lower.
pub(super) const KEY_LEN_BYTES_MAX: usize = (1 << KEY_LEN_BITS) - 1;

/// The packed form of everything but the key's bytes.
pub(super) type Header = [u8; HEADER_BYTES];

/// Packs an entry whose key is `key_len` bytes long.
#[inline]
pub(super) fn pack(entry: &Entry, key_len: u32) -> Header {
    debug_assert!(key_len <= KEY_LEN_MASK, "key lengths are checked before they are stored");
    let mut header = [0; HEADER_BYTES];
    let meta = key_len | u32::from(entry.flags.bits()) << FLAGS_SHIFT;
    header[SEQUENCE_AT..FILE_AT].copy_from_slice(&entry.sequence.0.to_le_bytes());
    header[FILE_AT..OFFSET_AT].copy_from_slice(&entry.location.file.0.to_le_bytes());
    header[OFFSET_AT..VALUE_LEN_AT].copy_from_slice(&entry.location.offset.to_le_bytes());
    header[VALUE_LEN_AT..META_AT].copy_from_slice(&entry.value_len.to_le_bytes());
    header[META_AT..].copy_from_slice(&meta.to_le_bytes());
    header
}

/// Unpacks an entry.
#[inline]
pub(super) fn unpack(header: &Header) -> Entry {
    let flags = read_u32(header, META_AT) >> FLAGS_SHIFT;
    Entry {
        sequence: Sequence(
            u64::from(read_u32(header, SEQUENCE_AT))
                | u64::from(read_u32(header, SEQUENCE_AT + size_of::<u32>())) << u32::BITS,
        ),
        location: Location {
            file: FileId(read_u32(header, FILE_AT)),
            offset: read_u32(header, OFFSET_AT),
        },
        value_len: read_u32(header, VALUE_LEN_AT),
        flags: EntryFlags(u8::try_from(flags).expect("32 bits less 24 are a byte")),
    }
}

/// The length of the key behind a header.
#[inline]
pub(super) fn key_len(header: &Header) -> u32 {
    read_u32(header, META_AT) & KEY_LEN_MASK
}

#[inline]
fn read_u32(header: &Header, at: usize) -> u32 {
    u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_entry_reads_back() {
        let flags = EntryFlags::MEMBER.with(EntryFlags::EXPIRES);
        let entry = Entry {
            sequence: Sequence(0x0102_0304_0506_0708),
            location: Location { file: FileId(u32::MAX), offset: 7 },
            value_len: u32::MAX - 1,
            flags,
        };
        let header = pack(&entry, 65_536);
        assert_eq!(unpack(&header), entry);
        assert_eq!(key_len(&header), 65_536);
        assert!(flags.has(EntryFlags::MEMBER) && !flags.has(EntryFlags::BLOB));
        assert_eq!(flags.without(EntryFlags::MEMBER), EntryFlags::EXPIRES);
    }
}
