//! Latencies of single operations, as a histogram that travels between processes.

use serde::{Deserialize, Serialize};

/// Three significant digits, any length of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Histogram {
        let histogram = hdrhistogram::Histogram::new(3);
        Histogram(histogram.expect("three digits are allowed"))
    }
}

impl From<Vec<(u64, u64)>> for Histogram {
    fn from(counts: Vec<(u64, u64)>) -> Histogram {
        let mut histogram = Histogram::default();
        for (ns, count) in counts {
            histogram.0.record_n(ns, count).expect("a histogram that grows takes any u64");
        }
        histogram
    }
}

impl From<Histogram> for Vec<(u64, u64)> {
    fn from(histogram: Histogram) -> Vec<(u64, u64)> {
        let recorded = histogram.0.iter_recorded();
        recorded.map(|v| (v.value_iterated_to(), v.count_at_value())).collect()
    }
}

impl Histogram {
    /// Adds one operation.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.0.record(ns).expect("a histogram that grows takes any u64");
    }

    /// Adds those of another.
    pub fn add(&mut self, other: &Histogram) {
        self.0 += &other.0;
    }

    /// How many operations there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time within which this share of the operations ended, in microseconds.
    pub fn quantile_us(&self, share: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(share) as f64 / 1e3)
    }

    /// p50, p99 and p99.9, in microseconds.
    pub fn percentiles_us(&self) -> Option<[f64; 3]> {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| self.quantile_us(share));
        Some([p50?, p99?, p999?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_survive_the_way_between_processes() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles_us(), None);
        for us in 1..=1_000 {
            histogram.record(us * 1_000);
        }
        histogram.record(3_600_000_000_000);
        let json = serde_json::to_string(&histogram).unwrap();
        let read: Histogram = serde_json::from_str(&json).unwrap();
        assert_eq!(read.len(), 1_001);
        assert_eq!(read.percentiles_us(), histogram.percentiles_us());
        let [p50, p99, p999] = read.percentiles_us().unwrap();
        assert!((499.0..503.0).contains(&p50) && (989.0..993.0).contains(&p99), "{p50} {p99}");
        assert!(p999 > p99);
        let mut sum = read.clone();
        sum.add(&histogram);
        assert_eq!(sum.len(), 2_002);
    }
}
