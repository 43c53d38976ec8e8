//! Integration tests of kvcore: one binary.
//!
//! Most keep values in the default codec; without its feature, `raw_codec` walks the whole API.

#[cfg(feature = "bincode")]
#[cfg(test)]
mod api;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod async_use;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod bad_input;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod calls;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod changes;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod checkpoint;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod complaints;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod compression;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod concurrency;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod corruption;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod costs;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod crash;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod disk;
#[cfg(all(feature = "bincode", feature = "tracing"))]
#[cfg(test)]
mod events;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod expiring;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod full_disk;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod hints;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod large;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod limits;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod merging;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod migration;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod model;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod next_ids;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod prepared;
#[cfg(test)]
mod raw_codec;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod read_only;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod reads;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod regressions;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod salvage;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod short_lived;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod snapshots;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod transactions;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod uses;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod verify;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod walk;
#[cfg(feature = "bincode")]
#[cfg(test)]
mod watching;
