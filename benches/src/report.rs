//! What the rounds gave: medians, spread, ratios. Written as JSON, read again to make tables and
//! plots of it.

mod document;
mod markdown;
mod plot;
mod table;

use serde::{Deserialize, Serialize};

use crate::{
    Result,
    engine::Role,
    histogram::Histogram,
    measure::{Point, Sample},
    plan::Spec,
    rounds::Results,
    turn::Contender,
    work::Work,
};

pub use document::write;
pub use table::print;

/// Everything a bench measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Which bench.
    pub title: String,
    /// What it ran on: processor and number of cores.
    pub machine: String,
    /// Its runs.
    pub runs: Vec<RunReport>,
}

/// Everything one run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunReport {
    /// What was asked for.
    pub spec: Spec,
    /// Rounds.
    pub rounds: u32,
    /// Results, in the order of the workloads.
    pub works: Vec<WorkReport>,
}

/// One workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkReport {
    /// Which.
    pub work: Work,
    /// What it is.
    pub title: String,
    /// What results are numbers of.
    pub unit: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// By engine.
    pub rows: Vec<Row>,
}

/// One engine's results of one workload, put together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The engine.
    pub engine: String,
    /// What it is in the comparison.
    pub role: Role,
    /// Whether it may be called the best peer.
    pub is_comparable: bool,
    /// Every round's result, sorted.
    pub values: Vec<f64>,
    /// Their median.
    pub median: f64,
    /// Processor time per operation.
    pub cpu_us_per_op: Option<f64>,
    /// Bytes sent towards the disk per byte given to write.
    pub write_amplification: Option<f64>,
    /// Of single operations, over all rounds: p50, p99, p99.9.
    pub latency_us: Option<[f64; 3]>,
    /// How much better than kvcore: 1 is equal, more is better, whatever the unit.
    pub to_kvcore: Option<f64>,
    /// The same for the best peer.
    pub to_best_peer: Option<f64>,
    /// How the first round went on, if the workload says so.
    pub series: Vec<Point>,
}

impl Document {
    /// Without runs yet.
    pub fn new(title: &str) -> Document {
        Document { title: title.to_owned(), machine: machine(), runs: Vec::new() }
    }

    /// For a file.
    pub fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    format!("{}, {cores} cores", model.map_or("a processor", |(_, model)| model))
}

impl RunReport {
    /// Puts samples together.
    pub fn new(
        spec: &Spec,
        rounds: u32,
        contenders: &[Box<dyn Contender>],
        results: &Results,
    ) -> RunReport {
        let works = Work::ALL
            .iter()
            .map(|&work| WorkReport::new(work, contenders, results))
            .filter(|work| !work.rows.is_empty())
            .collect();
        RunReport { spec: spec.clone(), rounds, works }
    }

    /// The results of this workload.
    pub fn work(&self, work: Work) -> Option<&WorkReport> {
        self.works.iter().find(|report| report.work == work)
    }
}

impl WorkReport {
    fn new(work: Work, contenders: &[Box<dyn Contender>], results: &Results) -> WorkReport {
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
        WorkReport {
            work,
            title: work.title().to_owned(),
            unit: work.unit().as_str().to_owned(),
            more_is_better: work.unit().more_is_better(),
            rows,
        }
    }
}

fn row(work: Work, contender: &dyn Contender, samples: &[Sample]) -> Row {
    let sorted = |pick: fn(&Sample) -> Option<f64>| {
        let mut values: Vec<f64> = samples.iter().filter_map(pick).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let values = sorted(|s| Some(s.value));
    let mut latencies = Histogram::default();
    for sample in samples {
        latencies.add(&sample.latencies);
    }
    Row {
        engine: contender.name().to_owned(),
        role: contender.role(),
        is_comparable: contender.is_comparable(work),
        median: median(&values).unwrap_or_default(),
        values,
        cpu_us_per_op: median(&sorted(|s| s.cpu_ns_per_op)).map(|ns| ns / 1e3),
        write_amplification: median(&sorted(|s| s.write_amplification)),
        latency_us: latencies.percentiles_us(),
        to_kvcore: None,
        to_best_peer: None,
        series: samples.first().map(|s| s.series.clone()).unwrap_or_default(),
    }
}

/// Of sorted values; the mean of the two in the middle if there are two.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some((sorted[middle - 1] + upper) / 2.0) }
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
    fn median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
    }

    #[test]
    fn ratio_above_one_is_better_whatever_the_unit() {
        assert_eq!(ratio(Work::Get, 4.0, 2.0), 2.0);
        assert_eq!(ratio(Work::Reopen, 4.0, 2.0), 0.5);
    }
}
