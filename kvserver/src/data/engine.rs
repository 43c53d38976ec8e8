//! The one seam between the server and its store: databases by number, on keyspaces.
//!
//! The database whose home is `n` has two keyspaces. In `db<n>:keys`, unordered, a value is one
//! type tag and the payload: a string, or the id of a collection; its expiry is the store's, its
//! removal ours. In `db<n>:elements`, ordered, are the elements of all its collections, by id.
//! `kvserver:state` holds what belongs to no database. Nothing else of the server names a keyspace.

mod check;
mod elements;
mod orphans;
mod reverse;
mod staged;
mod state;
mod uses;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvcore::clock::HeldTime;
use kvcore::{BytesKeyspace, Durability, Put, Raw, ScanCursor, Schema, Sequence, Store};

use super::collection::Id;
use super::hot::Hot;
use super::pending::{Change, Pending, What};
use super::{Place, Stored};
use crate::config::AppendFsync;
pub(crate) use check::{Check, Checked};
pub(crate) use elements::Named;
pub(super) use elements::{Held, Visit};
pub(super) use reverse::PAGE_IDS;
pub(crate) use reverse::{Cleaning, ReverseIndex};
use reverse::{Follow, Reverse};
pub(super) use staged::LargeValue;
pub(crate) use staged::{Large, Staged};
pub(crate) use uses::MemoryHeld;

pub(crate) use kvcore::Value;

type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// A stored value begins with a byte no type owns.
    #[error("a stored value has an unknown type")]
    UnknownType,
    /// What the server keeps beside the databases is not what it wrote, or is missing.
    #[error("the state of the databases is damaged: {0}")]
    State(&'static str),
    /// More than a batch should hold.
    #[error("the collection holds more than 1 GiB, which is not copied at once")]
    TooLargeToCopy,
    /// A large value could not be read by parts.
    #[error("a value cannot be read: {0}")]
    Read(std::io::Error),
    /// What the store says.
    #[error(transparent)]
    Store(#[from] kvcore::Error),
}

impl StoreError {
    /// True if nothing can be stored any more, whatever is asked.
    pub(crate) fn is_final(&self) -> bool {
        use kvcore::Error::{Closed, Poisoned};
        matches!(self, StoreError::Store(Poisoned { .. } | Closed))
    }
}

/// What of keys to fetch before commands run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// For commands that write a key without reading it.
    Place,
    Value,
    /// For those that read it first.
    Both,
}

/// With fewer keys nothing is fetched ahead: the keydir is in the processor's caches.
const FETCH_KEYS_MIN: u64 = 20_000;

/// A position in the store's order of commits.
pub(crate) type Position = Sequence;

/// Where a database lives.
#[derive(Debug)]
struct Home {
    keys: BytesKeyspace,
    elements: BytesKeyspace,
}

/// All databases.
#[derive(Debug)]
pub(crate) struct Engine {
    store: Store,
    homes: Vec<Home>,
    /// The home of each database, by index: SWAPDB exchanges them.
    by_index: Vec<AtomicUsize>,
    state: BytesKeyspace,
    /// Where a member's sets are found, if that is wanted.
    reverse: Option<Reverse>,
    hash_key: [u8; state::HASH_KEY_LEN],
    /// No collection has this id or a higher one.
    next_id: AtomicU64,
    hot: Hot,
    witness: check::Witness,
    /// Uses of keys are remembered (see `uses`).
    remembers_uses: AtomicBool,
}

