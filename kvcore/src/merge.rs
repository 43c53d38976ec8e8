//! Giving back the space of dead records.
//!
//! The order is: copy what lives, sync, publish "outputs replace inputs" in the manifest, swap the
//! keydir entries that still mean the copied records, unlink.
//!
//! # Invariants
//!
//! M1. Inputs are sealed and wholly below the durable watermark; the file being written and the
//!     outputs of a running merge are none.
//! M2. A delete is dropped only if no file outside the merge has a put that had died by then: its
//!     own put is gone then, and so is everything that it may have to hide (`log/hiding.rs`).
//! M3. A keydir entry is changed only if it still has the copied record's sequence; a copy that
//!     lost is a dead put of the output.
//! M4. Nothing is published before everything it relied on to drop something is durable, and a
//!     poisoned store publishes nothing.
//! M5. A merge that fails before it is published changes nothing; one of which it is not known
//!     whether it was, removes nothing.
//! M6. What followers may still ask for is left alone, unless writers wait for space; the manifest
//!     says up to where records are no longer as they were committed (`engine/feed.rs` N1).
//! M7. An input is not read if nothing in it lives and M2 keeps nothing of it. What has taken the
//!     last of it is applied and durable before it goes (M4).

use crate::{
    engine::{Engine, Keep, Share},
    error::{Error, Result},
    ids::{FileId, KeyspaceId, Sequence},
    index::Index,
    log::{DataFile, Deaths, ListedFile, Manifest, Role, file_names},
    options::{AutoMerge, Background},
};
use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

mod copy;
mod select;
mod swap;

/// What one merge gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MergeResult {
    pub(crate) files_in: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

/// Held while a merge runs; what later ones should know.
#[derive(Debug, Default)]
pub(crate) struct MergeState {
    /// Not before this time of the clock: the last merge failed or gave back little.
    not_before: Option<Duration>,
    failures: u32,
}

/// The longest pause after failures or low yield.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);
const BACK_OFF_MIN: Duration = Duration::from_millis(200);

impl Engine {
    /// Merges in the background, if dead bytes ask for it.
    pub(crate) fn merge_if_due(&self) -> Result<()> {
        if self.options.auto_merge == AutoMerge::Off {
            return Ok(());
        }
        let mut has_synced = false;
        loop {
            let mut state = self.merge.lock();
            if state.not_before.is_some_and(|at| self.clock.passed() < at) {
                return Ok(());
            }
            let keep = if self.take_refused() { Keep::Nothing } else { Keep::ForFollowers };
            let inputs = self.select_due(keep);
            if inputs.is_empty() || self.is_closed() {
                self.update_overfull();
                if !has_synced && self.counters.is_overfull.load(Ordering::Relaxed) {
                    // What writers wait for lies in files that are not durable yet.
                    self.sync_all()?;
                    has_synced = true;
                    continue;
                }
                return Ok(());
            }
            has_synced = false;
            let result = self.merge_in_pieces(inputs, keep);
            state.note(&result, self.clock.passed());
            self.update_overfull();
            let low_yield = result?.bytes_given_back() == 0;
            if low_yield {
                return Ok(());
            }
        }
    }

    /// Merges everything that has dead bytes, now.
    pub(crate) fn merge_all(&self) -> Result<MergeResult> {
        self.check_nested()?;
        let _one_at_a_time = self.merge.lock();
        self.check_open()?;
        self.write()?.seal()?;
        // What a range delete covers counts as dead once it is worked off.
        self.work_off_pending()?;
        self.sync_all()?;
        let keep = if self.wants_space() { Keep::Nothing } else { Keep::ForFollowers };
        let inputs = self.select_all(keep);
        let result = self.merge_in_pieces(inputs, keep)?;
        self.update_overfull();
        Ok(result)
    }

    /// Merges these files at once, or one by one where there is no room for all of their copies:
    /// those first that need the least.
    fn merge_in_pieces(&self, inputs: Vec<Arc<DataFile>>, keep: Keep) -> Result<MergeResult> {
        let live = |f: &Arc<DataFile>| f.live_bytes.load(Ordering::Relaxed);
        if inputs.iter().map(live).sum::<u64>() <= self.disk_bytes_left() {
            match self.merge_claimed(&inputs, keep) {
                Err(e) if e.is_full() => {}
                merged => return merged,
            }
        }
        let _until_done = self.use_reserve(Share::All);
        let mut pieces = inputs;
        pieces.sort_by_cached_key(|f| live(f) + f.hiding.needed_bytes(&Deaths::ANY));
        let mut all = MergeResult::default();
        loop {
            let (mut later, mut full, before) = (Vec::new(), None, all.files_in);
            // Each is let go of once it is merged: a file takes space until nobody has it open.
            for piece in pieces {
                match self.merge_claimed(&[Arc::clone(&piece)], keep) {
                    Ok(merged) => all.add(&merged),
                    // A file of deletes may need more than it seems, and others make room for it.
                    Err(e) if e.is_full() => {
                        later.push(piece);
                        full = Some(e);
                    }
                    Err(e) => return Err(e),
                }
            }
            match full {
                Some(e) if all.files_in == 0 => return Err(e),
                Some(_) if all.files_in > before => pieces = later,
                // What was given back so far is worth something.
                _ => return Ok(all),
            }
        }
    }

