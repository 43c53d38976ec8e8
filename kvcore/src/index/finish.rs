//! Making a loaded index ready: tombstones go, keys are counted, the order index is built
//! bottom-up. All of it on as many cores as there are.
//!
//! The order index is built in parts. A sample of the keys says where the parts begin, each shard
//! deals its keys out to them, each part is sorted by itself and becomes leaves; only the few
//! levels above the leaves are made by one thread. A part is small enough for a cache. Meanwhile
//! sixteen bytes per key are held besides.

use super::{Index, SHARDS, load::remove};
use crate::{
    keydir::{Entry, EntryFlags, EntryRef, Leaves, OrderBuilder, OrderIndex, OrderRef, Table},
    parallel::Threads,
};

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
        self.data_bytes.set(sum(|t| t.data_bytes));
        self.entries_bytes.set(sum(|t| t.entry_bytes));
        self.len.set(sum(|t| t.keys));
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
            totals.data_bytes += super::apply::data_bytes(key.len(), &entry);
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

/// The keys of one table, part after part, and where each part ends.
struct Dealt {
    ranked: Vec<Ranked>,
    ends: Vec<usize>,
}

/// All keys of an index, and who sorts them.
struct Keys<'a> {
    tables: &'a [&'a Table],
    threads: Threads,
}

/// Where the parts of the order begin.
struct Cuts {
    /// What the keys of the sample have in common.
    shared: Vec<u8>,
    /// The first number of each part but the first, ascending and above zero.
    starts: Vec<u64>,
}

/// Keys of a part: what is sorted fits a second-level cache.
const PART_LEN: usize = 32 << 10;
const PARTS_MAX: usize = 4_096;
/// Keys looked at before the first of them is needed.
const AHEAD: usize = 64;
/// Keys of the sample for each part.
const SAMPLED: usize = 8;

impl Keys<'_> {
    fn order(&self) -> OrderIndex {
        let cuts = self.cuts();
        let dealt = self.threads.share_out(self.tables.len(), |n| self.deal_out(n, &cuts));
        let is_used = |part: &usize| dealt.iter().any(|d| !d.part(*part).is_empty());
        let used: Vec<usize> = (0..=cuts.starts.len()).filter(is_used).collect();
        let leaves = |n: usize| {
            let low = used[n].checked_sub(1).filter(|_| n > 0).map(|before| cuts.fence(before));
            let high = used.get(n + 1).map(|next| cuts.fence(next - 1));
            self.leaves(&dealt, used[n], low, high)
        };
        let (parts, mut highs): (Vec<Leaves>, Vec<Vec<u8>>) =
            self.threads.share_out(used.len(), leaves).into_iter().unzip();
        Leaves::join(parts, highs.pop().unwrap_or_default())
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
        let (Some(first), Some(last)) = (sample.iter().min(), sample.iter().max()) else {
            return Cuts { shared: Vec::new(), starts: Vec::new() };
        };
        let shared = in_common(first, last).to_vec();
        let mut ranks: Vec<u64> = sample.iter().map(|key| rank(key, &shared)).collect();
        ranks.sort_by_cached_key(|rank| *rank);
        let start_of = |part: usize| ranks[part * ranks.len() / parts];
        let mut starts: Vec<u64> = (1..parts).map(start_of).filter(|start| *start > 0).collect();
        starts.dedup();
        Cuts { shared, starts }
    }

    /// Deals the keys of one table out to the parts.
    fn deal_out(&self, number: usize, cuts: &Cuts) -> Dealt {
        let shard = u8::try_from(number).expect("below 64");
        let ranked = |(entry, _, key): (EntryRef, Entry, &[u8])| {
            let rank = rank(key, &cuts.shared);
            (cuts.part_of(rank), (rank, OrderRef { shard, entry }))
        };
        let mut all = Vec::with_capacity(self.tables[number].len());
        all.extend(self.tables[number].entries().map(ranked));
        let mut ends = vec![0; cuts.starts.len() + 1];
        all.iter().for_each(|(part, _)| ends[usize::from(*part)] += 1);
        let mut end = 0;
        for place in &mut ends {
            (*place, end) = (end, end + *place);
        }
        let none = (0, OrderRef { shard, entry: EntryRef(0) });
        let mut dealt = vec![none; all.len()];
        for (part, ranked) in all {
            let place = &mut ends[usize::from(part)];
            dealt[*place] = ranked;
            *place += 1;
        }
        Dealt { ranked: dealt, ends }
    }

    /// Sorts one part and makes leaves of it, between these fences or else its first and last key.
    /// Returns the upper one too.
    fn leaves(
        &self,
        dealt: &[Dealt],
        part: usize,
        low: Option<Vec<u8>>,
        high: Option<Vec<u8>>,
    ) -> (Leaves, Vec<u8>) {
        let pieces: Vec<&[Ranked]> = dealt.iter().map(|d| d.part(part)).collect();
        let mut all = pieces.concat();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.key(a).cmp(self.key(b))));
        let end = |at: Option<&Ranked>| at.map(|r| self.key(r).to_vec()).unwrap_or_default();
        let low = low.unwrap_or_else(|| end(all.first()));
        let high = high.unwrap_or_else(|| end(all.last()));
        let mut builder = OrderBuilder::starting_at(low);
        for some in all.chunks(AHEAD) {
            // The keys lie anywhere: their cache lines come side by side.
            let fronts = some.iter().map(|ranked| self.key(ranked).first().copied());
            std::hint::black_box(fronts.flatten().fold(0, |all, one| all ^ one));
            some.iter().for_each(|ranked| builder.push(self.key(ranked), ranked.1));
        }
        (builder.finish(&high), high)
    }
}

