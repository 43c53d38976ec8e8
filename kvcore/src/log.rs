//! The bytes of the store: what records, frames, headers, hints and manifests look like.
//!
//! Everything below, but for `data_file` and `walk`, is a function from bytes to bytes. It knows no
//! disk, no lock and no clock, so every line of it can be tested with slices. Who writes, syncs and
//! names the files, and what a damaged one means for the store, is decided elsewhere. The drawings
//! are in `docs/format.md`.
//!
//! # Invariants
//!
//! B1. Little-endian, fixed: the same store opens on every machine.
//! B2. A length is believed only once a checksum covers it or the bytes in hand contain it; no
//!     allocation is ever sized by a number that was read.
//! B3. A checksum covers the bytes and their place, so zeros, stale, moved and foreign bytes do
//!     not validate.
//! B4. There is one way to write a thing: what decodes encodes to the same bytes again, reserved
//!     bytes and features aside.
//! B5. Bytes with a valid checksum that this version does not know are reported as unknown, never
//!     as damage: a newer store is not a torn one.

pub(crate) mod blob;
pub(crate) mod checksum;
pub(crate) mod compression;
pub(crate) mod data_file;
pub(crate) mod file_names;
pub(crate) mod file_table;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod hiding;
pub(crate) mod hint;
pub(crate) mod manifest;
pub(crate) mod preamble;
pub(crate) mod record;
pub(crate) mod varint;
pub(crate) mod walk;

pub(crate) use checksum::{FileKey, StoreId};
pub(crate) use data_file::{DataFile, Parts as FileParts, corrupt};
pub(crate) use file_table::{FilePin, FileTable, Files, FilesGuard, FilesInRuns, FilesOnce};
pub(crate) use frame::{
    BatchEncoder, FrameError, FrameView, HEADER_LEN as FRAME_HEADER_LEN, MEMBER_OVERHEAD, Member,
    Parsed, SINGLE_OVERHEAD, WATERMARK_IN_HEADER, find_next_frame, parse_frame, read_member,
    read_single,
};
pub(crate) use header::{DecodedHeader, FILE_HEADER_LEN, FileHeader, LogEnd, LogPosition, Role};
pub(crate) use hiding::{Burden, Deaths, DeathsBut, Hiding};
pub(crate) use hint::{HintDraft, HintEntry, HintItem, HintKind, HintRange, HintReader, Place};
pub(crate) use manifest::{
    COMPRESSED, EXPIRED_BY_OWNER, GENERATIONS_MAX, Generation, KeyspaceMeta, ListedFile, Manifest,
    UNORDERED,
};
pub(crate) use preamble::FormatError;
pub(crate) use record::{
    Form, Found, KEY_LEN_MAX, Record, RecordError, decode_put_value, tombstone_len,
};
pub(crate) use walk::{FrameWalk, Step};

use crate::{
    ids::KeyspaceId,
    keydir::{Entry, EntryFlags},
};

/// Bytes in its data file of the record an entry points at, with the frame or member around it.
///
/// Exact, from lengths alone.
#[inline]
pub(crate) fn record_bytes(keyspace: KeyspaceId, key_len: usize, entry: &Entry) -> u64 {
    let expiry = entry.flags.has(EntryFlags::EXPIRY_IN_RECORD).then_some(0);
    let record = if entry.flags.has(EntryFlags::BLOB) {
        record::blob_ref_len(keyspace, key_len, expiry)
    } else {
        let value_len = usize::try_from(entry.value_len).unwrap_or(usize::MAX);
        record::put_len(keyspace, key_len, value_len, expiry)
    };
    let around =
        if entry.flags.has(EntryFlags::MEMBER) { MEMBER_OVERHEAD } else { SINGLE_OVERHEAD };
    (record + around) as u64
}
