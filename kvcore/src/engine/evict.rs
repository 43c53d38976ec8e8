//! Keeping keyspaces within their budgets, by deletes like any other.
//!
//! # Invariants
//!
//! V1. Only entries of the keyspace that is over its budget go.
//! V2. One commit evicts a bounded number of entries; what is left to do is the background's.

use super::{Engine, PreparedBatch, Task, WriteGuard, commit::When};
use crate::{
    error::Result,
    index::{Drawn, Index},
    log::Record,
    options::Durability,
};
use std::{collections::HashSet, sync::Arc};

/// Evicted by one commit.
const VICTIMS_MAX: usize = 256;
/// And by a round of the background.
const ROUND_VICTIMS_MAX: usize = 16_384;

impl WriteGuard<'_> {
    /// Evicts from a keyspace that a commit brought over its budget. The commit stands whatever
    /// becomes of this; a failure that matters poisons the store, and the next call says so.
    #[inline]
    pub(super) fn keep_to_budget(&mut self, index: &Arc<Index>) {
        // What a range delete covers still counts, and goes by itself: see then.
        if !index.is_over_budget() || self.is_evicting || index.has_pending() {
            return;
        }
        if let Err(e) = self.evict(index) {
            crate::trace::background_failed(&self.engine.dir, &e);
        }
        if index.is_over_budget() {
            self.engine.notify(Task::WorkOff);
        }
    }

    /// Evicts a bounded number of entries; returns how many.
    fn evict(&mut self, index: &Arc<Index>) -> Result<u64> {
        let mut rng = fastrand::Rng::with_seed(self.last_sequence().0);
        let mut left = index.bytes_to_evict();
        let mut batch = PreparedBatch::default();
        let mut chosen = HashSet::new();
        let shares = index.shares(Drawn::All);
        while left > 0 && chosen.len() < VICTIMS_MAX {
            let Some((key, bytes)) = index.choose_victim(&shares, &chosen, || rng.u64(..)) else {
                break;
            };
            batch.push(index, &Record::Tombstone { keyspace: index.id, key: &key })?;
            left = left.saturating_sub(bytes);
            chosen.insert(key);
        }
        let evicted = chosen.len() as u64;
        if evicted > 0 {
            self.is_evicting = true;
            let result = self.commit(&mut batch, When::Now(Durability::Buffered));
            self.is_evicting = false;
            result?;
            index.note_evicted(evicted);
            crate::trace::evicted(&self.engine.dir, evicted);
        }
        Ok(evicted)
    }
}

impl Engine {
    /// Evicts what commits left to do, or a budget that was just set asks for.
    pub(crate) fn evict_over_budget(&self) -> Result<()> {
        for keyspace in self.all_keyspaces() {
            let index = &keyspace.index;
            let mut evicted = 0;
            while index.is_over_budget() && !index.is_frozen() && evicted < ROUND_VICTIMS_MAX {
                let mut turn = self.write_patiently()?;
                let n = turn.evict(index)?;
                turn.end_step();
                if n == 0 {
                    break;
                }
                evicted += usize::try_from(n).unwrap_or(usize::MAX);
            }
        }
        Ok(())
    }
}
