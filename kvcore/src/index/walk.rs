//! Entries met without naming their keys: page by page in hash order, at random, or because their
//! time has come.

use super::{Drawn, Index, SHARDS, State};

impl Index {
    /// Up to `limit` keys whose time has come.
    pub(crate) fn due(&self, now_ms: u64, limit: usize) -> Vec<Vec<u8>> {
        let mut keys = Vec::new();
        for shard in self.shards.iter() {
            if keys.len() >= limit || self.expiring() == 0 {
                break;
            }
            let shard = shard.0.read();
            let due = shard.expiries.due(now_ms, limit - keys.len());
            keys.extend(due.into_iter().map(|r| shard.table.key(r).to_vec()));
        }
        keys
    }

    /// Some key's time has come, later than `after_ms`.
    pub(crate) fn any_due_after(&self, after_ms: u64, now_ms: u64) -> bool {
        self.expiring() > 0
            && self.shards.iter().any(|s| s.0.read().expiries.any_due_after(after_ms, now_ms))
    }

    /// One page in hash order from `cursor`, never splitting equal hashes; `None` at the end.
    ///
    /// `visit` gets every key of the page with its state, under the shard's lock.
    pub(crate) fn scan(
        &self,
        cursor: u64,
        limit: usize,
        mut visit: impl FnMut(&[u8], State),
    ) -> Option<u64> {
        let mut seen = 0;
        let (first, mut tag) = split_cursor(cursor)?;
        for number in first..SHARDS {
            let shard = self.shard_at(number);
            let mut last = None;
            for (at, r) in shard.table.scan_from(tag) {
                if seen >= limit && last != Some(at) {
                    return Some(join_cursor(number, at));
                }
                last = Some(at);
                let entry = shard.table.entry(r);
                let key = shard.table.key(r);
                // What is pending to be removed counts too, or a page could take for ever.
                seen += 1;
                if !self.covered_at_tip(key, entry.sequence) {
                    visit(key, shard.state(r, entry));
                }
            }
            tag = 0;
        }
        None
    }

    /// A key chosen evenly among all, by numbers from `rng`.
    pub(crate) fn random<R>(
        &self,
        mut rng: impl FnMut() -> u64,
        mut with: impl FnMut(&[u8], State) -> Option<R>,
    ) -> Option<R> {
        const TRIES: usize = 100;
        for _ in 0..TRIES {
            let number = self.shares(Drawn::All).shard_of(rng())?;
            let shard = self.shard_at(number);
            let Some(r) = shard.table.random(&mut rng) else { continue };
            let entry = shard.table.entry(r);
            let key = shard.table.key(r);
            if !self.covered_at_tip(key, entry.sequence)
                && let Some(found) = with(key, shard.state(r, entry))
            {
                return Some(found);
            }
        }
        self.first_from_random(rng(), with)
    }

    /// Where nearly everything is expired or being removed: the next one in hash order.
    fn first_from_random<R>(
        &self,
        seed: u64,
        mut with: impl FnMut(&[u8], State) -> Option<R>,
    ) -> Option<R> {
        let start = seed % (SHARDS as u64);
        for n in 0..SHARDS as u64 {
            let number = usize::try_from((start + n) % SHARDS as u64).expect("below 64");
            let shard = self.shard_at(number);
            for (_, r) in shard.table.scan_from(0) {
                let entry = shard.table.entry(r);
                let key = shard.table.key(r);
                if !self.covered_at_tip(key, entry.sequence)
                    && let Some(found) = with(key, shard.state(r, entry))
                {
                    return Some(found);
                }
            }
        }
        None
    }
}

/// A cursor is one more than shard and tag; zero is the start (and, returned, the end).
pub(super) fn split_cursor(cursor: u64) -> Option<(usize, u32)> {
    let at = cursor.saturating_sub(1);
    let tag = u32::try_from(at & u64::from(u32::MAX)).expect("masked");
    let shard = usize::try_from(at >> 32).ok().filter(|s| *s < SHARDS)?;
    Some((shard, tag))
}

pub(super) fn join_cursor(shard: usize, tag: u32) -> u64 {
    ((shard as u64) << 32 | u64::from(tag)) + 1
}
