//! Registers as runs of equal ones.
//!
//! | bytes | run |
//! |---|---|
//! | `00nnnnnn` | n + 1 registers that say 0 |
//! | `01nnnnnn nnnnnnnn` | n + 1 registers that say 0 |
//! | `1vvvvvnn` | n + 1 registers that say v + 1 |
//!
//! Bytes are not trusted (H1).

use std::borrow::Cow;
use std::fmt::Write;

use super::{HEADER_LEN, Histogram, Invalid, REGISTERS, Result};

/// Longest run of zeros in one byte.
const SHORT_MAX: usize = 64;
/// The largest value of a register, and how many of the same value fit into a byte.
const VALUE_MAX: u8 = 32;
const VALUES_MAX: u8 = 4;
const VALUE_BIT: u8 = 0x80;
const LONG_BIT: u8 = 0x40;
/// Runs in which equal neighbours are looked for after a change.
const JOINED_RUNS_MAX: usize = 5;

/// A run, and the bytes it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// 0 where nothing was seen.
    value: u8,
    registers: usize,
    len: usize,
}

impl Run {
    /// The run that `bytes` begin with.
    fn first(bytes: &[u8]) -> Result<Self> {
        let (value, registers, len) = match *bytes {
            [byte, ..] if byte & VALUE_BIT != 0 => {
                ((byte >> 2 & (VALUE_MAX - 1)) + 1, usize::from(byte & 3) + 1, 1)
            }
            [high, low, ..] if high & LONG_BIT != 0 => {
                (0, usize::from(u16::from_be_bytes([high & !LONG_BIT, low])) + 1, 2)
            }
            [byte, ..] if byte & LONG_BIT == 0 => (0, usize::from(byte) + 1, 1),
            _ => return Err(Invalid),
        };
        Ok(Run { value, registers, len })
    }
}

/// The runs, until one is cut short.
fn runs(mut bytes: &[u8]) -> impl Iterator<Item = Result<Run>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let run = Run::first(bytes);
        bytes = run.map_or(&[], |run| &bytes[run.len..]);
        Some(run)
    })
}

/// Calls `f` with every run and its first register; there must be as many registers as there are.
fn walk(bytes: &[u8], mut f: impl FnMut(usize, Run)) -> Result<()> {
    let mut first = 0;
    for run in runs(bytes) {
        let run = run?;
        if run.registers > REGISTERS - first {
            return Err(Invalid);
        }
        f(first, run);
        first += run.registers;
    }
    if first == REGISTERS { Ok(()) } else { Err(Invalid) }
}

/// Calls `f` with the registers that are not zero. Those before an invalid run are told of, too.
pub(super) fn for_each(bytes: &[u8], mut f: impl FnMut(usize, u8)) -> Result<()> {
    walk(bytes, |first, run| {
        if run.value > 0 {
            (first..first + run.registers).for_each(|index| f(index, run.value));
        }
    })
}

/// Counts the registers of each value.
pub(super) fn histogram(bytes: &[u8], histogram: &mut Histogram) -> Result<()> {
    walk(bytes, |_, run| {
        histogram[usize::from(run.value)] += u32::try_from(run.registers).unwrap_or(0);
    })
}

/// The runs as text.
pub(super) fn describe(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    for run in runs(bytes) {
        let Run { value, registers, len } = run?;
        let written = match (value, len) {
            (0, 1) => write!(text, "z:{registers} "),
            (0, _) => write!(text, "Z:{registers} "),
            _ => write!(text, "v:{value},{registers} "),
        };
        written.expect("a string takes any text");
    }
    text.truncate(text.trim_end().len());
    Ok(text)
}

/// Appends a run of zeros, in the shortest way; nothing where there are none.
pub(super) fn push_zeros(out: &mut Vec<u8>, registers: usize) {
    let Some(n) = registers.checked_sub(1).and_then(|n| u16::try_from(n).ok()) else { return };
    let [high, low] = n.to_be_bytes();
    if registers > SHORT_MAX {
        out.push(high | LONG_BIT);
    }
    out.push(low);
}

/// Appends a run of registers with the same value; nothing where there are none.
fn push_values(out: &mut Vec<u8>, value: u8, registers: usize) {
    if let Some(n) = registers.checked_sub(1).and_then(|n| u8::try_from(n).ok()) {
        out.push(VALUE_BIT | (value - 1) << 2 | n);
    }
}

