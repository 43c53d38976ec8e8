//! A keyspace that takes no more writes: dropped, or being migrated.

use super::{Index, SHARDS};
use crate::ids::Sequence;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether writes are refused, and the keyspace's name for saying so.
#[derive(Debug, Default)]
pub(super) struct Frozen {
    is_frozen: AtomicBool,
    name: Mutex<String>,
}

impl Index {
    /// Refuses writes from now on. Called by the holder of the writer lock; false if they were
    /// refused before.
    pub(crate) fn freeze(&self, name: &str) -> bool {
        name.clone_into(&mut self.frozen.name.lock());
        !self.frozen.is_frozen.swap(true, Ordering::AcqRel)
    }

    /// Takes writes again.
    pub(crate) fn thaw(&self) {
        self.frozen.is_frozen.store(false, Ordering::Release);
    }

    #[inline]
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_frozen.load(Ordering::Acquire)
    }

    /// The sequence of the last record that an entry, or the expiry of one, is from. Together with
    /// the number of entries it shows whether anything has changed: a delete makes them fewer, and
    /// whatever else is done raises this. Looks at every entry.
    pub(crate) fn last_change(&self) -> Sequence {
        let of_shard = |number| {
            let shard = self.shard_at(number);
            let entries = shard.table.scan_from(0).map(|(_, r)| {
                let change = shard.expiries.get(r).and_then(|expiry| expiry.change);
                let put = shard.table.entry(r).sequence;
                put.max(change.map_or(Sequence::ZERO, |(_, change)| change))
            });
            entries.max().unwrap_or_default()
        };
        (0..SHARDS).map(of_shard).max().unwrap_or_default()
    }

    /// The name of the keyspace, if it takes no writes.
    pub(crate) fn frozen_name(&self) -> Option<String> {
        self.is_frozen().then(|| self.frozen.name.lock().clone())
    }
}
