//! Expired entries that their owner removes.

use super::Keyspace;
use crate::{
    batch::Batch,
    codec::Codec,
    engine::{PreparedBatch, Scratch, When, WriteGuard},
    error::{Error, Result},
    ids::Sequence,
    index::State,
    iter::Entry,
    key::{AsKey, Key, Position},
    log::Record,
};
use std::sync::Arc;

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Up to `limit` entries whose time has come and that are not removed yet, in no particular
    /// order; their values can still be read. Nothing is removed.
    ///
    /// For keyspaces that are [`expired_by_owner`](crate::Schema::expired_by_owner); in others the
    /// store removes such entries by itself. None are given for a while after the clock has jumped
    /// forward by more than an hour, since it may be wrong.
    ///
    /// An entry may be written again between this call and a delete that follows it: where others
    /// write to the keyspace meanwhile, [`Keyspace::remove_expired`] does both in one step.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{Put, Schema};
    /// use std::time::Duration;
    /// const SESSIONS: Schema<u64, String> = Schema::new("sessions").expired_by_owner();
    /// let sessions = store.keyspace(SESSIONS)?;
    /// sessions.put_with(7, &"ada".to_owned(), Put::expires_in(Duration::ZERO))?;
    /// let expired = sessions.expired(100)?;
    /// assert_eq!((*expired[0].key(), expired[0].value()?), (7, "ada".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a key, [`Error::Closed`], [`Error::Poisoned`].
    pub fn expired(&self, limit: usize) -> Result<Vec<Entry<K, V, C>>> {
        self.engine().check_open()?;
        let Some(now_ms) = self.engine().removal_time_ms() else { return Ok(Vec::new()) };
        let due = self.due(now_ms, limit);
        due.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The entry of a key, whether or not its time has come: what there is to remove together with
    /// what belongs to it. Its value is read when asked for.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// use kvcore::{Put, Schema};
    /// use std::time::Duration;
    /// const SESSIONS: Schema<u64, String> = Schema::new("sessions").expired_by_owner();
    /// let sessions = store.keyspace(SESSIONS)?;
    /// sessions.put_with(7, &"ada".to_owned(), Put::expires_in(Duration::ZERO))?;
    /// assert_eq!(sessions.get(7)?, None);
    /// assert_eq!(sessions.stored(7)?.expect("not removed yet").value()?, "ada");
    /// assert!(sessions.stored_size_bytes(7)?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::expired`].
    pub fn stored(&self, key: impl AsKey<K>) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        let (index, engine) = (self.index(), self.engine());
        let hash = index.hash(&bytes);
        self.entry(|| index.find(&bytes, hash, |state| engine.item(&bytes, state)).flatten())
    }

    /// Length of a key's stored value in bytes, whether or not its time has come; 4 GiB − 1 stands
    /// for all that is longer. Reads nothing but memory.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Background, BytesKeyspace, Options, Put};
    /// use std::time::Duration;
    /// let store = Options::new().background(Background::Manual).in_memory().open("/store")?;
    /// let notes: BytesKeyspace = store.keyspace("notes")?;
    /// notes.put_with(b"a", b"text", Put::expires_in(Duration::ZERO))?;
    /// assert_eq!((notes.get(b"a")?, notes.stored_size_bytes(b"a")?), (None, Some(4)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn stored_size_bytes(&self, key: impl AsKey<K>) -> Result<Option<u64>> {
        self.engine().check_open()?;
        Ok(Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            let state = self.index().state(&s.key, self.index().hash(&s.key))?;
            Some(u64::from(state.entry.value_len))
        }))
    }

    /// Removes up to `limit` entries whose time has come, each together with what `f` adds to the
    /// batch for it, in one commit. Returns how many were removed.
    ///
    /// `f` runs under the writer lock: nobody writes meanwhile, and it should be short. It may read
    /// anything; [`Entry::value`] is the value that has expired.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Keyspace, Put, Schema, Store};
    /// use std::time::Duration;
    /// const SESSIONS: Schema<u64, String> = Schema::new("sessions").expired_by_owner();
    /// let store = Store::in_memory()?;
    /// let sessions = store.keyspace(SESSIONS)?;
    /// let by_user: Keyspace<(String, u64), ()> = store.keyspace("sessions by user")?;
    /// sessions.put_with(7, &"ada".to_owned(), Put::expires_in(Duration::ZERO))?;
    /// by_user.put(("ada", 7), &())?;
    /// assert_eq!(sessions.get(7)?, None); // expired, but still there for its owner
    /// let removed = sessions.remove_expired(100, |batch, session| {
    ///     batch.delete(&by_user, (session.value()?, *session.key()))
    /// })?;
    /// assert_eq!((removed, by_user.len()), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `f`, and as [`Batch::commit`]; nothing is removed then.
    pub fn remove_expired(
        &self,
        limit: usize,
        mut f: impl FnMut(&mut Batch, &Entry<K, V, C>) -> Result<()>,
    ) -> Result<usize> {
        let when = When::Now(self.engine().options.durability);
        let mut guard = self.engine().write_paced(when)?;
        let Some(now_ms) = self.engine().removal_time_ms() else { return Ok(0) };
        let mut batch = self.store().batch();
        let due = self.due(now_ms, limit);
        let removed = due.len();
        for (key, entry) in due {
            let tombstone = Record::Tombstone { keyspace: self.index().id, key: &key };
            batch.prepared_mut().push(self.index(), &tombstone)?;
            f(&mut batch, &entry?)?;
        }
        let sequence = self.commit_in(&mut guard, batch, when)?;
        drop(guard);
        if let Some(sequence) = sequence {
            self.engine().acknowledge(sequence, when)?;
        }
        Ok(removed)
    }

    /// Commits a batch that may have been replaced by one of another store.
    fn commit_in(
        &self,
        guard: &mut WriteGuard<'_>,
        mut batch: Batch,
        when: When,
    ) -> Result<Option<Sequence>> {
        if !Arc::ptr_eq(&batch.store().0, &self.store().0) {
            return Err(Error::ForeignKeyspace { keyspace: self.name().to_owned() });
        }
        if batch.is_empty() {
            return Ok(None);
        }
        let sequence = guard.commit(batch.prepared_mut(), when)?;
        *batch.prepared_mut() = PreparedBatch::default();
        Ok(Some(sequence))
    }

    /// Entries that are due, by their keys' bytes.
    #[expect(clippy::type_complexity, reason = "pairs of one thing, nothing to name")]
    fn due(&self, now_ms: u64, limit: usize) -> Vec<(Vec<u8>, Result<Entry<K, V, C>>)> {
        let index = self.index();
        // Entries in blobs keep it, so that no blob is unlinked before its value is read.
        let view = Arc::new(self.engine().views.open(now_ms));
        let entry = |key: Vec<u8>| {
            // Looked at again: it may have been written meanwhile.
            let is_due = |state: &State| !state.is_alive(|| now_ms);
            let item = index.find(&key, index.hash(&key), |state| {
                is_due(&state).then(|| self.engine().item(&key, state)).flatten()
            });
            let entry = Entry::new(item.flatten()?, &self.inner, Some(&view));
            Some((key, entry))
        };
        index.due(now_ms, limit).into_iter().filter_map(entry).collect()
    }
}
