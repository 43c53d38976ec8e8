//! Collections no key holds, and keys whose collection has no elements: none, by C1 and C3 of
//! `collection`. Looked for when asked to, and removed, should a salvaged store have some.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use kvcore::{Direction, Durability, ScanCursor};

use super::super::collection::{ID_LEN, Id};
use super::{Engine, Home, Result, StoreError, collection_of};

/// Entries looked at in one step.
const PAGE: usize = 1_000;

/// What refers to nothing, or is referred to by nothing.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    /// Home and id.
    collections: Vec<(usize, Id)>,
    /// Home and key.
    keys: Vec<(usize, Vec<u8>)>,
}

impl Orphans {
    pub(crate) fn len(&self) -> usize {
        self.collections.len() + self.keys.len()
    }
}

impl Engine {
    /// Looks at every key and every collection. Nobody may write meanwhile.
    pub(crate) fn orphans(&self) -> Result<Orphans> {
        let mut orphans = Orphans::default();
        for (at, home) in self.homes.iter().enumerate() {
            let mut held = home.held()?;
            home.each_collection(|id| {
                // A dead set is on its way out already (R2 of `reverse`).
                if held.remove(&id).is_none() && !self.is_dying(at, id)? {
                    orphans.collections.push((at, id));
                }
                Ok(())
            })?;
            orphans.keys.extend(held.into_values().map(|key| (at, key)));
        }
        Ok(orphans)
    }

    /// Removes what was found, in one commit.
    pub(crate) fn remove_orphans(&self, orphans: Orphans) -> Result<()> {
        if orphans.len() == 0 {
            return Ok(());
        }
        let mut batch = self.store.batch();
        for (home, id) in orphans.collections {
            let (start, end) = (id.bytes(), Id(id.0 + 1).bytes());
            batch.delete_range(&self.homes[home].elements, &start[..]..&end[..])?;
        }
        for (home, key) in orphans.keys {
            batch.delete(&self.homes[home].keys, &key)?;
        }
        batch.commit_with(Durability::Buffered)?;
        Ok(())
    }
}

impl Home {
    /// The collections that keys hold, those of expired keys included.
    fn held(&self) -> Result<BTreeMap<Id, Vec<u8>>> {
        let mut held = BTreeMap::new();
        let mut add = |entries: Vec<kvcore::Entry<Vec<u8>, [u8], kvcore::Raw>>| -> Result<()> {
            for entry in entries {
                if let Some(id) = collection_of(&entry)? {
                    held.insert(id, entry.into_key());
                }
            }
            Ok(())
        };
        add(self.keys.expired(usize::MAX)?)?;
        let mut cursor = ScanCursor::default();
        loop {
            let (entries, next) = self.keys.scan(cursor, PAGE)?;
            add(entries)?;
            if next == ScanCursor::default() {
                return Ok(held);
            }
            cursor = next;
        }
    }

    /// Calls `f` with the id of every collection that has elements, passing by all but the first.
    fn each_collection(&self, mut f: impl FnMut(Id) -> Result<()>) -> Result<()> {
        let mut from = Some(Id(0));
        while let Some(id) = from.take() {
            let start = id.bytes();
            let mut found = None;
            self.elements.walk(&start[..].., Direction::Ascending, 1, |seen| {
                found = Some(seen.key().get(..ID_LEN).and_then(Id::from_bytes));
                Ok(ControlFlow::Break(()))
            })?;
            if let Some(id) = found {
                let id = id.ok_or(StoreError::State("an element without a collection id"))?;
                f(id)?;
                from = id.0.checked_add(1).map(Id);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use kvcore::Store;

    use super::*;
    use crate::data::ReverseIndex;

    /// An engine with a whole collection, one without a key and one without elements.
    pub(in super::super) fn with_orphans() -> Engine {
        let engine = Engine::new(Store::in_memory().unwrap(), 2, ReverseIndex::Off).unwrap();
        let home = &engine.homes[1];
        home.keys.put(b"string", b"\0text").unwrap();
        // Collection 7 is whole, 8 has no key, 9 no elements.
        for (key, id) in [(b"whole", 7), (b"bare!", 9)] {
            home.keys.put(key, &[&[1][..], &Id(id).bytes()].concat()).unwrap();
        }
        for id in [7, 8] {
            home.elements.put(&*Id(id).element_key(b"a"), b"").unwrap();
            home.elements.put(&*Id(id).element_key(b"b"), b"").unwrap();
        }
        engine
    }

    #[test]
    fn orphans_of_both_kinds_are_found_and_removed() {
        let engine = with_orphans();
        let home = &engine.homes[1];
        let orphans = engine.orphans().unwrap();
        assert_eq!(orphans.collections, [(1, Id(8))]);
        assert_eq!(orphans.keys, [(1, b"bare!".to_vec())]);
        engine.remove_orphans(orphans).unwrap();
        assert_eq!(engine.orphans().unwrap().len(), 0);
        assert_eq!((home.keys.len(), home.elements.len()), (2, 2));
    }
}
