//! One adapter per engine.

pub mod hash_map;
pub mod kvcore;
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

/// Cache of every peer that has one: larger than the data, so that no peer waits for it.
#[cfg(feature = "compare")]
const CACHE_BYTES: usize = 4 << 30;
