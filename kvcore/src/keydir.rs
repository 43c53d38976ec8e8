//! The keydir's data structures: what is known in memory about every key.
//!
//! A keyspace has one [`table::Table`] per shard (hash to entry), one [`expiry::ExpiryIndex`]
//! per shard for the few keys that expire, one [`uses::Uses`] per shard if uses are remembered for
//! eviction, and, if it is ordered, one [`order::OrderIndex`].
//!
//! Knows keys, hashes and places. Does not know files, locks, clocks or types: whoever
//! composes these structures decides what is locked when and in which order.

pub(crate) mod arena;
pub(crate) mod entry;
pub(crate) mod expiry;
mod free_sizes;
pub(crate) mod heat;
#[cfg(test)]
mod measured;
pub(crate) mod order;
pub(crate) mod table;
pub(crate) mod uses;

pub(crate) use {
    entry::{Entry, EntryFlags, EntryRef},
    expiry::{Expiry, ExpiryIndex},
    heat::Heat,
    order::{KeySource, Leaves, OrderBuilder, OrderIndex, OrderRef, Side},
    table::Table,
    uses::Uses,
};

/// What the allocator adds to every block, for figures of memory in use.
const ALLOCATION_OVERHEAD_BYTES: usize = 8;

/// A stored 32-bit number as an index.
fn index(number: u32) -> usize {
    usize::try_from(number).expect("every supported target has at least 32-bit addresses")
}

/// A count of bytes or buckets as a 64-bit figure.
fn figure(count: usize) -> u64 {
    u64::try_from(count).expect("no supported target has more than 64-bit addresses")
}
