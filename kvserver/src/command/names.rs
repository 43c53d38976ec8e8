//! Where the names of elements are among a command's arguments: fields of hashes, members of sets.
//!
//! For whoever fetches ahead what a command will look up; a place that holds something else, as
//! behind options of ZADD, costs a fetch in vain.

use super::table::{Fetch, Of};
use crate::data::Ahead;

/// The names among the arguments of a command, whose first argument is the key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names(Fetch);

impl Names {
    /// One name at this place, whose element is read.
    pub(crate) const fn read(at: usize) -> Self {
        Names::one(at, Ahead::Value)
    }
    /// One name at this place, whose element is looked for, or written whatever it was.
    pub(crate) const fn placed(at: usize) -> Self {
        Names::one(at, Ahead::Place)
    }
    /// One name at this place, whose element is read and then written.
    pub(crate) const fn updated(at: usize) -> Self {
        Names::one(at, Ahead::Both)
    }
    const fn one(at: usize, ahead: Ahead) -> Self {
        Names(Fetch { of: Of::Elements { part: &[] }, ahead, first: at, step: None })
    }
    /// Every so many arguments there is another one, up to the last.
    pub(crate) const fn every(mut self, step: usize) -> Self {
        self.0.step = Some(step);
        self
    }
    /// Their elements lie in this part of the collection.
    pub(crate) const fn within(mut self, part: &'static [u8]) -> Self {
        self.0.of = Of::Elements { part };
        self
    }
    /// How to fetch them.
    pub(super) const fn fetch(self) -> Fetch {
        self.0
    }
}
