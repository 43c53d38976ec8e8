//! PFSELFTEST: whether sketches work on this machine.

use super::{Encoding, HEADER_LEN, REGISTERS, Sketch, dense};

const CYCLES: usize = 32;
const ELEMENTS: u64 = 1_000_000;
/// Counts are off by at most so many standard errors, unless something is wrong.
const ERRORS_MAX: f64 = 6.0;

/// Fills registers with what `random` says and reads them back, then adds elements to a sparse and
/// a dense sketch, which must agree and not be far off. An error says what failed.
pub(crate) fn self_test(
    mut random: impl FnMut() -> u64,
    sparse_len_max: usize,
) -> Result<(), String> {
    let mut registers = vec![0; dense::LEN];
    for _ in 0..CYCLES {
        let counts: Vec<u8> = (0..REGISTERS).map(|_| random().to_le_bytes()[0] & 63).collect();
        counts.iter().enumerate().for_each(|(index, n)| dense::set(&mut registers, index, *n));
        for (index, count) in counts.into_iter().enumerate() {
            let found = dense::get(&registers, index);
            if found != count {
                return Err(format!("Register {index} should be {count} but is {found}"));
            }
        }
    }
    let (mut sparse, mut dense, seed) = (Sketch::empty(), Sketch::empty(), random());
    let corrupt = |_| "a sketch is corrupt".to_owned();
    dense.make_dense().map_err(corrupt)?;
    let mut checkpoint = 1;
    for n in 1..=ELEMENTS {
        let element = (n ^ seed).to_le_bytes();
        sparse.add(&element, sparse_len_max).map_err(corrupt)?;
        dense.add(&element, 0).map_err(corrupt)?;
        if n == checkpoint {
            check(n, &sparse, &dense, sparse_len_max)?;
            checkpoint *= 10;
        }
    }
    Ok(())
}

fn check(n: u64, sparse: &Sketch<'_>, dense: &Sketch<'_>, len_max: usize) -> Result<(), String> {
    let counted = dense.count().unwrap_or(u64::MAX);
    if sparse.count() != Ok(counted) {
        return Err("dense/sparse disagree".to_owned());
    }
    let few = usize::try_from(n).is_ok_and(|n| n < len_max.saturating_sub(HEADER_LEN) / 4);
    if few && sparse.encoding() != Encoding::Sparse {
        return Err("sparse encoding not used".to_owned());
    }
    let (counted, n) = (approximate(counted), approximate(n));
    let error = (counted - n).abs();
    // A collision among the first ten is not unlikely.
    let most = (1.04 / 128.0 * ERRORS_MAX * n).ceil();
    if error > most {
        return Err(format!("Too big error. card:{n} abserr:{error}"));
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "errors of parts of a percent are looked for")]
fn approximate(n: u64) -> f64 {
    n as f64
}
