//! The first free block of every size that has one, in one chunk, ordered by size.
//!
//! Knows sizes and places, not what is in a block. The sizes are those of keys: few, so they stand
//! in one sorted vector, and most of them beside what else is known of a chunk: a vector elsewhere
//! would be waited for in every removal.

use smallvec::SmallVec;

use super::entry::EntryRef;

/// As many sizes take no memory of their own.
const SIZES_INLINE: usize = 4;

/// Size in units to the first free block of that size.
#[derive(Debug, Default)]
pub(super) struct FreeSizes(SmallVec<[(u32, EntryRef); SIZES_INLINE]>);

impl FreeSizes {
    #[inline]
    fn place(&self, units: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&units, |(size, _)| *size)
    }

    pub(super) fn get(&self, units: u32) -> Option<EntryRef> {
        self.place(units).ok().map(|at| self.0[at].1)
    }

    /// Makes a block the first of its size, and returns the one that was.
    pub(super) fn insert(&mut self, units: u32, first: EntryRef) -> Option<EntryRef> {
        match self.place(units) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, first)),
            Err(at) => {
                self.0.insert(at, (units, first));
                None
            }
        }
    }

    pub(super) fn remove(&mut self, units: u32) {
        if let Ok(at) = self.place(units) {
            self.0.remove(at);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, EntryRef)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_takes_the_place_of_the_first_one_of_its_size() {
        let mut sizes = FreeSizes::default();
        for units in [7, 3, 12] {
            assert_eq!(sizes.insert(units, EntryRef(units)), None);
        }
        assert_eq!(sizes.insert(7, EntryRef(70)), Some(EntryRef(7)));
        let all = [(3, EntryRef(3)), (7, EntryRef(70)), (12, EntryRef(12))];
        assert_eq!(sizes.iter().collect::<Vec<_>>(), all);
        sizes.remove(7);
        sizes.remove(8);
        assert_eq!((sizes.get(7), sizes.get(12)), (None, Some(EntryRef(12))));
    }
}
