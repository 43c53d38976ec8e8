//! The handle to an open store, and what concerns the store as a whole.
//!
//! Opening is in `open`, durability in `durable`, the figures are gathered in `figures`.

#[cfg(doc)]
use crate::{Background, Error};
use crate::{
    batch::Batch,
    clock::HeldTime,
    codec::Codec,
    engine::{Background as Threads, Engine, When},
    error::Result,
    key::Key,
    keyspace::Keyspace,
    options::Durability,
    schema::Schema,
    stats::Recovery,
};
use std::{fmt, sync::Arc};

mod close;
mod durable;
mod figures;
mod migrate;
mod open;
mod registry;
mod round;
mod short_lived;

pub use durable::Durable;
pub use migrate::MigrationProgress;
pub(crate) use registry::HIDDEN;
pub use round::Round;

/// An open store. Clones are handles to the same one; the last one to go closes it.
///
/// All methods may be called from any thread. Reads never wait for merges, and wait for writers
/// only while one applies a commit to the same part of the keydir.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// use kvcore::{Keyspace, Store};
/// let store = Store::open(dir.path())?;
/// let other = store.clone(); // the same store
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// assert_eq!(other.stats().keys, 1);
/// # store.close()
/// # }
/// ```
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
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Durability;
/// for n in 0..1_000 {
///     users.put_with("ada", &n, Durability::Buffered)?;
/// }
/// let reclaimed = store.merge()?;
/// println!("{} files and {} bytes less", reclaimed.files, reclaimed.bytes);
/// assert!(reclaimed.bytes > 10_000);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reclaimed {
    /// Data files that are gone.
    pub files: u64,
    /// Bytes of data files less than before.
    pub bytes: u64,
}

impl Store {
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
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// assert_eq!(store.keyspace_names(), ["users"]);
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Durability, Put};
    /// store.commit_many_with(Durability::Buffered, |round| {
    ///     round.put(&users, "ada", &36, Put::default())?;
    ///     round.delete(&users, "bob").map(drop)
    /// })?;
    /// assert_eq!(users.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::commit_many`].
    pub fn commit_many_with<T>(
        &self,
        durability: Durability,
        f: impl FnOnce(&mut Round<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut round = Round::new(self, durability);
        let result = f(&mut round);
        let last = round.finish()?;
        if let Some(last) = last {
            self.engine().acknowledge(last, When::Now(durability))?;
        }
        result
    }

    /// Makes the store's time stand still for this thread, until what is returned is dropped: what
    /// expires meanwhile is there to the end, so several reads agree on it, and what is put to
    /// live for a while lives from here. Other threads are not concerned. The time of one store is
    /// held at once; holding that of another one in between interrupts it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Keyspace, Options, Put, clock::SimClock};
    /// use std::{sync::Arc, time::Duration};
    /// let clock = SimClock::new(1_000_000);
    /// let store = Options::new().clock(Arc::new(clock.clone())).in_memory().open("data")?;
    /// let sessions: Keyspace<String, u64> = store.keyspace("sessions")?;
    /// sessions.put_with("ada", &36, Put::expires_in(Duration::from_secs(60)))?;
    /// let held = store.hold_time();
    /// clock.advance(Duration::from_secs(60));
    /// assert!(sessions.contains("ada")?);
    /// drop(held);
    /// assert!(!sessions.contains("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "time goes on when this is dropped"]
    pub fn hold_time(&self) -> HeldTime<'_> {
        self.engine().clock.hold()
    }

    /// Gives the space of all dead records back now, in this thread. Reads and writes go on. On a
    /// disk that is nearly full it gives back what it can.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// for n in 0..1_000 {
    ///     users.put_with("ada", &n, Durability::Buffered)?;
    /// }
    /// assert!(store.merge()?.bytes > 10_000); // 999 old values
    /// assert_eq!(users.get("ada")?, Some(999));
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Background, Keyspace, Options, Put};
    /// use std::time::Duration;
    /// let store = Options::new().background(Background::Manual).in_memory().open("data")?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put_with("ada", &36, Put::expires_in(Duration::ZERO))?;
    /// assert_eq!(users.len(), 1); // expired, and not removed yet
    /// store.maintain()?;
    /// assert_eq!(users.len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first error of any step; the others are done all the same.
    pub fn maintain(&self) -> Result<()> {
        self.engine().check_open()?;
        self.engine().maintain()
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
