//! The command line.
//!
//! `cargo bench` passes `--bench`; `cargo test --all-targets` does not and passes libtest's flags
//! instead, so without `--bench` one tiny run is made, and what is not understood is ignored.

use std::path::PathBuf;

use crate::{
    Result,
    child::Task,
    suite::{KEYS, Size, Suite},
    work::Work,
};

/// Printed for `--help`.
const HELP: &str = "\
Options, after `--`:
  --suite A,B      what to run, or all (table)
  --keys N         keys in a store of the standard size (1000000)
  --open-factor N  the largest store that is opened, as a multiple of that (50)
  --value-bytes N  bytes per value of the suite table, at least 8 (150)
  --reps N         rounds (5)
  --seconds N      cut workloads short that can be (30)
  --seed N         seed of keys and values (3)
  --engines A,B    only these engines (and kvcore, if ratios to it are wanted, must be named)
  --only A,B       only these workloads (the load is always made)
  --dir PATH       where stores are created (below cargo's target directory)
  --json PATH      write all results as JSON
  --quick          sizes of seconds, 2 rounds: does it work
";

/// What to run.
#[derive(Clone, Debug)]
pub struct Args {
    /// Suites to run.
    pub suites: Vec<Suite>,
    /// How large they are.
    pub size: Size,
    /// Rounds.
    pub reps: u32,
    /// Engines to run; all if empty.
    pub engines: Vec<String>,
    /// Workloads to run; all if empty.
    pub only: Vec<Work>,
    /// Where stores are created.
    pub dir: PathBuf,
    /// Where JSON goes.
    pub json: Option<PathBuf>,
    /// Whether this is a measurement, or a test that the bench runs at all.
    pub kind: Kind,
    /// Set in a child process.
    pub child: Option<Task>,
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To measure.
    Bench,
    /// To see that it works: results are not shown.
    Smoke,
    /// To list tests, of which there are none.
    List,
    /// To say what the options are.
    Help,
}

impl Args {
    /// Reads the command line of this process. `dir` is where stores go unless it says otherwise.
    pub fn from_env(dir: &str) -> Result<Args> {
        Args::parse(dir, std::env::args().skip(1))
    }

    fn parse(dir: &str, words: impl Iterator<Item = String>) -> Result<Args> {
        let words: Vec<String> = words.collect();
        let has = |flag: &str| words.iter().any(|w| w == flag);
        let mut args = Args::sized(dir, has("--bench") || has("--child"), has("--quick"));
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--suite" => args.suites = Suite::parse(value()?)?,
                "--keys" => args.size.keys = number(word, value()?, 10)?,
                "--open-factor" => args.size.open_factor_max = number(word, value()?, 1.0)?,
                "--reps" => args.reps = number(word, value()?, 1)?,
                "--seconds" => args.size.seconds_max = number(word, value()?, 0.1)?,
                "--seed" => args.size.seed = number(word, value()?, 0)?,
                "--value-bytes" => args.size.value_bytes = number(word, value()?, 8)?,
                "--engines" => args.engines = value()?.split(',').map(str::to_owned).collect(),
                "--only" => args.only = value()?.split(',').map(work).collect::<Result<_>>()?,
                "--dir" => args.dir = value()?.into(),
                "--json" => args.json = Some(value()?.into()),
                "--child" => args.child = Some(serde_json::from_str(value()?)?),
                "--list" => args.kind = Kind::List,
                "--help" | "-h" => args.kind = Kind::Help,
                "--bench" | "--quick" => {}
                _ if args.kind == Kind::Bench => eprintln!("ignored: {word}"),
                _ => {}
            }
        }
        Ok(args)
    }

    fn sized(dir: &str, is_bench: bool, is_quick: bool) -> Args {
        let (kind, keys, reps, seconds_max) = match (is_bench, is_quick) {
            (true, false) => (Kind::Bench, KEYS, 5, 30.0),
            (true, true) => (Kind::Bench, 20_000, 2, 0.2),
            (false, _) => (Kind::Smoke, 300, 1, 0.1),
        };
        let open_factor_max = if keys == KEYS { 50.0 } else { 1.0 };
        let size = Size { keys, open_factor_max, value_bytes: 150, seed: 3, seconds_max };
        Args {
            suites: vec![Suite::Table],
            size,
            reps,
            engines: Vec::new(),
            only: Vec::new(),
            dir: dir.into(),
            json: None,
            kind,
            child: None,
        }
    }

    /// Shows the options.
    pub fn print_help() {
        print!("{HELP}\nSuites:\n");
        for suite in Suite::ALL {
            println!("  {:<16} {}", suite.id(), suite.title());
        }
        println!("\nWorkloads:");
        for work in Work::ALL {
            println!("  {:<16} {}", work.id(), work.title());
        }
    }
}

fn work(id: &str) -> Result<Work> {
    let found = Work::ALL.iter().find(|w| w.id() == id);
    found.copied().ok_or_else(|| format!("no workload is called {id}; see --help").into())
}

fn number<T>(flag: &str, word: &str, least: T) -> Result<T>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let parsed = word.replace(['_', ','], "").parse().ok().filter(|n| *n >= least);
    parsed.ok_or_else(|| format!("{flag} {word}: not a number of at least {least}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args> {
        Args::parse("d", line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn without_bench_the_run_is_tiny_and_foreign_flags_are_ignored() {
        let args = parse("--nocapture --test-threads 4 filter --format=terse").unwrap();
        assert_eq!((args.kind, args.size.keys, args.reps), (Kind::Smoke, 300, 1));
    }

    #[test]
    fn options_are_read_and_bad_ones_are_errors() {
        let args = parse("--bench --keys 1_000 --only get,sync-put --engines a,b").unwrap();
        assert_eq!((args.kind, args.size.keys), (Kind::Bench, 1_000));
        assert_eq!(args.only, [Work::Get, Work::SyncPut]);
        assert_eq!(args.engines, ["a", "b"]);
        assert_eq!(parse("--bench --suite all").unwrap().suites, Suite::ALL);
        assert!(parse("--bench --suite table,none").is_err());
        assert!(parse("--bench --only nonsense").is_err());
        assert!(parse("--bench --keys none").is_err());
        assert!(parse("--bench --keys").is_err());
        assert!(parse("--bench --value-bytes 7").is_err());
    }
}
