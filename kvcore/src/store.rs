//! The handle to an open store, and what concerns the store as a whole.

use crate::{
    batch::Batch,
    codec::Codec,
    engine::{Background as Threads, Engine, KeyspaceCore, When, tasks},
    error::{Error, Result},
    ids::{KeyspaceId, Sequence},
    index::Index,
    key::Key,
    keyspace::Keyspace,
    log::{COMPRESSED, KeyspaceMeta, UNORDERED},
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
mod round;

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

impl Store {
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
    /// compression; [`Error::BadOption`] for a compressed one in a build without `lz4`.
    pub fn keyspace<'a, K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &self,
        schema: impl Into<Schema<'a, K, V, C>>,
    ) -> Result<Keyspace<K, V, C>> {
        let schema = schema.into();
        let mut key_tag = String::new();
        K::type_tag(&mut key_tag);
        let wanted = KeyspaceMeta {
            id: KeyspaceId(0),
            name: schema.name.to_owned(),
            key_tag,
            codec: C::ID.to_owned(),
            schema_version: schema.version,
            options: schema.options()?,
            type_name: std::any::type_name::<V>().to_owned(),
            dropped: false,
        };
        let core = self.engine().keyspace(wanted)?;
        Ok(Keyspace::new(core, Arc::clone(&self.0)))
    }

    /// The names of all keyspaces, sorted.
    #[must_use]
    pub fn keyspace_names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.engine().keyspaces.read().keys().cloned().collect();
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
    /// no thread: the store's own one syncs.
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

    /// Gives the space of all dead records back now, in this thread. Reads and writes go on.
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
    /// The first error of any step; the later ones are done at the next call.
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
            };
            stats.keys += figures.keys;
            stats.keydir_bytes += figures.keydir_bytes;
            stats.undo_records += k.index.undo_records();
            stats.keyspaces.push(figures);
        }
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
        stats.merges = counters.merges.load(Ordering::Relaxed);
        stats.merge_read_bytes = counters.merge_read_bytes.load(Ordering::Relaxed);
        stats.merge_written_bytes = counters.merge_written_bytes.load(Ordering::Relaxed);
        stats.compressed_from_bytes = counters.compressed_from_bytes.load(Ordering::Relaxed);
        stats.compressed_to_bytes = counters.compressed_to_bytes.load(Ordering::Relaxed);
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
    /// closed all the same, and the next open recovers.
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

impl Engine {
    /// The keyspace of this description, registered if it is new.
    fn keyspace(&self, wanted: KeyspaceMeta) -> Result<Arc<KeyspaceCore>> {
        self.check_open()?;
        if let Some(found) = self.keyspaces.read().get(&wanted.name) {
            check_schema(&found.meta, &wanted)?;
            return Ok(Arc::clone(found));
        }
        let mut registry = self.keyspaces.write();
        if let Some(found) = registry.get(&wanted.name) {
            check_schema(&found.meta, &wanted)?;
            return Ok(Arc::clone(found));
        }
        let mut meta = wanted;
        self.publish(|manifest| {
            meta.id = KeyspaceId(manifest.next_keyspace);
            manifest.next_keyspace = manifest.next_keyspace.saturating_add(1);
            manifest.keyspaces.push(meta.clone());
        })?;
        // Durable from here.
        let ordered = meta.options & UNORDERED == 0;
        let index = Arc::new(Index::new(meta.id, ordered, self.hash_key));
        let core = Arc::new(KeyspaceCore::new(meta, index));
        registry.insert(core.meta.name.clone(), Arc::clone(&core));
        Ok(core)
    }
}

fn check_schema(found: &KeyspaceMeta, wanted: &KeyspaceMeta) -> Result<()> {
    let order = |m: &KeyspaceMeta| match m.options & UNORDERED {
        0 => "ordered".to_owned(),
        _ => "unordered".to_owned(),
    };
    let compression = |m: &KeyspaceMeta| match m.options & COMPRESSED {
        0 => "none".to_owned(),
        _ => "lz4".to_owned(),
    };
    let pairs = [
        ("key type", found.key_tag.clone(), wanted.key_tag.clone()),
        ("codec", found.codec.clone(), wanted.codec.clone()),
        ("schema version", found.schema_version.to_string(), wanted.schema_version.to_string()),
        ("order", order(found), order(wanted)),
        ("compression", compression(found), compression(wanted)),
    ];
    match pairs.into_iter().find(|(_, a, b)| a != b) {
        None => Ok(()),
        Some((what, a, b)) => {
            Err(Error::SchemaMismatch { keyspace: found.name.clone(), what, found: a, wanted: b })
        }
    }
}
