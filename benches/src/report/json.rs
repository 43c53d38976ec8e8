//! Results for programs.

use serde_json::{Value, json};

use super::{Row, rows};
use crate::{plan::Plan, rounds::Results, turn::Contender, work::Work};

/// Everything that was measured, but for single latencies.
pub fn json(
    title: &str,
    contenders: &[Box<dyn Contender>],
    plan: &Plan,
    results: &Results,
) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let works: Vec<Value> = Work::ALL
        .iter()
        .map(|&work| (work, rows(work, contenders, results)))
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(work, rows)| work_json(work, &rows))
        .collect();
    let report = json!({
        "title": title,
        "keys": plan.keys,
        "key_bytes": crate::data::KEY_BYTES,
        "value_bytes": plan.data.value_bytes(),
        "rounds": plan.reps,
        "seed": plan.seed,
        "cores": cores,
        "workloads": works,
    });
    format!("{report:#}\n")
}

fn work_json(work: Work, rows: &[Row]) -> Value {
    json!({
        "id": work.id(),
        "title": work.title(),
        "unit": work.unit().as_str(),
        "more_is_better": work.unit().more_is_better(),
        "engines": rows.iter().map(row_json).collect::<Vec<_>>(),
    })
}

fn row_json(row: &Row) -> Value {
    json!({
        "engine": row.engine,
        "role": row.role.as_str(),
        "median": row.median,
        "rounds": row.values,
        "ratio_to_kvcore": row.to_kvcore,
        "ratio_to_best_peer": row.to_best_peer,
        "latency_p50_us": row.latency_us.map(|l| l[0]),
        "latency_p99_us": row.latency_us.map(|l| l[1]),
        "latency_p999_us": row.latency_us.map(|l| l[2]),
        "cpu_us_per_op": row.cpu_us_per_op,
    })
}
