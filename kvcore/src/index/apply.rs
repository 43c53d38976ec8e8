//! Puts applied to the tables, with everything that is counted about an entry.
//!
//! Called by the holder of the writer lock only (X1).

use super::{Applying, Change, Held, Index, PutChange, Shard, State, load, undo::OldState};
use crate::{
    ids::Sequence,
    keydir::{Entry, EntryFlags, EntryRef, Expiry},
    log::record_bytes,
};
use parking_lot::RwLockUpgradableReadGuard;
use std::sync::atomic::Ordering;

impl Index {
    /// Applies one put. The common case, an overwrite, takes one shard lock and nothing else, and
    /// keeps readers out for one store only (X6). A new key is looked for once.
    pub(crate) fn put(&self, cx: &Applying<'_>, put: &PutChange<'_>) {
        let shard = self.shard_to_change(put.hash);
        match shard.table.get(put.hash.tag, put.key) {
            Some((r, old)) if !self.covered_at_tip(put.key, old.sequence) => {
                self.count_overwrite(cx, &old, put);
                let mut shard = RwLockUpgradableReadGuard::upgrade(shard);
                self.overwrite(cx, &mut shard, r, old, put);
            }
            None if self.order.is_none() => {
                let mut shard = RwLockUpgradableReadGuard::upgrade(shard);
                self.insert_absent(cx, &mut shard, put);
            }
            None => {
                // The order index is locked first (X2); nobody else adds the key meanwhile (X1).
                drop(shard);
                self.put_absent(cx, put);
            }
            Some(_) => {
                drop(shard);
                self.hold(1 << put.hash.shard).apply(cx, &Change::Put(*put));
            }
        }
    }

    /// Locks the order index and some shards (one bit each), for changes that must become visible
    /// together.
    pub(crate) fn hold(&self, shards: u64) -> Held<'_> {
        Held::new(self, shards)
    }

    /// What an overwrite changes outside its shard. It comes first: the entry cannot change in
    /// between, since all who would change it wait for the one who is to.
    pub(super) fn count_overwrite(&self, cx: &Applying<'_>, old: &Entry, put: &PutChange<'_>) {
        cx.file.add_live(record_bytes(self.id, put.key.len(), &put.entry));
        self.forget_place(cx, put.key.len(), old, put.entry.sequence);
        // Most values are as long as the one before.
        if old.value_len != put.entry.value_len {
            self.data_bytes.add(data_bytes(put.key.len(), &put.entry));
            self.data_bytes.sub(data_bytes(put.key.len(), old));
        }
    }

    /// Puts an entry in the place of another, which was counted already.
    pub(super) fn overwrite(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        r: EntryRef,
        old: Entry,
        put: &PutChange<'_>,
    ) {
        self.keep_undo(cx, put.key, shard.state(r, old).into(), put.entry.sequence);
        if old.flags.has(EntryFlags::EXPIRES) {
            self.forget_expiry(shard, r);
        }
        shard.table.set(r, put.entry);
        self.remember_record(cx, shard, r, put);
    }

    pub(super) fn insert_absent(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        put: &PutChange<'_>,
    ) -> EntryRef {
        self.keep_undo(cx, put.key, None, put.entry.sequence);
        let r = load::insert(&mut shard.table, put.hash.tag, put.key, put.entry);
        self.data_bytes.add(data_bytes(put.key.len(), &put.entry));
        cx.file.add_live(record_bytes(self.id, put.key.len(), &put.entry));
        self.remember_record(cx, shard, r, put);
        self.len.add(1);
        self.entries_bytes.add(self.entry_bytes(put.key.len()));
        r
    }

    fn remember_record(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        r: EntryRef,
        put: &PutChange<'_>,
    ) {
        self.note_written(shard, r);
        if let Some((id, len)) = put.blob {
            cx.blobs.add(put.entry.sequence, id, len);
        }
        if let Some(at_ms) = put.expires_at_ms {
            shard.expiries.set(r, Expiry { at_ms, change: None });
            self.expiring.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn forget_expiry(&self, shard: &mut Shard, r: EntryRef) {
        if shard.expiries.remove(r).is_some() {
            self.expiring.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The record behind this entry is dead from now on.
    pub(super) fn forget_record(
        &self,
        cx: &Applying<'_>,
        key_len: usize,
        old: &Entry,
        until: Sequence,
    ) {
        self.data_bytes.sub(data_bytes(key_len, old));
        self.forget_place(cx, key_len, old, until);
    }

    /// The same, without the bytes of the key and the value.
    fn forget_place(&self, cx: &Applying<'_>, key_len: usize, old: &Entry, until: Sequence) {
        if old.flags.has(EntryFlags::BLOB) {
            cx.blobs.supersede(old.sequence, until);
        }
        cx.with_file(old.location.file, |file| {
            file.sub_live(record_bytes(self.id, key_len, old));
            file.hiding.note_death(self.id, until);
        });
    }

    pub(super) fn keep_undo(
        &self,
        cx: &Applying<'_>,
        key: &[u8],
        old: Option<State>,
        until: Sequence,
    ) {
        if cx.views.is_empty() {
            return;
        }
        let old = old.map(|state| OldState { state, file: cx.pin(state.entry.location.file) });
        self.undo.write().keep(key, old, until, cx.views);
        self.has_undo.store(true, Ordering::Release);
    }
}

/// What an entry counts towards a keyspace's data.
pub(super) fn data_bytes(key_len: usize, entry: &Entry) -> u64 {
    key_len as u64 + u64::from(entry.value_len)
}
