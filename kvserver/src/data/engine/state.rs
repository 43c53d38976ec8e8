//! What the server keeps beside the databases: where they live, and the key of the hash that
//! orders elements. Read at the start, in the keyspace `kvserver:state`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;

use kvcore::{BytesKeyspace, Durability};

use super::{Engine, Result, StoreError};

/// The home of each database, by index, as two bytes each, little-endian. Absent: its index.
pub(super) const HOMES_KEY: &[u8] = b"homes";
/// Sixteen random bytes.
const HASH_KEY: &[u8] = b"hash key";
pub(super) const HASH_KEY_LEN: usize = 16;

/// The homes of at least `count` databases.
pub(super) fn homes(state: &BytesKeyspace, count: usize) -> Result<Vec<usize>> {
    let mut homes = Vec::new();
    if let Some(bytes) = state.get(HOMES_KEY)? {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(StoreError::State("homes of databases"));
        }
        homes.extend(pairs.iter().map(|pair| usize::from(u16::from_le_bytes(*pair))));
        let mut sorted = homes.clone();
        sorted.sort_unstable();
        if sorted.into_iter().ne(0..homes.len()) {
            return Err(StoreError::State("homes of databases"));
        }
    }
    homes.extend(homes.len()..count.max(homes.len()));
    Ok(homes)
}

pub(super) fn homes_bytes(homes: &[usize]) -> Vec<u8> {
    let two = |home: &usize| u16::try_from(*home).unwrap_or(u16::MAX).to_le_bytes();
    homes.iter().flat_map(two).collect()
}

/// The hash's key; made if there are no elements yet.
pub(super) fn hash_key(state: &BytesKeyspace, may_make: bool) -> Result<[u8; HASH_KEY_LEN]> {
    match state.get(HASH_KEY)? {
        Some(bytes) => {
            (&bytes[..]).try_into().map_err(|_| StoreError::State("the hash key's length"))
        }
        None if may_make => {
            let mut key = [0; HASH_KEY_LEN];
            for (half, bytes) in key.chunks_mut(8).enumerate() {
                // The standard library's own hash keys come from the system's source of chance.
                bytes.copy_from_slice(&RandomState::new().hash_one(half).to_le_bytes());
            }
            state.put_with(HASH_KEY, &key, Durability::Buffered)?;
            Ok(key)
        }
        None => Err(StoreError::State("there are elements, but no hash key")),
    }
}

impl Engine {
    /// Where the databases live after these swaps: more homes than databases, if there have been
    /// more databases before.
    pub(super) fn swapped(&self, swaps: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
        let mut homes: Vec<usize> =
            self.by_index.iter().map(|home| home.load(Ordering::Acquire)).collect();
        // Homes of databases beyond the configured number keep their order.
        homes
            .extend((0..self.homes.len()).filter(|home| {
                !self.by_index.iter().any(|at| at.load(Ordering::Acquire) == *home)
            }));
        for (a, b) in swaps {
            homes.swap(a, b);
        }
        homes
    }
}

#[cfg(test)]
mod tests {
    use kvcore::{Schema, Store};

    use super::*;

    #[test]
    fn homes_are_a_permutation_that_grows_with_the_count() {
        let store = Store::in_memory().unwrap();
        let state: BytesKeyspace = store.keyspace(Schema::new("state").unordered()).unwrap();
        assert_eq!(homes(&state, 3).unwrap(), [0, 1, 2]);
        state.put(HOMES_KEY, &homes_bytes(&[1, 0])).unwrap();
        assert_eq!(homes(&state, 3).unwrap(), [1, 0, 2]);
        assert_eq!(homes(&state, 1).unwrap(), [1, 0]);
        state.put(HOMES_KEY, &homes_bytes(&[1, 1])).unwrap();
        assert!(homes(&state, 2).is_err());
    }

    #[test]
    fn the_hash_key_is_made_once_and_never_while_there_are_elements() {
        let store = Store::in_memory().unwrap();
        let state: BytesKeyspace = store.keyspace(Schema::new("state").unordered()).unwrap();
        assert!(hash_key(&state, false).is_err());
        let key = hash_key(&state, true).unwrap();
        assert_eq!(hash_key(&state, false).unwrap(), key);
    }
}
