//! The keydir of one keyspace: sharded tables, the order index, pending range deletes, undo.
//!
//! Knows keys as bytes, locations and locks. Does not know types, records or the log.
//!
//! # Invariants
//!
//! X1. Only the holder of the store's writer lock adds or removes entries. Merge may change where
//!     an entry points, under its shard's lock.
//! X2. Locks are taken in this order: order index, shards, then undo and pending ranges. Whoever
//!     holds more than one shard holds the writer lock, or holds them for reading and took them in
//!     the order of their numbers. The pending ranges of an ordered keyspace
//!     change only under the order index's write lock, so pages may look at shards meanwhile.
//! X3. Without pending ranges the order index holds exactly the keys of the tables.
//! X4. An open view finds, for every key, the state at its sequence: in undo if the key changed
//!     since, else in the table. Both are changed under the shard's lock.
//! X5. No lock of this module is held while user code runs.
//! X6. An overwrite and a move by merge look the entry up and count beside readers, and shut them
//!     out for the one store that changes it: whoever is taken off its processor while it holds a
//!     shard makes every reader of the shard wait until it is back.

use crate::{
    disk::prefetch,
    engine::BlobTable,
    ids::{FileId, KeyspaceId, Sequence},
    keydir::{
        Entry, EntryFlags, EntryRef, ExpiryIndex, KeySource, OrderIndex, OrderRef, Table, Uses,
    },
    log::{DataFile, FilePin, Files, FilesOnce},
    view::Views,
};
use parking_lot::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};
use std::{
    ops::Bound,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

mod alone;
mod apply;
mod budget;
mod figures;
mod finish;
mod frozen;
mod hash;
mod held;
mod load;
mod nth_keys;
mod page;
mod past;
mod pending;
mod queue;
mod reading;
mod relocate;
mod tally;
mod tip_page;
mod trade;
mod undo;
mod uses;
mod walk;
mod work_off;

use budget::Budget;
use frozen::Frozen;
pub(crate) use hash::{HashKey, KeyHash};
pub(crate) use held::{Change, Held, NEVER_MS, PutChange};
pub(crate) use load::{Dead, Loaded};
pub(crate) use page::{Item, ItemKey, PageRequest};
use pending::PendingDeletes;
pub(crate) use queue::LoadQueue;
pub(crate) use tip_page::{Records, TipItem, TipPage, TipRequest};
pub(crate) use undo::Undo;
use uses::Tracker;
pub(crate) use uses::{Drawn, KnownUse, Remembered};
pub(crate) use work_off::Garbage;

/// Tables per keyspace. Part of the meaning of a scan cursor, so it cannot change.
pub(crate) const SHARDS: usize = 64;

/// One shard: a table and the expiries of its entries, behind one lock, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ShardLock(RwLock<Shard>);

#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) table: Table,
    pub(crate) expiries: ExpiryIndex,
    /// Empty unless uses are remembered, or some were said.
    uses: Uses,
}

/// What a key maps to at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    pub(crate) entry: Entry,
    pub(crate) expires_at_ms: Option<u64>,
}

impl State {
    /// Still there at this time.
    pub(crate) fn is_alive(&self, now_ms: impl FnOnce() -> u64) -> bool {
        self.expires_at_ms.is_none_or(|at| at > now_ms())
    }
}

/// The keydir of one keyspace.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) id: KeyspaceId,
    hash_key: HashKey,
    shards: Box<[ShardLock]>,
    order: Option<RwLock<OrderIndex>>,
    len: tally::Tally,
    pending: RwLock<PendingDeletes>,
    has_pending: AtomicBool,
    undo: RwLock<Undo>,
    /// Undo is not empty. Changed under the shard's lock, so that reads need look no further.
    has_undo: AtomicBool,
    /// Bytes for the entries in the tables, by [`Index::entry_bytes`].
    entries_bytes: tally::Tally,
    /// Entries with an expiry time, so that a keyspace without any is not looked through.
    expiring: AtomicU64,
    /// Of all keys and values, those that a pending range delete covers included.
    data_bytes: tally::Tally,
    budget: Budget,
    tracker: Tracker,
    frozen: Frozen,
}

/// What applying a change needs to know of the world.
pub(crate) struct Applying<'a> {
    pub(crate) files: &'a Files,
    /// The files of when they were first asked for, which may be some commits ago. A merge may have
    /// pointed entries at others since.
    pub(crate) table: &'a FilesOnce,
    pub(crate) views: &'a Views,
    /// The file that the records being applied are in.
    pub(crate) file: &'a DataFile,
    pub(crate) blobs: &'a BlobTable,
}

impl Applying<'_> {
    /// Keeps the file that an entry points into. Called under the lock of the entry's shard, so
    /// the file is listed.
    fn pin(&self, id: FileId) -> Option<FilePin> {
        self.table.of(self.files).pin(id).or_else(|| self.files.load().pin(id))
    }

    /// Hands over the file that an entry points into. Called under the lock of the entry's shard,
    /// so the file is listed.
    #[inline]
    fn with_file(&self, id: FileId, f: impl FnOnce(&DataFile)) {
        match self.table.of(self.files).get(id) {
            Some(file) => f(file),
            None => self.with_new_file(id, f),
        }
    }

    #[cold]
    fn with_new_file(&self, id: FileId, f: impl FnOnce(&DataFile)) {
        let table = self.files.load();
        debug_assert!(table.get(id).is_some(), "an entry points into a file that is not listed");
        if let Some(file) = table.get(id) {
            f(file);
        }
    }
}