/// What became of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Set {
    /// It was large enough.
    Before,
    Now,
    /// It does not fit into this encoding, or not into the bytes allowed.
    NoRoom,
}

/// Makes a register of a whole sketch `count` if it is less.
pub(super) fn raise(
    sketch: &mut Cow<'_, [u8]>,
    index: usize,
    count: u8,
    len_max: usize,
) -> Result<Set> {
    if count > VALUE_MAX {
        return Ok(Set::NoRoom);
    }
    let Place { at, before, first, run } = find(sketch, index)?;
    if run.value >= count {
        return Ok(Set::Before);
    }
    let last = first + run.registers - 1;
    let mut new = Vec::with_capacity(5);
    let push_rest = |new: &mut Vec<u8>, registers| match run.value {
        0 => push_zeros(new, registers),
        value => push_values(new, value, registers),
    };
    push_rest(&mut new, index - first);
    push_values(&mut new, count, 1);
    push_rest(&mut new, last - index);
    if new.len() > run.len && sketch.len() + new.len() - run.len > len_max {
        return Ok(Set::NoRoom);
    }
    let bytes = sketch.to_mut();
    bytes.splice(at..at + run.len, new);
    join(bytes, before.unwrap_or(HEADER_LEN));
    Ok(Set::Now)
}

/// The run that holds a register.
struct Place {
    at: usize,
    /// Where the run before it is.
    before: Option<usize>,
    first: usize,
    run: Run,
}

/// Looks at the runs up to the one that is wanted.
fn find(sketch: &[u8], index: usize) -> Result<Place> {
    let (mut at, mut before, mut first) = (HEADER_LEN, None, 0);
    for run in runs(&sketch[HEADER_LEN..]) {
        let run = run?;
        if index - first < run.registers {
            return Ok(Place { at, before, first, run });
        }
        before = Some(at);
        at += run.len;
        first += run.registers;
    }
    Err(Invalid)
}

/// Makes one run of neighbours with the same value, as far as it goes, near a change.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED_RUNS_MAX {
        let Ok(run) = Run::first(bytes.get(at..).unwrap_or_default()) else { return };
        let next = bytes.get(at + 1).filter(|byte| run.value > 0 && **byte & VALUE_BIT != 0);
        let joined = next.and_then(|next| join_pair(bytes[at], *next));
        match joined {
            Some(joined) => {
                bytes[at + 1] = joined;
                bytes.remove(at);
            }
            None => at += run.len,
        }
    }
}

/// One run instead of two of values.
fn join_pair(a: u8, b: u8) -> Option<u8> {
    let registers = (a & 3) + (b & 3) + 2;
    (a & !3 == b & !3 && registers <= VALUES_MAX).then_some(a & !3 | (registers - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hll::Sketch;

    fn runs_after(changes: &[(usize, u8)]) -> String {
        let mut sketch = Sketch::empty();
        for (index, count) in changes {
            sketch.raise(*index, *count, 3_000).unwrap();
        }
        sketch.runs().unwrap()
    }

    #[test]
    fn runs_are_split_where_a_register_changes_and_joined_with_their_neighbours() {
        assert_eq!(runs_after(&[]), "Z:16384");
        assert_eq!(runs_after(&[(0, 3)]), "v:3,1 Z:16383");
        assert_eq!(runs_after(&[(16_383, 3)]), "Z:16383 v:3,1");
        assert_eq!(runs_after(&[(64, 1), (1_000, 32)]), "z:64 v:1,1 Z:935 v:32,1 Z:15383");
        assert_eq!(runs_after(&[(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]), "v:2,4 v:2,1 Z:16379");
        assert_eq!(runs_after(&[(0, 2), (2, 2), (1, 2)]), "v:2,3 Z:16381");
        assert_eq!(runs_after(&[(0, 2), (1, 2), (2, 2), (1, 5)]), "v:2,1 v:5,1 v:2,1 Z:16381");
        assert_eq!(runs_after(&[(0, 2), (0, 1)]), "v:2,1 Z:16383");
    }

    #[test]
    fn a_run_that_is_cut_short_is_invalid() {
        for bytes in [&[0x40][..], &[0x00, 0x7f], &[0xff, 0x41]] {
            assert_eq!(runs(bytes).last(), Some(Err(Invalid)), "{bytes:?}");
            assert_eq!(describe(bytes), Err(Invalid));
        }
    }
}
