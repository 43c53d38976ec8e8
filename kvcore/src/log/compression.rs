//! Compressed values: the stored bytes of a put with that flag.
//!
//! ```text
//! length of the value v | LZ4 block
//! ```
//!
//! Knows bytes. The block format is LZ4's (without frame, dictionary or checksum: the record has
//! one); the crate behind it is there with the feature `lz4`.
//!
//! # Invariants
//!
//! Z1. What is stored compressed is shorter than the value, and unpacks to exactly it.
//! Z2. Nothing is allocated for a length that the bytes in hand cannot hold: an LZ4 block unpacks
//!     to at most 255 times its length.

/// Shorter values are stored as they are, in bytes: there is too little to find in them.
#[cfg(feature = "lz4")]
const COMPRESSED_LEN_MIN: usize = 32;

/// Whether this build compresses and unpacks.
pub(crate) const IS_BUILT: bool = cfg!(feature = "lz4");

/// Why stored bytes do not unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnpackError {
    /// They may be fine.
    #[cfg_attr(feature = "lz4", expect(dead_code, reason = "said by builds without the feature"))]
    #[error("the value is compressed, and this build lacks the feature `lz4`")]
    NotBuilt,
    #[cfg_attr(not(feature = "lz4"), expect(dead_code, reason = "nothing is looked at then"))]
    #[error("the compressed value does not unpack: {what}")]
    Damaged { what: &'static str },
}

/// The stored bytes for a value, made in `out`; `None` if they would not be shorter (Z1).
#[cfg(feature = "lz4")]
pub(crate) fn compress<'a>(value: &[u8], out: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    use super::varint;
    out.clear();
    let len = u32::try_from(value.len()).ok()?;
    if value.len() < COMPRESSED_LEN_MIN {
        return None;
    }
    varint::put(out, len);
    let head = out.len();
    out.resize(head + lz4_flex::block::get_maximum_output_size(value.len()), 0);
    let packed = lz4_flex::block::compress_into(value, &mut out[head..]).ok()?;
    out.truncate(head + packed);
    (out.len() < value.len()).then_some(out.as_slice())
}

/// Without the feature nothing is compressed.
#[cfg(not(feature = "lz4"))]
pub(crate) fn compress<'a>(_: &[u8], _: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    None
}

/// The value of stored bytes.
#[cfg(feature = "lz4")]
pub(crate) fn unpack(stored: &[u8]) -> Result<Vec<u8>, UnpackError> {
    const RATIO_MAX: usize = 255;
    let damaged = |what| UnpackError::Damaged { what };
    let mut block = stored;
    let len = super::varint::take(&mut block).and_then(|len| usize::try_from(len).ok());
    let len = len.ok_or(damaged("its length is no number"))?;
    if len / RATIO_MAX > block.len() {
        return Err(damaged("its length is impossible"));
    }
    let mut value = vec![0; len];
    match lz4_flex::block::decompress_into(block, &mut value) {
        Ok(unpacked) if unpacked == len => Ok(value),
        Ok(_) => Err(damaged("it is shorter than it says")),
        Err(_) => Err(damaged("its bytes are not an LZ4 block of that length")),
    }
}

/// Without the feature nothing is unpacked.
#[cfg(not(feature = "lz4"))]
pub(crate) fn unpack(_: &[u8]) -> Result<Vec<u8>, UnpackError> {
    Err(UnpackError::NotBuilt)
}

#[cfg(all(test, feature = "lz4"))]
mod tests {
    use super::*;
    use crate::log::record::tests::hex;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn z1_what_is_compressed_is_shorter_and_unpacks_to_the_value(
            pieces in prop::collection::vec((any::<u8>(), 0_usize..200), 0..40),
            noise in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut value: Vec<u8> =
                pieces.into_iter().flat_map(|(byte, n)| std::iter::repeat_n(byte, n)).collect();
            value.extend_from_slice(&noise);
            let mut out = vec![7; 10];
            if let Some(stored) = compress(&value, &mut out) {
                prop_assert!(stored.len() < value.len());
                prop_assert_eq!(unpack(stored), Ok(value));
            }
        }

        #[test]
        fn z2_any_bytes_unpack_to_something_bounded_or_are_an_error(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Ok(value) = unpack(&bytes) {
                prop_assert!(value.len() <= 255 * (bytes.len() + 1));
            }
        }

        #[test]
        fn changed_bytes_unpack_to_something_of_the_same_length_or_are_an_error(
            at in 0_usize..200,
            bit in 0_u8..8,
        ) {
            let value: Vec<u8> = (0..2_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
            let mut out = Vec::new();
            let mut stored = compress(&value, &mut out).unwrap().to_vec();
            let at = 2 + at % (stored.len() - 2);
            stored[at] ^= 1 << bit;
            if let Ok(found) = unpack(&stored) {
                prop_assert_eq!(found.len(), value.len());
            }
        }
    }

    #[test]
    fn short_and_random_values_are_not_compressed() {
        let mut out = Vec::new();
        assert_eq!(compress(&[0; 31], &mut out), None);
        assert!(compress(&[0; 32], &mut out).is_some());
        let mut random = fastrand::Rng::with_seed(20_261_120);
        let noise: Vec<u8> = (0..10_000).map(|_| random.u8(..)).collect();
        assert_eq!(compress(&noise, &mut out), None);
    }

    #[test]
    fn z2_a_length_that_the_bytes_cannot_hold_allocates_nothing() {
        let stored = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
        let found = unpack(&stored);
        assert_eq!(found, Err(UnpackError::Damaged { what: "its length is impossible" }));
        assert!(unpack(&[]).is_err() && unpack(&[5]).is_err());
    }

    #[test]
    fn golden_bytes_of_a_compressed_value_unpack_for_ever() {
        // 40 times `a`: one literal, then a match at distance 1, then five literals.
        let golden = [0x28, 0x1f, b'a', 1, 0, 0x0f, 0x50, b'a', b'a', b'a', b'a', b'a'];
        assert_eq!(unpack(&golden), Ok(vec![b'a'; 40]), "{}", hex(&golden));
    }
}
