//! A limit: a hash map behind a read/write lock. Nothing is stored anywhere.

use std::{collections::HashMap, path::Path};

use parking_lot::RwLock;

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Reader, Role, Setup},
    key::{InlineKey, inline},
    work::Work,
};

/// The map.
#[derive(Debug, Default)]
pub struct InMemory(RwLock<HashMap<InlineKey, Box<[u8]>>>);

impl Engine for InMemory {
    const NAME: &'static str = "hash-map";
    const ROLE: Role = Role::Limit;
    type Reader<'e> = &'e InMemory;

    fn supports(work: Work) -> bool {
        use Work::{Get, Get2, Get4, Get8, Load, New, Overwrite, Zipf};
        matches!(work, Load | Get | Get2 | Get4 | Get8 | Overwrite | New | Zipf)
    }

    fn open(_dir: &Path, _setup: Setup) -> Result<Self> {
        Ok(InMemory::default())
    }

    fn reader(&self) -> Result<&InMemory> {
        Ok(self)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.write().insert(inline(key)?, value.into());
        Ok(())
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        let mut map = self.0.write();
        for (key, value) in pairs {
            map.insert(inline(key)?, value.as_slice().into());
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl Reader for &InMemory {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.read().get(&inline(key)?).map(|value| see(value)))
    }

    fn scan(
        &self,
        _from: Option<&[u8]>,
        _limit: usize,
        _see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        Err("a hash map has no order".into())
    }
}
