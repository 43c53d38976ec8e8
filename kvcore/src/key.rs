//! Typed keys and their bytes.
//!
//! A keyspace compares keys as byte strings and never asks a Rust type how it orders, so the
//! encoding has to keep the order. Knows nothing of files, values or the keydir; the limit on a
//! key's length is the engine's.
//!
//! # Laws
//!
//! K1. Order: `a.cmp(&b) == encode(a).cmp(&encode(b))`, at both positions.
//! K2. At `Position::Inner` no encoding is a proper prefix of another one of the same type, so a
//!     component delimits itself and what follows it cannot change an order already decided.
//! K3. Whatever decodes, encodes to the same bytes again; everything else is an error, no panic.
//! K4. A borrowed form (`AsKey`) gives the bytes of the owned key it stands for.
//!
//! # Encodings
//!
//! | type | bytes |
//! |---|---|
//! | `u8` … `u128` | big-endian, fixed width |
//! | `i8` … `i128` | the same with the sign bit flipped |
//! | `bool`, `char` | one byte, 0 or 1; the scalar value as a `u32` |
//! | `[u8; N]` | as they are |
//! | `String`, `Vec<u8>`, last | as they are |
//! | `String`, `Vec<u8>`, inner | each `00` as `00 FF`, then `00 00` |
//! | tuples | the components one after the other, all but the last inner |
//!
//! Variable-width integers are never used: their byte order is not the order of the numbers.

mod bytes;
mod range;
mod scalar;
mod tuple;

#[cfg(test)]
mod tests;

pub use range::{EncodedRange, KeyPrefix, KeyRange};

use crate::error::BoxError;

/// Where a key component stands: the last one takes the rest of the bytes,
/// an inner one must delimit itself (escaped and terminated where its width varies).
///
/// ```
/// use kvcore::{AsKey, Position};
/// let (mut inner, mut last) = (Vec::new(), Vec::new());
/// AsKey::<String>::encode_key(&"ada", &mut inner, Position::Inner);
/// AsKey::<String>::encode_key(&"ada", &mut last, Position::Last);
/// assert_eq!((inner, last), (b"ada\0\0".to_vec(), b"ada".to_vec()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Something follows, or may follow: the encoding has to show where it ends.
    Inner,
    /// The encoding ends where the key ends.
    Last,
}

/// A type that can be the key of a keyspace.
///
/// Implemented for the fixed-width integers, `bool`, `char`, `String`, `Vec<u8>`, `[u8; N]` and
/// tuples of two to four keys. For a type of your own that wraps one of them there is
/// [`key_newtype!`](crate::key_newtype).
///
/// # Laws
///
/// The store relies on them and cannot check them:
///
/// - order: `a.cmp(&b) == encode(a).cmp(&encode(b))`, at both positions;
/// - at [`Position::Inner`] no encoding is a proper prefix of another;
/// - decoding what was encoded gives an equal key and leaves what follows it untouched.
///
/// An implementation that breaks them loses no bytes, but ranges and lookups answer wrongly.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::Keyspace;
/// // By day, then by name: the order of the tuple is the order of the entries.
/// let visits: Keyspace<(u32, String), ()> = store.keyspace("visits")?;
/// visits.put((20_261_121, "bob"), &())?;
/// visits.put((20_261_121, "ada"), &())?;
/// visits.put((20_261_120, "zoe"), &())?;
/// assert_eq!(visits.first()?.expect("three").key(), &(20_261_120, "zoe".to_owned()));
/// # Ok(())
/// # }
/// ```
pub trait Key: AsKey<Self> + Ord + Sized + Send + Sync + 'static {
    /// Appends the structural tag kept in the manifest, e.g. `(str,u64)`.
    ///
    /// Opening a keyspace with another tag is an error. A function, because the tags of tuples
    /// are composed.
    fn type_tag(tag: &mut String);

    /// Takes this component off the front of `bytes`.
    ///
    /// At [`Position::Last`] a type of varying width takes all of them.
    ///
    /// # Errors
    ///
    /// When the bytes are not an encoding of this type; `bytes` is then anywhere.
    fn decode_key(bytes: &mut &[u8], at: Position) -> Result<Self, BoxError>;
}

/// What may be handed in where a key of type `K` is looked up: `"ada"` for a `String`,
/// `(36, "ada")` for a `(u64, String)`, and always a reference to the key itself.
///
/// # Laws
///
/// Gives the same bytes as the equal `K`, and has the same order.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::{AsKey, Keyspace, Result};
///
/// fn is_known(users: &Keyspace<String, u64>, name: impl AsKey<String>) -> Result<bool> {
///     users.contains(name)
/// }
///
/// users.put("ada", &36)?;
/// let name = String::from("ada");
/// assert!(is_known(&users, "ada")? && is_known(&users, &name)? && is_known(&users, name)?);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be used as a key of type `{K}`")]
pub trait AsKey<K: ?Sized> {
    /// Appends the key's bytes to `out`.
    fn encode_key(&self, out: &mut Vec<u8>, at: Position);
}

impl<K: Key> AsKey<K> for &K {
    fn encode_key(&self, out: &mut Vec<u8>, at: Position) {
        (**self).encode_key(out, at);
    }
}

/// Decodes a stored key, all of it.
///
/// # Errors
///
/// When `bytes` are not an encoding of a `K`, or go on after it.
pub(crate) fn decode_whole<K: Key>(bytes: &[u8]) -> Result<K, BoxError> {
    let mut rest = bytes;
    let key = K::decode_key(&mut rest, Position::Last)?;
    if rest.is_empty() {
        return Ok(key);
    }
    let (len, left) = (bytes.len(), rest.len());
    Err(format!("{left} of a key's {len} bytes are left over after decoding it").into())
}

/// Makes `struct UserId(u64);` a key with the encoding and type tag of what it wraps.
///
/// The type must derive `PartialEq`, `Eq`, `PartialOrd` and `Ord` (or order itself exactly as the
/// wrapped type does: the store keeps the wrapped type's order) and be `Send + Sync + 'static`.
///
/// ```
/// #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
/// struct UserId(u64);
/// kvcore::key_newtype!(UserId(u64));
///
/// let mut bytes = Vec::new();
/// kvcore::AsKey::encode_key(&UserId(7), &mut bytes, kvcore::Position::Last);
/// assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 7]);
/// ```
#[macro_export]
macro_rules! key_newtype {
    ($name:ident($inner:ty)) => {
        impl $crate::AsKey<$name> for $name {
            fn encode_key(&self, out: &mut ::std::vec::Vec<u8>, at: $crate::Position) {
                $crate::AsKey::<$inner>::encode_key(&self.0, out, at)
            }
        }

        impl $crate::Key for $name {
            fn type_tag(tag: &mut ::std::string::String) {
                <$inner as $crate::Key>::type_tag(tag)
            }

            fn decode_key(
                bytes: &mut &[u8],
                at: $crate::Position,
            ) -> ::std::result::Result<Self, $crate::BoxError> {
                <$inner as $crate::Key>::decode_key(bytes, at).map($name)
            }
        }
    };
}
