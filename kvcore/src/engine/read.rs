//! From a keydir entry to the bytes of its value, checked.
//!
//! # Invariants
//!
//! D1. No byte is returned whose checksum, keyspace and key were not compared with what was asked.
//! D2. A file that a location names is listed for as long as a keydir entry points into it.

use super::{BlobFile, Engine};
use crate::{
    error::{Error, Result},
    ids::{FileId, KeyspaceId},
    index::{Index, Item, KeyHash, State},
    keydir::{Entry, EntryFlags},
    log::{
        DataFile, FilesGuard, Found, FrameError, RecordError,
        compression::{self, UnpackError},
        decode_put_value, read_member, read_single, record_bytes,
    },
    value::{Bytes, Value, ValueRef},
    view::View,
};
use std::{
    ops::Bound,
    sync::{Arc, atomic::Ordering},
};

/// What a read makes of the value's bytes.
pub(crate) type Decoded<T> = Result<T, crate::error::BoxError>;

/// A value to be read piece by piece.
#[derive(Debug)]
pub(crate) enum OpenValue {
    InLog(Value),
    Blob(BlobFile),
}

/// A file disappeared between look-up and read only if the entry moved; then it is looked up again.
const TRIES: usize = 100;

impl Engine {
    /// Looks a key up at the tip and hands its value's bytes to `decode`, without copying them
    /// where they are mapped. Runs user code under no lock.
    #[inline]
    pub(crate) fn get<T>(
        &self,
        index: &Index,
        key: &[u8],
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<Option<T>> {
        let hash = index.hash(key);
        let Some((state, files)) = self.look_up(index, key, hash)? else { return Ok(None) };
        if state.entry.flags.has(EntryFlags::BLOB) {
            return self.get_blob(index, key, hash, decode);
        }
        let file = files.get(state.entry.location.file);
        let file = file.ok_or_else(|| self.missing_file(&state.entry))?;
        let len = record_bytes_len(index.id, key, &state.entry);
        self.read_record(file, index.id, key, (&state.entry, len), decode).map(Some)
    }

    /// A key's state at the tip, if it has not expired, and the files its record is in. The record
    /// is on its way to the cache.
    fn look_up(
        &self,
        index: &Index,
        key: &[u8],
        hash: KeyHash,
    ) -> Result<Option<(State, FilesGuard)>> {
        self.check_open()?;
        let (state, files) = {
            let shard = index.shard(hash);
            // Under the shard's lock, so it lists the file (D2). Before the look-up, because it
            // waits for every load before it and none of the look-up's should wait for it.
            let files = self.files.load();
            let Some(state) = index.find_used(&shard, key, hash) else { return Ok(None) };
            let location = state.entry.location;
            if let Some(file) = files.get(location.file) {
                let len = record_bytes_len(index.id, key, &state.entry);
                file.prefetch(u64::from(location.offset), len);
            }
            (state, files)
        };
        Ok(state.is_alive(|| self.clock.now_ms()).then_some((state, files)))
    }

    /// The same for a value in a blob, which may be superseded and unlinked meanwhile.
    fn get_blob<T>(
        &self,
        index: &Index,
        key: &[u8],
        hash: KeyHash,
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<Option<T>> {
        let value = self
            .retry(index, key, hash, |file, entry| self.value_bytes(file, index.id, key, entry))?;
        value.map(|value| decode_with(&value, decode)).transpose()
    }

    /// A key's value to be read piece by piece.
    pub(crate) fn open_value(&self, index: &Index, key: &[u8]) -> Result<Option<OpenValue>> {
        self.check_open()?;
        self.retry(index, key, index.hash(key), |file, entry| {
            self.open_entry(file, index.id, key, entry)
        })
    }

    /// The same of a place that was looked up.
    pub(crate) fn open_entry(
        &self,
        file: &Arc<DataFile>,
        keyspace: KeyspaceId,
        key: &[u8],
        entry: &Entry,
    ) -> Result<OpenValue> {
        if !entry.flags.has(EntryFlags::BLOB) {
            return self.value_bytes(file, keyspace, key, entry).map(OpenValue::InLog);
        }
        let (blob, len_bytes, checksum) = self.blob_of(file, keyspace, key, entry)?;
        self.open_blob(blob, len_bytes, checksum).map(OpenValue::Blob)
    }

    /// Looks a key up and reads its value, again if its blob disappears in between.
    fn retry<T>(
        &self,
        index: &Index,
        key: &[u8],
        hash: KeyHash,
        read: impl Fn(&Arc<DataFile>, &Entry) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut tries = 0;
        loop {
            let found = index.find(key, hash, |state| (state, self.files.load()));
            let found = found.filter(|(state, _)| state.is_alive(|| self.clock.now_ms()));
            let Some((state, files)) = found else { return Ok(None) };
            let file = files.get(state.entry.location.file);
            let file = file.ok_or_else(|| self.missing_file(&state.entry))?;
            match read(file, &state.entry) {
                Err(Error::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && tries < TRIES =>
                {
                    tries += 1;
                }
                result => return result.map(Some),
            }
        }
    }

    /// Reads a put's value and hands it to `decode`.
    pub(crate) fn read_value<T>(
        &self,
        file: &Arc<DataFile>,
        keyspace: KeyspaceId,
        key: &[u8],
        entry: &Entry,
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<T> {
        if entry.flags.has(EntryFlags::BLOB) {
            return decode_with(&self.value_bytes(file, keyspace, key, entry)?, decode);
        }
        let len = record_bytes_len(keyspace, key, entry);
        self.read_record(file, keyspace, key, (entry, len), decode)
    }

    /// Reads a put's value from a record of this length in the log.
    #[inline]
    fn read_record<T>(
        &self,
        file: &Arc<DataFile>,
        keyspace: KeyspaceId,
        key: &[u8],
        (entry, len): (&Entry, usize),
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<T> {
        let offset = u64::from(entry.location.offset);
        let (copy, owner): (Vec<u8>, Arc<dyn Bytes>);
        let value = match file.mapped(offset, len) {
            Some(bytes) => match checked_value(file, keyspace, key, entry, bytes) {
                // Above the durable watermark a page may still be lost and read differently.
                Ok(InRecord::Value(value))
                    if value.len() > crate::value::COPIED_LEN_BYTES_MAX
                        && self.is_durable(file, offset, len) =>
                {
                    owner = self.owner_of(file);
                    let start = usize::try_from(offset).unwrap_or(usize::MAX);
                    ValueRef::pinnable(value, &owner, start + offset_within(bytes, value))
                }
                Ok(InRecord::Value(value)) => ValueRef::copied(value),
                Ok(InRecord::Compressed(packed)) => {
                    copy = unpack_value(file, offset, packed)?;
                    ValueRef::copied(&copy)
                }
                Err(unsound) => return Err(corrupt(file, entry, unsound)),
            },
            None => {
                copy = read_unmapped(file, keyspace, key, (entry, len))?;
                ValueRef::copied(&copy)
            }
        };
        decode(value).map_err(|source| Error::Decode { source })
    }

    /// The value, which is in no blob, of a key whose record, of this length, is in a file that
    /// was listed when the key was found.
    #[inline]
    pub(crate) fn read_listed<T>(
        &self,
        file: Option<&Arc<DataFile>>,
        keyspace: KeyspaceId,
        key: &[u8],
        (entry, len): (&Entry, usize),
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<T> {
        debug_assert!(!entry.flags.has(EntryFlags::BLOB), "blobs are read by other means");
        let Some(file) = file else { return Err(self.missing_file(entry)) };
        self.read_record(file, keyspace, key, (entry, len), decode)
    }

    /// The value itself from there, pinned or copied.
    pub(crate) fn listed_value_bytes(
        &self,
        file: Option<&Arc<DataFile>>,
        keyspace: KeyspaceId,
        key: &[u8],
        entry: &Entry,
    ) -> Result<Value> {
        let file = file.ok_or_else(|| self.missing_file(entry))?;
        self.value_bytes(file, keyspace, key, entry)
    }

    /// What a value in this file is pinned in: the stripe of this thread, so that threads do not
    /// count where others do. A file that has been merged away has none.
    fn owner_of(&self, file: &Arc<DataFile>) -> Arc<dyn Bytes> {
        match self.files.load().pin(file.id) {
            Some(pin) => pin.into(),
            None => Arc::clone(file) as Arc<dyn Bytes>,
        }
    }

    /// The value itself, pinned or copied.
    pub(crate) fn value_bytes(
        &self,
        file: &Arc<DataFile>,
        keyspace: KeyspaceId,
        key: &[u8],
        entry: &Entry,
    ) -> Result<Value> {
        if !entry.flags.has(EntryFlags::BLOB) {
            return self.read_value(file, keyspace, key, entry, |v| Ok(v.to_value()));
        }
        let (blob, len_bytes, checksum) = self.blob_of(file, keyspace, key, entry)?;
        self.read_blob(blob, len_bytes, checksum).map(Value::from)
    }

    /// File, length and checksum of the blob that the record of an entry refers to.
    fn blob_of(
        &self,
        file: &Arc<DataFile>,
        keyspace: KeyspaceId,
        key: &[u8],
        entry: &Entry,
    ) -> Result<(FileId, u64, u32)> {
        let offset = u64::from(entry.location.offset);
        let len = record_bytes_len(keyspace, key, entry);
        let bytes = file.with_bytes(offset, len, <[u8]>::to_vec)?;
        let record = checked_record(file, entry, &bytes).map_err(|e| corrupt(file, entry, e))?;
        match decode_put_value(record, keyspace, key) {
            Ok(Found::Blob { blob, len_bytes, checksum }) => Ok((blob, len_bytes, checksum)),
            Ok(_) => Err(file.corrupt(offset, "a blob reference was expected")),
            Err(e) => Err(file.corrupt(offset, e)),
        }
    }

    /// Length of an entry's stored value. Read from its record only where the keydir's field is
    /// too narrow for it.
    pub(crate) fn value_len(&self, keyspace: KeyspaceId, item: &Item) -> u64 {
        let entry = &item.state.entry;
        let known = u64::from(entry.value_len);
        if entry.value_len < u32::MAX || !entry.flags.has(EntryFlags::BLOB) {
            return known;
        }
        self.blob_of(&item.file, keyspace, &item.key, entry).map_or(known, |(_, len, _)| len)
    }

    fn is_durable(&self, file: &DataFile, offset: u64, len: usize) -> bool {
        // A hint is written only for what was durable. Copies are newer than the watermark's file
        // and count as not durable, which costs a copy of the value.
        match self.sync.durable_position() {
            Some(at) if at.file == file.id => offset + len as u64 <= at.offset,
            Some(at) => file.id < at.file,
            None => file.has_hint.load(Ordering::Acquire),
        }
    }

    /// One key at an open view, if it was there and had not expired.
    pub(crate) fn item_at(&self, index: &Index, key: &[u8], view: &View) -> Result<Option<Item>> {
        self.check_open()?;
        let item = index.item_of(&self.files, key, view.sequence);
        Ok(item.filter(|item| item.state.is_alive(|| view.now_ms)))
    }

    /// The value a key had at an open view. Runs user code under no lock.
    pub(crate) fn get_at<T>(
        &self,
        index: &Index,
        key: &[u8],
        view: &View,
        decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>,
    ) -> Result<Option<T>> {
        let Some(Item { state, file, .. }) = self.item_at(index, key, view)? else {
            return Ok(None);
        };
        self.read_value(&file, index.id, key, &state.entry, decode).map(Some)
    }

    /// Keys of a range at an open view; of an unordered keyspace all of them.
    pub(crate) fn count_at(
        &self,
        index: &Index,
        start: Bound<&[u8]>,
        end: Bound<&[u8]>,
        view: &View,
    ) -> Result<u64> {
        self.check_open()?;
        // Without an order index to hold, the views' mutex keeps commits out.
        let _no_commits = (!index.is_ordered()).then(|| self.views.lock());
        Ok(index.count_at(start, end, view.sequence))
    }

    /// An entry to be read later. Called under the shard's lock, so the file is listed (D2).
    pub(crate) fn item(&self, key: &[u8], state: State) -> Option<Item> {
        let file = self.files.load().pin(state.entry.location.file)?;
        Some(Item { key: key.into(), state, file })
    }

    #[cold]
    fn missing_file(&self, entry: &Entry) -> Error {
        let name = crate::log::file_names::data(entry.location.file);
        let offset = u64::from(entry.location.offset);
        crate::log::corrupt(&self.dir.join(name), offset, "the file is not part of the store")
    }
}

fn decode_with<T>(value: &Value, decode: impl FnOnce(ValueRef<'_>) -> Decoded<T>) -> Result<T> {
    decode(ValueRef::copied(value)).map_err(|source| Error::Decode { source })
}

/// Length of what a location points at: the frame of a single put, or the member of a batch.
pub(crate) fn record_bytes_len(keyspace: KeyspaceId, key: &[u8], entry: &Entry) -> usize {
    usize::try_from(record_bytes(keyspace, key.len(), entry)).unwrap_or(usize::MAX)
}

/// A put's value where nothing is mapped, from a copy of its record.
#[cold]
fn read_unmapped(
    file: &DataFile,
    keyspace: KeyspaceId,
    key: &[u8],
    (entry, len): (&Entry, usize),
) -> Result<Vec<u8>> {
    let bytes = file.with_bytes(u64::from(entry.location.offset), len, <[u8]>::to_vec)?;
    match checked_value(file, keyspace, key, entry, &bytes) {
        Ok(InRecord::Value(value)) => Ok(value.to_vec()),
        Ok(InRecord::Compressed(packed)) => {
            unpack_value(file, u64::from(entry.location.offset), packed)
        }
        Err(unsound) => Err(corrupt(file, entry, unsound)),
    }
}

/// Why bytes are not the record they should be.
#[derive(Debug, thiserror::Error)]
enum Unsound {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("a value was expected")]
    NoValue,
}

#[cold]
fn corrupt(file: &DataFile, entry: &Entry, unsound: Unsound) -> Error {
    file.corrupt(u64::from(entry.location.offset), unsound)
}

#[inline]
fn checked_record<'b>(
    file: &DataFile,
    entry: &Entry,
    bytes: &'b [u8],
) -> Result<&'b [u8], Unsound> {
    let offset = u64::from(entry.location.offset);
    let record = if entry.flags.has(EntryFlags::MEMBER) {
        read_member(bytes, file.key, offset, entry.sequence)
    } else {
        read_single(bytes, file.key, offset)
    };
    Ok(record?)
}

#[inline]
fn checked_value<'b>(
    file: &DataFile,
    keyspace: KeyspaceId,
    key: &[u8],
    entry: &Entry,
    bytes: &'b [u8],
) -> Result<InRecord<'b>, Unsound> {
    match decode_put_value(checked_record(file, entry, bytes)?, keyspace, key)? {
        Found::Value(value) => Ok(InRecord::Value(value)),
        Found::Compressed(packed) => Ok(InRecord::Compressed(packed)),
        Found::Blob { .. } => Err(Unsound::NoValue),
    }
}

/// What a put's record holds of its value.
enum InRecord<'b> {
    Value(&'b [u8]),
    Compressed(&'b [u8]),
}

/// Unpacks a value of the record at this offset, or thereabouts.
#[cold]
pub(super) fn unpack_value(file: &DataFile, offset: u64, packed: &[u8]) -> Result<Vec<u8>> {
    compression::unpack(packed).map_err(|e| match e {
        UnpackError::NotBuilt => Error::NewerFormat {
            path: file.path.clone(),
            found: e.to_string(),
            supported: "plain values".to_owned(),
        },
        UnpackError::Damaged { .. } => file.corrupt(offset, e),
    })
}

/// Where `part` starts inside `whole`, of which it is a part.
fn offset_within(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}
