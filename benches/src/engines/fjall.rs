//! fjall 3: a log-structured merge tree.
//!
//! Buffered is its default (`PersistMode::Buffer` at every write); synced is a write with
//! `PersistMode::SyncData` (`fdatasync`, as kvcore does), which is its faster one.

use std::{path::Path, time::Duration};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::CACHE_BYTES;
use crate::{
    Result,
    data::KeyBytes,
    engine::{Engine, Mode, Reader, Role},
};

/// An open database.
pub struct Fjall {
    db: Database,
    keyspace: Keyspace,
    mode: Mode,
}

impl std::fmt::Debug for Fjall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fjall").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Fjall {
    fn persist_mode(&self) -> PersistMode {
        match self.mode {
            Mode::Buffered => PersistMode::Buffer,
            Mode::Synced => PersistMode::SyncData,
        }
    }
}

impl Engine for Fjall {
    const NAME: &'static str = "fjall";
    const ROLE: Role = Role::Peer;
    type Reader<'e> = &'e Keyspace;

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let db = Database::builder(dir).cache_size(u64::try_from(CACHE_BYTES)?).open()?;
        let keyspace = db.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Fjall { db, keyspace, mode })
    }

    fn reader(&self) -> Result<&Keyspace> {
        Ok(&self.keyspace)
    }

    fn put(&self, key: &KeyBytes, value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        if self.mode == Mode::Synced {
            self.db.persist(self.persist_mode())?;
        }
        Ok(())
    }

    fn put_batch(&self, pairs: &[(KeyBytes, Vec<u8>)]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(self.persist_mode()));
        for (key, value) in pairs {
            batch.insert(&self.keyspace, key, value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn settle(&self) -> Result<()> {
        while self.db.outstanding_flushes() > 0 || self.db.active_compactions() > 0 {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(self.db.persist(PersistMode::SyncAll)?)
    }
}

impl Reader for &Keyspace {
    fn get<T>(&self, key: &KeyBytes, see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(Keyspace::get(self, key)?.map(|value| see(&value)))
    }

    fn scan(
        &self,
        from: Option<&KeyBytes>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let pairs = match from {
            Some(key) => self.range(&key[..]..),
            None => self.iter(),
        };
        let mut seen = 0;
        for pair in pairs.take(limit) {
            let (key, value) = pair.into_inner()?;
            see(&key, &value)?;
            seen += 1;
        }
        Ok(seen)
    }
}
