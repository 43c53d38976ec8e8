//! Elements drawn at random for those who take one after the other.
//!
//! Pure. Knows keys of elements, does not know what is drawn from.
//!
//! # Laws
//!
//! R1. What is here was drawn without repetition, evenly among all elements. Whatever changes but
//!     the removal of the one that is next forgets it: so each one that is taken has been drawn
//!     evenly among what there is when it is taken.
//! R2. As many are drawn as have been taken since something else changed, up to [`DRAWN_MAX`]: who
//!     takes one only pays for one.

use crate::data::Joined;

/// Elements drawn at once, at most.
const DRAWN_MAX: usize = 16;

/// Elements that have been drawn and not been taken.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// The last one is next.
    subs: Vec<Joined>,
    taken: usize,
}

impl Drawn {
    /// The one that is next, or how many should be drawn.
    pub(super) fn next(&self) -> Result<&Joined, usize> {
        self.subs.last().ok_or(self.taken.clamp(1, DRAWN_MAX))
    }
    /// These have been drawn.
    pub(super) fn set(&mut self, subs: Vec<Joined>) {
        self.subs = subs;
    }
    /// An element has come or changed.
    #[inline]
    pub(super) fn forget(&mut self) {
        self.subs.clear();
        self.taken = 0;
    }
    /// This element has been removed.
    #[inline]
    pub(super) fn remove(&mut self, sub: &[u8]) {
        match self.subs.last() {
            Some(next) if **next == *sub => {
                self.subs.pop();
                self.taken = self.taken.saturating_add(1);
            }
            _ => self.forget(),
        }
    }
}
