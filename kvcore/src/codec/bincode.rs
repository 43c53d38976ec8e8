//! The default codec's implementation on the crate `bincode` (C1 to C4 through `bounded`).

use ::bincode::{
    config,
    enc::write::Writer,
    error::EncodeError,
    serde::{encode_into_writer, seed_decode_from_slice},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Bincode, Codec, append_or_restore, bounded};
use crate::{error::BoxError, value::ValueRef};

/// Lets bincode append to a buffer that holds other bytes already.
struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl<V: Serialize + DeserializeOwned + Send + 'static> Codec<V> for Bincode {
    type Owned = V;
    const ID: &'static str = "bincode/2-standard";

    fn encode(value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        append_or_restore(out, |out| {
            bounded::encode(value, out, |value, out| {
                Ok(encode_into_writer(value, Append(out), config::standard())?)
            })
        })
    }

    fn decode(bytes: ValueRef<'_>) -> Result<V, BoxError> {
        bounded::decode(&bytes, |seed, bytes| {
            let (value, len) = seed_decode_from_slice(seed, bytes, config::standard())?;
            Ok((value, bytes.len() - len))
        })
    }
}

#[cfg(test)]
mod tests;
