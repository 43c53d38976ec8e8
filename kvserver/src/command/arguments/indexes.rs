//! A range by first and last index, inclusive, counted from the end where negative.

use std::ops::Range;

use super::{CommandError, integer};

/// As LRANGE, LTRIM and ZRANGE take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indexes {
    first: i64,
    last: i64,
}

impl Indexes {
    pub(crate) fn parse(first: &[u8], last: &[u8]) -> Result<Self, CommandError> {
        Ok(Indexes { first: integer(first)?, last: integer(last)? })
    }
    /// The places meant among `len` elements: empty where there are none.
    pub(crate) fn of(self, len: u64) -> Range<u64> {
        let first = from_end(self.first, len).unwrap_or(0);
        let end = from_end(self.last, len).map_or(0, |last| last.saturating_add(1).min(len));
        if first < end { first..end } else { 0..0 }
    }
}

/// The place an index means; `None` before the first one.
pub(crate) fn from_end(index: i64, len: u64) -> Option<u64> {
    let distance = index.unsigned_abs();
    if index < 0 { len.checked_sub(distance) } else { Some(distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_ranges_are_inclusive_clamped_and_count_from_either_end() {
        for (first, last, len, expected) in [
            (0, -1, 5, 0..5),
            (1, 2, 5, 1..3),
            (-2, -1, 5, 3..5),
            (-100, 100, 5, 0..5),
            (3, 1, 5, 0..0),
            (5, 9, 5, 0..0),
            (0, -6, 5, 0..0),
            (0, -1, 0, 0..0),
            (i64::MIN, i64::MAX, 5, 0..5),
            (i64::MAX, i64::MIN, 5, 0..0),
        ] {
            assert_eq!(Indexes { first, last }.of(len), expected, "{first} {last} {len}");
        }
    }
}
