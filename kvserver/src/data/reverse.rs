//! Which sets hold a member, pending changes included.
//!
//! The store's index names sets; whether a set is still there, under which key, and still holds
//! the member is asked of the databases, so that an entry of a set that is gone means nothing.

use super::collection::{Collection, Id};
use super::engine::PAGE_IDS;
use super::{Db, StoreError, Type};

type Result<T> = std::result::Result<T, StoreError>;

impl Db<'_> {
    /// The keys of up to `limit` sets that hold `member`; `None` if the reverse index is off.
    ///
    /// O(log n) and one look-up for each set, and those that died and are not cleaned up.
    pub(crate) fn sets_with(
        &mut self,
        member: &[u8],
        limit: usize,
    ) -> Result<Option<Vec<Vec<u8>>>> {
        if !self.data.engine.has_reverse() {
            return Ok(None);
        }
        let lookups = self.data.lookups;
        let sub = self.hashed(&[], member);
        let (mut keys, mut after) = (Vec::new(), None);
        while keys.len() < limit {
            let ids = self.data.engine.sets_with(self.place.home, &sub, after)?;
            self.add_holders(&ids, &sub, limit, &mut keys)?;
            after = ids.last().copied();
            if ids.len() < PAGE_IDS {
                break;
            }
        }
        let mut added = self.data.pending.elements_like(self.place.home, &sub);
        added.sort_unstable();
        added.dedup();
        let mut new = Vec::new();
        for id in added {
            // The others came from the store.
            if !self.data.engine.has_element(self.place.home, &id.element_key(&sub))? {
                new.push(id);
            }
        }
        self.add_holders(&new, &sub, limit, &mut keys)?;
        self.data.set_lookups(lookups);
        Ok(Some(keys))
    }

    fn add_holders(
        &mut self,
        ids: &[Id],
        sub: &[u8],
        limit: usize,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<()> {
        for id in ids {
            if keys.len() >= limit {
                break;
            }
            keys.extend(self.holder(*id, sub)?);
        }
        Ok(())
    }

    /// The key of this set, if one holds it and it has the element.
    fn holder(&mut self, id: Id, sub: &[u8]) -> Result<Option<Vec<u8>>> {
        let home = self.place.home;
        let key = match self.data.pending.key_of_set(home, id) {
            Some(key) => Some(key.to_vec()),
            None => self.data.engine.key_of_set(home, id)?,
        };
        let Some(key) = key else { return Ok(None) };
        let held = self.get(&key)?.and_then(|stored| stored.held());
        let is_there =
            held == Some((Type::Set, id)) && self.has_element(Collection { key: &key, id }, sub)?;
        Ok(is_there.then_some(key))
    }
}
