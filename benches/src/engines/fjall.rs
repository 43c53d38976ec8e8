//! fjall 3: a log-structured merge tree.
//!
//! Buffered is its default (`PersistMode::Buffer` at every write); synced is a write with
//! `PersistMode::SyncData` (`fdatasync`, as kvcore does), which is its faster one.

use std::{path::Path, time::Duration};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::KeyBytes,
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

    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let cache_bytes = u64::try_from(setup.cache_bytes)?;
        let db = Database::builder(dir).cache_size(cache_bytes).open()?;
        let keyspace = db.keyspace("bench", KeyspaceCreateOptions::default)?;
        Ok(Fjall { db, keyspace, mode: setup.mode })
    }

    fn reader(&self) -> Result<&Keyspace> {
        Ok(&self.keyspace)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.insert(key, value)?;
        if self.mode == Mode::Synced {
            self.db.persist(self.persist_mode())?;
        }
        Ok(())
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(self.persist_mode()));
        for (key, value) in pairs {
            batch.insert(&self.keyspace, &key[..], value.as_slice());
        }
        Ok(batch.commit()?)
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut batch = self.db.batch().durability(Some(self.persist_mode()));
        for key in keys {
            batch.remove(&self.keyspace, &key[..]);
        }
        Ok(batch.commit()?)
    }

    fn compact(self, _dir: &Path) -> Result<()> {
        self.keyspace.rotate_memtable_and_wait()?;
        self.keyspace.major_compact()?;
        self.settle()?;
        self.close()
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
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(Keyspace::get(self, key)?.map(|value| see(&value)))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let pairs = match from {
            Some(key) => self.range(key..),
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

    fn len(&self) -> Result<u64> {
        Ok(u64::try_from(Keyspace::len(self)?)?)
    }
}
