//! How transactions are run: under the writer lock, or optimistically and compared at the end.

use super::{Transaction, reads::Reads};
use crate::{
    engine::{When, WriteGuard},
    error::{Error, Result},
    ids::Sequence,
    store::Store,
};

/// So often an optimistic transaction is run without the lock before it is run with it.
const OPTIMISTIC_TRIES: u32 = 8;

impl Store {
    /// Runs `f` as a transaction: everything it reads and writes happens at one moment for
    /// everybody else, and all of it or nothing.
    ///
    /// `f` runs once, under the writer lock, so it should be short: readers go on, other writers
    /// wait. Transactions are serializable: what `f` has read, keys that were absent and gaps of
    /// ranges included, is true when it commits. If `f` returns an error or panics, nothing has
    /// happened; [`Error::abort`] makes an error of one's own. With [`Durability::Immediate`] the
    /// lock is released before the sync, which all transactions that wait share. A transaction
    /// without writes commits nothing.
    ///
    /// [`Durability::Immediate`]: crate::Durability::Immediate
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Error;
    /// let visits = store.transaction(|tx| {
    ///     let visits = tx.get(&users, "ada")?.unwrap_or(0) + 1;
    ///     tx.put(&users, "ada", &visits)?;
    ///     Ok(visits)
    /// })?;
    /// assert_eq!(visits, 1);
    /// let refused: Result<(), Error> = store.transaction(|tx| {
    ///     tx.delete(&users, "ada")?;
    ///     Err(Error::abort("not today"))
    /// });
    /// assert!(matches!(refused, Err(Error::Aborted(_))));
    /// assert!(users.contains("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `f`, and those of [`Batch::commit`](crate::Batch::commit). [`Error::Nested`] from
    /// inside the closure of another transaction or `update` of this store and thread, and for
    /// every write from inside `f` that does not go through the transaction. (Waiting inside `f`
    /// for another thread that writes is a deadlock that nobody notices.)
    pub fn transaction<T>(&self, f: impl FnOnce(&mut Transaction<'_>) -> Result<T>) -> Result<T> {
        self.try_transaction(f)
    }

    /// The same for a closure with an error type of its own.
    ///
    /// ```
    /// #[derive(Debug)]
    /// enum Poor {
    ///     Store(kvcore::Error),
    ///     Broke,
    /// }
    /// impl From<kvcore::Error> for Poor {
    ///     fn from(e: kvcore::Error) -> Poor {
    ///         Poor::Store(e)
    ///     }
    /// }
    /// # fn main() -> Result<(), Poor> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let result = store.try_transaction(|tx| match tx.get(&users, "ada")? {
    ///     None => Err(Poor::Broke),
    ///     Some(money) => Ok(money),
    /// });
    /// assert!(matches!(result, Err(Poor::Broke)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::transaction`].
    pub fn try_transaction<T, E: From<Error>>(
        &self,
        f: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let when = When::Now(self.engine().options.durability);
        let guard = self.engine().write_paced(when)?;
        let mut tx = Transaction::new(self, None);
        let value = f(&mut tx)?;
        self.commit_transaction(guard, tx)?;
        Ok(value)
    }

    fn commit_transaction(&self, mut guard: WriteGuard<'_>, tx: Transaction<'_>) -> Result<()> {
        let engine = self.engine();
        // A sync may have failed, or the store been closed, while the closure ran.
        engine.check_open()?;
        if tx.own.is_empty() {
            return Ok(());
        }
        let mut batch = tx.prepare()?;
        let when = When::Now(tx.durability);
        // Closed before the commit, or the commit would keep undo for it.
        drop(tx);
        let sequence = guard.commit(&mut batch.take(), when)?;
        drop(guard);
        engine.acknowledge(sequence, when)
    }

    /// Runs `f` as a transaction without keeping other writers out meanwhile, and again if they
    /// have changed what it read.
    ///
    /// For closures that read much or take long. `f` reads from a view, and every key, range and
    /// count it asks for is noted; at the end, under the writer lock, the transaction commits if
    /// nothing of that has changed since the view, and starts again otherwise. After a few
    /// conflicts (8) it is run under the lock, so it always ends. `f` may run several times, so
    /// it should do nothing but read and write through the transaction. An iterator that is
    /// dropped early has read only what it gave. Without writes nothing is compared: a view is
    /// consistent by itself. Serializable as [`Store::transaction`] is.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Keyspace;
    /// let totals: Keyspace<String, u64> = store.keyspace("totals")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let sum = store.optimistic_transaction(|tx| {
    ///     let mut sum = 0;
    ///     for entry in tx.range(&users, ..) {
    ///         sum += entry?.value()?;
    ///     }
    ///     tx.put(&totals, "age", &sum)?;
    ///     Ok(sum)
    /// })?;
    /// assert_eq!(sum, 77);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::transaction`]. An error of `f` ends it at once.
    pub fn optimistic_transaction<T>(
        &self,
        f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        self.try_optimistic_transaction(f)
    }

    /// The same for a closure with an error type of its own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// #[derive(Debug)]
    /// struct Failed;
    /// impl From<kvcore::Error> for Failed {
    ///     fn from(_: kvcore::Error) -> Failed {
    ///         Failed
    ///     }
    /// }
    /// let failed: Result<(), Failed> = store.try_optimistic_transaction(|_| Err(Failed));
    /// assert!(failed.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Store::optimistic_transaction`].
    pub fn try_optimistic_transaction<T, E: From<Error>>(
        &self,
        mut f: impl FnMut(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        for _ in 0..OPTIMISTIC_TRIES {
            let mut tx = Transaction::new(self, Some(Reads::default()));
            let value = {
                let _writes_are_nested = self.engine().enter_closure()?;
                f(&mut tx)?
            };
            if self.commit_unchanged(tx)? {
                return Ok(value);
            }
        }
        self.try_transaction(f)
    }

    /// Commits if nothing that was read has changed; else nothing has happened, and false.
    fn commit_unchanged(&self, tx: Transaction<'_>) -> Result<bool> {
        let engine = self.engine();
        if tx.own.is_empty() {
            return engine.check_open().map(|()| true);
        }
        // Large values are written before the lock is taken.
        let mut batch = tx.prepare()?;
        let when = When::Now(tx.durability);
        let mut guard = engine.write_paced(when)?;
        let view: Sequence = tx.view.sequence;
        if tx.reads.as_ref().is_some_and(|reads| reads.borrow().have_changed(view)) {
            return Ok(false);
        }
        drop(tx);
        let sequence = guard.commit(&mut batch.take(), when)?;
        drop(guard);
        engine.acknowledge(sequence, when)?;
        Ok(true)
    }
}
