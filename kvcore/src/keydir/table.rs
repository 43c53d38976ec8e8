//! One shard of a keyspace: from hash to entry in one probe.
//!
//! An array of buckets, each the 32 hash bits after the shard's (the *tag*) and a reference into
//! the arena that holds entries and keys. A bucket's home is its tag's share of the array; the
//! buckets are probed linearly and kept in tag order, past the end of the homes if need be. So
//! walking the array is walking in tag order, whatever its size: a scan's cursor is a tag and
//! survives any resize. The array may have any length, so it grows by a sixteenth, and
//! growing needs only the tags.
//!
//! Knows hashes, keys and entries. Does not know the hash function, other shards or locks.
//!
//! # Invariants
//!
//! T1. Tags ascend along the array; equal tags are adjacent, in no particular order.
//! T2. No bucket lies before its home, and none is empty between a home and its bucket.
//! T3. Every live entry of the arena has exactly one bucket.
//! T4. No two entries have the same key.

use super::arena::{Arena, Freed, Full};
use super::entry::{Entry, EntryRef};
use super::{ALLOCATION_OVERHEAD_BYTES, figure};

#[cfg(test)]
mod tests;

/// A tag above the reference's 32 bits. No reference is zero, so zero is empty.
type Bucket = u64;
const EMPTY: Bucket = 0;

const HOMES_MIN: usize = 8;
/// The array grows above this many sixteenths full.
const LOAD_MAX_SIXTEENTHS: usize = 14;
/// The array shrinks below this many sixteenths full.
const LOAD_MIN_SIXTEENTHS: usize = 3;

/// Entries of one shard by tag and key.
#[derive(Debug)]
pub(crate) struct Table {
    /// `homes` buckets and as many more as the last ones overflow by.
    buckets: Vec<Bucket>,
    homes: usize,
    len: usize,
    arena: Arena,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// An empty table; takes no memory.
    pub(crate) fn new() -> Self {
        Self { buckets: Vec::new(), homes: 0, len: 0, arena: Arena::new() }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Finds an entry by its key.
    #[inline]
    pub(crate) fn get(&self, tag: u32, key: &[u8]) -> Option<(EntryRef, Entry)> {
        self.find(tag, key).map(|(_, r, entry)| (r, entry))
    }

    /// Adds an entry whose key is not in the table.
    ///
    /// # Errors
    ///
    /// [`Full`] when the arena has no address left; nothing has changed then.
    pub(crate) fn insert(&mut self, tag: u32, key: &[u8], entry: Entry) -> Result<EntryRef, Full> {
        debug_assert!(self.find(tag, key).is_none(), "the key is in the table (T4)");
        let r = self.arena.insert(key, &entry)?;
        if (self.len + 1) * 16 > self.homes * LOAD_MAX_SIXTEENTHS {
            self.resize((self.homes + self.homes / 16 + 2).max(HOMES_MIN));
        }
        self.place(tag, r);
        self.len += 1;
        Ok(r)
    }

    /// Overwrites an entry in place; its key stays.
    #[inline]
    pub(crate) fn set(&mut self, r: EntryRef, entry: Entry) {
        self.arena.set(r, &entry);
    }

    /// Removes an entry by its key and returns what it was. The reference is dead.
    pub(crate) fn remove(&mut self, tag: u32, key: &[u8]) -> Option<(EntryRef, Entry)> {
        let (at, r, entry) = self.find(tag, key)?;
        self.take_at(at, r);
        Some((r, entry))
    }

    /// Removes the entry at a live reference without a look at its key, and returns memory that
    /// the caller may drop later. The reference is dead.
    pub(crate) fn take(&mut self, tag: u32, r: EntryRef) -> Freed {
        let (home, wanted) = (self.home(tag), bucket(tag, r));
        let steps = self.buckets[home..].iter().position(|&bucket| bucket == wanted);
        self.take_at(home + steps.expect("a live entry has a bucket behind its home (T2, T3)"), r)
    }

    fn take_at(&mut self, at: usize, r: EntryRef) -> Freed {
        self.close_gap(at);
        let freed = self.arena.remove(r);
        self.len -= 1;
        if self.homes > HOMES_MIN && self.len * 16 < self.homes * LOAD_MIN_SIXTEENTHS {
            self.resize(self.homes / 2);
        }
        freed
    }

    /// The entry at a live reference.
    #[inline]
    pub(crate) fn entry(&self, r: EntryRef) -> Entry {
        self.arena.entry(r)
    }

    /// The key at a live reference.
    #[inline]
    pub(crate) fn key(&self, r: EntryRef) -> &[u8] {
        self.arena.key(r)
    }

    /// Both.
    #[inline]
    pub(crate) fn entry_and_key(&self, r: EntryRef) -> (Entry, &[u8]) {
        self.arena.entry_and_key(r)
    }

    /// Where the entry at a live reference begins, to be fetched ahead.
    #[inline]
    pub(crate) fn front(&self, r: EntryRef) -> &[u8] {
        self.arena.front(r)
    }

    /// The bucket that a look-up of this tag begins with, to be fetched ahead; none of an empty
    /// table.
    #[inline]
    pub(crate) fn first_bucket(&self, tag: u32) -> &[u64] {
        let home = self.home(tag);
        self.buckets.get(home..=home).unwrap_or_default()
    }

    /// The entry that a look-up of this tag would compare first, to be fetched ahead.
    #[inline]
    pub(crate) fn first_entry(&self, tag: u32) -> Option<EntryRef> {
        let behind = self.buckets.get(self.home(tag)..)?;
        let bucket = *behind.iter().find(|&&b| b == EMPTY || tag_of(b) >= tag)?;
        (bucket != EMPTY && tag_of(bucket) == tag).then(|| ref_of(bucket))
    }

    /// Tags and entries in tag order, from the first with at least this tag.
    ///
    /// A cursor is the tag to go on with. An entry present throughout is met, whatever is added
    /// or removed between two calls, if a page ends only where the tag changes.
    pub(crate) fn scan_from(&self, tag: u32) -> impl Iterator<Item = (u32, EntryRef)> {
        self.buckets[self.home(tag)..]
            .iter()
            .filter(|&&bucket| bucket != EMPTY)
            .map(|&bucket| (tag_of(bucket), ref_of(bucket)))
            .skip_while(move |&(found, _)| found < tag)
    }

    /// All entries with their keys, in the order in which they lie in memory.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (EntryRef, Entry, &[u8])> {
        self.arena.entries()
    }

