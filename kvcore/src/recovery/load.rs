//! Filling the keydir: from hints where they are sound, from data files at any doubt.
//!
//! Files are loaded in parallel and in any order: the highest sequence of a key wins.

use super::{Found, fill::Filler, scan::read_hint};
use crate::{
    engine::{BlobTable, KeyspaceCore},
    error::{Error, Result},
    ids::{FileId, KeyspaceId, Location, Sequence},
    index::{HashKey, Index},
    keydir::EntryFlags,
    log::{
        DataFile, FrameView, FrameWalk, HintDraft, HintItem as Item, HintRange, HintReader,
        Manifest, Place, Record, Step, StoreId, UNORDERED,
    },
    options::RecoveryProgress,
    parallel::Threads,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

/// What loading found beside the keys.
#[derive(Debug, Default)]
pub(super) struct LoadResult {
    /// The highest number of a keyspace of which there are records, and that is not registered.
    pub(super) newest_unknown: KeyspaceId,
    pub(super) keys: u64,
    pub(super) files_from_hints: u64,
    pub(super) last_sequence: Sequence,
    pub(super) highest_clock_ms: u64,
}

/// A range tombstone, with its bounds owned.
struct Range {
    keyspace: KeyspaceId,
    sequence: Sequence,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
}

/// An expiry change, to be applied when its put is known.
pub(super) struct ExpiryChange {
    pub(super) keyspace: KeyspaceId,
    pub(super) key: Vec<u8>,
    pub(super) put: Sequence,
    pub(super) at_ms: Option<u64>,
    pub(super) record: (Location, Sequence),
}

/// What becomes of bytes that are not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damaged {
    /// Nothing is loaded.
    IsAnError,
    /// They are left out; hints are not looked at, since they speak of what may be gone.
    IsLeftOut,
}

/// The loaders' shared state.
pub(super) struct Loader<'a> {
    store: &'a Found,
    damaged: Damaged,
    files: HashMap<FileId, &'a Arc<DataFile>>,
    pub(super) indexes: HashMap<KeyspaceId, Arc<Index>>,
    pub(super) blobs: &'a BlobTable,
    late: Mutex<Late>,
    bytes_done: AtomicU64,
    bytes_total: u64,
    keys: AtomicU64,
    newest_unknown: AtomicU32,
}

/// What can only be applied when every file is loaded.
#[derive(Default)]
struct Late {
    ranges: Vec<Range>,
    changes: Vec<ExpiryChange>,
    result: LoadResult,
}

/// The registered keyspaces, with empty indexes.
pub(super) fn keyspaces(manifest: &Manifest) -> HashMap<String, Arc<KeyspaceCore>> {
    let hash_key = HashKey(manifest.hash_seed);
    let core = |meta: &crate::log::KeyspaceMeta| {
        let ordered = meta.options & UNORDERED == 0;
        let index = Arc::new(Index::new(meta.id, ordered, hash_key));
        (meta.name.clone(), Arc::new(KeyspaceCore::new(meta.clone(), index)))
    };
    manifest.keyspaces.iter().filter(|meta| !meta.dropped).map(core).collect()
}

/// Loads every live file into the keydir.
pub(super) fn load(
    store: &Found,
    live: &[Arc<DataFile>],
    keyspaces: &HashMap<String, Arc<KeyspaceCore>>,
    blobs: &BlobTable,
    damaged: Damaged,
) -> Result<LoadResult> {
    let loader = Loader {
        store,
        damaged,
        files: live.iter().map(|f| (f.id, f)).collect(),
        indexes: keyspaces.values().map(|k| (k.id(), Arc::clone(&k.index))).collect(),
        blobs,
        late: Mutex::default(),
        bytes_done: AtomicU64::new(0),
        bytes_total: live.iter().map(|f| f.written()).sum(),
        keys: AtomicU64::new(0),
        newest_unknown: AtomicU32::new(0),
    };
    loader.load_files(live)?;
    let mut late = std::mem::take(&mut *loader.late.lock());
    loader.apply_ranges(&late.ranges);
    loader.apply_changes(&mut late.changes);
    loader.indexes.values().for_each(|index| index.finish_loading());
    late.result.newest_unknown = KeyspaceId(loader.newest_unknown.load(Ordering::Relaxed));
    late.result.keys = loader.indexes.values().map(|index| index.len()).sum();
    loader.report(late.result.keys);
    Ok(late.result)
}

