//! Zipfian choice, as YCSB makes it: the method of Gray et al., "Quickly generating
//! billion-record synthetic databases" (1994), then scattered so that hot keys are anywhere.

use crate::data::mix;

/// The constant of YCSB.
const THETA: f64 = 0.99;

/// Chooses among `n` indices, few of them often.
#[derive(Debug)]
pub struct Zipf {
    n: u32,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    /// Costs time proportional to `n`, which is at least 2.
    pub fn new(n: u32) -> Zipf {
        let zeta: f64 = (1..=n).map(|i| 1.0 / f64::from(i).powf(THETA)).sum();
        let zeta_2 = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / f64::from(n)).powf(1.0 - THETA)) / (1.0 - zeta_2 / zeta);
        Zipf { n, alpha: 1.0 / (1.0 - THETA), zeta, eta }
    }

    /// The next index.
    pub fn next(&self, rng: &mut fastrand::Rng) -> u32 {
        let rank = self.rank(rng.f64());
        u32::try_from(mix(rank) % u64::from(self.n)).expect("less than n")
    }

    /// The next index where the lowest are the most frequent.
    pub fn next_rank(&self, rng: &mut fastrand::Rng) -> u32 {
        u32::try_from(self.rank(rng.f64())).unwrap_or(u32::MAX).min(self.n - 1)
    }

    /// 0 is the most frequent.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the power is in 0.0..=1.0, so the product is in 0..=n"
    )]
    fn rank(&self, u: f64) -> u64 {
        let uz = u * self.zeta;
        if uz < 1.0 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(THETA) {
            return 1;
        }
        (f64::from(self.n) * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_keys_gets_most_of_the_writes() {
        let (zipf, mut rng) = (Zipf::new(1_000), fastrand::Rng::with_seed(3));
        let mut hits = vec![0u32; 1_000];
        for _ in 0..100_000 {
            let index = zipf.next(&mut rng);
            hits[usize::try_from(index).unwrap()] += 1;
        }
        hits.sort_unstable_by(|a, b| b.cmp(a));
        let hot: u32 = hits[..200].iter().sum();
        assert!((70_000..95_000).contains(&hot), "{hot}");
    }
}