    /// Looks at the bucket where a probe for this tag begins, so that its cache line is on its
    /// way. The number means nothing.
    #[inline]
    pub(crate) fn touch(&self, tag: u32) -> u64 {
        self.buckets.get(self.home(tag)).copied().unwrap_or(EMPTY)
    }

    /// Makes room for so many more entries in few, large steps; [`Table::fit`] gives back what of
    /// it is not needed.
    pub(crate) fn reserve(&mut self, more: usize) {
        let needed = homes_for(self.len + more);
        if needed > self.homes {
            self.resize(needed.max(self.homes + self.homes / 2).max(HOMES_MIN));
        }
    }

    /// Gives back the room that is not needed.
    pub(crate) fn fit(&mut self) {
        let needed = homes_for(self.len + self.len / 32).max(HOMES_MIN);
        if self.len == 0 {
            (self.buckets, self.homes) = (Vec::new(), 0);
        } else if needed + needed / 16 < self.homes {
            self.resize(needed);
        }
    }

    /// An entry, each with the same probability if `random` draws evenly from all numbers.
    pub(crate) fn random(&self, mut random: impl FnMut() -> u64) -> Option<EntryRef> {
        if self.len == 0 {
            return None;
        }
        let draw = |number: u64| {
            let at = (u128::from(number) * u128::from(figure(self.buckets.len()))) >> u64::BITS;
            usize::try_from(at).expect("less than the number of buckets")
        };
        // Unless much was reserved, at least one bucket in six is taken, and this many misses do
        // not happen by chance.
        let mut at = draw(random());
        for _ in 0..1_000 {
            if self.buckets[at] != EMPTY {
                return Some(ref_of(self.buckets[at]));
            }
            at = draw(random());
        }
        let (before, behind) = self.buckets.split_at(at);
        let mut others = behind.iter().chain(before);
        others.find(|&&bucket| bucket != EMPTY).map(|&bucket| ref_of(bucket))
    }

