//! Where a key is: which shard, and which tag in its table.
//!
//! # Invariants
//!
//! H1. The same hash key places the same key at the same place for ever: cursors rest on it.

use std::hash::Hasher;

/// The keyed hash that places keys; its key is stored, so cursors mean the same after a restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashKey(pub(crate) [u8; 16]);

/// Where a key's entry is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyHash {
    pub(crate) shard: u8,
    pub(crate) tag: u32,
}

impl HashKey {
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        let mut hasher = siphasher::sip::SipHasher13::new_with_key(&self.0);
        hasher.write(key);
        KeyHash::from_bits(hasher.finish())
    }
}

impl KeyHash {
    fn from_bits(hash: u64) -> KeyHash {
        let [shard, ..] = (hash >> 58).to_le_bytes();
        let [a, b, c, d, ..] = (hash >> 26).to_le_bytes();
        KeyHash { shard, tag: u32::from_le_bytes([a, b, c, d]) }
    }
}
