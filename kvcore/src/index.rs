//! The keydir of one keyspace: sharded tables, the order index, pending range deletes, undo.
//!
//! Knows keys as bytes, locations and locks. Does not know types, records or the log.
//!
//! # Invariants
//!
//! X1. Only the holder of the store's writer lock adds or removes entries. Merge may change where
//!     an entry points, under its shard's lock.
//! X2. Locks are taken in this order: order index, shards, then undo and pending ranges. Whoever
//!     holds more than one shard holds the writer lock. The pending ranges of an ordered keyspace
//!     change only under the order index's write lock, so pages may look at shards meanwhile.
//! X3. Without pending ranges the order index holds exactly the keys of the tables.
//! X4. An open view finds, for every key, the state at its sequence: in undo if the key changed
//!     since, else in the table. Both are changed under the shard's lock.
//! X5. No lock of this module is held while user code runs.

use crate::{
    engine::BlobTable,
    ids::{KeyspaceId, Location, Sequence},
    keydir::{
        Entry, EntryFlags, EntryRef, Expiry, ExpiryIndex, KeySource, OrderIndex, OrderRef, Table,
        Uses,
    },
    log::{DataFile, FileTable, record_bytes},
    view::Views,
};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::{
    hash::Hasher,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

mod budget;
mod frozen;
mod held;
mod load;
mod page;
mod past;
mod pending;
mod trade;
mod undo;

use budget::Budget;
use frozen::Frozen;
pub(crate) use held::{Change, Held, NEVER_MS, PutChange};
pub(crate) use load::{Dead, Loaded};
pub(crate) use page::{Item, PageRequest, TIP};
use pending::Pending;
use undo::OldState;
pub(crate) use undo::Undo;

/// Tables per keyspace. Part of the meaning of a scan cursor, so it cannot change.
pub(crate) const SHARDS: usize = 64;

/// Memory of a key besides its own bytes, as measured with random keys. The table grows in steps,
/// so that the real figure moves around it.
const UNORDERED_BYTES: u64 = 38;
const ORDERED_BYTES: u64 = 56;
/// The same for an expiry.
const EXPIRY_BYTES: u64 = 56;

/// The keyed hash that places keys; its key is stored, so cursors mean the same after a restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashKey(pub(crate) [u8; 16]);

/// Where a key's entry is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash {
    pub(crate) shard: u8,
    pub(crate) tag: u32,
}

impl HashKey {
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = siphasher::sip::SipHasher13::new_with_key(&self.0);
        hasher.write(key);
        KeyHash::from_bits(hasher.finish())
    }
}

impl KeyHash {
    fn from_bits(hash: u64) -> KeyHash {
        let [shard, ..] = (hash >> 58).to_le_bytes();
        let [a, b, c, d, ..] = (hash >> 26).to_le_bytes();
        KeyHash { shard, tag: u32::from_le_bytes([a, b, c, d]) }
    }
}

/// One shard: a table and the expiries of its entries, behind one lock, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct ShardLock(RwLock<Shard>);

#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) table: Table,
    pub(crate) expiries: ExpiryIndex,
    /// Empty unless the keyspace has a budget.
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
    len: AtomicU64,
    pending: RwLock<Vec<Pending>>,
    has_pending: AtomicBool,
    undo: RwLock<Undo>,
    /// Undo is not empty. Changed under the shard's lock, so that reads need look no further.
    has_undo: AtomicBool,
    /// Bytes for the entries in the tables, by [`Index::entry_bytes`].
    entries_bytes: AtomicU64,
    /// Entries with an expiry time, so that a keyspace without any is not looked through.
    expiring: AtomicU64,
    /// Of all keys and values, those that a pending range delete covers included.
    data_bytes: AtomicU64,
    budget: Budget,
    frozen: Frozen,
}

/// What applying a change needs to know of the world.
pub(crate) struct Applying<'a> {
    pub(crate) files: &'a FileTable,
    pub(crate) views: &'a Views,
    /// The file that the records being applied are in.
    pub(crate) file: &'a DataFile,
    pub(crate) blobs: &'a BlobTable,
}

impl Index {
    pub(crate) fn new(id: KeyspaceId, ordered: bool, hash_key: HashKey) -> Index {
        Index {
            id,
            hash_key,
            shards: (0..SHARDS).map(|_| ShardLock::default()).collect(),
            order: ordered.then(RwLock::default),
            len: AtomicU64::new(0),
            pending: RwLock::default(),
            has_pending: AtomicBool::new(false),
            undo: RwLock::default(),
            has_undo: AtomicBool::new(false),
            entries_bytes: AtomicU64::new(0),
            expiring: AtomicU64::new(0),
            data_bytes: AtomicU64::new(0),
            budget: Budget::default(),
            frozen: Frozen::default(),
        }
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.order.is_some()
    }

