//! Writing frames: records are encoded and checksummed as they come, the place is sealed in last.
//!
//! What costs by the byte happens in [`BatchEncoder::push`], before the writer lock;
//! [`BatchEncoder::seal`] copies, and for a batch of one covers no more than header and place.
//! What a put or delete is, it says again without a look at its bytes: commits ask several times.

use super::{
    BODY, CRC_LEN, HEADER_LEN, MEMBER_OVERHEAD, SINGLE_COUNT, SINGLE_OVERHEAD, WATERMARK_IN_HEADER,
    header_checksum,
};
use crate::{
    ids::{KeyspaceId, Sequence},
    log::{
        checksum::{FileKey, Partial},
        record::{Form, Record},
        varint,
    },
};

/// A batch on its way into a frame. Reused, it allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct BatchEncoder {
    /// The members: room for a checksum, then the record; each.
    bytes: Vec<u8>,
    members: Vec<Encoded>,
    /// Of members that put a value there is at least one.
    holds_puts: bool,
    /// Of members that are no puts there is at least one.
    takes_away: bool,
    /// The first member is not covered yet: how depends on whether another one comes.
    is_open: bool,
}

/// Room for a member's checksum. What a batch of one has before its record is in its last byte, so
/// that body lies in one piece.
const SINGLE_FRONT: [u8; CRC_LEN] = [0, 0, 0, SINGLE_COUNT];
const SINGLE_BODY_AT: usize = CRC_LEN - size_of::<u8>();

#[derive(Clone, Copy, Debug)]
struct Encoded {
    /// Where in `bytes` the member starts.
    at: usize,
    /// The first member's covers the body it is as a batch of one, until a second one comes.
    partial: Partial,
    shape: Shape,
}

/// What a member is, as far as it is said without decoding it. Keys and values stand last.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// A put of a value that is not compressed and does not expire.
    Put {
        keyspace: KeyspaceId,
        key_len: u32,
        value_len: u32,
    },
    Tombstone {
        keyspace: KeyspaceId,
        key_len: u32,
    },
    Other,
}

impl Shape {
    fn of(record: &Record<'_>) -> Shape {
        let short = |bytes: &[u8]| u32::try_from(bytes.len()).ok();
        let shape = match *record {
            Record::Put { keyspace, key, value, form: Form::Plain, expires_at_ms: None } => {
                let lens = short(key).zip(short(value));
                lens.map(|(key_len, value_len)| Shape::Put { keyspace, key_len, value_len })
            }
            Record::Tombstone { keyspace, key } => {
                short(key).map(|key_len| Shape::Tombstone { keyspace, key_len })
            }
            _ => None,
        };
        shape.unwrap_or(Shape::Other)
    }
}

impl BatchEncoder {
    /// An empty batch.
    pub(crate) fn new() -> BatchEncoder {
        BatchEncoder::default()
    }

