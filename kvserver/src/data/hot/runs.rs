//! The ends of a list, as far as they are known: numbers that are evenly apart.
//!
//! Pushes and pops at the ends leave positions evenly apart, so three numbers tell all of them.
//! Pure. Knows numbers, does not know what lies there.
//!
//! # Laws
//!
//! N1. Every number of a run is there and none between them is; none lies beyond its own end.
//! N2. Where both runs are the whole list they are equal.

use crate::data::Direction;

/// Numbers from one end of a list inwards; none if nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Run {
    low: u64,
    high: u64,
    /// Between neighbours, where there are any.
    step: u64,
    count: u64,
}

/// What is known of both ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Runs {
    low: Run,
    high: Run,
}

/// The number at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct Outer {
    pub(in crate::data) number: u64,
    /// So many are known from there inwards, evenly apart.
    pub(in crate::data) known: u64,
    pub(in crate::data) step: u64,
}

impl Runs {
    /// The number at the end that a walk in this direction begins at.
    pub(super) fn outer(&self, end: Direction) -> Option<Outer> {
        let Run { low, high, step, count: known } = *self.at(end);
        let number = if end == Direction::Ascending { low } else { high };
        (known > 0).then_some(Outer { number, known, step })
    }
    fn at(&self, end: Direction) -> &Run {
        match end {
            Direction::Ascending => &self.low,
            Direction::Descending => &self.high,
        }
    }

    /// These are the outermost ones at an end of a list of so many, if that is known.
    pub(super) fn set(&mut self, end: Direction, numbers: &[u64], len: Option<u64>) {
        let run = match end {
            Direction::Ascending => &mut self.low,
            Direction::Descending => &mut self.high,
        };
        *run = Run::of(numbers);
        self.know_len(len);
    }
    /// A number is written, in a list of so many; whether it is new, if that can be told.
    pub(super) fn put(&mut self, number: u64, len: Option<u64>) -> Option<bool> {
        let low = self.low.put(number, Direction::Ascending, len);
        let high = self.high.put(number, Direction::Descending, len);
        let is_new = low.or(high);
        self.know_len(is_new.and_then(|is_new| Some(len? + u64::from(is_new))));
        is_new
    }
    /// A number that was there is removed, which leaves a list of so many.
    pub(super) fn remove(&mut self, number: u64, len: Option<u64>) {
        self.low.remove(number, Direction::Ascending);
        self.high.remove(number, Direction::Descending);
        self.know_len(len);
    }

    /// The list is of this length, if that is known. Where one run is all of it, so is the other
    /// one (N2).
    pub(super) fn know_len(&mut self, len: Option<u64>) {
        if len == Some(self.low.count) {
            self.high = self.low;
        } else if len == Some(self.high.count) {
            self.low = self.high;
        }
    }
}

impl Run {
    /// The first of these, outermost first, that are evenly apart.
    fn of(numbers: &[u64]) -> Run {
        let Some((&first, rest)) = numbers.split_first() else { return Run::default() };
        let (mut run, mut last) = (Run { low: first, high: first, step: 0, count: 1 }, first);
        for &number in rest {
            let step = number.abs_diff(last);
            if run.count > 1 && step != run.step {
                break;
            }
            (run.step, last) = (step, number);
            run.count += 1;
        }
        (run.low, run.high) = (first.min(last), first.max(last));
        run
    }

    fn put(&mut self, number: u64, end: Direction, len: Option<u64>) -> Option<bool> {
        if self.count == 0 {
            return None;
        }
        let is_below = number < self.low;
        if !is_below && number <= self.high {
            let is_new = self.count > 1 && !(number - self.low).is_multiple_of(self.step);
            if is_new {
                self.cut(number, end);
            }
            return Some(is_new);
        }
        let is_beyond_own_end = is_below == (end == Direction::Ascending);
        if !is_beyond_own_end && len != Some(self.count) {
            return None;
        }
        let edge = if is_below { self.low } else { self.high };
        let step = edge.abs_diff(number);
        if self.count == 1 || step == self.step {
            (self.low, self.high) = (self.low.min(number), self.high.max(number));
            self.step = step;
            self.count += 1;
        } else if is_beyond_own_end {
            *self = Run { low: edge.min(number), high: edge.max(number), step, count: 2 };
        }
        Some(true)
    }

