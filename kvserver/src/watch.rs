//! WATCH: which connections must see their EXEC fail when a key changes.
//!
//! # Laws
//!
//! W1. A change marks its watchers before it is committed, under the executor's exclusive lock, so
//!     no EXEC runs between the two.
//! W2. Expiry marks nobody; EXEC compares the time instead, whoever removes the key.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The watched keys of one connection.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    keys: Vec<WatchedKey>,
    changed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct WatchedKey {
    db: usize,
    key: Vec<u8>,
    /// When the key expires, as it was when WATCH ran.
    expires_at_ms: Option<u64>,
}

impl Watched {
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
    /// True if a watched key has changed, or has expired since.
    pub(crate) fn is_changed(&self, now_ms: u64) -> bool {
        let expired = |key: &WatchedKey| key.expires_at_ms.is_some_and(|at| at <= now_ms);
        self.changed.load(Ordering::Acquire) || self.keys.iter().any(expired)
    }
}

/// A connection's mark.
type Watcher = Arc<AtomicBool>;
type WatchersByKey = HashMap<Vec<u8>, Vec<Watcher>>;

/// All watched keys, of all connections.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    /// How many keys are watched: nearly always none, which costs a write one load.
    keys: AtomicUsize,
    clients: AtomicUsize,
    by_db: Mutex<HashMap<usize, WatchersByKey>>,
}

impl Watches {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.load(Ordering::Acquire) == 0
    }
    /// The number of watched keys, counted once per connection.
    pub(crate) fn keys(&self) -> usize {
        self.keys.load(Ordering::Relaxed)
    }
    /// The number of connections that watch at least one key.
    pub(crate) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Adds `key` to what `watched` watches, unless it is there.
    pub(crate) fn add(
        &self,
        watched: &mut Watched,
        db: usize,
        key: &[u8],
        expires_at_ms: Option<u64>,
    ) {
        if watched.keys.iter().any(|seen| seen.db == db && seen.key == key) {
            return;
        }
        if watched.keys.is_empty() {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        let mut by_db = self.by_db.lock();
        let watchers = by_db.entry(db).or_default().entry(key.to_vec()).or_default();
        watchers.push(Arc::clone(&watched.changed));
        self.keys.fetch_add(1, Ordering::AcqRel);
        watched.keys.push(WatchedKey { db, key: key.to_vec(), expires_at_ms });
    }

    /// Ends every watch of a connection.
    pub(crate) fn forget(&self, watched: &mut Watched) {
        if watched.keys.is_empty() {
            return;
        }
        let mut by_db = self.by_db.lock();
        for WatchedKey { db, key, .. } in watched.keys.drain(..) {
            let Some(keys) = by_db.get_mut(&db) else { continue };
            if let Some(watchers) = keys.get_mut(&key) {
                watchers.retain(|watcher| !Arc::ptr_eq(watcher, &watched.changed));
                if watchers.is_empty() {
                    keys.remove(&key);
                }
            }
            self.keys.fetch_sub(1, Ordering::AcqRel);
        }
        self.clients.fetch_sub(1, Ordering::Relaxed);
        watched.changed = Arc::default();
    }

    /// Marks the watchers of a key.
    pub(crate) fn touch_key(&self, db: usize, key: &[u8]) {
        let by_db = self.by_db.lock();
        by_db
            .get(&db)
            .and_then(|keys| keys.get(key))
            .into_iter()
            .for_each(|watchers| mark(watchers));
    }
    /// Marks the watchers of every key of the database that `exists`.
    pub(crate) fn touch_all(&self, db: usize, exists: impl Fn(&[u8]) -> bool) {
        let by_db = self.by_db.lock();
        let keys = by_db.get(&db).into_iter().flatten();
        keys.filter(|(key, _)| exists(key)).for_each(|(_, watchers)| mark(watchers));
    }
}

fn mark(watchers: &[Watcher]) {
    watchers.iter().for_each(|watcher| watcher.store(true, Ordering::Release));
}
