//! Keys by their places in order, several at once: what each of them waits for is fetched side by
//! side.

use super::{Index, in_range};
use crate::{
    disk::prefetch,
    keydir::{OrderIndex, OrderRef},
};
use std::ops::Bound;

/// The bounds of a range of encoded keys.
type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

impl Index {
    /// Hands to `f` the keys with so many of a range's keys before them, at the tip; where one has
    /// expired, the next one in the range. Places behind the range's end give nothing.
    ///
    /// `f` runs under the order index's lock and a shard's.
    pub(crate) fn nth_keys(
        &self,
        bounds: Bounds<'_>,
        places: impl Iterator<Item = u64>,
        now_ms: u64,
        mut f: impl FnMut(&[u8]),
    ) {
        let Some(order) = self.order.as_ref().map(|order| order.read()) else { return };
        let first = order.rank_of_start(self, bounds.0);
        let found = places.filter_map(|place| {
            let at = first.checked_add(place)?;
            let r = order.nth(at)?;
            prefetch(self.shard_at(usize::from(r.shard)).table.front(r.entry));
            Some((at, r))
        });
        let found: Vec<(u64, OrderRef)> = found.collect();
        for (at, r) in found {
            if !self.with_alive(r, bounds, now_ms, &mut f) {
                self.with_next_alive(&order, at + 1, bounds, now_ms, &mut f);
            }
        }
    }

    /// Hands a key of the range to `f`; false if it has expired.
    #[inline]
    fn with_alive(
        &self,
        r: OrderRef,
        (start, end): Bounds<'_>,
        now_ms: u64,
        f: &mut impl FnMut(&[u8]),
    ) -> bool {
        let shard = self.shard_at(usize::from(r.shard));
        let (entry, key) = shard.table.entry_and_key(r.entry);
        let is_inside = in_range(key, start, end);
        let is_alive = !is_inside || shard.state(r.entry, entry).is_alive(|| now_ms);
        if is_inside && is_alive {
            f(key);
        }
        is_alive
    }

    /// The same of the first one from a rank on that has not expired.
    #[cold]
    fn with_next_alive(
        &self,
        order: &OrderIndex,
        from: u64,
        bounds: Bounds<'_>,
        now_ms: u64,
        f: &mut impl FnMut(&[u8]),
    ) {
        let refs = (from..order.len()).map_while(|at| order.nth(at));
        for r in refs {
            if self.with_alive(r, bounds, now_ms, f) {
                return;
            }
        }
    }
}