impl Engine {
    /// The databases in `store`; those that are new are made.
    pub(crate) fn new(store: Store, count: usize, index: ReverseIndex) -> Result<Self> {
        let state = store.keyspace(Schema::new("kvserver:state").unordered())?;
        let by_index = state::homes(&state, count)?;
        let mut homes = Vec::with_capacity(by_index.len());
        for home in 0..by_index.len() {
            let keys = format!("db{home}:keys");
            let keys = Schema::<Vec<u8>, [u8], Raw>::new(&keys).unordered().expired_by_owner();
            let elements = format!("db{home}:elements");
            let elements = Schema::<Vec<u8>, [u8], Raw>::new(&elements);
            homes.push(Home { keys: store.keyspace(keys)?, elements: store.keyspace(elements)? });
        }
        let hash_key = state::hash_key(&state, homes.iter().all(|h| h.elements.is_empty()))?;
        let reverse = reverse::open(&store, &homes, &state, index)?;
        let next_id = elements::first_free_id(&homes, store.tip_sequence())?;
        Ok(Engine {
            store,
            homes,
            by_index: by_index.into_iter().take(count).map(AtomicUsize::new).collect(),
            state,
            reverse,
            hash_key,
            next_id: AtomicU64::new(next_id),
            hot: Hot::default(),
            witness: check::Witness::default(),
            remembers_uses: AtomicBool::new(false),
        })
    }
    pub(crate) fn count(&self) -> usize {
        self.by_index.len()
    }
    /// The home of the database with this index, which SELECT has checked.
    #[inline]
    pub(super) fn home(&self, index: usize) -> usize {
        self.by_index[index].load(Ordering::Acquire)
    }
    pub(super) fn get(&self, home: usize, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.homes[home].keys.get(key)?)
    }
    #[inline]
    pub(super) fn get_with<R>(
        &self,
        home: usize,
        key: &[u8],
        f: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(self.homes[home].keys.get_with(key, f)?)
    }
    /// What is remembered of collections; for holders of the gate.
    pub(super) fn hot(&self) -> &Hot {
        &self.hot
    }
    #[cfg(test)]
    pub(crate) fn forget_hot(&self) {
        self.hot.clear();
    }
    /// Starts fetching what commands will touch that look these keys up, unless all of it is in
    /// the processor's caches anyway.
    pub(crate) fn fetch_ahead<'k>(
        &self,
        db: usize,
        ahead: Ahead,
        keys: impl Iterator<Item = &'k [u8]>,
    ) {
        let keyspace = &self.homes[self.home(db)].keys;
        if keyspace.len() < FETCH_KEYS_MIN {
            return;
        }
        match ahead {
            Ahead::Place => keyspace.fetch_places_ahead(keys),
            Ahead::Value | Ahead::Both => keyspace.fetch_ahead(keys),
        }
    }
    pub(super) fn contains(&self, home: usize, key: &[u8]) -> Result<bool> {
        Ok(self.homes[home].keys.contains(key)?)
    }
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    pub(super) fn expires_at_ms(&self, home: usize, key: &[u8]) -> Result<Option<Option<u64>>> {
        match self.homes[home].keys.expires_at(key)? {
            Some(at) => Ok(Some(Some(unix_ms(at)))),
            None => Ok(self.contains(home, key)?.then_some(None)),
        }
    }
    /// The number of keys, those past their time included until they are removed.
    pub(super) fn len(&self, home: usize) -> u64 {
        self.homes[home].keys.len()
    }
    pub(super) fn scan(
        &self,
        home: usize,
        cursor: u64,
        limit: usize,
    ) -> Result<(Vec<Vec<u8>>, u64)> {
        let (entries, next) = self.homes[home].keys.scan(ScanCursor(cursor), limit)?;
        Ok((entries.into_iter().map(kvcore::Entry::into_key).collect(), next.0))
    }
    pub(super) fn random(&self, home: usize, seed: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.homes[home].keys.random(seed)?.map(kvcore::Entry::into_key))
    }
    /// Keys past their time that are not removed yet, each with the collection it holds.
    pub(super) fn due(&self, home: usize, limit: usize) -> Result<Vec<(Vec<u8>, Option<Id>)>> {
        let mut due = Vec::new();
        for entry in self.homes[home].keys.expired(limit)? {
            let id = collection_of(&entry)?;
            due.push((entry.into_key(), id));
        }
        Ok(due)
    }
    /// True if keys wait to be removed, as their time has come.
    pub(crate) fn has_due(&self) -> Result<bool> {
        for home in &self.homes {
            if !home.keys.expired(1)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
    /// The collection whose id is stored with a key, be the key past its time or not.
    pub(super) fn stored_collection(&self, home: usize, key: &[u8]) -> Result<Option<Id>> {
        let keys = &self.homes[home].keys;
        // A record of another length is a string: no need to read it.
        if keys.stored_size_bytes(key)? != Some(COLLECTION_RECORD_LEN) {
            return Ok(None);
        }
        keys.stored(key)?.map_or(Ok(None), |entry| collection_of(&entry))
    }

    /// True if the store has a record of `key`, be it past its time or not.
    pub(super) fn is_stored(&self, home: usize, key: &[u8]) -> Result<bool> {
        Ok(self.homes[home].keys.stored_size_bytes(key)?.is_some())
    }

    /// The store's time, in milliseconds since 1970; it never goes back.
    pub(crate) fn now_ms(&self) -> u64 {
        self.hold_time().now_ms()
    }
    /// Makes time stand still for this thread, so that all it reads meanwhile is of one moment.
    pub(crate) fn hold_time(&self) -> HeldTime<'_> {
        self.store.hold_time()
    }
    /// The position of the last commit applied.
    pub(crate) fn tip(&self) -> Position {
        self.store.tip_sequence()
    }
    /// The position up to which everything survives power loss.
    pub(crate) fn durable(&self) -> Position {
        self.store.durable_sequence()
    }
    /// Returns when everything up to `position` survives power loss.
    pub(crate) fn wait_durable(&self, position: Position) -> Result<()> {
        Ok(self.store.wait_durable(position)?)
    }
    /// Rewrites the log without what is dead.
    pub(crate) fn merge(&self) -> Result<()> {
        self.store.merge()?;
        Ok(())
    }
    /// Returns when everything committed before survives power loss.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(self.store.sync()?)
    }
    /// The keys with an expiry, by database.
    pub(crate) fn expiring(&self) -> Vec<u64> {
        let stats = self.store.stats();
        let of = |index| {
            let name = self.homes[self.home(index)].keys.name();
            stats.keyspaces.iter().find(|k| k.name == name).map_or(0, |k| k.expiring)
        };
        (0..self.count()).map(of).collect()
    }
    /// Figures for INFO.
    pub(crate) fn stats(&self) -> kvcore::Stats {
        self.store.stats()
    }

    /// Runs `f`, whose commits are visible one after the other and reach the log in one write.
    ///
    /// Waits for no sync, also under `always`: whoever sends replies then waits for
    /// [`Engine::durable`].
    pub(crate) fn round<T>(
        &self,
        appendfsync: AppendFsync,
        f: impl FnOnce(&mut Round<'_, '_>) -> T,
    ) -> Result<T> {
        let durability = match appendfsync {
            AppendFsync::EverySec => Durability::Interval(Duration::from_secs(1)),
            AppendFsync::Always | AppendFsync::No => Durability::Buffered,
        };
        let run = |round: &mut kvcore::Round<'_>| Ok(f(&mut Round { engine: self, round }));
        Ok(self.store.commit_many_with(durability, run)?)
    }
}

