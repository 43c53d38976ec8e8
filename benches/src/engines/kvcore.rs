//! kvcore, with an order index and without, at default settings but for the durability.
//!
//! Keys are `Vec<u8>` and values raw bytes, as in the peers' adapters; values are checked
//! against their checksum at every read, which is the default.

use std::path::Path;

use kvcore::{BytesKeyspace, Durability, Options, Raw, Schema, Store};

use crate::{
    Result,
    data::KeyBytes,
    engine::{Engine, Mode, Reader, Role},
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

    fn put(&self, key: &KeyBytes, value: &[u8]) -> Result<()> {
        self.keyspace.put(key, value)?;
        Ok(())
    }

    fn put_batch(&self, pairs: &[(KeyBytes, Vec<u8>)]) -> Result<()> {
        let mut batch = self.store.batch();
        for (key, value) in pairs {
            batch.put(&self.keyspace, key, value)?;
        }
        batch.commit()?;
        Ok(())
    }

    fn close(self) -> Result<()> {
        drop(self.keyspace);
        Ok(self.store.close()?)
    }
}

impl Reader for &BytesKeyspace {
    fn get<T>(&self, key: &KeyBytes, see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.get_with(key, see)?)
    }

    fn scan(
        &self,
        from: Option<&KeyBytes>,
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

    fn count_from(&self, key: &KeyBytes) -> Result<u64> {
        Ok(self.count(key..)?)
    }

    fn rank(&self, key: &KeyBytes) -> Result<Option<u64>> {
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
            fn open(dir: &Path, mode: Mode) -> Result<Self> {
                Open::new(dir, mode, $schema).map($type)
            }
            fn reader(&self) -> Result<&BytesKeyspace> {
                Ok(&self.0.keyspace)
            }
            fn put(&self, key: &KeyBytes, value: &[u8]) -> Result<()> {
                self.0.put(key, value)
            }
            fn put_batch(&self, pairs: &[(KeyBytes, Vec<u8>)]) -> Result<()> {
                self.0.put_batch(pairs)
            }
            fn close(self) -> Result<()> {
                self.0.close()
            }
        }
    };
}

engine!(Ordered, "kvcore", ORDERED, |_| true);
engine!(Unordered, "kvcore-unordered", ORDERED.unordered(), |work: Work| !work.is_ordered());
