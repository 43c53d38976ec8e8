//! Collections used lately: the id a key holds, how many elements there are and, where somebody
//! has asked, which ones are the outermost: of a list (in `runs`), or of the part of a sorted set
//! in order. Of sets that are popped from, also what is drawn next (in `drawn`).
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
//! H4. What is found shuts nobody out: every place has a lock of its own on cache lines of its own,
//!     which those who find something share.
//! H5. A collection that is found by its key is found by its id, or its elements would change
//!     unnoticed. One at a time is added, so that nobody takes a place of ids in between.

mod drawn;
mod runs;

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kvcore::Direction;
use parking_lot::{Mutex, RwLock};

use super::collection::{ID_LEN, Id};
use super::pending::{Change, What};
use super::{Joined, Place, Type};
use crate::words::head_and_tail;
use drawn::Drawn;
pub(super) use runs::Outer;
use runs::Runs;

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
    /// The same of a list, whose elements are numbers.
    runs: Runs,
    /// Of a set.
    drawn: Drawn,
}

/// One place, beside no other in a cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Held(RwLock<Option<Slot>>);

/// Collections used lately.
#[derive(Debug)]
pub(super) struct Hot {
    /// By hash of database and key.
    slots: Box<[Held]>,
    /// The slot of a collection, by the lowest bits of its id.
    by_id: Box<[AtomicUsize]>,
    /// Held while one is added (H5). Comes before the slots' locks.
    adding: Mutex<()>,
}

impl Default for Hot {
    fn default() -> Self {
        Hot {
            slots: std::iter::repeat_with(Held::default).take(PLACES).collect(),
            by_id: std::iter::repeat_with(AtomicUsize::default).take(PLACES).collect(),
            adding: Mutex::default(),
        }
    }
}

impl Hot {
    /// The collection this key holds, if it is known.
    pub(super) fn find(&self, home: usize, key: &[u8]) -> Option<Known> {
        let slot = self.slots[place(home, key)].0.read();
        slot.as_ref().filter(|slot| slot.is_of(home, key)).map(|slot| slot.known)
    }
    /// The same, and the length and ends, as far as they are known.
    #[inline]
    pub(super) fn find_ends(&self, home: usize, key: &[u8]) -> Option<(Known, EndsSeen)> {
        let slot = self.slots[place(home, key)].0.read();
        let Slot { known, elements, .. } = slot.as_ref().filter(|slot| slot.is_of(home, key))?;
        let seen = EndsSeen { id: known.id, len: elements.len, runs: elements.runs };
        Some((*known, seen))
    }
    /// Remembers what a key holds.
    pub(super) fn add(&self, home: usize, key: &[u8], known: Known) {
        let _one_at_a_time = self.adding.lock();
        let at = place(home, key);
        // One slot per place of ids: the other collection would not be found by its id any more.
        let by_id = &self.by_id[place_of_id(known.id)];
        self.forget_slot(by_id.load(Relaxed));
        let slot = Slot { home, key: key.into(), known, elements: Elements::default() };
        let mut place = self.slots[at].0.write();
        by_id.store(at, Relaxed);
        *place = Some(slot);
    }
    /// Forgets everything.
    pub(super) fn clear(&self) {
        (0..PLACES).for_each(|at| self.forget_slot(at));
    }

    /// The number of elements.
    pub(super) fn len(&self, id: Id) -> Option<u64> {
        self.look_at(id, |elements| elements.len)?
    }
    pub(super) fn set_len(&self, id: Id, len: u64) {
        self.change(id, |_, elements| {
            elements.len = Some(len);
            elements.runs.know_len(elements.len);
        });
    }
    /// The outermost element from `floor` on, of the end that a walk in this direction begins at;
    /// none unless it and another one are known.
    pub(super) fn outermost(&self, id: Id, floor: &[u8], end: Direction) -> Option<Joined> {
        self.look_at(id, |elements| {
            let near = &elements.near[side(end)];
            let is_known = elements.floor == floor && near.len() > 1;
            near.front().filter(|_| is_known).cloned()
        })?
    }
    /// Remembers the elements at an end, without a gap, outermost first.
    pub(super) fn set_near(
        &self,
        id: Id,
        floor: &'static [u8],
        end: Direction,
        near: VecDeque<Joined>,
    ) {
        self.change(id, |_, elements| {
            if elements.floor != floor {
                elements.floor = floor;
                elements.near.iter_mut().for_each(VecDeque::clear);
            }
            elements.near[side(end)] = near;
        });
    }
    /// The length and ends of a list, as far as they are known.
    pub(super) fn list(&self, id: Id) -> Option<EndsSeen> {
        self.look_at(id, |elements| EndsSeen { id, len: elements.len, runs: elements.runs })
    }
    /// The element that was drawn to be taken next, or how many should be drawn.
    pub(super) fn drawn(&self, id: Id) -> Result<Joined, usize> {
        let next = self.look_at(id, |elements| elements.drawn.next().cloned());
        next.unwrap_or(Err(1))
    }
    /// Remembers elements that were drawn from all of them, without repetition.
    pub(super) fn set_drawn(&self, id: Id, drawn: Vec<Joined>) {
        self.change(id, |_, elements| elements.drawn.set(drawn));
    }
    /// Remembers the elements at an end of a list, without a gap, outermost first.
    pub(super) fn set_outer(&self, id: Id, end: Direction, numbers: &[u64]) {
        self.change(id, |_, elements| elements.runs.set(end, numbers, elements.len));
    }