/// Commits that share one write.
#[derive(Debug)]
pub(crate) struct Round<'e, 's> {
    engine: &'e Engine,
    round: &'e mut kvcore::Round<'s>,
}

impl Round<'_, '_> {
    /// Applies all changes as one batch. Large values are written here, unless they are staged:
    /// then all of them are, in their order.
    pub(super) fn apply(&mut self, pending: &Pending, staged: Vec<Staged>) -> Result<()> {
        let result = self.commit(pending, staged);
        match result {
            Ok(()) => {
                self.engine.hot.note(pending.iter());
                self.engine.witness.note(pending);
            }
            Err(_) => self.engine.hot.clear(),
        }
        result
    }

    fn commit(&mut self, pending: &Pending, staged: Vec<Staged>) -> Result<()> {
        let mut changes = pending.iter();
        if let (Some((place, change)), None, true) =
            (changes.next(), changes.next(), staged.is_empty())
        {
            let home = &self.engine.homes[place.home];
            match change {
                _ if self.engine.is_indexed(&change) => {}
                Change::Key(key, What::Put { value, expires_at_ms }) => {
                    self.round.put(&home.keys, key, value, put(expires_at_ms))?;
                    return Ok(());
                }
                Change::Element(key, Some(value)) => {
                    self.round.put(&home.elements, key, value, Put::default())?;
                    return Ok(());
                }
                // (A key may have expired, and such a delete would not see it.)
                Change::Element(key, None) => {
                    self.round.delete(&home.elements, key)?;
                    return Ok(());
                }
                _ => {}
            }
        }
        let mut batch = self.engine.store.batch();
        let mut staged = staged.into_iter();
        let follow = self.engine.reverse.as_ref();
        let mut follow = follow.map(|reverse| Follow::new(reverse, &self.engine.homes));
        for (place, change) in pending.iter() {
            if let Some(follow) = &mut follow
                && follow.add(&mut batch, place, change)?
            {
                continue;
            }
            let is_large = |value: &[u8]| value.len() > self.engine.large_value_bytes();
            let large = change.value().filter(|value| is_large(value));
            match large.and_then(|_| staged.next()) {
                Some(value) => self.add_staged(&mut batch, place, change, value)?,
                None => self.add(&mut batch, place, change)?,
            }
        }
        let homes = pending.has_swaps().then(|| self.engine.swapped(pending.swaps()));
        if let Some(homes) = &homes {
            batch.put(&self.engine.state, state::HOMES_KEY, &state::homes_bytes(homes))?;
        }
        self.round.commit(batch)?;
        for (index, home) in homes.into_iter().flatten().enumerate() {
            if let Some(at) = self.engine.by_index.get(index) {
                at.store(home, Ordering::Release);
            }
        }
        Ok(())
    }

