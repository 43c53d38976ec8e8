//! From registers to a cardinality: the improved estimator of Otmar Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches" (arXiv:1702.01284), as Redis computes it.
//!
//! The order of the operations is part of the result: each rounds.

use super::{Histogram, INDEX_BITS, REGISTERS};

/// The largest run a hash can have but one.
const RUN_MAX: usize = (u64::BITS - INDEX_BITS) as usize;
/// 1 / (2 ln 2).
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// The number of different elements that left these registers.
pub(super) fn estimate(histogram: &Histogram) -> u64 {
    let m = f64::from(u32::try_from(REGISTERS).expect("16,384 fits"));
    let share = |count: f64| count / m;
    let mut z = m * tau(share(m - f64::from(histogram[RUN_MAX + 1])));
    for count in histogram[1..=RUN_MAX].iter().rev() {
        z += f64::from(*count);
        z *= 0.5;
    }
    z += m * sigma(share(f64::from(histogram[0])));
    round(ALPHA * m * m / z)
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before >= z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before <= z {
            return z / 3.0;
        }
    }
}

/// To the nearest integer. Registers that no elements can leave have no finite cardinality: what
/// processors make of infinity.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
fn round(cardinality: f64) -> u64 {
    const TOO_LARGE: u64 = 1 << 63;
    let rounded = cardinality.round();
    if (0.0..9.2e18).contains(&rounded) { rounded as u64 } else { TOO_LARGE }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_elements_are_counted_exactly() {
        let mut histogram = [0; 64];
        for elements in 0..200 {
            histogram[0] = 16_384 - elements;
            histogram[1] = elements / 2;
            histogram[2] = elements - elements / 2;
            assert!(estimate(&histogram).abs_diff(elements.into()) <= 1, "{elements}");
        }
    }

    #[test]
    fn registers_that_nothing_can_leave_have_an_estimate_all_the_same() {
        for full in [51, 52, 63] {
            let mut histogram = [0; 64];
            histogram[full] = 16_384;
            assert_eq!(estimate(&histogram), 1 << 63, "{full}");
        }
    }
}
