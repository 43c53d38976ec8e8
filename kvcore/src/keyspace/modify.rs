//! Reading and writing one key in one step, under the writer lock.

use super::{Keyspace, Swap, check_key};
use crate::{
    codec::Codec,
    engine::{PreparedBatch, Scratch, When, WriteGuard},
    error::Result,
    ids::Sequence,
    index::State,
    key::{AsKey, Key, Position},
    log::Record,
};
use std::borrow::Borrow;

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// Replaces a key's value by what `f` makes of it; `None` deletes. Returns the new value.
    ///
    /// `f` runs once, under the writer lock: nobody writes meanwhile, and it should be short. An
    /// expiry the key had stays.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.update("visits", |n| Some(n.unwrap_or(0) + 1))?;
    /// let visits = users.update("visits", |n| Some(n.unwrap_or(0) + 1))?;
    /// assert_eq!(visits, Some(2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`] and [`Keyspace::put`]. A write from inside `f` is
    /// [`Error::Nested`](crate::Error::Nested); a panic of `f` leaves nothing.
    pub fn update(
        &self,
        key: impl AsKey<K>,
        f: impl FnOnce(Option<C::Owned>) -> Option<C::Owned>,
    ) -> Result<Option<C::Owned>> {
        self.modify(key, |old| {
            let new = f(old);
            (new.is_some().into(), new)
        })
    }

    /// The key's value; if there is none, sets it to what `f` makes, and returns that.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// assert_eq!(users.get_or_insert_with("ada", || 36)?, 36);
    /// assert_eq!(users.get_or_insert_with("ada", || unreachable!("it is there"))?, 36);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::update`].
    pub fn get_or_insert_with(
        &self,
        key: impl AsKey<K>,
        f: impl FnOnce() -> C::Owned,
    ) -> Result<C::Owned> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        if let Some(found) = self.engine().get(self.index(), &bytes, C::decode)? {
            return Ok(found);
        }
        let value = self.modify_encoded(&bytes, |old| match old {
            Some(old) => (Step::Keep, Some(old)),
            None => (Step::Put, Some(f())),
        })?;
        Ok(value.expect("both arms give a value"))
    }

    /// Sets a key's value to `new` if it is `expected`; `None` stands for an absent key.
    ///
    /// Values are compared decoded, not as bytes. An expiry the key had stays.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Swap;
    /// assert_eq!(users.compare_and_swap("ada", None, Some(&36))?, Swap::Swapped);
    /// assert_eq!(users.compare_and_swap("ada", None, Some(&37))?, Swap::Differs(Some(36)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::update`].
    pub fn compare_and_swap(
        &self,
        key: impl AsKey<K>,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<Swap<C::Owned>>
    where
        V: PartialEq,
    {
        let when = When::Now(self.engine().options.durability);
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        check_key(&bytes)?;
        let mut guard = self.engine().write_paced(when)?;
        let (state, old) = self.read_for_update(&bytes)?;
        if old.as_ref().map(|o| o.borrow()) != expected {
            return Ok(Swap::Differs(old));
        }
        let sequence = match new {
            Some(value) => self.write_back(&mut guard, &bytes, state, value, when)?,
            None if state.is_some() => self.delete_back(&mut guard, &bytes, when)?,
            None => return Ok(Swap::Swapped),
        };
        drop(guard);
        self.engine().acknowledge(sequence, when)?;
        Ok(Swap::Swapped)
    }

    /// Deletes a key and returns the value it had.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.take("ada")?, Some(36));
    /// assert_eq!(users.take("ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::update`].
    pub fn take(&self, key: impl AsKey<K>) -> Result<Option<C::Owned>> {
        self.modify(key, |old| match old {
            Some(old) => (Step::Delete, Some(old)),
            None => (Step::Keep, None),
        })
    }

    fn modify(
        &self,
        key: impl AsKey<K>,
        f: impl FnOnce(Option<C::Owned>) -> (Step, Option<C::Owned>),
    ) -> Result<Option<C::Owned>> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        self.modify_encoded(&bytes, f)
    }

    /// Reads, asks `f` what to do, and does it, in one step for everybody else.
    fn modify_encoded(
        &self,
        key: &[u8],
        f: impl FnOnce(Option<C::Owned>) -> (Step, Option<C::Owned>),
    ) -> Result<Option<C::Owned>> {
        check_key(key)?;
        let when = When::Now(self.engine().options.durability);
        let mut guard = self.engine().write_paced(when)?;
        let (state, old) = self.read_for_update(key)?;
        let (step, value) = f(old);
        let sequence = match (step, &value) {
            (Step::Put, Some(value)) => {
                self.write_back(&mut guard, key, state, value.borrow(), when)?
            }
            (Step::Delete, _) if state.is_some() => self.delete_back(&mut guard, key, when)?,
            _ => return Ok(value),
        };
        drop(guard);
        self.engine().acknowledge(sequence, when)?;
        Ok(value)
    }

    fn read_for_update(&self, key: &[u8]) -> Result<(Option<State>, Option<C::Owned>)> {
        let state = self.state_now(key);
        let old = match state {
            Some(_) => self.engine().get(self.index(), key, C::decode)?,
            None => None,
        };
        // It may have expired between the two looks.
        Ok((state.filter(|_| old.is_some()), old))
    }

    /// Writes the new value, keeping the expiry.
    fn write_back(
        &self,
        guard: &mut WriteGuard<'_>,
        key: &[u8],
        state: Option<State>,
        value: &V,
        when: When,
    ) -> Result<Sequence> {
        Scratch::with(|s| {
            self.encode_value(value, &mut s.value)?;
            let expires_at_ms = state.and_then(|s| s.expires_at_ms);
            let record = self.inner.put_record(key, &s.value, &mut s.packed, expires_at_ms)?;
            s.batch.push(&record);
            guard.commit_put(self.index(), (&record, &s.batch), self.index().hash(key), when)
        })
    }

    pub(super) fn delete_back(
        &self,
        guard: &mut WriteGuard<'_>,
        key: &[u8],
        when: When,
    ) -> Result<Sequence> {
        let mut batch = PreparedBatch::default();
        batch.push(self.index(), &Record::Tombstone { keyspace: self.index().id, key })?;
        guard.commit(&mut batch, when)
    }
}

/// What a modification does to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Put,
    Delete,
}

impl From<bool> for Step {
    fn from(has_value: bool) -> Step {
        if has_value { Step::Put } else { Step::Delete }
    }
}
