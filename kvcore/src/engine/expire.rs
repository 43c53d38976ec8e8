//! Removing what has expired, and remembering how late it was.
//!
//! Removal is a commit like any delete. Until then reads do not see the entry anyway; but with the
//! clock set back during a restart it would come back, so what is not removed in time (too much at
//! once, the grace after a jump, an owner who is late) makes the clock be written down. Left is
//! what expires, is seen to be gone, and is followed by a crash with such a clock, all before the
//! background's next turn (0.1 s); after a power cut, before the next sync.

use super::{Engine, KeyspaceCore, PreparedBatch, When};
use crate::{error::Result, log::Record, options::Durability};
use std::sync::{Arc, atomic::Ordering};

/// The clock is written down when it has moved on by this much and something may expire, or when
/// something has expired since and is still there.
const CLOCK_RECORD_EVERY_MS: u64 = 60_000;

/// Keys removed in one commit, under one hold of the writer lock.
const STEP_KEYS: usize = 64;

impl Engine {
    /// Removes up to `expire_per_tick_max` expired entries of each keyspace.
    pub(crate) fn remove_expired(&self) -> Result<u64> {
        let keyspaces = self.all_keyspaces();
        if keyspaces.iter().all(|k| k.index.expiring() == 0) {
            return Ok(0);
        }
        let now_ms = self.clock.now_ms();
        let mut removed = 0;
        if self.clock.removal_allowed() {
            for keyspace in keyspaces.iter().filter(|k| !k.is_expired_by_owner()) {
                removed += self.remove_expired_in(keyspace, now_ms)?;
            }
        }
        self.record_clock(now_ms, &keyspaces)?;
        Ok(removed)
    }

    /// The time by which entries are due to be removed; none while nothing may be.
    pub(crate) fn removal_time_ms(&self) -> Option<u64> {
        let now_ms = self.clock.now_ms();
        self.clock.removal_allowed().then_some(now_ms)
    }

    fn remove_expired_in(&self, keyspace: &Arc<KeyspaceCore>, now_ms: u64) -> Result<u64> {
        let index = &keyspace.index;
        let keys = index.due(now_ms, self.options.expire_per_tick_max);
        keys.chunks(STEP_KEYS).map(|keys| self.remove_expired_keys(keyspace, keys, now_ms)).sum()
    }

    /// Removes those of some keys whose time has come, in one commit.
    fn remove_expired_keys(
        &self,
        keyspace: &Arc<KeyspaceCore>,
        keys: &[Vec<u8>],
        now_ms: u64,
    ) -> Result<u64> {
        let index = &keyspace.index;
        let mut guard = self.write_patiently()?;
        if index.is_frozen() {
            return Ok(0);
        }
        let mut batch = PreparedBatch::default();
        for key in keys {
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
            guard.end_step();
            crate::trace::expired(&self.dir, &keyspace.meta.name, removed);
        }
        Ok(removed)
    }

    /// Writes the highest clock into the log, if it has to be there so that a clock set back
    /// revives nothing after a restart.
    fn record_clock(&self, now_ms: u64, keyspaces: &[Arc<KeyspaceCore>]) -> Result<()> {
        let last = self.counters.clock_recorded_ms.load(Ordering::Relaxed);
        let is_old = now_ms.saturating_sub(last) >= CLOCK_RECORD_EVERY_MS;
        let would_revive = |k: &Arc<KeyspaceCore>| k.index.any_due_after(last, now_ms);
        if !is_old && !keyspaces.iter().any(would_revive) {
            return Ok(());
        }
        let mut batch = PreparedBatch::default();
        batch.push_bare(&Record::Watermark { clock_ms: now_ms });
        self.write()?.commit(&mut batch, When::Now(Durability::Buffered))?;
        self.counters.clock_recorded_ms.store(now_ms, Ordering::Relaxed);
        Ok(())
    }
}