    /// Empties the batch and keeps its memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.members.clear();
        self.holds_puts = false;
        self.takes_away = false;
        self.is_open = false;
    }

    /// Bytes its memory has room for.
    pub(crate) fn capacity_bytes(&self) -> usize {
        self.bytes.capacity() + self.members.capacity() * size_of::<Encoded>()
    }

    /// Appends a record and returns its index, which is also its distance from the first sequence.
    pub(crate) fn push(&mut self, record: &Record<'_>) -> usize {
        let index = self.push_open(record);
        self.close();
        index
    }

    /// The same of one that others are likely to follow: it is covered when the next one comes, or
    /// by [`BatchEncoder::close`].
    pub(crate) fn push_open(&mut self, record: &Record<'_>) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&SINGLE_FRONT);
        record.encode(&mut self.bytes);
        if let [first] = self.members.as_mut_slice() {
            first.partial = Partial::of(&self.bytes[first.at + CRC_LEN..at]);
        }
        self.is_open = self.members.is_empty();
        let partial = match self.is_open {
            true => Partial::NOTHING,
            false => Partial::of(&self.bytes[at + CRC_LEN..]),
        };
        self.members.push(Encoded { at, partial, shape: Shape::of(record) });
        let puts = matches!(record, Record::Put { .. } | Record::BlobRef { .. });
        self.holds_puts |= puts;
        self.takes_away |= !puts;
        self.members.len() - 1
    }

    /// Covers what is not covered yet. To be called before the writer lock is taken.
    #[inline]
    pub(crate) fn close(&mut self) {
        if std::mem::take(&mut self.is_open)
            && let [only] = self.members.as_mut_slice()
        {
            only.partial = Partial::of(&self.bytes[SINGLE_BODY_AT..]);
        }
    }

    /// How many records the batch holds: how many sequences it takes.
    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// Whether one of them puts a value.
    pub(crate) fn holds_puts(&self) -> bool {
        self.holds_puts
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the batch holds one record, which then lies bare in its frame.
    pub(crate) fn is_single(&self) -> bool {
        self.members.len() == 1
    }

    /// Whether the batch holds anything but puts.
    #[inline]
    pub(crate) fn takes_away(&self) -> bool {
        self.takes_away
    }

    /// How many bytes [`BatchEncoder::seal`] appends. More than fits a data file must not be
    /// sealed.
    pub(crate) fn frame_len(&self) -> usize {
        match self.members.len() {
            0 => 0,
            1 => SINGLE_OVERHEAD + self.bytes.len() - MEMBER_OVERHEAD,
            count => HEADER_LEN + count_len(count) + self.bytes.len(),
        }
    }

    /// Where the record of that index will lie, counted from the start of the frame: what the
    /// keydir adds to the frame's offset. Final once the last record is pushed.
    pub(crate) fn member_offset(&self, index: usize) -> u32 {
        let offset = match self.members.len() {
            1 => 0,
            count => HEADER_LEN + count_len(count) + self.members[index].at,
        };
        u32::try_from(offset).expect("a batch is bounded by its data file before it is sealed")
    }

    /// The record of that index.
    #[inline]
    pub(crate) fn record(&self, index: usize) -> Record<'_> {
        let bytes = &self.bytes[self.members[index].at + CRC_LEN..self.end(index)];
        match self.members[index].shape {
            Shape::Put { keyspace, key_len, value_len } => {
                let (front, value) = bytes.split_at(bytes.len() - length(value_len));
                let (_, key) = front.split_at(front.len() - length(key_len));
                Record::Put { keyspace, key, value, form: Form::Plain, expires_at_ms: None }
            }
            Shape::Tombstone { keyspace, key_len } => {
                let (_, key) = bytes.split_at(bytes.len() - length(key_len));
                Record::Tombstone { keyspace, key }
            }
            Shape::Other => decoded(bytes),
        }
    }

    /// The encoded length of the record of that index.
    #[inline]
    pub(crate) fn record_len(&self, index: usize) -> usize {
        self.end(index) - self.members[index].at - MEMBER_OVERHEAD
    }

    /// Where the member of that index ends in `bytes`.
    #[inline]
    fn end(&self, index: usize) -> usize {
        self.members.get(index + 1).map_or(self.bytes.len(), |next| next.at)
    }

    /// Appends the finished frame to `out`, bound to `offset` in the file of that key.
    ///
    /// `watermark_distance` is how far before `offset` the log is known durable, if that lies in
    /// this file, else [`WATERMARK_IN_HEADER`]. The batch must hold a record, `first` must not be
    /// zero and be closed, and the frame must be shorter than 4 GiB; the caller has checked the
    /// batch's bounds long before.
    pub(crate) fn seal(
        &self,
        out: &mut Vec<u8>,
        file: FileKey,
        offset: u64,
        first: Sequence,
        watermark_distance: u32,
    ) {
        assert!(first != Sequence::ZERO && !self.is_empty(), "zeros mean the end of the log");
        assert!(!self.is_open, "its only record is not covered");
        let reach = u64::from(watermark_distance);
        assert!(watermark_distance == WATERMARK_IN_HEADER || reach <= offset, "F5");
        let start = out.len();
        out.reserve(self.frame_len());
        out.extend_from_slice(&[0; HEADER_LEN]);
        let body_crc = if self.is_single() {
            self.put_single(out, file, offset)
        } else {
            self.put_members(out, file, offset, first)
        };
        let body_len = u32::try_from(out.len() - start - HEADER_LEN)
            .expect("a batch is bounded by its data file before it is sealed");
        let header = header(body_len, first, watermark_distance, body_crc, file, offset);
        out[start..start + HEADER_LEN].copy_from_slice(&header);
    }

    /// Appends the body of a batch of one; returns its checksum.
    fn put_single(&self, out: &mut Vec<u8>, file: FileKey, offset: u64) -> u32 {
        out.extend_from_slice(&self.bytes[SINGLE_BODY_AT..]);
        self.members[0].partial.at(file, offset, BODY)
    }

    /// Appends the body of a larger batch; returns its checksum.
    fn put_members(&self, out: &mut Vec<u8>, file: FileKey, offset: u64, first: Sequence) -> u32 {
        let body_at = out.len();
        varint::put(out, count(self.members.len()));
        let members_at = out.len();
        out.extend_from_slice(&self.bytes);
        let place = offset + u64::from(self.member_offset(0));
        for (index, member) in self.members.iter().enumerate() {
            let [at, index] =
                [member.at, index].map(|n| u64::try_from(n).expect("64 bits hold it"));
            let crc = member.partial.at(file, place + at, first.0 + index);
            let at = members_at + member.at;
            out[at..at + CRC_LEN].copy_from_slice(&crc.to_le_bytes());
        }
        Partial::of(&out[body_at..]).at(file, offset, BODY)
    }
}

#[cold]
fn decoded(bytes: &[u8]) -> Record<'_> {
    Record::decode(bytes).expect("these bytes were encoded here").0
}

#[inline]
fn length(len: u32) -> usize {
    usize::try_from(len).expect("it was the length of a slice")
}

fn count(members: usize) -> u32 {
    u32::try_from(members).expect("a batch is bounded by its data file before it is sealed")
}

fn count_len(members: usize) -> usize {
    varint::len(count(members))
}

fn header(
    body_len: u32,
    first: Sequence,
    watermark_distance: u32,
    body_crc: u32,
    file: FileKey,
    offset: u64,
) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(super::BODY_LEN_AT, &body_len.to_le_bytes());
    put(super::SEQUENCE_AT, &first.0.to_le_bytes());
    put(super::WATERMARK_AT, &watermark_distance.to_le_bytes());
    put(super::BODY_CRC_AT, &body_crc.to_le_bytes());
    let crc = header_checksum(&header, file, offset);
    header[..super::BODY_LEN_AT].copy_from_slice(&crc.to_le_bytes());
    header
}
