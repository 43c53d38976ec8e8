//! Keys of fixed width: integers, `bool`, `char`, byte arrays.
//!
//! They take the same bytes at both positions.

use super::{AsKey, Key, Position};
use crate::error::BoxError;

/// Takes `N` bytes off the front; `what` names the type in the error.
fn take<const N: usize>(bytes: &mut &[u8], what: &str) -> Result<[u8; N], BoxError> {
    let Some((taken, rest)) = bytes.split_first_chunk::<N>() else {
        let len = bytes.len();
        return Err(format!("key ends inside its {what}: {len} of {N} bytes").into());
    };
    *bytes = rest;
    Ok(*taken)
}

/// Big-endian, the first byte xored with a mask: the sign bit for signed types, nothing else.
macro_rules! int_keys {
    ($mask:literal: $($int:ty),*) => {$(
        impl Key for $int {
            fn type_tag(tag: &mut String) {
                tag.push_str(stringify!($int));
            }

            fn decode_key(bytes: &mut &[u8], _: Position) -> Result<Self, BoxError> {
                let mut taken = take::<{ size_of::<$int>() }>(bytes, stringify!($int))?;
                taken[0] ^= $mask;
                Ok(<$int>::from_be_bytes(taken))
            }
        }

        impl AsKey<$int> for $int {
            fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
                let mut bytes = self.to_be_bytes();
                bytes[0] ^= $mask;
                out.extend_from_slice(&bytes);
            }
        }
    )*};
}

int_keys!(0x00: u8, u16, u32, u64, u128);
int_keys!(0x80: i8, i16, i32, i64, i128);

impl Key for bool {
    fn type_tag(tag: &mut String) {
        tag.push_str("bool");
    }

    fn decode_key(bytes: &mut &[u8], _: Position) -> Result<Self, BoxError> {
        match take::<1>(bytes, "bool")? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(format!("a bool key is 0 or 1, not {other}").into()),
        }
    }
}

impl AsKey<bool> for bool {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.push(u8::from(*self));
    }
}

impl Key for char {
    fn type_tag(tag: &mut String) {
        tag.push_str("char");
    }

    fn decode_key(bytes: &mut &[u8], _: Position) -> Result<Self, BoxError> {
        let scalar = u32::from_be_bytes(take(bytes, "char")?);
        Self::from_u32(scalar).ok_or_else(|| format!("{scalar:#x} is no Unicode scalar").into())
    }
}

impl AsKey<char> for char {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.extend_from_slice(&u32::from(*self).to_be_bytes());
    }
}

impl<const N: usize> Key for [u8; N] {
    fn type_tag(tag: &mut String) {
        tag.push_str(&format!("[u8;{N}]"));
    }

    fn decode_key(bytes: &mut &[u8], _: Position) -> Result<Self, BoxError> {
        take(bytes, "byte array")
    }
}

impl<const N: usize> AsKey<[u8; N]> for [u8; N] {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.extend_from_slice(self);
    }
}
