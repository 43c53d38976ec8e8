//! Child processes: this program again, with a task instead of rounds.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use crate::{Result, data::KEY_BYTES, measure::Sample, plan::Plan, work::Work};

/// What precedes the one number a child says before it waits to be killed.
pub const REPORT: &str = "child reports ";

/// What a child does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// [`Work::Memory`], or [`Work::Killed`]: write and be killed.
    pub work: Work,
    /// The engine to do it with.
    pub engine: String,
}

impl Task {
    /// Reads `WORK:ENGINE`.
    pub fn parse(word: &str) -> Result<Task> {
        let (work, engine) = word.split_once(':').ok_or("--child WORK:ENGINE")?;
        let work = [Work::Memory, Work::Killed].into_iter().find(|w| w.id() == work);
        let work = work.ok_or("no such task of a child")?;
        Ok(Task { work, engine: engine.to_owned() })
    }

    /// Runs the task in a child process, kills it, and returns the number it said.
    pub fn run(&self, dir: &Path, plan: &Plan) -> Result<u64> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--child")
            .arg(format!("{}:{}", self.work.id(), self.engine))
            .arg("--dir")
            .arg(dir)
            .args(["--keys", &plan.keys.to_string(), "--seed", &plan.seed.to_string()])
            .args(["--value-bytes", &plan.data.value_bytes().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("a child without stdout")?;
        let mut lines = BufReader::new(stdout).lines().map_while(|line| line.ok());
        let said = lines.find_map(|line| line.strip_prefix(REPORT)?.parse().ok());
        // SIGKILL on Unix: no destructor of the engine runs.
        child.kill()?;
        child.wait()?;
        said.ok_or_else(|| format!("child {self:?} failed").into())
    }
}

/// Memory per key, measured in a fresh process.
pub fn memory(engine: &str, dir: &Path, plan: &Plan) -> Result<Sample> {
    let task = Task { work: Work::Memory, engine: engine.to_owned() };
    let bytes = task.run(dir, plan)?;
    let per_key = bytes as f64 / f64::from(plan.keys) - KEY_BYTES as f64;
    Ok(Sample::of(Work::Memory, per_key))
}
