//! Unsigned integers in as few bytes as they need: LEB128, seven bits a byte, low bits first.
//!
//! # Invariants
//!
//! V1. Every number has exactly one encoding; a longer one does not decode.

/// Bytes of the longest `u32`.
pub(crate) const U32_LEN_MAX: usize = 5;

const MORE: u8 = 0x80;
const BITS: u32 = 7;

/// How many bytes `n` takes.
#[inline]
pub(crate) fn len(n: u32) -> usize {
    match n {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        0x20_0000..=0xfff_ffff => 4,
        _ => U32_LEN_MAX,
    }
}

/// Appends `n`.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut n: u32) {
    loop {
        let low = n.to_le_bytes()[0];
        n >>= BITS;
        if n == 0 {
            return out.push(low & !MORE);
        }
        out.push(low | MORE);
    }
}

/// Takes a number off the front of `bytes`; `None` if it is cut off, too large or padded.
#[inline]
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u32> {
    let (&first, rest) = bytes.split_first()?;
    if first & MORE == 0 {
        *bytes = rest;
        return Some(u32::from(first));
    }
    // Two bytes without a call: lengths of most values.
    let (&second, rest) = rest.split_first()?;
    if second & MORE == 0 && second != 0 {
        *bytes = rest;
        return Some(u32::from(first & !MORE) | u32::from(second) << BITS);
    }
    take_long(bytes)
}

#[cold]
fn take_long(bytes: &mut &[u8]) -> Option<u32> {
    let mut n = 0_u64;
    for (at, &byte) in bytes.iter().take(U32_LEN_MAX).enumerate() {
        n |= u64::from(byte & !MORE) << (BITS * u32::try_from(at).ok()?);
        if byte & MORE == 0 {
            *bytes = &bytes[at + 1..];
            // A zero in the last byte is padding (V1).
            return if byte == 0 { None } else { u32::try_from(n).ok() };
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(n: u32) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, n);
        out
    }

    #[test]
    fn every_width_round_trips_and_has_the_length_foretold() {
        let edges = (0..32).map(|bit| 1_u32 << bit).chain([0, u32::MAX]);
        for n in edges.flat_map(|n| [n, n.wrapping_sub(1), n.wrapping_add(1)]) {
            let bytes = encoded(n);
            let mut rest = bytes.as_slice();
            assert_eq!((take(&mut rest), rest.len(), bytes.len()), (Some(n), 0, len(n)), "{n}");
        }
    }

    #[test]
    fn v1_padded_cut_and_oversized_numbers_do_not_decode() {
        let bad: [&[u8]; 6] = [
            &[],
            &[0x80],
            &[0x80, 0x00],
            &[0xff, 0x80, 0x00],
            &[0xff, 0xff, 0xff, 0xff, 0x10],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
        ];
        for bytes in bad {
            assert_eq!(take(&mut &*bytes), None, "{bytes:x?}");
        }
    }
}
