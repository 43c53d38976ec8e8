//! Many commits, one write.

use super::Store;
use crate::{
    batch::Batch,
    codec::Codec,
    engine::When,
    error::{Error, Result},
    ids::Sequence,
    key::{AsKey, Key},
    keyspace::Keyspace,
    options::{Durability, Put},
};
use std::sync::Arc;

/// Commits that are applied at once and written together; see [`Store::commit_many`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Put;
/// store.commit_many(|round| {
///     round.put(&users, "ada", &36, Put::default())?;
///     assert_eq!(users.get("ada")?, Some(36)); // visible already, written at the end
///     round.put(&users, "bob", &41, Put::default())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Round<'s> {
    store: &'s Store,
    when: When,
    last: Option<Sequence>,
    /// It has waited for merge, if it had to.
    has_waited: bool,
}

impl<'s> Round<'s> {
    pub(super) fn new(store: &'s Store, durability: Durability) -> Round<'s> {
        Round { store, when: When::Later(durability), last: None, has_waited: false }
    }

    /// Waits while merge is behind, once. Deletes go on: what they add is little, and waiting
    /// would not make it less.
    fn wait_for_space(&mut self) {
        if !std::mem::replace(&mut self.has_waited, true) {
            self.store.engine().wait_for_space();
        }
    }

    /// Commits a batch. It is visible when this returns, and written at the end of the round. Its
    /// own durability, if it has one, counts for nothing: the round's does.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut both = store.batch();
    /// both.put(&users, "ada", &36)?;
    /// both.put(&users, "bob", &41)?;
    /// store.commit_many(|round| round.commit(both))?;
    /// assert_eq!(users.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Batch::commit`]; nothing of the batch is applied then.
    pub fn commit(&mut self, batch: Batch) -> Result<Sequence> {
        if !Arc::ptr_eq(&batch.store().0, &self.store.0) {
            return Err(Error::ForeignKeyspace { keyspace: "(the batch's)".to_owned() });
        }
        if !self.has_waited && batch.grows() {
            self.wait_for_space();
        }
        let sequence = batch.commit_when(self.when)?;
        self.last = Some(sequence);
        Ok(sequence)
    }

    /// Commits one put, without the allocations of a batch.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Put;
    /// use std::time::Duration;
    /// store.commit_many(|round| {
    ///     round.put(&users, "ada", &36, Put::expires_in(Duration::from_secs(60)))
    /// })?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put_with`].
    pub fn put<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
        value: &V,
        put: impl Into<Put>,
    ) -> Result<Sequence> {
        keyspace.check_store(self.store)?;
        self.wait_for_space();
        let sequence = keyspace.put_when(key, value, &put.into(), self.when)?;
        self.last = Some(sequence);
        Ok(sequence)
    }

    /// Commits one delete; false if the key was not there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let deleted = store.commit_many(|round| round.delete(&users, "ada"))?;
    /// assert!(deleted && users.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::delete`].
    pub fn delete<K: Key, V: ?Sized + 'static, C: Codec<V>>(
        &mut self,
        keyspace: &Keyspace<K, V, C>,
        key: impl AsKey<K>,
    ) -> Result<bool> {
        keyspace.check_store(self.store)?;
        let deleted = keyspace.delete_when(key, self.when)?;
        self.last = deleted.or(self.last);
        Ok(deleted.is_some())
    }

    /// Writes what the round committed.
    pub(super) fn finish(mut self) -> Result<Option<Sequence>> {
        let last = self.last.take();
        if last.is_some() {
            self.store.engine().flush()?;
        }
        Ok(last)
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        // Only after a panic in the caller's closure: what was applied must not stay unwritten.
        if self.last.is_some()
            && let Err(e) = self.store.engine().flush()
        {
            crate::trace::background_failed(&self.store.engine().dir, &e);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BytesKeyspace, error::Result};

    #[test]
    fn round_waits_for_merge_before_it_puts_and_not_before_it_deletes() -> Result<()> {
        let store = Store::in_memory()?;
        let keys: BytesKeyspace = store.keyspace("keys")?;
        keys.put(b"a", b"1")?;
        keys.put(b"b", b"1")?;
        let mut round = Round::new(&store, Durability::Buffered);
        assert!(round.delete(&keys, b"a")?);
        let mut batch = store.batch();
        batch.delete(&keys, b"b")?;
        round.commit(batch)?;
        assert!(!round.has_waited, "what only deletes");
        let mut batch = store.batch();
        batch.delete(&keys, b"a")?;
        batch.put(&keys, b"b", b"2")?;
        round.commit(batch)?;
        assert!(round.has_waited, "a batch that puts");
        let mut other = Round::new(&store, Durability::Buffered);
        other.put(&keys, b"c", b"1", Put::default())?;
        assert!(other.has_waited, "a put");
        Ok(())
    }
}
