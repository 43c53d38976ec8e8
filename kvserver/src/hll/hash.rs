//! The hash that sketches rest on: MurmurHash2 for 64 bits, version A, with Redis' seed.

use super::{INDEX_BITS, REGISTERS};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// The register of an element, and what it says there: 51 at most.
pub(super) fn register(element: &[u8]) -> (usize, u8) {
    let hash = hash(element);
    let index = usize::try_from(hash).unwrap_or_default() & (REGISTERS - 1);
    // A bit behind the last one bounds the run.
    let rest = (hash >> INDEX_BITS) | (1 << (u64::BITS - INDEX_BITS));
    (index, u8::try_from(rest.trailing_zeros() + 1).expect("51 at most"))
}

fn hash(bytes: &[u8]) -> u64 {
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = SEED ^ len.wrapping_mul(MULTIPLIER);
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        let word = (word ^ (word >> SHIFT)).wrapping_mul(MULTIPLIER);
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> SHIFT)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> SHIFT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_a_register_and_a_run_of_1_to_51() {
        for n in 0..100_000u32 {
            let (index, count) = register(&n.to_le_bytes());
            assert!(index < REGISTERS && (1..=51).contains(&count), "{n}: {index} {count}");
        }
    }

    #[test]
    fn bytes_behind_the_last_word_count_and_so_does_the_length() {
        let hashes = [&b""[..], b"\0", b"\0\0", b"abcdefgh", b"abcdefgh\0", b"abcdefgi"];
        let hashes: std::collections::HashSet<u64> = hashes.into_iter().map(hash).collect();
        assert_eq!(hashes.len(), 6);
    }
}