    /// Length of the array of buckets, empty ones included.
    #[cfg(test)]
    pub(crate) fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    /// Bytes taken from the allocator, for buckets, entries and keys.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let buckets = self.buckets.capacity() * size_of::<Bucket>();
        figure(buckets + ALLOCATION_OVERHEAD_BYTES + size_of::<Self>()) + self.arena.memory_bytes()
    }

    #[inline]
    fn find(&self, tag: u32, key: &[u8]) -> Option<(usize, EntryRef, Entry)> {
        let mut at = self.home(tag);
        while let Some(&bucket) = self.buckets.get(at) {
            let found = tag_of(bucket);
            if found > tag || bucket == EMPTY {
                return None;
            }
            if found == tag {
                let r = ref_of(bucket);
                if let Some(entry) = self.arena.entry_if_key(r, key) {
                    return Some((at, r, entry));
                }
            }
            at += 1;
        }
        None
    }

    /// Where a tag's buckets begin at the earliest.
    #[inline]
    fn home(&self, tag: u32) -> usize {
        home(tag, self.homes)
    }

    /// Puts a bucket where it belongs and moves those behind it up to the next gap.
    fn place(&mut self, tag: u32, r: EntryRef) {
        let mut at = self.home(tag);
        while at < self.buckets.len()
            && self.buckets[at] != EMPTY
            && tag_of(self.buckets[at]) <= tag
        {
            at += 1;
        }
        let gap = self.buckets[at..].iter().position(|&bucket| bucket == EMPTY);
        let gap = gap.map_or(self.buckets.len(), |steps| at + steps);
        if gap == self.buckets.len() {
            push(&mut self.buckets, EMPTY);
        }
        self.buckets.copy_within(at..gap, at + 1);
        self.buckets[at] = bucket(tag, r);
    }

    /// Empties a bucket and moves back those behind it that are not at home.
    fn close_gap(&mut self, at: usize) {
        let displaced = self.buckets[at + 1..]
            .iter()
            .zip(at + 1..)
            .take_while(|&(&bucket, place)| bucket != EMPTY && self.home(tag_of(bucket)) < place)
            .count();
        self.buckets.copy_within(at + 1..=at + displaced, at);
        self.buckets[at + displaced] = EMPTY;
        while self.buckets.len() > self.homes && self.buckets.last() == Some(&EMPTY) {
            self.buckets.pop();
        }
    }

    /// Moves all buckets to an array with so many homes.
    fn resize(&mut self, homes: usize) {
        let mut buckets = Vec::with_capacity(homes + 8);
        buckets.resize(homes, EMPTY);
        let mut next = 0;
        for &bucket in self.buckets.iter().filter(|&&bucket| bucket != EMPTY) {
            let place = home(tag_of(bucket), homes).max(next);
            match buckets.get_mut(place) {
                Some(empty) => *empty = bucket,
                None => push(&mut buckets, bucket),
            }
            next = place + 1;
        }
        self.buckets = buckets;
        self.homes = homes;
    }
}

/// The shortest array for so many entries.
fn homes_for(len: usize) -> usize {
    (len * 16).div_ceil(LOAD_MAX_SIXTEENTHS)
}

#[inline]
fn home(tag: u32, homes: usize) -> usize {
    let place = (u64::from(tag) * figure(homes)) >> u32::BITS;
    usize::try_from(place).expect("less than the number of homes")
}

/// Appends without letting the array double.
fn push(buckets: &mut Vec<Bucket>, bucket: Bucket) {
    if buckets.len() == buckets.capacity() {
        buckets.reserve_exact(buckets.len() / 8 + 8);
    }
    buckets.push(bucket);
}

#[inline]
fn bucket(tag: u32, r: EntryRef) -> Bucket {
    u64::from(tag) << u32::BITS | u64::from(r.0)
}

#[inline]
fn tag_of(bucket: Bucket) -> u32 {
    u32::try_from(bucket >> u32::BITS).expect("64 bits less 32 are 32")
}

#[inline]
fn ref_of(bucket: Bucket) -> EntryRef {
    EntryRef(u32::try_from(bucket & u64::from(u32::MAX)).expect("masked to 32 bits"))
}
