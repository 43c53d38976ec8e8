//! Bytes and text, stored as they are.

use super::Codec;
use crate::{
    error::BoxError,
    value::{Value, ValueRef},
};

/// Stores `[u8]` (ID `raw`) and `str` (ID `utf8`) as they are.
///
/// Reading a `[u8]` yields a [`Value`], without a copy where it is large and lies in a mapped
/// file. Reading a `str` checks that it is UTF-8 and copies it.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{BytesKeyspace, Keyspace, Raw};
/// let files: BytesKeyspace = store.keyspace("files")?;
/// files.put(b"logo", &[0x89, b'P', b'N', b'G'])?;
/// assert_eq!(files.get(b"logo")?.as_deref(), Some(b"\x89PNG".as_slice()));
/// let notes: Keyspace<u64, str, Raw> = store.keyspace("notes")?;
/// notes.put(1, "buy milk")?;
/// assert_eq!(notes.get(1)?.as_deref(), Some("buy milk"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Raw {}

impl Codec<[u8]> for Raw {
    type Owned = Value;
    const ID: &'static str = "raw";

    fn encode(value: &[u8], out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(bytes: ValueRef<'_>) -> Result<Value, BoxError> {
        Ok(bytes.to_value())
    }
}

impl Codec<str> for Raw {
    type Owned = String;
    const ID: &'static str = "utf8";

    fn encode(value: &str, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(bytes: ValueRef<'_>) -> Result<String, BoxError> {
        Ok(std::str::from_utf8(&bytes)?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_stores_bytes_and_text_as_they_are() {
        let mut out = b"before ".to_vec();
        <Raw as Codec<[u8]>>::encode(b"\0\xFF", &mut out).unwrap();
        <Raw as Codec<str>>::encode("é", &mut out).unwrap();
        assert_eq!(out, b"before \0\xFF\xC3\xA9");
        let value = <Raw as Codec<[u8]>>::decode(ValueRef::copied(b"\0\xFF")).unwrap();
        assert_eq!(&*value, b"\0\xFF");
        assert_eq!(<Raw as Codec<str>>::decode(ValueRef::copied(b"\xC3\xA9")).unwrap(), "é");
    }

    #[test]
    fn text_that_is_not_utf8_is_an_error() {
        let error = <Raw as Codec<str>>::decode(ValueRef::copied(b"a\xFF")).unwrap_err();
        assert!(error.to_string().contains("utf-8"), "{error}");
    }
}
