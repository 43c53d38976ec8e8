//! A batch on its way to the log, and from there to the keydir.
//!
//! # Invariants
//!
//! P1. Keys are hashed when records are added, outside the writer lock.
//! P2. A batch becomes visible as a whole: its tables are locked together (C2).

use super::{
    append::{Appended, FRAME_BYTES_MAX},
    space::Purpose,
};
use crate::{
    error::{Error, Result},
    ids::{FileId, Location, Sequence},
    index::{Applying, Change, Held, Index, KeyHash, NEVER_MS, PutChange},
    keydir::{Entry, EntryFlags},
    log::{BatchEncoder, Record},
};
use std::{cell::Cell, sync::Arc};

/// The target of a record that is about no keyspace.
/// Where the keys of a batch are is fetched ahead up to so many records: keys of longer ones do not
/// come by surprise, and who has many may fetch them together, for less.
const FETCHED_RECORDS_MAX: usize = 2;

const NO_INDEX: u16 = u16::MAX;

/// Records of one commit, encoded, with the index each belongs to.
#[derive(Debug, Default)]
pub(crate) struct PreparedBatch {
    pub(crate) encoder: BatchEncoder,
    pub(crate) indexes: Vec<Arc<Index>>,
    /// For every record, what it is about.
    targets: Vec<Target>,
    /// Expiry changes, whose puts' sequences are known only when the batch is appended.
    expiries: Vec<LateExpiry>,
}

/// Where a record belongs.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// The position of its index.
    index: u16,
    /// Where its key is; `None` for records that are not about one key.
    hash: Option<KeyHash>,
}

/// An expiry change on its way into a batch.
#[derive(Debug)]
struct LateExpiry {
    index: Arc<Index>,
    key: Vec<u8>,
    at_ms: Option<u64>,
    /// How many of the batch's records came before it.
    after: usize,
    judged: Judged,
}

/// Whether the key is still there to be given another expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// It is not, if it has expired by now.
    ByClock,
    /// It was there, where the change was made.
    AsTold,
}

/// The encoded records of a batch that is kept for the next one take at most so much.
const SPARE_BYTES_MAX: usize = 64 << 10;

thread_local! {
    /// An empty batch whose memory the next one uses.
    static SPARE: Cell<Option<PreparedBatch>> = const { Cell::new(None) };
}

impl PreparedBatch {
    /// An empty batch, with the memory of one that was given back, if there is any.
    pub(crate) fn lent() -> PreparedBatch {
        SPARE.take().unwrap_or_default()
    }

    /// Leaves its memory to the next batch of this thread.
    pub(crate) fn give_back(mut self) {
        if self.encoder.capacity_bytes() <= SPARE_BYTES_MAX {
            self.encoder.clear();
            self.indexes.clear();
            self.targets.clear();
            self.expiries.clear();
            SPARE.set(Some(self));
        }
    }

    /// It puts something.
    pub(crate) fn grows(&self) -> bool {
        Purpose::of(&self.encoder) == Purpose::Growing
    }

    /// Adds a change of the expiry of a key, of the put it has when the batch is committed.
    pub(crate) fn push_expiry(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
    ) -> Result<()> {
        self.push_late(index, key, at_ms, Judged::ByClock)
    }

    /// The same of a change that was made elsewhere, whatever the time is here.
    pub(crate) fn push_told_expiry(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
    ) -> Result<()> {
        self.push_late(index, key, at_ms, Judged::AsTold)
    }

    fn push_late(
        &mut self,
        index: &Arc<Index>,
        key: &[u8],
        at_ms: Option<u64>,
        judged: Judged,
    ) -> Result<()> {
        let (index, key, after) = (Arc::clone(index), key.to_vec(), self.targets.len());
        self.expiries.push(LateExpiry { index, key, at_ms, after, judged });
        Ok(())
    }

    /// Turns the expiry changes into records, now that the first sequence is known. They come
    /// last, which is the same: what a later record of the batch overwrites is left out, and so
    /// is what would bring an expired key back.
    pub(super) fn settle_expiries(&mut self, first: Sequence, now_ms: u64) -> Result<()> {
        for late in std::mem::take(&mut self.expiries) {
            let Some((put_sequence, expires_at_ms)) = self.put_of(&late, first) else { continue };
            let stays = expires_at_ms.is_none_or(|at_ms| at_ms == NEVER_MS);
            let is_gone = late.judged == Judged::ByClock
                && expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
            if is_gone || (stays && late.at_ms.is_none()) {
                continue;
            }
            let record = Record::ExpiryChange {
                keyspace: late.index.id,
                key: &late.key,
                put_sequence,
                expires_at_ms: late.at_ms,
            };
            self.push(&late.index, &record)?;
        }
        Ok(())
    }

