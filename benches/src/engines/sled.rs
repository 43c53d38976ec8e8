//! sled 0.34: a Bw-tree over a log.
//!
//! Buffered is its default: a flush every half second, so a killed process loses up to that.
//! Synced is `flush()` after every write, which is known not to reach the disk in every case
//! (sled issue 1351); it is shown and not counted.

use std::path::Path;

use sled::{Batch, Config, Db};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::KeyBytes,
    work::Work,
};

/// An open database.
#[derive(Debug)]
pub struct Sled {
    db: Db,
    mode: Mode,
}

impl Sled {
    fn sync(&self) -> Result<()> {
        if self.mode == Mode::Synced {
            self.db.flush()?;
        }
        Ok(())
    }
}

impl Engine for Sled {
    const NAME: &'static str = "sled";
    const ROLE: Role = Role::Peer;
    type Reader<'e> = &'e Db;

    fn syncs_reliably() -> bool {
        false
    }

    fn buffered_survives_kill() -> bool {
        false
    }

    fn supports(work: Work) -> bool {
        !work.is_positional() && !work.is_of_keydir() && work != Work::Compacted
    }

    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let config = Config::new().path(dir).cache_capacity(u64::try_from(setup.cache_bytes)?);
        Ok(Sled { db: config.open()?, mode: setup.mode })
    }

    fn reader(&self) -> Result<&Db> {
        Ok(&self.db)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.db.insert(key, value)?;
        self.sync()
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = Batch::default();
        for (key, value) in pairs {
            batch.insert(&key[..], value.as_slice());
        }
        self.db.apply_batch(batch)?;
        self.sync()
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut batch = Batch::default();
        for key in keys {
            batch.remove(&key[..]);
        }
        self.db.apply_batch(batch)?;
        self.sync()
    }

    fn close(self) -> Result<()> {
        self.db.flush()?;
        Ok(())
    }
}

impl Reader for &Db {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(sled::Tree::get(self, key)?.map(|value| see(&value)))
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
            let (key, value) = pair?;
            see(&key, &value)?;
            seen += 1;
        }
        Ok(seen)
    }

    fn len(&self) -> Result<u64> {
        Ok(u64::try_from(sled::Tree::len(self))?)
    }
}
