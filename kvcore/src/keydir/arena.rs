//! The memory of one shard's entries: chunks that never move, and lists of free blocks.
//!
//! Every chunk has lists of its own, so giving one back touches no other: of a large part of the
//! entries that goes at once, nearly all chunks become empty together.
//!
//! Knows blocks of bytes and how an entry lies in one. Does not know hashes.
//!
//! # Invariants
//!
//! A1. A block is a whole number of units of 8 bytes, at least [`UNITS_MIN`], in one chunk.
//! A2. The first `used_units` of a chunk are blocks without gaps: live entries or free blocks.
//! A3. Every free block is in its chunk's list of its size, exactly once; `free` names the lists
//!     that are not empty.
//! A4. `live_entries` of a chunk counts its live blocks; at zero the chunk is given back.
//! A5. Chunk 0 is empty for ever, so that no [`EntryRef`] is zero.

use std::collections::BTreeSet;

use super::entry::{self, Entry, EntryRef, HEADER_BYTES, Header, KEY_LEN_BYTES_MAX};
use super::free_sizes::FreeSizes;
use super::{ALLOCATION_OVERHEAD_BYTES, figure, index};

const UNIT_BYTES: usize = 8;
/// Units of the smallest block: an entry with an empty key.
const UNITS_MIN: u32 = 3;
const _: () = assert!(HEADER_BYTES == 3 * UNIT_BYTES);

/// An [`EntryRef`] is a chunk number above this many bits of unit number.
const UNIT_BITS: u32 = 15;
const CHUNK_UNITS_MAX: u32 = 1 << UNIT_BITS;
const CHUNK_UNITS_MIN: u32 = 128;
const CHUNKS_MAX: usize = 1 << (u32::BITS - UNIT_BITS);
/// A new chunk is this fraction of what there is, so that its empty end weighs little.
const GROWTH_DIVISOR: u64 = 32;

/// The shard has no address left for another entry (after about 32 GiB of keys).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the shard's arena of keys is full")]
pub(crate) struct Full;

#[derive(Debug, Default)]
struct Chunk {
    bytes: Box<[u8]>,
    used_units: u32,
    live_entries: u32,
    /// The first free block of each size in units.
    free: FreeSizes,
}

/// Header and key of most entries.
const FRONT_BYTES: usize = 64;

/// Entries with their keys, addressed by [`EntryRef`].
#[derive(Debug)]
pub(super) struct Arena {
    chunks: Vec<Chunk>,
    /// Numbers of chunks that were given back.
    vacant: Vec<u32>,
    /// Sizes in units, and the first places of chunks that have a free block of that size.
    free: BTreeSet<(u64, EntryRef)>,
    /// The chunk that new blocks are cut from.
    current: u32,
    chunk_units: u64,
    chunks_max: usize,
}

/// What a free block says of itself: the next one of its list (zero is none), and its size.
#[derive(Clone, Copy)]
struct FreeBlock {
    next: EntryRef,
    units: u32,
}

/// Memory of entries that are gone, to be dropped where nobody waits for it: that is a call to the
/// operating system.
pub(crate) type Freed = Option<Box<[u8]>>;

const NONE: EntryRef = EntryRef(0);
/// Where a free block says so: in the spare bits between an entry's key length and its flags.
const FREE_MARK_AT: usize = 22;
const FREE_MARK: u8 = 0x80;

