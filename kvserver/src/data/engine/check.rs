//! Looking for orphans (see `orphans`) in a server that serves: in steps, each under the gate, with
//! clients' commands in between.
//!
//! # Laws
//!
//! K1. What is removed as a collection without a key had elements when no key held it, and no key
//!     has been given it since the check began. A key that is there throughout is met by the scan
//!     of the keys; one that is written meanwhile is witnessed; one past its time is met when the
//!     scan is over, unless it has been removed with its elements. Collections made meanwhile have
//!     higher ids and are passed by.
//! K2. What is removed as a key without its collection holds it still, and there is no element.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use kvcore::{Direction, Durability, ScanCursor};
use parking_lot::Mutex;

use super::super::collection::{ID_LEN, Id};
use super::super::pending::{Change, Pending, What};
use super::super::{Place, Stored};
use super::{Engine, Result, StoreError, collection_of};

/// Keys or collections looked at in one step.
const PAGE: usize = 256;
/// Keys past their time that are looked at in one step; where there are more, the check waits for
/// them to be removed.
const EXPIRED_MAX: usize = 4_096;

/// Collections that keys have been given since a check began, by home.
#[derive(Debug, Default)]
pub(super) struct Witness {
    is_on: AtomicBool,
    given: Mutex<HashSet<(usize, Id)>>,
}

impl Witness {
    /// Changes have been committed.
    #[inline]
    pub(super) fn note(&self, pending: &Pending) {
        if self.is_on.load(Relaxed) {
            self.remember(pending);
        }
    }
    #[cold]
    fn remember(&self, pending: &Pending) {
        let given = pending.iter().filter_map(|(Place { home, .. }, change)| match change {
            Change::Key(_, What::Put { value, .. }) => Some((home, Stored::id_in(value)?)),
            _ => None,
        });
        self.given.lock().extend(given);
    }
    fn has(&self, home: usize, id: Id) -> bool {
        self.given.lock().contains(&(home, id))
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// There is more to look at.
    Some,
    /// Others have to remove what has expired first.
    Waits,
    All,
}

/// A check that is under way.
#[derive(Debug)]
pub(crate) struct Check {
    home: usize,
    phase: Phase,
    /// Collections with this id or a higher one were made since.
    horizon: Id,
    /// The collections that keys of the home hold.
    held: HashSet<Id>,
    collections: Vec<(usize, Id)>,
    keys: Vec<(usize, Vec<u8>)>,
}

#[derive(Debug)]
enum Phase {
    Keys(ScanCursor),
    Expired,
    Collections(Id),
}

impl Check {
    /// True if something has been found that is not removed yet.
    pub(crate) fn has_found(&self) -> bool {
        !self.collections.is_empty() || !self.keys.is_empty()
    }
}

impl Engine {
    /// Begins to look for orphans. For the holder of the exclusive gate; one at a time.
    pub(crate) fn begin_check(&self) -> Check {
        self.witness.given.lock().clear();
        self.witness.is_on.store(true, Relaxed);
        let horizon = Id(self.next_id.load(Relaxed).max(self.tip().get() + 1));
        let phase = Phase::Keys(ScanCursor::default());
        let (held, collections, keys) = (HashSet::new(), Vec::new(), Vec::new());
        Check { home: 0, phase, horizon, held, collections, keys }
    }
    /// The check is over, or given up.
    pub(crate) fn end_check(&self) {
        self.witness.is_on.store(false, Relaxed);
        *self.witness.given.lock() = HashSet::new();
    }

    /// Looks at some more. For holders of the shared gate.
    pub(crate) fn check_step(&self, check: &mut Check) -> Result<Checked> {
        if check.home >= self.homes.len() {
            return Ok(Checked::All);
        }
        match check.phase {
            Phase::Keys(cursor) => self.check_keys(check, cursor),
            Phase::Expired => self.check_expired(check),
            Phase::Collections(from) => self.check_collections(check, from),
        }
    }

    fn check_keys(&self, check: &mut Check, cursor: ScanCursor) -> Result<Checked> {
        let (entries, next) = self.homes[check.home].keys.scan(cursor, PAGE)?;
        for entry in entries {
            let Some(id) = collection_of(&entry)? else { continue };
            check.held.insert(id);
            if self.first_of(check.home, id)? != Some(id) {
                check.keys.push((check.home, entry.into_key()));
            }
        }
        let is_last = next == ScanCursor::default();
        check.phase = if is_last { Phase::Expired } else { Phase::Keys(next) };
        Ok(Checked::Some)
    }

    /// Their elements are removed with them.
    fn check_expired(&self, check: &mut Check) -> Result<Checked> {
        let expired = self.homes[check.home].keys.expired(EXPIRED_MAX)?;
        if expired.len() == EXPIRED_MAX {
            return Ok(Checked::Waits);
        }
        for entry in expired {
            check.held.extend(collection_of(&entry)?);
        }
        check.phase = Phase::Collections(Id(0));
        Ok(Checked::Some)
    }

    fn check_collections(&self, check: &mut Check, from: Id) -> Result<Checked> {
        let (home, mut from) = (check.home, from);
        for _ in 0..PAGE {
            match self.first_of(home, from)? {
                Some(id) if id < check.horizon => {
                    if self.is_orphan(check, id)? {
                        check.collections.push((home, id));
                    }
                    from = Id(id.0 + 1);
                }
                _ => {
                    check.held = HashSet::new();
                    (check.home, check.phase) = (home + 1, Phase::Keys(ScanCursor::default()));
                    return Ok(Checked::Some);
                }
            }
        }
        check.phase = Phase::Collections(from);
        Ok(Checked::Some)
    }

