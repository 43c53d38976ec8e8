//! Collections used lately: the id a key holds, how many elements there are and, where somebody
//! has asked, which ones are the outermost: of a list, or of the part of a sorted set in order.
//!
//! What is here is what the store would answer; it spares the look-ups where one collection is
//! used again and again. Knows changes. Does not know the store, nor what elements mean.
//!
//! # Laws
//!
//! H1. Whatever the server commits to its databases passes through [`Hot::note`], while the
//!     committer holds the gate alone; collections are added by holders of the gate, from what is
//!     committed. So nothing here is older than the store.
//! H2. What a change leaves unknown is forgotten, never guessed.
//! H3. Bounded: a place per hash of a key and per hash of an id, a few elements at each end.

use std::cmp::Ordering;
use std::collections::VecDeque;

use kvcore::Direction;

use super::collection::{ID_LEN, Id};
use super::pending::{Change, What};
use super::{Joined, Place, Type};

/// Collections remembered at most; a power of two.
const PLACES: usize = 256;
/// Elements remembered at either end, at most.
const NEAR_MAX: usize = 32;

/// A collection as its key tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) kind: Type,
    pub(super) id: Id,
    pub(super) expires_at_ms: Option<u64>,
}

#[derive(Debug)]
struct Slot {
    home: usize,
    key: Box<[u8]>,
    known: Known,
    elements: Elements,
}

/// What is known of the elements.
#[derive(Debug, Default)]
struct Elements {
    len: Option<u64>,
    /// Elements below this one are not among the outermost.
    floor: &'static [u8],
    /// From the low end and from the high one: elements without a gap, outermost first; empty if
    /// nothing is known.
    near: [VecDeque<Joined>; 2],
}

/// Collections used lately.
#[derive(Debug)]
pub(super) struct Hot {
    /// By hash of database and key.
    slots: Vec<Option<Slot>>,
    /// The slot of a collection, by the lowest bits of its id.
    by_id: Vec<usize>,
    used: usize,
}

impl Default for Hot {
    fn default() -> Self {
        let slots = std::iter::repeat_with(|| None).take(PLACES).collect();
        Hot { slots, by_id: vec![0; PLACES], used: 0 }
    }
}

impl Hot {
    /// The collection this key holds, if it is known.
    pub(super) fn find(&self, home: usize, key: &[u8]) -> Option<Known> {
        let slot = self.slots[place(home, key)].as_ref()?;
        (slot.home == home && *slot.key == *key).then_some(slot.known)
    }
    /// Remembers what a key holds.
    pub(super) fn add(&mut self, home: usize, key: &[u8], known: Known) {
        let at = place(home, key);
        self.forget_slot(at);
        // One slot per place of ids: the other collection would not be found by its id any more.
        let by_id = place_of_id(known.id);
        self.forget_slot(self.by_id[by_id]);
        self.by_id[by_id] = at;
        let elements = Elements::default();
        self.slots[at] = Some(Slot { home, key: key.into(), known, elements });
        self.used += 1;
    }

    /// The number of elements.
    pub(super) fn len(&self, id: Id) -> Option<u64> {
        self.elements(id)?.len
    }
    pub(super) fn set_len(&mut self, id: Id, len: u64) {
        if let Some(elements) = self.elements_mut(id) {
            elements.len = Some(len);
        }
    }
    /// The outermost elements from `floor` on, of the end that a walk in this direction begins at;
    /// none if they are not known.
    pub(super) fn near(&self, id: Id, floor: &[u8], end: Direction) -> Option<&VecDeque<Joined>> {
        let elements = self.elements(id).filter(|elements| elements.floor == floor)?;
        Some(&elements.near[side(end)]).filter(|near| !near.is_empty())
    }
    /// Remembers the elements at an end, without a gap, outermost first.
    pub(super) fn set_near(
        &mut self,
        id: Id,
        floor: &'static [u8],
        end: Direction,
        near: VecDeque<Joined>,
    ) {
        if let Some(elements) = self.elements_mut(id) {
            if elements.floor != floor {
                elements.floor = floor;
                elements.near.iter_mut().for_each(VecDeque::clear);
            }
            elements.near[side(end)] = near;
        }
    }

