//! Old states of keys, kept while an open view may ask for them.
//!
//! Knows keys, states and sequences; takes no locks of its own.

use super::State;
use crate::{ids::Sequence, log::FilePin, view::Views};
use std::{collections::BTreeMap, ops::Bound};

/// What a key mapped to, and the file it is in, which merge may take away meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct OldState {
    pub(crate) state: State,
    pub(crate) file: Option<FilePin>,
}

/// One state a key had, up to, but not including, `until`. `None`: it was absent.
#[derive(Debug)]
struct UndoRecord {
    until: Sequence,
    old: Option<OldState>,
}

/// The undo of one keyspace, in key order.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    /// Per key in ascending order of `until`.
    keys: BTreeMap<Box<[u8]>, Vec<UndoRecord>>,
    records: u64,
    /// Bytes of the keys.
    key_bytes: u64,
    /// Records left by the last purge: it is repeated when they have doubled.
    purged: u64,
}

/// Keys that changed since a view.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Each with whether it was there.
    pub(crate) keys: Vec<(Box<[u8]>, bool)>,
    /// More may come behind this key.
    pub(crate) next: Option<Vec<u8>>,
}

/// The record that was the key's state at a view, if it changed since.
fn old_at(records: &[UndoRecord], view: Sequence) -> Option<&UndoRecord> {
    records.get(records.partition_point(|r| r.until <= view))
}

const PURGE_AT_RECORDS_MIN: u64 = 1_024;

impl Undo {
    pub(crate) fn len(&self) -> u64 {
        self.records
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Heap bytes, about: records, keys, and what the map takes for each.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let per_key = size_of::<(Box<[u8]>, Vec<UndoRecord>)>() as u64;
        self.records * size_of::<UndoRecord>() as u64
            + self.keys.len() as u64 * per_key
            + self.key_bytes
    }

    /// Keeps `old` if some open view lies where it was the key's state.
    pub(crate) fn keep(
        &mut self,
        key: &[u8],
        old: Option<OldState>,
        until: Sequence,
        views: &Views,
    ) {
        let valid_from = old.as_ref().map_or(Sequence::ZERO, |o| o.state.entry.sequence);
        let records = match self.keys.get_mut(key) {
            Some(records) => records,
            None if views.any_in(valid_from, until) => {
                self.key_bytes += key.len() as u64;
                self.keys.entry(key.into()).or_default()
            }
            None => return,
        };
        let from = records.last().map_or(valid_from, |last| last.until.max(valid_from));
        if views.any_in(from, until) {
            records.push(UndoRecord { until, old });
            self.records += 1;
        }
    }

    /// The key's state at a view, if it changed since: `Some(None)` is "was absent".
    pub(crate) fn at(&self, key: &[u8], view: Sequence) -> Option<Option<&OldState>> {
        old_at(self.keys.get(key)?, view).map(|r| r.old.as_ref())
    }

    /// The keys with undo in a range, ascending.
    pub(crate) fn keys_in(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.range(start, end).map(|(key, _)| key)
    }

    fn range(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], &[UndoRecord])> {
        // `BTreeMap::range` panics on a range that cannot hold anything.
        let empty = match (start, end) {
            (Bound::Included(s), Bound::Included(e)) => s > e,
            (Bound::Included(s) | Bound::Excluded(s), Bound::Included(e) | Bound::Excluded(e)) => {
                s >= e
            }
            _ => false,
        };
        let range = (!empty).then(|| self.keys.range::<[u8], _>((start, end)));
        range.into_iter().flatten().map(|(key, records)| (key.as_ref(), records.as_slice()))
    }

    /// The keys of a range that changed since a view, and whether they were there. Looks at up
    /// to `limit` keys.
    pub(crate) fn changed_in(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        view: Sequence,
        limit: usize,
    ) -> Changed {
        let mut changed = Changed::default();
        let mut last = None;
        for (seen, (key, records)) in self.range(start, end).enumerate() {
            if seen == limit {
                changed.next = last.map(<[u8]>::to_vec);
                break;
            }
            last = Some(key);
            if let Some(old) = old_at(records, view) {
                changed.keys.push((key.into(), old.old.is_some()));
            }
        }
        changed
    }

    /// Some key of a range changed since a view.
    pub(crate) fn any_changed_in(
        &self,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        view: Sequence,
    ) -> bool {
        self.range(start, end).any(|(_, records)| old_at(records, view).is_some())
    }

    /// Drops what no open view needs. With many records it is put off until they have doubled.
    ///
    /// Without views everything is handed back, to be freed when no lock is held any more.
    pub(crate) fn purge(&mut self, views: &Views) -> Option<Undo> {
        if views.is_empty() {
            return Some(std::mem::take(self));
        }
        if self.records < (2 * self.purged).max(PURGE_AT_RECORDS_MIN) {
            return None;
        }
        let (mut kept, mut key_bytes) = (0, 0);
        self.keys.retain(|key, records| {
            let mut from = Sequence::ZERO;
            records.retain(|r| {
                let needed = views.any_in(from, r.until);
                from = r.until;
                needed
            });
            kept += records.len() as u64;
            if !records.is_empty() {
                key_bytes += key.len() as u64;
            }
            !records.is_empty()
        });
        self.records = kept;
        self.key_bytes = key_bytes;
        self.purged = kept;
        None
    }
}
