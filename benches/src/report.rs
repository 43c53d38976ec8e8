//! What the rounds gave: medians, spread, ratios.

mod json;
mod table;

pub use json::json;
pub use table::print;

use crate::{engine::Role, measure::Sample, rounds::Results, turn::Contender, work::Work};

/// One engine's results of one workload, put together.
#[derive(Debug)]
struct Row {
    engine: &'static str,
    role: Role,
    is_comparable: bool,
    values: Vec<f64>,
    median: f64,
    cpu_us_per_op: Option<f64>,
    /// Of single operations, over all rounds: p50, p99, p99.9.
    latency_us: Option<[f64; 3]>,
    /// How much better than kvcore: 1 is equal, more is better, whatever the unit.
    to_kvcore: Option<f64>,
    /// The same for the best peer.
    to_best_peer: Option<f64>,
}

/// The rows of a workload, in the order of the engines.
fn rows(work: Work, contenders: &[Box<dyn Contender>], results: &Results) -> Vec<Row> {
    let mut rows: Vec<Row> = contenders
        .iter()
        .enumerate()
        .filter_map(|(place, c)| Some(row(work, c.as_ref(), results.get(&(work, place))?)))
        .collect();
    let ours = rows.iter().find(|r| r.role == Role::Ours).map(|r| r.median);
    let best = best_peer(work, &rows);
    for row in &mut rows {
        row.to_kvcore = ours.map(|base| ratio(work, row.median, base));
        row.to_best_peer = best.map(|base| ratio(work, row.median, base));
    }
    rows
}

fn row(work: Work, contender: &dyn Contender, samples: &[Sample]) -> Row {
    let mut values: Vec<f64> = samples.iter().map(|s| s.value).collect();
    values.sort_by(f64::total_cmp);
    let mut cpu: Vec<f64> = samples.iter().filter_map(|s| s.cpu_ns_per_op).collect();
    cpu.sort_by(f64::total_cmp);
    let mut latencies: Vec<u64> = samples.iter().flat_map(|s| s.latencies_ns.clone()).collect();
    latencies.sort_unstable();
    Row {
        engine: contender.name(),
        role: contender.role(),
        is_comparable: contender.is_comparable(work),
        median: median(&values).unwrap_or(f64::NAN),
        values,
        cpu_us_per_op: median(&cpu).map(|ns| ns / 1e3),
        latency_us: percentiles(&latencies),
        to_kvcore: None,
        to_best_peer: None,
    }
}

/// Of sorted values; the mean of the two in the middle if there are two.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted[middle - 1] + upper) / 2.0) }
}

fn percentiles(sorted_ns: &[u64]) -> Option<[f64; 3]> {
    let last = sorted_ns.len().checked_sub(1)?;
    Some([500, 990, 999].map(|per_mille| sorted_ns[last * per_mille / 1000] as f64 / 1e3))
}

fn best_peer(work: Work, rows: &[Row]) -> Option<f64> {
    let peers = rows.iter().filter(|r| r.is_comparable).map(|r| r.median);
    peers.reduce(if work.unit().more_is_better() { f64::max } else { f64::min })
}

fn ratio(work: Work, value: f64, base: f64) -> f64 {
    if work.unit().more_is_better() { value / base } else { base / value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_is_the_middle_and_percentiles_are_ordered() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
        let ns: Vec<u64> = (0..=1000).map(|us| us * 1000).collect();
        assert_eq!(percentiles(&ns), Some([500.0, 990.0, 999.0]));
        assert_eq!(percentiles(&[]), None);
    }

    #[test]
    fn ratio_above_one_is_better_whatever_the_unit() {
        assert_eq!(ratio(Work::Get, 4.0, 2.0), 2.0);
        assert_eq!(ratio(Work::Reopen, 4.0, 2.0), 0.5);
    }
}
