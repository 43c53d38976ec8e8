//! The bytes of the store: what records, frames, headers, hints and manifests look like.
//!
//! Everything below is a function from bytes to bytes. It knows no disk, no lock and no clock,
//! so every line of it can be tested with slices. Who writes, syncs and names the files, and what
//! a damaged one means for the store, is decided elsewhere. The drawings are in `docs/format.md`.
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
pub(crate) mod file_names;
pub(crate) mod frame;
pub(crate) mod header;
pub(crate) mod hint;
pub(crate) mod manifest;
mod preamble;
pub(crate) mod record;
mod varint;

pub(crate) use preamble::{FORMAT_VERSION, FormatError};
