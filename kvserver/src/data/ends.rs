//! The length and the outermost elements of a collection, remembered where it is used again and
//! again (see `hot`).
//!
//! While changes are pending the store is asked, and they are counted: what is remembered is what
//! is committed.

use std::collections::VecDeque;
use std::ops::{Bound, Deref};

use super::collection::{Collection, WHOLE};
use super::hot::Known;
use super::{Db, Direction, Joined, StoreError, Type};

type Result<T> = std::result::Result<T, StoreError>;

/// Elements looked up at an end at once.
const NEAR_LOOKED_UP: usize = 32;

/// The element at an end of a collection.
#[derive(Clone, Debug)]
pub(crate) struct Outermost {
    /// Its key without the id.
    pub(crate) sub: Joined,
    /// There is another one.
    pub(crate) is_more: bool,
}

/// Where elements that will be removed are among the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removed {
    /// Side by side, and just looked at.
    AtTheEnd,
    Anywhere,
}

impl Db<'_> {
    /// The collection `key` holds, with its type; strings are none of it.
    pub(crate) fn collection<'k>(
        &mut self,
        key: &'k [u8],
    ) -> Result<Option<(Type, Option<Collection<'k>>)>> {
        let is_quiet = self.data.pending.is_empty();
        if is_quiet && let Some(known) = self.known(key) {
            self.data.lookups.hits += 1;
            if self.data.engine.remembers_uses() && !self.data.is_quiet {
                self.data.engine.use_key(self.place.home, key)?;
            }
            return Ok(Some((known.kind, Some(Collection { key, id: known.id }))));
        }
        let Some(stored) = self.get(key)? else { return Ok(None) };
        let Some((kind, id)) = stored.held() else { return Ok(Some((stored.kind(), None))) };
        if is_quiet {
            let home = self.place.home;
            let expires_at_ms = self.data.engine.expires_at_ms(home, key)?.flatten();
            self.data.engine.hot().add(home, key, Known { kind, id, expires_at_ms });
        }
        Ok(Some((kind, Some(Collection { key, id }))))
    }
    fn known(&mut self, key: &[u8]) -> Option<Known> {
        self.data.ends_seen = None;
        let (known, ends_seen) = self.data.engine.hot().find_ends(self.place.home, key)?;
        self.data.ends_seen = Some(ends_seen);
        known.expires_at_ms.is_none_or(|at| at > self.data.now_ms).then_some(known)
    }

    /// The number of elements.
    pub(super) fn len_of(&mut self, of: Collection<'_>) -> Result<u64> {
        if !self.data.pending.is_empty() {
            return self.count_in(of, WHOLE);
        }
        let seen = self.data.ends_seen.filter(|seen| seen.id == of.id).and_then(|seen| seen.len);
        if let Some(len) = seen.or_else(|| self.data.engine.hot().len(of.id)) {
            return Ok(len);
        }
        let len = self.count_in(of, WHOLE)?;
        self.data.engine.hot().set_len(of.id, len);
        Ok(len)
    }

    /// The key of the element that a walk from `floor` on, in this direction, begins with, and
    /// whether there is another one behind it. `None` if there are no elements.
    ///
    /// Where elements have to be looked up, many are, and `found` is told of each.
    pub(crate) fn outermost(
        &mut self,
        of: Collection<'_>,
        floor: &'static [u8],
        end: Direction,
        mut found: impl FnMut(&[u8]),
    ) -> Result<Option<Outermost>> {
        let is_quiet = self.data.pending.is_empty();
        if is_quiet && let Some(sub) = self.data.engine.hot().outermost(of.id, floor, end) {
            return Ok(Some(Outermost { sub, is_more: true }));
        }
        let limit = if is_quiet { NEAR_LOOKED_UP } else { 2 };
        let mut near = VecDeque::with_capacity(limit + 1);
        let span = (Bound::Included(floor), Bound::Unbounded);
        self.walk_subs(of, span, (end, limit), |sub| {
            found(sub);
            near.push_back(Joined::new([sub]));
        })?;
        let Some(sub) = near.front().cloned() else { return Ok(None) };
        let is_more = near.len() > 1;
        if is_quiet && is_more {
            // They are next.
            self.fetch_ahead(of, near.iter().map(|sub| &**sub), Removed::AtTheEnd);
        }
        if is_quiet {
            self.data.engine.hot().set_near(of.id, floor, end, near);
        }
        Ok(Some(Outermost { sub, is_more }))
    }

    /// Starts fetching what removing these elements will look at, few enough for the caches.
    pub(crate) fn fetch_ahead(
        &self,
        of: Collection<'_>,
        subs: impl Iterator<Item = impl Deref<Target = [u8]>>,
        removed: Removed,
    ) {
        let home = self.place.home;
        if self.data.engine.is_worth_fetching(home) {
            let keys: Vec<Joined> = subs.map(|sub| of.id.element_key(&sub)).collect();
            let (engine, keys) = (&self.data.engine, keys.iter().map(|key| &**key));
            match removed {
                Removed::AtTheEnd => engine.fetch_elements_ahead(home, keys),
                Removed::Anywhere => engine.fetch_removals_ahead(home, keys),
            }
        }
    }
}
