//! Bytes as an array of bits: the most significant bit of the first byte is number 0.
//!
//! Pure: bytes and positions. Does not know commands, replies or where the bytes come from.
//!
//! # Invariants
//!
//! B1. No position is out of bounds: what lies beyond the end reads as 0, and is not written.

use std::ops::Range;

/// Bytes that hold a field of up to 64 bits that begins anywhere in the first one.
const WINDOW_LEN: usize = 9;

/// The byte that holds bit `at`.
pub(crate) fn byte_of(at: u64) -> usize {
    usize::try_from(at / 8).unwrap_or(usize::MAX)
}

/// The number of bits.
pub(crate) fn len(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX).saturating_mul(8)
}

/// One bit.
pub(crate) fn bit(bytes: &[u8], at: u64) -> bool {
    bytes.get(byte_of(at)).is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
}

/// Sets or clears one bit.
pub(crate) fn set_bit(bytes: &mut [u8], at: u64, on: bool) {
    let mask = 0x80 >> (at % 8);
    if let Some(byte) = bytes.get_mut(byte_of(at)) {
        *byte = if on { *byte | mask } else { *byte & !mask };
    }
}

/// The whole bytes that a range of bits touches, with masks for the first and the last of them.
struct Cut<'a> {
    first: usize,
    bytes: &'a [u8],
    head: u8,
    tail: u8,
}

impl<'a> Cut<'a> {
    fn new(bytes: &'a [u8], range: &Range<u64>) -> Option<Self> {
        let end = range.end.min(len(bytes));
        let last = end.checked_sub(1).filter(|last| range.start <= *last)?;
        let (first, head, tail) = (byte_of(range.start), range.start % 8, last % 8);
        let bytes = &bytes[first..=byte_of(last)];
        Some(Cut { first, bytes, head: 0xff >> head, tail: !(0x7f >> tail) })
    }
    /// What of the byte at this place counts.
    fn mask(&self, at: usize) -> u8 {
        let head = if at == 0 { self.head } else { 0xff };
        head & if at + 1 == self.bytes.len() { self.tail } else { 0xff }
    }
    /// The number of the bit that leads `byte`, which is at this place and not zero.
    fn leading(&self, at: usize, byte: u8) -> u64 {
        let at = u64::try_from(self.first + at).unwrap_or(u64::MAX);
        at.saturating_mul(8).saturating_add(byte.leading_zeros().into())
    }
}

/// How many bits of the range are set.
pub(crate) fn count(bytes: &[u8], range: &Range<u64>) -> u64 {
    let Some(cut) = Cut::new(bytes, range) else { return 0 };
    let (words, rest) = cut.bytes.as_chunks::<8>();
    let in_words: u64 = words.iter().map(|w| u64::from(u64::from_ne_bytes(*w).count_ones())).sum();
    let in_rest: u64 = rest.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let last = cut.bytes.len() - 1;
    let outside = |at: usize, mask: u8| u64::from((cut.bytes[at] & !mask).count_ones());
    in_words + in_rest - outside(0, cut.head) - outside(last, cut.tail)
}

/// The first bit of the range that is `on`.
pub(crate) fn first(bytes: &[u8], range: &Range<u64>, on: bool) -> Option<u64> {
    let cut = Cut::new(bytes, range)?;
    let flip = if on { 0 } else { 0xff };
    let wanted = |at: usize| (cut.bytes[at] ^ flip) & cut.mask(at);
    if wanted(0) != 0 {
        return Some(cut.leading(0, wanted(0)));
    }
    // Whole words without what is looked for are passed over; the byte is near then.
    let boring = if on { 0 } else { u64::MAX };
    let (words, _) = cut.bytes.as_chunks::<8>();
    let passed = words.iter().skip(1).take_while(|w| u64::from_ne_bytes(**w) == boring).count();
    let near = (1..cut.bytes.len().min(8)).chain((1 + passed) * 8..cut.bytes.len());
    near.map(|at| (at, wanted(at)))
        .find(|(_, byte)| *byte != 0)
        .map(|(at, byte)| cut.leading(at, byte))
}

