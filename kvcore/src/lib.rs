//! `kvcore`: an embeddable key/value store.

pub mod clock;
pub mod disk;

mod codec;
mod error;
mod ids;
mod key;
mod keydir;
mod log;
mod value;

#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{Bincode, Codec, Raw};
pub use error::{BoxError, Error, Result};
pub use ids::Sequence;
pub use key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position};
pub use value::{Value, ValueRef};
