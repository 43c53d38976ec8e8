//! Making a loaded index ready: tombstones go, keys are counted, the order index is built
//! bottom-up. All of it on as many cores as there are.
//!
//! The order index is built in parts. A sample of the keys says where the parts begin, each shard
//! deals its keys out to them, each part is sorted by itself and becomes leaves; only the few
//! levels above the leaves are made by one thread. A part is small enough for a cache.

use super::{Index, SHARDS, load::remove};
use crate::{
    keydir::{EntryFlags, EntryRef, Leaves, OrderBuilder, OrderIndex, OrderRef, Table, separator},
    parallel::Threads,
};
use parking_lot::Mutex;
use std::sync::atomic::Ordering;

/// What one shard holds.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    keys: u64,
    entry_bytes: u64,
    data_bytes: u64,
}

impl Index {
    /// Drops the tombstones, counts the keys and builds the order index bottom-up.
    pub(crate) fn finish_loading(&self) {
        let loaded: usize = (0..SHARDS).map(|n| self.shard_at(n).table.len()).sum();
        let threads = Threads::for_items(loaded as u64);
        let shards = threads.share_out(SHARDS, |n| self.finish_shard(n));
        let sum = |of: fn(&Totals) -> u64| shards.iter().map(of).sum::<u64>();
        self.data_bytes.store(sum(|t| t.data_bytes), Ordering::Relaxed);
        self.entries_bytes.store(sum(|t| t.entry_bytes), Ordering::Relaxed);
        self.len.store(sum(|t| t.keys), Ordering::Release);
        if let Some(order) = &self.order {
            *order.write() = self.build_order(threads);
        }
    }

    fn finish_shard(&self, number: usize) -> Totals {
        let mut shard = self.shard_mut(number);
        let mut totals = Totals::default();
        let mut gone: Vec<EntryRef> = Vec::new();
        for (r, entry, key) in shard.table.entries() {
            if entry.flags.has(EntryFlags::TOMBSTONE) {
                gone.push(r);
                continue;
            }
            totals.keys += 1;
            totals.entry_bytes += self.entry_bytes(key.len());
            totals.data_bytes += super::data_bytes(key.len(), &entry);
        }
        for r in gone {
            remove(self, &mut shard, r);
        }
        shard.table.fit();
        totals
    }

    fn build_order(&self, threads: Threads) -> OrderIndex {
        let shards: Vec<_> = (0..SHARDS).map(|n| self.shard_at(n)).collect();
        let tables: Vec<&Table> = shards.iter().map(|shard| &shard.table).collect();
        Keys { tables: &tables, threads }.order()
    }
}

/// A key as a number, and where it is. Different numbers sort as the keys do.
type Ranked = (u64, OrderRef);

/// Keys of one part of the order.
type Part = Vec<Ranked>;

/// All keys of an index, and who sorts them.
struct Keys<'a> {
    tables: &'a [&'a Table],
    threads: Threads,
}

/// Where the parts of the order begin.
struct Cuts {
    /// What the keys of the sample have in common.
    shared: Vec<u8>,
    /// The first number of each part but the first.
    starts: Vec<u64>,
}

/// Keys of a part: what is sorted fits a second-level cache.
const PART_LEN: usize = 32 << 10;
const PARTS_MAX: usize = 4_096;
/// Keys of the sample for each part.
const SAMPLED: usize = 8;

impl Keys<'_> {
    fn order(&self) -> OrderIndex {
        let cuts = self.cuts();
        let parts: Vec<Mutex<Vec<Part>>> = cuts.parts().map(|_| Mutex::default()).collect();
        self.threads.share_out(self.tables.len(), |n| self.deal_out(n, &cuts, &parts));
        let sort = |part: usize| self.sorted(std::mem::take(&mut *parts[part].lock()));
        let mut parts = self.threads.share_out(parts.len(), sort);
        parts.retain(|part| !part.is_empty());
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
            return OrderIndex::new();
        };
        let (low, high) = (self.key(&first[0]).to_vec(), self.key(&last[last.len() - 1]).to_vec());
        // Behind the last key of a part and not behind the first of the next.
        let between =
            |pair: &[Part]| separator(self.key(&pair[0][pair[0].len() - 1]), self.key(&pair[1][0]));
        let inner = parts.windows(2).map(between);
        let fences: Vec<Vec<u8>> = [low].into_iter().chain(inner).chain([high.clone()]).collect();
        let leaves = |n: usize| {
            let mut builder = OrderBuilder::starting_at(fences[n].clone());
            parts[n].iter().for_each(|ranked| builder.push(self.key(ranked), ranked.1));
            builder.finish(&fences[n + 1])
        };
        Leaves::join(self.threads.share_out(parts.len(), leaves), high)
    }

    fn key(&self, ranked: &Ranked) -> &[u8] {
        self.tables[usize::from(ranked.1.shard)].key(ranked.1.entry)
    }

    /// Draws a sample; the same one for the same keys.
    fn cuts(&self) -> Cuts {
        let len: usize = self.tables.iter().map(|table| table.len()).sum();
        let parts = (len / PART_LEN).min(PARTS_MAX);
        let per_table = (parts * SAMPLED).div_ceil(self.tables.len());
        let mut random = fastrand::Rng::with_seed(len as u64);
        let mut sample: Vec<&[u8]> = Vec::new();
        for table in self.tables {
            let drawn = (0..per_table).filter_map(|_| table.random(|| random.u64(..)));
            sample.extend(drawn.map(|r| table.key(r)));
        }
        sample.sort_unstable();
        let shared = match (sample.first(), sample.last()) {
            (Some(first), Some(last)) => in_common(first, last).to_vec(),
            _ => Vec::new(),
        };
        let drawn = sample.len();
        let start_of = |part: usize| rank(sample[part * drawn / parts], &shared);
        let starts = (1..parts).filter(|_| drawn > 0).map(start_of).collect();
        Cuts { shared, starts }
    }

    /// Deals the keys of one table out to the parts.
    fn deal_out(&self, number: usize, cuts: &Cuts, parts: &[Mutex<Vec<Part>>]) {
        let shard = u8::try_from(number).expect("below 64");
        let expected = self.tables[number].len() / parts.len();
        let mut mine: Vec<Part> =
            parts.iter().map(|_| Vec::with_capacity(expected + expected / 4)).collect();
        for (entry, _, key) in self.tables[number].entries() {
            let rank = rank(key, &cuts.shared);
            mine[cuts.part_of(rank)].push((rank, OrderRef { shard, entry }));
        }
        for (piece, part) in mine.into_iter().zip(parts) {
            part.lock().push(piece);
        }
    }

    fn sorted(&self, pieces: Vec<Part>) -> Part {
        let mut part = pieces.concat();
        part.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.key(a).cmp(self.key(b))));
        part
    }
}

impl Cuts {
    fn parts(&self) -> impl Iterator<Item = usize> {
        0..=self.starts.len()
    }

    fn part_of(&self, rank: u64) -> usize {
        self.starts.partition_point(|start| *start <= rank)
    }
}

/// The front of two keys, as far as they are the same.
fn in_common<'a>(a: &'a [u8], b: &[u8]) -> &'a [u8] {
    let len = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    &a[..len]
}

/// The eight bytes of a key behind what the sample has in common, as a number that sorts like the
/// key, as far as it goes. Keys that begin otherwise are all below or all above.
fn rank(key: &[u8], shared: &[u8]) -> u64 {
    let Some(rest) = key.strip_prefix(shared) else {
        return if key < shared { 0 } else { u64::MAX };
    };
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; size_of::<u64>()];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}
