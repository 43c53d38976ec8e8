//! redb 4: a copy-on-write B-tree.
//!
//! Buffered is `Durability::None`, which does not survive the end of the process, with one
//! `Immediate` commit a second: without it, pages freed meanwhile are never reused and the file
//! grows without bound. Synced is `Durability::Immediate`, redb's default.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, TableDefinition,
};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::KeyBytes,
};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("bench");
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// An open database.
#[derive(Debug)]
pub struct Redb {
    db: Database,
    mode: Mode,
    synced: Mutex<Instant>,
}

impl Redb {
    fn write<'p>(&self, pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(self.durability())?;
        {
            let mut table = tx.open_table(TABLE)?;
            for (key, value) in pairs {
                table.insert(key, value)?;
            }
        }
        Ok(tx.commit()?)
    }

    fn durability(&self) -> Durability {
        let mut synced = self.synced.lock();
        if self.mode == Mode::Buffered && synced.elapsed() < SYNC_INTERVAL {
            return Durability::None;
        }
        *synced = Instant::now();
        Durability::Immediate
    }
}

impl Engine for Redb {
    const NAME: &'static str = "redb";
    const ROLE: Role = Role::Peer;
    type Reader<'e> = ReadOnlyTable<&'static [u8], &'static [u8]>;

    fn buffered_survives_kill() -> bool {
        false
    }

    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let db = Builder::new().set_cache_size(setup.cache_bytes).create(dir.join("redb"))?;
        Ok(Redb { db, mode: setup.mode, synced: Mutex::new(Instant::now()) })
    }

    fn reader(&self) -> Result<Self::Reader<'_>> {
        Ok(self.db.begin_read()?.open_table(TABLE)?)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)))
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        self.write(pairs.iter().map(|(key, value)| (&key[..], value.as_slice())))
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut tx = self.db.begin_write()?;
        tx.set_durability(self.durability())?;
        {
            let mut table = tx.open_table(TABLE)?;
            for key in keys {
                table.remove(&key[..])?;
            }
        }
        Ok(tx.commit()?)
    }

    fn compact(mut self, _dir: &Path) -> Result<()> {
        while self.db.compact()? {}
        self.close()
    }

    fn close(self) -> Result<()> {
        // What was committed without durability becomes durable with the next commit that is.
        Ok(self.db.begin_write()?.commit()?)
    }
}

impl Reader for ReadOnlyTable<&'static [u8], &'static [u8]> {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(ReadableTable::get(self, key)?.map(|value| see(value.value())))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let pairs = match from {
            Some(key) => ReadableTable::range(self, key..)?,
            None => self.iter()?,
        };
        let mut seen = 0;
        for pair in pairs.take(limit) {
            let (key, value) = pair?;
            see(key.value(), value.value())?;
            seen += 1;
        }
        Ok(seen)
    }

    fn len(&self) -> Result<u64> {
        Ok(ReadableTableMetadata::len(self)?)
    }
}
