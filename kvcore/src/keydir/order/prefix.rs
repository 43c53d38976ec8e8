//! Comparing keys by eight of their bytes.
//!
//! A *head* is the eight bytes of a key behind the `skip` bytes that all keys of a node share,
//! as a big-endian number, padded with zeros. Different heads order their keys; equal heads say
//! nothing, because a missing byte and a zero byte look alike.
//!
//! Pure functions; know no nodes.

const HEAD_BYTES: usize = size_of::<u64>();

/// The head of a key that is at least `skip` bytes long.
#[inline]
pub(super) fn head(key: &[u8], skip: usize) -> u64 {
    let rest = &key[skip..];
    if let Some(bytes) = rest.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; HEAD_BYTES];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes)
}

/// The head at a smaller skip, made from the one at `from`; `shared` begins with the `from` bytes
/// that are skipped there.
pub(super) fn lowered(head: u64, shared: &[u8], from: usize, to: usize) -> u64 {
    let front = self::head(&shared[..from], to);
    let bytes = from - to;
    if bytes >= HEAD_BYTES { front } else { front | head >> (8 * bytes) }
}

/// How many leading bytes two keys share.
pub(super) fn shared_len(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The shortest key above `left` and not above `right`, where `left` is below `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Vec<u8> {
    right[..=shared_len(left, right)].to_vec()
}

/// The same from the heads alone, if they differ; `shared` begins with the skipped bytes.
pub(super) fn separator_of_heads(
    left: u64,
    right: u64,
    shared: &[u8],
    skip: usize,
) -> Option<Vec<u8>> {
    if left == right {
        return None;
    }
    // The first differing byte of `right` is not zero, so it and all before it are its own.
    let bytes = (left ^ right).leading_zeros() / 8 + 1;
    let bytes = usize::try_from(bytes).expect("at most eight");
    Some([&shared[..skip], &right.to_be_bytes()[..bytes]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowered_head_is_the_head_at_the_smaller_skip() {
        let key: Vec<u8> = (1..=40).collect();
        for len in 0..40 {
            for from in 0..=len {
                for to in 0..=from {
                    let key = &key[..len];
                    assert_eq!(lowered(head(key, from), key, from, to), head(key, to));
                }
            }
        }
    }

    #[test]
    fn separator_lies_between_its_neighbours_also_if_made_from_heads() {
        let keys: [&[u8]; 9] =
            [b"", b"\0", b"\0\0", b"\0\x01", b"a", b"a\0", b"a\0b", b"ab", b"abcdefghijk"];
        for (at, left) in keys.iter().enumerate() {
            for right in &keys[at + 1..] {
                let found = separator(left, right);
                assert!(*left < &found[..] && &found[..] <= *right, "{left:?} {right:?}");
                if let Some(found) = separator_of_heads(head(left, 0), head(right, 0), b"", 0) {
                    assert!(*left < &found[..] && &found[..] <= *right, "{left:?} {right:?}");
                }
            }
        }
    }
}