    fn is_orphan(&self, check: &Check, id: Id) -> Result<bool> {
        let is_held = check.held.contains(&id) || self.witness.has(check.home, id);
        // A dead set is on its way out already (R2 of `reverse`).
        Ok(!is_held && !self.is_dying(check.home, id)?)
    }

    /// The first collection from this id on that has elements.
    fn first_of(&self, home: usize, from: Id) -> Result<Option<Id>> {
        let (start, mut found) = (from.bytes(), None);
        self.homes[home].elements.walk(&start[..].., Direction::Ascending, 1, |seen| {
            found = Some(seen.key().get(..ID_LEN).and_then(Id::from_bytes));
            Ok(ControlFlow::Break(()))
        })?;
        let damaged = StoreError::State("an element without a collection id");
        found.map(|id| id.ok_or(damaged)).transpose()
    }

    /// Removes what has been found, in one commit: how many collections and keys. For the holder
    /// of the exclusive gate.
    pub(crate) fn remove_checked(&self, check: &mut Check) -> Result<usize> {
        let (mut batch, mut count) = (self.store.batch(), 0);
        for (home, id) in std::mem::take(&mut check.collections) {
            if !self.witness.has(home, id) {
                let (start, end) = (id.bytes(), Id(id.0 + 1).bytes());
                batch.delete_range(&self.homes[home].elements, &start[..]..&end[..])?;
                count += 1;
            }
        }
        for (home, key) in std::mem::take(&mut check.keys) {
            if let Some(id) = self.stored_collection(home, &key)?
                && self.first_of(home, id)? != Some(id)
            {
                batch.delete(&self.homes[home].keys, &key)?;
                count += 1;
            }
        }
        if count > 0 {
            batch.commit_with(Durability::Buffered)?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use kvcore::Store;

    use super::super::orphans::tests::with_orphans;
    use super::*;
    use crate::command::testing::Fixture;
    use crate::data::ReverseIndex;

    #[test]
    fn orphans_of_both_kinds_are_found_in_steps_and_removed() {
        let engine = with_orphans();
        let home = &engine.homes[1];
        // So that the next ids are higher.
        for n in 0..20 {
            engine.state.put(b"n", &[n]).unwrap();
        }
        let mut check = engine.begin_check();
        while engine.check_step(&mut check).unwrap() != Checked::All {}
        assert_eq!((&check.collections[..], check.keys.len()), (&[(1, Id(8))][..], 1));
        assert_eq!(engine.remove_checked(&mut check).unwrap(), 2);
        assert_eq!(engine.orphans().unwrap().len(), 0);
        assert_eq!((home.keys.len(), home.elements.len()), (2, 2));
    }

    /// Makes, renames, removes and exchanges collections at random.
    fn change(fixture: &mut Fixture, rng: &mut fastrand::Rng) {
        let mut key = || format!("k{}", rng.u8(..200));
        let (a, b) = (key(), key());
        fixture.now_ms += 1;
        fixture.run(&match rng.u8(..9) {
            0 => format!("RENAME {a} {b}"),
            1 => format!("COPY {a} {b} REPLACE"),
            2 => format!("DEL {a}"),
            3 => format!("PEXPIRE {a} {}", rng.u8(1..)),
            4 => format!("MOVE {a} 1"),
            5 => "SWAPDB 0 1".to_owned(),
            6 => format!("SPOP {a}"),
            _ => format!("SADD {a} 1 2"),
        });
        if rng.u8(..20) == 0 {
            fixture.expire();
        }
    }

    #[test]
    fn k1_no_collection_is_taken_from_a_key_whatever_happens_between_steps() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut fixture = Fixture::new();
        for _ in 0..2_000 {
            change(&mut fixture, &mut rng);
        }
        // One that no key holds any more, as its key has gone alone.
        fixture.run("SADD lost a b c");
        let engine = std::sync::Arc::clone(fixture.engine());
        engine.homes[engine.home(0)].keys.delete(b"lost").unwrap();
        assert_eq!(fixture.orphans(), 1);
        let mut check = engine.begin_check();
        loop {
            let step = engine.check_step(&mut check).unwrap();
            for _ in 0..rng.usize(..60) {
                change(&mut fixture, &mut rng);
            }
            if step == Checked::All {
                break;
            }
        }
        assert_eq!(engine.remove_checked(&mut check).unwrap(), 1);
        engine.end_check();
        assert_eq!(fixture.orphans(), 0);
    }

    #[test]
    fn keys_past_their_time_that_are_many_are_waited_for() {
        let engine = Engine::new(Store::in_memory().unwrap(), 1, ReverseIndex::Off).unwrap();
        for n in 0..EXPIRED_MAX {
            let put = kvcore::Put::expires_in(std::time::Duration::ZERO);
            engine.homes[0].keys.put_with(&n.to_be_bytes(), b"\0", put).unwrap();
        }
        let mut check = engine.begin_check();
        while matches!(check.phase, Phase::Keys(_)) {
            assert_eq!(engine.check_step(&mut check).unwrap(), Checked::Some);
        }
        assert_eq!(engine.check_step(&mut check).unwrap(), Checked::Waits);
        engine.homes[0].keys.remove_expired(10, |_, _| Ok(())).unwrap();
        assert_eq!(engine.check_step(&mut check).unwrap(), Checked::Some);
    }
}
