//! Results for people at a terminal.

use super::{Row, RunReport, WorkReport};
use crate::{
    engine::Role,
    work::{Unit, Work},
};

/// Prints one table per workload.
pub fn print(run: &RunReport) {
    println!(
        "\n== {}: {} keys of {} bytes, values of {} bytes, {} rounds, seed {}",
        run.spec.id,
        run.spec.keys,
        run.spec.shape.key_bytes(),
        run.spec.value_bytes,
        run.rounds,
        run.spec.seed,
    );
    println!("Median over rounds (least – most); ratios above 1 are better, whatever the unit.");
    for work in &run.works {
        print_work(work);
    }
    let doubtful = |work: &WorkReport| work.rows.iter().any(|row| is_doubtful(work.work, row));
    if run.works.iter().any(doubtful) {
        println!("\n† does not sync reliably: shown, but not counted as a best peer.");
    }
}

/// Whether a peer's writes cannot be believed to have been synced.
pub(super) fn is_doubtful(work: Work, row: &Row) -> bool {
    work.is_synced() && row.role == Role::Peer && !row.is_comparable
}

fn print_work(report: &WorkReport) {
    let work = report.work;
    println!("\n{} [{}]", work.title(), work.id());
    println!(
        "  {:<17}{:>10}  {:<21}{:>9}{:>13}{:>10}{:>10}{:>10}{:>11}{:>11}",
        "",
        work.unit().as_str(),
        "",
        "/ kvcore",
        "/ best peer",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "cpu µs/op",
        "write ampl",
    );
    for row in &report.rows {
        let spread = match (row.values.first(), row.values.last()) {
            (Some(&least), Some(&most)) => {
                format!("({} – {})", show(work, least), show(work, most))
            }
            _ => String::new(),
        };
        let [p50, p99, p999] = match row.latency_us {
            Some(latency) => latency.map(|us| format!("{us:.1}")),
            None => Default::default(),
        };
        let name = format!("{}{}", row.engine, if is_doubtful(work, row) { " †" } else { "" });
        println!(
            "  {name:<17}{:>10}  {spread:<21}{:>9}{:>13}{p50:>10}{p99:>10}{p999:>10}{:>11}{:>11}",
            show(work, row.median),
            two_digits(row.to_kvcore),
            two_digits(row.to_best_peer),
            two_digits(row.cpu_us_per_op),
            two_digits(row.write_amplification),
        );
    }
}

pub(super) fn two_digits(value: Option<f64>) -> String {
    value.map(|v| format!("{v:.2}")).unwrap_or_default()
}

/// A result in few characters.
pub(super) fn show(work: Work, value: f64) -> String {
    match work.unit() {
        Unit::PerSecond if value >= 1e6 => format!("{:.2} M", value / 1e6),
        Unit::PerSecond if value >= 1e4 => format!("{:.0} k", value / 1e3),
        Unit::PerSecond if value >= 1e3 => format!("{:.2} k", value / 1e3),
        Unit::PerSecond => format!("{value:.0}"),
        Unit::Milliseconds | Unit::Microseconds if value < 1.0 => format!("{value:.3}"),
        Unit::Milliseconds | Unit::Microseconds | Unit::BytesPerKey | Unit::Mebibytes => {
            format!("{value:.1}")
        }
        Unit::OfLive | Unit::Times => format!("{value:.2}"),
    }
}
