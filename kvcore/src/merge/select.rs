//! Which files are worth merging, and when.
//!
//! Space settles where dead bytes are about half of the live ones: there merging starts. Where
//! they reach nine tenths, writers wait until they are fewer again, so that a store never takes
//! more than about twice its live bytes. What is kept for followers counts for neither.

use crate::{
    engine::{Engine, Keep},
    log::DataFile,
};
use std::sync::{Arc, atomic::Ordering};

/// Merging starts at this many hundredths of dead to live bytes.
const START_PERCENT: u64 = 50;
/// Writers wait from this many on.
const WAIT_PERCENT: u64 = 85;
/// A file is worth merging when this many hundredths of it can be given back.
const FILE_PERCENT: u64 = 15;
/// Small files are joined when there are more of them than this.
const SMALL_FILES_MAX: usize = 8;

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
        files.sort_by_key(|f| f.id);
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
        self.file_bytes_target().min(self.options.data_file_bytes_max)
    }

    /// What should be merged now; nothing if it is not worth it yet.
    pub(super) fn select_due(&self, keep: Keep) -> Vec<Arc<DataFile>> {
        let space = self.space_now(keep);
        let files = self.mergeable(keep);
        if keep == Keep::Nothing && space.dead > 0 {
            return self.select_all(keep);
        }
        if space.dead > space.live * START_PERCENT / 100 + self.slack() {
            let inputs = self.most_dead(&files);
            if !inputs.is_empty() {
                return inputs;
            }
        }
        let is_small = |f: &&Arc<DataFile>| f.written() * 4 < self.file_bytes_target();
        let small: Vec<_> = files.iter().filter(is_small).cloned().collect();
        if small.len() > SMALL_FILES_MAX { small } else { Vec::new() }
    }

    /// The files with the largest part to give back, a bounded amount of live bytes at a time.
    fn most_dead(&self, files: &[Arc<DataFile>]) -> Vec<Arc<DataFile>> {
        let mut candidates: Vec<(u64, &Arc<DataFile>)> = files
            .iter()
            .map(|f| (f.reclaimable_bytes() * 100 / f.written().max(1), f))
            .filter(|(percent, _)| *percent >= FILE_PERCENT)
            .collect();
        if candidates.is_empty() {
            // What is left are deletes that hide something elsewhere: take both together.
            return files
                .iter()
                .filter(|f| f.min_dead().is_some() || f.retained_bytes() > 0)
                .cloned()
                .collect();
        }
        candidates.sort_by_key(|(percent, f)| (std::cmp::Reverse(*percent), f.id));
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
