//! Which files are worth merging, and when.
//!
//! Merging starts where dead bytes are about a fifth of the live ones. Under writes that never end
//! they grow beyond, to where writers wait until they are fewer again. The bound leaves room for
//! all else that a store takes: with hints, the files made ahead, and what a merge writes before
//! it removes what it read, it stays within twice its live bytes. What is kept for followers
//! counts for neither.
//!
//! That is so where some keys are written more often than others: then some files are mostly dead,
//! and merging them costs little. Where dead bytes lie evenly over all files, a merge copies much
//! to give back little, the more so the earlier it comes, and writers that waited for it would
//! wait for long; so both bounds are higher there.

use crate::{
    engine::{Engine, FILE_BYTES_SMALL, Keep},
    log::{Burden, DataFile, Deaths, DeathsBut, FileTable},
};
use std::sync::{Arc, atomic::Ordering};

/// Merging starts at this many hundredths of dead to live bytes: if the dead ones lie evenly, and
/// if they do not.
const START_PERCENT: (u64, u64) = (45, 18);
/// Writers wait from this many on.
const WAIT_PERCENT: (u64, u64) = (70, 26);
/// A [`skew`] up to which dead bytes lie evenly: of overwrites in random order the oldest files
/// have up to half as many again as the average, since those written meanwhile have few.
const SKEW_EVEN: u64 = 150;
/// From this one on some files are worth merging much more than others.
const SKEW_FULL: u64 = 190;
/// A file is worth merging by itself when this many hundredths of it can be given back.
const FILE_PERCENT: u64 = 15;
/// Small files are joined when there are more of them than this.
const SMALL_FILES_MAX: usize = 8;

impl DataFile {
    /// Merge is likely to take it soon: alone, or when its deletes have nothing left to hide.
    pub(crate) fn is_dying(&self) -> bool {
        percent_of(self.dead_bytes(), self) >= FILE_PERCENT
    }
}

/// Hundredths of a file.
fn percent_of(bytes: u64, file: &DataFile) -> u64 {
    bytes * 100 / file.written().max(1)
}

/// What merges of single files would give back.
struct Prospects(DeathsBut);

impl Prospects {
    fn of(files: &FileTable) -> Prospects {
        Prospects(DeathsBut::of_all(files.iter().map(|f| f.hiding.deaths())))
    }

    /// Deletes of this file that may hide something in another one.
    fn needed_bytes(&self, file: &DataFile) -> u64 {
        file.hiding.needed_bytes(&self.0.but(&file.hiding.deaths()))
    }

    /// Bytes that a merge of this file alone would give back.
    fn reclaimable_bytes(&self, file: &DataFile) -> u64 {
        let kept = file.retained_bytes() + self.needed_bytes(file);
        file.dead_bytes().saturating_sub(kept)
    }
}

/// A bound in hundredths, between the one for evenly spread dead bytes and the one for others.
fn bound((even, skewed): (u64, u64), skew: u64) -> u64 {
    let above = skew.clamp(SKEW_EVEN, SKEW_FULL) - SKEW_EVEN;
    even - (even - skewed) * above / (SKEW_FULL - SKEW_EVEN)
}

