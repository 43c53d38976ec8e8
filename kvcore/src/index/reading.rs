//! Several shards, locked together for reading: a page of keys costs one lock per shard, and what
//! is looked at can be fetched side by side, since no lock is taken in between.

use super::{Index, SHARDS, Shard};
use crate::keydir::OrderRef;
use parking_lot::RwLockReadGuard;

/// The read locks of the shards that some references point into.
///
/// They are taken in the order of the shards' numbers, so that two readers, each held up by a
/// writer that waits for the other, cannot be (X2).
pub(super) struct Reading<'a>([Option<RwLockReadGuard<'a, Shard>>; SHARDS]);

impl<'a> Reading<'a> {
    pub(super) fn new(index: &'a Index, refs: &[OrderRef]) -> Reading<'a> {
        let wanted = refs.iter().fold(0_u64, |wanted, r| wanted | 1 << r.shard);
        let mut guards = [const { None }; SHARDS];
        let mut left = wanted;
        while left != 0 {
            let number = usize::try_from(left.trailing_zeros()).expect("below 64");
            guards[number] = Some(index.shard_at(number));
            left &= left - 1;
        }
        Reading(guards)
    }

    /// The shard of one of the references.
    #[inline]
    pub(super) fn shard(&self, r: OrderRef) -> &Shard {
        self.0[usize::from(r.shard)].as_ref().expect("the shards of all references are locked")
    }
}