/// The field of `width` bits, 64 at most, that begins at `at`.
pub(crate) fn field(bytes: &[u8], at: u64, width: u32) -> u64 {
    let window = window(bytes, at);
    let shift = u32::try_from(at % 8).expect("below 8");
    let value = (window << shift) >> (u128::BITS - width.clamp(1, 64));
    u64::try_from(value).expect("at most 64 bits are left")
}

/// Writes the field of `width` bits, 64 at most, that begins at `at`.
pub(crate) fn set_field(bytes: &mut [u8], at: u64, width: u32, value: u64) {
    let shift = u128::BITS - width.clamp(1, 64) - u32::try_from(at % 8).expect("below 8");
    let mask = u128::from(u64::MAX >> (64 - width.clamp(1, 64))) << shift;
    let new = (window(bytes, at) & !mask) | ((u128::from(value) << shift) & mask);
    let rest = bytes.get_mut(byte_of(at)..).unwrap_or_default();
    for (byte, new) in rest.iter_mut().zip(new.to_be_bytes()).take(WINDOW_LEN) {
        *byte = new;
    }
}

/// The bytes from that of bit `at` on, leftmost.
fn window(bytes: &[u8], at: u64) -> u128 {
    let mut window = [0; 16];
    let rest = bytes.get(byte_of(at)..).unwrap_or_default();
    let len = rest.len().min(WINDOW_LEN);
    window[..len].copy_from_slice(&rest[..len]);
    u128::from_be_bytes(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(rng: &mut fastrand::Rng) -> Vec<u8> {
        let fill = [None, Some(0), Some(0xff)][rng.usize(..3)];
        (0..rng.usize(..40))
            .map(|_| fill.filter(|_| rng.u8(..30) > 0).unwrap_or(rng.u8(..)))
            .collect()
    }

    fn ones<'a>(bytes: &'a [u8], range: &Range<u64>) -> impl Iterator<Item = (u64, bool)> + 'a {
        (range.start..range.end.min(len(bytes))).map(|at| (at, bit(bytes, at)))
    }

    #[test]
    fn counts_and_positions_are_those_found_bit_by_bit() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let bytes = random(&mut rng);
            let range = rng.u64(..350)..rng.u64(..350);
            let expected = ones(&bytes, &range).filter(|(_, on)| *on).count();
            assert_eq!(
                count(&bytes, &range),
                u64::try_from(expected).unwrap(),
                "{range:?} {bytes:?}"
            );
            for wanted in [false, true] {
                let expected = ones(&bytes, &range).find(|(_, on)| *on == wanted);
                let found = first(&bytes, &range, wanted);
                assert_eq!(found, expected.map(|(at, _)| at), "{wanted} {range:?} {bytes:?}");
            }
        }
        assert_eq!(count(&[0xff; 3], &(0..u64::MAX)), 24);
        assert_eq!(first(&[], &(0..u64::MAX), false), None);
    }

    #[test]
    fn fields_are_read_and_written_as_their_bits_say() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..5_000 {
            let mut bytes = random(&mut rng);
            let (at, width, value) = (rng.u64(..350), rng.u32(1..=64), rng.u64(..));
            let mut expected = bytes.clone();
            for n in 0..u64::from(width) {
                let on = (value >> (u64::from(width) - 1 - n)) & 1 == 1;
                set_bit(&mut expected, at + n, on);
            }
            set_field(&mut bytes, at, width, value);
            assert_eq!(bytes, expected, "{at} {width} {value}");
            let read =
                (0..u64::from(width)).fold(0, |n, i| n << 1 | u64::from(bit(&bytes, at + i)));
            assert_eq!(field(&bytes, at, width), read, "{at} {width}");
        }
    }

    #[test]
    fn b1_positions_beyond_the_end_read_as_zero_and_are_not_written() {
        let mut bytes = [0xff];
        for at in [8, 1 << 40, u64::MAX] {
            set_field(&mut bytes, at, 64, 0);
            set_bit(&mut bytes, at, false);
            assert_eq!((bit(&bytes, at), field(&bytes, at, 64)), (false, 0), "{at}");
        }
        assert_eq!((bytes, field(&bytes, 4, 8)), ([0xff], 0xf0));
    }
}
