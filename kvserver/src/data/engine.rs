//! The one seam between the server and its store: databases by index, on keyspaces.
//!
//! Database `n` is the unordered keyspace `db<n>:keys`; a value is one type tag and the payload,
//! and its expiry is the store's. Nothing else of the server names a keyspace.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kvcore::{BytesKeyspace, Durability, Put, Raw, ScanCursor, Schema, Sequence, Store};

use super::pending::{Change, Pending, What};
use crate::config::AppendFsync;

pub(super) use kvcore::Value;

type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// A stored value begins with a byte no type owns.
    #[error("a stored value has an unknown type")]
    UnknownType,
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

/// A position in the store's order of commits.
pub(crate) type Position = Sequence;

/// All databases.
#[derive(Debug)]
pub(crate) struct Engine {
    store: Store,
    databases: Vec<BytesKeyspace>,
}

impl Engine {
    /// The databases in `store`; those that are new are made.
    pub(crate) fn new(store: Store, count: usize) -> Result<Self> {
        let mut databases = Vec::with_capacity(count);
        for index in 0..count {
            let name = format!("db{index}:keys");
            let schema = Schema::<Vec<u8>, [u8], Raw>::new(&name).unordered();
            databases.push(store.keyspace(schema)?);
        }
        Ok(Engine { store, databases })
    }
    pub(crate) fn count(&self) -> usize {
        self.databases.len()
    }
    pub(super) fn get(&self, db: usize, key: &[u8]) -> Result<Option<Value>> {
        Ok(self.databases[db].get(key)?)
    }
    pub(super) fn contains(&self, db: usize, key: &[u8]) -> Result<bool> {
        Ok(self.databases[db].contains(key)?)
    }
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    pub(super) fn expires_at_ms(&self, db: usize, key: &[u8]) -> Result<Option<Option<u64>>> {
        match self.databases[db].expires_at(key)? {
            Some(at) => Ok(Some(Some(unix_ms(at)))),
            None => Ok(self.contains(db, key)?.then_some(None)),
        }
    }
    /// The number of keys, those past their time included until they are removed.
    pub(crate) fn len(&self, db: usize) -> u64 {
        self.databases[db].len()
    }
    pub(super) fn scan(&self, db: usize, cursor: u64, limit: usize) -> Result<(Vec<Vec<u8>>, u64)> {
        let (entries, next) = self.databases[db].scan(ScanCursor(cursor), limit)?;
        Ok((entries.into_iter().map(kvcore::Entry::into_key).collect(), next.0))
    }
    pub(super) fn random(&self, db: usize, seed: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.databases[db].random(seed)?.map(kvcore::Entry::into_key))
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
            let name = format!("db{index}:keys");
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
    /// Applies all changes as one batch.
    pub(super) fn apply(&mut self, pending: &Pending) -> Result<()> {
        let mut changes = pending.iter();
        if let (Some(first), None) = (changes.next(), changes.next())
            && let (Some(key), What::Put { value, expires_at_ms }) = (first.key, first.what)
        {
            let keyspace = &self.engine.databases[first.db];
            self.round.put(keyspace, key, value, put(expires_at_ms))?;
            return Ok(());
        }
        let mut batch = self.engine.store.batch();
        for change in pending.iter() {
            self.add(&mut batch, &change)?;
        }
        self.round.commit(batch)?;
        Ok(())
    }

    fn add(&self, batch: &mut kvcore::Batch, change: &Change<'_>) -> Result<()> {
        let keyspace = &self.engine.databases[change.db];
        match (change.key, change.what) {
            (None, _) | (_, What::Clear) => batch.clear(keyspace)?,
            (Some(key), What::Put { value, expires_at_ms }) => {
                batch.put_with(keyspace, key, value, put(expires_at_ms))?;
            }
            (Some(key), What::Delete) => batch.delete(keyspace, key)?,
            (Some(key), What::Expire(Some(at))) => batch.expire(keyspace, key, system_time(at))?,
            (Some(key), What::Expire(None)) => batch.persist(keyspace, key)?,
        }
        Ok(())
    }
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
