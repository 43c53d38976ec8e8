//! The reverse index of sets in the store: from a member to the sets that hold it.
//!
//! Each database has two more keyspaces while it is on. In `db<n>:members`, ordered, is one entry
//! per element of a set, its key turned round: (sub, id) → nothing. In `db<n>:sets`, unordered, is
//! the key that holds a set: id → key. `kvserver:dead sets`, ordered, has the sets that are gone
//! and not cleaned up: (home, id) → nothing.
//!
//! Follows the changes of every batch, whatever made them. Does not know commands.
//!
//! # Laws
//!
//! R1. What a batch changes in a set it changes in the index: neither is without the other, before
//!     a crash or after.
//! R2. A set that is gone as a whole is only written down as dead: one small record. Its elements
//!     stay, under an id that no key holds, until [`Engine::clean_sets`] has removed them from the
//!     index, some at a time. So what the index names counts only if a key holds it.
//! R3. The index is believed only if its mark is in the state: the mark comes when all is built,
//!     and goes before anything of it does.

use std::ops::{Bound, ControlFlow};

use kvcore::{BytesKeyspace, Direction, Durability, ScanCursor, Schema, Store};

use super::super::Type;
use super::super::collection::{ID_LEN, Id};
use super::super::pending::{Change, What};
use super::{COLLECTION_RECORD_LEN, Engine, Home, Place, Result, StoreError, Stored};

/// In `kvserver:state`: the index is complete, in this layout.
const MARK_KEY: &[u8] = b"set reverse index";
const MARK: &[u8] = &[1];
const DEAD_KEYSPACE: &str = "kvserver:dead sets";
/// Entries built or removed in one commit.
const STEP_ENTRIES: usize = 1_024;
/// Sets whose members are looked up in one go.
pub(in crate::data) const PAGE_IDS: usize = 256;
/// Entries built between two lines in the log.
const PROGRESS_ENTRIES: u64 = 1_000_000;

/// Whether SWITHMEMBER is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReverseIndex {
    On,
    Off,
}

/// The keyspaces of the index.
#[derive(Debug)]
pub(super) struct Reverse {
    homes: Vec<Sets>,
    dead: BytesKeyspace,
}

#[derive(Debug)]
struct Sets {
    members: BytesKeyspace,
    sets: BytesKeyspace,
}

fn names(home: usize) -> (String, String) {
    (format!("db{home}:members"), format!("db{home}:sets"))
}

/// Opens the index and builds it if it is not complete, or drops it.
pub(super) fn open(
    store: &Store,
    homes: &[Home],
    state: &BytesKeyspace,
    wanted: ReverseIndex,
) -> Result<Option<Reverse>> {
    if wanted == ReverseIndex::Off {
        drop_all(store, homes, state)?;
        return Ok(None);
    }
    let mut all = Vec::with_capacity(homes.len());
    for home in 0..homes.len() {
        let (members, sets) = names(home);
        let members = store.keyspace(Schema::new(&members))?;
        all.push(Sets { members, sets: store.keyspace(Schema::new(&sets).unordered())? });
    }
    let reverse = Reverse { homes: all, dead: store.keyspace(Schema::new(DEAD_KEYSPACE))? };
    if state.get(MARK_KEY)?.as_deref() != Some(MARK) {
        reverse.build(store, homes)?;
        state.put_with(MARK_KEY, MARK, Durability::Buffered)?;
    }
    Ok(Some(reverse))
}