impl Dealt {
    fn part(&self, part: usize) -> &[Ranked] {
        let start = if part == 0 { 0 } else { self.ends[part - 1] };
        &self.ranked[start..self.ends[part]]
    }
}

impl Cuts {
    fn part_of(&self, rank: u64) -> u16 {
        let part = self.starts.partition_point(|start| *start <= rank);
        u16::try_from(part).expect("at most PARTS_MAX")
    }

    /// What divides a part from the next: above all keys before it and not above any behind.
    /// Without its zeros at the end, since a key may end where they begin.
    fn fence(&self, part: usize) -> Vec<u8> {
        let start = self.starts[part].to_be_bytes();
        let len = start.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        [&self.shared[..], &start[..len]].concat()
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
    // Comparing no bytes is not free: it may be a masked load from an address that is none.
    let rest = if shared.is_empty() { Some(key) } else { key.strip_prefix(shared) };
    let Some(rest) = rest else {
        return if key < shared { 0 } else { u64::MAX };
    };
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; size_of::<u64>()];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{FileId, KeyspaceId, Location, Sequence},
        index::HashKey,
    };

    fn loaded(keys: &std::collections::BTreeSet<Vec<u8>>) -> Index {
        let index = Index::new(KeyspaceId(1), true, HashKey([5; 16]));
        for key in keys {
            let hash = index.hash(key);
            let entry = Entry {
                sequence: Sequence(1),
                location: Location { file: FileId(1), offset: 1 },
                value_len: 1,
                flags: EntryFlags::NONE,
            };
            let mut shard = index.shard_mut(usize::from(hash.shard));
            assert!(index.load(&mut shard, (hash, key), entry, None, &mut |_, _| {}));
        }
        index
    }

    /// Keys of several shapes: evenly random, with a long common front, few of other fronts among
    /// them, ending in zeros, one the front of the other.
    fn key(random: &mut fastrand::Rng, shape: u32) -> Vec<u8> {
        let number = random.u32(..200_000);
        match (shape, random.u32(..1_000)) {
            (0, _) => random.u64(..).to_be_bytes().to_vec(),
            (1, 0) => vec![random.u8(..); random.usize(..12)],
            (1, _) => format!("user:{number:020}").into_bytes(),
            (2, _) => vec![0; random.usize(..20_000)],
            (3, n) => [&number.to_be_bytes()[2..], &[0; 9][..n as usize % 10]].concat(),
            _ => [&[7; 30][..], &number.to_le_bytes()].concat(),
        }
    }

    #[test]
    fn order_built_in_parts_is_the_order_of_the_keys() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for (shape, count) in
            [(0, 0), (0, 1), (0, 120_000), (1, 90_000), (2, 300), (3, 150_000), (4, 70_000)]
        {
            let mut keys: std::collections::BTreeSet<Vec<u8>> =
                (0..count).map(|_| key(&mut random, shape)).collect();
            let index = loaded(&keys);
            index.finish_loading();
            assert_eq!(index.len(), keys.len() as u64);
            // The fences hold for what comes later too.
            let mut order = index.order.as_ref().unwrap().write();
            for _ in 0..2_000 {
                let new = key(&mut random, shape);
                if keys.insert(new.clone()) {
                    let hash = index.hash(&new);
                    let entry = Entry {
                        sequence: Sequence(2),
                        location: Location { file: FileId(1), offset: 2 },
                        value_len: 1,
                        flags: EntryFlags::NONE,
                    };
                    let mut shard = index.shard_mut(usize::from(hash.shard));
                    let entry = shard.table.insert(hash.tag, &new, entry).unwrap();
                    drop(shard);
                    order.insert(&index, &new, OrderRef { shard: hash.shard, entry });
                }
            }
            let mut all = Vec::new();
            order.page_at(0, usize::MAX, &mut all);
            let found: Vec<Vec<u8>> = all
                .iter()
                .map(|r| index.shard_at(usize::from(r.shard)).table.key(r.entry).to_vec())
                .collect();
            assert!(found.iter().eq(&keys), "shape {shape}");
        }
    }
}
