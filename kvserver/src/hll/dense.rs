//! Registers of 6 bits each, the first in the lowest bits of the first byte.
//!
//! Every function takes [`LEN`] bytes.

use super::REGISTERS;

const BITS: usize = 6;
const MAX: u8 = (1 << BITS) - 1;
/// Bytes of all registers.
pub(super) const LEN: usize = REGISTERS * BITS / 8;

/// The byte a register begins in, and the bit there.
fn place(index: usize) -> (usize, usize) {
    (index * BITS / 8, index * BITS % 8)
}

pub(super) fn get(registers: &[u8], index: usize) -> u8 {
    let (at, bit) = place(index);
    let next = registers.get(at + 1).copied().unwrap_or_default();
    let [low, _] = (u16::from_le_bytes([registers[at], next]) >> bit).to_le_bytes();
    low & MAX
}

/// `count` is [`MAX`] at most.
pub(super) fn set(registers: &mut [u8], index: usize, count: u8) {
    let (at, bit) = place(index);
    let next = registers.get(at + 1).copied().unwrap_or_default();
    let pair = u16::from_le_bytes([registers[at], next]) & !(u16::from(MAX) << bit);
    let [low, high] = (pair | (u16::from(count & MAX) << bit)).to_le_bytes();
    registers[at] = low;
    if let Some(next) = registers.get_mut(at + 1) {
        *next = high;
    }
}

/// Calls `f` with every register: its index and what it says.
pub(super) fn for_each(registers: &[u8], mut f: impl FnMut(usize, u8)) {
    // Three bytes are four registers.
    for (group, &[a, b, c]) in registers.as_chunks::<3>().0.iter().enumerate() {
        let four = [a, a >> 6 | b << 2, b >> 4 | c << 4, c >> 2];
        for (n, count) in four.into_iter().enumerate() {
            f(group * 4 + n, count & MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_independent_of_their_neighbours() {
        let mut registers = vec![0; LEN];
        let count = |index: usize| u8::try_from(index * 7 % 64).unwrap();
        for fill in [0, MAX] {
            (0..REGISTERS).for_each(|index| set(&mut registers, index, fill));
            (0..REGISTERS).step_by(3).for_each(|index| set(&mut registers, index, count(index)));
            let mut seen = 0;
            for_each(&registers, |index, found| {
                let expected = if index % 3 == 0 { count(index) } else { fill };
                assert_eq!((index, found, get(&registers, index)), (seen, expected, expected));
                seen += 1;
            });
            assert_eq!(seen, REGISTERS);
        }
    }
}
