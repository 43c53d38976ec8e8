//! A limit: a hash map behind a read/write lock. Nothing is stored anywhere.

use std::{collections::HashMap, path::Path};

use parking_lot::RwLock;

use crate::{
    Result,
    data::KeyBytes,
    engine::{Engine, Mode, Reader, Role},
    work::Work,
};

/// The map.
#[derive(Debug, Default)]
pub struct InMemory(RwLock<HashMap<KeyBytes, Box<[u8]>>>);

impl Engine for InMemory {
    const NAME: &'static str = "hash-map";
    const ROLE: Role = Role::Limit;
    type Reader<'e> = &'e InMemory;

    fn supports(work: Work) -> bool {
        use Work::{Get, Get2, Load, New, Overwrite, Zipf};
        matches!(work, Load | Get | Get2 | Overwrite | New | Zipf)
    }

    fn open(_dir: &Path, _mode: Mode) -> Result<Self> {
        Ok(InMemory::default())
    }

    fn reader(&self) -> Result<&InMemory> {
        Ok(self)
    }

    fn put(&self, key: &KeyBytes, value: &[u8]) -> Result<()> {
        self.0.write().insert(*key, value.into());
        Ok(())
    }

    fn put_batch(&self, pairs: &[(KeyBytes, Vec<u8>)]) -> Result<()> {
        let mut map = self.0.write();
        map.extend(pairs.iter().map(|(key, value)| (*key, value.as_slice().into())));
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl Reader for &InMemory {
    fn get<T>(&self, key: &KeyBytes, see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.0.read().get(key).map(|value| see(value)))
    }

    fn scan(
        &self,
        _from: Option<&KeyBytes>,
        _limit: usize,
        _see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        Err("a hash map has no order".into())
    }
}
