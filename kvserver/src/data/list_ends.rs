//! The outermost elements of a list, remembered where it is used again and again (see `hot`).
//!
//! An element of a list is a number of eight bytes, big-endian; what it means is not known here.
//!
//! While changes are pending the store is asked: what is remembered is what is committed.

use std::ops::ControlFlow;

use super::collection::{Collection, WHOLE};
use super::hot::Outer;
use super::{Db, Direction, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

/// Elements looked up at an end at once.
const LOOKED_UP: usize = 32;
/// So many are fetched together, ahead of those who take them.
const FETCHED: u64 = 16;

/// The element at an end of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OuterNumber {
    pub(crate) number: u64,
    /// There is another one.
    pub(crate) is_more: bool,
}

impl Db<'_> {
    /// The outermost element of a list; `None` if it has none. Where elements have to be looked
    /// up, many are.
    pub(crate) fn outer_number(
        &mut self,
        of: Collection<'_>,
        end: Direction,
    ) -> Result<Option<OuterNumber>> {
        let is_quiet = self.data.pending.is_empty();
        if is_quiet && let Some((outer, is_more)) = self.remembered(of, end) {
            return Ok(Some(OuterNumber { number: outer.number, is_more }));
        }
        let limit = if is_quiet { LOOKED_UP } else { 2 };
        let mut numbers = Vec::with_capacity(limit);
        self.walk(of, WHOLE, end, limit, |seen| {
            let number = seen.sub().try_into().map(u64::from_be_bytes);
            numbers.push(number.map_err(|_| StoreError::State("an element of a list"))?);
            Ok(ControlFlow::Continue(()))
        })?;
        let Some(&number) = numbers.first() else { return Ok(None) };
        if is_quiet {
            self.data.engine.hot().set_outer(of.id, end, &numbers);
        }
        Ok(Some(OuterNumber { number, is_more: numbers.len() > 1 }))
    }

    /// What is remembered of an end, mostly seen already when the key was looked up.
    fn remembered(&self, of: Collection<'_>, end: Direction) -> Option<(Outer, bool)> {
        let seen = self.data.ends_seen.filter(|seen| seen.id == of.id);
        let outer = seen.and_then(|seen| seen.outer(end));
        outer.or_else(|| self.data.engine.hot().list(of.id)?.outer(end))
    }

    /// The same for who is about to take it, and probably those behind it: now and then starts
    /// fetching them.
    pub(crate) fn outer_number_to_take(
        &mut self,
        of: Collection<'_>,
        end: Direction,
    ) -> Result<Option<OuterNumber>> {
        if self.data.pending.is_empty()
            && let Some((outer, is_more)) = self.remembered(of, end)
        {
            if outer.number.checked_div(outer.step).is_some_and(|nth| nth.is_multiple_of(FETCHED)) {
                self.fetch_outer(of, end, outer);
            }
            return Ok(Some(OuterNumber { number: outer.number, is_more }));
        }
        self.outer_number(of, end)
    }

    /// Starts fetching the outermost elements, few enough for the processor's caches.
    fn fetch_outer(&self, Collection { id, .. }: Collection<'_>, end: Direction, outer: Outer) {
        let home = self.place.home;
        if !self.data.engine.is_worth_fetching(home) {
            return;
        }
        let Outer { number, known, step } = outer;
        let inwards = |nth: u64| match end {
            Direction::Ascending => number + nth * step,
            Direction::Descending => number - nth * step,
        };
        self.data.engine.fetch_numbers(home, id, (0..known.min(FETCHED)).map(inwards));
    }
}
