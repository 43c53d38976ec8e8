//! Bytes of frames that a feed has in hand: lent by a mapped file, or copied.
//!
//! Knows one verified frame and where its records start. Does not know files' order.

use crate::{
    ids::Sequence,
    log::{DataFile, FrameView, MEMBER_OVERHEAD, Record, SINGLE_OVERHEAD},
};
use std::sync::Arc;

/// Bytes of one data file that stay what they are.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// Mapped, from this offset; durable, so that no page of it can be lost and read differently.
    Mapped {
        file: Arc<DataFile>,
        at: u64,
        len: usize,
    },
    Heap(Arc<[u8]>),
}

impl Held {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Held::Heap(bytes) => bytes,
            Held::Mapped { file, at, len } => {
                file.mapped(*at, *len).expect("written bytes of a mapped file stay mapped")
            }
        }
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

    /// The bytes of the next record and its sequence.
    pub(super) fn take(&mut self) -> Option<HeldRecord> {
        if self.next > self.last {
            return None;
        }
        let start = self.next_at + self.overhead;
        let (_, len) = Record::decode(&self.bytes.bytes()[start..]).expect(DECODED);
        let sequence = self.next;
        self.next_at = start + len;
        self.next = Sequence(sequence.0 + 1);
        Some(HeldRecord { bytes: self.bytes.clone(), start, sequence })
    }
}

/// One record in bytes that stay.
#[derive(Clone, Debug)]
pub(super) struct HeldRecord {
    pub(super) bytes: Held,
    pub(super) start: usize,
    pub(super) sequence: Sequence,
}

impl HeldRecord {
    pub(super) fn record(&self) -> Record<'_> {
        Record::decode(&self.bytes.bytes()[self.start..]).expect(DECODED).0
    }
}

const DECODED: &str = "every record was decoded when the frame was parsed";
