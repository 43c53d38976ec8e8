//! The lines that export writes and import reads.
//!
//! ```text
//! {"keyspace":{"name":…,"key_tag":…,"codec":…,…}}   a keyspace, before its entries
//! {"in":name,"key":…,"value":…}                     an entry
//! {"in":name,"key":…,"parts":n,"bytes":n}           a large one; its value follows in
//! {"part_base64":"…"}                              so many lines
//! ```
//!
//! `value_base64` stands for `value` where the codec does not describe itself, `key_base64` for
//! `key` where the tag is not known, and `expires_at_ms` is there where an entry expires.
//!
//! # Invariants
//!
//! N1. No line is longer than [`LINE_BYTES_MAX`], whatever the length of values: neither side holds
//!     more of a value than that.
//! N2. A description says all that the registry knows, and the last number given out.

use std::io::{self, BufRead, Read};

use kvcore::KeyspaceInfo;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

/// Values of more bytes are written in parts.
pub(super) const WHOLE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of a part, a multiple of three, so that base64 has no padding in between.
pub(super) const PART_BYTES: usize = 3 << 16;
/// The longest line, its end included.
pub(super) const LINE_BYTES_MAX: u64 = 64 << 20;

/// A line, whichever it is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line<'a> {
    pub(super) keyspace: Option<Description>,
    #[serde(rename = "in")]
    pub(super) name: Option<String>,
    pub(super) key: Option<Value>,
    pub(super) key_base64: Option<String>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) value: Option<&'a RawValue>,
    pub(super) value_base64: Option<String>,
    pub(super) expires_at_ms: Option<u64>,
    pub(super) parts: Option<u64>,
    pub(super) bytes: Option<u64>,
    pub(super) part_base64: Option<String>,
}

/// A keyspace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub(super) name: String,
    key_tag: String,
    codec: String,
    #[serde(default)]
    schema_version: u32,
    #[serde(default = "yes")]
    ordered: bool,
    #[serde(default)]
    compressed: bool,
    #[serde(default)]
    expired_by_owner: bool,
    #[serde(default)]
    type_name: String,
    /// The last number given out.
    #[serde(default)]
    pub(super) last_id: u64,
}

#[derive(Serialize)]
struct Described {
    keyspace: Description,
}

/// A value that is there, `null` too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

fn yes() -> bool {
    true
}

impl Description {
    pub(super) fn new(info: &KeyspaceInfo, last_id: u64) -> Description {
        Description {
            name: info.name.clone(),
            key_tag: info.key_tag.clone(),
            codec: info.codec.clone(),
            schema_version: info.schema_version,
            ordered: info.is_ordered,
            compressed: info.is_compressed,
            expired_by_owner: info.is_expired_by_owner,
            type_name: info.type_name.clone(),
            last_id,
        }
    }

    pub(super) fn info(&self) -> KeyspaceInfo {
        let mut info = KeyspaceInfo::new(&self.name, &self.key_tag, &self.codec);
        info.schema_version = self.schema_version;
        info.is_ordered = self.ordered;
        info.is_compressed = self.compressed;
        info.is_expired_by_owner = self.expired_by_owner;
        info.type_name.clone_from(&self.type_name);
        info
    }

    /// The line of it.
    pub(super) fn line(self) -> serde_json::Result<String> {
        serde_json::to_string(&Described { keyspace: self })
    }
}

/// Reads the next line, its end included, into `line`; false at the end.
///
/// # Errors
///
/// A line that is too long is an error, and what is left of it comes next.
pub(super) fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line)?;
    if read as u64 == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        let what = format!("it is longer than {} MiB", LINE_BYTES_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(read > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_end_and_too_long_ones_are_refused() {
        let mut input = &b"a\n\nb"[..];
        let mut line = Vec::new();
        for wanted in [&b"a\n"[..], b"\n", b"b"] {
            assert!(next_line(&mut input, &mut line).unwrap());
            assert_eq!(line, wanted);
        }
        assert!(!next_line(&mut input, &mut line).unwrap());
        let mut endless = io::BufReader::new(io::repeat(b'x'));
        let error = next_line(&mut endless, &mut line).unwrap_err();
        assert_eq!(error.to_string(), "it is longer than 64 MiB");
        assert_eq!(line.len() as u64, LINE_BYTES_MAX);
    }

    #[test]
    fn descriptions_come_back() {
        let mut info = KeyspaceInfo::new("a\"b", "(str,u64)", "json/1");
        (info.is_ordered, info.is_compressed, info.is_expired_by_owner) = (false, true, true);
        (info.schema_version, info.type_name) = (7, "Thing".to_owned());
        let text = Description::new(&info, 42).line().unwrap();
        let line: Line<'_> = serde_json::from_str(&text).unwrap();
        let found = line.keyspace.unwrap();
        assert_eq!((found.info(), found.last_id), (info, 42));
    }
}
