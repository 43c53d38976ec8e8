//! One adapter per engine.

pub mod hash_map;
pub mod kvcore;
pub mod raw_get;
pub mod raw_log;

#[cfg(feature = "compare")]
pub mod fjall;
#[cfg(feature = "compare")]
pub mod heed;
#[cfg(feature = "compare")]
pub mod redb;
#[cfg(feature = "compare-rocksdb")]
pub mod rocksdb;
#[cfg(feature = "compare")]
pub mod sled;
