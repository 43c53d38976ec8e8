//! Where the elements of a list lie: positions far apart, so that one fits between two.
//!
//! An element of a list is (position, eight bytes, big-endian) → value. The first one lies in the
//! middle of what eight bytes can say, the ends grow by [`STEP`]. What is put between two takes the
//! middle; where there is none left, the neighbourhood is spread out, and twice as much of it as
//! long as it is too dense.

use std::ops::{Bound, ControlFlow};

use crate::data::{Collection, Db, Direction, Element, StoreError, WHOLE};

type Result<T> = std::result::Result<T, StoreError>;

/// The position of the first element of a new list.
const MIDDLE: u64 = 1 << 63;
/// The distance of neighbours at the ends: sixteen times between the same two before they are
/// spread, and 2^47 elements at each end.
const STEP: u64 = 1 << 16;
/// Elements to each side that are spread first.
const NEIGHBOURS_MIN: usize = 32;

/// The position in an element's key.
pub(super) fn of(sub: &[u8]) -> u64 {
    sub.try_into().map(u64::from_be_bytes).unwrap_or(MIDDLE)
}

/// One end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The head.
    Left,
    /// The tail.
    Right,
}

impl End {
    /// How a walk from this end goes.
    pub(super) fn inwards(self) -> Direction {
        match self {
            End::Left => Direction::Ascending,
            End::Right => Direction::Descending,
        }
    }
    /// The position next to an outermost one, if there is room.
    fn beyond(self, outermost: u64) -> Option<u64> {
        match self {
            End::Left => outermost.checked_sub(STEP),
            End::Right => outermost.checked_add(STEP),
        }
    }
}

/// The outermost position at one end; `None` if the list is empty.
fn outermost(db: &mut Db<'_>, list: Collection<'_>, end: End) -> Result<Option<u64>> {
    Ok(db.outer_number(list, end.inwards())?.map(|outermost| outermost.number))
}

/// Adds values at one end, one after the other: the last one given is the outermost.
pub(in crate::command) fn push(
    db: &mut Db<'_>,
    list: Collection<'_>,
    end: End,
    values: &[&[u8]],
) -> Result<()> {
    let mut last = outermost(db, list, end)?;
    for value in values {
        let at = match last {
            None => MIDDLE,
            Some(outermost) => match end.beyond(outermost) {
                Some(at) => at,
                None => {
                    recentre(db, list)?;
                    let outermost = self::outermost(db, list, end)?.unwrap_or(MIDDLE);
                    end.beyond(outermost).unwrap_or(MIDDLE)
                }
            },
        };
        db.put_element(list, &at.to_be_bytes(), value);
        last = Some(at);
    }
    Ok(())
}

/// Puts a value next to the element at `pivot`, on its left or right side.
pub(super) fn insert(
    db: &mut Db<'_>,
    list: Collection<'_>,
    (pivot, side): (u64, End),
    value: &[u8],
) -> Result<()> {
    let at = match between(db, list, (pivot, side))? {
        Some(at) => at,
        None => {
            let pivot = spread(db, list, pivot)?;
            let at = between(db, list, (pivot, side))?;
            at.expect("neighbours that were spread have room between them")
        }
    };
    db.put_element(list, &at.to_be_bytes(), value);
    Ok(())
}

/// A free position next to the pivot; `None` if its neighbour leaves none.
fn between(
    db: &mut Db<'_>,
    list: Collection<'_>,
    (pivot, side): (u64, End),
) -> Result<Option<u64>> {
    let Some(neighbour) = neighbours(db, list, pivot, side, 1)?.pop() else {
        return Ok(side.beyond(pivot));
    };
    let neighbour = of(&neighbour.sub);
    let (low, high) = (pivot.min(neighbour), pivot.max(neighbour));
    Ok((high - low >= 2).then(|| low + (high - low) / 2))
}

