//! Ranges of a sorted set: by rank, by score, by name; read from arguments, then walked.

use std::ops::{Bound, ControlFlow, Range};

use super::layout::{Scored, at_bits, len, rank_bits, scored};
use crate::command::CommandError;
use crate::command::arguments::Indexes;
use crate::data::{Collection, Db, Direction};
use crate::double;

const NOT_FLOAT: CommandError = CommandError::text("ERR min or max is not a float");
const NOT_NAME: CommandError = CommandError::text("ERR min or max not valid string range item");

/// A range of keys in order.
type Keys = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A range of members.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Members {
    /// By rank; counted from the highest score in a walk that descends.
    Ranks(Indexes),
    /// By the places of scores: from the first to before the second.
    Scores(Range<u64>),
    /// By name, where all scores are the same: there the order is that of the names.
    Names(Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// None, whatever there is.
    Nothing,
}

/// A part of a walk: what to skip, and how many to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) skip: u64,
    pub(super) most: usize,
}

impl Limit {
    pub(super) const NONE: Limit = Limit { skip: 0, most: usize::MAX };
}

impl Members {
    /// `min max` of the commands by score: a number, or `(` and a number that is left out.
    pub(super) fn scores(min: &[u8], max: &[u8]) -> Result<Self, CommandError> {
        let (min, min_is_out) = score_bound(min)?;
        let (max, max_is_out) = score_bound(max)?;
        let start = rank_bits(min) + u64::from(min_is_out);
        let end = rank_bits(max) + u64::from(!max_is_out);
        Ok(if start < end { Members::Scores(start..end) } else { Members::Nothing })
    }

    /// `min max` of the commands by name: `-`, `+`, `[name` or `(name`.
    pub(super) fn names(min: &[u8], max: &[u8]) -> Result<Self, CommandError> {
        let bound = |text: &[u8]| match text {
            [b'-'] | [b'+'] => Ok(Bound::Unbounded),
            [b'[', name @ ..] => Ok(Bound::Included(name.to_vec())),
            [b'(', name @ ..] => Ok(Bound::Excluded(name.to_vec())),
            _ => Err(NOT_NAME),
        };
        let (start, end) = (bound(min)?, bound(max)?);
        let is_empty = min == b"+" || max == b"-" || is_backwards(&start, &end);
        Ok(if is_empty { Members::Nothing } else { Members::Names(start, end) })
    }

    /// The keys in order of the range; `None` if it is empty.
    fn keys(&self, db: &mut Db<'_>, zset: Collection<'_>) -> Result<Option<Keys>, CommandError> {
        Ok(match self {
            Members::Nothing => None,
            Members::Ranks(_) => Some((Bound::Included(at_bits(0, &[])), Bound::Unbounded)),
            Members::Scores(places) => Some((
                Bound::Included(at_bits(places.start, &[])),
                Bound::Excluded(at_bits(places.end, &[])),
            )),
            Members::Names(start, end) => named(db, zset, (start, end))?,
        })
    }

    /// How many members the range has.
    pub(super) fn count(&self, db: &mut Db<'_>, zset: Collection<'_>) -> Result<u64, CommandError> {
        match self.keys(db, zset)? {
            Some((start, end)) => Ok(db.count(zset, (slice(&start), slice(&end)))?),
            None => Ok(0),
        }
    }

