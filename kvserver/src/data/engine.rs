//! The one seam between the server and its store: databases by index, in memory for now.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::pending::{Pending, What};

pub(super) type Value = Arc<[u8]>;
type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    /// A stored value begins with a byte no type owns.
    #[error("a stored value has an unknown type")]
    UnknownType,
}

/// A position in the store's order of commits.
pub(crate) type Position = u64;

#[derive(Debug, Clone)]
struct Held {
    value: Value,
    expires_at_ms: Option<u64>,
}

type Table = BTreeMap<(u64, Vec<u8>), Held>;

/// All databases.
#[derive(Debug)]
pub(crate) struct Engine {
    tables: Vec<RwLock<Table>>,
    hasher: RandomState,
    tip: AtomicU64,
}

impl Engine {
    /// Empty databases in memory.
    pub(crate) fn in_memory(count: usize) -> Self {
        let tables = (0..count).map(|_| RwLock::default()).collect();
        Engine { tables, hasher: RandomState::new(), tip: AtomicU64::new(0) }
    }
    pub(crate) fn count(&self) -> usize {
        self.tables.len()
    }
    fn place(&self, key: &[u8]) -> (u64, Vec<u8>) {
        (self.hasher.hash_one(key) | 1, key.to_vec())
    }
    fn held(&self, db: usize, key: &[u8], now_ms: u64) -> Option<Held> {
        let held = self.tables[db].read().get(&self.place(key)).cloned()?;
        held.expires_at_ms.is_none_or(|at| at > now_ms).then_some(held)
    }
    pub(super) fn get(&self, db: usize, key: &[u8], now_ms: u64) -> Result<Option<Value>> {
        Ok(self.held(db, key, now_ms).map(|held| held.value))
    }
    pub(super) fn contains(&self, db: usize, key: &[u8], now_ms: u64) -> Result<bool> {
        Ok(self.held(db, key, now_ms).is_some())
    }
    #[expect(clippy::option_option, reason = "absent and without expiry are different answers")]
    pub(super) fn expires_at_ms(
        &self,
        db: usize,
        key: &[u8],
        now_ms: u64,
    ) -> Result<Option<Option<u64>>> {
        Ok(self.held(db, key, now_ms).map(|held| held.expires_at_ms))
    }
    /// The number of keys, those past their time included until they are removed.
    pub(crate) fn len(&self, db: usize) -> u64 {
        self.tables[db].read().len().try_into().unwrap_or(u64::MAX)
    }
    pub(super) fn scan(
        &self,
        db: usize,
        cursor: u64,
        limit: usize,
        now_ms: u64,
    ) -> Result<(Vec<Vec<u8>>, u64)> {
        let table = self.tables[db].read();
        let mut keys = Vec::new();
        let mut last = 0;
        for ((hash, key), held) in table.range((cursor, Vec::new())..) {
            if keys.len() >= limit && *hash != last {
                return Ok((keys, *hash));
            }
            last = *hash;
            if held.expires_at_ms.is_none_or(|at| at > now_ms) {
                keys.push(key.clone());
            }
        }
        Ok((keys, 0))
    }
    pub(super) fn random(&self, db: usize, seed: u64, now_ms: u64) -> Result<Option<Vec<u8>>> {
        let table = self.tables[db].read();
        let live = || {
            let live = |held: &Held| held.expires_at_ms.is_none_or(|at| at > now_ms);
            table.iter().filter(move |(_, held)| live(held))
        };
        let count = live().count();
        let mut rng = fastrand::Rng::with_seed(seed);
        Ok((count > 0)
            .then(|| rng.usize(..count))
            .and_then(|n| live().nth(n))
            .map(|(k, _)| k.1.clone()))
    }
    /// The position of the last commit applied.
    pub(crate) fn tip(&self) -> Position {
        self.tip.load(Ordering::Acquire)
    }
    /// The position up to which everything survives power loss.
    pub(crate) fn durable(&self) -> Position {
        self.tip()
    }
    /// Rewrites the log without what is dead.
    pub(crate) fn merge(&self) -> Result<()> {
        Ok(())
    }
    /// Returns when everything committed before survives power loss.
    pub(crate) fn sync(&self) -> Result<()> {
        Ok(())
    }
    /// Returns when everything up to `position` survives power loss.
    pub(crate) fn wait_durable(&self, _position: Position) -> Result<()> {
        Ok(())
    }
    /// Runs `f`, whose commits are visible one after the other and reach the log together.
    pub(crate) fn round<T>(&self, f: impl FnOnce(&mut Round<'_>) -> Result<T>) -> Result<T> {
        f(&mut Round { engine: self })
    }
}

/// Commits that share one write.
#[derive(Debug)]
pub(crate) struct Round<'e> {
    engine: &'e Engine,
}

impl Round<'_> {
    /// Applies all changes as one batch.
    pub(super) fn apply(&mut self, pending: &Pending) -> Result<()> {
        for change in pending.iter() {
            let mut table = self.engine.tables[change.db].write();
            let place = change.key.map(|key| self.engine.place(key));
            match (place, change.what) {
                (Some(place), What::Put { value, expires_at_ms }) => {
                    table.insert(place, Held { value: value.into(), expires_at_ms });
                }
                (Some(place), What::Delete) => drop(table.remove(&place)),
                (Some(place), What::Expire(at)) => {
                    table.entry(place).and_modify(|held| held.expires_at_ms = at);
                }
                (None, _) | (_, What::Clear) => table.clear(),
            }
        }
        self.engine.tip.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
