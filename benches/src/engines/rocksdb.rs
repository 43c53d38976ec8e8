//! RocksDB: a log-structured merge tree.
//!
//! Buffered writes its log to the page cache at every write (`sync = false`), the default;
//! synced is `sync = true`. Besides the cache it gets a bloom filter, LZ4 and two background
//! threads, which its defaults leave out and its users turn on.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, Options,
    WaitForCompactOptions, WriteBatch, WriteOptions,
};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::KeyBytes,
};

/// An open database.
#[derive(Debug)]
pub struct Rocksdb {
    db: DB,
    mode: Mode,
}

impl Rocksdb {
    fn write_options(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.mode == Mode::Synced);
        options
    }
}

impl Engine for Rocksdb {
    const NAME: &'static str = "rocksdb";
    const ROLE: Role = Role::Peer;
    type Reader<'e> = &'e DB;

    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(setup.cache_bytes));
        table.set_bloom_filter(10.0, false);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_block_based_table_factory(&table);
        options.increase_parallelism(2);
        Ok(Rocksdb { db: DB::open(&options, dir)?, mode: setup.mode })
    }

    fn reader(&self) -> Result<&DB> {
        Ok(&self.db)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        Ok(self.db.put_opt(key, value, &self.write_options())?)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for (key, value) in pairs {
            batch.put(&key[..], value);
        }
        Ok(self.db.write_opt(batch, &self.write_options())?)
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut batch = WriteBatch::default();
        for key in keys {
            batch.delete(&key[..]);
        }
        Ok(self.db.write_opt(batch, &self.write_options())?)
    }

    fn compact(self, _dir: &Path) -> Result<()> {
        self.db.compact_range::<&[u8], &[u8]>(None, None);
        self.settle()?;
        self.close()
    }

    fn settle(&self) -> Result<()> {
        Ok(self.db.wait_for_compact(&WaitForCompactOptions::default())?)
    }

    fn close(self) -> Result<()> {
        Ok(self.db.flush_wal(true)?)
    }
}

impl Reader for &DB {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.get_pinned(key)?.map(|value| see(&value)))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let mode = match from {
            Some(key) => IteratorMode::From(key, Direction::Forward),
            None => IteratorMode::Start,
        };
        let mut seen = 0;
        for pair in self.iterator(mode).take(limit) {
            let (key, value) = pair?;
            see(&key, &value)?;
            seen += 1;
        }
        Ok(seen)
    }

    fn len(&self) -> Result<u64> {
        let mut count = 0;
        for pair in self.iterator(IteratorMode::Start) {
            pair?;
            count += 1;
        }
        Ok(count)
    }
}
