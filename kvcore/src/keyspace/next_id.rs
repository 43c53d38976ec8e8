//! Numbers that are given out once.
//!
//! The last one of each keyspace is kept in a keyspace of the store's own, under the keyspace's
//! number, which is never reused.

use super::Keyspace;
use crate::{
    codec::{Codec, Raw},
    error::{Error, Result},
    ids::KeyspaceId,
    key::Key,
    schema::Schema,
    store::Store,
    transaction::Transaction,
};

/// Names that begin with a zero byte are the store's own.
const COUNTERS: Schema<'static, u32, [u8], Raw> = Schema::new("\0ids").unordered();

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// The next number of this keyspace: 1, 2, 3, … Never given out twice, and as durable as a
    /// put when it returns.
    ///
    /// It is a commit of its own: who crashes between it and using the number leaves a gap. With
    /// [`Transaction::next_id`] there are none. Clearing the keyspace does not start it again.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// let jobs: kvcore::Keyspace<u64, String> = store.keyspace("jobs")?;
    /// assert_eq!(jobs.next_id()?, 1);
    /// assert_eq!(jobs.next_id()?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`], and [`Error::Exhausted`].
    pub fn next_id(&self) -> Result<u64> {
        self.store().transaction(|tx| tx.next_id(self))
    }

    /// The last number given out; 0 before the first.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let jobs: kvcore::Keyspace<u64, String> = store.keyspace("jobs")?;
    /// assert_eq!(jobs.last_id()?, 0);
    /// assert_eq!(jobs.next_id()?, 1);
    /// assert_eq!(jobs.last_id()?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`].
    pub fn last_id(&self) -> Result<u64> {
        self.store().last_id_of(self.index().id)
    }

    /// Gives out only numbers above this one from now on: for entries that bring their numbers from
    /// elsewhere. Does nothing if they are reached already.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let jobs: kvcore::Keyspace<u64, String> = store.keyspace("jobs")?;
    /// jobs.put(41, &"brought from another store".to_owned())?;
    /// jobs.skip_ids(41)?;
    /// assert_eq!(jobs.next_id()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn skip_ids(&self, through: u64) -> Result<()> {
        if self.last_id()? >= through {
            return Ok(());
        }
        self.store().transaction(|tx| {
            let (counters, id) = (self.store().counters()?, self.index().id.0);
            let last = last_of(tx.get(&counters, id)?.as_deref())?;
            tx.put(&counters, id, &last.max(through).to_le_bytes())
        })
    }
}

/// The number that is stored.
fn last_of(bytes: Option<&[u8]>) -> Result<u64> {
    let wrong = |_| Error::Decode { source: "the last number is not 8 bytes long".into() };
    bytes.map_or(Ok(0), |bytes| bytes.try_into().map(u64::from_le_bytes).map_err(wrong))
}

impl Transaction<'_> {
    /// The next number of a keyspace, given out if this transaction commits: 1, 2, 3, … without
    /// gaps, whatever fails, if every number is used in the transaction that took it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// let jobs: kvcore::Keyspace<u64, String> = store.keyspace("jobs")?;
    /// let id = store.transaction(|tx| {
    ///     let id = tx.next_id(&jobs)?;
    ///     tx.put(&jobs, id, &"resize a picture".to_owned())?;
    ///     Ok(id)
    /// })?;
    /// assert_eq!(id, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Transaction::get`] and [`Transaction::put`], and [`Error::Exhausted`].
    pub fn next_id<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
    ) -> Result<u64> {
        keyspace.check_store(self.store())?;
        if let Some(keyspace) = keyspace.index().frozen_name() {
            return Err(Error::KeyspaceGone { keyspace });
        }
        let counters = self.store().counters()?;
        let id = keyspace.index().id.0;
        let last = last_of(self.get(&counters, id)?.as_deref())?;
        let next = last.checked_add(1).ok_or(Error::Exhausted { what: "ids of a keyspace" })?;
        self.put(&counters, id, &next.to_le_bytes())?;
        Ok(next)
    }
}

impl Store {
    fn counters(&self) -> Result<Keyspace<u32, [u8], Raw>> {
        self.open_hidden(COUNTERS)
    }

    pub(crate) fn last_id_of(&self, id: KeyspaceId) -> Result<u64> {
        self.engine().check_open()?;
        // A store that may not be written to has none if it has none.
        if !self.engine().keyspaces.read().contains_key(COUNTERS.name) {
            return Ok(0);
        }
        last_of(self.counters()?.get(id.0)?.as_deref())
    }

    /// A keyspace goes on with the numbers of another, which is frozen.
    pub(crate) fn inherit_ids(&self, new: KeyspaceId, old: KeyspaceId) -> Result<()> {
        let last = self.last_id_of(old)?;
        if last == 0 {
            return Ok(());
        }
        self.transaction(|tx| {
            let (counters, last) = (self.counters()?, last.to_le_bytes());
            tx.put(&counters, new.0, &last)?;
            // Optimistic transactions that have read this before have to look again, and find the
            // keyspace gone.
            tx.put(&counters, old.0, &last)
        })
    }
}