    /// Keys at the tip, expired ones included until their removal. Exact.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    pub(crate) fn expiring(&self) -> u64 {
        self.expiring.load(Ordering::Relaxed)
    }

    /// Bytes of keys and values. Exact, except while a range delete is worked off.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn shard(&self, hash: KeyHash) -> RwLockReadGuard<'_, Shard> {
        self.shards[usize::from(hash.shard)].0.read()
    }

    pub(crate) fn shard_at(&self, shard: usize) -> RwLockReadGuard<'_, Shard> {
        self.shards[shard].0.read()
    }

    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        self.hash_key.hash(key)
    }

    fn shard_mut(&self, shard: usize) -> RwLockWriteGuard<'_, Shard> {
        self.shards[shard].0.write()
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

    /// The same for a read by the user, which counts as a use of the entry.
    #[inline]
    pub(crate) fn find_used<R>(
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
        self.note_read(&shard, r);
        Some(with(shard.state(r, entry)))
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
        let pending = self.pending.read();
        let covers = |p: &&Pending| p.sequence > entry && p.sequence <= view && p.contains(key);
        pending.iter().filter(covers).map(|p| p.sequence).min()
    }

    // ---- changes: only by the holder of the writer lock ----

    /// Applies one put. The common case, an overwrite, takes one shard lock and nothing else.
    pub(crate) fn put(&self, cx: &Applying<'_>, put: &PutChange<'_>) {
        {
            let mut shard = self.shard_mut(usize::from(put.hash.shard));
            match shard.table.get(put.hash.tag, put.key) {
                Some((r, old)) if !self.covered_at_tip(put.key, old.sequence) => {
                    self.overwrite(cx, &mut shard, r, old, put);
                    return;
                }
                None if self.order.is_none() => {
                    self.insert_absent(cx, &mut shard, put);
                    return;
                }
                _ => {}
            }
        }
        self.hold(1 << put.hash.shard).apply(cx, &Change::Put(*put));
    }

    /// Locks the order index and some shards (one bit each), for changes that must become visible
    /// together.
    pub(crate) fn hold(&self, shards: u64) -> Held<'_> {
        Held::new(self, shards)
    }

    fn overwrite(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        r: EntryRef,
        old: Entry,
        put: &PutChange<'_>,
    ) {
        self.keep_undo(cx, put.key, shard.state(r, old).into(), put.entry.sequence);
        self.forget_record(cx, put.key.len(), &old, put.entry.sequence);
        if old.flags.has(EntryFlags::EXPIRES) {
            self.forget_expiry(shard, r);
        }
        shard.table.set(r, put.entry);
        self.remember_record(cx, shard, r, put);
    }

    fn insert_absent(&self, cx: &Applying<'_>, shard: &mut Shard, put: &PutChange<'_>) -> EntryRef {
        self.keep_undo(cx, put.key, None, put.entry.sequence);
        let r = load::insert(&mut shard.table, put.hash.tag, put.key, put.entry);
        self.remember_record(cx, shard, r, put);
        self.len.fetch_add(1, Ordering::Release);
        self.entries_bytes.fetch_add(self.entry_bytes(put.key.len()), Ordering::Relaxed);
        r
    }

    fn remember_record(
        &self,
        cx: &Applying<'_>,
        shard: &mut Shard,
        r: EntryRef,
        put: &PutChange<'_>,
    ) {
        cx.file.add_live(record_bytes(self.id, put.key.len(), &put.entry));
        self.data_bytes.fetch_add(data_bytes(put.key.len(), &put.entry), Ordering::Relaxed);
        self.note_written(shard, r);
        if let Some((id, len)) = put.blob {
            cx.blobs.add(put.entry.sequence, id, len);
        }
        if let Some(at_ms) = put.expires_at_ms {
            shard.expiries.set(r, Expiry { at_ms, change: None });
            self.expiring.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn forget_expiry(&self, shard: &mut Shard, r: EntryRef) {
        if shard.expiries.remove(r).is_some() {
            self.expiring.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The record behind this entry is dead from now on.
    fn forget_record(&self, cx: &Applying<'_>, key_len: usize, old: &Entry, until: Sequence) {
        self.data_bytes.fetch_sub(data_bytes(key_len, old), Ordering::Relaxed);
        if old.flags.has(EntryFlags::BLOB) {
            cx.blobs.supersede(old.sequence, until);
        }
        if let Some(file) = cx.files.get(old.location.file) {
            file.sub_live(record_bytes(self.id, key_len, old));
            file.note_dead(old.sequence);
        }
    }

    fn keep_undo(&self, cx: &Applying<'_>, key: &[u8], old: Option<State>, until: Sequence) {
        if cx.views.is_empty() {
            return;
        }
        let old = old.map(|state| OldState {
            state,
            file: cx.files.get(state.entry.location.file).cloned(),
        });
        self.undo.write().keep(key, old, until, cx.views);
        self.has_undo.store(true, Ordering::Release);
    }

    // ---- merge ----

    /// The keydir points at this place for this key.
    pub(crate) fn points_at(&self, key: &[u8], hash: KeyHash, location: Location) -> bool {
        let shard = self.shard(hash);
        shard.table.get(hash.tag, key).is_some_and(|(_, e)| e.location == location)
    }

    /// The latest expiry-change record of this key's entry is at this place.
    pub(crate) fn change_points_at(&self, key: &[u8], hash: KeyHash, location: Location) -> bool {
        let shard = self.shard(hash);
        shard
            .table
            .get(hash.tag, key)
            .and_then(|(r, _)| shard.expiries.get(r))
            .and_then(|e| e.change)
            .is_some_and(|(at, _)| at == location)
    }

    /// Points the entry at the copy, if it still means the copied record. False if it does not.
    pub(crate) fn relocate(
        &self,
        key: &[u8],
        hash: KeyHash,
        sequence: Sequence,
        (file, to): (&DataFile, Location),
        files: &FileTable,
    ) -> bool {
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let Some((r, old)) = shard.table.get(hash.tag, key) else { return false };
        if old.sequence != sequence {
            return false;
        }
        // Copies are batches of one.
        let flags = old.flags.without(EntryFlags::MEMBER);
        let entry = Entry { location: to, flags, ..old };
        shard.table.set(r, entry);
        file.add_live(record_bytes(self.id, key.len(), &entry));
        if let Some(input) = files.get(old.location.file) {
            input.sub_live(record_bytes(self.id, key.len(), &old));
        }
        true
    }

    /// The same for an expiry-change record.
    pub(crate) fn relocate_change(
        &self,
        key: &[u8],
        hash: KeyHash,
        sequence: Sequence,
        to: Location,
    ) {
        let mut shard = self.shard_mut(usize::from(hash.shard));
        let Some((r, _)) = shard.table.get(hash.tag, key) else { return };
        if let Some(mut expiry) = shard.expiries.get(r)
            && expiry.change.is_some_and(|(_, change)| change == sequence)
        {
            expiry.change = Some((to, sequence));
            shard.expiries.set(r, expiry);
        }
    }

    // ---- statistics ----

    /// Heap bytes of tables and order index, keys included.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let shards: u64 = self
            .shards
            .iter()
            .map(|s| {
                let shard = s.0.read();
                shard.table.memory_bytes()
                    + shard.expiries.memory_bytes()
                    + shard.uses.memory_bytes()
            })
            .sum();
        let order = self.order.as_ref().map_or(0, |o| o.read().memory_bytes());
        shards + order + (SHARDS * size_of::<ShardLock>()) as u64
    }

    /// About the same as [`Index::memory_bytes`], from counts alone: cheap enough for every put.
    pub(crate) fn footprint_bytes(&self) -> u64 {
        let fixed = (SHARDS * size_of::<ShardLock>()) as u64;
        let expiries = self.expiring() * EXPIRY_BYTES;
        fixed + self.entries_bytes.load(Ordering::Relaxed) + expiries
    }

    /// What a key adds to the footprint if it is put; 0 if it is there.
    pub(crate) fn added_bytes(&self, key: &[u8]) -> u64 {
        match self.state(key, self.hash(key)) {
            Some(_) => 0,
            None => self.entry_bytes(key.len()),
        }
    }

    /// An entry, its part of the table and, in an ordered keyspace, of the order index.
    fn entry_bytes(&self, key_len: usize) -> u64 {
        key_len as u64 + if self.is_ordered() { ORDERED_BYTES } else { UNORDERED_BYTES }
    }

    /// Records of undo, and their heap bytes.
    pub(crate) fn undo_size(&self) -> (u64, u64) {
        let undo = self.undo.read();
        (undo.len(), undo.memory_bytes())
    }

    // ---- expiry ----

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

    // ---- scan and random ----

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
            let buckets: Vec<u64> =
                self.shards.iter().map(|s| s.0.read().table.len() as u64).collect();
            let total: u64 = buckets.iter().sum();
            let mut at = rng().checked_rem(total)?;
            let number = buckets.iter().position(|&n| {
                let here = at < n;
                at = at.saturating_sub(n);
                here
            })?;
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

impl Shard {
    pub(crate) fn state(&self, r: EntryRef, entry: Entry) -> State {
        let expires_at_ms = if entry.flags.has(EntryFlags::EXPIRES) {
            self.expiries.get(r).map(|e| e.at_ms)
        } else {
            None
        };
        State { entry, expires_at_ms }
    }
}

/// What an entry counts towards a keyspace's data.
fn data_bytes(key_len: usize, entry: &Entry) -> u64 {
    key_len as u64 + u64::from(entry.value_len)
}

/// Looks keys up for the order index, each under its shard's lock.
impl KeySource for Index {
    fn with_key<R>(&self, r: OrderRef, f: impl FnOnce(&[u8]) -> R) -> R {
        f(self.shard_at(usize::from(r.shard)).table.key(r.entry))
    }
}

/// A cursor is one more than shard and tag; zero is the start (and, returned, the end).
fn split_cursor(cursor: u64) -> Option<(usize, u32)> {
    let at = cursor.saturating_sub(1);
    let tag = u32::try_from(at & u64::from(u32::MAX)).expect("masked");
    let shard = usize::try_from(at >> 32).ok().filter(|s| *s < SHARDS)?;
    Some((shard, tag))
}

fn join_cursor(shard: usize, tag: u32) -> u64 {
    ((shard as u64) << 32 | u64::from(tag)) + 1
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

/// Keeps one file alive for as long as an item may read from it.
pub(crate) type FilePin = Arc<DataFile>;