impl Loader<'_> {
    fn load_files(&self, live: &[Arc<DataFile>]) -> Result<()> {
        let failed: Mutex<Option<Error>> = Mutex::default();
        Threads::one_per_core().run(live.len(), &|n| {
            if failed.lock().is_some() {
                return;
            }
            if let Err(e) = self.load_file(&live[n]) {
                failed.lock().get_or_insert(e);
                return;
            }
            self.bytes_done.fetch_add(live[n].written(), Ordering::Relaxed);
            self.report(self.keys.load(Ordering::Relaxed));
        });
        failed.into_inner().map_or(Ok(()), Err)
    }

    fn report(&self, keys: u64) {
        let bytes_done = self.bytes_done.load(Ordering::Relaxed);
        crate::trace::recovering(&self.store.dir, bytes_done, self.bytes_total, keys);
        if let Some(f) = &self.store.options.on_recovery {
            f(RecoveryProgress { bytes_done, bytes_total: self.bytes_total, keys });
        }
    }

    fn load_file(&self, file: &Arc<DataFile>) -> Result<()> {
        if self.damaged == Damaged::IsAnError
            && let Some(bytes) = read_hint(self.store, file.id)
            && let Ok(hint) =
                HintReader::open(&bytes, self.store.store_id(), file.id, file.written())
            && self.load_hint(file, &hint)
        {
            file.has_hint.store(true, Ordering::Release);
            self.late.lock().result.files_from_hints += 1;
            return Ok(());
        }
        self.load_data(file)
    }

    /// False if the hint turns out not to be sound; what it gave is the same as the data gives.
    fn load_hint(&self, file: &Arc<DataFile>, hint: &HintReader<'_>) -> bool {
        let facts = hint.facts();
        file.note_sequence(facts.max_sequence);
        for range in hint.ranges() {
            let Ok(range) = range else { return false };
            self.add_range(file, &range);
        }
        let mut filler = Filler::new(self, file);
        for entry in hint.entries() {
            let Ok(entry) = entry else { return false };
            filler.add(&entry);
        }
        filler.flush();
        let mut late = self.late.lock();
        late.result.last_sequence = late.result.last_sequence.max(facts.max_sequence);
        late.result.highest_clock_ms = late.result.highest_clock_ms.max(facts.highest_clock_ms);
        true
    }

    fn load_data(&self, file: &Arc<DataFile>) -> Result<()> {
        let mut highest_clock_ms = 0;
        let mut filler = Filler::new(self, file);
        let take = |found: Item<'_>| match found {
            Item::Entry(entry) => filler.add(&entry),
            Item::Range(range) => self.add_range(file, &range),
            Item::Clock(ms) => highest_clock_ms = highest_clock_ms.max(ms),
        };
        let last = match self.damaged {
            Damaged::IsAnError => for_each_entry(file, take)?,
            Damaged::IsLeftOut => for_each_sound_entry(file, take)?,
        };
        filler.flush();
        file.note_sequence(last);
        let mut late = self.late.lock();
        late.result.last_sequence = late.result.last_sequence.max(last);
        late.result.highest_clock_ms = late.result.highest_clock_ms.max(highest_clock_ms);
        Ok(())
    }

    fn add_range(&self, file: &DataFile, range: &HintRange<'_>) {
        let HintRange { place, keyspace, bounds: (start, end) } = *range;
        let sequence = place.sequence;
        let len = Record::RangeTombstone { keyspace, start, end }.encoded_len();
        file.hiding.note_delete(keyspace, sequence, place.with_overhead(len));
        let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
        let range = Range { keyspace, sequence, start: owned(start), end: owned(end) };
        self.late.lock().ranges.push(range);
    }

    /// There is a record of a keyspace that is not registered: not any more, or not yet.
    pub(super) fn note_unknown(&self, keyspace: KeyspaceId) {
        self.newest_unknown.fetch_max(keyspace.0, Ordering::Relaxed);
    }

    pub(super) fn add_change(&self, change: ExpiryChange) {
        self.late.lock().changes.push(change);
    }

    pub(super) fn count_keys(&self, count: u64) {
        self.keys.fetch_add(count, Ordering::Relaxed);
    }

    /// A put that something newer of its key was found for.
    pub(super) fn note_dead(&self, keyspace: KeyspaceId, key_len: usize, dead: crate::index::Dead) {
        let entry = dead.entry;
        if entry.flags.has(EntryFlags::TOMBSTONE) {
            return;
        }
        if entry.flags.has(EntryFlags::BLOB) {
            self.blobs.forget(entry.sequence);
        }
        if let Some(file) = self.files.get(&entry.location.file) {
            file.hiding.note_death(keyspace, dead.until);
            if dead.was_live {
                file.sub_live(crate::log::record_bytes(keyspace, key_len, &entry));
            }
        }
    }

    /// Removes what a range tombstone covers.
    fn apply_ranges(&self, ranges: &[Range]) {
        for (id, index) in &self.indexes {
            let mine: Vec<_> = ranges
                .iter()
                .filter(|r| r.keyspace == *id)
                .map(|r| (r.sequence, r.start.clone(), r.end.clone()))
                .collect();
            if !mine.is_empty() {
                index.load_ranges(&mine, |key_len, dead| self.note_dead(*id, key_len, dead));
            }
        }
    }

    /// Applies expiry changes to the puts they name; the highest sequence wins.
    fn apply_changes(&self, changes: &mut [ExpiryChange]) {
        changes.sort_by_cached_key(|c| c.record.1.0);
        for c in changes {
            if let Some(index) = self.indexes.get(&c.keyspace) {
                index.load_change(&c.key, c.put, c.at_ms, c.record);
            }
        }
    }
}