    /// These changes have been committed.
    pub(super) fn note<'p>(&self, changes: impl Iterator<Item = (Place, Change<'p>)>) {
        for (Place { home, .. }, change) in changes {
            match change {
                Change::Key(key, What::Put { .. } | What::Delete | What::Expire(_)) => {
                    let at = place(home, key);
                    if self.slots[at].0.read().as_ref().is_some_and(|slot| slot.is_of(home, key)) {
                        self.forget_slot(at);
                    }
                }
                Change::Element(key, value) => {
                    let Some((id, sub)) = key.split_first_chunk::<ID_LEN>() else { continue };
                    self.change(Id(u64::from_be_bytes(*id)), |kind, elements| match value {
                        _ if kind == Type::List => elements.change_number(sub, value.is_some()),
                        Some(_) => elements.put(sub),
                        None => elements.remove(sub),
                    });
                }
                Change::Elements(id) => {
                    let Some(id) = Id::from_bytes(id) else { continue };
                    let at = self.place_by_id(id);
                    if self.slots[at].0.read().as_ref().is_some_and(|slot| slot.known.id == id) {
                        self.forget_slot(at);
                    }
                }
                Change::Clear => self.clear(),
                // Slots belong to homes, which is what elements are stored under.
                Change::Swap(_) => {}
            }
        }
    }

    /// Where a collection is, if it is anywhere.
    fn place_by_id(&self, id: Id) -> usize {
        self.by_id[place_of_id(id)].load(Relaxed)
    }
    fn look_at<R>(&self, id: Id, f: impl FnOnce(&Elements) -> R) -> Option<R> {
        let slot = self.slots[self.place_by_id(id)].0.read();
        slot.as_ref().filter(|slot| slot.known.id == id).map(|slot| f(&slot.elements))
    }
    fn change(&self, id: Id, f: impl FnOnce(Type, &mut Elements)) {
        let mut slot = self.slots[self.place_by_id(id)].0.write();
        if let Some(slot) = slot.as_mut().filter(|slot| slot.known.id == id) {
            f(slot.known.kind, &mut slot.elements);
        }
    }
    fn forget_slot(&self, at: usize) {
        *self.slots[at].0.write() = None;
    }
}

/// What was known of a collection at some moment: its length and, of a list, the ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct EndsSeen {
    pub(super) id: Id,
    pub(super) len: Option<u64>,
    runs: Runs,
}

impl EndsSeen {
    /// The outermost element, if it is known, and whether there is another one.
    pub(super) fn outer(&self, end: Direction) -> Option<(Outer, bool)> {
        let outer = self.runs.outer(end)?;
        let is_more = outer.known > 1 || self.len? > 1;
        Some((outer, is_more))
    }
}

impl Slot {
    fn is_of(&self, home: usize, key: &[u8]) -> bool {
        self.home == home && *self.key == *key
    }
}

impl Elements {
    /// Whether the element was there before is told by the elements around it, if they are known.
    fn put(&mut self, sub: &[u8]) {
        self.drawn.forget();
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

    /// The same of an element of a list, which is written or removed.
    fn change_number(&mut self, sub: &[u8], is_put: bool) {
        let Ok(number) = sub.try_into().map(u64::from_be_bytes) else {
            return *self = Elements::default();
        };
        if is_put {
            let is_new = self.runs.put(number, self.len);
            self.len = is_new.and_then(|is_new| Some(self.len? + u64::from(is_new)));
        } else {
            self.len = self.len.and_then(|len| len.checked_sub(1));
            self.runs.remove(number, self.len);
        }
    }

    /// Only elements that are there are removed.
    fn remove(&mut self, sub: &[u8]) {
        self.len = self.len.and_then(|len| len.checked_sub(1));
        self.drawn.remove(sub);
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
    let (head, tail) = head_and_tail(key);
    let mixed = (head ^ tail.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let high = usize::try_from(mixed >> 48).expect("16 bits fit");
    (high ^ key.len() ^ home) % PLACES
}

fn place_of_id(Id(id): Id) -> usize {
    let [low, ..] = id.to_le_bytes();
    usize::from(low) % PLACES
}
