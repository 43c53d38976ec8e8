//! One index takes the place of another, behind the same handles.

use super::{Index, SHARDS};
use std::sync::atomic::Ordering;

impl Index {
    /// Takes everything `other` holds, which must be in nobody's hands yet.
    ///
    /// Reads of single keys see the old state or the new one; pages of the order index wait.
    pub(crate) fn trade_places(&self, other: &Index) {
        let mut order = self.order.as_ref().map(|order| order.write());
        for number in 0..SHARDS {
            std::mem::swap(&mut *self.shard_mut(number), &mut *other.shard_mut(number));
        }
        if let (Some(order), Some(other)) = (order.as_mut(), other.order.as_ref()) {
            std::mem::swap(&mut **order, &mut *other.write());
        }
        std::mem::take(&mut *self.undo.write());
        std::mem::take(&mut *self.pending.write());
        self.has_undo.store(false, Ordering::Release);
        self.has_pending.store(false, Ordering::Release);
        self.len.set(other.len());
        self.expiring.store(other.expiring(), Ordering::Relaxed);
    }
}
