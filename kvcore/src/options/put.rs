//! The options of one put, and times as the log keeps them.

use super::Durability;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Options of one put: when the entry expires, and how durable the commit is.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::{Durability, Put};
/// use std::time::Duration;
/// let put = Put::expires_in(Duration::from_secs(60)).with_durability(Durability::Buffered);
/// users.put_with("ada", &36, put)?;
/// assert!(users.expires_at("ada")?.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Put {
    pub(crate) expires: Option<Expires>,
    pub(crate) durability: Option<Durability>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expires {
    In(Duration),
    AtMs(u64),
}

impl Put {
    /// The entry disappears after this time, by the store's clock.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Put;
    /// use std::time::Duration;
    /// users.put_with("ada", &36, Put::expires_in(Duration::ZERO))?;
    /// assert_eq!(users.get("ada")?, None); // has expired already
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires_in(d: Duration) -> Put {
        Put { expires: Some(Expires::In(d)), durability: None }
    }

    /// The entry disappears at this time. A time in the past makes it disappear at once.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Put;
    /// use std::time::{Duration, SystemTime};
    /// let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    /// users.put_with("ada", &36, Put::expires_at(tomorrow))?;
    /// assert!(users.expires_at("ada")?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn expires_at(t: SystemTime) -> Put {
        Put { expires: Some(Expires::AtMs(unix_ms(t))), durability: None }
    }

    /// The same with another durability than the store's.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Durability, Put};
    /// use std::time::Duration;
    /// let minute = Put::expires_in(Duration::from_secs(60));
    /// let session = minute.with_durability(Durability::Buffered);
    /// users.put_with("ada", &36, session)?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Put {
        self.durability = Some(durability);
        self
    }

    pub(crate) fn at_ms(ms: u64) -> Put {
        Put { expires: Some(Expires::AtMs(ms)), durability: None }
    }

    pub(crate) fn expires_at_ms(&self, now_ms: impl FnOnce() -> u64) -> Option<u64> {
        self.expires.map(|e| match e {
            Expires::AtMs(ms) => ms,
            Expires::In(d) => {
                now_ms().saturating_add(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
            }
        })
    }
}

impl From<Durability> for Put {
    fn from(durability: Durability) -> Put {
        Put { expires: None, durability: Some(durability) }
    }
}

/// Milliseconds since the epoch; times before it count as the epoch.
pub(crate) fn unix_ms(t: SystemTime) -> u64 {
    t.duration_since(UNIX_EPOCH).map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn system_time(ms: u64) -> SystemTime {
    // A time that the platform cannot name is as good as its latest.
    let mut d = Duration::from_millis(ms);
    loop {
        if let Some(t) = UNIX_EPOCH.checked_add(d) {
            return t;
        }
        d /= 2;
    }
}
