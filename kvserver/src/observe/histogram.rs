//! How often a command took how long, in buckets that grow with the time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Each power of two is divided into this many.
const PARTS: u32 = 4;
/// Times of up to 2^42 ns, more than an hour.
const BUCKETS: usize = 41 * PARTS as usize;

/// Counts of calls by duration; a bucket is at most a quarter wider than where it begins.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram { counts: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

/// The bucket of a time.
#[inline]
fn bucket_of(ns: u64) -> usize {
    let ns = ns.max(u64::from(PARTS));
    let power = ns.ilog2();
    let part = (ns >> (power - PARTS.ilog2())) - u64::from(PARTS);
    let bucket = (power - PARTS.ilog2()) * PARTS + u32::try_from(part).unwrap_or(0);
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The longest time of a bucket, in nanoseconds.
fn end_of(bucket: usize) -> u64 {
    let (power, part) = (bucket / PARTS as usize, bucket % PARTS as usize);
    ((PARTS as u64 + part as u64 + 1) << power) - 1
}

impl Histogram {
    /// Counts one call. Only one thread calls this of one histogram at a time.
    #[inline]
    pub(crate) fn add(&self, ns: u64) {
        let count = &self.counts[bucket_of(ns)];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }
    pub(crate) fn calls(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Relaxed)).sum()
    }
    pub(crate) fn merge(&self, other: &Histogram) {
        for (own, other) in self.counts.iter().zip(&other.counts) {
            own.fetch_add(other.load(Relaxed), Relaxed);
        }
    }
    pub(crate) fn reset(&self) {
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
    }
    /// The time in microseconds that this share of calls, in percent, did not exceed.
    pub(crate) fn percentile_us(&self, percent: f64) -> f64 {
        let (calls, mut seen) = (self.calls(), 0);
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count.load(Relaxed);
            if seen > 0 && seen as f64 >= calls as f64 * percent / 100.0 {
                return end_of(bucket) as f64 / 1_000.0;
            }
        }
        0.0
    }
    /// Powers of two of microseconds, each with how many calls took no longer; from the first that
    /// has a call to the first that has them all.
    pub(crate) fn by_microseconds(&self) -> Vec<(u64, u64)> {
        let (calls, mut steps) = (self.calls(), Vec::new());
        for power in 0..u64::BITS - 1 {
            let us = 1u64 << power;
            let within = |(bucket, _): &(usize, &AtomicU64)| end_of(*bucket) / 1_000 < us;
            let counts = self.counts.iter().enumerate().filter(within);
            let seen: u64 = counts.map(|(_, count)| count.load(Relaxed)).sum();
            if seen > 0 {
                steps.push((us, seen));
            }
            if seen == calls {
                break;
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_ends_at_most_a_quarter_behind_what_is_in_it() {
        for ns in (0..60_000).chain([1 << 30, (1 << 40) + 17]) {
            let end = end_of(bucket_of(ns));
            assert!(end >= ns && end <= ns + ns / 4 + 4, "{ns} in a bucket that ends at {end}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_and_steps_count_every_call() {
        let histogram = Histogram::default();
        for us in [1, 1, 1, 1, 1, 1, 1, 1, 1, 300] {
            histogram.add(us * 1_000);
        }
        assert_eq!(histogram.calls(), 10);
        assert!((1.0..1.3).contains(&histogram.percentile_us(50.0)));
        assert!((300.0..375.0).contains(&histogram.percentile_us(99.0)));
        assert_eq!(histogram.by_microseconds().first(), Some(&(2, 9)));
        assert_eq!(histogram.by_microseconds().last(), Some(&(512, 10)));
        histogram.reset();
        assert_eq!((histogram.calls(), histogram.by_microseconds()), (0, Vec::new()));
    }
}