    /// The put whose expiry is meant and when it expires so far, if it is the key's at the end.
    fn put_of(&self, late: &LateExpiry, first: Sequence) -> Option<(Sequence, Option<u64>)> {
        let about = |i: &usize| match self.encoder.record(*i) {
            Record::Put { keyspace, key, .. }
            | Record::BlobRef { keyspace, key, .. }
            | Record::Tombstone { keyspace, key } => keyspace == late.index.id && key == late.key,
            Record::RangeTombstone { keyspace, start, end } => {
                keyspace == late.index.id && crate::index::in_range(&late.key, start, end)
            }
            Record::ExpiryChange { .. } | Record::Watermark { .. } => false,
        };
        let last = (0..self.targets.len()).rev().find(about);
        let (put, expires_at_ms) = match last {
            Some(i) if i >= late.after => return None,
            Some(i) => match self.encoder.record(i) {
                Record::Put { expires_at_ms, .. } | Record::BlobRef { expires_at_ms, .. } => {
                    (Sequence(first.0 + i as u64), expires_at_ms)
                }
                _ => return None,
            },
            None => {
                let state = late.index.state(&late.key, late.index.hash(&late.key))?;
                (state.entry.sequence, state.expires_at_ms)
            }
        };
        Some((put, self.changed_expiry(put).unwrap_or(expires_at_ms)))
    }

    /// What an earlier change in this batch made of a put's expiry.
    fn changed_expiry(&self, put: Sequence) -> Option<Option<u64>> {
        (0..self.targets.len()).rev().find_map(|i| match self.encoder.record(i) {
            Record::ExpiryChange { put_sequence, expires_at_ms, .. } if put_sequence == put => {
                Some(expires_at_ms)
            }
            _ => None,
        })
    }

    /// Adds a record for this index.
    pub(crate) fn push(&mut self, index: &Arc<Index>, record: &Record<'_>) -> Result<()> {
        let known = self.indexes.iter().rposition(|i| Arc::ptr_eq(i, index));
        let at = known.unwrap_or_else(|| {
            self.indexes.push(Arc::clone(index));
            self.indexes.len() - 1
        });
        let at = u16::try_from(at).map_err(|_| Error::BatchTooLarge {
            len_bytes: at as u64,
            max_bytes: u16::MAX.into(),
        })?;
        let len = (self.encoder.frame_len() + record.encoded_len()) as u64;
        if len > FRAME_BYTES_MAX {
            return Err(Error::BatchTooLarge { len_bytes: len, max_bytes: FRAME_BYTES_MAX });
        }
        let hash = record.key().map(|key| index.hash(key));
        if let Some(hash) = hash.filter(|_| self.targets.len() < FETCHED_RECORDS_MAX) {
            // Arrives while the record is encoded and checksummed.
            index.fetch_bucket(hash);
        }
        self.encoder.push_open(record);
        self.targets.push(Target { index: at, hash });
        Ok(())
    }

