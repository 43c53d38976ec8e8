//! A limit: what a checked read from a log cannot do without, and nothing else.
//!
//! A lock, a hash probe, the entry that holds the key and says where the record is, the record, its
//! checksum, the key compared once more: three places in memory, each known only from the one
//! before. Nothing is stored on disk.

use std::path::Path;

use parking_lot::RwLock;

use crate::{
    Result,
    data::{Pair, mix},
    engine::{Engine, Reader, Role, Setup},
    key::{InlineKey, inline},
    work::Work,
};

const SHARDS: usize = 64;
const BUCKETS_MIN: usize = 16;
const CRC_BYTES: usize = size_of::<u32>();

/// The tables and the log.
#[derive(Debug)]
pub struct RawGet(Vec<RwLock<Shard>>);

#[derive(Debug, Default)]
struct Shard {
    /// Bits of the hash above one more than an entry's place; 0 is empty. A power of two of them,
    /// at most seven eighths taken.
    buckets: Vec<u64>,
    entries: Vec<Entry>,
    log: Vec<u8>,
}

#[derive(Debug)]
struct Entry {
    key: InlineKey,
    offset: u32,
    len: u32,
}

fn hash(key: &InlineKey) -> u64 {
    let (words, _) = key.as_chunks::<8>();
    words.iter().fold(0, |hash, word| mix(hash ^ u64::from_le_bytes(*word)))
}

impl RawGet {
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        &self.0[usize::try_from(hash % SHARDS as u64).expect("below 64")]
    }
}

impl Shard {
    /// The bucket of a key, or the empty one where it belongs.
    fn find(&self, hash: u64, key: &InlineKey) -> usize {
        let mask = self.buckets.len() - 1;
        let mut at = usize::try_from(hash >> 32).expect("32 bits") & mask;
        loop {
            let bucket = self.buckets[at];
            if bucket == 0 || (bucket >> 32 == hash >> 32 && self.entry(bucket).key == *key) {
                return at;
            }
            at = (at + 1) & mask;
        }
    }

    fn entry(&self, bucket: u64) -> &Entry {
        let place = usize::try_from(bucket & u64::from(u32::MAX)).expect("32 bits");
        &self.entries[place - 1]
    }

    fn get(&self, hash: u64, key: &InlineKey) -> Result<Option<&[u8]>> {
        let bucket = self.buckets[self.find(hash, key)];
        if bucket == 0 {
            return Ok(None);
        }
        let entry = self.entry(bucket);
        let start = usize::try_from(entry.offset)?;
        let record = &self.log[start..start + usize::try_from(entry.len)?];
        let (stored, record) = record.split_first_chunk().ok_or("the record is too short")?;
        if crc32c::crc32c(record) != u32::from_le_bytes(*stored) {
            return Err("checksum mismatch".into());
        }
        let (found, value) = record.split_at(key.len());
        if found == key { Ok(Some(value)) } else { Err("a record under another key".into()) }
    }

    fn put(&mut self, hash: u64, key: &InlineKey, value: &[u8]) -> Result<()> {
        let (offset, start) = (u32::try_from(self.log.len())?, self.log.len());
        self.log.extend_from_slice(&[0; CRC_BYTES]);
        self.log.extend_from_slice(key);
        self.log.extend_from_slice(value);
        let crc = crc32c::crc32c(&self.log[start + CRC_BYTES..]);
        self.log[start..start + CRC_BYTES].copy_from_slice(&crc.to_le_bytes());
        let entry = Entry { key: *key, offset, len: u32::try_from(self.log.len() - start)? };
        if (self.entries.len() + 1) * 8 > self.buckets.len() * 7 {
            self.grow();
        }
        let at = self.find(hash, key);
        if self.buckets[at] == 0 {
            self.entries.push(entry);
            self.buckets[at] = bucket(hash, self.entries.len());
        } else {
            let place = usize::try_from(self.buckets[at] & u64::from(u32::MAX))?;
            self.entries[place - 1] = entry;
        }
        Ok(())
    }

    fn grow(&mut self) {
        self.buckets = vec![0; (self.buckets.len() * 2).max(BUCKETS_MIN)];
        for place in 0..self.entries.len() {
            let key = self.entries[place].key;
            let at = self.find(hash(&key), &key);
            self.buckets[at] = bucket(hash(&key), place + 1);
        }
    }
}

fn bucket(hash: u64, place: usize) -> u64 {
    hash >> 32 << 32 | place as u64
}

impl Engine for RawGet {
    const NAME: &'static str = "raw-get";
    const ROLE: Role = Role::Limit;
    type Reader<'e> = &'e RawGet;

    fn supports(work: Work) -> bool {
        matches!(work, Work::Load | Work::Get | Work::Get2 | Work::Get4 | Work::Get8)
    }

    fn open(_dir: &Path, _setup: Setup) -> Result<Self> {
        let empty = || RwLock::new(Shard { buckets: vec![0; BUCKETS_MIN], ..Shard::default() });
        Ok(RawGet((0..SHARDS).map(|_| empty()).collect()))
    }

    fn reader(&self) -> Result<&RawGet> {
        Ok(self)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        let key = &inline(key)?;
        let hash = hash(key);
        self.shard(hash).write().put(hash, key, value)
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        pairs.iter().try_for_each(|(key, value)| self.put(key, value))
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl Reader for &RawGet {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let key = &inline(key)?;
        let hash = hash(key);
        Ok(self.shard(hash).read().get(hash, key)?.map(see))
    }

    fn scan(
        &self,
        _from: Option<&[u8]>,
        _limit: usize,
        _see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        Err("a hash table has no order".into())
    }
}