/// Drops what there is of an index; what dead sets have left goes first.
fn drop_all(store: &Store, homes: &[Home], state: &BytesKeyspace) -> Result<()> {
    // R3, durably: dropping a keyspace is not part of any batch.
    if state.delete(MARK_KEY)? {
        store.sync()?;
    }
    let names = store.keyspace_names();
    let has = |name: &str| names.iter().any(|n| n == name);
    if has(DEAD_KEYSPACE) {
        let dead: BytesKeyspace = store.keyspace(Schema::new(DEAD_KEYSPACE))?;
        while let Some(entry) = dead.first()? {
            let (home, id) = dead_set(entry.key())?;
            let mut batch = store.batch();
            if let Some(home) = homes.get(home) {
                let (start, end) = (id.bytes(), Id(id.0 + 1).bytes());
                batch.delete_range(&home.elements, &start[..]..&end[..])?;
            }
            batch.delete(&dead, entry.key())?;
            batch.commit_with(Durability::Buffered)?;
        }
        store.drop_keyspace(DEAD_KEYSPACE)?;
        tracing::info!("dropping the reverse index of sets");
    }
    for home in 0..homes.len() {
        let (members, sets) = self::names(home);
        for name in [members, sets] {
            if has(&name) {
                store.drop_keyspace(&name)?;
            }
        }
    }
    Ok(())
}

fn dead_key(home: usize, id: Id) -> Result<[u8; 2 + ID_LEN]> {
    let home = u16::try_from(home).map_err(|_| StoreError::State("more homes than databases"))?;
    let mut key = [0; 2 + ID_LEN];
    key[..2].copy_from_slice(&home.to_be_bytes());
    key[2..].copy_from_slice(&id.bytes());
    Ok(key)
}

fn dead_set(key: &[u8]) -> Result<(usize, Id)> {
    let damaged = StoreError::State("a dead set's id");
    let Some((home, id)) = key.split_first_chunk() else { return Err(damaged) };
    Ok((usize::from(u16::from_be_bytes(*home)), Id::from_bytes(id).ok_or(damaged)?))
}

/// The key of an entry in the index, from that of an element.
fn turned(element: &[u8]) -> Vec<u8> {
    let (id, sub) = element.split_at(ID_LEN.min(element.len()));
    [sub, id].concat()
}

impl Reverse {
    /// Builds the index of what is there, in bounded steps; what an earlier attempt left is right,
    /// since nothing has changed since.
    fn build(&self, store: &Store, homes: &[Home]) -> Result<()> {
        let (mut built, mut told) = (0, 0);
        for (home, own) in homes.iter().zip(&self.homes) {
            let mut cursor = ScanCursor::default();
            loop {
                let (entries, next) = home.keys.scan(cursor, STEP_ENTRIES)?;
                for entry in entries {
                    if entry.size_bytes() != COLLECTION_RECORD_LEN {
                        continue;
                    }
                    if let Some((Type::Set, id)) = Stored::held_in(&entry.value_bytes()?) {
                        built += own.build_set(store, home, entry.key(), id)?;
                        if built - told >= PROGRESS_ENTRIES {
                            told = built;
                            tracing::info!(members = built, "building the reverse index of sets");
                        }
                    }
                }
                cursor = next;
                if cursor == ScanCursor::default() {
                    break;
                }
            }
        }
        tracing::info!(members = built, "the reverse index of sets is complete");
        Ok(())
    }

