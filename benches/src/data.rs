//! The keys and values every engine gets.
//!
//! Nothing is stored: a key is a function of its index, a value of index and version, so making
//! one costs a few nanoseconds and no cache miss, the same for every engine.
//!
//! # Invariants
//!
//! D1. Keys are, unless their shape says otherwise, bytes of a hash: the order of indices is a
//!     random order of keys.
//! D2. A value names its index and version and continues with incompressible bytes that depend
//!     on both, so a value under a wrong key, or mixed from two versions, does not check.

use crate::{
    Result,
    key::{KeyBytes, Shape},
};

/// A key and its value.
pub type Pair = (KeyBytes, Vec<u8>);

/// Index and version in front of every value.
const TAG_BYTES: usize = 8;

/// Random bytes that values are cut from. Small enough to stay in the second-level cache.
const POOL_BYTES: usize = 256 * 1024;

/// Maker and checker of keys and values.
#[derive(Debug)]
pub struct Data {
    pool: Vec<u8>,
    value_bytes: usize,
    seed: u64,
    shape: Shape,
}

impl Data {
    /// The data of one run. `value_bytes` is at least 8.
    pub fn new(seed: u64, shape: Shape, value_bytes: usize) -> Data {
        let mut pool = vec![0; POOL_BYTES + value_bytes];
        fastrand::Rng::with_seed(seed).fill(&mut pool);
        Data { pool, value_bytes: value_bytes.max(TAG_BYTES), seed, shape }
    }

    /// Length of a key; where lengths differ, about.
    pub fn key_bytes(&self) -> usize {
        self.shape.key_bytes()
    }

    /// Length of every value.
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// The key with this index.
    pub fn key(&self, index: u32) -> KeyBytes {
        self.shape.key(self.seed, index)
    }

    /// The value of this index and version, in a buffer that is reused.
    pub fn value<'b>(&self, index: u32, version: u32, buffer: &'b mut Vec<u8>) -> &'b [u8] {
        buffer.clear();
        buffer.extend_from_slice(&index.to_le_bytes());
        buffer.extend_from_slice(&version.to_le_bytes());
        buffer.extend_from_slice(self.body(index, version));
        buffer
    }

    /// Checks a value read under the key with this index; returns its version.
    pub fn check(&self, index: u32, value: &[u8]) -> Result<u32> {
        match self.parse(value) {
            Some((found, version)) if found == index => Ok(version),
            _ => Err(format!("wrong value ({} bytes) under key {index}", value.len()).into()),
        }
    }

    /// Checks a pair met in a scan: the value must be one of this key's.
    pub fn check_pair(&self, key: &[u8], value: &[u8]) -> Result<()> {
        match self.parse(value) {
            Some((index, _)) if &self.key(index)[..] == key => Ok(()),
            _ => Err(format!("wrong value ({} bytes) in a scan", value.len()).into()),
        }
    }

    /// Index and version, if the rest of the value agrees with them.
    fn parse(&self, value: &[u8]) -> Option<(u32, u32)> {
        let (index, rest) = value.split_first_chunk()?;
        let (version, body) = rest.split_first_chunk()?;
        let (index, version) = (u32::from_le_bytes(*index), u32::from_le_bytes(*version));
        (body == self.body(index, version)).then_some((index, version))
    }

    fn body(&self, index: u32, version: u32) -> &[u8] {
        let place = mix((u64::from(version) << 32) | u64::from(index)) % (POOL_BYTES as u64);
        let start = usize::try_from(place).expect("less than POOL_BYTES");
        &self.pool[start..start + self.value_bytes - TAG_BYTES]
    }
}

/// The finaliser of splitmix64: a bijection whose every output bit depends on every input bit.
pub fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_checks_only_under_its_own_key_and_unchanged() {
        let data = Data::new(3, Shape::Random24, 150);
        let mut buffer = Vec::new();
        data.value(7, 2, &mut buffer);
        assert_eq!(buffer.len(), 150);
        assert_eq!(data.check(7, &buffer).unwrap(), 2);
        assert!(data.check(8, &buffer).is_err());
        assert!(data.check_pair(&data.key(7), &buffer).is_ok());
        assert!(data.check_pair(&data.key(8), &buffer).is_err());
        for at in 0..buffer.len() {
            let mut damaged = buffer.clone();
            damaged[at] ^= 1;
            assert!(data.check(7, &damaged).is_err(), "byte {at}");
        }
        assert!(data.check(7, &buffer[..149]).is_err());
        assert!(data.check(7, b"").is_err());
    }
}
