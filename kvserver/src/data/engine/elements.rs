//! Elements of collections in the store: what `collection` asks of it.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

use kvcore::{AsKey, Direction, Position, Sequence, Visited};

use super::super::Joined;
use super::super::collection::{Element, ID_LEN, Id};
use super::super::pending::Bounds;
use super::{Ahead, Engine, FETCH_KEYS_MIN, Home, Result, StoreError, Value};

/// An element that is there, in the store or among the pending changes.
#[derive(Clone, Copy, Debug)]
pub(in crate::data) enum Held<'a> {
    Stored(&'a Visited<'a>),
    Pending { key: &'a [u8], value: &'a [u8] },
}

impl<'a> Held<'a> {
    /// Its whole key.
    pub(in crate::data) fn key(self) -> &'a [u8] {
        match self {
            Held::Stored(visited) => visited.key(),
            Held::Pending { key, .. } => key,
        }
    }
}

/// What a walk calls with every element; what it may say is to stop.
pub(in crate::data) type Visit<'f> = &'f mut dyn FnMut(Held<'_>) -> Result<ControlFlow<()>>;

/// An element by the key of its collection, the part of it, and its name (see `hashed`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) part: &'static [u8],
    pub(crate) name: &'a [u8],
}

/// The key of an element, put together where it is needed.
struct ElementKey<'a> {
    id: Id,
    part: &'static [u8],
    hash: u32,
    name: &'a [u8],
}

impl AsKey<Vec<u8>> for ElementKey<'_> {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.extend_from_slice(&self.id.bytes());
        out.extend_from_slice(self.part);
        out.extend_from_slice(&self.hash.to_be_bytes());
        out.extend_from_slice(self.name);
    }
}

/// The key of an element of a list.
struct NumberKey {
    id: Id,
    number: u64,
}

impl AsKey<Vec<u8>> for NumberKey {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.extend_from_slice(&self.id.bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
    }
}

/// The first id above those of all elements and above the last commit's sequence.
pub(super) fn first_free_id(homes: &[Home], tip: Sequence) -> Result<u64> {
    let mut free = tip.get() + 1;
    for home in homes {
        if let Some(last) = home.elements.last()? {
            let id = last.key().get(..ID_LEN).and_then(Id::from_bytes);
            let Id(id) = id.ok_or(StoreError::State("an element without a collection id"))?;
            free = free.max(id + 1);
        }
    }
    Ok(free)
}

