//! The rounds: every engine in turn, then again; and the `main` both benches share.

use std::{collections::BTreeMap, process::ExitCode};

use crate::{
    Result,
    args::{Args, Kind},
    child::{self, Task},
    engine::Role,
    measure::Sample,
    plan::{Plan, Spec},
    report::{self, Document, RunReport},
    turn::Contender,
    work::Work,
};

/// All samples of a run, by workload and place in the list of engines.
pub type Results = BTreeMap<(Work, usize), Vec<Sample>>;

/// Runs a bench. `dir` is where stores go unless the command line says otherwise.
pub fn main(title: &str, contenders: Vec<Box<dyn Contender>>, dir: &str) -> ExitCode {
    match Args::from_env(dir).and_then(|args| run(title, contenders, &args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(title: &str, mut contenders: Vec<Box<dyn Contender>>, args: &Args) -> Result<()> {
    match args.kind {
        Kind::List => return Ok(()),
        Kind::Help => {
            Args::print_help();
            return Ok(());
        }
        Kind::Bench | Kind::Smoke => {}
    }
    if let Some(task) = &args.child {
        return perform(&contenders, task);
    }
    keep_named(&mut contenders, &args.engines)?;
    std::fs::create_dir_all(&args.dir)?;
    let mut document = Document::new(title);
    for spec in specs(args) {
        let results = rounds(&contenders, &spec, args)?;
        let run = RunReport::new(&spec, args.reps, &contenders, &results);
        if args.kind == Kind::Bench {
            report::print(&run);
        }
        document.runs.push(run);
        if let Some(path) = &args.json {
            // After every run, so that an interrupted measurement is not lost.
            std::fs::write(path, document.to_json()?)?;
        }
    }
    Ok(())
}

/// In a child process.
fn perform(contenders: &[Box<dyn Contender>], task: &Task) -> Result<()> {
    let found = contenders.iter().find(|c| c.name() == task.engine).ok_or("no such engine")?;
    let plan = Plan::new(&task.spec, task.dir.clone())?;
    found.perform(task.kind, &plan).map_err(|e| format!("{}: {e}", task.engine).into())
}

/// The runs of all suites that have a workload left.
fn specs(args: &Args) -> Vec<Spec> {
    let all = args.suites.iter().flat_map(|suite| suite.specs(&args.size));
    let mut specs: Vec<Spec> = all.collect();
    if !args.only.is_empty() {
        for spec in &mut specs {
            spec.works.retain(|work| args.only.contains(work));
        }
    }
    specs.retain(|spec| !spec.works.is_empty());
    specs
}

fn keep_named(contenders: &mut Vec<Box<dyn Contender>>, names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|n| !contenders.iter().any(|c| c.name() == *n)) {
        let known: Vec<_> = contenders.iter().map(|c| c.name()).collect();
        return Err(format!("no engine is called {unknown}; there are {}", known.join(", ")).into());
    }
    contenders.retain(|c| names.is_empty() || names.iter().any(|n| n == c.name()));
    Ok(())
}

/// The order rotates, so that no engine is always the first on a rested disk.
///
/// A peer that fails is out of the run, and that is said; kvcore must not fail.
fn rounds(contenders: &[Box<dyn Contender>], spec: &Spec, args: &Args) -> Result<Results> {
    let mut results = Results::new();
    let mut failed = vec![false; contenders.len()];
    for round in 0..usize::try_from(args.reps)? {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let contender = contenders[place].as_ref();
            if failed[place] || !spec.works.iter().any(|&work| contender.supports(work)) {
                continue;
            }
            if args.kind == Kind::Bench {
                eprintln!("{}, round {}: {}", spec.id, round + 1, contender.name());
            }
            match Task::of_child(child::Kind::Turn, contender.name(), spec, &args.dir).run() {
                Ok(samples) => {
                    for sample in samples {
                        results.entry((sample.work, place)).or_default().push(sample);
                    }
                }
                Err(e) if contender.role() == Role::Peer => {
                    eprintln!("{e}: out of this run");
                    failed[place] = true;
                    results.retain(|(_, at), _| *at != place);
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(results)
}
