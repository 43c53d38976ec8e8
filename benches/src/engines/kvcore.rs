//! kvcore, with an order index and without, at default settings but for the durability.
//!
//! Keys are `Vec<u8>` and values raw bytes, as in the peers' adapters; values are checked
//! against their checksum at every read, which is the default.

use std::path::Path;

use kvcore::{BytesKeyspace, Durability, Options, Raw, Schema, Store};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::KeyBytes,
    work::Work,
};

const ORDERED: Schema<'static, Vec<u8>, [u8], Raw> = Schema::new("bench");

/// kvcore with an ordered keyspace, which is its default.
#[derive(Debug)]
pub struct Ordered(Open);

/// kvcore with a keyspace that keeps no order.
#[derive(Debug)]
pub struct Unordered(Open);

#[derive(Debug)]
struct Open {
    store: Store,
    keyspace: BytesKeyspace,
}

impl Open {
    fn new(dir: &Path, mode: Mode, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<Open> {
        let durability = match mode {
            Mode::Buffered => Durability::Buffered,
            Mode::Synced => Durability::Immediate,
        };
        let store = Options::new().durability(durability).open(dir)?;
        let keyspace = store.keyspace(schema)?;
        Ok(Open { store, keyspace })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.keyspace.put(key, value)?;
        Ok(())
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut batch = self.store.batch();
        for (key, value) in pairs {
            batch.put(&self.keyspace, &key[..], value)?;
        }
        batch.commit()?;
        Ok(())
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut batch = self.store.batch();
        for key in keys {
            batch.delete(&self.keyspace, &key[..])?;
        }
        batch.commit()?;
        Ok(())
    }

    fn compact(self) -> Result<()> {
        while self.store.merge()?.bytes > 0 {}
        self.close()
    }

    fn close(self) -> Result<()> {
        drop(self.keyspace);
        Ok(self.store.close()?)
    }
}

impl Reader for &BytesKeyspace {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.get_with(key, see)?)
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let entries = match from {
            Some(key) => self.range(key..),
            None => self.iter(),
        };
        let mut seen = 0;
        for entry in entries.take(limit) {
            let entry = entry?;
            entry.value_with(|value| see(entry.key(), value))??;
            seen += 1;
        }
        Ok(seen)
    }

    fn len(&self) -> Result<u64> {
        Ok(BytesKeyspace::len(self))
    }

    fn count_from(&self, key: &[u8]) -> Result<u64> {
        Ok(self.count(key..)?)
    }

    fn rank(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(BytesKeyspace::rank(self, key)?)
    }

    fn nth(&self, index: u64) -> Result<Option<Vec<u8>>> {
        Ok(BytesKeyspace::nth(self, index)?.map(|entry| entry.into_key()))
    }
}

macro_rules! engine {
    ($type:ident, $name:literal, $schema:expr, $supports:expr) => {
        impl Engine for $type {
            const NAME: &'static str = $name;
            const ROLE: Role = Role::Ours;
            type Reader<'e> = &'e BytesKeyspace;

            fn supports(work: Work) -> bool {
                $supports(work)
            }
            fn open(dir: &Path, setup: Setup) -> Result<Self> {
                Open::new(dir, setup.mode, $schema).map($type)
            }
            fn reader(&self) -> Result<&BytesKeyspace> {
                Ok(&self.0.keyspace)
            }
            fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
                self.0.put(key, value)
            }
            fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
                self.0.put_batch(pairs)
            }
            fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
                self.0.remove_batch(keys)
            }
            fn compact(self, _dir: &Path) -> Result<()> {
                self.0.compact()
            }
            fn close(self) -> Result<()> {
                self.0.close()
            }
        }
    };
}

engine!(Ordered, "kvcore", ORDERED, |_| true);
engine!(Unordered, "kvcore-unordered", ORDERED.unordered(), |work: Work| !work.is_ordered());