    fn remove(&mut self, number: u64, end: Direction) {
        let is_within = self.count > 0 && (self.low..=self.high).contains(&number);
        if !is_within {
            return;
        }
        match end {
            _ if self.count == 1 => return *self = Run::default(),
            Direction::Ascending if number == self.low => self.low += self.step,
            Direction::Descending if number == self.high => self.high -= self.step,
            _ => return self.cut(number, end),
        }
        self.count -= 1;
    }

    /// Keeps those from the own end to before a number within the run.
    fn cut(&mut self, number: u64, end: Direction) {
        let (low, high) = (self.low, self.high);
        match end {
            Direction::Ascending => {
                self.count = (number - low).div_ceil(self.step);
                self.high = low + self.step * self.count.saturating_sub(1);
            }
            Direction::Descending => {
                self.count = (high - number).div_ceil(self.step);
                self.low = high - self.step * self.count.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check(run: &Run, set: &BTreeSet<u64>, end: Direction) {
        let expected: Vec<u64> = match end {
            Direction::Ascending => set.iter().copied().collect(),
            Direction::Descending => set.iter().rev().copied().collect(),
        };
        let outer = |n: u64| match end {
            Direction::Ascending => run.low + n * run.step,
            Direction::Descending => run.high - n * run.step,
        };
        let known: Vec<u64> = (0..run.count).map(outer).collect();
        assert!(expected.starts_with(&known), "N1: {run:?} of {expected:?}, {end:?}");
    }

    #[test]
    fn n1_runs_are_what_is_there_after_any_changes() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..300 {
            let (mut runs, mut set) = (Runs::default(), BTreeSet::from([500_u64]));
            // As long as it is known.
            let mut len = Some(1);
            for _ in 0..200 {
                let (low, high) = (set.first().copied(), set.last().copied());
                let (low, high) = (low.unwrap_or(500), high.unwrap_or(500));
                let at = [low.saturating_sub(4), high + 4, rng.u64(low..=high), rng.u64(..1_000)];
                let number = at[rng.usize(..4)];
                match rng.u8(..8) {
                    0 => {
                        let end = [Direction::Ascending, Direction::Descending][rng.usize(..2)];
                        let limit = rng.usize(1..8);
                        let numbers: Vec<u64> = match end {
                            Direction::Ascending => set.iter().take(limit).copied().collect(),
                            Direction::Descending => {
                                set.iter().rev().take(limit).copied().collect()
                            }
                        };
                        runs.set(end, &numbers, len);
                    }
                    1 => {
                        len = Some(set.len() as u64);
                        runs.know_len(len);
                    }
                    2 | 3 if set.len() > 1 => {
                        let number = [low, high][rng.usize(..2)];
                        set.remove(&number);
                        len = len.map(|len| len - 1);
                        runs.remove(number, len);
                    }
                    4 if set.remove(&number) => {
                        len = len.map(|len| len - 1);
                        runs.remove(number, len);
                    }
                    _ => {
                        let is_new = runs.put(number, len);
                        let was_new = set.insert(number);
                        assert!(is_new.is_none_or(|is_new| is_new == was_new));
                        len = is_new.and(len).map(|len| len + u64::from(was_new));
                    }
                }
                check(&runs.low, &set, Direction::Ascending);
                check(&runs.high, &set, Direction::Descending);
                let is_whole = |run: &Run| len == Some(run.count);
                assert_eq!(is_whole(&runs.low), is_whole(&runs.high), "N2");
            }
        }
    }

    #[test]
    fn a_list_of_pushes_is_known_to_its_other_end() {
        let mut runs = Runs::default();
        runs.set(Direction::Ascending, &[100], Some(1));
        for n in 1..=50 {
            assert_eq!(runs.put(100 - n, Some(n)), Some(true));
        }
        let outer = runs.outer(Direction::Descending);
        assert_eq!(outer, Some(Outer { number: 100, known: 51, step: 1 }));
        (51..=100).rev().for_each(|number| runs.remove(number, Some(number - 50)));
        let outer = runs.outer(Direction::Descending);
        assert_eq!(outer, Some(Outer { number: 50, known: 1, step: 1 }));
        assert_eq!(outer, runs.outer(Direction::Ascending));
    }
}