    /// The blobs its records refer to.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = FileId> {
        (0..self.targets.len()).filter_map(|i| match self.encoder.record(i) {
            Record::BlobRef { blob, .. } => Some(blob),
            _ => None,
        })
    }

    /// Adds a record that is about no keyspace.
    pub(crate) fn push_bare(&mut self, record: &Record<'_>) {
        self.encoder.push(record);
        self.targets.push(Target { index: NO_INDEX, hash: None });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.expiries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len() + self.expiries.len()
    }

    /// Expiry changes wait for the first sequence.
    pub(super) fn has_late_expiries(&self) -> bool {
        !self.expiries.is_empty()
    }

    /// The index that the record at `i` is about.
    pub(super) fn index_of(&self, i: usize) -> Option<&Arc<Index>> {
        self.indexes.get(usize::from(self.targets.get(i)?.index))
    }

    /// How many records are encoded.
    pub(crate) fn record_count(&self) -> usize {
        self.targets.len()
    }

    /// The index and hash of the only put it holds, if it holds nothing else.
    pub(super) fn single_put(&self) -> Option<(&Arc<Index>, KeyHash)> {
        let ([index], [Target { hash: Some(hash), .. }]) = (&self.indexes[..], &self.targets[..])
        else {
            return None;
        };
        let is_put = matches!(self.encoder.record(0), Record::Put { .. } | Record::BlobRef { .. });
        is_put.then_some((index, *hash))
    }

    /// Applies the records, all of them or, for a reader, none yet.
    pub(super) fn apply(&self, cx: &Applying<'_>, at: &Appended<'_>) {
        if self.indexes.len() == 1 && self.targets.iter().all(|target| target.index == 0) {
            let mut held = self.hold(0);
            for (i, target) in self.targets.iter().enumerate() {
                held.apply(cx, &self.change(i, target, at));
            }
            return;
        }
        // Everything is locked before anything changes; keyspaces in the order of their ids.
        let mut order: Vec<usize> = (0..self.indexes.len()).collect();
        order.sort_by_cached_key(|i| u64::from(self.indexes[*i].id.0));
        let mut held: Vec<Option<Held<'_>>> = Vec::new();
        held.resize_with(self.indexes.len(), || None);
        for i in order {
            held[i] = Some(self.hold(i));
        }
        for (i, target) in self.targets.iter().enumerate() {
            let change = self.change(i, target, at);
            if let Some(Some(held)) = held.get_mut(usize::from(target.index)) {
                held.apply(cx, &change);
            }
        }
    }

    fn change(&self, i: usize, target: &Target, at: &Appended<'_>) -> Change<'_> {
        let hash = target.hash.unwrap_or(KeyHash { shard: 0, tag: 0 });
        change_of(&self.encoder, i, at, hash)
    }

    /// Locks what the records of one index touch.
    fn hold(&self, i: usize) -> Held<'_> {
        let mine = self.targets.iter().filter(|t| usize::from(t.index) == i);
        let mut shards: u64 = 0;
        for target in mine {
            match target.hash {
                Some(hash) => shards |= 1 << hash.shard,
                None => shards = u64::MAX,
            }
        }
        self.indexes[i].hold(shards)
    }
}

/// What the record at `i` does to its keydir, now that its place is known.
pub(super) fn change_of<'a>(
    batch: &'a BatchEncoder,
    i: usize,
    at: &Appended<'_>,
    hash: KeyHash,
) -> Change<'a> {
    let sequence = Sequence(at.first.0 + i as u64);
    let offset = at.offset + u64::from(batch.member_offset(i));
    let offset = u32::try_from(offset).expect("a data file ends below 4 GiB");
    let location = Location { file: at.file.id, offset };
    let record = batch.record(i);
    let member = if batch.is_single() { EntryFlags::NONE } else { EntryFlags::MEMBER };
    match record {
        Record::Put { .. } | Record::BlobRef { .. } => {
            Change::Put(put_change(&record, hash, sequence, location, member))
        }
        Record::Tombstone { key, .. } => Change::Delete { key, hash, sequence },
        Record::RangeTombstone { start, end, .. } => Change::DeleteRange { start, end, sequence },
        Record::ExpiryChange { key, put_sequence, expires_at_ms, .. } => Change::Expire {
            key,
            put: put_sequence,
            at_ms: expires_at_ms,
            record: (location, sequence),
        },
        Record::Watermark { .. } => Change::Nothing,
    }
}

/// The keydir entry of a put or blob reference.
pub(crate) fn put_change<'a>(
    record: &Record<'a>,
    hash: KeyHash,
    sequence: Sequence,
    location: Location,
    member: EntryFlags,
) -> PutChange<'a> {
    let (key, len, expires_at_ms, blob) = match *record {
        Record::Put { key, value, expires_at_ms, .. } => {
            (key, value.len() as u64, expires_at_ms, None)
        }
        Record::BlobRef { key, len_bytes, expires_at_ms, blob, .. } => {
            (key, len_bytes, expires_at_ms, Some(blob))
        }
        _ => unreachable!("called with puts and blob references only"),
    };
    let mut flags = member;
    if blob.is_some() {
        flags = flags.with(EntryFlags::BLOB);
    }
    if expires_at_ms.is_some() {
        flags = flags.with(EntryFlags::EXPIRES).with(EntryFlags::EXPIRY_IN_RECORD);
    }
    // A blob's exact length is in its record; here it saturates.
    let value_len = u32::try_from(len).unwrap_or(u32::MAX);
    let entry = Entry { sequence, location, value_len, flags };
    PutChange { key, hash, entry, expires_at_ms, blob: blob.map(|id| (id, len)) }
}
