//! How data files, hint files and manifests begin, and why one of them may be refused.
//!
//! ```text
//! magic 8 | version 4 | incompatible features 4 | read-only compatible 4 | compatible 4 | store 16
//! ```
//!
//! # Invariants
//!
//! P1. These 40 bytes, the place of the checksum (the last four bytes of the file header, the hint
//!     and the manifest) and what it is bound to stay as they are in every version to come. So the
//!     checksum is verified before the version is believed, and a damaged version is damage.
//! P2. An unknown incompatible feature is refused; an unknown read-only compatible one allows
//!     reading; a compatible one is for information.

use std::fmt;

use super::{
    checksum::{FileKey, Partial, StoreId},
    record::{RecordError, take_array},
};
use crate::ids::FileId;

/// The version this library writes, of every structure, and the highest one it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(super) const MAGIC_LEN: usize = 8;
const VERSION_AT: usize = MAGIC_LEN;
const INCOMPAT_AT: usize = VERSION_AT + size_of::<u32>();
const RO_COMPAT_AT: usize = INCOMPAT_AT + size_of::<u32>();
const COMPAT_AT: usize = RO_COMPAT_AT + size_of::<u32>();
const STORE_AT: usize = COMPAT_AT + size_of::<u32>();
/// Bytes every structure begins with.
pub(super) const PREAMBLE_LEN: usize = STORE_AT + size_of::<StoreId>();
/// Bytes of the checksum every structure ends with.
pub(super) const CRC_LEN: usize = size_of::<u32>();

const _: () = assert!(PREAMBLE_LEN == 40);

/// Why bytes are not the file header, hint or manifest they were taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    /// Another program's file, or one of another kind.
    #[error("not a {wanted}: it begins with other bytes")]
    NotOurs { wanted: &'static str },
    /// Sound, and written by a later version.
    #[error("format version {found}, this build reads up to {supported}")]
    NewerFormat { found: u32, supported: u32 },
    /// Sound, and uses features this build does not know.
    #[error("unknown features {bits:#034b}")]
    UnknownFeature { bits: u32 },
    /// Sound, and of another store.
    #[error("belongs to store {found}, not to {wanted}")]
    WrongStore { found: StoreId, wanted: StoreId },
    /// Sound, and of another file.
    #[error("belongs to file {found}, not to {wanted}")]
    WrongFile { found: FileId, wanted: FileId },
    /// Sound, and about a data file of another length.
    #[error("describes {found} bytes, not {wanted}")]
    WrongLength { found: u64, wanted: u64 },
    /// Not what was written.
    #[error("damaged: {what}")]
    Damaged { what: &'static str },
}

impl FormatError {
    /// The bytes are sound, and from a newer version.
    pub(crate) fn is_newer(&self) -> bool {
        matches!(self, FormatError::NewerFormat { .. } | FormatError::UnknownFeature { .. })
    }
}

impl From<RecordError> for FormatError {
    fn from(error: RecordError) -> FormatError {
        FormatError::Damaged {
            what: match error {
                RecordError::Unknown { .. } => "unknown kind",
                RecordError::Truncated => "cut off",
                RecordError::Impossible { what } => what,
                RecordError::Other => "unexpected entry",
            },
        }
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The kind of a structure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Its first bytes: one that is no text, its name, a line end that careless transfer changes.
    pub(super) magic: [u8; MAGIC_LEN],
    pub(super) name: &'static str,
    /// `extra` of its checksum.
    pub(super) extra: u64,
}

/// Appends the first 40 bytes.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, store: &StoreId) {
    out.extend_from_slice(&kind.magic);
    out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    out.extend_from_slice(&[0; STORE_AT - INCOMPAT_AT]);
    out.extend_from_slice(&store.0);
}

/// Appends the checksum of everything from `start` on, which ends the structure.
pub(super) fn put_checksum(out: &mut Vec<u8>, start: usize, kind: Kind, file: FileId, place: u64) {
    let mut store = StoreId([0; 16]);
    store.0.copy_from_slice(&out[start + STORE_AT..start + PREAMBLE_LEN]);
    let crc = Partial::of(&out[start..]).at(FileKey::new(&store, file), place, kind.extra);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// A structure with another checksum, which fits.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn signed(bytes: &[u8], kind: Kind, file: FileId, place: u64) -> Vec<u8> {
    let mut out = bytes[..bytes.len() - CRC_LEN].to_vec();
    put_checksum(&mut out, 0, kind, file, place);
    out
}

/// Bytes that begin as a structure of that kind; nothing else is known about them.
pub(super) struct Unverified<'a> {
    kind: Kind,
    pub(super) store: StoreId,
    /// What lies between preamble and checksum.
    pub(super) body: &'a [u8],
    covered: &'a [u8],
    stored: u32,
}

/// A verified preamble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Preamble {
    pub(super) store: StoreId,
    /// Features unknown to this version that forbid writing; see P2.
    pub(super) read_only_features: u32,
}

impl<'a> Unverified<'a> {
    /// Splits `bytes`, which must be the whole structure.
    pub(super) fn of(bytes: &'a [u8], kind: Kind) -> Result<Unverified<'a>, FormatError> {
        if bytes.first_chunk() != Some(&kind.magic) {
            return Err(FormatError::NotOurs { wanted: kind.name });
        }
        let cut_off = FormatError::Damaged { what: "cut off" };
        let (covered, stored) = bytes.split_last_chunk::<CRC_LEN>().ok_or(cut_off)?;
        let (preamble, body) = covered.split_first_chunk::<PREAMBLE_LEN>().ok_or(cut_off)?;
        let store = StoreId(take_array(&mut &preamble[STORE_AT..])?);
        Ok(Unverified { kind, store, body, covered, stored: u32::from_le_bytes(*stored) })
    }

    /// Verifies the checksum, then the version and the features.
    pub(super) fn verify(&self, file: FileId, place: u64) -> Result<Preamble, FormatError> {
        let key = FileKey::new(&self.store, file);
        if Partial::of(self.covered).at(key, place, self.kind.extra) != self.stored {
            return Err(FormatError::Damaged { what: "checksum mismatch" });
        }
        let mut rest = &self.covered[VERSION_AT..];
        let mut take = || take_array(&mut rest).map(u32::from_le_bytes);
        let (version, incompat, read_only_features) = (take()?, take()?, take()?);
        if version > FORMAT_VERSION {
            let supported = FORMAT_VERSION;
            return Err(FormatError::NewerFormat { found: version, supported });
        }
        if version == 0 {
            return Err(FormatError::Damaged { what: "impossible version" });
        }
        if incompat != 0 {
            return Err(FormatError::UnknownFeature { bits: incompat });
        }
        Ok(Preamble { store: self.store, read_only_features })
    }
}
