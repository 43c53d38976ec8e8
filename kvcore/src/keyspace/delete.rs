//! Deleting keys, ranges of them, and all.

use super::{Keyspace, check_key};
#[cfg(doc)]
use crate::Error;
use crate::{
    batch::borrow,
    codec::Codec,
    engine::{PreparedBatch, Scratch, When},
    error::Result,
    ids::Sequence,
    index::State,
    key::{AsKey, Key, KeyRange, Position},
    log::Record,
};

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Deletes a key; false, and nothing written, if it was not there.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert!(users.delete("ada")?);
    /// assert!(!users.delete("ada")?); // it was gone already
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn delete(&self, key: impl AsKey<K>) -> Result<bool> {
        let when = When::Now(self.engine().options.durability);
        match self.delete_when(key, when)? {
            None => Ok(false),
            Some(sequence) => {
                self.engine().acknowledge(sequence, when)?;
                Ok(true)
            }
        }
    }

    pub(crate) fn delete_when(&self, key: impl AsKey<K>, when: When) -> Result<Option<Sequence>> {
        Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            let hash = self.index().hash(&s.key);
            let mut guard = self.engine().write_paced(when)?;
            let found = self.index().find_entry(&s.key, hash);
            let is_alive = |state: &State| state.is_alive(|| self.engine().clock.now_ms());
            let Some((entry, _)) = found.filter(|(_, state)| is_alive(state)) else {
                return Ok(None);
            };
            s.batch.push(&Record::Tombstone { keyspace: self.index().id, key: &s.key });
            let found = (hash, entry);
            guard.commit_delete(self.index(), (&s.key, &s.batch), found, when).map(Some)
        })
    }

    /// Deletes all keys. One record, whatever their number; memory is freed in the background.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// for n in 0..1_000 {
    ///     users.put(n.to_string(), &n)?;
    /// }
    /// users.clear()?;
    /// assert!(users.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn clear(&self) -> Result<Sequence> {
        self.delete_range(..)
    }

    /// Deletes all keys in a range. One record, whatever their number.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// let events: kvcore::Keyspace<(u64, String), ()> = store.keyspace("events")?;
    /// events.put((1, "old"), &())?;
    /// events.put((9, "new"), &())?;
    /// events.delete_range(..(5, ""))?;
    /// assert_eq!(events.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`], and [`Error::Unordered`].
    pub fn delete_range(&self, range: impl KeyRange<K>) -> Result<Sequence> {
        let when = When::Now(self.engine().options.durability);
        let range = range.encode_range();
        self.check_range(&range, "delete_range")?;
        let mut batch = PreparedBatch::default();
        if !range.is_empty() {
            let (start, end) = (borrow(&range.start), borrow(&range.end));
            let keyspace = self.index().id;
            batch.push(self.index(), &Record::RangeTombstone { keyspace, start, end })?;
        }
        self.engine().commit(&mut batch, when)
    }
}
