//! Which files are worth merging, and when.
//!
//! Merging starts where dead bytes are about a fifth of the live ones. Under writes that never end
//! they grow beyond, to where writers wait until they are fewer again. The bound leaves room for
//! all else that a store takes: with hints, the files made ahead, and what a merge writes before
//! it removes what it read, it stays within twice its live bytes. What is kept for followers
//! counts for neither.

use crate::{
    engine::{Engine, FILE_BYTES_SMALL, Keep},
    log::DataFile,
};
use std::sync::{Arc, atomic::Ordering};

/// Merging starts at this many hundredths of dead to live bytes.
const START_PERCENT: u64 = 18;
/// Writers wait from this many on.
const WAIT_PERCENT: u64 = 28;
/// A file is worth merging when this many hundredths of it can be given back.
const FILE_PERCENT: u64 = 15;
/// Small files are joined when there are more of them than this.
const SMALL_FILES_MAX: usize = 8;

/// Hundredths of a file that a merge of it gives back.
fn reclaimable_percent(file: &DataFile) -> u64 {
    file.reclaimable_bytes() * 100 / file.written().max(1)
}

impl DataFile {
    /// Merge is likely to take it soon.
    pub(crate) fn is_worth_merging(&self) -> bool {
        reclaimable_percent(self) >= FILE_PERCENT
    }
}

struct Space {
    live: u64,
    dead: u64,
}

impl Engine {
    /// Files that merge may take: sealed, below the watermark, and not kept for followers.
    fn mergeable(&self, keep: Keep) -> Vec<Arc<DataFile>> {
        let Some(below) = self.durable_below() else { return Vec::new() };
        let above = self.kept_above(keep);
        let may_take =
            |f: &&Arc<DataFile>| f.is_sealed() && f.id < below && f.max_sequence() <= above;
        let mut files: Vec<_> = self.files.load().iter().filter(may_take).cloned().collect();
        files.sort_by_cached_key(|f| u64::from(f.id.0));
        files
    }

    fn space_now(&self, keep: Keep) -> Space {
        let above = self.kept_above(keep);
        let files = self.files.load();
        let live = files.iter().map(|f| f.live_bytes.load(Ordering::Relaxed)).sum();
        let counts = files.iter().filter(|f| f.max_sequence() <= above);
        Space { live, dead: counts.map(|f| f.dead_bytes()).sum() }
    }

    /// Dead bytes that are not worth a merge yet, in a store however small.
    fn slack(&self) -> u64 {
        FILE_BYTES_SMALL.min(self.options.data_file_bytes_max)
    }

    /// So many dead bytes, and merging starts.
    fn start_bytes(&self, live: u64) -> u64 {
        live * START_PERCENT / 100 + self.slack()
    }

    /// What should be merged now; nothing if it is not worth it yet.
    pub(super) fn select_due(&self, keep: Keep) -> Vec<Arc<DataFile>> {
        let space = self.space_now(keep);
        let files = self.mergeable(keep);
        if keep == Keep::Nothing && space.dead > 0 {
            return self.select_all(keep);
        }
        if space.dead > self.start_bytes(space.live) {
            let inputs = self.most_dead(&files, space.live);
            if !inputs.is_empty() {
                return inputs;
            }
        }
        let is_small = |f: &&Arc<DataFile>| f.written() * 4 < self.file_bytes_target();
        let small: Vec<_> = files.iter().filter(is_small).cloned().collect();
        if small.len() > SMALL_FILES_MAX { small } else { Vec::new() }
    }

    /// The files with the largest part to give back, a bounded amount of live bytes at a time.
    fn most_dead(&self, files: &[Arc<DataFile>], live: u64) -> Vec<Arc<DataFile>> {
        let mut candidates: Vec<(u64, &Arc<DataFile>)> = files
            .iter()
            .map(|f| (reclaimable_percent(f), f))
            .filter(|(percent, _)| *percent >= FILE_PERCENT)
            .collect();
        if candidates.is_empty() {
            let dead: u64 = files.iter().map(|f| f.dead_bytes()).sum();
            if dead <= self.start_bytes(live) {
                // Most of it is where merge may not go yet: at the end of the log.
                return Vec::new();
            }
            // What is left are deletes that hide something elsewhere: take both together.
            return files
                .iter()
                .filter(|f| f.min_dead().is_some() || f.retained_bytes() > 0)
                .cloned()
                .collect();
        }
        candidates.sort_by_cached_key(|(percent, f)| {
            (100_u64.saturating_sub(*percent) << u32::BITS) | u64::from(f.id.0)
        });
        let budget = self.file_bytes_target() * 2;
        let mut copied = 0;
        let mut inputs = Vec::new();
        for (_, file) in candidates {
            let live = file.live_bytes.load(Ordering::Relaxed);
            if !inputs.is_empty() && copied + live > budget {
                break;
            }
            copied += live;
            inputs.push(Arc::clone(file));
        }
        inputs
    }

    /// Everything that has anything to give back.
    pub(super) fn select_all(&self, keep: Keep) -> Vec<Arc<DataFile>> {
        let files = self.mergeable(keep);
        let is_small = |f: &Arc<DataFile>| f.written() * 4 < self.file_bytes_target();
        let several = files.iter().filter(|f| is_small(f)).count() > 1;
        files.into_iter().filter(|f| f.dead_bytes() > 0 || (several && is_small(f))).collect()
    }

    /// Tells writers whether they have to wait.
    pub(crate) fn update_overfull(&self) {
        let space = self.space_now(Keep::ForFollowers);
        let bound = space.live * WAIT_PERCENT / 100 + 2 * self.slack();
        let overfull = self.merges_by_itself() && space.dead > bound;
        self.counters.is_overfull.store(overfull, Ordering::Release);
        if !overfull {
            self.announce_space();
        }
    }
}
