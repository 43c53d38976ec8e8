//! The figures of a store: gathered from where they arise, when somebody asks.

use super::{HIDDEN, Store};
use crate::stats::{FileStats, KeyspaceStats, Recovery, Stats};
use std::{sync::atomic::Ordering, time::Duration};

impl Store {
    /// Figures of this moment. Walks over files and keyspaces, not over keys.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let stats = store.stats();
    /// println!("{} keys, {} bytes live, {} dead", stats.keys, stats.live_bytes, stats.dead_bytes);
    /// assert_eq!(stats.keys, 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let engine = self.engine();
        let mut stats = Stats { recovery: self.0.recovery.clone(), ..Stats::default() };
        for k in engine.all_keyspaces() {
            let figures = KeyspaceStats {
                name: k.meta.name.clone(),
                keys: k.index.len(),
                expiring: k.index.expiring(),
                keydir_bytes: k.index.memory_bytes(),
                data_bytes: k.index.data_bytes(),
                budget_bytes: k.index.budget_bytes(),
                evicted: k.index.evicted(),
            };
            stats.evicted += figures.evicted;
            stats.keydir_bytes += figures.keydir_bytes;
            let (records, bytes) = k.index.undo_size();
            stats.undo_records += records;
            stats.undo_bytes += bytes;
            if !figures.name.starts_with(HIDDEN) {
                stats.keys += figures.keys;
                stats.keyspaces.push(figures);
            }
        }
        let open = engine.views.figures();
        (stats.snapshots, stats.views) = (open.snapshots, open.views);
        let watchers = engine.watching.watchers();
        (stats.watchers, stats.watchers_lagging) = (watchers.all, watchers.lagging);
        let age_ms = open.since_ms.map(|since| engine.clock.now_ms().saturating_sub(since));
        stats.oldest_view_age = Duration::from_millis(age_ms.unwrap_or(0));
        stats.pinned_bytes = engine.files.pinned_bytes();
        stats.feeds = engine.feeds.count() as u64;
        stats.kept_for_feeds_bytes = engine.kept_dead_bytes();
        for file in engine.files.load().iter() {
            let live_bytes = file.live_bytes.load(Ordering::Relaxed);
            stats.live_bytes += live_bytes;
            stats.dead_bytes += file.dead_bytes();
            let id = u64::from(file.id.0);
            let sealed = file.is_sealed();
            let (bytes, dead_bytes) = (file.len(), file.dead_bytes());
            stats.files.push(FileStats { id, bytes, live_bytes, dead_bytes, sealed });
        }
        stats.files.sort_by_cached_key(|f| f.id);
        (stats.blobs, stats.blob_bytes) = engine.blobs.live();
        let counters = &engine.counters;
        stats.appended_bytes = counters.appended_bytes.load(Ordering::Relaxed);
        stats.rolls = counters.rolls.load(Ordering::Relaxed);
        stats.syncs = counters.syncs.load(Ordering::Relaxed);
        stats.sync_time = Duration::from_nanos(counters.sync_ns.load(Ordering::Relaxed));
        stats.sync_latencies = counters.sync_latencies.load();
        stats.background_holds = counters.background_holds.load();
        stats.merges = counters.merges.load(Ordering::Relaxed);
        stats.merge_read_bytes = counters.merge_read_bytes.load(Ordering::Relaxed);
        stats.merge_written_bytes = counters.merge_written_bytes.load(Ordering::Relaxed);
        stats.compressed_from_bytes = counters.compressed_from_bytes.load(Ordering::Relaxed);
        stats.compressed_to_bytes = counters.compressed_to_bytes.load(Ordering::Relaxed);
        let unread_bytes = counters.merge_unread_bytes.load(Ordering::Relaxed);
        stats.merge_reclaimed_bytes =
            (stats.merge_read_bytes + unread_bytes).saturating_sub(stats.merge_written_bytes);
        stats.expired = counters.expired.load(Ordering::Relaxed);
        stats
    }

    /// How the store was opened: what recovery found, copied and dropped.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// let store = kvcore::Store::open(dir.path())?;
    /// println!("{} keys in {:?}", store.recovery().keys, store.recovery().took);
    /// assert_eq!(store.recovery().dropped_bytes, 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }
}
