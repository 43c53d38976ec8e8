//! Results for people.

use super::{Row, rows};
use crate::{
    plan::Plan,
    rounds::Results,
    turn::Contender,
    work::{Unit, Work},
};

/// Prints one table per workload.
pub fn print(title: &str, contenders: &[Box<dyn Contender>], plan: &Plan, results: &Results) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("\n{title}");
    println!(
        "{} keys of 24 bytes, values of {} bytes, {} rounds, seed {}, {cores} cores",
        plan.keys,
        plan.data.value_bytes(),
        plan.reps,
        plan.seed,
    );
    println!("Median over rounds (least – most); ratios above 1 are better, whatever the unit.");
    for &work in Work::ALL {
        let rows = rows(work, contenders, results);
        if !rows.is_empty() {
            print_work(work, &rows);
        }
    }
    if contenders.iter().any(|c| !c.is_comparable(Work::SyncPut) && c.is_comparable(Work::Get)) {
        println!("\n† does not sync reliably: shown, but not counted as a best peer.");
    }
}

fn print_work(work: Work, rows: &[Row]) {
    println!("\n{} [{}]", work.title(), work.id());
    println!(
        "  {:<17}{:>10}  {:<21}{:>9}{:>13}{:>10}{:>10}{:>10}{:>11}",
        "",
        work.unit().as_str(),
        "",
        "/ kvcore",
        "/ best peer",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "cpu µs/op",
    );
    for row in rows {
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
        let is_doubtful =
            work.is_synced() && row.role == crate::engine::Role::Peer && !row.is_comparable;
        let name = format!("{}{}", row.engine, if is_doubtful { " †" } else { "" });
        println!(
            "  {name:<17}{:>10}  {spread:<21}{:>9}{:>13}{p50:>10}{p99:>10}{p999:>10}{:>11}",
            show(work, row.median),
            times(row.to_kvcore),
            times(row.to_best_peer),
            row.cpu_us_per_op.map(|us| format!("{us:.2}")).unwrap_or_default(),
        );
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map(|r| format!("{r:.2}")).unwrap_or_default()
}

fn show(work: Work, value: f64) -> String {
    match work.unit() {
        Unit::PerSecond if value >= 1e6 => format!("{:.2} M", value / 1e6),
        Unit::PerSecond if value >= 1e4 => format!("{:.0} k", value / 1e3),
        Unit::PerSecond if value >= 1e3 => format!("{:.2} k", value / 1e3),
        Unit::PerSecond => format!("{value:.0}"),
        Unit::Milliseconds | Unit::BytesPerKey => format!("{value:.1}"),
        Unit::OfLive => format!("{value:.2}"),
    }
}
