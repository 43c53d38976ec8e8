//! Results as Markdown, between marks in a document.

use super::{
    Row, RunReport,
    table::{is_doubtful, show, two_digits},
};
use crate::{Result, engine::Role, work::Work};

/// A table of these workloads, a row each, a column per engine that took part in any; the last
/// column is kvcore's ratio to the best peer. Empty if there is no result.
pub(super) fn markdown(run: &RunReport, works: impl Fn(Work) -> bool) -> String {
    let reports: Vec<_> = run.works.iter().filter(|report| works(report.work)).collect();
    let mut engines: Vec<&str> = Vec::new();
    for row in reports.iter().flat_map(|report| &report.rows) {
        if !engines.contains(&row.engine.as_str()) {
            engines.push(&row.engine);
        }
    }
    if engines.is_empty() {
        return String::new();
    }
    let mut lines = vec![
        format!(
            "{} keys of {} B, values of {} B, {} rounds. Median (p99.9 of operations in µs).",
            group(run.spec.keys),
            run.spec.shape.key_bytes(),
            run.spec.value_bytes,
            run.rounds
        ),
        String::new(),
        format!("| {} | unit | {} | kvcore to best peer |", run.spec.id, engines.join(" | ")),
        format!("|---|---|{}---|", "---|".repeat(engines.len())),
    ];
    for report in reports {
        let cell = |engine: &&str| {
            let row = report.rows.iter().find(|row| row.engine == **engine);
            row.map_or_else(|| "–".to_owned(), |row| cell(report.work, row))
        };
        let cells: Vec<String> = engines.iter().map(cell).collect();
        let ours = report.rows.iter().find(|row| row.role == Role::Ours);
        let ratio = match two_digits(ours.and_then(|row| row.to_best_peer)) {
            ratio if ratio.is_empty() => "–".to_owned(),
            ratio => format!("{ratio} ×"),
        };
        let unit = &report.unit;
        lines.push(format!("| {} | {unit} | {} | {ratio} |", report.title, cells.join(" | ")));
    }
    lines.join("\n") + "\n"
}

fn cell(work: Work, row: &Row) -> String {
    let mark = if is_doubtful(work, row) { " †" } else { "" };
    let p999 = match row.latency_us {
        Some([_, _, p999]) if p999 >= 100.0 => format!(" ({p999:.0})"),
        Some([_, _, p999]) => format!(" ({p999:.1})"),
        None => String::new(),
    };
    format!("{}{p999}{mark}", show(work, row.median))
}

/// 1000000 as 1,000,000.
fn group(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Replaces what stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
pub(super) fn replace_section(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let missing = || format!("the document has no section {name}");
    let (head, rest) = document.split_once(&begin).ok_or_else(missing)?;
    let (_, tail) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{head}{begin}\n\n{}\n\n{end}{tail}", text.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_named_section_is_replaced_and_a_missing_one_is_an_error() {
        let document = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n";
        let replaced = replace_section(document, "x", "new\n").unwrap();
        assert_eq!(replaced, "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n");
        assert_eq!(replace_section(&replaced, "x", "new").unwrap(), replaced);
        assert!(replace_section(document, "y", "new").is_err());
    }

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!([1, 1_000, 12_345, 1_000_000].map(group), ["1", "1,000", "12,345", "1,000,000"]);
    }
}
