//! `kvcore`: an embeddable key/value store.

pub mod clock;
pub mod disk;

mod batch;
mod codec;
mod engine;
mod error;
mod ids;
mod index;
mod iter;
mod key;
mod keydir;
mod keyspace;
mod log;
mod merge;
mod options;
mod recovery;
mod schema;
mod stats;
mod store;
mod trace;
mod value;
mod view;

pub use batch::Batch;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{Bincode, Codec, Raw};
pub use error::{BoxError, Error, Result};
pub use ids::Sequence;
pub use iter::{Entry, Iter};
pub use key::{AsKey, EncodedRange, Key, KeyPrefix, KeyRange, Position};
pub use keyspace::{BytesKeyspace, Keyspace, ScanCursor, Swap};
pub use options::{AutoMerge, Background, Durability, Options, Put, ReadMode, RecoveryProgress};
pub use schema::Schema;
pub use stats::{FileStats, KeyspaceStats, Recovery, Stats};
pub use store::{Durable, Reclaimed, Round, Store};
pub use value::{Value, ValueRef};