    /// Merges what followers let go of these files.
    fn merge_claimed(&self, inputs: &[Arc<DataFile>], keep: Keep) -> Result<MergeResult> {
        let inputs = self.claim_for_merge(inputs, keep);
        let result = self.merge_files(&inputs);
        self.settle_floor();
        result
    }

    /// Merges these files into as few new ones as needed.
    fn merge_files(&self, inputs: &[Arc<DataFile>]) -> Result<MergeResult> {
        if inputs.is_empty() {
            return Ok(MergeResult::default());
        }
        crate::trace::merging(&self.dir, inputs.len());
        // Before range deletes are worked off: whoever dies from here on dies later than this.
        let begun_at = self.tip();
        self.work_off_for_merge()?;
        let plan = Plan::new(self, inputs, begun_at);
        let mut outputs = copy::Outputs::new(self);
        let copied = plan.copy_all(&mut outputs).and_then(|()| outputs.finish());
        if let Err(e) = copied.and_then(|()| self.publish_merge(&plan, &outputs.files())) {
            // A manifest that may or may not be durable may list them (M5).
            if self.check_poison().is_ok() {
                outputs.discard();
            }
            return Err(e);
        }
        let outputs = outputs.into_done();
        let swapped = outputs.iter().try_for_each(|output| swap::swap_into(self, &plan, output));
        if let Err(e) = swapped {
            // The inputs stay in use, and what of the outputs is dead later is not noted there:
            // until the outputs are merged again, no delete that could hide any of it is dropped.
            outputs.iter().for_each(|output| output.file.hiding.note_unknown_deaths());
            return Err(e);
        }
        let bytes_in: u64 = inputs.iter().map(|f| f.written()).sum();
        let bytes_read: u64 = plan.read().map(|f| f.written()).sum();
        let bytes_out = outputs.iter().map(|output| output.file.written()).sum();
        self.remove_inputs(inputs);
        self.store_hints(outputs);
        self.counters.merges.fetch_add(1, Ordering::Relaxed);
        self.counters.merge_read_bytes.fetch_add(bytes_read, Ordering::Relaxed);
        self.counters.merge_unread_bytes.fetch_add(bytes_in - bytes_read, Ordering::Relaxed);
        self.counters.merge_written_bytes.fetch_add(bytes_out, Ordering::Relaxed);
        crate::trace::merged(&self.dir, bytes_in, bytes_out);
        Ok(MergeResult { files_in: inputs.len() as u64, bytes_in, bytes_out })
    }

    /// Makes the outputs count instead of the inputs.
    fn publish_merge(&self, plan: &Plan<'_>, outputs: &[Arc<DataFile>]) -> Result<()> {
        // M4: whatever superseded a dropped record is in the log by now; make it durable.
        self.sync_all()?;
        self.tell_watermark();
        if !outputs.is_empty() {
            self.sync_dir()?;
        }
        self.check_open()?;
        self.files.change(outputs, &[]);
        let others: Vec<Arc<DataFile>> = self.files.load().iter().cloned().collect();
        let published = self.publish(|manifest| plan.rewrite(manifest, outputs, &others));
        if let Err(e) = published {
            let ids: Vec<FileId> = outputs.iter().map(|f| f.id).collect();
            self.files.change(&[], &ids);
            self.forget_files();
            return Err(e);
        }
        // Durable from here.
        Ok(())
    }

    /// Writes the hints that were gathered, now that the inputs have made room. Without one the
    /// next open reads the file.
    fn store_hints(&self, outputs: Vec<copy::Output>) {
        for copy::Output { file, hint } in outputs {
            if let Some(hint) = hint.filter(|_| !self.is_tight()) {
                let _ = self.store_hint(&file, &hint);
            }
        }
    }

