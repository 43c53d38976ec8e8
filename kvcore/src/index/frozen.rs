//! A keyspace that takes no more writes: dropped, or being migrated.

use super::Index;
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

    /// The name of the keyspace, if it takes no writes.
    pub(crate) fn frozen_name(&self) -> Option<String> {
        self.is_frozen().then(|| self.frozen.name.lock().clone())
    }
}
