//! The codec `Postcard` on the crate `postcard` (C1 to C4 through `bounded`).

use ::postcard::{Deserializer, Result as PostcardResult, ser_flavors::Flavor};
use serde::{
    Serialize,
    de::{DeserializeOwned, DeserializeSeed},
};

use super::{Codec, append_or_restore, bounded};
use crate::{error::BoxError, value::ValueRef};

/// Every type with serde's traits in [postcard's format](https://postcard.jamesmunns.com),
/// which is specified and maintained. ID `postcard/1`.
///
/// What [`Bincode`](crate::Bincode) says of field names, nesting and of types that cannot be read
/// holds here too.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{Keyspace, Postcard};
/// let ages: Keyspace<u64, Vec<u64>, Postcard> = store.keyspace("ages")?;
/// ages.put(1, &vec![36, 41])?;
/// assert_eq!(ages.get(1)?, Some(vec![36, 41]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Postcard {}

/// Lets postcard append to a buffer that holds other bytes already.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> PostcardResult<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> PostcardResult<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> PostcardResult<()> {
        Ok(())
    }
}

impl<V: Serialize + DeserializeOwned + Send + 'static> Codec<V> for Postcard {
    type Owned = V;
    const ID: &'static str = "postcard/1";

    fn encode(value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        append_or_restore(out, |out| {
            bounded::encode(value, out, |value, out| {
                Ok(::postcard::serialize_with_flavor(value, Append(out))?)
            })
        })
    }

    fn decode(bytes: ValueRef<'_>) -> Result<V, BoxError> {
        bounded::decode(&bytes, |seed, bytes| {
            let mut source = Deserializer::from_bytes(bytes);
            let value = seed.deserialize(&mut source)?;
            Ok((value, source.finalize()?.len()))
        })
    }
}

#[cfg(test)]
mod tests;