    fn remove_inputs(&self, inputs: &[Arc<DataFile>]) {
        let ids: Vec<FileId> = inputs.iter().map(|f| f.id).collect();
        self.files.change(&[], &ids);
        self.forget_files();
        for id in ids {
            // What stays behind by an error is removed at the next open.
            let _ = self.disk.unlink(&self.dir.join(file_names::data(id)));
            let _ = self.disk.unlink(&self.dir.join(file_names::hint(id)));
        }
        self.update_overfull();
    }

    /// Whether the store's threads merge, so that waiting for them makes sense.
    pub(crate) fn merges_by_itself(&self) -> bool {
        self.options.auto_merge == AutoMerge::On && self.options.background == Background::Threads
    }
}

impl MergeResult {
    fn add(&mut self, other: &MergeResult) {
        self.files_in += other.files_in;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }

    pub(crate) fn bytes_given_back(&self) -> u64 {
        self.bytes_in.saturating_sub(self.bytes_out)
    }
}

impl MergeState {
    fn note(&mut self, result: &Result<MergeResult>, now: Duration) {
        let good = result.as_ref().is_ok_and(|r| r.bytes_given_back() * 8 > r.bytes_in);
        if good {
            *self = MergeState::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let pause = BACK_OFF_MIN.saturating_mul(1 << self.failures.min(16)).min(BACK_OFF_MAX);
        self.not_before = now.checked_add(pause);
    }
}

/// What a merge has decided before it copies.
struct Plan<'a> {
    inputs: &'a [Arc<DataFile>],
    /// Those of them that are not read (M7).
    unread: Vec<FileId>,
    indexes: HashMap<KeyspaceId, Arc<Index>>,
    /// What had died outside the inputs (M2).
    deaths_outside: Deaths,
    /// What was there when it is copied, and is not when it would be swapped, died after this.
    begun_at: Sequence,
}

impl<'a> Plan<'a> {
    fn new(engine: &'a Engine, inputs: &'a [Arc<DataFile>], begun_at: Sequence) -> Plan<'a> {
        let files = engine.files.load();
        let is_outside = |f: &&Arc<DataFile>| !inputs.iter().any(|i| i.id == f.id);
        let outside = files.iter().filter(is_outside).map(|f| f.hiding.deaths());
        let deaths_outside = Deaths::of_all(outside);
        let indexes =
            engine.all_keyspaces().iter().map(|k| (k.id(), Arc::clone(&k.index))).collect();
        let is_unread =
            |f: &&Arc<DataFile>| f.is_wholly_dead() && !f.hiding.is_needed(&deaths_outside);
        let unread = inputs.iter().filter(is_unread).map(|f| f.id).collect();
        Plan { inputs, unread, indexes, deaths_outside, begun_at }
    }

    /// The inputs that are read.
    fn read(&self) -> impl Iterator<Item = &'a Arc<DataFile>> {
        self.inputs.iter().filter(|f| !self.unread.contains(&f.id))
    }

    /// The manifest after this merge.
    fn rewrite(&self, manifest: &mut Manifest, outputs: &[Arc<DataFile>], all: &[Arc<DataFile>]) {
        let is_input = |id: FileId| self.inputs.iter().any(|i| i.id == id);
        let is_log = |f: &&Arc<DataFile>| f.role == Role::Log;
        let last_log = self.inputs.iter().filter(is_log).map(|f| f.id).max();
        let floor = last_log.map_or(manifest.log_floor, |id| {
            manifest.log_floor.max(FileId(id.0.saturating_add(1)))
        });
        // Log files that fall below the new floor and are not merged are listed from now on.
        for file in all {
            let falls = file.role == Role::Log && file.id >= manifest.log_floor && file.id < floor;
            if falls && !is_input(file.id) {
                manifest.files.push(listed(file));
            }
        }
        manifest.log_floor = floor;
        manifest.files.retain(|f| !is_input(f.id));
        manifest.files.extend(outputs.iter().map(listed));
        manifest.files.sort_by_cached_key(|f| u64::from(f.id.0));
        let split = self.inputs.iter().map(|f| f.max_sequence()).max().unwrap_or_default();
        manifest.feed_floor = manifest.feed_floor.max(split);
    }
}

/// What the manifest says of a sealed file.
pub(crate) fn listed(file: &Arc<DataFile>) -> ListedFile {
    ListedFile {
        id: file.id,
        role: file.role,
        length: file.written(),
        // What is dead is found while loading.
        min_dead_sequence: None,
        max_sequence: file.max_sequence(),
    }
}

/// The engine's error for work that stopped because the store is being closed.
fn stopped() -> Error {
    Error::Closed
}

#[cfg(test)]
mod tests;
