//! What a round will look up, fetched into the processor's caches before the gate is taken.

use super::Worker;
use crate::data::Ahead;

/// Keys fetched ahead in a round, at most: what they are in fits the second-level cache.
const FETCH_KEYS_MAX: usize = 1024;

impl Worker {
    /// Starts fetching what the requests of these connections will look up, side by side. Those of
    /// another database than the first one's are left out.
    pub(super) fn fetch_ahead(&self, slots: &[usize]) {
        let connections = slots.iter().filter_map(|slot| self.connections[*slot].as_ref());
        let Some(first) = connections.clone().next() else { return };
        let db = first.client.db;
        let connections = connections.filter(|connection| connection.client.db == db);
        for ahead in [Ahead::Value, Ahead::Both, Ahead::Place] {
            let keys = connections.clone().flat_map(|c| c.keys_to_fetch(ahead));
            self.shared.engine.fetch_ahead(db, ahead, keys.take(FETCH_KEYS_MAX));
            let names = connections.clone().flat_map(|c| c.names_to_fetch(ahead));
            self.shared.engine.fetch_named_ahead(db, ahead, names.take(FETCH_KEYS_MAX));
        }
    }
}
