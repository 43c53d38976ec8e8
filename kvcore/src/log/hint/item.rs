//! What a record of a data file is to a hint, and a hint gathered from records.

use super::{HintEntry, HintFacts, HintKind, HintRange, HintWriter, Place};
use crate::{
    ids::{FileId, Sequence},
    log::{checksum::StoreId, record::Record},
};

/// What a data file says, as a hint would say it.
pub(crate) enum HintItem<'a> {
    /// Of one key.
    Entry(HintEntry<'a>),
    /// Of a range of keys.
    Range(HintRange<'a>),
    /// Of no key: how late it was, at least.
    Clock(u64),
}

impl<'a> HintItem<'a> {
    /// The record that lies there.
    pub(crate) fn of(record: &Record<'a>, place: Place) -> HintItem<'a> {
        let entry = |keyspace, key, kind| HintItem::Entry(HintEntry { place, keyspace, key, kind });
        match *record {
            Record::Put { keyspace, key, value, expires_at_ms, .. } => {
                let value_len = u32::try_from(value.len()).unwrap_or(u32::MAX);
                entry(keyspace, key, HintKind::Put { value_len, expires_at_ms })
            }
            Record::BlobRef { keyspace, key, blob, len_bytes, expires_at_ms, .. } => {
                entry(keyspace, key, HintKind::BlobRef { blob, len_bytes, expires_at_ms })
            }
            Record::Tombstone { keyspace, key } => entry(keyspace, key, HintKind::Tombstone),
            Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms } => {
                entry(keyspace, key, HintKind::ExpiryChange { put_sequence, expires_at_ms })
            }
            Record::RangeTombstone { keyspace, start, end } => {
                HintItem::Range(HintRange { place, keyspace, bounds: (start, end) })
            }
            Record::Watermark { clock_ms } => HintItem::Clock(clock_ms),
        }
    }
}

/// A hint on its way, and what it will say of its file as a whole.
#[derive(Debug)]
pub(crate) struct HintDraft {
    writer: HintWriter,
    min_sequence: Sequence,
    highest_clock_ms: u64,
}

impl HintDraft {
    /// Of that file, of which nothing is known yet.
    pub(crate) fn new(store: StoreId, file: FileId) -> HintDraft {
        let writer = HintWriter::new(store, file);
        HintDraft { writer, min_sequence: Sequence(u64::MAX), highest_clock_ms: 0 }
    }

    /// Adds what a record says, in the order of the data file.
    pub(crate) fn add(&mut self, item: &HintItem<'_>) {
        match item {
            HintItem::Entry(entry) => {
                self.min_sequence = self.min_sequence.min(entry.place.sequence);
                self.writer.push(entry);
            }
            HintItem::Range(range) => {
                self.min_sequence = self.min_sequence.min(range.place.sequence);
                self.writer.push_range(range);
            }
            HintItem::Clock(ms) => self.highest_clock_ms = self.highest_clock_ms.max(*ms),
        }
    }

    /// The bytes of the hint, for a file of this length whose highest sequence this is.
    pub(crate) fn finish(self, data_len: u64, max_sequence: Sequence) -> Vec<u8> {
        self.writer.finish(&HintFacts {
            data_len,
            min_dead_sequence: None,
            min_sequence: self.min_sequence.min(max_sequence),
            max_sequence,
            highest_clock_ms: self.highest_clock_ms,
        })
    }
}
