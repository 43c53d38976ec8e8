//! A node's heads in ascending order, laid out for a search that waits for memory only twice.
//!
//! A binary search over eight cache lines waits for one after the other. Comparing the first head
//! of every line first lets the processor fetch all of them at once.
//!
//! Knows numbers.
//!
//! # Invariants
//!
//! H1. The heads ascend; places behind the last hold the greatest number.

/// Most heads.
pub(super) const HEADS_MAX: usize = 64;
/// Heads per cache line.
const LINE: usize = 8;
const UNUSED: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Heads([u64; HEADS_MAX]);

impl Heads {
    pub(super) fn new() -> Self {
        Self([UNUSED; HEADS_MAX])
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        self.0[at]
    }

    /// How many are below `head`.
    #[inline]
    pub(super) fn below(&self, head: u64) -> usize {
        let (lines, _) = self.0.as_chunks::<LINE>();
        let line = lines[1..].iter().map(|line| usize::from(line[0] < head)).fold(0, add);
        let in_line = lines[line].iter().map(|&other| usize::from(other < head)).fold(0, add);
        line * LINE + in_line
    }

    /// How many of the first `len` are equal to `head`, from the first that is.
    #[inline]
    pub(super) fn equal(&self, from: usize, len: usize, head: u64) -> usize {
        self.0[from..len].iter().take_while(|&&other| other == head).count()
    }

    /// Adds a head to the first `len`, which are fewer than fit.
    pub(super) fn insert(&mut self, at: usize, len: usize, head: u64) {
        self.0.copy_within(at..len, at + 1);
        self.0[at] = head;
    }

    /// Removes `from..to` of the first `len`.
    pub(super) fn remove(&mut self, from: usize, to: usize, len: usize) {
        self.0.copy_within(to..len, from);
        self.0[len - (to - from)..len].fill(UNUSED);
    }

    /// Puts `from..to` of another behind the first `len`.
    pub(super) fn append(&mut self, len: usize, other: &Self, from: usize, to: usize) {
        self.0[len..len + (to - from)].copy_from_slice(&other.0[from..to]);
    }

    /// Makes the first `len` anew, each from its place and what it was.
    pub(super) fn remake(&mut self, len: usize, mut make: impl FnMut(usize, u64) -> u64) {
        for (at, head) in self.0[..len].iter_mut().enumerate() {
            *head = make(at, *head);
        }
    }
}

/// Addition that cannot overflow here, so that no check keeps it from being done in parallel.
fn add(a: usize, b: usize) -> usize {
    a.wrapping_add(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_finds_the_place_for_every_number_of_heads() {
        let values: Vec<u64> = (0..64).map(|n| if n > 60 { u64::MAX } else { n / 3 * 5 }).collect();
        for len in 0..=HEADS_MAX {
            let mut heads = Heads::new();
            for (at, &value) in values[..len].iter().enumerate() {
                heads.insert(at, at, value);
            }
            for head in (0..120).chain([u64::MAX]) {
                let below = values[..len].partition_point(|&value| value < head);
                let equal = values[..len].iter().filter(|&&value| value == head).count();
                assert_eq!(heads.below(head), below);
                assert_eq!(heads.equal(below, len, head), equal);
            }
        }
    }
}
