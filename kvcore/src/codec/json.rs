//! The codec `Json` on the crate `serde_json`.
//!
//! serde_json reads from a slice, believes no length (JSON has none), rejects what follows a
//! value and refuses deep nesting. It writes deep nesting, though, so that is refused here.

use serde::{Serialize, de::DeserializeOwned};

use super::{Codec, append_or_restore};
use crate::{error::BoxError, value::ValueRef};

/// Arrays and objects around each other that serde_json reads; its limit is not configurable.
const LEVELS_MAX: usize = 127;

/// Every type with serde's traits as JSON without white space. ID `json/1`.
///
/// For values that other programs read, and for types that [`Bincode`](crate::Bincode) cannot:
/// fields have names, and types may ask what comes next. Nested at most 127 arrays and objects
/// deep. JSON has no infinities and no NaN: they are written as `null`, which reads as an
/// `Option`, and for a plain float is an error when it is read.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// use kvcore::{Json, Keyspace};
/// let ages: Keyspace<u64, Vec<u64>, Json> = store.keyspace("ages")?;
/// ages.put(1, &vec![36, 41])?;
/// assert_eq!(ages.get_bytes(1)?.as_deref(), Some(b"[36,41]".as_slice()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum Json {}

impl<V: Serialize + DeserializeOwned + Send + 'static> Codec<V> for Json {
    type Owned = V;
    const ID: &'static str = "json/1";

    fn encode(value: &V, out: &mut Vec<u8>) -> Result<(), BoxError> {
        append_or_restore(out, |out| {
            let start = out.len();
            serde_json::to_writer(&mut *out, value)?;
            match levels(&out[start..]) {
                0..=LEVELS_MAX => Ok(()),
                levels => Err(format!(
                    "value is nested {levels} levels deep, JSON is read to {LEVELS_MAX}"
                )
                .into()),
            }
        })
    }

    fn decode(bytes: ValueRef<'_>) -> Result<V, BoxError> {
        Ok(serde_json::from_slice(&bytes)?)
    }
}

/// How many arrays and objects are open at most at one place of a valid JSON text.
fn levels(json: &[u8]) -> usize {
    let (mut open, mut most_open) = (0usize, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                open += 1;
                most_open = most_open.max(open);
            }
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most_open
}

#[cfg(test)]
mod tests;
