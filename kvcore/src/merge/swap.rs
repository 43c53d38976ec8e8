//! Pointing the keydir at what a merge has written.
//!
//! The hint of an output says all that is needed, and is in memory; without one the output is read.
//! Entries go in groups, so that what one of them waits for is fetched beside the next.

use super::{Plan, copy::Output};
use crate::{
    engine::Engine,
    error::Result,
    ids::{KeyspaceId, Location},
    index::{Index, KeyHash},
    log::{DataFile, FileTable, HintEntry, HintItem, HintKind, HintReader},
};

/// Entries that go together; see [`crate::engine::GROUP_KEYS`].
const GROUP_ENTRIES: usize = crate::engine::GROUP_KEYS;

/// Points the keydir at the records of one output, where it still means them (M3). After an error
/// the inputs must stay: entries that were not reached still mean them.
pub(super) fn swap_into(engine: &Engine, plan: &Plan<'_>, output: &Output) -> Result<()> {
    let files = engine.files.load();
    let file = &*output.file;
    if let Some(bytes) = &output.hint
        && let Ok(hint) = HintReader::open(bytes, &engine.store_id, file.id, file.written())
        && from_hint(plan, &hint, file, &files)
    {
        return Ok(());
    }
    crate::recovery::for_each_entry(file, |item| {
        if let HintItem::Entry(entry) = item {
            swap_group(plan, &[entry], file, &files);
        }
    })
    .map(drop)
}

/// False if the hint is not whole. What it gave is not undone: the output gives the same again.
fn from_hint(plan: &Plan<'_>, hint: &HintReader<'_>, file: &DataFile, files: &FileTable) -> bool {
    let mut group: Vec<HintEntry<'_>> = Vec::with_capacity(GROUP_ENTRIES);
    for entry in hint.entries() {
        let Ok(entry) = entry else { return false };
        let is_other = group.first().is_some_and(|first| first.keyspace != entry.keyspace);
        if is_other || group.len() == GROUP_ENTRIES {
            swap_group(plan, &group, file, files);
            group.clear();
        }
        group.push(entry);
    }
    swap_group(plan, &group, file, files);
    true
}

/// Swaps some entries of one keyspace.
fn swap_group(plan: &Plan<'_>, group: &[HintEntry<'_>], file: &DataFile, files: &FileTable) {
    let keyspace: Option<KeyspaceId> = group.first().map(|entry| entry.keyspace);
    let Some(index) = keyspace.and_then(|id| plan.indexes.get(&id)) else { return };
    let mut hashes = [KeyHash { shard: 0, tag: 0 }; GROUP_ENTRIES];
    for (hash, entry) in hashes.iter_mut().zip(group) {
        *hash = index.hash(entry.key);
    }
    let hashes = &hashes[..group.len()];
    index.fetch(hashes);
    for (entry, hash) in group.iter().zip(hashes) {
        swap_one(plan, (index, *hash), entry, file, files);
    }
}

fn swap_one(
    plan: &Plan<'_>,
    (index, hash): (&Index, KeyHash),
    entry: &HintEntry<'_>,
    file: &DataFile,
    files: &FileTable,
) {
    let (key, sequence) = (entry.key, entry.place.sequence);
    let to = Location { file: file.id, offset: entry.place.offset };
    match entry.kind {
        HintKind::Put { .. } | HintKind::BlobRef { .. } => {
            if !index.relocate(key, hash, sequence, (file, to), files) {
                file.hiding.note_death(entry.keyspace, plan.begun_at);
            }
        }
        HintKind::ExpiryChange { .. } => index.relocate_change(key, hash, sequence, to),
        HintKind::Tombstone => {}
    }
}