    /// The members of the range from one end.
    pub(super) fn collect(
        &self,
        db: &mut Db<'_>,
        zset: Collection<'_>,
        direction: Direction,
        limit: Limit,
    ) -> Result<Vec<Scored>, CommandError> {
        let mut found = Vec::new();
        let Some((mut start, mut end)) = self.keys(db, zset)? else { return Ok(found) };
        let (skip, most) = match self {
            Members::Ranks(indexes) => {
                let ranks = indexes.of(len(db, zset)?);
                (ranks.start, usize::try_from(ranks.end - ranks.start).unwrap_or(usize::MAX))
            }
            _ => (limit.skip, limit.most),
        };
        if most == 0 {
            return Ok(found);
        }
        if skip > 0 {
            // Where the walk begins is found by counting, not by walking.
            let span = (slice(&start), slice(&end));
            let count = db.count(zset, span)?;
            let Some(last) = count.checked_sub(skip + 1) else { return Ok(found) };
            let at = if direction == Direction::Ascending { skip } else { last };
            let Some(first) = db.nth(zset, span, at)? else { return Ok(found) };
            match direction {
                Direction::Ascending => start = Bound::Included(first.sub),
                Direction::Descending => end = Bound::Included(first.sub),
            }
        }
        db.walk(zset, (slice(&start), slice(&end)), direction, most, |seen| {
            found.push(scored(seen.sub()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }
}

/// The keys in order of a range by name.
fn named(
    db: &mut Db<'_>,
    zset: Collection<'_>,
    (start, end): (&Bound<Vec<u8>>, &Bound<Vec<u8>>),
) -> Result<Option<Keys>, CommandError> {
    let all = at_bits(0, &[]);
    let all = (Bound::Included(&all[..]), Bound::Unbounded);
    let Some(first) = db.nth(zset, all, 0)? else { return Ok(None) };
    let place = rank_bits(scored(&first.sub).score);
    let others = at_bits(place + 1, &[]);
    if db.nth(zset, (Bound::Included(&others), Bound::Unbounded), 0)?.is_some() {
        return searched(db, zset, (start, end));
    }
    let name = |name: &Vec<u8>| at_bits(place, name);
    let start = match start {
        Bound::Unbounded => Bound::Included(at_bits(place, &[])),
        bound => bound.as_ref().map(name),
    };
    let end = match end {
        Bound::Unbounded => Bound::Excluded(others),
        bound => bound.as_ref().map(name),
    };
    Ok(Some((start, end)))
}

/// A range by name where scores differ, which is not what it is for: what a search by halves
/// finds. That is right where the order of the names is that of the scores.
fn searched(
    db: &mut Db<'_>,
    zset: Collection<'_>,
    (start, end): (&Bound<Vec<u8>>, &Bound<Vec<u8>>),
) -> Result<Option<Keys>, CommandError> {
    let is_before = |member: &Vec<u8>| match start {
        Bound::Unbounded => false,
        Bound::Included(name) => member < name,
        Bound::Excluded(name) => member <= name,
    };
    let is_within = |member: &Vec<u8>| match end {
        Bound::Unbounded => true,
        Bound::Included(name) => member <= name,
        Bound::Excluded(name) => member < name,
    };
    let Some(first) = partition(db, zset, is_before)? else { return Ok(None) };
    Ok(match partition(db, zset, is_within)? {
        None => Some((Bound::Included(first), Bound::Unbounded)),
        Some(end) if first < end => Some((Bound::Included(first), Bound::Excluded(end))),
        Some(_) => None,
    })
}

/// The key in order of the first member that is not in `part`, which is taken to be the first
/// part of the order.
fn partition(
    db: &mut Db<'_>,
    zset: Collection<'_>,
    part: impl Fn(&Vec<u8>) -> bool,
) -> Result<Option<Vec<u8>>, CommandError> {
    let all = at_bits(0, &[]);
    let all = (Bound::Included(&all[..]), Bound::Unbounded);
    let (mut low, mut high, mut found) = (0, db.count(zset, all)?, None);
    while low < high {
        let middle = low.midpoint(high);
        let Some(element) = db.nth(zset, all, middle)? else { break };
        if part(&scored(&element.sub).member) {
            low = middle + 1;
        } else {
            high = middle;
            found = Some(element.sub);
        }
    }
    Ok(found)
}

fn slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// A score, and whether it is left out itself.
fn score_bound(text: &[u8]) -> Result<(f64, bool), CommandError> {
    match text {
        [b'(', rest @ ..] => Ok((double::parse_loosely(rest).ok_or(NOT_FLOAT)?, true)),
        _ => Ok((double::parse_loosely(text).ok_or(NOT_FLOAT)?, false)),
    }
}

fn is_backwards(start: &Bound<Vec<u8>>, end: &Bound<Vec<u8>>) -> bool {
    match (start, end) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (
            Bound::Included(start) | Bound::Excluded(start),
            Bound::Included(end) | Bound::Excluded(end),
        ) => start >= end,
    }
}
