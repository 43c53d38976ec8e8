//! Times as counts per power of two: coarse, small, and counted without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Powers of two of microseconds: below 1 µs, below 2 µs, and so on; the last one is everything
/// from 2^30 µs (18 minutes) on.
const BUCKETS: usize = 32;

/// How long something took, as counts per power of two of microseconds.
///
/// Bucket 0 counts what took less than 1 µs, bucket *n* what took from 2^(n−1) to less than 2^n µs,
/// the last one whatever took longer. So a figure taken from it is exact within a factor of two,
/// which is enough to tell a drive's cache from its platters.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?; // one sync
/// let latencies = store.stats().sync_latencies;
/// for (bucket, n) in latencies.buckets().iter().enumerate().filter(|(_, n)| **n > 0) {
///     println!("{n} below {:?}", kvcore::Latencies::bucket_end(bucket));
/// }
/// assert!(latencies.count() > 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: [u64; BUCKETS],
}

impl Latencies {
    /// The counts, by bucket.
    ///
    /// ```
    /// let latencies = kvcore::Latencies::default();
    /// assert_eq!(latencies.buckets().len(), 32);
    /// ```
    #[must_use]
    pub fn buckets(&self) -> &[u64] {
        &self.counts
    }

    /// The time that everything in a bucket took less than.
    ///
    /// ```
    /// use kvcore::Latencies;
    /// use std::time::Duration;
    /// assert_eq!(Latencies::bucket_end(0), Duration::from_micros(1));
    /// assert_eq!(Latencies::bucket_end(10), Duration::from_micros(1_024));
    /// ```
    #[must_use]
    pub fn bucket_end(bucket: usize) -> Duration {
        let bits = u32::try_from(bucket).unwrap_or(u32::MAX);
        Duration::from_micros(1_u64.checked_shl(bits).unwrap_or(u64::MAX))
    }

    /// How many were measured.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let before = store.stats().sync_latencies.count();
    /// users.put("ada", &36)?;
    /// assert!(store.stats().sync_latencies.count() > before);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A time that this part of all (0 to 1) took less than; none if there are none.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// assert_eq!(store.stats().sync_latencies.quantile(0.5), None);
    /// users.put("ada", &36)?; // synced
    /// let latencies = store.stats().sync_latencies;
    /// assert!(latencies.quantile(0.5) <= latencies.quantile(0.99));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let mut seen = 0;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen as f64 >= part * count as f64 && seen > 0 {
                return Some(Self::bucket_end(bucket));
            }
        }
        Some(Self::bucket_end(BUCKETS - 1))
    }
}

/// The same while it is being counted.
#[derive(Debug, Default)]
pub(crate) struct LatencyCounters {
    counts: [AtomicU64; BUCKETS],
}

impl LatencyCounters {
    pub(crate) fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bits = usize::try_from(u64::BITS - us.leading_zeros()).unwrap_or(BUCKETS);
        self.counts[bits.min(BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> Latencies {
        let counts = std::array::from_fn(|bucket| self.counts[bucket].load(Ordering::Relaxed));
        Latencies { counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_holds_what_took_less_than_its_end_and_not_less_than_the_one_before() {
        for us in [0, 1, 2, 3, 4, 1_000, 1_024, (1 << 30) - 1, 1 << 30, u64::MAX] {
            let counters = LatencyCounters::default();
            let took = Duration::from_micros(us);
            counters.add(took);
            let latencies = counters.load();
            let bucket = latencies.buckets().iter().position(|n| *n == 1).unwrap();
            assert!(took < Latencies::bucket_end(bucket) || bucket == BUCKETS - 1, "{us}");
            assert!(bucket == 0 || took >= Latencies::bucket_end(bucket - 1), "{us}");
        }
    }

    #[test]
    fn quantiles_name_the_end_of_the_bucket_they_fall_into() {
        let counters = LatencyCounters::default();
        assert_eq!(counters.load().quantile(0.5), None);
        (0..99).for_each(|_| counters.add(Duration::from_micros(3)));
        counters.add(Duration::from_millis(3));
        let latencies = counters.load();
        assert_eq!(latencies.count(), 100);
        assert_eq!(latencies.quantile(0.0), Some(Duration::from_micros(4)));
        assert_eq!(latencies.quantile(0.99), Some(Duration::from_micros(4)));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_micros(4_096)));
    }
}