impl Index {
    pub(crate) fn new(id: KeyspaceId, ordered: bool, hash_key: HashKey) -> Index {
        Index {
            id,
            hash_key,
            shards: (0..SHARDS).map(|_| ShardLock::default()).collect(),
            order: ordered.then(RwLock::default),
            len: tally::Tally::default(),
            pending: RwLock::default(),
            has_pending: AtomicBool::new(false),
            undo: RwLock::default(),
            has_undo: AtomicBool::new(false),
            entries_bytes: tally::Tally::default(),
            expiring: AtomicU64::new(0),
            data_bytes: tally::Tally::default(),
            budget: Budget::default(),
            tracker: Tracker::default(),
            frozen: Frozen::default(),
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Keys at the tip, expired ones included until their removal. Exact.
    pub(crate) fn len(&self) -> u64 {
        self.len.get()
    }

    pub(crate) fn expiring(&self) -> u64 {
        self.expiring.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values. Exact, except while a range delete is worked off.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes.get()
    }

    #[inline]
    pub(crate) fn shard(&self, hash: KeyHash) -> RwLockReadGuard<'_, Shard> {
        self.shards[usize::from(hash.shard)].0.read()
    }

    #[inline]
    pub(crate) fn shard_at(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].0.read()
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        self.hash_key.hash(key)
    }

    fn shard_mut(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].0.write()
    }

    /// To look for what is to be changed, beside readers (X6).
    #[inline]
    fn shard_to_change(&self, hash: KeyHash) -> RwLockUpgradableReadGuard<'_, Shard> {
        self.shards[usize::from(hash.shard)].0.upgradable_read()
    }

    /// The key's state at the tip, and whatever `with` makes of it under the shard's lock.
    #[inline]
    pub(crate) fn find<R>(
        &self,
        key: &[u8],
        hash: KeyHash,
        with: impl FnOnce(State) -> R,
    ) -> Option<R> {
        let shard = self.shard(hash);
        let (r, entry) = shard.table.get(hash.tag, key)?;
        if self.covered_at_tip(key, entry.sequence) {
            return None;
        }
        Some(with(shard.state(r, entry)))
    }

    /// The same for a read by the user, which counts as a use of the entry, in the key's shard.
    #[inline]
    pub(crate) fn find_used(&self, shard: &Shard, key: &[u8], hash: KeyHash) -> Option<State> {
        let (r, entry) = shard.table.get(hash.tag, key)?;
        if self.covered_at_tip(key, entry.sequence) {
            return None;
        }
        self.note_read(shard, r);
        Some(shard.state(r, entry))
    }

    /// Starts fetching where the look-up of a hash begins.
    pub(crate) fn fetch_bucket(&self, hash: KeyHash) {
        prefetch(self.shard(hash).table.first_bucket(hash.tag));
    }

    /// Starts fetching the entry that the look-up of a hash looks at first; false if there is none,
    /// and so no key with this hash.
    pub(crate) fn fetch_entry(&self, hash: KeyHash) -> bool {
        let shard = self.shard(hash);
        let first = shard.table.first_entry(hash.tag);
        first.inspect(|r| prefetch(shard.table.front(*r))).is_some()
    }

    /// Starts fetching what adding or removing some keys, few enough for the cache, changes of
    /// their order; nothing while somebody else changes it.
    pub(crate) fn fetch_order<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        if let Some(order) = self.order.as_ref().and_then(|order| order.try_read()) {
            keys.for_each(|key| prefetch(order.leaf_of(key)));
        }
    }

    /// Starts fetching what the look-ups of some hashes, few enough for the cache, look at.
    pub(crate) fn fetch(&self, hashes: &[KeyHash]) {
        hashes.iter().for_each(|hash| self.fetch_bucket(*hash));
        hashes.iter().for_each(|hash| {
            self.fetch_entry(*hash);
        });
    }

    /// The key's state at the tip.
    pub(crate) fn state(&self, key: &[u8], hash: KeyHash) -> Option<State> {
        self.find(key, hash, |state| state)
    }

    /// A pending range delete is newer than this entry of the key.
    #[inline]
    fn covered_at_tip(&self, key: &[u8], sequence: Sequence) -> bool {
        self.has_pending.load(Ordering::Acquire)
            && self.first_cover(key, sequence, Sequence(u64::MAX)).is_some()
    }

    /// The lowest pending range delete, up to `view`, that is newer than the entry and covers it.
    fn first_cover(&self, key: &[u8], entry: Sequence, view: Sequence) -> Option<Sequence> {
        self.pending.read().first_cover(key, entry, view)
    }
}

impl Shard {
    #[inline]
    pub(crate) fn state(&self, r: EntryRef, entry: Entry) -> State {
        let expires_at_ms = if entry.flags.has(EntryFlags::EXPIRES) {
            self.expiries.get(r).map(|e| e.at_ms)
        } else {
            None
        };
        State { entry, expires_at_ms }
    }
}

/// Looks keys up for the order index, each under its shard's lock.
impl KeySource for Index {
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.shard_at(usize::from(r.shard)).table.key(r.entry))
    }
}

/// The bounds of a range of encoded keys, borrowed.
pub(crate) fn in_range(key: &[u8], start: Bound<&[u8]>, end: Bound<&[u8]>) -> bool {
    let after = match start {
        Bound::Included(s) => key >= s,
        Bound::Excluded(s) => key > s,
        Bound::Unbounded => true,
    };
    after
        && match end {
            Bound::Included(e) => key <= e,
            Bound::Excluded(e) => key < e,
            Bound::Unbounded => true,
        }
}