impl Arena {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            vacant: Vec::new(),
            free: BTreeSet::new(),
            current: 0,
            chunk_units: 0,
            chunks_max: CHUNKS_MAX,
        }
    }

    /// Stores an entry with its key. The place stays the same until it is removed.
    pub(super) fn insert(&mut self, key: &[u8], entry: &Entry) -> Result<EntryRef, Full> {
        assert!(key.len() <= KEY_LEN_BYTES_MAX, "key lengths are checked when a key is encoded");
        let key_len = u32::try_from(key.len()).expect("asserted above");
        let r = self.allocate(units_of(key_len))?;
        let bytes = self.block_mut(r);
        bytes[..HEADER_BYTES].copy_from_slice(&entry::pack(entry, key_len));
        bytes[HEADER_BYTES..HEADER_BYTES + key.len()].copy_from_slice(key);
        let (chunk, _) = parts(r);
        self.chunks[chunk].live_entries += 1;
        Ok(r)
    }

    /// Frees the block of an entry.
    pub(super) fn remove(&mut self, r: EntryRef) -> Freed {
        let units = units_of(entry::key_len(self.header(r)));
        self.push_free(r, units);
        let (chunk, _) = parts(r);
        self.chunks[chunk].live_entries -= 1;
        if self.chunks[chunk].live_entries == 0 { self.give_back(chunk) } else { None }
    }

    /// Replaces all but the key.
    #[inline]
    pub(super) fn set(&mut self, r: EntryRef, entry: &Entry) {
        let bytes = self.block_mut(r);
        let header: &mut Header =
            bytes.first_chunk_mut().expect("a block is at least a header long (A1)");
        *header = entry::pack(entry, entry::key_len(header));
    }

    #[inline]
    pub(super) fn entry(&self, r: EntryRef) -> Entry {
        entry::unpack(self.header(r))
    }

    #[inline]
    pub(super) fn key(&self, r: EntryRef) -> &[u8] {
        split(self.block(r)).1
    }

    #[inline]
    pub(super) fn entry_and_key(&self, r: EntryRef) -> (Entry, &[u8]) {
        let (header, key) = split(self.block(r));
        (entry::unpack(header), key)
    }

    /// The entry, if this is its key.
    #[inline]
    pub(super) fn entry_if_key(&self, r: EntryRef, key: &[u8]) -> Option<Entry> {
        let (header, stored) = split(self.block(r));
        (stored == key).then(|| entry::unpack(header))
    }

    /// From where an entry begins, as many bytes as most entries have, to be fetched ahead of a
    /// look at it. Touches none of them.
    #[inline]
    pub(super) fn front(&self, r: EntryRef) -> &[u8] {
        let block = self.block(r);
        &block[..block.len().min(FRONT_BYTES)]
    }

    /// All entries with their keys, in the order in which they lie in memory.
    pub(super) fn entries(&self) -> impl Iterator<Item = (EntryRef, Entry, &[u8])> {
        let numbered = (0..).zip(&self.chunks);
        numbered.flat_map(move |(number, chunk): (u32, &Chunk)| {
            let mut at = 0;
            std::iter::from_fn(move || {
                while at < chunk.used_units {
                    let r = EntryRef(number << UNIT_BITS | at);
                    if self.header(r)[FREE_MARK_AT] != FREE_MARK {
                        let (header, key) = split(&chunk.bytes[index(at) * UNIT_BYTES..]);
                        at += units_of(entry::key_len(header));
                        return Some((r, entry::unpack(header), key));
                    }
                    at += self.read_free(r).units;
                }
                None
            })
        })
    }

    /// Bytes taken from the allocator.
    pub(super) fn memory_bytes(&self) -> u64 {
        let chunk_table = self.chunks.capacity() * size_of::<Chunk>();
        let vacant = self.vacant.capacity() * size_of::<u32>();
        // A set's node holds up to eleven pairs, and is at least a third full; a list of lists has
        // room for four at least.
        let lists = 3 * size_of::<(u64, EntryRef)>() + 4 * size_of::<(u32, EntryRef)>();
        let free = self.free.len() * lists;
        let overhead = self.chunks.len() * ALLOCATION_OVERHEAD_BYTES;
        self.chunk_units * figure(UNIT_BYTES) + figure(chunk_table + vacant + free + overhead)
    }

    #[inline]
    fn header(&self, r: EntryRef) -> &Header {
        self.block(r).first_chunk().expect("a block is at least a header long (A1)")
    }

    #[inline]
    fn block(&self, r: EntryRef) -> &[u8] {
        let (chunk, at) = parts(r);
        &self.chunks[chunk].bytes[at..]
    }

    #[inline]
    fn block_mut(&mut self, r: EntryRef) -> &mut [u8] {
        let (chunk, at) = parts(r);
        &mut self.chunks[chunk].bytes[at..]
    }

    fn allocate(&mut self, units: u32) -> Result<EntryRef, Full> {
        if let Some((_, r)) = self.take_free(units, units) {
            return Ok(r);
        }
        if let Some(r) = self.cut(units) {
            return Ok(r);
        }
        if let Some((found, r)) = self.take_free(units + UNITS_MIN, u32::MAX) {
            self.push_free(EntryRef(r.0 + units), found - units);
            return Ok(r);
        }
        self.open_chunk(units)?;
        Ok(self.cut(units).expect("the chunk was made to hold this block"))
    }

    /// Takes a block off the unused end of the current chunk.
    fn cut(&mut self, units: u32) -> Option<EntryRef> {
        let chunk = self.chunks.get_mut(index(self.current))?;
        let at = chunk.used_units;
        if index(at + units) * UNIT_BYTES > chunk.bytes.len() {
            return None;
        }
        chunk.used_units += units;
        Some(EntryRef(self.current << UNIT_BITS | at))
    }

    /// Makes a chunk for at least one block of `units` and cuts from it from now on.
    fn open_chunk(&mut self, units: u32) -> Result<(), Full> {
        let part = u32::try_from(self.chunk_units / GROWTH_DIVISOR).unwrap_or(CHUNK_UNITS_MAX);
        let chunk_units = part.clamp(CHUNK_UNITS_MIN, CHUNK_UNITS_MAX).max(units);
        let number = self.vacant_chunk()?;
        let previous = std::mem::replace(&mut self.current, number);
        self.free_rest(previous);
        self.chunks[index(number)].bytes =
            vec![0; index(chunk_units) * UNIT_BYTES].into_boxed_slice();
        self.chunk_units += u64::from(chunk_units);
        Ok(())
    }

    fn vacant_chunk(&mut self) -> Result<u32, Full> {
        if let Some(number) = self.vacant.pop() {
            return Ok(number);
        }
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
        }
        if self.chunks.len() >= self.chunks_max {
            return Err(Full);
        }
        let number = u32::try_from(self.chunks.len()).map_err(|_| Full)?;
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(self.chunks.len() / 8 + 4);
        }
        self.chunks.push(Chunk::default());
        Ok(number)
    }

    /// Makes the unused end of a chunk that is no longer current a free block.
    fn free_rest(&mut self, number: u32) {
        let chunk = &mut self.chunks[index(number)];
        if chunk.live_entries == 0 && number != 0 {
            self.give_back(index(number));
            return;
        }
        let at = chunk.used_units;
        let all = u32::try_from(chunk.bytes.len() / UNIT_BYTES).expect("bounded by a chunk's size");
        if all - at >= UNITS_MIN {
            chunk.used_units = all;
            self.push_free(EntryRef(number << UNIT_BITS | at), all - at);
        }
    }

    /// Returns a chunk without live entries: the current one to be cut anew, others to the
    /// allocator. As quick as its lists are few.
    fn give_back(&mut self, chunk: usize) -> Freed {
        let number = u32::try_from(chunk).expect("made from half of a 32-bit reference");
        for (units, _) in std::mem::take(&mut self.chunks[chunk].free).iter() {
            self.free.remove(&named(units, EntryRef(number << UNIT_BITS)));
        }
        self.chunks[chunk].used_units = 0;
        if number == self.current {
            return None;
        }
        let bytes = std::mem::take(&mut self.chunks[chunk].bytes);
        self.chunk_units -= figure(bytes.len() / UNIT_BYTES);
        self.vacant.push(number);
        Some(bytes)
    }

    fn push_free(&mut self, r: EntryRef, units: u32) {
        let (chunk, _) = parts(r);
        let next = self.chunks[chunk].free.insert(units, r).unwrap_or_else(|| {
            self.free.insert(named(units, r));
            NONE
        });
        self.write_free(r, FreeBlock { next, units });
    }

    /// Takes a free block of the smallest size between two off its list, with its size.
    fn take_free(&mut self, units_min: u32, units_max: u32) -> Option<(u32, EntryRef)> {
        let from = (u64::from(units_min), NONE);
        let &(units, chunk) = self.free.range(from..).next()?;
        let units = u32::try_from(units).ok().filter(|units| *units <= units_max)?;
        let (number, _) = parts(chunk);
        let first = self.chunks[number].free.get(units);
        let r = first.expect("a list that is named is there (A3)");
        let next = self.read_free(r).next;
        let lists = &mut self.chunks[number].free;
        if next == NONE {
            lists.remove(units);
            self.free.remove(&named(units, r));
        } else {
            lists.insert(units, next);
        }
        Some((units, r))
    }

    fn read_free(&self, r: EntryRef) -> FreeBlock {
        let header = self.header(r);
        debug_assert_eq!(header[FREE_MARK_AT], FREE_MARK, "not a free block");
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        FreeBlock { next: EntryRef(word(0)), units: word(4) }
    }

    fn write_free(&mut self, r: EntryRef, block: FreeBlock) {
        let bytes = self.block_mut(r);
        bytes[..4].copy_from_slice(&block.next.0.to_le_bytes());
        bytes[4..8].copy_from_slice(&block.units.to_le_bytes());
        bytes[FREE_MARK_AT] = FREE_MARK;
    }
}

