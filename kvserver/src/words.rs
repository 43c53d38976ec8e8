//! The beginning and the end of a name as numbers: quick to hash and to compare.
//!
//! Pure. Does not know what names are of.

/// The first and the last eight bytes; of a shorter name some of them twice, each at least once.
/// So up to sixteen bytes are told by this and their number.
#[inline]
pub(crate) fn head_and_tail(name: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (name.first_chunk(), name.last_chunk()) {
        return (u64::from(u32::from_le_bytes(*head)), u64::from(u32::from_le_bytes(*tail)));
    }
    let byte = |at: usize| name.get(at).copied().map_or(0, u64::from);
    (byte(0) | byte(1) << 8, byte(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_up_to_sixteen_bytes_are_told_by_head_tail_and_length() {
        for len in 0..=16 {
            let name = vec![b'a'; len];
            for at in 0..len {
                let mut other = name.clone();
                other[at] = b'b';
                assert_ne!(head_and_tail(&name), head_and_tail(&other), "{len} bytes, at {at}");
            }
        }
    }
}
