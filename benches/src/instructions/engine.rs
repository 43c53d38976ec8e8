//! The operations whose instructions are counted, and the stores they run on.
//!
//! Sizes are small, since valgrind is slow: what is counted is the path, not cache misses.

use std::{hint::black_box, path::Path};

use kvcore::{BytesKeyspace, Durability, Keyspace, Options, Raw, Schema, Store};

use super::{Operation, counted_operations};
use crate::{
    Result,
    data::Data,
    key::{InlineKey, Shape, inline},
};

/// Keys in the store before an operation is counted.
const KEYS: u32 = 10_000;
/// Operations per count.
const COUNT: u32 = 2_000;
/// Pairs per batch, keys per `get_many`.
const MANY: usize = 100;
/// Entries read after each seek.
const SEEK_LEN: usize = 10;

const ORDERED: Schema<'static, Vec<u8>, [u8], Raw> = Schema::new("bench");
const UNORDERED: Schema<'static, Vec<u8>, [u8], Raw> = ORDERED.unordered();

/// Every figure.
pub(super) const OPERATIONS: &[Operation] = &[
    of("get", |dir| get(dir, ORDERED)),
    of("get, unordered", |dir| get(dir, UNORDERED)),
    of("get_bytes", get_bytes),
    of("get_many, per key", get_many),
    of("get of a missing key", get_missing),
    of("put, overwrite", |dir| overwrite(dir, ORDERED)),
    of("put, overwrite, unordered", |dir| overwrite(dir, UNORDERED)),
    of("put, new key", |dir| put_new(dir, ORDERED)),
    of("put, new key, unordered", |dir| put_new(dir, UNORDERED)),
    of("batch of 100 new keys, per key", |dir| batch_new(dir, ORDERED)),
    of("batch of 100 new keys, per key, unordered", |dir| batch_new(dir, UNORDERED)),
    of("delete", delete),
    of("update of a u64", update),
    of("transaction: get and put", transaction),
    of("seek and 10 entries", seek),
    of("iteration, per entry", iterate),
    of("count from a key", count_from),
    of("synced put, in memory", synced_put),
    Operation { name: "open after a clean close, per key", count: KEYS, run: open },
];

const fn of(name: &'static str, run: fn(&Path) -> Result<()>) -> Operation {
    Operation { name, count: COUNT, run }
}

/// A store with keys, and pairs of keys and values made beforehand.
struct Loaded {
    store: Store,
    keyspace: BytesKeyspace,
    /// Keys in random order: the first [`COUNT`] of [`KEYS`], as loaded.
    old: Vec<(InlineKey, Vec<u8>)>,
    /// Keys that are not there.
    new: Vec<(InlineKey, Vec<u8>)>,
}

