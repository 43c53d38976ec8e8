//! The document made of results: its sections, and the plots beside it.
//!
//! A section without results is left as it is, so that parts can be measured one by one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Document, RunReport,
    markdown::{markdown, replace_section},
    plot::{plot_latencies, plot_rates, plot_series},
};
use crate::{Result, work::Work};

/// The document, below the directory of documentation.
const DOCUMENT: &str = "performance.md";
/// Where plots go, below it.
const PLOTS: &str = "performance";

/// Which workloads of which runs make a section. A run belongs to it if its name begins so.
struct Section {
    name: &'static str,
    runs: &'static [&'static str],
    works: fn(Work) -> bool,
}

const SECTIONS: &[Section] = &[
    Section { name: "reads", runs: &["table", "cold"], works: is_read },
    Section { name: "writes", runs: &["table"], works: is_write },
    Section { name: "values", runs: &["values"], works: |_| true },
    Section { name: "memory", runs: &["table", "memory"], works: is_memory },
    Section { name: "startup", runs: &["table", "open"], works: is_opening },
    Section { name: "merge", runs: &["table", "steady"], works: is_space },
    Section { name: "mixes", runs: &["ycsb", "fjall"], works: |_| true },
];

fn is_read(work: Work) -> bool {
    use Work::{Count, Get, Get2, Get4, Get8, Iterate, Len, Nth, Rank, Seek};
    matches!(work, Get | Get2 | Get4 | Get8 | Seek | Iterate | Len | Count | Rank | Nth)
        || matches!(work, Work::ColdGet | Work::LimitedGet | Work::LimitedZipf)
}

fn is_write(work: Work) -> bool {
    use Work::{Load, New, Overwrite, Remove, SyncBatch, SyncPut, SyncPut16, Zipf};
    matches!(work, Load | New | Overwrite | Zipf | Remove | SyncPut | SyncPut16 | SyncBatch)
}

fn is_memory(work: Work) -> bool {
    work.is_of_keydir() || matches!(work, Work::Anonymous | Work::PeakResident)
}

fn is_opening(work: Work) -> bool {
    matches!(work, Work::Reopen | Work::ReopenCold | Work::Killed)
}

fn is_space(work: Work) -> bool {
    work.is_steady() || matches!(work, Work::Disk | Work::DiskRemoved | Work::Compacted)
}

/// Reads the files named, JSON of the benches or `SECTION.md` made by others, and rewrites the
/// document's sections and the plots.
pub fn write(words: impl Iterator<Item = String>) -> Result<()> {
    let (mut docs, mut runs, mut ready) = (PathBuf::from("docs"), Vec::new(), Vec::new());
    let mut words = words.peekable();
    if words.peek().is_none() {
        return Err("usage: report FILE… [--docs DIRECTORY]".into());
    }
    while let Some(word) = words.next() {
        if word == "--docs" {
            docs = words.next().ok_or("--docs needs a directory")?.into();
            continue;
        }
        let text = fs::read_to_string(&word).map_err(|e| format!("{word}: {e}"))?;
        if let Some(section) = word.strip_suffix(".md") {
            let section = section.rsplit('/').next().unwrap_or(section);
            ready.push((section.to_owned(), text));
            continue;
        }
        let document: Document = serde_json::from_str(&text).map_err(|e| format!("{word}: {e}"))?;
        println!("{word}: {}", document.machine);
        runs.extend(document.runs);
    }
    let path = docs.join(DOCUMENT);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let plots = docs.join(PLOTS);
    fs::create_dir_all(&plots)?;
    let pictures = draw(&plots, &runs)?;
    let mut text = with_tables(text, &runs, &pictures)?;
    for (section, table) in ready {
        text = replace_section(&text, &section, &table)?;
    }
    Ok(fs::write(&path, text)?)
}

fn with_tables(mut text: String, runs: &[RunReport], pictures: &[Picture]) -> Result<String> {
    for section in SECTIONS {
        let belongs = |run: &&RunReport| section.runs.iter().any(|r| run.spec.id.starts_with(r));
        let mut parts: Vec<String> = runs
            .iter()
            .filter(belongs)
            .map(|run| markdown(run, section.works))
            .filter(|table| !table.is_empty())
            .collect();
        if !parts.is_empty() {
            let own = pictures.iter().filter(|(name, ..)| *name == section.name);
            parts.extend(own.map(|(_, title, file)| format!("![{title}]({PLOTS}/{file})\n")));
            text = replace_section(&text, section.name, &parts.join("\n"))?;
        }
    }
    Ok(text)
}

/// A picture that was drawn: the section it belongs to, its title and its file.
type Picture = (&'static str, String, &'static str);

