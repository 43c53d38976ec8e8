//! WATCH: which connections must see their EXEC fail when a key changes.
//!
//! # Laws
//!
//! W1. A change marks its watchers before it is committed, under the executor's exclusive lock, so
//!     no EXEC runs between the two.
//! W2. Expiry marks nobody; EXEC compares the time instead, whoever removes the key.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

/// The watched keys of one connection.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// By database and key: when it expires, as it was when WATCH ran.
    keys: HashMap<(usize, Vec<u8>), Option<u64>>,
    changed: Arc<AtomicBool>,
}

impl Watched {
    /// No keys; when one has changed, `changed` says so.
    pub(crate) fn telling(changed: Arc<AtomicBool>) -> Self {
        Watched { keys: HashMap::new(), changed }
    }
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
    /// True if a watched key is known to have changed.
    pub(crate) fn is_marked(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }
    /// True if a watched key has changed, or has expired since.
    pub(crate) fn is_changed(&self, now_ms: u64) -> bool {
        let expired = |expires_at_ms: &Option<u64>| expires_at_ms.is_some_and(|at| at <= now_ms);
        self.is_marked() || self.keys.values().any(expired)
    }
}

/// A connection's mark.
type Watcher = Arc<AtomicBool>;
/// By where the mark lies, so that one of many is found.
type Watchers = HashMap<usize, Watcher>;
type WatchersByKey = HashMap<Vec<u8>, Watchers>;

fn place(watcher: &Watcher) -> usize {
    Arc::as_ptr(watcher).addr()
}

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
        let is_first = watched.keys.is_empty();
        let Entry::Vacant(vacant) = watched.keys.entry((db, key.to_vec())) else { return };
        if is_first {
            self.clients.fetch_add(1, Ordering::Relaxed);
        }
        let mut by_db = self.by_db.lock();
        let watchers = by_db.entry(db).or_default().entry(key.to_vec()).or_default();
        watchers.insert(place(&watched.changed), Arc::clone(&watched.changed));
        self.keys.fetch_add(1, Ordering::AcqRel);
        vacant.insert(expires_at_ms);
    }

    /// Ends every watch of a connection.
    pub(crate) fn forget(&self, watched: &mut Watched) {
        if watched.keys.is_empty() {
            return;
        }
        let mut by_db = self.by_db.lock();
        for ((db, key), _) in std::mem::take(&mut watched.keys) {
            let Some(keys) = by_db.get_mut(&db) else { continue };
            if let Some(watchers) = keys.get_mut(&key) {
                watchers.remove(&place(&watched.changed));
                if watchers.is_empty() {
                    keys.remove(&key);
                }
            }
            self.keys.fetch_sub(1, Ordering::AcqRel);
        }
        self.clients.fetch_sub(1, Ordering::Relaxed);
        // Nobody marks it any more.
        watched.changed.store(false, Ordering::Release);
    }

    /// Marks the watchers of a key.
    pub(crate) fn touch_key(&self, db: usize, key: &[u8]) {
        let by_db = self.by_db.lock();
        by_db.get(&db).and_then(|keys| keys.get(key)).into_iter().for_each(mark);
    }
    /// Marks the watchers of every key of the database that `exists`.
    pub(crate) fn touch_all(&self, db: usize, exists: impl Fn(&[u8]) -> bool) {
        let by_db = self.by_db.lock();
        let keys = by_db.get(&db).into_iter().flatten();
        keys.filter(|(key, _)| exists(key)).for_each(|(_, watchers)| mark(watchers));
    }
}

fn mark(watchers: &Watchers) {
    watchers.values().for_each(|watcher| watcher.store(true, Ordering::Release));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn watching_many_keys_many_times_over_is_linear_in_their_number() {
        let (watches, mut watched) = (Watches::default(), Watched::default());
        let begun = Instant::now();
        for n in 0..200_000u32 {
            watches.add(&mut watched, 0, &n.to_be_bytes(), None);
            watches.add(&mut watched, 0, &n.to_be_bytes(), None);
        }
        assert_eq!((watches.keys(), watches.clients(), watched.len()), (200_000, 1, 200_000));
        // Whoever looks at each key for each takes many minutes.
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        watches.touch_key(0, &7u32.to_be_bytes());
        assert!(watched.is_changed(0));
        watches.forget(&mut watched);
        assert_eq!((watches.keys(), watches.clients(), watched.len()), (0, 0, 0));
    }

    #[test]
    fn many_clients_that_watch_a_key_leave_it_in_linear_time_and_are_marked_each_alone() {
        let watches = Watches::default();
        let mut all: Vec<Watched> = (0..50_000).map(|_| Watched::default()).collect();
        let begun = Instant::now();
        all.iter_mut().for_each(|watched| watches.add(watched, 0, b"k", None));
        for (at, watched) in all.iter_mut().enumerate().take(49_999) {
            assert!(!watched.is_changed(0), "{at}");
            watches.forget(watched);
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        watches.touch_key(0, b"k");
        assert_eq!(all.iter().filter(|watched| watched.is_changed(0)).count(), 1);
        assert_eq!((watches.keys(), watches.clients()), (1, 1));
    }
}
