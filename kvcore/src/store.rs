//! The handle to an open store, and what concerns the store as a whole.

use crate::{
    batch::Batch,
    codec::Codec,
    engine::{Background as Threads, Engine, When, tasks},
    error::{Error, Result},
    ids::Sequence,
    key::Key,
    keyspace::Keyspace,
    options::{Background, Durability, Options},
    recovery,
    schema::Schema,
    stats::{FileStats, KeyspaceStats, Recovery, Stats},
};
use std::{
    fmt,
    future::Future,
    path::Path,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

mod close;
mod migrate;
mod registry;
mod round;
mod short_lived;

pub use migrate::MigrationProgress;
pub(crate) use registry::HIDDEN;
pub use round::Round;

/// An open store. Clones are handles to the same one; the last one to go closes it.
///
/// All methods may be called from any thread. Reads never wait for merges, and wait for writers
/// only while one applies a commit to the same part of the keydir.
#[derive(Clone)]
pub struct Store(pub(crate) Arc<Handle>);

/// What every handle of a store keeps alive.
pub(crate) struct Handle {
    pub(crate) engine: Arc<Engine>,
    threads: Threads,
    recovery: Recovery,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.0.engine.dir).finish_non_exhaustive()
    }
}

/// What [`Store::merge`] gave back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reclaimed {
    /// Data files that are gone.
    pub files: u64,
    /// Bytes of data files less than before.
    pub bytes: u64,
}

impl Options {
    /// Opens the store in `dir`, and creates it if the directory is missing or empty.
    ///
    /// Costs time in proportion to the number of keys: see [`Options::on_recovery`]. After an
    /// unclean end, what was not known to be durable is copied into new files first.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`], [`Error::NotAStore`], [`Error::NewerFormat`], [`Error::Corrupt`],
    /// [`Error::BadOption`], [`Error::Io`]. Nothing of the store has changed then.
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Store> {
        let with_threads = self.background == Background::Threads;
        let (senders, queues) = tasks();
        let (engine, recovery) = recovery::open(dir.as_ref(), self, senders)?;
        let engine = Arc::new(engine);
        engine.restore_reserve();
        let threads = if with_threads {
            let started = Threads::start(&engine, queues);
            started.map_err(|source| engine.io("start the threads of", "", source))?
        } else {
            Threads::default()
        };
        Ok(Store(Arc::new(Handle { engine, threads, recovery })))
    }
}

impl Options {
    /// Opens the store in `dir` for reading only, beside whoever has it open for writing.
    ///
    /// Takes no lock and writes nothing at all, so a read-only directory will do. What is served
    /// is what was known to be durable: up to the highest durable watermark that the files tell
    /// of, which may be a little behind what the writer knows. [`Store::refresh`] goes on from
    /// there. Every call that would write answers [`Error::ReadOnly`], opening a keyspace that
    /// does not exist too; types are checked as ever. There are no threads and no merge.
    ///
    /// A large value that the writer has replaced since the last refresh may be gone with its
    /// file: reading it is an [`Error::Io`] then, and a refresh helps.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Error, Keyspace, Options, Store};
    /// let writer = Store::open(dir.path())?;
    /// let users: Keyspace<String, u64> = writer.keyspace("users")?;
    /// let reader = Options::new().open_read_only(dir.path())?; // in another process, say
    /// let seen: Keyspace<String, u64> = reader.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// writer.close()?;
    /// reader.refresh()?;
    /// assert_eq!(seen.get("ada")?, Some(36));
    /// assert!(matches!(seen.put("bob", &41), Err(Error::ReadOnly)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NotAStore`], also for a directory without a store, [`Error::NewerFormat`],
    /// [`Error::Corrupt`], [`Error::BadOption`], [`Error::Io`].
    pub fn open_read_only(self, dir: impl AsRef<Path>) -> Result<Store> {
        let (senders, _) = tasks();
        let (engine, recovery) = recovery::open_read_only(dir.as_ref(), self, senders)?;
        Ok(Store::read_only(engine, recovery))
    }
}

impl Store {
    pub(crate) fn read_only(engine: Engine, recovery: Recovery) -> Store {
        let (engine, threads) = (Arc::new(engine), Threads::default());
        Store(Arc::new(Handle { engine, threads, recovery }))
    }

