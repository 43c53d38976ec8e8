//! Records on their way into an index that is being loaded.
//!
//! A record of a large store finds none of what it touches in the cache. Taken in by the thousand
//! and shard by shard, the misses of one record overlap with those of the next, and a shard is
//! locked once for many.

use super::{Dead, Index, KeyHash, Loaded, SHARDS, Shard};
use crate::{
    keydir::{Entry, EntryFlags},
    log::{DataFile, record_bytes},
};

/// Records of one file and one keyspace, not yet in its index.
#[derive(Debug, Default)]
pub(crate) struct LoadQueue {
    keys: Vec<u8>,
    queued: Vec<Queued>,
    by_shard: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Queued {
    hash: KeyHash,
    key_at: usize,
    key_len: usize,
    entry: Entry,
    expires_at_ms: Option<u64>,
}

/// Records taken in at a time: about sixty for each shard, in what the second-level cache holds.
const QUEUED_MAX: usize = 4_096;

impl LoadQueue {
    /// No more records should be pushed.
    pub(crate) fn is_full(&self) -> bool {
        self.queued.len() >= QUEUED_MAX
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, index: &Index, new: &Loaded<'_>) {
        let Loaded { sequence, location, value_len, flags, expires_at_ms, key } = *new;
        let entry = Entry { sequence, location, value_len, flags };
        let (hash, key_at) = (index.hash(key), self.keys.len());
        self.keys.extend_from_slice(key);
        self.queued.push(Queued { hash, key_at, key_len: key.len(), entry, expires_at_ms });
    }

    /// Takes all records into the index, those that are the newest of their key so far; tells of
    /// the others, with their keys' lengths. Returns how many there were.
    pub(crate) fn flush(
        &mut self,
        index: &Index,
        file: &DataFile,
        mut dead: impl FnMut(usize, Dead),
    ) -> u64 {
        let ends = self.sort_by_shard();
        // Counted as live first, as some are superseded by others of this queue.
        let bytes = |q: &Queued| match q.entry.flags.has(EntryFlags::TOMBSTONE) {
            true => 0,
            false => record_bytes(index.id, q.key_len, &q.entry),
        };
        file.add_live(self.queued.iter().map(bytes).sum());
        let mut lost_bytes = 0;
        // Threads that load at the same time begin at different shards.
        let first = usize::try_from(file.id.0).unwrap_or_default() * 29;
        for n in (0..SHARDS).map(|n| (first + n) % SHARDS) {
            let start = if n == 0 { 0 } else { ends[n - 1] };
            let group = &self.by_shard[start..ends[n]];
            if group.is_empty() {
                continue;
            }
            let mut shard = index.shard_mut(n);
            self.prepare(&mut shard, group);
            for q in group.iter().map(|at| &self.queued[*at]) {
                let key = &self.keys[q.key_at..q.key_at + q.key_len];
                if !index.load(&mut shard, (q.hash, key), q.entry, q.expires_at_ms, &mut dead) {
                    lost_bytes += bytes(q);
                }
            }
        }
        file.sub_live(lost_bytes);
        let count = self.queued.len() as u64;
        self.keys.clear();
        self.queued.clear();
        count
    }

    /// Makes room, and lets the cache lines come that are looked at next.
    fn prepare(&self, shard: &mut Shard, group: &[usize]) {
        shard.table.reserve(group.len());
        let touched = group.iter().map(|at| shard.table.touch(self.queued[*at].hash.tag));
        std::hint::black_box(touched.fold(0, |all, one| all ^ one));
    }

    /// Where each shard's records end in `by_shard`.
    fn sort_by_shard(&mut self) -> [usize; SHARDS] {
        let mut counts = [0; SHARDS];
        self.queued.iter().for_each(|q| counts[usize::from(q.hash.shard)] += 1);
        let mut ends = [0; SHARDS];
        let mut end = 0;
        for n in 0..SHARDS {
            ends[n] = end;
            end += counts[n];
        }
        self.by_shard.clear();
        self.by_shard.resize(self.queued.len(), 0);
        for (at, q) in self.queued.iter().enumerate() {
            let place = &mut ends[usize::from(q.hash.shard)];
            self.by_shard[*place] = at;
            *place += 1;
        }
        ends
    }
}
