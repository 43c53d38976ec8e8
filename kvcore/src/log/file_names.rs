//! The names of the store's files: the only place that makes or parses them.
//!
//! Knows names; never looks whether the file exists, or what it is.
//!
//! # Invariants
//!
//! N1. [`parse`] is the exact inverse of [`Name`]'s `Display`: a name that differs in one byte is
//!     not ours, and what is not ours is left alone.
//! N2. File number 0 is no file, and numbers above `u32::MAX` are not ours: they cannot be ids.
//!     Manifest numbers end with their twelve digits.

use std::{ffi::OsStr, fmt};

use crate::ids::FileId;

/// Digits of a number in a name, so that names sort like numbers.
const DIGITS: usize = 12;
const MANIFEST_PREFIX: &str = "MANIFEST-";
const LOCK: &str = "LOCK";
const RESERVE_PREFIX: &str = "RESERVE-";
const TMP_SUFFIX: &str = ".tmp";

/// A file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Name {
    /// `LOCK`: carries the kernel's lock, never unlinked.
    Lock,
    /// `MANIFEST-000000000001`: the manifest of that number.
    Manifest(u64),
    /// `000000000001.data`: header, then frames.
    Data(FileId),
    /// `000000000001.hint`: the cache of the data file of the same number.
    Hint(FileId),
    /// `000000000001.blob`: one value.
    Blob(FileId),
    /// `MANIFEST-000000000001.tmp`: a manifest before it is renamed into place.
    ManifestTmp(u64),
    /// `000000000001.hint.tmp`: a hint file before it is renamed into place.
    HintTmp(FileId),
    /// `000000000001.data.tmp`: a data file not yet in its place.
    DataTmp(FileId),
    /// `000000000001.blob.tmp`: a blob not yet whole.
    BlobTmp(FileId),
    /// `RESERVE-000000000001.tmp`: holds space, and nothing else.
    ReserveTmp(u64),
}

impl Name {
    /// Orders names by kind, and by number within it up to 2^59, which no store comes near.
    pub(crate) fn rank(self) -> u64 {
        const NUMBER_BITS: u32 = 59;
        let (kind, number) = match self {
            Name::Lock => (0, 0),
            Name::Manifest(number) => (1, number),
            Name::Data(id) => (2, u64::from(id.0)),
            Name::Hint(id) => (3, u64::from(id.0)),
            Name::Blob(id) => (4, u64::from(id.0)),
            Name::ManifestTmp(number) => (5, number),
            Name::HintTmp(id) => (6, u64::from(id.0)),
            Name::DataTmp(id) => (7, u64::from(id.0)),
            Name::BlobTmp(id) => (8, u64::from(id.0)),
            Name::ReserveTmp(number) => (9, number),
        };
        (kind << NUMBER_BITS) | number.min((1 << NUMBER_BITS) - 1)
    }

    /// Whether the file is a leftover of something unfinished, to be removed at open.
    pub(crate) fn is_temporary(self) -> bool {
        matches!(
            self,
            Name::ManifestTmp(_)
                | Name::HintTmp(_)
                | Name::DataTmp(_)
                | Name::BlobTmp(_)
                | Name::ReserveTmp(_)
        )
    }

    /// The name to write under before renaming to this one; a temporary one and the lock have none.
    pub(crate) fn temporary(self) -> Option<Name> {
        match self {
            Name::Manifest(number) => Some(Name::ManifestTmp(number)),
            Name::Data(id) => Some(Name::DataTmp(id)),
            Name::Hint(id) => Some(Name::HintTmp(id)),
            Name::Blob(id) => Some(Name::BlobTmp(id)),
            _ => None,
        }
    }

    /// The file number in the name, of which none may be used twice.
    pub(crate) fn file_id(self) -> Option<FileId> {
        match self {
            Name::Data(id) | Name::Hint(id) | Name::Blob(id) => Some(id),
            Name::DataTmp(id) | Name::HintTmp(id) | Name::BlobTmp(id) => Some(id),
            Name::Lock | Name::Manifest(_) | Name::ManifestTmp(_) | Name::ReserveTmp(_) => None,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Lock => f.write_str(LOCK),
            Name::Manifest(number) => write!(f, "{MANIFEST_PREFIX}{number:012}"),
            Name::Data(id) => write!(f, "{id}.data"),
            Name::Hint(id) => write!(f, "{id}.hint"),
            Name::Blob(id) => write!(f, "{id}.blob"),
            Name::ManifestTmp(number) => {
                write!(f, "{MANIFEST_PREFIX}{number:012}{TMP_SUFFIX}")
            }
            Name::ReserveTmp(number) => write!(f, "{RESERVE_PREFIX}{number:012}{TMP_SUFFIX}"),
            Name::DataTmp(id) => write!(f, "{id}.data{TMP_SUFFIX}"),
            Name::HintTmp(id) => write!(f, "{id}.hint{TMP_SUFFIX}"),
            Name::BlobTmp(id) => write!(f, "{id}.blob{TMP_SUFFIX}"),
        }
    }
}

