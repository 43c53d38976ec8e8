//! Opening a store: for writing, or read-only beside a writer.

use super::{Handle, Store};
#[cfg(doc)]
use crate::Error;
use crate::{
    engine::{Background as Threads, Engine, tasks},
    error::Result,
    options::{Background, Options},
    recovery,
    stats::Recovery,
};
use std::{path::Path, sync::Arc};

impl Options {
    /// Opens the store in `dir`, and creates it if the directory is missing or empty.
    ///
    /// Costs time in proportion to the number of keys: see [`Options::on_recovery`]. After an
    /// unclean end, what was not known to be durable is copied into new files first.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Durability, Error, Options};
    /// let options = Options::new().durability(Durability::Buffered);
    /// let store = options.clone().open(dir.path().join("data"))?; // made if need be
    /// let second = options.open(dir.path().join("data"));
    /// assert!(matches!(second, Err(Error::Locked { .. })));
    /// # store.close()
    /// # }
    /// ```
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

    pub(crate) fn read_only(engine: Engine, recovery: Recovery) -> Store {
        let (engine, threads) = (Arc::new(engine), Threads::default());
        Store(Arc::new(Handle { engine, threads, recovery }))
    }

    /// It was opened by [`Options::open_read_only`].
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Options, Store};
    /// let writer = Store::open(dir.path())?;
    /// let reader = Options::new().open_read_only(dir.path())?;
    /// assert!(reader.is_read_only() && !writer.is_read_only());
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Keyspace, Options, Store};
    /// let writer = Store::open(dir.path())?;
    /// let users: Keyspace<String, u64> = writer.keyspace("users")?;
    /// let reader = Options::new().open_read_only(dir.path())?;
    /// let seen: Keyspace<String, u64> = reader.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?; // says that "ada" is durable
    /// reader.refresh()?;
    /// assert_eq!(seen.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`], [`Error::NotAStore`] if another store has taken its place,
    /// [`Error::Io`], [`Error::Closed`]. What was served before is served on.
    pub fn refresh(&self) -> Result<()> {
        self.engine().refresh()
    }
}
