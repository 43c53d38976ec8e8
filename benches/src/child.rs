//! Child processes: this program again, with a task instead of rounds.
//!
//! # Rules
//!
//! C1. Every turn of every engine is a process: its memory, its threads and its files end with it.
//! C2. A child whose store is to be killed is killed by SIGKILL, so that no destructor runs.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

use crate::{Result, measure::Sample, memory_limit, plan::Spec};

/// What precedes the samples that a child reports.
const REPORT: &str = "child reports ";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// All workloads of a run.
    Turn,
    /// Loads a store, reports its memory, and is killed.
    Memory,
    /// Overwrites in the store that is there, and is killed.
    WriteUntilKilled,
}

/// A child's task, in JSON on its command line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// What to do.
    pub kind: Kind,
    /// The engine to do it with.
    pub engine: String,
    /// The run it is part of.
    pub spec: Spec,
    /// Where.
    pub dir: PathBuf,
}

impl Task {
    /// Runs the task in a child process and returns what it reported.
    pub fn run(&self) -> Result<Vec<Sample>> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--child").arg(serde_json::to_string(self)?);
        let limit = self.spec.memory_limit_bytes.filter(|_| self.kind == Kind::Turn);
        let limit = limit.map(memory_limit::Group::new).transpose()?;
        if let Some(group) = &limit {
            command.env(memory_limit::GROUP, group.path());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("a child without stdout")?;
        let mut lines = BufReader::new(stdout).lines().map_while(|line| line.ok());
        let said = lines.find_map(|line| line.strip_prefix(REPORT).map(str::to_owned));
        if self.kind != Kind::Turn {
            child.kill()?;
        }
        let status = child.wait()?;
        if said.is_none() || (self.kind == Kind::Turn && !status.success()) {
            return Err(format!("{} of {} ended with {status}", self.engine, self.spec.id).into());
        }
        Ok(serde_json::from_str(&said.unwrap_or_default())?)
    }

    /// A task in this directory.
    pub fn of_child(kind: Kind, engine: &str, spec: &Spec, dir: &Path) -> Task {
        Task { kind, engine: engine.to_owned(), spec: spec.clone(), dir: dir.to_owned() }
    }
}

/// In a child: reports to the parent.
pub fn report(samples: &[Sample]) -> Result<()> {
    println!("{REPORT}{}", serde_json::to_string(samples)?);
    Ok(std::io::stdout().flush()?)
}

/// In a child: waits to be killed. Returns only if the parent is gone.
pub fn wait_to_be_killed() -> Result<()> {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