/// `000000000001.data`.
pub(crate) fn data(id: FileId) -> String {
    Name::Data(id).to_string()
}

/// `000000000001.hint`.
pub(crate) fn hint(id: FileId) -> String {
    Name::Hint(id).to_string()
}

/// `000000000001.blob`.
pub(crate) fn blob(id: FileId) -> String {
    Name::Blob(id).to_string()
}

/// `MANIFEST-000000000001`.
pub(crate) fn manifest(number: u64) -> String {
    Name::Manifest(number).to_string()
}

/// `LOCK`.
pub(crate) fn lock() -> String {
    Name::Lock.to_string()
}

/// What `name` names, or `None` if it is not one of ours.
pub(crate) fn parse(name: &OsStr) -> Option<Name> {
    let name = name.to_str()?;
    if name == LOCK {
        return Some(Name::Lock);
    }
    match name.strip_suffix(TMP_SUFFIX) {
        Some(target) => match target.strip_prefix(RESERVE_PREFIX) {
            Some(digits) => parse_number(digits).map(Name::ReserveTmp),
            None => parse_numbered(target)?.temporary(),
        },
        None => parse_numbered(name),
    }
}

fn parse_numbered(name: &str) -> Option<Name> {
    if let Some(digits) = name.strip_prefix(MANIFEST_PREFIX) {
        return Some(Name::Manifest(parse_number(digits)?));
    }
    let (digits, kind) = name.split_once('.')?;
    let id = FileId(u32::try_from(parse_number(digits)?).ok()?);
    match kind {
        "data" => Some(Name::Data(id)),
        "hint" => Some(Name::Hint(id)),
        "blob" => Some(Name::Blob(id)),
        _ => None,
    }
}

fn parse_number(digits: &str) -> Option<u64> {
    let exact = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if exact { digits.parse().ok()? } else { 0 };
    (number != 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn names() -> Vec<Name> {
        let ids = [FileId(1), FileId(42), FileId(u32::MAX)];
        let of = |id| [Name::Data(id), Name::Hint(id), Name::Blob(id)];
        let files = ids.into_iter().flat_map(of).chain([
            Name::Manifest(1),
            Name::Manifest(u64::from(u32::MAX) + 1),
            Name::Manifest(999_999_999_999),
        ]);
        let all = files.flat_map(|name| [Some(name), name.temporary()]).flatten();
        all.chain([Name::Lock]).collect()
    }

    #[test]
    fn names_are_what_the_format_says() {
        assert_eq!(data(FileId(1)), "000000000001.data");
        assert_eq!(hint(FileId(u32::MAX)), "004294967295.hint");
        assert_eq!(blob(FileId(20)), "000000000020.blob");
        assert_eq!(manifest(7), "MANIFEST-000000000007");
        assert_eq!(lock(), "LOCK");
        assert_eq!(Name::HintTmp(FileId(3)).to_string(), "000000000003.hint.tmp");
    }

    #[test]
    fn n1_parse_is_the_inverse_of_display() {
        for name in names() {
            assert_eq!(parse(OsStr::new(&name.to_string())), Some(name), "{name}");
        }
    }

    #[test]
    fn n1_a_name_with_one_byte_changed_added_or_removed_parses_to_itself_or_not_at_all() {
        for name in names() {
            let text = name.to_string();
            for at in 0..=text.len() {
                for byte in b' '..=b'~' {
                    let mut changed = [text.clone(), text.clone()];
                    changed[0].insert(at, char::from(byte));
                    if at < text.len() {
                        changed[1].replace_range(at..=at, &char::from(byte).to_string());
                    }
                    for text in changed {
                        let parsed = parse(OsStr::new(&text)).map(|name| name.to_string());
                        assert!(parsed.is_none_or(|parsed| parsed == text), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn n2_zero_oversized_and_foreign_names_are_not_ours() {
        let foreign = [
            "000000000000.data",
            "MANIFEST-000000000000",
            "004294967296.data",
            "1.data",
            "+00000000001.data",
            "-00000000001.data",
            "0000000000001.data",
            "000000000001.DATA",
            "000000000001.data.tmp.tmp",
            "000000000001.data.bak",
            "LOCK.tmp",
            "lock",
            "MANIFEST-000000000001.data",
            "٠٠٠٠٠٠.data",
            "",
            ".",
            "..",
        ];
        for name in foreign {
            assert_eq!(parse(OsStr::new(name)), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_utf_8_are_not_ours() {
        use std::os::unix::ffi::OsStringExt;
        let name = OsString::from_vec(b"00000000000\xff.data".to_vec());
        assert_eq!(parse(&name), None);
    }

    #[test]
    fn temporary_names_say_so_and_keep_their_number() {
        for name in names() {
            let tmp = name.temporary();
            assert_eq!(tmp.is_some_and(Name::is_temporary), tmp.is_some(), "{name}");
            assert!(tmp.is_none_or(|tmp| tmp.file_id() == name.file_id()), "{name}");
        }
    }
}
