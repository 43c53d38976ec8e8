//! The first free block of every size that has one, ordered by size.
//!
//! Knows sizes and places, not what is in a block. The sizes are those of keys: few, so they stand
//! in one sorted vector.

use super::entry::EntryRef;

/// Size in units to the first free block of that size.
#[derive(Debug, Default)]
pub(super) struct FreeSizes(Vec<(u32, EntryRef)>);

impl FreeSizes {
    #[inline]
    fn place(&self, units: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&units, |(size, _)| *size)
    }

    pub(super) fn get(&self, units: u32) -> Option<EntryRef> {
        self.place(units).ok().map(|at| self.0[at].1)
    }

    /// The smallest block of at least that size.
    pub(super) fn at_least(&self, units: u32) -> Option<EntryRef> {
        let at = self.place(units).unwrap_or_else(|at| at);
        self.0.get(at).map(|(_, first)| *first)
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

    /// Bytes taken from the allocator.
    pub(super) fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u32, EntryRef)>()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, EntryRef)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_block_that_is_large_enough_is_found() {
        let mut sizes = FreeSizes::default();
        for units in [7, 3, 12] {
            assert_eq!(sizes.insert(units, EntryRef(units)), None);
        }
        assert_eq!(sizes.insert(7, EntryRef(70)), Some(EntryRef(7)));
        let found: Vec<_> = [1, 3, 4, 7, 8, 12, 13].map(|n| sizes.at_least(n)).to_vec();
        let wanted = [3, 3, 70, 70, 12, 12].map(|r| Some(EntryRef(r)));
        assert_eq!((&found[..6], found[6]), (&wanted[..], None));
        sizes.remove(7);
        sizes.remove(8);
        assert_eq!((sizes.get(7), sizes.get(12)), (None, Some(EntryRef(12))));
    }
}
