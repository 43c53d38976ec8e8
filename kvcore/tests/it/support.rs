//! What several integration tests need: keyspaces of any type behind one face of plain bytes.

use std::{
    borrow::Borrow,
    ops::{Bound, RangeBounds},
    time::SystemTime,
};

use kvcore::{
    AsKey, Batch, Codec, EncodedRange, Entry, Event, Iter, Key, KeyPrefix, Keyspace, Position, Put,
    Result, Round, ScanCursor, Swap, Watcher,
};

/// A range of keys as the tests draw it.
pub(crate) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Key and value, as bytes.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// Which end of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    First,
    Last,
}

/// A keyspace, whatever its types: keys and values are plain bytes here, and keys sort like them.
pub(crate) trait Space {
    fn put(&self, key: &[u8], value: &[u8], put: Put) -> Result<()>;
    fn delete(&self, key: &[u8]) -> Result<bool>;
    fn delete_range(&self, range: &Range) -> Result<()>;
    fn clear(&self) -> Result<()>;
    fn expire(&self, key: &[u8], at: SystemTime) -> Result<bool>;
    fn persist(&self, key: &[u8]) -> Result<bool>;
    fn update(
        &self,
        key: &[u8],
        f: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>>;
    /// `Ok(None)` if swapped, else what is there.
    fn swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Option<Option<Vec<u8>>>>;
    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    fn get_or_insert(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>>;
    fn pop(&self, end: End) -> Result<Option<Pair>>;
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>>;
    fn contains(&self, key: &[u8]) -> Result<bool>;
    fn expires_at(&self, key: &[u8]) -> Result<Option<SystemTime>>;
    fn len(&self) -> u64;
    fn count(&self, range: &Range) -> Result<u64>;
    fn rank(&self, key: &[u8]) -> Result<Option<u64>>;
    fn nth(&self, index: u64) -> Result<Option<Pair>>;
    fn end(&self, end: End) -> Result<Option<Pair>>;
    fn range(&self, range: &Range) -> Box<dyn Walk>;
    fn prefix(&self, prefix: &[u8]) -> Box<dyn Walk>;
    fn scan(&self, cursor: ScanCursor, limit: usize) -> Result<(Vec<Pair>, ScanCursor)>;
    fn random(&self, seed: u64) -> Result<Option<Pair>>;
    fn batch_put(&self, batch: &mut Batch, key: &[u8], value: &[u8], put: Put) -> Result<()>;
    fn batch_delete(&self, batch: &mut Batch, key: &[u8]) -> Result<()>;
    fn batch_delete_range(&self, batch: &mut Batch, range: &Range) -> Result<()>;
    fn batch_clear(&self, batch: &mut Batch) -> Result<()>;
    fn batch_expire(&self, batch: &mut Batch, key: &[u8], at: SystemTime) -> Result<()>;
    fn batch_persist(&self, batch: &mut Batch, key: &[u8]) -> Result<()>;
    fn round_put(&self, round: &mut Round<'_>, key: &[u8], value: &[u8], put: Put) -> Result<()>;
    fn round_delete(&self, round: &mut Round<'_>, key: &[u8]) -> Result<bool>;
    /// All of it, with old values.
    fn watch(&self) -> Result<Box<dyn Watch>>;
}

/// An event of which keys and values are plain bytes.
pub(crate) struct Told {
    pub(crate) sequence: u64,
    pub(crate) event: Event<Vec<u8>, Vec<u8>>,
    pub(crate) old: Option<Vec<u8>>,
}

/// A watcher of a whole keyspace.
pub(crate) trait Watch {
    /// What waits.
    fn next(&mut self) -> Result<Option<Told>>;
    /// Whether a key is in a range that was told.
    fn contains(&self, range: &EncodedRange, key: &[u8]) -> bool;
}

struct TypedWatch<K, V: ?Sized, C> {
    watcher: Watcher<K, V, C>,
    to_key: fn(&[u8]) -> K,
    to_bytes: fn(&K) -> Vec<u8>,
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Watch for TypedWatch<K, V, C>
where
    C::Owned: AsRef<[u8]>,
{
    fn next(&mut self) -> Result<Option<Told>> {
        let Some(told) = self.watcher.try_next()? else { return Ok(None) };
        let key = self.to_bytes;
        let event = match told.event {
            Event::Put { key: k, value } => {
                Event::Put { key: key(&k), value: value.as_ref().to_vec() }
            }
            Event::Delete { key: k } => Event::Delete { key: key(&k) },
            Event::DeleteRange { range } => Event::DeleteRange { range },
            Event::Expire { key: k, expires_at } => Event::Expire { key: key(&k), expires_at },
            _ => panic!("an event that this test does not know"),
        };
        let old = told.old.map(|old| old.as_ref().to_vec());
        Ok(Some(Told { sequence: told.sequence.get(), event, old }))
    }

    fn contains(&self, range: &EncodedRange, key: &[u8]) -> bool {
        let mut bytes = Vec::new();
        (self.to_key)(key).encode_key(&mut bytes, Position::Last);
        (range.start.clone(), range.end.clone()).contains(&bytes)
    }
}

/// An open iterator.
pub(crate) trait Walk {
    /// The next entry from this end, its value read now.
    fn step(&mut self, from: End) -> Option<Result<Pair>>;
}

/// A keyspace and how its keys are made from bytes and back.
pub(crate) struct Typed<K, V: ?Sized, C, P> {
    pub(crate) keyspace: Keyspace<K, V, C>,
    pub(crate) to_key: fn(&[u8]) -> K,
    pub(crate) to_bytes: fn(&K) -> Vec<u8>,
    pub(crate) to_prefix: fn(&[u8]) -> P,
}

/// A prefix of raw bytes that owns them.
pub(crate) struct BytesPrefix(pub(crate) Vec<u8>);

impl KeyPrefix<Vec<u8>> for BytesPrefix {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.0.as_slice().encode_prefix(out);
    }
}

struct TypedWalk<K, V: ?Sized, C> {
    iter: Iter<K, V, C>,
    to_bytes: fn(&K) -> Vec<u8>,
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Walk for TypedWalk<K, V, C>
where
    C::Owned: AsRef<[u8]>,
{
    fn step(&mut self, from: End) -> Option<Result<Pair>> {
        let entry = match from {
            End::First => self.iter.next()?,
            End::Last => self.iter.next_back()?,
        };
        Some(entry.and_then(|entry| pair(&entry, self.to_bytes)))
    }
}

fn pair<K: Key, V: ?Sized + 'static, C: Codec<V>>(
    entry: &Entry<K, V, C>,
    to_bytes: fn(&K) -> Vec<u8>,
) -> Result<Pair>
where
    C::Owned: AsRef<[u8]>,
{
    Ok((to_bytes(entry.key()), entry.value()?.as_ref().to_vec()))
}

impl<K, V: ?Sized, C, P> Typed<K, V, C, P> {
    fn range_of(&self, (start, end): &Range) -> (Bound<K>, Bound<K>) {
        let key = |b: &Bound<Vec<u8>>| b.as_ref().map(|b| (self.to_key)(b));
        (key(start), key(end))
    }
}

impl<K, V, C, P> Space for Typed<K, V, C, P>
where
    K: Key + AsKey<K>,
    V: ?Sized + PartialEq + 'static,
    C: Codec<V>,
    C::Owned: AsRef<[u8]> + From<Vec<u8>> + Borrow<V>,
    P: KeyPrefix<K>,
{
    fn put(&self, key: &[u8], value: &[u8], put: Put) -> Result<()> {
        let value = C::Owned::from(value.to_vec());
        self.keyspace.put_with((self.to_key)(key), value.borrow(), put).map(drop)
    }

    fn delete(&self, key: &[u8]) -> Result<bool> {
        self.keyspace.delete((self.to_key)(key))
    }

    fn delete_range(&self, range: &Range) -> Result<()> {
        self.keyspace.delete_range(self.range_of(range)).map(drop)
    }

    fn clear(&self) -> Result<()> {
        self.keyspace.clear().map(drop)
    }

    fn expire(&self, key: &[u8], at: SystemTime) -> Result<bool> {
        self.keyspace.expire((self.to_key)(key), at)
    }

    fn persist(&self, key: &[u8]) -> Result<bool> {
        self.keyspace.persist((self.to_key)(key))
    }

    fn update(
        &self,
        key: &[u8],
        f: &mut dyn FnMut(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<Option<Vec<u8>>> {
        let new = self.keyspace.update((self.to_key)(key), |old| {
            f(old.map(|old| old.as_ref().to_vec())).map(C::Owned::from)
        })?;
        Ok(new.map(|new| new.as_ref().to_vec()))
    }

    fn swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Option<Option<Vec<u8>>>> {
        let owned = |v: Option<&[u8]>| v.map(|v| C::Owned::from(v.to_vec()));
        let (expected, new) = (owned(expected), owned(new));
        let (expected, new) =
            (expected.as_ref().map(|v| v.borrow()), new.as_ref().map(|v| v.borrow()));
        let swap = self.keyspace.compare_and_swap((self.to_key)(key), expected, new)?;
        Ok(match swap {
            Swap::Swapped => None,
            Swap::Differs(found) => Some(found.map(|v| v.as_ref().to_vec())),
        })
    }

    fn take(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.keyspace.take((self.to_key)(key))?.map(|v| v.as_ref().to_vec()))
    }

    fn get_or_insert(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
        let value = value.to_vec();
        let found = self.keyspace.get_or_insert_with((self.to_key)(key), || value.into())?;
        Ok(found.as_ref().to_vec())
    }

    fn pop(&self, end: End) -> Result<Option<Pair>> {
        let popped = match end {
            End::First => self.keyspace.pop_first()?,
            End::Last => self.keyspace.pop_last()?,
        };
        Ok(popped.map(|(k, v)| ((self.to_bytes)(&k), v.as_ref().to_vec())))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.keyspace.get((self.to_key)(key))?.map(|v| v.as_ref().to_vec()))
    }

    fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>> {
        let found = self.keyspace.get_many(keys.iter().map(|k| (self.to_key)(k)))?;
        Ok(found.into_iter().map(|v| v.map(|v| v.as_ref().to_vec())).collect())
    }

    fn contains(&self, key: &[u8]) -> Result<bool> {
        self.keyspace.contains((self.to_key)(key))
    }

    fn expires_at(&self, key: &[u8]) -> Result<Option<SystemTime>> {
        self.keyspace.expires_at((self.to_key)(key))
    }

    fn len(&self) -> u64 {
        self.keyspace.len()
    }

    fn count(&self, range: &Range) -> Result<u64> {
        match range {
            (Bound::Unbounded, Bound::Unbounded) => self.keyspace.count(..),
            range => self.keyspace.count(self.range_of(range)),
        }
    }

    fn rank(&self, key: &[u8]) -> Result<Option<u64>> {
        self.keyspace.rank((self.to_key)(key))
    }

    fn nth(&self, index: u64) -> Result<Option<Pair>> {
        self.keyspace.nth(index)?.map(|e| pair(&e, self.to_bytes)).transpose()
    }

    fn end(&self, end: End) -> Result<Option<Pair>> {
        let entry = match end {
            End::First => self.keyspace.first()?,
            End::Last => self.keyspace.last()?,
        };
        entry.map(|e| pair(&e, self.to_bytes)).transpose()
    }

    fn range(&self, range: &Range) -> Box<dyn Walk> {
        let iter = self.keyspace.range(self.range_of(range));
        Box::new(TypedWalk { iter, to_bytes: self.to_bytes })
    }

    fn prefix(&self, prefix: &[u8]) -> Box<dyn Walk> {
        let iter = self.keyspace.prefix((self.to_prefix)(prefix));
        Box::new(TypedWalk { iter, to_bytes: self.to_bytes })
    }

    fn scan(&self, cursor: ScanCursor, limit: usize) -> Result<(Vec<Pair>, ScanCursor)> {
        let (page, next) = self.keyspace.scan(cursor, limit)?;
        let pairs: Result<Vec<_>> = page.iter().map(|e| pair(e, self.to_bytes)).collect();
        Ok((pairs?, next))
    }

    fn random(&self, seed: u64) -> Result<Option<Pair>> {
        self.keyspace.random(seed)?.map(|e| pair(&e, self.to_bytes)).transpose()
    }

    fn batch_put(&self, batch: &mut Batch, key: &[u8], value: &[u8], put: Put) -> Result<()> {
        let value = C::Owned::from(value.to_vec());
        batch.put_with(&self.keyspace, (self.to_key)(key), value.borrow(), put)
    }

    fn batch_delete(&self, batch: &mut Batch, key: &[u8]) -> Result<()> {
        batch.delete(&self.keyspace, (self.to_key)(key))
    }

    fn batch_delete_range(&self, batch: &mut Batch, range: &Range) -> Result<()> {
        batch.delete_range(&self.keyspace, self.range_of(range))
    }

    fn batch_clear(&self, batch: &mut Batch) -> Result<()> {
        batch.clear(&self.keyspace)
    }

    fn batch_expire(&self, batch: &mut Batch, key: &[u8], at: SystemTime) -> Result<()> {
        batch.expire(&self.keyspace, (self.to_key)(key), at)
    }

    fn batch_persist(&self, batch: &mut Batch, key: &[u8]) -> Result<()> {
        batch.persist(&self.keyspace, (self.to_key)(key))
    }

    fn round_put(&self, round: &mut Round<'_>, key: &[u8], value: &[u8], put: Put) -> Result<()> {
        let value = C::Owned::from(value.to_vec());
        round.put(&self.keyspace, (self.to_key)(key), value.borrow(), put).map(drop)
    }

    fn round_delete(&self, round: &mut Round<'_>, key: &[u8]) -> Result<bool> {
        round.delete(&self.keyspace, (self.to_key)(key))
    }

    fn watch(&self) -> Result<Box<dyn Watch>> {
        let watcher = self.keyspace.watcher().with_old_values().range(..)?;
        Ok(Box::new(TypedWatch { watcher, to_key: self.to_key, to_bytes: self.to_bytes }))
    }
}
