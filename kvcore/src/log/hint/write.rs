//! Writing a hint: entries in any order in, one sorted and sealed file out.

use super::{
    CRC_LEN, FACTS_LEN, HEAD_LEN, HintEntry, HintFacts, HintRange, KIND, PREAMBLE_LEN, entry,
};
use crate::{
    ids::{FileId, Sequence},
    log::{checksum::StoreId, preamble},
};
use std::cmp::Ordering;

/// A hint on its way. Entries that come sorted are not sorted again.
#[derive(Debug)]
pub(crate) struct HintWriter {
    store: StoreId,
    file: FileId,
    ranges: Vec<u8>,
    range_count: u64,
    entries: Vec<u8>,
    slots: Vec<Slot>,
    sorted: bool,
}

/// Where an encoded entry lies, and what it sorts by.
#[derive(Clone, Copy, Debug)]
struct Slot {
    keyspace: u32,
    /// The first bytes of the key: most of the time they decide, and the key stays where it is.
    front: u64,
    at: usize,
    key_at: usize,
    end: usize,
    sequence: Sequence,
}

impl Slot {
    fn order(&self, other: &Slot, entries: &[u8]) -> Ordering {
        let key = |slot: &Slot| (&entries[slot.key_at..slot.end], slot.sequence);
        let fronts = (self.keyspace, self.front).cmp(&(other.keyspace, other.front));
        fronts.then_with(|| key(self).cmp(&key(other)))
    }
}

impl HintWriter {
    /// An empty hint for that file.
    pub(crate) fn new(store: StoreId, file: FileId) -> HintWriter {
        HintWriter {
            store,
            file,
            ranges: Vec::new(),
            range_count: 0,
            entries: Vec::new(),
            slots: Vec::new(),
            sorted: true,
        }
    }

    /// Adds a range tombstone, in the order of the data file.
    pub(crate) fn push_range(&mut self, range: &HintRange<'_>) {
        entry::put_range(&mut self.ranges, range);
        self.range_count += 1;
    }

    /// Adds the record of a key.
    pub(crate) fn push(&mut self, entry: &HintEntry<'_>) {
        let at = self.entries.len();
        let key_at = entry::put_entry(&mut self.entries, entry);
        let (keyspace, sequence) = (entry.keyspace.0, entry.place.sequence);
        let front = front(entry.key);
        let slot = Slot { keyspace, front, at, key_at, end: self.entries.len(), sequence };
        if let (true, Some(last)) = (self.sorted, self.slots.last()) {
            self.sorted = last.order(&slot, &self.entries).is_le();
        }
        self.slots.push(slot);
    }

    /// The file's bytes.
    pub(crate) fn finish(mut self, facts: &HintFacts) -> Vec<u8> {
        let len = HEAD_LEN + self.ranges.len() + self.entries.len() + CRC_LEN;
        let mut out = Vec::with_capacity(len);
        preamble::put(&mut out, KIND, &self.store);
        self.put_facts(&mut out, facts);
        debug_assert_eq!(out.len(), PREAMBLE_LEN + FACTS_LEN);
        out.extend_from_slice(&self.ranges);
        self.put_entries(&mut out);
        preamble::put_checksum(&mut out, 0, KIND, self.file, facts.data_len);
        out
    }

    fn put_facts(&self, out: &mut Vec<u8>, facts: &HintFacts) {
        let in_64_bits = |len: usize| u64::try_from(len).expect("addresses fit 64 bits");
        let numbers = [
            u64::from(self.file.0),
            facts.data_len,
            in_64_bits(self.slots.len()),
            self.range_count,
            in_64_bits(self.ranges.len()),
            facts.min_dead_sequence.unwrap_or(Sequence::ZERO).0,
            facts.min_sequence.0,
            facts.max_sequence.0,
            facts.highest_clock_ms,
        ];
        numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    }

    fn put_entries(&mut self, out: &mut Vec<u8>) {
        if self.sorted {
            return out.extend_from_slice(&self.entries);
        }
        let entries = &self.entries;
        self.slots.sort_unstable_by(|a, b| a.order(b, entries));
        self.slots.iter().for_each(|slot| out.extend_from_slice(&entries[slot.at..slot.end]));
    }
}

/// The first eight bytes of a key as a number that sorts like the key, as far as it goes.
fn front(key: &[u8]) -> u64 {
    if let Some(bytes) = key.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; size_of::<u64>()];
    bytes[..key.len()].copy_from_slice(key);
    u64::from_be_bytes(bytes)
}
