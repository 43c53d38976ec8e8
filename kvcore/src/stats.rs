//! What a store tells about itself.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

mod latency;

pub use latency::Latencies;
use latency::LatencyCounters;

/// How the last `open` went.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// let store = kvcore::Store::open(dir.path())?;
/// let recovery = store.recovery();
/// assert!(recovery.cut_at.is_none(), "an unsynced end was lost: {recovery:?}");
/// assert_eq!(recovery.dropped_bytes, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Time from the call to its return.
    pub took: Duration,
    /// Keys loaded.
    pub keys: u64,
    /// Data files whose hint was used.
    pub files_from_hints: u64,
    /// Data files that were read themselves.
    pub files_scanned: u64,
    /// Bytes copied into new files because nothing proved them durable.
    pub copied_bytes: u64,
    /// Bytes behind the end of the log that were dropped: the torn tail.
    pub dropped_bytes: u64,
    /// Where the torn tail began.
    pub cut_at: Option<(PathBuf, u64)>,
}

/// A moment's figures of a store. Cheap enough to poll.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// users.put("ada", &37)?;
/// let stats = store.stats();
/// assert_eq!(stats.keys, 1);
/// assert!(stats.dead_bytes > 0); // the first value
/// println!("{} syncs, 99 % in {:?}", stats.syncs, stats.sync_latencies.quantile(0.99));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// How the store was opened.
    pub recovery: Recovery,
    /// Per keyspace, by name.
    pub keyspaces: Vec<KeyspaceStats>,
    /// Per data file, by number.
    pub files: Vec<FileStats>,
    /// Keys in all keyspaces.
    pub keys: u64,
    /// Bytes of records that the keydir points at.
    pub live_bytes: u64,
    /// Bytes in data files that no key means: what merge gives back, and deletes and expiry changes
    /// that it still has to keep.
    pub dead_bytes: u64,
    /// Files and bytes of values stored outside the log.
    pub blobs: u64,
    /// See [`Stats::blobs`].
    pub blob_bytes: u64,
    /// Heap bytes of the keydir, keys included.
    pub keydir_bytes: u64,
    /// Open [`Snapshot`](crate::Snapshot)s; clones of one count once.
    pub snapshots: u64,
    /// Watchers.
    pub watchers: u64,
    /// Those of them that lag and have not been told so yet, because nobody reads them.
    pub watchers_lagging: u64,
    /// Sequences that open snapshots, iterators and transactions look from.
    pub views: u64,
    /// How long the oldest of those has been open, by the store's clock.
    pub oldest_view_age: Duration,
    /// Old states kept for them.
    pub undo_records: u64,
    /// Heap bytes of those, about.
    pub undo_bytes: u64,
    /// Bytes of data files that merge has replaced and that readers still keep: snapshots,
    /// iterators, entries and large values.
    pub pinned_bytes: u64,
    /// Open change feeds.
    pub feeds: u64,
    /// Dead bytes of data files that merge leaves alone for them, and for those that
    /// [`Options::feed_retention_bytes`](crate::Options::feed_retention_bytes) lets come back.
    pub kept_for_feeds_bytes: u64,
    /// Bytes appended to the log since open, by commits.
    pub appended_bytes: u64,
    /// Data files begun since open.
    pub rolls: u64,
    /// Syncs since open, and the time spent in them.
    pub syncs: u64,
    /// See [`Stats::syncs`].
    pub sync_time: Duration,
    /// How long they took.
    pub sync_latencies: Latencies,
    /// How long writers may have had to wait for the store's own work (range deletes worked off,
    /// entries expired and evicted): the times for which a step of it had the writer lock.
    pub background_holds: Latencies,
    /// Merges since open.
    pub merges: u64,
    /// Bytes that merges read: not those of files in which nothing lived.
    pub merge_read_bytes: u64,
    /// Bytes that merges wrote.
    pub merge_written_bytes: u64,
    /// Bytes of values that were compressed since open, before that.
    pub compressed_from_bytes: u64,
    /// The same bytes as stored.
    pub compressed_to_bytes: u64,
    /// Bytes that merges gave back: those of the files they took less those they wrote.
    pub merge_reclaimed_bytes: u64,
    /// Expired entries removed since open, other than by their owners.
    pub expired: u64,
    /// Entries evicted since open, because their keyspaces were over their budgets.
    pub evicted: u64,
}

