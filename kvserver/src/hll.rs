//! HyperLogLog sketches, byte for byte as Redis keeps them in strings.
//!
//! ```text
//! 0      4          5         8            16
//! +------+----------+---------+------------+-----------
//! | HYLL | encoding | 3 zeros | cardinality| registers
//! +------+----------+---------+------------+-----------
//! ```
//!
//! The encoding is 0 (dense) or 1 (sparse). The cardinality is what was counted last,
//! little-endian; its highest bit says that registers have changed since. 16,384 registers follow,
//! each the longest run of zeros, plus one, that the hash of an element with this register had.
//!
//! Pure. Does not know keys, replies or limits; bytes come from clients and are not trusted.
//!
//! # Laws
//!
//! H1. Whatever bytes a sketch has, nothing reads or writes outside them, and what they do not say
//!     of exactly 16,384 registers is [`Invalid`].
//! H2. The same elements, added in the same order with the same limit, make the same bytes as in
//!     Redis 7, and count the same.

mod dense;
mod estimate;
mod hash;
mod self_test;
mod sparse;

use std::borrow::Cow;

pub(crate) use self_test::self_test;
use sparse::Set;

/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
const REGISTERS: usize = 1 << INDEX_BITS;
const MAGIC: &[u8; 4] = b"HYLL";
const ENCODING_AT: usize = 4;
const CARDINALITY_AT: usize = 8;
const HEADER_LEN: usize = 16;
/// In the last byte of the cardinality: it is out of date.
const STALE: u8 = 0x80;
/// A dense sketch, header included.
const DENSE_LEN: usize = HEADER_LEN + dense::LEN;

const DENSE: u8 = 0;
const SPARSE: u8 = 1;

const _: () = assert!(HEADER_LEN == CARDINALITY_AT + size_of::<u64>());

/// The bytes have the header of a sketch, but do not describe its registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

type Result<T> = std::result::Result<T, Invalid>;

/// All registers, a byte each.
pub(crate) type Registers = [u8; REGISTERS];

/// How many registers have each value.
type Histogram = [u32; 64];

/// How the registers are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// 6 bits each.
    Dense,
    /// Runs of equal ones.
    Sparse,
}

impl Encoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }
    }
}

/// A sketch: the bytes of a string, copied when they change.
#[derive(Clone, Debug)]
pub(crate) struct Sketch<'a> {
    bytes: Cow<'a, [u8]>,
    encoding: Encoding,
}

impl<'a> Sketch<'a> {
    /// One that has seen nothing.
    pub(crate) fn empty() -> Self {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[..MAGIC.len()].copy_from_slice(MAGIC);
        bytes[ENCODING_AT] = SPARSE;
        sparse::push_zeros(&mut bytes, REGISTERS);
        Sketch { bytes: bytes.into(), encoding: Encoding::Sparse }
    }
    /// The sketch a string is; `None` if it does not claim to be one.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<Self> {
        if bytes.len() < HEADER_LEN || !bytes.starts_with(MAGIC) {
            return None;
        }
        let encoding = match bytes[ENCODING_AT] {
            DENSE if bytes.len() == DENSE_LEN => Encoding::Dense,
            SPARSE => Encoding::Sparse,
            _ => return None,
        };
        Some(Sketch { bytes: bytes.into(), encoding })
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Adds an element; true if a register has grown. A sparse sketch that would be longer than
    /// `sparse_len_max` bytes becomes a dense one.
    pub(crate) fn add(&mut self, element: &[u8], sparse_len_max: usize) -> Result<bool> {
        let (index, count) = hash::register(element);
        self.raise(index, count, sparse_len_max)
    }
    /// Makes a register `count` if it is less.
    fn raise(&mut self, index: usize, count: u8, sparse_len_max: usize) -> Result<bool> {
        if self.encoding == Encoding::Sparse {
            match sparse::raise(&mut self.bytes, index, count, sparse_len_max)? {
                Set::Before => return Ok(false),
                Set::Now => {
                    self.forget_cardinality();
                    return Ok(true);
                }
                Set::NoRoom => self.make_dense()?,
            };
        }
        if dense::get(self.registers(), index) >= count {
            return Ok(false);
        }
        dense::set(&mut self.bytes.to_mut()[HEADER_LEN..], index, count);
        Ok(true)
    }
    /// Makes every register as large as in `registers`, at least.
    pub(crate) fn raise_all(&mut self, registers: &Registers, sparse_len_max: usize) -> Result<()> {
        for (index, count) in registers.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.raise(index, *count, sparse_len_max)?;
        }
        Ok(())
    }
    /// Writes the registers down as dense ones; false if they are.
    pub(crate) fn make_dense(&mut self) -> Result<bool> {
        if self.encoding == Encoding::Dense {
            return Ok(false);
        }
        let mut bytes = vec![0; DENSE_LEN];
        bytes[..HEADER_LEN].copy_from_slice(&self.bytes[..HEADER_LEN]);
        bytes[ENCODING_AT] = DENSE;
        let registers = &mut bytes[HEADER_LEN..];
        sparse::for_each(self.registers(), |index, count| dense::set(registers, index, count))?;
        *self = Sketch { bytes: bytes.into(), encoding: Encoding::Dense };
        Ok(true)
    }
    /// Makes every register of `max` as large as here, at least.
    pub(crate) fn merge_into(&self, max: &mut Registers) -> Result<()> {
        let raise = |index: usize, count: u8| max[index] = max[index].max(count);
        match self.encoding {
            Encoding::Dense => {
                dense::for_each(self.registers(), raise);
                Ok(())
            }
            Encoding::Sparse => sparse::for_each(self.registers(), raise),
        }
    }

    /// The cardinality as it was counted last, if it still holds.
    pub(crate) fn cardinality(&self) -> Option<u64> {
        let bytes = self.bytes[CARDINALITY_AT..].first_chunk::<8>()?;
        (bytes[7] & STALE == 0).then(|| u64::from_le_bytes(*bytes))
    }
    /// Counts.
    pub(crate) fn count(&self) -> Result<u64> {
        let mut histogram = [0; 64];
        match self.encoding {
            Encoding::Dense => {
                dense::for_each(self.registers(), |_, count| histogram[usize::from(count)] += 1);
            }
            Encoding::Sparse => sparse::histogram(self.registers(), &mut histogram)?,
        }
        Ok(estimate::estimate(&histogram))
    }
    /// Remembers what was counted.
    pub(crate) fn set_cardinality(&mut self, count: u64) {
        self.bytes.to_mut()[CARDINALITY_AT..HEADER_LEN].copy_from_slice(&count.to_le_bytes());
    }
    /// Remembers that registers have changed.
    pub(crate) fn forget_cardinality(&mut self) {
        self.bytes.to_mut()[HEADER_LEN - 1] |= STALE;
    }
    /// The runs of a sparse sketch, for people.
    pub(crate) fn runs(&self) -> Result<String> {
        sparse::describe(self.registers())
    }

    fn registers(&self) -> &[u8] {
        &self.bytes[HEADER_LEN..]
    }
}