    /// These changes have been committed.
    pub(super) fn note<'p>(&mut self, changes: impl Iterator<Item = (Place, Change<'p>)>) {
        if self.used == 0 {
            return;
        }
        for (Place { home, .. }, change) in changes {
            match change {
                Change::Key(key, What::Put { .. } | What::Delete | What::Expire(_)) => {
                    let at = place(home, key);
                    let is_it = |slot: &Slot| slot.home == home && *slot.key == *key;
                    if self.slots[at].as_ref().is_some_and(is_it) {
                        self.forget_slot(at);
                    }
                }
                Change::Element(key, value) => {
                    let Some((id, sub)) = key.split_first_chunk::<ID_LEN>() else { continue };
                    if let Some(elements) = self.elements_mut(Id(u64::from_be_bytes(*id))) {
                        match value {
                            Some(_) => elements.put(sub),
                            None => elements.remove(sub),
                        }
                    }
                }
                Change::Elements(id) => {
                    if let Some(at) = Id::from_bytes(id).and_then(|id| self.slot_of(id)) {
                        self.forget_slot(at);
                    }
                }
                Change::Clear => *self = Hot::default(),
                // Slots belong to homes, which is what elements are stored under.
                Change::Swap(_) => {}
            }
        }
    }

    fn slot_of(&self, id: Id) -> Option<usize> {
        let at = self.by_id[place_of_id(id)];
        self.slots[at].as_ref().filter(|slot| slot.known.id == id).map(|_| at)
    }
    fn elements(&self, id: Id) -> Option<&Elements> {
        let at = self.slot_of(id)?;
        self.slots[at].as_ref().map(|slot| &slot.elements)
    }
    fn elements_mut(&mut self, id: Id) -> Option<&mut Elements> {
        let at = self.slot_of(id)?;
        self.slots[at].as_mut().map(|slot| &mut slot.elements)
    }
    fn forget_slot(&mut self, at: usize) {
        self.used -= usize::from(self.slots[at].take().is_some());
    }
}

impl Elements {
    /// Whether the element was there before is told by the elements around it, if they are known.
    fn put(&mut self, sub: &[u8]) {
        let mut is_new = None;
        if sub >= self.floor {
            for (side, near) in self.near.iter_mut().enumerate() {
                is_new = put_near(near, side, sub).or(is_new);
            }
        }
        self.len = match is_new {
            Some(is_new) => self.len.map(|len| len + u64::from(is_new)),
            None => None,
        };
    }

    /// Only elements that are there are removed.
    fn remove(&mut self, sub: &[u8]) {
        self.len = self.len.and_then(|len| len.checked_sub(1));
        if sub < self.floor {
            return;
        }
        for (side, near) in self.near.iter_mut().enumerate() {
            match place_in(near, side, sub) {
                PlaceIn::At(0) => drop(near.pop_front()),
                PlaceIn::At(at) => drop(near.remove(at)),
                _ => {}
            }
        }
    }
}

/// Where an element belongs among the known ones at an end.
enum PlaceIn {
    /// Nothing is known there, or not so far in.
    Beyond,
    At(usize),
    Before(usize),
}

fn place_in(near: &VecDeque<Joined>, side: usize, sub: &[u8]) -> PlaceIn {
    let order = |known: &[u8]| if side == 0 { known.cmp(sub) } else { sub.cmp(known) };
    let (Some(first), Some(last)) = (near.front(), near.back()) else { return PlaceIn::Beyond };
    match order(first) {
        Ordering::Greater => return PlaceIn::Before(0),
        Ordering::Equal => return PlaceIn::At(0),
        Ordering::Less => {}
    }
    if order(last).is_lt() {
        return PlaceIn::Beyond;
    }
    match near.binary_search_by(|known| order(known)) {
        Ok(at) => PlaceIn::At(at),
        Err(at) => PlaceIn::Before(at),
    }
}

/// Adds an element to those of an end, if it belongs there; whether it is new, if that can be told.
fn put_near(near: &mut VecDeque<Joined>, side: usize, sub: &[u8]) -> Option<bool> {
    match place_in(near, side, sub) {
        PlaceIn::Beyond => None,
        PlaceIn::At(_) => Some(false),
        PlaceIn::Before(at) => {
            near.insert(at, Joined::new([sub]));
            near.truncate(NEAR_MAX);
            Some(true)
        }
    }
}

const fn side(end: Direction) -> usize {
    match end {
        Direction::Ascending => 0,
        Direction::Descending => 1,
    }
}

/// Mixes length, first and last bytes: those who share a place only push each other out.
fn place(home: usize, key: &[u8]) -> usize {
    let word = |bytes: &[u8]| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    };
    let head = word(&key[..key.len().min(8)]);
    let tail = word(&key[key.len().saturating_sub(8)..]);
    let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = usize::try_from(mixed >> 48).expect("16 bits fit");
    (high ^ key.len() ^ home) % PLACES
}

fn place_of_id(Id(id): Id) -> usize {
    let [low, ..] = id.to_le_bytes();
    usize::from(low) % PLACES
}