impl Loaded {
    fn new(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<Loaded> {
        let store = Options::new().durability(Durability::Buffered).open(dir)?;
        Loaded::of(store, schema)
    }

    fn of(store: Store, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<Loaded> {
        let data = Data::new(3, Shape::Random24, 150);
        let pair = |index| -> Result<_> {
            let mut value = Vec::new();
            data.value(index, 0, &mut value);
            Ok((inline(&data.key(index))?, value))
        };
        let keyspace = store.keyspace(schema)?;
        let all: Vec<_> = (0..KEYS).map(pair).collect::<Result<_>>()?;
        for pairs in all.chunks(MANY) {
            put_batch(&store, &keyspace, pairs)?;
        }
        let old = all.into_iter().take(usize::try_from(COUNT)?).collect();
        let new = (KEYS..KEYS + COUNT).map(pair).collect::<Result<_>>()?;
        Ok(Loaded { store, keyspace, old, new })
    }
}

fn put_batch(
    store: &Store,
    keyspace: &BytesKeyspace,
    pairs: &[(InlineKey, Vec<u8>)],
) -> Result<()> {
    let mut batch = store.batch();
    for (key, value) in pairs {
        batch.put(keyspace, key, value)?;
    }
    batch.commit()?;
    Ok(())
}

fn expect_found(is_found: bool) -> Result<()> {
    if is_found { Ok(()) } else { Err("a key that is there was not found".into()) }
}

/// Counts `body` for every pair.
fn each(
    pairs: &[(InlineKey, Vec<u8>)],
    mut body: impl FnMut(&InlineKey, &[u8]) -> Result<()>,
) -> Result<()> {
    counted_operations(&mut || pairs.iter().try_for_each(|(key, value)| body(key, value)))
}

fn get(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<()> {
    let s = Loaded::new(dir, schema)?;
    each(&s.old, |key, value| {
        let found = s.keyspace.get_with(key, |found| found.len())?;
        expect_found(found == Some(value.len()))
    })
}

fn get_bytes(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.old, |key, _| expect_found(s.keyspace.get_bytes(key)?.is_some()))
}

fn get_many(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    counted_operations(&mut || {
        for pairs in s.old.chunks(MANY) {
            let values = s.keyspace.get_many(pairs.iter().map(|(key, _)| key))?;
            expect_found(values.iter().all(Option::is_some))?;
        }
        Ok(())
    })
}

fn get_missing(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.new, |key, _| expect_found(s.keyspace.get_bytes(key)?.is_none()))
}

fn overwrite(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<()> {
    let s = Loaded::new(dir, schema)?;
    each(&s.old, |key, value| Ok(s.keyspace.put(key, value).map(drop)?))
}

fn put_new(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<()> {
    let s = Loaded::new(dir, schema)?;
    each(&s.new, |key, value| Ok(s.keyspace.put(key, value).map(drop)?))
}

fn batch_new(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> Result<()> {
    let s = Loaded::new(dir, schema)?;
    counted_operations(&mut || {
        s.new.chunks(MANY).try_for_each(|pairs| put_batch(&s.store, &s.keyspace, pairs))
    })
}

fn delete(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.old, |key, _| expect_found(s.keyspace.delete(key)?))
}

fn update(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    let counters: Keyspace<u64, u64> = s.store.keyspace("counters")?;
    for counter in 0..u64::from(COUNT) {
        counters.put(counter, &counter)?;
    }
    counted_operations(&mut || {
        for counter in 0..u64::from(COUNT) {
            let new = counters.update(counter, |old| old.map(|old| old + 1))?;
            expect_found(new == Some(counter + 1))?;
        }
        Ok(())
    })
}

fn transaction(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.old, |key, value| {
        s.store.transaction(|tx| {
            tx.get_bytes(&s.keyspace, key)?;
            tx.put(&s.keyspace, key, value)
        })?;
        Ok(())
    })
}

fn seek(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.old, |key, _| {
        for entry in s.keyspace.range(key..).take(SEEK_LEN) {
            black_box(entry?.value()?);
        }
        Ok(())
    })
}

fn iterate(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    let mut seen = 0;
    counted_operations(&mut || {
        for entry in s.keyspace.iter().take(usize::try_from(COUNT)?) {
            black_box(entry?.value()?);
            seen += 1;
        }
        Ok(())
    })?;
    expect_found(seen == COUNT)
}

fn count_from(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    each(&s.old, |key, _| expect_found(s.keyspace.count(key..)? > 0))
}

fn synced_put(_: &Path) -> Result<()> {
    let s = Loaded::of(Store::in_memory()?, ORDERED)?;
    each(&s.old, |key, value| {
        Ok(s.keyspace.put_with(key, value, Durability::Immediate).map(drop)?)
    })
}

fn open(dir: &Path) -> Result<()> {
    let s = Loaded::new(dir, ORDERED)?;
    drop(s.keyspace);
    s.store.close()?;
    let mut opened = None;
    counted_operations(&mut || {
        opened = Some(Store::open(dir)?);
        Ok(())
    })?;
    expect_found(opened.is_some_and(|store| store.recovery().keys == u64::from(KEYS)))
}
