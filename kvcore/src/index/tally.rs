//! A number that one thread at a time changes, and anybody reads.
//!
//! Knows nothing of what it counts. Who changes it holds the writer lock (X1), so that no
//! instruction is needed that locks the memory: a commit changes three of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count, or a sum.
#[derive(Debug, Default)]
pub(super) struct Tally(AtomicU64);

impl Tally {
    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Release);
    }

    /// May go beyond what fits, and come back.
    #[inline]
    pub(super) fn add(&self, n: u64) {
        self.set(self.0.load(Ordering::Relaxed).wrapping_add(n));
    }

    #[inline]
    pub(super) fn sub(&self, n: u64) {
        self.set(self.0.load(Ordering::Relaxed).wrapping_sub(n));
    }
}
