//! The length and the outermost elements of a collection, remembered where it is used again and
//! again (see `hot`).
//!
//! While changes are pending the store is asked, and they are counted: what is remembered is what
//! is committed.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::collection::{Collection, WHOLE};
use super::hot::{Known, Sub8};
use super::{Db, Direction, StoreError, Type};

type Result<T> = std::result::Result<T, StoreError>;

/// Elements looked up at an end at once.
const NEAR_LOOKED_UP: usize = 16;

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
    fn known(&self, key: &[u8]) -> Option<Known> {
        let known = self.data.engine.hot().find(self.place.home, key)?;
        known.expires_at_ms.is_none_or(|at| at > self.data.now_ms).then_some(known)
    }

    /// The number of elements.
    pub(super) fn len_of(&mut self, of: Collection<'_>) -> Result<u64> {
        if !self.data.pending.is_empty() {
            return self.count_in(of, WHOLE);
        }
        if let Some(len) = self.data.engine.hot().len(of.id) {
            return Ok(len);
        }
        let len = self.count_in(of, WHOLE)?;
        self.data.engine.hot().set_len(of.id, len);
        Ok(len)
    }

    /// The key of the element that a walk in this direction begins with, of a collection whose
    /// elements have keys of eight bytes. `None` if there are no elements.
    pub(crate) fn outermost(&mut self, of: Collection<'_>, end: Direction) -> Result<Option<Sub8>> {
        let is_quiet = self.data.pending.is_empty();
        if is_quiet && let Some(sub) = self.data.engine.hot().outermost(of.id, end) {
            return Ok(Some(sub));
        }
        let limit = if is_quiet { NEAR_LOOKED_UP } else { 1 };
        let mut near = VecDeque::new();
        self.walk(of, WHOLE, end, limit, |seen| {
            Ok(match seen.sub().try_into() {
                Ok(sub) => {
                    near.push_back(sub);
                    ControlFlow::Continue(())
                }
                Err(_) => ControlFlow::Break(()),
            })
        })?;
        let outermost = near.front().copied();
        if is_quiet {
            self.data.engine.hot().set_near(of.id, end, near);
        }
        Ok(outermost)
    }
}