/// A picture of bars: the section, the file, its title, the runs by the front of their names, and
/// workloads.
type Bars = (&'static str, &'static str, &'static str, &'static str, &'static [Work]);

const BARS: &[Bars] = &[
    (
        "reads",
        "reads.svg",
        "Reads: 24-byte keys, 150-byte values, every value checked",
        "table",
        &[Work::Get, Work::Get2, Work::Seek, Work::Iterate],
    ),
    (
        "writes",
        "writes.svg",
        "Buffered writes: 24-byte keys, 150-byte values",
        "table",
        &[Work::Load, Work::New, Work::Overwrite, Work::Zipf, Work::Remove],
    ),
    (
        "writes",
        "synced.svg",
        "Writes that wait for the disk",
        "table",
        &[Work::SyncPut, Work::SyncPut16, Work::SyncBatch],
    ),
    (
        "mixes",
        "ycsb.svg",
        "YCSB, values of 1,000 bytes",
        "ycsb",
        &[Work::YcsbA, Work::YcsbB, Work::YcsbC, Work::YcsbD, Work::YcsbE, Work::YcsbF],
    ),
    (
        "mixes",
        "fjall.svg",
        "The mixes of the fjall 3 announcement, scaled down",
        "fjall",
        &[Work::Fjall1, Work::Fjall2, Work::Fjall3, Work::Fjall4, Work::Fjall5],
    ),
    (
        "merge",
        "space.svg",
        "Space, as a multiple of the live keys and values",
        "table",
        &[Work::Disk, Work::DiskRemoved, Work::Compacted],
    ),
    (
        "reads",
        "cold.svg",
        "More data than memory",
        "cold",
        &[Work::ColdGet, Work::LimitedGet, Work::LimitedZipf],
    ),
];

/// A picture of latencies: the section, the run, the workload, the file.
type Lines = (&'static str, &'static str, Work, &'static str);

const LINES: &[Lines] = &[
    ("reads", "table", Work::Get, "latency-get.svg"),
    ("writes", "table", Work::Overwrite, "latency-overwrite.svg"),
    ("writes", "table", Work::SyncPut, "latency-sync-put.svg"),
    ("merge", "steady", Work::SteadyRead, "latency-read-beside-writes.svg"),
];

/// Pictures of what there are results of.
fn draw(dir: &Path, runs: &[RunReport]) -> Result<Vec<Picture>> {
    let mut pictures = Vec::new();
    for &(section, file, title, prefix, works) in BARS {
        let runs = runs.iter().filter(|run| run.spec.id.starts_with(prefix));
        let reports = runs.flat_map(|run| works.iter().filter_map(|&work| run.work(work)));
        let reports: Vec<_> = reports.collect();
        if !reports.is_empty() {
            plot_rates(&dir.join(file), title, &reports)?;
            pictures.push((section, title.to_owned(), file));
        }
    }
    for &(section, run_id, work, file) in LINES {
        let run = runs.iter().find(|run| run.spec.id == run_id);
        if let Some(report) = run.and_then(|run| run.work(work)) {
            plot_latencies(&dir.join(file), report)?;
            pictures.push((section, format!("Latency: {}", report.title), file));
        }
    }
    if let Some(run) = runs.iter().find(|run| run.work(Work::SteadyPut).is_some()) {
        let (file, title) = ("steady-rate.svg", "Zipfian overwrites: operations per second");
        plot_series(&dir.join(file), run, title, |point| point.rate)?;
        pictures.push(("merge", title.to_owned(), file));
        let (file, title) = ("steady-space.svg", "Zipfian overwrites: disk space, x live");
        plot_series(&dir.join(file), run, title, |point| point.space)?;
        pictures.push(("merge", title.to_owned(), file));
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::Role,
        measure::Point,
        report::{Row, WorkReport},
        suite::{Size, Suite},
    };

    /// A run with one row per workload, as if measured.
    fn run(suite: Suite) -> RunReport {
        let size =
            Size { keys: 1_000, open_factor_max: 1.0, value_bytes: 150, seed: 3, seconds_max: 1.0 };
        let spec = suite.specs(&size).swap_remove(0);
        let row = Row {
            engine: "kvcore".to_owned(),
            role: Role::Ours,
            is_comparable: false,
            values: vec![1.0, 2.0, 3.0],
            median: 2.0,
            cpu_us_per_op: Some(0.5),
            write_amplification: None,
            latency_us: Some([1.0, 2.0, 3.0]),
            to_kvcore: Some(1.0),
            to_best_peer: None,
            series: vec![Point { writes: 1.0, rate: 1e5, space: 1.5 }],
        };
        let report = |work: &Work| WorkReport {
            work: *work,
            title: work.title().to_owned(),
            unit: work.unit().as_str().to_owned(),
            more_is_better: true,
            rows: vec![row.clone()],
        };
        RunReport { works: spec.works.iter().map(report).collect(), spec, rounds: 3 }
    }

    #[test]
    fn the_committed_document_has_every_section() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = fs::read_to_string(root.join("docs").join(DOCUMENT)).unwrap();
        let runs: Vec<RunReport> = Suite::ALL.into_iter().map(run).collect();
        let picture = ("reads", "Reads".to_owned(), "reads.svg");
        let written = with_tables(text, &runs, &[picture]).unwrap();
        assert!(written.contains("| table |") && written.contains("| YCSB A"));
        assert!(written.contains("![Reads](performance/reads.svg)"));
    }

    #[test]
    fn results_become_pictures() {
        let dir = tempfile::tempdir().unwrap();
        let runs: Vec<RunReport> = Suite::ALL.into_iter().map(run).collect();
        draw(dir.path(), &runs).unwrap();
        for file in ["reads.svg", "latency-get.svg", "steady-rate.svg", "steady-space.svg"] {
            let svg = fs::read_to_string(dir.path().join(file)).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("kvcore"), "{file}");
        }
    }
}
