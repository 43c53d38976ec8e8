//! Going through all frames of a file that can be read, over whatever is damaged between them.

use super::Damage;
use crate::{
    error::Result,
    log::{DataFile, FrameView, FrameWalk, Step},
};
use std::path::Path;

/// Bytes between sound frames, or behind the last one, that are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) what: String,
    /// Nothing but zeros up to the end: a log that ends here, perhaps.
    pub(crate) is_end: bool,
}

impl Gap {
    pub(crate) fn damage(&self, file: &Path) -> Damage {
        Damage::new(file, self.from, self.to - self.from, &self.what)
    }
}

/// Hands every sound frame before `end` to `found`, in order, and what lies between to `gap`.
///
/// Bytes of the search behind damage are found by their checksums, which are bound to file and
/// offset: what is found was written there.
pub(crate) fn sweep(
    file: &DataFile,
    end: u64,
    mut found: impl FnMut(u64, &FrameView<'_>),
    mut gap: impl FnMut(Gap),
) -> Result<()> {
    let mut walk = FrameWalk::new(file, end);
    let end = end.min(file.written());
    loop {
        let (from, what, zeros) = match walk.step()? {
            Step::Frame(at, frame) => {
                found(at, &frame);
                continue;
            }
            Step::End(at) if at >= end => return Ok(()),
            Step::End(at) => (at, "zeros where a record is due".to_owned(), true),
            Step::Damaged(at, e) => (at, e.to_string(), false),
        };
        let next = walk.skip_to_next()?;
        let to = if next { walk.place() } else { end };
        let is_end = zeros && !next && is_zero(file, from, end)?;
        gap(Gap { from, to, what, is_end });
        if !next {
            return Ok(());
        }
    }
}

fn is_zero(file: &DataFile, from: u64, to: u64) -> Result<bool> {
    let len = usize::try_from(to - from).unwrap_or(usize::MAX);
    file.with_bytes(from, len, |bytes| bytes.iter().all(|b| *b == 0))
}
