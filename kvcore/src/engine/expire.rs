//! Removing what has expired, and remembering how late it was.
//!
//! Removal is a commit like any delete. Until then reads do not see the entry anyway.

use super::{Engine, KeyspaceCore, PreparedBatch, When};
use crate::{error::Result, log::Record, options::Durability};
use std::sync::{Arc, atomic::Ordering};

/// The clock is written down when it has moved on by this much and something may expire.
const CLOCK_RECORD_EVERY_MS: u64 = 60_000;

impl Engine {
    /// Removes up to `expire_per_tick_max` expired entries of each keyspace.
    pub(crate) fn remove_expired(&self) -> Result<u64> {
        let keyspaces = self.all_keyspaces();
        if keyspaces.iter().all(|k| k.index.expiring() == 0) {
            return Ok(0);
        }
        let now_ms = self.clock.now_ms();
        self.record_clock(now_ms)?;
        if !self.clock.removal_allowed() {
            return Ok(0);
        }
        let ours = keyspaces.iter().filter(|k| !k.is_expired_by_owner());
        ours.map(|k| self.remove_expired_in(k, now_ms)).try_fold(0, |n, removed| Ok(n + removed?))
    }

    /// The time by which entries are due to be removed; none while nothing may be.
    pub(crate) fn removal_time_ms(&self) -> Option<u64> {
        let now_ms = self.clock.now_ms();
        self.clock.removal_allowed().then_some(now_ms)
    }

    fn remove_expired_in(&self, keyspace: &Arc<KeyspaceCore>, now_ms: u64) -> Result<u64> {
        let index = &keyspace.index;
        let keys = index.due(now_ms, self.options.expire_per_tick_max);
        if keys.is_empty() {
            return Ok(0);
        }
        let mut guard = self.write()?;
        if index.is_frozen() {
            return Ok(0);
        }
        let mut batch = PreparedBatch::default();
        for key in &keys {
            // Looked at again under the writer lock: it may have been written meanwhile.
            let state = index.state(key, index.hash(key));
            if state.is_some_and(|s| !s.is_alive(|| now_ms)) {
                batch.push(index, &Record::Tombstone { keyspace: index.id, key })?;
            }
        }
        let removed = batch.record_count() as u64;
        if removed > 0 {
            guard.commit(&mut batch, When::Now(Durability::Buffered))?;
            self.counters.expired.fetch_add(removed, Ordering::Relaxed);
            crate::trace::expired(&self.dir, &keyspace.meta.name, removed);
        }
        Ok(removed)
    }

    /// Writes the highest clock into the log, so that a clock set back revives nothing after a
    /// restart.
    fn record_clock(&self, now_ms: u64) -> Result<()> {
        let last = self.counters.clock_recorded_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last) < CLOCK_RECORD_EVERY_MS {
            return Ok(());
        }
        let mut batch = PreparedBatch::default();
        batch.push_bare(&Record::Watermark { clock_ms: now_ms });
        self.write()?.commit(&mut batch, When::Now(Durability::Buffered))?;
        self.counters.clock_recorded_ms.store(now_ms, Ordering::Relaxed);
        Ok(())
    }
}
