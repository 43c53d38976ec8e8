//! Numbers that are given out once.
//!
//! The last one of each keyspace is kept in a keyspace of the store's own, under the keyspace's
//! number, which is never reused.

use super::Keyspace;
use crate::{
    codec::{Codec, Raw},
    error::{Error, Result},
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
        let counters = self.store().counters()?;
        let id = keyspace.index().id.0;
        let last = match self.get(&counters, id)? {
            None => 0,
            Some(bytes) => u64::from_le_bytes(bytes.as_ref().try_into().map_err(|_| {
                Error::Decode { source: "the last number is not 8 bytes long".into() }
            })?),
        };
        let next = last.checked_add(1).ok_or(Error::Exhausted { what: "ids of a keyspace" })?;
        self.put(&counters, id, &next.to_le_bytes())?;
        Ok(next)
    }
}

impl Store {
    fn counters(&self) -> Result<Keyspace<u32, [u8], Raw>> {
        self.open_hidden(COUNTERS)
    }
}