impl Engine {
    /// An id no collection has had, as far as anything of it is left (see law C2 of `collection`).
    pub(in crate::data) fn new_id(&self) -> Id {
        let id = self.next_id.load(Ordering::Relaxed).max(self.tip().get() + 1);
        // Only the holder of the gate makes collections, so nobody takes the same one meanwhile.
        self.next_id.store(id + 1, Ordering::Relaxed);
        Id(id)
    }
    /// The keyed hash by which elements lie.
    pub(in crate::data) fn hash(&self, name: &[u8]) -> u32 {
        let hash = siphasher::sip::SipHasher13::new_with_key(&self.hash_key).hash(name);
        u32::try_from(hash >> 32).expect("half of 64 bits fits 32")
    }
    /// True if the database holds collections.
    #[inline]
    pub(in crate::data) fn has_elements(&self, home: usize) -> bool {
        !self.homes[home].elements.is_empty()
    }
    pub(in crate::data) fn element(&self, home: usize, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.homes[home].elements.get(key)?)
    }
    #[inline]
    pub(in crate::data) fn element_with<R>(
        &self,
        home: usize,
        key: &[u8],
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(self.homes[home].elements.get_with(key, f)?)
    }
    /// Starts fetching where the elements of these keys are.
    pub(in crate::data) fn fetch_elements_ahead<'k>(
        &self,
        home: usize,
        keys: impl Iterator<Item = &'k [u8]>,
    ) {
        self.homes[home].elements.fetch_places_ahead(keys);
    }
    /// The same, and their places among the others, which will close up.
    pub(in crate::data) fn fetch_removals_ahead<'k>(
        &self,
        home: usize,
        keys: impl Iterator<Item = &'k [u8]>,
    ) {
        self.homes[home].elements.fetch_deletes_ahead(keys);
    }
    /// Starts fetching elements of a list, by their numbers: where they are, and their values.
    pub(in crate::data) fn fetch_numbers(
        &self,
        home: usize,
        id: Id,
        numbers: impl Iterator<Item = u64>,
    ) {
        self.homes[home].elements.fetch_ahead(numbers.map(|number| NumberKey { id, number }));
    }
    /// The same of elements by name, as far as their collections are remembered; for whoever does
    /// not hold the gate. Of a collection that is replaced meanwhile it fetches in vain.
    pub(crate) fn fetch_named_ahead<'n>(
        &self,
        db: usize,
        ahead: Ahead,
        names: impl Iterator<Item = Named<'n>>,
    ) {
        let home = self.home(db);
        if !self.is_worth_fetching(home) {
            return;
        }
        let mut last: Option<(&[u8], Option<Id>)> = None;
        let keys = names.filter_map(|Named { key, part, name }| {
            let id = match last {
                Some((same, id)) if same == key => id,
                _ => self.hot.find(home, key).map(|known| known.id),
            };
            last = Some((key, id));
            Some(ElementKey { id: id?, part, hash: self.hash(name), name })
        });
        match ahead {
            Ahead::Place => self.homes[home].elements.fetch_places_ahead(keys),
            Ahead::Value => self.homes[home].elements.fetch_ahead(keys),
            Ahead::Both => self.homes[home].elements.fetch_updates_ahead(keys),
        }
    }
    /// True if what is known of elements does not fit the processor's caches anyway.
    pub(in crate::data) fn is_worth_fetching(&self, home: usize) -> bool {
        self.homes[home].elements.len() >= FETCH_KEYS_MIN
    }
    pub(in crate::data) fn has_element(&self, home: usize, key: &[u8]) -> Result<bool> {
        Ok(self.homes[home].elements.contains(key)?)
    }
    pub(in crate::data) fn count_elements(&self, home: usize, bounds: Bounds<'_>) -> Result<u64> {
        Ok(self.homes[home].elements.count(bounds)?)
    }
    pub(in crate::data) fn nth_element(
        &self,
        home: usize,
        bounds: Bounds<'_>,
        index: u64,
    ) -> Result<Option<Element>> {
        let Some(entry) = self.homes[home].elements.nth_in(bounds, index)? else {
            return Ok(None);
        };
        let value = entry.value_bytes()?;
        let mut sub = entry.into_key();
        sub.drain(..ID_LEN);
        Ok(Some(Element { sub, value }))
    }
    /// The same without its value.
    pub(in crate::data) fn nth_element_key(
        &self,
        home: usize,
        bounds: Bounds<'_>,
        index: u64,
    ) -> Result<Option<Joined>> {
        let sub = |key: &[u8]| Joined::new([key.get(ID_LEN..).unwrap_or_default()]);
        Ok(self.homes[home].elements.nth_key_in(bounds, index, sub)?)
    }
    /// The same of several places.
    pub(in crate::data) fn nth_subs(
        &self,
        home: usize,
        bounds: Bounds<'_>,
        places: Vec<u64>,
        mut f: impl FnMut(&[u8]),
    ) -> Result<()> {
        let sub = |key: &[u8]| f(key.get(ID_LEN..).unwrap_or_default());
        Ok(self.homes[home].elements.nth_keys_in(bounds, places, sub)?)
    }
    /// Calls `f` with the keys of elements of a range, in order from one end.
    pub(in crate::data) fn walk_element_keys(
        &self,
        home: usize,
        bounds: Bounds<'_>,
        (direction, limit): (Direction, usize),
        mut f: impl FnMut(&[u8]),
    ) -> Result<()> {
        self.homes[home].elements.walk_keys(bounds, direction, limit, |key| {
            f(key);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }
    pub(in crate::data) fn walk_elements(
        &self,
        home: usize,
        bounds: Bounds<'_>,
        direction: Direction,
        limit: usize,
        f: Visit<'_>,
    ) -> Result<()> {
        let mut failed = None;
        self.homes[home].elements.walk(bounds, direction, limit, |visited| {
            Ok(match f(Held::Stored(visited)) {
                Ok(flow) => flow,
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use siphasher::sip::SipHasher13;

    use super::*;

    #[test]
    fn elements_lie_by_siphash_1_3_of_their_names_whatever_the_length() -> Result<()> {
        let engine = Engine::new(kvcore::Store::in_memory()?, 1, super::super::ReverseIndex::Off)?;
        let name: Vec<u8> = (0..100).collect();
        for len in 0..=name.len() {
            let mut hasher = SipHasher13::new_with_key(&engine.hash_key);
            hasher.write(&name[..len]);
            assert_eq!(u64::from(engine.hash(&name[..len])), hasher.finish() >> 32, "{len} bytes");
        }
        Ok(())
    }
}