    /// It was opened by [`Options::open_read_only`].
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.engine().is_read_only()
    }

    /// Takes in what has become durable since a read-only store was opened or refreshed; does
    /// nothing on one that is open for writing.
    ///
    /// Costs time in proportion to what is new. Only after a merge of the writer everything is
    /// loaded anew, and both states are in memory for a moment; an iterator that is open then
    /// goes on in the new state. Otherwise iterators keep their view.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::NotAStore`] if another store has taken its place,
    /// [`Error::Io`], [`Error::Closed`]. What was served before is served on.
    pub fn refresh(&self) -> Result<()> {
        self.engine().refresh()
    }

    /// Opens or creates the store in `dir` with default [`Options`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// let store = kvcore::Store::open(dir.path().join("data"))?;
    /// assert_eq!(store.stats().keys, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Store> {
        Options::new().open(dir)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Opens a keyspace, and registers it durably the first time.
    ///
    /// One method for names and for constant [`Schema`]s; the types come from the receiver.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// use kvcore::{Error, Keyspace, Schema};
    /// const NOTES: Schema<u64, String> = Schema::new("notes").version(2);
    /// let notes = store.keyspace(NOTES)?; // types from the constant
    /// let users: Keyspace<String, u64> = store.keyspace("users")?; // types from the annotation
    /// let wrong: Result<Keyspace<u64, u64>, Error> = store.keyspace("users");
    /// assert!(matches!(wrong, Err(Error::SchemaMismatch { what: "key type", .. })));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::SchemaMismatch`] if it exists with another key type, codec, version, order or
    /// compression, [`Error::BadOption`] for a name that begins with a zero byte, and for a
    /// compressed keyspace in a build without `lz4`.
    pub fn keyspace<'a, K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        schema: impl Into<Schema<'a, K, V, C>>,
    ) -> Result<Keyspace<K, V, C>> {
        let schema = schema.into();
        let core = self.engine().keyspace(schema.meta())?;
        self.engine().set_budget(&core, schema.budget_bytes)?;
        Ok(Keyspace::new(core, Arc::clone(&self.0)))
    }

    /// One of the store's own keyspaces, whose names users cannot give.
    pub(crate) fn open_hidden<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        schema: Schema<'_, K, V, C>,
    ) -> Result<Keyspace<K, V, C>> {
        self.engine().check_open()?;
        let core = self.engine().register(schema.meta())?;
        Ok(Keyspace::new(core, Arc::clone(&self.0)))
    }

    /// The names of all keyspaces, sorted.
    #[must_use]
    pub fn keyspace_names(&self) -> Vec<String> {
        let registry = self.engine().keyspaces.read();
        let shown = registry.keys().filter(|name| !name.starts_with(HIDDEN));
        let mut names: Vec<String> = shown.cloned().collect();
        names.sort_unstable();
        names
    }

    /// An empty batch: puts and deletes in any keyspaces, committed as one.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut batch = store.batch();
    /// batch.put(&users, "ada", &36)?;
    /// batch.delete(&users, "bob")?;
    /// batch.commit()?;
    /// assert_eq!(users.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// Runs `f`, whose commits through the [`Round`] are applied one by one and written together.
    ///
    /// For a caller with many commits at hand, such as a server: one system call instead of one
    /// per commit. Each commit is atomic by itself and visible when its call returns; all of them
    /// are as durable as the store's durability says when this returns, whether `f` succeeded or
    /// not.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.commit_many(|round| {
    ///     for n in 0..1_000 {
    ///         round.put(&users, n.to_string(), &n, kvcore::Put::default())?;
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(users.len(), 1_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `f`, and those of writing and syncing.
    pub fn commit_many<T>(&self, f: impl FnOnce(&mut Round<'_>) -> Result<T>) -> Result<T> {
        self.commit_many_with(self.engine().options.durability, f)
    }

    /// The same with another durability.
    ///
    /// # Errors
    ///
    /// As [`Store::commit_many`].
    pub fn commit_many_with<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&mut Round<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut round = Round::new(self);
        let result = f(&mut round);
        let last = round.finish()?;
        if let Some(last) = last {
            self.engine().acknowledge(last, When::Now(durability))?;
        }
        result
    }

    /// The sequence of the last applied commit.
    #[must_use]
    pub fn tip_sequence(&self) -> Sequence {
        self.engine().tip()
    }

    /// Everything up to this sequence survives power loss.
    #[must_use]
    pub fn durable_sequence(&self) -> Sequence {
        self.engine().sync.durable_sequence()
    }

    /// Blocks until everything up to this sequence survives power loss.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let sequence = users.put_with("ada", &36, Durability::Buffered)?;
    /// store.wait_durable(sequence)?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if a sync failed, [`Error::BadOption`] for a sequence beyond the tip.
    pub fn wait_durable(&self, sequence: Sequence) -> Result<()> {
        self.check_sequence(sequence)?;
        self.engine().check_open()?;
        self.engine().sync_through(sequence)
    }

    /// A future that resolves when everything up to this sequence survives power loss. It blocks
    /// no thread: the store's own one syncs. More on this is in `docs/async.md`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let sequence = users.put_with("ada", &36, Durability::Buffered)?;
    /// store.durable(sequence).await?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if the sync fails, [`Error::Closed`], [`Error::BadOption`] for a
    /// sequence beyond the tip.
    pub fn durable(
        &self,
        sequence: Sequence,
    ) -> impl Future<Output = Result<()>> + Send + 'static + use<> {
        Durable { store: self.clone(), target: sequence }
    }

    fn check_sequence(&self, sequence: Sequence) -> Result<()> {
        let tip = self.tip_sequence();
        if sequence <= tip {
            return Ok(());
        }
        let what = format!("{sequence} has not been given out, the last one is {tip}");
        Err(Error::BadOption { option: "sequence", what })
    }

    /// Makes everything committed so far survive power loss.
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if the sync fails.
    pub fn sync(&self) -> Result<()> {
        self.engine().check_open()?;
        self.engine().sync_all()
    }

    /// Gives the space of all dead records back now, in this thread. Reads and writes go on. On a
    /// disk that is nearly full it gives back what it can.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::Corrupt`]; nothing has changed then.
    pub fn merge(&self) -> Result<Reclaimed> {
        let merged = self.engine().merge_all()?;
        Ok(Reclaimed { files: merged.files_in, bytes: merged.bytes_given_back() })
    }

    /// One round of what the store's threads do: expiry, hints, merge. For stores opened with
    /// [`Background::Manual`].
    ///
    /// # Errors
    ///
    /// The first error of any step; the others are done all the same.
    pub fn maintain(&self) -> Result<()> {
        self.engine().check_open()?;
        self.engine().maintain()
    }

    /// How the store was opened: what recovery found, copied and dropped.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.0.recovery
    }

    /// Figures of this moment. Walks over files and keyspaces, not over keys.
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
        let age_ms = open.since_ms.map(|since| engine.clock.now_ms().saturating_sub(since));
        stats.oldest_view_age = Duration::from_millis(age_ms.unwrap_or(0));
        stats.pinned_bytes = engine.files.pinned_bytes();
        for file in engine.files.load().iter() {
            let live_bytes = file.live_bytes.load(Ordering::Relaxed);
            stats.live_bytes += live_bytes;
            stats.dead_bytes += file.dead_bytes();
            let id = u64::from(file.id.0);
            let sealed = file.is_sealed();
            let (bytes, dead_bytes) = (file.len(), file.dead_bytes());
            stats.files.push(FileStats { id, bytes, live_bytes, dead_bytes, sealed });
        }
        stats.files.sort_by_key(|f| f.id);
        (stats.blobs, stats.blob_bytes) = engine.blobs.live();
        let counters = &engine.counters;
        stats.appended_bytes = counters.appended_bytes.load(Ordering::Relaxed);
        stats.rolls = counters.rolls.load(Ordering::Relaxed);
        stats.syncs = counters.syncs.load(Ordering::Relaxed);
        stats.sync_time = Duration::from_nanos(counters.sync_ns.load(Ordering::Relaxed));
        stats.sync_latencies = counters.sync_latencies.load();
        stats.merges = counters.merges.load(Ordering::Relaxed);
        stats.merge_read_bytes = counters.merge_read_bytes.load(Ordering::Relaxed);
        stats.merge_written_bytes = counters.merge_written_bytes.load(Ordering::Relaxed);
        stats.compressed_from_bytes = counters.compressed_from_bytes.load(Ordering::Relaxed);
        stats.compressed_to_bytes = counters.compressed_to_bytes.load(Ordering::Relaxed);
        stats.merge_reclaimed_bytes =
            stats.merge_read_bytes.saturating_sub(stats.merge_written_bytes);
        stats.expired = counters.expired.load(Ordering::Relaxed);
        stats
    }

    /// Closes the store: stops the threads, syncs, writes the hints, frees the lock. Every other
    /// handle then answers [`Error::Closed`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.close()?;
    /// assert!(matches!(users.get("ada"), Err(kvcore::Error::Closed)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] or [`Error::Io`] if the end could not be made durable; the store is
    /// closed all the same, and the next open recovers. [`Error::Nested`] from inside a
    /// transaction or `update`; it stays open then.
    pub fn close(self) -> Result<()> {
        self.0.close()
    }
}

/// The future of [`Store::durable`].
#[derive(Debug)]
pub struct Durable {
    store: Store,
    target: Sequence,
}

impl Future for Durable {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let engine = self.store.engine();
        let is_done = || engine.sync.durable_sequence() >= self.target;
        if is_done() {
            return Poll::Ready(Ok(()));
        }
        if let Err(e) = engine.check_open().and_then(|()| self.store.check_sequence(self.target)) {
            return Poll::Ready(Err(e));
        }
        if engine.options.background == Background::Manual {
            return Poll::Ready(engine.sync_through(self.target));
        }
        engine.sync.register(cx.waker());
        engine.notify(crate::engine::Task::SyncSoon);
        // Between the first look and the registration it may have come true, or failed.
        match engine.check_open() {
            Err(e) => Poll::Ready(Err(e)),
            Ok(()) if is_done() => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        }
    }
}
