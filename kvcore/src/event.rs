//! What a watcher or a change feed tells of one record, in the types of a keyspace.
//!
//! Knows decoded keys and values. Does not know where they come from, nor in which order.

use crate::key::EncodedRange;
use std::time::SystemTime;

/// What happened to a key, or to a range of keys, of one keyspace.
///
/// A value of this type says everything that is needed to do the same in another keyspace, except
/// for the expiry that a put came with, which is beside it.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Batch, Event, Keyspace, Result, Store};
/// type Users = Keyspace<String, u64>;
///
/// /// Does in another keyspace what happened in the first one.
/// fn apply(batch: &mut Batch, to: &Users, event: Event<String, u64>) -> Result<()> {
///     match event {
///         Event::Put { key, value } => batch.put(to, key, &value),
///         Event::Delete { key } => batch.delete(to, key),
///         Event::DeleteRange { range } => batch.delete_range(to, range),
///         Event::Expire { key, expires_at: Some(at) } => batch.expire(to, key, at),
///         Event::Expire { key, expires_at: None } => batch.persist(to, key),
///         other => panic!("{other:?} is from a newer version"),
///     }
/// }
///
/// # let store = Store::in_memory()?;
/// # let users: Keyspace<String, u64> = store.keyspace("users")?;
/// let mut batch = store.batch();
/// apply(&mut batch, &users, Event::Put { key: "ada".to_owned(), value: 36 })?;
/// batch.commit()?;
/// assert_eq!(users.get("ada")?, Some(36));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<K, T> {
    /// The key has this value from here on. What expiry it had before is gone.
    Put {
        /// The key.
        key: K,
        /// Its value.
        value: T,
    },
    /// The key is gone: deleted, expired and removed, or evicted.
    Delete {
        /// The key.
        key: K,
    },
    /// All keys in the range are gone; with both ends unbounded, all of the keyspace.
    ///
    /// The bounds are encoded, since not every bound is a key: a prefix of one may be. As a
    /// [`KeyRange`](crate::KeyRange) it goes where any other range goes, in keyspaces of the same
    /// key type.
    DeleteRange {
        /// Which keys.
        range: EncodedRange,
    },
    /// The key expires at another time; its value stays.
    Expire {
        /// The key.
        key: K,
        /// When it does; `None`: never.
        expires_at: Option<SystemTime>,
    },
}

impl<K, T> Event<K, T> {
    /// The one key it is about; `None` for a range.
    ///
    /// ```
    /// use kvcore::Event;
    /// let event: Event<u64, ()> = Event::Delete { key: 7 };
    /// assert_eq!(event.key(), Some(&7));
    /// ```
    pub fn key(&self) -> Option<&K> {
        match self {
            Event::Put { key, .. } | Event::Delete { key } | Event::Expire { key, .. } => Some(key),
            Event::DeleteRange { .. } => None,
        }
    }
}
