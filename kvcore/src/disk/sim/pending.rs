//! What has been done but not made durable, and what a power cut may leave of it.
//!
//! Pure: bytes in, bytes out. Does not know paths, locks or faults.

use std::sync::Arc;

/// The unit in which a drive writes all or nothing.
pub(super) const SECTOR: usize = 512;

/// One change to a file's bytes or length.
#[derive(Clone, Debug)]
pub(super) enum FileOp {
    Write { offset: usize, data: Arc<[u8]> },
    SetLen(usize),
    Reserve(usize),
}

/// How far an operation is on its way to the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Will be durable after the next good sync; until then a power cut decides.
    Pending,
    /// A sync failed over it: no later one makes it durable, a power cut decides.
    Doomed,
    /// Durable, but listed still, because something doomed lies beneath it.
    Forced,
}

/// An operation with the number it had on its disk.
#[derive(Clone, Debug)]
pub(super) struct PendingOp<Op> {
    pub(super) op: Op,
    pub(super) index: u64,
    pub(super) fate: Fate,
}

/// The operations since the last good sync, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Pending<Op> {
    pub(super) ops: Vec<PendingOp<Op>>,
}

impl<Op> Default for Pending<Op> {
    fn default() -> Self {
        Pending { ops: Vec::new() }
    }
}

impl<Op> Pending<Op> {
    pub(super) fn push(&mut self, index: u64, op: Op) {
        self.ops.push(PendingOp { op, index, fate: Fate::Pending });
    }

    /// A good sync: hands out what is to be applied to the durable state, oldest first.
    ///
    /// Nothing while something doomed is listed: what lies above it has to be applied above it.
    pub(super) fn settle(&mut self) -> Vec<PendingOp<Op>> {
        if self.ops.iter().all(|p| p.fate == Fate::Pending) {
            return std::mem::take(&mut self.ops);
        }
        self.turn(Fate::Forced);
        Vec::new()
    }

    /// A failed sync. The system takes the pages for clean from now on.
    pub(super) fn doom(&mut self) {
        self.turn(Fate::Doomed);
    }

    fn turn(&mut self, fate: Fate) {
        for p in self.ops.iter_mut().filter(|p| p.fate == Fate::Pending) {
            p.fate = fate;
        }
    }
}

/// What a power cut leaves of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Lost,
    Full,
    /// The first bytes of a write, and the length that goes with them.
    Torn(usize),
    /// The first bytes of a write, but the whole length; what is missing is as it was, or zero.
    Sized(usize),
    /// The bytes of a write that fit into the old length.
    Clipped,
    /// Any of the sectors of a write, chosen by this seed, and the whole length.
    Sectors(u64),
}

impl FileOp {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            FileOp::Write { offset, data } => put(content, *offset, data),
            FileOp::SetLen(len) => content.resize(*len, 0),
            FileOp::Reserve(len) => extend(content, *len),
        }
    }

    pub(super) fn apply_kept(&self, keep: Keep, content: &mut Vec<u8>) {
        let FileOp::Write { offset, data } = self else {
            if keep != Keep::Lost {
                self.apply(content);
            }
            return;
        };
        let offset = *offset;
        match keep {
            Keep::Lost => {}
            Keep::Full => put(content, offset, data),
            Keep::Torn(n) => put(content, offset, &data[..n.min(data.len())]),
            Keep::Sized(n) => {
                extend(content, offset + data.len());
                put(content, offset, &data[..n.min(data.len())]);
            }
            Keep::Clipped => {
                let n = content.len().saturating_sub(offset).min(data.len());
                put(content, offset, &data[..n]);
            }
            Keep::Sectors(seed) => {
                extend(content, offset + data.len());
                put_some_sectors(content, offset, data, seed);
            }
        }
    }

    /// Where a write crosses from one sector into the next, counted from its first byte.
    pub(super) fn sector_boundaries(&self) -> impl Iterator<Item = usize> + use<> {
        let (offset, len) = match self {
            FileOp::Write { offset, data } => (*offset, data.len()),
            FileOp::SetLen(_) | FileOp::Reserve(_) => (0, 0),
        };
        (SECTOR - offset % SECTOR..len).step_by(SECTOR)
    }

    /// How many bytes a write has; other operations none.
    pub(super) fn data_len(&self) -> usize {
        match self {
            FileOp::Write { data, .. } => data.len(),
            FileOp::SetLen(_) | FileOp::Reserve(_) => 0,
        }
    }
}

fn extend(content: &mut Vec<u8>, len: usize) {
    if content.len() < len {
        content.resize(len, 0);
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    if content.len() == offset {
        content.extend_from_slice(data);
        return;
    }
    extend(content, offset + data.len());
    content[offset..offset + data.len()].copy_from_slice(data);
}

fn put_some_sectors(content: &mut Vec<u8>, offset: usize, data: &[u8], seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut start = 0;
    while start < data.len() {
        let end = data.len().min(start + SECTOR - (offset + start) % SECTOR);
        if random.bool() {
            put(content, offset + start, &data[start..end]);
        }
        start = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: usize, data: &[u8]) -> FileOp {
        FileOp::Write { offset, data: data.into() }
    }

    fn kept(op: &FileOp, keep: Keep, before: &[u8]) -> Vec<u8> {
        let mut content = before.to_vec();
        op.apply_kept(keep, &mut content);
        content
    }

    #[test]
    fn every_way_of_keeping_a_write() {
        let op = write(2, b"abcd");
        assert_eq!(kept(&op, Keep::Lost, b"123"), b"123");
        assert_eq!(kept(&op, Keep::Full, b"123"), b"12abcd");
        assert_eq!(kept(&op, Keep::Torn(2), b"123"), b"12ab");
        assert_eq!(kept(&op, Keep::Torn(0), b""), b"");
        assert_eq!(kept(&op, Keep::Sized(0), b"123"), b"123\0\0\0");
        assert_eq!(kept(&op, Keep::Sized(1), b"123"), b"12a\0\0\0");
        assert_eq!(kept(&op, Keep::Clipped, b"123"), b"12a");
        assert_eq!(kept(&op, Keep::Clipped, b"1"), b"1");
        assert_eq!(kept(&op, Keep::Full, b"1"), b"1\0abcd");
    }

    #[test]
    fn sectors_are_kept_or_lost_each_as_a_whole() {
        let op = write(500, &[7; 1036]);
        assert_eq!(op.sector_boundaries().collect::<Vec<_>>(), [12, 524]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let content = kept(&op, Keep::Sectors(seed), &[]);
            assert_eq!(content.len(), 1536);
            for sector in [&content[500..512], &content[512..1024], &content[1024..]] {
                assert!(sector.iter().all(|b| *b == sector[0]), "seed {seed}");
            }
            seen.insert((content[500], content[512], content[1024]));
        }
        assert_eq!(seen.len(), 8, "all subsets of three sectors");
    }
}