impl Stats {
    /// Heap bytes of the keydir per key, keys included; 0 in an empty store.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<u64, ()> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// for n in 0..10_000 {
    ///     batch.put(&users, n, &())?;
    /// }
    /// batch.commit()?;
    /// assert!(store.stats().keydir_bytes_per_key() < 100);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn keydir_bytes_per_key(&self) -> u64 {
        self.keydir_bytes.checked_div(self.keys).unwrap_or(0)
    }
}

/// One keyspace's figures.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// let stats = store.stats();
/// let of_users = stats.keyspaces.iter().find(|k| k.name == "users").expect("it is there");
/// assert_eq!((of_users.keys, of_users.data_bytes), (1, 4)); // "ada" and one byte
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyspaceStats {
    /// Its name.
    pub name: String,
    /// Its keys, expired ones included until their removal.
    pub keys: u64,
    /// Its keys with an expiry time.
    pub expiring: u64,
    /// Heap bytes of its keydir, keys included.
    pub keydir_bytes: u64,
    /// Bytes of its keys and encoded values, without what the log adds to each record. Dead bytes
    /// are known per file only, where records of all keyspaces are mixed.
    pub data_bytes: u64,
    /// The most bytes of keys and values that are kept, if there is a bound.
    pub budget_bytes: Option<u64>,
    /// Its entries evicted since open.
    pub evicted: u64,
}

/// One data file's figures.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// let stats = store.stats();
/// let active: Vec<_> = stats.files.iter().filter(|file| !file.sealed).collect();
/// assert!(active.len() == 1 && active[0].live_bytes > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct FileStats {
    /// Its number.
    pub id: u64,
    /// Its length.
    pub bytes: u64,
    /// Of those, bytes of records that the keydir points at.
    pub live_bytes: u64,
    /// Of those, bytes that merge could give back.
    pub dead_bytes: u64,
    /// It takes no more records.
    pub sealed: bool,
}

/// Counts since open.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) appended_bytes: AtomicU64,
    pub(crate) rolls: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_ns: AtomicU64,
    pub(crate) sync_latencies: LatencyCounters,
    pub(crate) background_holds: LatencyCounters,
    pub(crate) merges: AtomicU64,
    pub(crate) merge_read_bytes: AtomicU64,
    pub(crate) merge_unread_bytes: AtomicU64,
    pub(crate) merge_written_bytes: AtomicU64,
    pub(crate) compressed_from_bytes: AtomicU64,
    pub(crate) compressed_to_bytes: AtomicU64,
    pub(crate) expired: AtomicU64,
    /// Appended since the last sync.
    /// What `appended_bytes` was at the last sync.
    pub(crate) synced_bytes: AtomicU64,
    /// The clock that was last written into the log.
    pub(crate) clock_recorded_ms: AtomicU64,
    /// The shortest interval any commit asked for.
    pub(crate) sync_every_ms: AtomicU64,
    /// Dead bytes have come close to the bound; writers wait for merge.
    pub(crate) is_overfull: AtomicBool,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Counters {
            appended_bytes: zero(),
            rolls: zero(),
            syncs: zero(),
            sync_ns: zero(),
            sync_latencies: LatencyCounters::default(),
            background_holds: LatencyCounters::default(),
            merges: zero(),
            merge_read_bytes: zero(),
            merge_unread_bytes: zero(),
            merge_written_bytes: zero(),
            compressed_from_bytes: zero(),
            compressed_to_bytes: zero(),
            expired: zero(),
            synced_bytes: zero(),
            clock_recorded_ms: zero(),
            sync_every_ms: AtomicU64::new(u64::MAX),
            is_overfull: AtomicBool::new(false),
        }
    }
}

impl Counters {
    /// Counts appended bytes; returns how many wait to be synced.
    pub(crate) fn appended(&self, bytes: u64) -> u64 {
        let total = self.appended_bytes.load(Ordering::Relaxed) + bytes;
        self.appended_bytes.store(total, Ordering::Relaxed);
        total.saturating_sub(self.synced_bytes.load(Ordering::Relaxed))
    }

    pub(crate) fn compressed(&self, from_bytes: u64, to_bytes: u64) {
        self.compressed_from_bytes.fetch_add(from_bytes, Ordering::Relaxed);
        self.compressed_to_bytes.fetch_add(to_bytes, Ordering::Relaxed);
    }

    pub(crate) fn rolled(&self) {
        self.rolls.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn synced(&self, took: Duration) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sync_ns.fetch_add(ns, Ordering::Relaxed);
        self.sync_latencies.add(took);
        let appended = self.appended_bytes.load(Ordering::Relaxed);
        self.synced_bytes.store(appended, Ordering::Relaxed);
    }
}