/// How a chunk is named that has a free block of this size, here.
fn named(units: u32, r: EntryRef) -> (u64, EntryRef) {
    (u64::from(units), EntryRef(r.0 & !(CHUNK_UNITS_MAX - 1)))
}

/// The chunk number and the byte in it.
#[inline]
fn parts(r: EntryRef) -> (usize, usize) {
    (index(r.0 >> UNIT_BITS), index(r.0 & (CHUNK_UNITS_MAX - 1)) * UNIT_BYTES)
}

/// Header and key of the entry at the start of `block`.
#[inline]
fn split(block: &[u8]) -> (&Header, &[u8]) {
    let (header, rest) = block.split_first_chunk().expect("a block is at least a header long (A1)");
    (header, &rest[..index(entry::key_len(header))])
}

#[inline]
fn units_of(key_len: u32) -> u32 {
    UNITS_MIN + key_len.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{FileId, Location, Sequence};
    use crate::keydir::entry::EntryFlags;

    fn entry(number: u32) -> Entry {
        Entry {
            sequence: Sequence(u64::from(number)),
            location: Location { file: FileId(1), offset: number },
            value_len: number,
            flags: EntryFlags::NONE,
        }
    }

    impl Arena {
        /// Walks every chunk and every list and checks A1 to A5.
        fn assert_consistent(&self) {
            let mut free_in_chunks = 0;
            for (number, chunk) in self.chunks.iter().enumerate() {
                let base = u32::try_from(number).unwrap() << UNIT_BITS;
                let (mut at, mut live) = (0, 0);
                while at < chunk.used_units {
                    let r = EntryRef(base | at);
                    if self.header(r)[FREE_MARK_AT] == FREE_MARK {
                        at += self.read_free(r).units;
                        free_in_chunks += 1;
                    } else {
                        at += units_of(entry::key_len(self.header(r)));
                        live += 1;
                    }
                }
                assert_eq!((at, live), (chunk.used_units, chunk.live_entries), "chunk {number}");
                assert!(index(chunk.used_units) * UNIT_BYTES <= chunk.bytes.len());
            }
            let mut free_in_lists = 0;
            let mut lists_named = 0;
            let lists = |(number, chunk): (u32, &Chunk)| {
                chunk.free.iter().map(move |list| (number, list)).collect::<Vec<_>>()
            };
            for (chunk, (units, first)) in (0..).zip(&self.chunks).flat_map(lists) {
                assert!(self.free.contains(&named(units, first)), "a list that is not named (A3)");
                lists_named += 1;
                let mut r = first;
                while r != NONE {
                    let block = self.read_free(r);
                    assert_eq!((block.units, r.0 >> UNIT_BITS), (units, chunk));
                    free_in_lists += 1;
                    r = block.next;
                }
            }
            assert_eq!(lists_named, self.free.len(), "lists are named once (A3)");
            assert_eq!(free_in_chunks, free_in_lists);
        }
    }

    #[test]
    fn entries_stay_where_they_are_and_read_back_under_random_churn() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut arena = Arena::new();
        let mut live: Vec<(EntryRef, Vec<u8>, u32)> = Vec::new();
        for step in 0..6_000_u32 {
            let growing = step % 2_000 < 1_200;
            if live.is_empty() || random.u32(..10) < if growing { 7 } else { 2 } {
                let len =
                    if random.u32(..50) == 0 { random.usize(..65_537) } else { step as usize % 70 };
                let key: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
                let r = arena.insert(&key, &entry(step)).unwrap();
                assert_ne!(r, NONE);
                live.push((r, key, step));
            } else {
                let (r, key, number) = live.swap_remove(random.usize(..live.len()));
                assert_eq!((arena.key(r), arena.entry(r)), (&key[..], entry(number)));
                arena.remove(r);
            }
            if step % 100 == 0 {
                arena.assert_consistent();
                for (r, key, number) in &live {
                    assert_eq!(arena.entry_if_key(*r, key), Some(entry(*number)));
                }
            }
        }
        for (r, _, _) in live.drain(..) {
            arena.remove(r);
        }
        arena.assert_consistent();
        assert!(arena.free.is_empty(), "an empty arena has no free block");
        assert!(arena.memory_bytes() < 600_000, "{} bytes kept", arena.memory_bytes());
    }

    #[test]
    fn churn_of_equal_keys_takes_no_more_memory() {
        let mut arena = Arena::new();
        let mut live: Vec<EntryRef> =
            (0..5_000).map(|n| arena.insert(&[7; 24], &entry(n)).unwrap()).collect();
        let before = arena.memory_bytes();
        let mut random = fastrand::Rng::with_seed(1);
        for n in 0..50_000 {
            let at = random.usize(..live.len());
            arena.remove(live[at]);
            live[at] = arena.insert(&[8; 24], &entry(n)).unwrap();
        }
        arena.assert_consistent();
        assert!(arena.memory_bytes() <= before + 100, "{before} {}", arena.memory_bytes());
    }

    #[test]
    fn a_full_arena_says_so_and_goes_on_after_a_removal() {
        let mut arena = Arena { chunks_max: 3, ..Arena::new() };
        let mut live = Vec::new();
        let full = loop {
            match arena.insert(&[1; 500], &entry(0)) {
                Ok(r) => live.push(r),
                Err(full) => break full,
            }
        };
        assert_eq!((full, live.len()), (Full, 2));
        arena.remove(live[0]);
        assert!(arena.insert(&[2; 500], &entry(1)).is_ok());
        arena.assert_consistent();
    }
}