    fn add_staged(
        &self,
        batch: &mut kvcore::Batch,
        place: Place,
        change: Change<'_>,
        value: Staged,
    ) -> Result<()> {
        let Home { keys, elements } = &self.engine.homes[place.home];
        match change {
            Change::Key(key, What::Put { expires_at_ms, .. }) => {
                batch.put_prepared(keys, key, value.prepared, put(expires_at_ms))?;
            }
            Change::Element(key, Some(_)) => {
                batch.put_prepared(elements, key, value.prepared, Put::default())?;
            }
            other => self.add(batch, place, other)?,
        }
        Ok(())
    }

    fn add(&self, batch: &mut kvcore::Batch, place: Place, change: Change<'_>) -> Result<()> {
        let Home { keys, elements } = &self.engine.homes[place.home];
        match change {
            Change::Clear => {
                batch.clear(keys)?;
                batch.clear(elements)?;
            }
            Change::Key(key, What::Put { value, expires_at_ms }) => {
                batch.put_with(keys, key, value, put(expires_at_ms))?;
            }
            Change::Key(key, What::Delete) => batch.delete(keys, key)?,
            Change::Key(key, What::Expire(Some(at))) => batch.expire(keys, key, system_time(at))?,
            Change::Key(key, What::Expire(None)) => batch.persist(keys, key)?,
            Change::Element(key, Some(value)) => batch.put(elements, key, value)?,
            Change::Element(key, None) => batch.delete(elements, key)?,
            Change::Elements(id) => {
                let id = Id::from_bytes(id).ok_or(StoreError::State("a collection id"))?;
                let (start, end) = (id.bytes(), Id(id.0 + 1).bytes());
                batch.delete_range(elements, &start[..]..&end[..])?;
            }
            // Their homes are exchanged at the end.
            Change::Swap(_) => {}
        }
        Ok(())
    }
}

/// Length of the record of a key that holds a collection: type tag and id.
const COLLECTION_RECORD_LEN: u64 = 9;

fn collection_of(entry: &kvcore::Entry<Vec<u8>, [u8], Raw>) -> Result<Option<Id>> {
    if entry.size_bytes() != COLLECTION_RECORD_LEN {
        return Ok(None);
    }
    Ok(Stored::id_in(&entry.value_bytes()?))
}

fn put(expires_at_ms: Option<u64>) -> Put {
    expires_at_ms.map_or_else(Put::default, |at| Put::expires_at(system_time(at)))
}

/// The latest time the platform can name stands for those beyond it.
fn system_time(ms: u64) -> SystemTime {
    let mut since = Duration::from_millis(ms);
    loop {
        match UNIX_EPOCH.checked_add(since) {
            Some(time) => return time,
            None => since /= 2,
        }
    }
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
