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

pub use error::{BoxError, Error, Result};
pub use ids::Sequence;
