//! Bytes of frames that a feed has in hand: lent by a mapped file, or copied.
//!
//! Knows one verified frame and where its records start. Does not know files' order.

use crate::{
    error::{Error, Result},
    ids::{FileId, KeyspaceId, Sequence},
    log::{DataFile, Form, FrameView, MEMBER_OVERHEAD, Record, SINGLE_OVERHEAD},
};
use std::{
    ops::{Bound, Range},
    sync::Arc,
};

/// Bytes of one data file that stay what they are.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) file: Arc<DataFile>,
    /// Where in the file they start.
    pub(super) at: u64,
    pub(super) source: Source,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    /// So many bytes, lent by the map: durable, so that no page can be lost and read differently.
    Mapped(usize),
    Copied(Arc<[u8]>),
}

impl Held {
    pub(super) fn bytes(&self) -> &[u8] {
        match &self.source {
            Source::Copied(bytes) => bytes,
            Source::Mapped(len) => {
                let bytes = self.file.mapped(self.at, *len);
                bytes.expect("written bytes of a mapped file stay mapped")
            }
        }
    }

    /// The error for what was found at `start`.
    fn corrupt(&self, start: usize, what: impl ToString) -> Error {
        self.file.corrupt(self.at.saturating_add(start as u64), what)
    }
}

/// A frame whose records are given one by one.
#[derive(Debug)]
pub(super) struct HeldFrame {
    bytes: Held,
    /// Where the next record, or its checksum, starts in the bytes.
    next_at: usize,
    next: Sequence,
    pub(super) last: Sequence,
    /// What comes before each record: its checksum, in a batch of more than one.
    overhead: usize,
}

impl HeldFrame {
    /// The frame that starts at `start` of `bytes`, of which `view` is what was parsed there.
    pub(super) fn new(bytes: Held, start: usize, view: &FrameView<'_>) -> HeldFrame {
        let first_at = view.members().next().map_or(0, |m| m.at);
        let first_at = usize::try_from(first_at).unwrap_or(usize::MAX);
        let (next_at, overhead) = match view.is_single() {
            true => (start + SINGLE_OVERHEAD, 0),
            false => (start + first_at, MEMBER_OVERHEAD),
        };
        HeldFrame { bytes, next_at, next: view.first, last: view.last(), overhead }
    }

    /// The next record. Its frame was verified, but the medium may have changed its mind since.
    pub(super) fn take(&mut self) -> Option<Result<HeldRecord>> {
        if self.next > self.last {
            return None;
        }
        let start = self.next_at + self.overhead;
        let bytes = self.bytes.bytes();
        let decoded = Record::decode(bytes.get(start..).unwrap_or_default());
        let (what, len) = match decoded {
            Ok((record, len)) => (What::of(&record, bytes), len),
            Err(e) => return Some(Err(self.bytes.corrupt(start, e))),
        };
        let sequence = self.next;
        self.next_at = start + len;
        self.next = Sequence(sequence.0 + 1);
        Some(Ok(HeldRecord { bytes: self.bytes.clone(), what, sequence }))
    }
}

/// One record in bytes that stay, decoded once.
#[derive(Clone, Debug)]
pub(super) struct HeldRecord {
    pub(super) bytes: Held,
    what: What,
    pub(super) sequence: Sequence,
}

/// A record, with places instead of slices.
#[derive(Clone, Debug)]
enum What {
    Put {
        keyspace: KeyspaceId,
        key: Range<usize>,
        value: Range<usize>,
        form: Form,
        expires_at_ms: Option<u64>,
    },
    BlobRef {
        keyspace: KeyspaceId,
        key: Range<usize>,
        blob: FileId,
        len_bytes: u64,
        checksum: u32,
        expires_at_ms: Option<u64>,
    },
    Tombstone {
        keyspace: KeyspaceId,
        key: Range<usize>,
    },
    RangeTombstone {
        keyspace: KeyspaceId,
        start: Bound<Range<usize>>,
        end: Bound<Range<usize>>,
    },
    ExpiryChange {
        keyspace: KeyspaceId,
        key: Range<usize>,
        put_sequence: Sequence,
        expires_at_ms: Option<u64>,
    },
    Watermark {
        clock_ms: u64,
    },
}

impl What {
    fn of(record: &Record<'_>, bytes: &[u8]) -> What {
        let place = |part: &[u8]| {
            let start = part.as_ptr().addr() - bytes.as_ptr().addr();
            start..start + part.len()
        };
        match *record {
            Record::Put { keyspace, key, value, form, expires_at_ms } => {
                let (key, value) = (place(key), place(value));
                What::Put { keyspace, key, value, form, expires_at_ms }
            }
            Record::BlobRef { keyspace, key, blob, len_bytes, checksum, expires_at_ms } => {
                let key = place(key);
                What::BlobRef { keyspace, key, blob, len_bytes, checksum, expires_at_ms }
            }
            Record::Tombstone { keyspace, key } => What::Tombstone { keyspace, key: place(key) },
            Record::RangeTombstone { keyspace, start, end } => {
                let (start, end) = (start.map(place), end.map(place));
                What::RangeTombstone { keyspace, start, end }
            }
            Record::ExpiryChange { keyspace, key, put_sequence, expires_at_ms } => {
                let key = place(key);
                What::ExpiryChange { keyspace, key, put_sequence, expires_at_ms }
            }
            Record::Watermark { clock_ms } => What::Watermark { clock_ms },
        }
    }
}

impl HeldRecord {
    pub(super) fn record(&self) -> Record<'_> {
        let bytes = self.bytes.bytes();
        let part = |place: &Range<usize>| &bytes[place.clone()];
        match &self.what {
            What::Put { keyspace, key, value, form, expires_at_ms } => Record::Put {
                keyspace: *keyspace,
                key: part(key),
                value: part(value),
                form: *form,
                expires_at_ms: *expires_at_ms,
            },
            What::BlobRef { keyspace, key, blob, len_bytes, checksum, expires_at_ms } => {
                Record::BlobRef {
                    keyspace: *keyspace,
                    key: part(key),
                    blob: *blob,
                    len_bytes: *len_bytes,
                    checksum: *checksum,
                    expires_at_ms: *expires_at_ms,
                }
            }
            What::Tombstone { keyspace, key } => {
                Record::Tombstone { keyspace: *keyspace, key: part(key) }
            }
            What::RangeTombstone { keyspace, start, end } => Record::RangeTombstone {
                keyspace: *keyspace,
                start: start.as_ref().map(part),
                end: end.as_ref().map(part),
            },
            What::ExpiryChange { keyspace, key, put_sequence, expires_at_ms } => {
                Record::ExpiryChange {
                    keyspace: *keyspace,
                    key: part(key),
                    put_sequence: *put_sequence,
                    expires_at_ms: *expires_at_ms,
                }
            }
            What::Watermark { clock_ms } => Record::Watermark { clock_ms: *clock_ms },
        }
    }
}
