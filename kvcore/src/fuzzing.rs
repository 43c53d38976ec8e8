//! Doors for fuzzers: each takes any bytes and must come back, with an error or with a value that
//! keeps its laws.
//!
//! Not part of the API: there with the feature `fuzzing`, and in this crate's own tests. Checksums
//! are put right first where a format has them, since no fuzzer finds one that fits.

use crate::{
    codec::{Codec, Raw},
    ids::FileId,
    key::{Key, Position},
    log::{
        FileHeader, FileKey, HintReader, Manifest, Parsed, Record, StoreId, compression, hint,
        parse_frame,
    },
    value::ValueRef,
};
use std::fmt::Debug;

fn store() -> StoreId {
    StoreId([7; 16])
}

/// The bytes of one record: what decodes encodes to the same bytes, and tells its length.
pub fn record(bytes: &[u8]) {
    if let Ok((record, len)) = Record::decode(bytes) {
        let mut again = Vec::new();
        record.encode(&mut again);
        assert_eq!((again.as_slice(), record.encoded_len()), (&bytes[..len], len));
    }
}

/// The bytes of a data file behind its header.
pub fn frame(bytes: &[u8]) {
    let key = FileKey::new(&store(), FileId(3));
    if let Parsed::Frame(frame) = parse_frame(bytes, key, 128) {
        assert!(frame.len <= bytes.len());
        assert_eq!(frame.members().count() as u64, u64::from(frame.count));
    }
    let _ = FileHeader::decode_any(bytes);
}

/// A hint file, whose checksum is put right.
pub fn hint(bytes: &[u8]) {
    let Some((signed, store, file, data_len)) = hint::signed(bytes) else { return };
    if let Ok(reader) = HintReader::open(&signed, &store, file, data_len) {
        let _ = reader.ranges().take(signed.len()).filter(Result::is_ok).count();
        let entries = reader.entries().take(signed.len() + 1).filter(Result::is_ok).count();
        assert!(entries <= signed.len(), "no entry takes no bytes");
    }
}

/// A manifest, whose checksum is put right: what decodes encodes, and decodes to the same.
pub fn manifest(bytes: &[u8]) {
    let Some(signed) = Manifest::signed(bytes) else { return };
    if let Ok(mut manifest) = Manifest::decode(&signed) {
        // Reserved, and not written.
        manifest.read_only_features = 0;
        assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
    }
}

/// A value as `C` reads it: what decodes encodes, and decodes to the same.
pub fn value<C: Codec<V, Owned = V>, V: PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = C::decode(ValueRef::copied(bytes)) {
        let mut again = Vec::new();
        if C::encode(&value, &mut again).is_ok() {
            let decoded = C::decode(ValueRef::copied(&again));
            // A float that is no number is not equal to itself.
            assert!(decoded.is_ok_and(|d| d == value || format!("{d:?}") == format!("{value:?}")));
        }
    }
}

/// A stored key: what decodes encodes to the same bytes.
pub fn key<K: Key>(bytes: &[u8]) {
    let mut rest = bytes;
    if let Ok(key) = K::decode_key(&mut rest, Position::Last) {
        let mut again = Vec::new();
        key.encode_key(&mut again, Position::Last);
        assert_eq!(again, bytes[..bytes.len() - rest.len()]);
    }
}

/// A compressed value, and text.
pub fn unpack(bytes: &[u8]) {
    let _ = compression::unpack(bytes);
    let _ = <Raw as Codec<str>>::decode(ValueRef::copied(bytes));
}

/// Every door, with these bytes.
pub fn all(bytes: &[u8]) {
    record(bytes);
    frame(bytes);
    hint(bytes);
    manifest(bytes);
    unpack(bytes);
    key::<String>(bytes);
    key::<(String, i32)>(bytes);
    key::<(Vec<u8>, char, bool)>(bytes);
    key::<(u8, (String, u128), [u8; 3])>(bytes);
    #[cfg(feature = "bincode")]
    values::<crate::Bincode>(bytes);
    #[cfg(feature = "postcard")]
    values::<crate::Postcard>(bytes);
    #[cfg(feature = "json")]
    values::<crate::Json>(bytes);
}

/// Lists, texts, maps, options and floats: whatever carries a length.
type Nested = Vec<(String, Option<Vec<u8>>, std::collections::BTreeMap<u32, f64>)>;

/// Values of some types, as `C` reads them.
pub fn values<C>(bytes: &[u8])
where
    C: Codec<Nested, Owned = Nested> + Codec<String, Owned = String> + Codec<u64, Owned = u64>,
{
    value::<C, Nested>(bytes);
    value::<C, String>(bytes);
    value::<C, u64>(bytes);
}

#[cfg(test)]
mod tests;
