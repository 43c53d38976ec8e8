//! A key that comes or goes alone in its commit: one shard and the order index, locked as
//! [`super::Held`] locks them, without a list of locks and without looking the key up again.
//!
//! Called by the holder of the writer lock only (X1).

use super::{
    Applying, Index, KeyHash, PutChange, State,
    held::{Beside, Locked},
};
use crate::{
    ids::Sequence,
    keydir::{EntryRef, OrderRef},
};

impl Index {
    /// The key's state at the tip, and where its entry stays until the writer lock is released.
    pub(crate) fn find_entry(&self, key: &[u8], hash: KeyHash) -> Option<(EntryRef, State)> {
        let shard = self.shard(hash);
        let (r, entry) = shard.table.get(hash.tag, key)?;
        (!self.covered_at_tip(key, entry.sequence)).then(|| (r, shard.state(r, entry)))
    }

    /// Applies a put of a key that is not in its shard's table: of one whose hash no entry has, as
    /// [`Index::fetch_entry`] has told under this writer lock, it need not be looked for.
    pub(crate) fn put_absent(&self, cx: &Applying<'_>, put: &PutChange<'_>) {
        let number = put.hash.shard;
        let mut order = self.order.as_ref().map(|order| order.write());
        let mut shard = self.shard_mut(usize::from(number));
        let entry = self.insert_absent(cx, &mut shard, put);
        if let Some(order) = &mut order {
            let keys = Beside { index: self, locked: Locked::One(number, &shard) };
            order.insert(&keys, put.key, OrderRef { shard: number, entry });
        }
    }

    /// Removes the key whose entry is at `r`, as [`Index::find_entry`] has told.
    pub(crate) fn remove_entry(
        &self,
        cx: &Applying<'_>,
        (key, hash): (&[u8], KeyHash),
        r: EntryRef,
        sequence: Sequence,
    ) {
        let mut order = self.order.as_ref().map(|order| order.write());
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let old = shard.table.entry(r);
        if let Some(order) = &mut order {
            let was_there = order.remove_held(key, OrderRef { shard: hash.shard, entry: r });
            debug_assert!(was_there, "X3: the order index holds every key");
        }
        let freed = self.take_out(cx, &mut shard, hash.tag, key, (r, old), sequence);
        self.len.sub(1);
        drop((shard, order));
        drop(freed);
    }
}