/// How unevenly dead bytes lie: their part of what merge would take next, in hundredths of their
/// part of everything.
fn skew(inputs: &[Arc<DataFile>], prospects: &Prospects, space: &Space) -> u64 {
    let written: u64 = inputs.iter().map(|f| f.written()).sum();
    let given_back: u64 = inputs.iter().map(|f| prospects.reclaimable_bytes(f)).sum();
    given_back * 100 / written.max(1) * (space.live + space.dead) / space.dead.max(1)
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
    fn start_bytes(&self, live: u64, skew: u64) -> u64 {
        live * bound(START_PERCENT, skew) / 100 + self.slack()
    }

    /// What should be merged now; nothing if it is not worth it yet.
    pub(super) fn select_due(&self, keep: Keep) -> Vec<Arc<DataFile>> {
        let space = self.space_now(keep);
        let files = self.mergeable(keep);
        if keep == Keep::Nothing && space.dead > 0 {
            return self.select_all(keep);
        }
        if space.dead > self.start_bytes(space.live, SKEW_FULL) {
            let inputs = self.select_dead(&files, &space);
            if !inputs.is_empty() {
                return inputs;
            }
        }
        let is_small = |f: &&Arc<DataFile>| f.written() * 4 < self.file_bytes_target();
        let small: Vec<_> = files.iter().filter(is_small).cloned().collect();
        if small.len() > SMALL_FILES_MAX { small } else { Vec::new() }
    }

    /// What should be merged where many bytes are dead.
    fn select_dead(&self, files: &[Arc<DataFile>], space: &Space) -> Vec<Arc<DataFile>> {
        let free = self.wholly_dead(files, &[]);
        let left = space.dead.saturating_sub(free.iter().map(|f| f.dead_bytes()).sum());
        if left <= self.start_bytes(space.live, SKEW_FULL) {
            return free;
        }
        let prospects = Prospects::of(&self.files.load());
        let mut inputs = match self.most_dead(files, &prospects) {
            none if none.is_empty() => self.hiding(files, space.live),
            some => {
                let skew = skew(&some, &prospects, space);
                if space.dead > self.start_bytes(space.live, skew) { some } else { free }
            }
        };
        inputs.extend(self.wholly_dead(files, &inputs));
        inputs
    }

    /// Files that need not be read, if those of `with` are merged too: in all of them together
    /// nothing lives, nor hides anything elsewhere. As many as there are.
    pub(super) fn wholly_dead(
        &self,
        files: &[Arc<DataFile>],
        with: &[Arc<DataFile>],
    ) -> Vec<Arc<DataFile>> {
        let is_in = |f: &Arc<DataFile>, some: &[Arc<DataFile>]| some.iter().any(|s| s.id == f.id);
        let mut free: Vec<_> =
            files.iter().filter(|f| f.is_wholly_dead() && !is_in(f, with)).cloned().collect();
        let all = self.files.load();
        loop {
            let outside = all.iter().filter(|f| !is_in(f, with) && !is_in(f, &free));
            let deaths = Deaths::of_all(outside.map(|f| f.hiding.deaths()));
            let before = free.len();
            free.retain(|f| !f.hiding.is_needed(&deaths));
            if free.len() == before {
                return free;
            }
        }
    }

    /// Where no file is worth merging though many bytes are dead: what is left are deletes that
    /// hide something elsewhere. Both together, of the keyspace whose deletes take most.
    fn hiding(&self, files: &[Arc<DataFile>], live: u64) -> Vec<Arc<DataFile>> {
        let dead: u64 = files.iter().map(|f| f.dead_bytes()).sum();
        if dead <= self.start_bytes(live, SKEW_FULL) {
            // Most of it is where merge may not go yet: at the end of the log.
            return Vec::new();
        }
        let burden = Burden::heaviest(files.iter().map(|f| &f.hiding));
        let hides = |f: &&Arc<DataFile>| match &burden {
            Some(burden) => burden.concerns(&f.hiding),
            None => !f.hiding.deaths().is_none() || f.retained_bytes() > 0,
        };
        files.iter().filter(hides).cloned().collect()
    }

    /// The files with the largest part to give back, a bounded amount of what is copied at a time.
    fn most_dead(&self, files: &[Arc<DataFile>], prospects: &Prospects) -> Vec<Arc<DataFile>> {
        let mut candidates: Vec<(u64, &Arc<DataFile>)> = files
            .iter()
            .map(|f| (percent_of(prospects.reclaimable_bytes(f), f), f))
            .filter(|(percent, _)| *percent >= FILE_PERCENT)
            .collect();
        candidates.sort_by_cached_key(|(percent, f)| {
            (100_u64.saturating_sub(*percent) << u32::BITS) | u64::from(f.id.0)
        });
        let budget = self.file_bytes_target() * 2;
        let mut copied = 0;
        let mut inputs = Vec::new();
        for (_, file) in candidates {
            let kept = file.live_bytes.load(Ordering::Relaxed) + prospects.needed_bytes(file);
            if !inputs.is_empty() && copied + kept > budget {
                break;
            }
            copied += kept;
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
        let files = self.files.load();
        let sealed: Vec<_> = files.iter().filter(|f| f.is_sealed()).cloned().collect();
        let prospects = Prospects::of(&files);
        let skew = skew(&self.most_dead(&sealed, &prospects), &prospects, &space);
        let wait = (space.live * bound(WAIT_PERCENT, skew) / 100)
            .max(self.start_bytes(space.live, skew))
            + self.slack();
        let overfull = self.merges_by_itself() && space.dead > wait;
        self.counters.is_overfull.store(overfull, Ordering::Release);
        if !overfull {
            self.announce_space();
        }
    }
}
