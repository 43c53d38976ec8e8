//! Uses of keys, and the removal of those that must give way.

use kvcore::{DrawFrom, DrawnEntry};

use super::pending::{Latest, What};
use super::{Class, Data, Db, StoreError};

type Result<T> = std::result::Result<T, StoreError>;

pub(crate) use kvcore::LastUse;

/// Which keys may be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Among {
    AllKeys,
    /// Those with an expiry.
    Volatile,
}

impl Data {
    /// Whether reads that follow are no uses of the keys they read.
    pub(crate) fn set_quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
    }
    /// Keys of a database, drawn at random by a seed; some perhaps twice.
    pub(crate) fn draw(
        &self,
        index: usize,
        among: Among,
        count: usize,
        seed: u64,
    ) -> Result<Vec<DrawnEntry<Vec<u8>>>> {
        let from = match among {
            Among::AllKeys => DrawFrom::All,
            Among::Volatile => DrawFrom::Expiring,
        };
        self.engine.draw(self.place(index).home, from, count, seed)
    }
    /// Makes pending the removal of a key that gives way, be it past its time or not.
    pub(crate) fn evict(&mut self, index: usize, key: &[u8]) -> Result<()> {
        let mut db = self.db(index);
        db.drop_elements_of(key)?;
        db.data.pending.delete(db.place, key);
        db.tell(Class::Evicted, "evicted", key);
        Ok(())
    }
}

impl Db<'_> {
    /// The memory that a key takes, without its elements.
    pub(crate) fn key_bytes(&mut self, key: &[u8]) -> Result<u64> {
        let expires = self.expires_at_ms(key)?.flatten().is_some();
        Ok(self.data.engine.key_bytes(self.place.home, key, expires))
    }
    /// The memory that an element takes, besides its key without the id and not its value.
    pub(crate) fn element_bytes(&self) -> u64 {
        self.data.engine.element_bytes(self.place.home)
    }
    /// What is known of the uses of a key. Is none.
    pub(crate) fn last_use(&mut self, key: &[u8]) -> Result<Option<LastUse>> {
        self.data.engine.last_use(self.place.home, key)
    }
    /// A use of a key, even if its client's reads are none; false if it is not there.
    pub(crate) fn use_key(&mut self, key: &[u8]) -> Result<bool> {
        let is_there = self.contains(key)?;
        let in_store = !matches!(
            self.data.pending.latest(self.place.home, key),
            Some(Latest::Cleared | Latest::Changed(What::Put { .. } | What::Delete))
        );
        if is_there && in_store {
            self.data.engine.use_key(self.place.home, key)?;
        }
        Ok(is_there)
    }
}
