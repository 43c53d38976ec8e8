//! When keys expire: asking, setting, sliding.

use super::{Keyspace, check_key};
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    engine::{PreparedBatch, Scratch, When},
    error::Result,
    index::NEVER_MS,
    key::{AsKey, Key, Position},
    options::{system_time, unix_ms},
};
use std::time::{Duration, SystemTime};

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// When the key expires; `None` if it is absent or does not.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::{Duration, SystemTime};
    /// users.put_with("ada", &36, kvcore::Put::expires_in(Duration::from_secs(60)))?;
    /// let at = users.expires_at("ada")?.expect("it has an expiry");
    /// assert!(at > SystemTime::now());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`].
    pub fn expires_at(&self, key: impl AsKey<K>) -> Result<Option<SystemTime>> {
        self.engine().check_open()?;
        let at_ms = self.live_state(key).and_then(|s| s.expires_at_ms);
        Ok(at_ms.filter(|ms| *ms != NEVER_MS).map(system_time))
    }

    /// Makes the key expire at this time; false if it is not there. Costs a small record, whatever
    /// the value's size.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::SystemTime;
    /// users.put("ada", &36)?;
    /// assert!(users.expire("ada", SystemTime::UNIX_EPOCH)?); // in the past: at once
    /// assert!(!users.contains("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn expire(&self, key: impl AsKey<K>, at: SystemTime) -> Result<bool> {
        self.change_expiry(key, Some(unix_ms(at)))
    }

    /// Lets a key live for this long from now; false if it is not there.
    ///
    /// Costs a record of about 50 bytes and the key, whatever the value's size; merge keeps only
    /// the latest. [`Keyspace::expire`] names a moment instead.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let sessions: kvcore::Keyspace<String, u64> = store.keyspace("sessions")?;
    /// use std::time::Duration;
    /// sessions.put("ada", &36)?;
    /// assert!(sessions.touch("ada", Duration::from_secs(60))?);
    /// assert!(sessions.expires_at("ada")?.is_some());
    /// assert!(!sessions.touch("bob", Duration::from_secs(60))?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn touch(&self, key: impl AsKey<K>, ttl: Duration) -> Result<bool> {
        self.change_expiry(key, Some(self.after_ms(ttl)))
    }

    /// A key's value, and lets it live for this long from now, in one step.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let sessions: kvcore::Keyspace<String, u64> = store.keyspace("sessions")?;
    /// use kvcore::Put;
    /// use std::time::Duration;
    /// const HALF_HOUR: Duration = Duration::from_secs(1_800);
    /// sessions.put_with("ada", &36, Put::expires_in(HALF_HOUR))?;
    /// assert_eq!(sessions.get_and_touch("ada", HALF_HOUR)?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::get`] and [`Keyspace::put`]; after an error the expiry is as it was, except
    /// that after a failed sync (`Poisoned`) it is unknown which of the two survives.
    pub fn get_and_touch(&self, key: impl AsKey<K>, ttl: Duration) -> Result<Option<C::Owned>> {
        let mut bytes = Vec::new();
        key.encode_key(&mut bytes, Position::Last);
        check_key(&bytes)?;
        let when = When::Now(self.engine().options.durability);
        let mut guard = self.engine().write_paced(when)?;
        let Some(value) = self.engine().get(self.index(), &bytes, C::decode)? else {
            return Ok(None);
        };
        let mut batch = PreparedBatch::default();
        batch.push_expiry(self.index(), &bytes, Some(self.after_ms(ttl)))?;
        let sequence = guard.commit(&mut batch, when)?;
        drop(guard);
        self.engine().acknowledge(sequence, when)?;
        Ok(Some(value))
    }

    /// Makes the key stay; false if it is not there or would stay anyway.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::Duration;
    /// users.put_with("ada", &36, kvcore::Put::expires_in(Duration::from_secs(60)))?;
    /// assert!(users.persist("ada")?);
    /// assert_eq!(users.expires_at("ada")?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::put`].
    pub fn persist(&self, key: impl AsKey<K>) -> Result<bool> {
        self.change_expiry(key, None)
    }

    fn change_expiry(&self, key: impl AsKey<K>, expires_at_ms: Option<u64>) -> Result<bool> {
        let when = When::Now(self.engine().options.durability);
        let sequence = Scratch::with(|s| {
            key.encode_key(&mut s.key, Position::Last);
            check_key(&s.key)?;
            let mut guard = self.engine().write_paced(when)?;
            let Some(state) = self.state_now(&s.key) else { return Ok(None) };
            let stays = state.expires_at_ms.is_none_or(|ms| ms == NEVER_MS);
            if expires_at_ms.is_none() && stays {
                return Ok(None);
            }
            let mut batch = PreparedBatch::default();
            batch.push_expiry(self.index(), &s.key, expires_at_ms)?;
            guard.commit(&mut batch, when).map(Some)
        })?;
        if let Some(sequence) = sequence {
            self.engine().acknowledge(sequence, when)?;
        }
        Ok(sequence.is_some())
    }

    fn after_ms(&self, ttl: Duration) -> u64 {
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        // The largest number stands for "never".
        self.engine().clock.now_ms().saturating_add(ttl_ms).min(NEVER_MS - 1)
    }
}