/// Up to `limit` elements beside a position, nearest first.
fn neighbours(
    db: &mut Db<'_>,
    list: Collection<'_>,
    at: u64,
    side: End,
    limit: usize,
) -> Result<Vec<Element>> {
    let at = at.to_be_bytes();
    let (span, direction) = match side {
        End::Left => ((Bound::Unbounded, Bound::Excluded(&at[..])), Direction::Descending),
        End::Right => ((Bound::Excluded(&at[..]), Bound::Unbounded), Direction::Ascending),
    };
    let mut found = Vec::new();
    db.walk(list, span, direction, limit, |seen| {
        found.push(seen.to_element()?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Spreads the neighbourhood of the element at `pivot` evenly, and wide enough for many more
/// elements; where the pivot is then.
fn spread(db: &mut Db<'_>, list: Collection<'_>, pivot: u64) -> Result<u64> {
    let mut limit = NEIGHBOURS_MIN;
    loop {
        let left = neighbours(db, list, pivot, End::Left, limit + 1)?;
        let right = neighbours(db, list, pivot, End::Right, limit + 1)?;
        // The outermost one of each side stays: it bounds the room. At an end there is no bound.
        let (low, left) = bounded(left, limit);
        let (high, right) = bounded(right, limit);
        let count = u64::try_from(left.len() + right.len() + 1).unwrap_or(u64::MAX);
        let wide = count.saturating_mul(STEP);
        let low = low.unwrap_or_else(|| high.unwrap_or(pivot).saturating_sub(wide));
        let high = high.unwrap_or_else(|| low.saturating_add(wide));
        let step = (high - low) / (count + 1);
        let is_all = left.len() < limit && right.len() < limit;
        if step < STEP / 256 && !is_all {
            limit *= 2;
            continue;
        }
        if step < 2 {
            // At the end of what eight bytes can say.
            recentre(db, list)?;
            return spread_again(db, list, &left);
        }
        let own = db.element(list, &pivot.to_be_bytes())?.unwrap_or_default();
        let pivot_element = Element { sub: pivot.to_be_bytes().to_vec(), value: own };
        let mut all: Vec<Element> = left.into_iter().rev().collect();
        let before = u64::try_from(all.len()).unwrap_or(u64::MAX);
        all.push(pivot_element);
        all.extend(right);
        place(db, list, &all, low, step);
        return Ok(low + (before + 1) * step);
    }
}

/// The bound of a side and the elements inside it, from its elements, nearest first.
fn bounded(mut elements: Vec<Element>, limit: usize) -> (Option<u64>, Vec<Element>) {
    let bound = if elements.len() > limit { elements.pop() } else { None };
    (bound.map(|element| of(&element.sub)), elements)
}

/// Where the pivot lies after everything has moved: behind as many elements as before.
fn spread_again(db: &mut Db<'_>, list: Collection<'_>, left: &[Element]) -> Result<u64> {
    let before = u64::try_from(left.len()).unwrap_or(u64::MAX);
    let pivot = db.nth(list, WHOLE, before)?;
    Ok(pivot.map_or(MIDDLE, |element| of(&element.sub)))
}

/// Moves the elements, given in order, to every `step`-th position behind `low`.
fn place(db: &mut Db<'_>, list: Collection<'_>, elements: &[Element], low: u64, step: u64) {
    for element in elements {
        db.remove_element(list, &element.sub);
    }
    let mut at = low;
    for element in elements {
        at += step;
        db.put_element(list, &at.to_be_bytes(), &element.value);
    }
}

/// Moves the whole list to the middle: needed once in 2^47 pushes to the same end.
fn recentre(db: &mut Db<'_>, list: Collection<'_>) -> Result<()> {
    let mut all = Vec::new();
    db.walk(list, WHOLE, Direction::Ascending, usize::MAX, |seen| {
        all.push(seen.to_element()?);
        Ok(ControlFlow::Continue(()))
    })?;
    let half = u64::try_from(all.len() / 2).unwrap_or(0);
    place(db, list, &all, MIDDLE - half.saturating_mul(STEP).min(MIDDLE), STEP);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Fixture;
    use crate::data::{Expiry, Type};

    /// The values of the list `l`, in order.
    fn values(fixture: &mut Fixture) -> Vec<String> {
        let reply = fixture.run("LRANGE l 0 -1");
        reply.split("\r\n").skip(2).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn many_insertions_at_the_same_place_keep_their_order() {
        let mut fixture = Fixture::new();
        fixture.run("RPUSH l a z");
        let mut expected = vec!["a".to_owned(), "z".to_owned()];
        for n in 0..600 {
            // Always between the same two neighbours, from either side.
            let (side, pivot, at) = match n % 2 {
                0 => ("AFTER", "a", 1),
                _ => ("BEFORE", "z", expected.len() - 1),
            };
            let reply = fixture.run(&format!("LINSERT l {side} {pivot} v{n}"));
            expected.insert(at, format!("v{n}"));
            assert_eq!(reply, format!(":{}\r\n", expected.len()));
        }
        assert_eq!(values(&mut fixture), expected);
    }

    #[test]
    fn insertions_at_random_places_keep_their_order() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut fixture = Fixture::new();
        fixture.run("RPUSH l v");
        let mut expected = vec!["v".to_owned()];
        for n in 0..800 {
            // A few places that come again and again.
            let at = rng.usize(..expected.len().min(5));
            let pivot = expected[at].clone();
            let after = rng.bool();
            let side = if after { "AFTER" } else { "BEFORE" };
            fixture.run(&format!("LINSERT l {side} {pivot} v{n}"));
            expected.insert(at + usize::from(after), format!("v{n}"));
        }
        assert_eq!(values(&mut fixture), expected);
    }

    #[test]
    fn a_list_at_the_end_of_the_positions_moves_to_the_middle() {
        for (end, outermost) in [(End::Left, 7u64), (End::Right, u64::MAX - 7)] {
            let mut fixture = Fixture::new();
            fixture.with_db(|db| {
                let list = db.create(b"l", Type::List, Expiry::None).unwrap();
                db.put_element(list, &outermost.to_be_bytes(), b"old");
                push(db, list, end, &[b"new", b"newer"]).unwrap();
                let pivot = neighbours(db, list, MIDDLE, End::Left, 1).unwrap();
                assert_eq!(pivot.len(), usize::from(end == End::Left));
            });
            let expected = match end {
                End::Left => ["newer", "new", "old"],
                End::Right => ["old", "new", "newer"],
            };
            assert_eq!(values(&mut fixture), expected);
        }
    }
}