/// Counts what several sketches have seen together, from the largest of each register.
pub(crate) fn count_registers(registers: &Registers) -> u64 {
    let mut histogram = [0; 64];
    registers.iter().for_each(|count| histogram[usize::from(count & 63)] += 1);
    estimate::estimate(&histogram)
}

/// Registers that have seen nothing.
pub(crate) fn no_registers() -> Box<Registers> {
    Box::new([0; REGISTERS])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(elements: u32, sparse_len_max: usize) -> Sketch<'static> {
        let mut sketch = Sketch::empty();
        for n in 0..elements {
            sketch.add(&n.to_le_bytes(), sparse_len_max).unwrap();
        }
        sketch
    }
    fn registers(sketch: &Sketch<'_>) -> Box<Registers> {
        let mut registers = no_registers();
        sketch.merge_into(&mut registers).unwrap();
        registers
    }

    #[test]
    fn an_empty_sketch_counts_zero_and_is_eighteen_bytes() {
        let sketch = Sketch::empty();
        assert_eq!(sketch.bytes(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!((sketch.cardinality(), sketch.count()), (Some(0), Ok(0)));
    }

    #[test]
    fn both_encodings_count_the_same_and_hold_the_same_registers() {
        for elements in [1, 10, 100, 1_000, 10_000] {
            let (sparse, dense) = (filled(elements, usize::MAX), filled(elements, 0));
            assert_eq!(sparse.encoding(), Encoding::Sparse);
            assert_eq!(dense.encoding(), Encoding::Dense);
            assert_eq!(registers(&sparse), registers(&dense), "{elements}");
            assert_eq!(sparse.count(), dense.count(), "{elements}");
            assert_eq!(count_registers(&registers(&dense)), dense.count().unwrap());
            let mut made = sparse.clone();
            assert_eq!(made.make_dense(), Ok(true));
            assert_eq!(made.bytes()[HEADER_LEN..], dense.bytes()[HEADER_LEN..]);
        }
    }

    #[test]
    fn counts_stay_within_six_standard_errors() {
        let mut sketch = Sketch::empty();
        let mut added = 0u32;
        for elements in [100, 1_000, 10_000, 100_000] {
            while added < elements {
                added += 1;
                sketch.add(&added.to_le_bytes(), 3_000).unwrap();
            }
            let error = sketch.count().unwrap().abs_diff(elements.into());
            assert!(error <= u64::from(elements) * 6 / 123 + 1, "{elements}: off by {error}");
        }
    }

    #[test]
    fn h1_hostile_bytes_are_refused_or_stay_within_their_sketch() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let bases = [Sketch::empty(), filled(50, 3_000), filled(2_000, 9_000), filled(50, 0)];
        for n in 0..4_000 {
            let mut bytes = bases[n % bases.len()].bytes().to_vec();
            for _ in 0..rng.usize(1..6) {
                match rng.u8(..4) {
                    0 => bytes.push(rng.u8(..)),
                    1 => bytes.truncate(rng.usize(HEADER_LEN..=bytes.len())),
                    _ => {
                        let at = rng.usize(..bytes.len());
                        bytes[at] = rng.u8(..);
                    }
                }
            }
            let Some(mut sketch) = Sketch::of(&bytes) else { continue };
            let valid = sketch.merge_into(&mut no_registers());
            assert_eq!(sketch.count().is_ok(), valid.is_ok());
            assert_eq!(sketch.clone().make_dense().is_ok(), valid.is_ok());
            for _ in 0..20 {
                let added = sketch.add(&rng.u64(..).to_le_bytes(), rng.usize(..4_000));
                assert!(added.is_ok() || valid.is_err(), "{bytes:?}");
            }
        }
    }

    #[test]
    fn h1_runs_that_sum_up_to_more_registers_than_any_counter_holds_are_invalid() {
        let mut bytes = Sketch::empty().bytes()[..HEADER_LEN].to_vec();
        bytes.extend(std::iter::repeat_n([0x7f, 0xff], 1 << 18).flatten());
        bytes.push(0xff);
        let sketch = Sketch::of(&bytes).unwrap();
        assert_eq!(sketch.merge_into(&mut no_registers()), Err(Invalid));
        assert_eq!(sketch.count(), Err(Invalid));
        assert_eq!(sketch.clone().make_dense(), Err(Invalid));
    }
}