/// Goes through a whole file; damage is an error, since everything in a live file was synced.
pub(crate) fn for_each_entry(file: &DataFile, mut f: impl FnMut(Item<'_>)) -> Result<Sequence> {
    let end = file.written();
    let mut walk = FrameWalk::new(file, end);
    let mut last = Sequence::ZERO;
    loop {
        match walk.step()? {
            Step::Frame(at, frame) => {
                last = last.max(frame.last());
                each_member(file, at, &frame, &mut f)?;
            }
            Step::End(at) if at == end => return Ok(last),
            Step::End(at) => return Err(file.corrupt(at, "zeros where a record is due")),
            Step::Damaged(at, e) => return Err(file.corrupt(at, e)),
        }
    }
}

/// The same over whatever is damaged in between.
fn for_each_sound_entry(file: &DataFile, mut f: impl FnMut(Item<'_>)) -> Result<Sequence> {
    let (mut last, mut result) = (Sequence::ZERO, Ok(()));
    let found = |at: u64, frame: &FrameView<'_>| {
        last = last.max(frame.last());
        if result.is_ok() {
            result = each_member(file, at, frame, &mut f);
        }
    };
    crate::verify::sweep(file, file.written(), found, |_| {})?;
    result.map(|()| last)
}

fn each_member(
    file: &DataFile,
    at: u64,
    frame: &FrameView<'_>,
    f: &mut impl FnMut(Item<'_>),
) -> Result<()> {
    for member in frame.members() {
        let offset = at + u64::from(member.at);
        let offset =
            u32::try_from(offset).map_err(|_| file.corrupt(offset, "an offset beyond 4 GiB"))?;
        let place = Place { offset, is_member: !frame.is_single(), sequence: member.sequence };
        f(Item::of(&member.record, place));
    }
    Ok(())
}

/// The hint file of a sealed data file.
pub(crate) fn hint_of(file: &DataFile, store: &StoreId) -> Result<Vec<u8>> {
    let mut draft = HintDraft::new(*store, file.id);
    let last = for_each_entry(file, |found| draft.add(&found))?;
    Ok(draft.finish(file.written(), last))
}
