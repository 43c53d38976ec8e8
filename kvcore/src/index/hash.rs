//! Where a key is: which shard, and which tag in its table.
//!
//! # Invariants
//!
//! H1. The same hash key places the same key at the same place for ever: cursors rest on it.

use siphasher::sip::SipHasher13;

/// The keyed hash that places keys; its key is stored, so cursors mean the same after a restart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashKey(pub(crate) [u8; 16]);

/// Where a key's entry is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHash {
    pub(crate) shard: u8,
    pub(crate) tag: u32,
}

impl HashKey {
    /// Not to be inlined, so that the hash function is compiled once.
    #[inline(never)]
    pub(crate) fn hash(&self, key: &[u8]) -> KeyHash {
        KeyHash::from_bits(SipHasher13::new_with_key(&self.0).hash(key))
    }
}

impl KeyHash {
    #[inline]
    fn from_bits(hash: u64) -> KeyHash {
        let [shard, ..] = (hash >> 58).to_le_bytes();
        let [a, b, c, d, ..] = (hash >> 26).to_le_bytes();
        KeyHash { shard, tag: u32::from_le_bytes([a, b, c, d]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    #[test]
    fn h1_hash_of_a_key_is_siphash_1_3_of_its_bytes() {
        let key: Vec<u8> = (0..100).collect();
        for len in 0..=key.len() {
            let mut hasher = SipHasher13::new_with_key(b"0123456789abcdef");
            hasher.write(&key[..len]);
            let expected = KeyHash::from_bits(hasher.finish());
            assert_eq!(HashKey(*b"0123456789abcdef").hash(&key[..len]), expected, "{len} bytes");
        }
        let golden = HashKey(*b"0123456789abcdef").hash(b"key");
        assert_eq!(golden, KeyHash { shard: 44, tag: 242_364_866 });
    }
}
