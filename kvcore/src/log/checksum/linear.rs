//! What bytes add to a checksum when only zeros follow them, looked up instead of computed.
//!
//! Knows CRC-32C as arithmetic; knows no places.
//!
//! A CRC's register is linear in what went into it: the register after some bytes is the one after
//! as many zeros, xor what each byte by itself leaves there. So what is always as far from the end
//! takes four look-ups and no call, where a call takes some 150 instructions whatever it covers.
//!
//! # Invariants
//!
//! N1. `Behind::new(zeros)` gives what the register holds after four bytes and that many zeros, if
//!     it held zero before them; or, what is the same, after four more zeros, if it held the bytes.

use std::fmt;

/// CRC-32C's polynomial, bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Four bytes' worth of a register, each by itself, some zeros later.
#[derive(PartialEq, Eq)]
pub(super) struct Behind([[u32; 256]; 4]);

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Behind").finish_non_exhaustive()
    }
}

impl Behind {
    /// The last of the four bytes has this many zeros behind it.
    pub(super) fn new(zeros: usize) -> Behind {
        Behind([row(zeros + 3), row(zeros + 2), row(zeros + 1), row(zeros)])
    }

    /// The register that four bytes leave.
    #[inline]
    pub(super) fn of(&self, bytes: u32) -> u32 {
        let [first, second, third, fourth] = bytes.to_le_bytes();
        let Behind(rows) = self;
        rows[0][usize::from(first)]
            ^ rows[1][usize::from(second)]
            ^ rows[2][usize::from(third)]
            ^ rows[3][usize::from(fourth)]
    }
}

/// The register after each byte and this many zeros: put together from those of single bits.
fn row(zeros: usize) -> [u32; 256] {
    let mut row = [0; 256];
    for (at, byte) in (0..256).zip(0_u32..).skip(1) {
        let others: usize = at & (at - 1);
        row[at] = if others == 0 { after(byte, zeros) } else { row[others] ^ row[at ^ others] };
    }
    row
}

/// The register after a byte and this many zeros.
fn after(byte: u32, zeros: usize) -> u32 {
    (0..8 * (zeros + 1))
        .fold(byte, |register, _| register >> 1 ^ if register & 1 == 0 { 0 } else { POLYNOMIAL })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n1_four_bytes_leave_what_the_checksum_of_them_and_zeros_says() {
        let mut rng = fastrand::Rng::with_seed(7);
        for (zeros, behind) in [(0, Behind::new(0)), (1, Behind::new(1)), (20, Behind::new(20))] {
            for _ in 0..500 {
                let number = rng.u32(..);
                let mut bytes = number.to_le_bytes().to_vec();
                bytes.resize(bytes.len() + zeros, 0);
                // The register is told inverted.
                let register = !crc32c::crc32c_append(u32::MAX, &bytes);
                assert_eq!(behind.of(number), register, "{number:#x} before {zeros} zeros");
            }
        }
    }
}
