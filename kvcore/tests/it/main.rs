//! Integration tests of kvcore: one binary.
//!
//! Most keep values in the default codec; without its feature, `raw_codec` walks the whole API.

#[cfg(all(test, feature = "bincode"))]
mod api;
#[cfg(all(test, feature = "bincode"))]
mod async_use;
#[cfg(all(test, feature = "bincode"))]
mod bad_input;
#[cfg(all(test, feature = "bincode"))]
mod calls;
#[cfg(all(test, feature = "bincode"))]
mod changes;
#[cfg(all(test, feature = "bincode"))]
mod checkpoint;
#[cfg(all(test, feature = "bincode"))]
mod complaints;
#[cfg(all(test, feature = "bincode"))]
mod compression;
#[cfg(all(test, feature = "bincode"))]
mod concurrency;
#[cfg(all(test, feature = "bincode"))]
mod corruption;
#[cfg(all(test, feature = "bincode"))]
mod costs;
#[cfg(all(test, feature = "bincode"))]
mod crash;
#[cfg(all(test, feature = "bincode"))]
mod disk;
#[cfg(all(test, feature = "bincode", feature = "tracing"))]
mod events;
#[cfg(all(test, feature = "bincode"))]
mod expiring;
#[cfg(all(test, feature = "bincode"))]
mod full_disk;
#[cfg(all(test, feature = "bincode"))]
mod large;
#[cfg(all(test, feature = "bincode"))]
mod limits;
#[cfg(all(test, feature = "bincode"))]
mod migration;
#[cfg(all(test, feature = "bincode"))]
mod model;
#[cfg(all(test, feature = "bincode"))]
mod next_ids;
#[cfg(all(test, feature = "bincode"))]
mod prepared;
#[cfg(test)]
mod raw_codec;
#[cfg(all(test, feature = "bincode"))]
mod read_only;
#[cfg(all(test, feature = "bincode"))]
mod reads;
#[cfg(all(test, feature = "bincode"))]
mod regressions;
#[cfg(all(test, feature = "bincode"))]
mod salvage;
#[cfg(all(test, feature = "bincode"))]
mod short_lived;
#[cfg(all(test, feature = "bincode"))]
mod snapshots;
#[cfg(all(test, feature = "bincode"))]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(all(test, feature = "bincode"))]
mod transactions;
#[cfg(all(test, feature = "bincode"))]
mod verify;
#[cfg(all(test, feature = "bincode"))]
mod walk;
#[cfg(all(test, feature = "bincode"))]
mod watching;
