//! Values as bytes: how a type is stored, and what that is called in the manifest.
//!
//! Knows formats. Does not know files, records or keys, and keeps no state: a codec is a marker
//! type.
//!
//! # Laws
//!
//! C1. What is encoded without an error decodes to an equal value, as far as the type's own
//!     implementation of serde's traits can be trusted (an untagged enum, for example, cannot).
//! C2. Decoding consumes every byte, or is an error.
//! C3. Decoding arbitrary bytes ends soon and allocates at most a constant times their number:
//!     lengths found in them are not believed, and nesting is limited on both ways.
//! C4. After an error in `encode` the buffer is as it was.

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(any(feature = "bincode", feature = "postcard"))]
mod bounded;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "postcard")]
mod postcard;
mod raw;

#[cfg(test)]
#[cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]
mod samples;

use std::borrow::Borrow;

#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;
pub use self::raw::Raw;

use crate::{error::BoxError, value::ValueRef};

/// How values of type `V` become bytes.
///
/// A marker type: no instance, no state. [`Bincode`] is the default, [`Raw`] stores `[u8]` and
/// `str` as they are, and with the features of these names there are `Postcard` and `Json`.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{BoxError, Codec, Keyspace, Store, ValueRef};
///
/// /// Temperatures as tenths of a degree, in two bytes.
/// enum Tenths {}
///
/// impl Codec<f64> for Tenths {
///     type Owned = f64;
///     const ID: &'static str = "tenths/1";
///
///     fn encode(value: &f64, out: &mut Vec<u8>) -> Result<(), BoxError> {
///         let tenths = (value * 10.0).round();
///         if !(-3_000.0..=3_000.0).contains(&tenths) {
///             return Err(format!("{value} is no temperature").into());
///         }
///         out.extend_from_slice(&(tenths as i16).to_le_bytes());
///         Ok(())
///     }
///
///     fn decode(bytes: ValueRef<'_>) -> Result<f64, BoxError> {
///         Ok(f64::from(i16::from_le_bytes((*bytes).try_into()?)) / 10.0)
///     }
/// }
///
/// let store = Store::in_memory()?;
/// let weather: Keyspace<u64, f64, Tenths> = store.keyspace("weather")?;
/// weather.put(1, &21.5)?;
/// assert_eq!(weather.get(1)?, Some(21.5));
/// assert_eq!(weather.get_bytes(1)?.map(|bytes| bytes.len()), Some(2));
/// assert!(weather.put(2, &1e9).is_err());
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot store `{V}`",
    note = "the default codec needs serde's traits on the value and kvcore's feature `bincode`; \
            or name a codec: `Keyspace<K, V, C>`"
)]
pub trait Codec<V: ?Sized>: 'static {
    /// What a read returns: `V` for sized values, [`Value`](crate::Value) for `[u8]`, `String`
    /// for `str`.
    type Owned: Borrow<V> + Send + 'static;

    /// Name and wire version, kept in the manifest and compared when a keyspace is opened:
    /// `bincode/2-standard`.
    const ID: &'static str;

    /// Appends the bytes of `value` to `out`, which may hold other bytes already.
    ///
    /// # Errors
    ///
    /// When the value has no encoding that decodes again. What was appended to `out` is then
    /// thrown away by the store.
    fn encode(value: &V, out: &mut Vec<u8>) -> Result<(), BoxError>;

    /// Makes a value of its bytes. Must consume every byte, must not allocate more than a
    /// constant times `bytes.len()`.
    ///
    /// # Errors
    ///
    /// When the bytes are not an encoding of a value.
    fn decode(bytes: ValueRef<'_>) -> Result<Self::Owned, BoxError>;
}

/// The default codec: every type with serde's traits, in bincode 2's standard configuration
/// (little-endian, integers of varying width, no field names). ID `bincode/2-standard`.
///
/// Always defined, so that default type parameters do not depend on a feature; it is a
/// [`Codec`] with the feature `bincode`, which is on by default. The crate `bincode` is no longer
/// maintained (RUSTSEC-2025-0141): its format is frozen here and values are read through a layer
/// that bounds what damaged bytes can cost, and other codecs can be named per keyspace.
///
/// Bytes are compact, but carry no names: a field added, removed or reordered changes the type's
/// encoding. Count up the schema's version then. A value may be nested 128 levels deep (enums,
/// options, sequences and maps around each other), deeper ones are an error when they are put.
/// Types that ask the format what comes next cannot be read: `#[serde(untagged)]`,
/// `#[serde(flatten)]`, `serde_json::Value`; nor does `#[serde(skip_serializing_if)]` work.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{Bincode, Keyspace};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// enum Shape {
///     Point,
///     Circle { radius: u32 },
/// }
///
/// // The same as `Keyspace<u64, Shape>`.
/// let shapes: Keyspace<u64, Shape, Bincode> = store.keyspace("shapes")?;
/// shapes.put(1, &Shape::Circle { radius: 3 })?;
/// assert_eq!(shapes.get(1)?, Some(Shape::Circle { radius: 3 }));
/// assert_eq!(shapes.get_bytes(1)?.as_deref(), Some([1, 3].as_slice())); // variant, field
/// shapes.put(2, &Shape::Point)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Bincode {}

/// Runs `encode` on `out` and takes back what it appended if it fails (C4).
#[cfg(any(feature = "bincode", feature = "postcard", feature = "json"))]
fn append_or_restore<E>(
    out: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let len_before = out.len();
    encode(out).inspect_err(|_| out.truncate(len_before))
}