    /// Where the sets that hold an element like this are, after one of them.
    fn page(&self, home: usize, sub: &[u8], after: Option<Id>) -> Result<Vec<Id>> {
        let start = match after {
            None => Bound::Included([sub, &[0; ID_LEN]].concat()),
            Some(id) => Bound::Excluded([sub, &id.bytes()].concat()),
        };
        let end = Bound::Included([sub, &[u8::MAX; ID_LEN]].concat());
        let mut ids = Vec::new();
        let members = &self.homes[home].members;
        members.walk((start, end), Direction::Ascending, usize::MAX, |seen| {
            // A member that begins with this one, and whose hash is the same, has a longer key.
            if let Some(id) = seen.key().strip_prefix(sub).and_then(Id::from_bytes) {
                ids.push(id);
            }
            let is_full = ids.len() == PAGE_IDS;
            Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(ids)
    }
}

impl Sets {
    /// Builds the entries of one set; how many.
    fn build_set(&self, store: &Store, home: &Home, key: &[u8], id: Id) -> Result<u64> {
        let mut built = 0;
        let mut batch = store.batch();
        batch.put(&self.sets, &id.bytes()[..], key)?;
        let mut after = None;
        loop {
            let (subs, last) = home.elements_after(id, after.as_deref(), STEP_ENTRIES)?;
            for element in &subs {
                batch.put(&self.members, &turned(element)[..], &[][..])?;
                built += 1;
            }
            batch.commit_with(Durability::Buffered)?;
            if last {
                return Ok(built);
            }
            after = subs.into_iter().next_back();
            batch = store.batch();
        }
    }
}

impl Home {
    /// Whole keys of a collection's elements, after one of them; and whether these are the last.
    fn elements_after(
        &self,
        id: Id,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<(Vec<Vec<u8>>, bool)> {
        let start = match after {
            Some(key) => Bound::Excluded(key.to_vec()),
            None => Bound::Included(id.bytes().to_vec()),
        };
        let end = Bound::Excluded(Id(id.0 + 1).bytes().to_vec());
        let mut found = Vec::new();
        self.elements.walk((start, end), Direction::Ascending, limit, |seen| {
            found.push(seen.key().to_vec());
            Ok(ControlFlow::Continue(()))
        })?;
        let is_end = found.len() < limit;
        Ok((found, is_end))
    }
}

/// Adds to one batch what its changes mean for the index.
#[derive(Debug)]
pub(super) struct Follow<'e> {
    reverse: &'e Reverse,
    /// Sets that this batch makes.
    new: Vec<(usize, Id)>,
    /// What was asked last: elements of one collection come together.
    last: Option<(usize, Id, bool)>,
}

impl<'e> Follow<'e> {
    pub(super) fn new(reverse: &'e Reverse) -> Self {
        Follow { reverse, new: Vec::new(), last: None }
    }
    /// Adds what belongs to a change; true if that stands in its place.
    pub(super) fn add(
        &mut self,
        batch: &mut kvcore::Batch,
        place: Place,
        change: Change<'_>,
    ) -> Result<bool> {
        let reverse = self.reverse;
        let own = &reverse.homes[place.home];
        match change {
            Change::Clear => {
                batch.clear(&own.members)?;
                batch.clear(&own.sets)?;
                self.last = None;
                self.new.retain(|(home, _)| *home != place.home);
            }
            Change::Key(key, What::Put { value, .. }) => {
                if let Some((Type::Set, id)) = Stored::held_in(value) {
                    batch.put(&own.sets, &id.bytes()[..], key)?;
                    self.new.push((place.home, id));
                    self.last = Some((place.home, id, true));
                }
            }
            Change::Element(element, value) if self.is_set(place.home, element)? => {
                let turned = turned(element);
                match value {
                    Some(_) => batch.put(&own.members, &turned[..], &[][..])?,
                    None => batch.delete(&own.members, &turned[..])?,
                }
            }
            Change::Elements(id) if self.is_set(place.home, id)? => {
                let id = Id::from_bytes(id).ok_or(StoreError::State("a collection id"))?;
                batch.put(&reverse.dead, &dead_key(place.home, id)?[..], &[][..])?;
                return Ok(true);
            }
            Change::Key(..) | Change::Element(..) | Change::Elements(_) | Change::Swap(_) => {}
        }
        Ok(false)
    }
    /// True if the collection that this key of an element begins with is a set.
    fn is_set(&mut self, home: usize, element: &[u8]) -> Result<bool> {
        let id = element.get(..ID_LEN).and_then(Id::from_bytes);
        let id = id.ok_or(StoreError::State("an element without a collection id"))?;
        if let Some((last_home, last_id, is_set)) = self.last
            && (last_home, last_id) == (home, id)
        {
            return Ok(is_set);
        }
        let is_set = self.new.contains(&(home, id))
            || self.reverse.homes[home].sets.contains(&id.bytes()[..])?;
        self.last = Some((home, id, is_set));
        Ok(is_set)
    }
}

/// Where the removal of a dead set's entries is.
#[derive(Debug, Default)]
pub(crate) struct Cleaning {
    /// A dead set, and the last of its elements that was dealt with.
    at: Option<(usize, Id, Vec<u8>)>,
}

impl Engine {
    /// True if the reverse index is on.
    pub(in crate::data) fn has_reverse(&self) -> bool {
        self.reverse.is_some()
    }
    /// True if the change may be one for the index, too.
    #[inline]
    pub(super) fn is_indexed(&self, change: &Change<'_>) -> bool {
        let is_string = |value: &[u8]| Stored::held_in(value).is_none();
        self.reverse.is_some()
            && !matches!(change, Change::Key(_, What::Put { value, .. }) if is_string(value))
    }
    /// Sets that hold, or held when they died, an element with this sub, in the order of their
    /// ids, after one of them; fewer than [`PAGE_IDS`] are the last.
    pub(in crate::data) fn sets_with(
        &self,
        home: usize,
        sub: &[u8],
        after: Option<Id>,
    ) -> Result<Vec<Id>> {
        self.reverse.as_ref().map_or(Ok(Vec::new()), |reverse| reverse.page(home, sub, after))
    }
    /// True if a set is dead and what it has left is not cleaned up yet.
    pub(super) fn is_dying(&self, home: usize, id: Id) -> Result<bool> {
        let Some(reverse) = &self.reverse else { return Ok(false) };
        Ok(reverse.dead.contains(&dead_key(home, id)?[..])?)
    }
    /// The key that held a set last.
    pub(in crate::data) fn key_of_set(&self, home: usize, id: Id) -> Result<Option<Vec<u8>>> {
        let Some(reverse) = &self.reverse else { return Ok(None) };
        Ok(reverse.homes[home].sets.get(&id.bytes()[..])?.map(|key| key.to_vec()))
    }

    /// The store, and how many members and sets the index knows.
    #[cfg(test)]
    pub(crate) fn store_and_entries(&self) -> (&Store, (u64, u64)) {
        let homes = self.reverse.iter().flat_map(|reverse| &reverse.homes);
        let sum =
            homes.fold((0, 0), |sum, home| (sum.0 + home.members.len(), sum.1 + home.sets.len()));
        (&self.store, sum)
    }
    /// Removes some of what dead sets have left; false if there is nothing to do.
    ///
    /// Needs no gate: nobody reads or writes what belongs to a dead set.
    pub(crate) fn clean_sets(&self, cleaning: &mut Cleaning) -> Result<bool> {
        let Some(reverse) = &self.reverse else { return Ok(false) };
        let (home, id, after) = match cleaning.at.take() {
            Some((home, id, after)) => (home, id, Some(after)),
            None => match reverse.dead.first()? {
                None => return Ok(false),
                Some(entry) => {
                    let (home, id) = dead_set(entry.key())?;
                    (home, id, None)
                }
            },
        };
        let (Some(own), Some(sets)) = (self.homes.get(home), reverse.homes.get(home)) else {
            return Err(StoreError::State("a dead set's database"));
        };
        let (elements, is_end) = own.elements_after(id, after.as_deref(), STEP_ENTRIES)?;
        let mut batch = self.store.batch();
        for element in &elements {
            let turned = turned(element);
            // An attempt before the last start may have removed it.
            if sets.members.contains(&turned[..])? {
                batch.delete(&sets.members, &turned[..])?;
            }
        }
        if is_end {
            let (start, end) = (id.bytes(), Id(id.0 + 1).bytes());
            batch.delete_range(&own.elements, &start[..]..&end[..])?;
            batch.delete(&sets.sets, &id.bytes()[..])?;
            batch.delete(&reverse.dead, &dead_key(home, id)?[..])?;
        } else if let Some(last) = elements.into_iter().next_back() {
            cleaning.at = Some((home, id, last));
        }
        if !batch.is_empty() {
            self.store.commit_many_with(Durability::Buffered, |round| round.commit(batch))?;
        }
        Ok(true)
    }
}
