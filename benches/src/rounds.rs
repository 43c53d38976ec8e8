//! The rounds: every engine in turn, then again; and the `main` both benches share.

use std::{collections::BTreeMap, process::ExitCode};

use crate::{
    Result,
    args::{Args, Kind},
    measure::Sample,
    plan::Plan,
    report,
    turn::Contender,
    work::Work,
};

/// All samples, by workload and place in the list of engines.
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
    let plan = Plan::new(args)?;
    if let Some(task) = &args.child {
        let found = contenders.iter().find(|c| c.name() == task.engine);
        return found.ok_or("no such engine")?.child(task, &plan);
    }
    keep_named(&mut contenders, &args.engines)?;
    let results = rounds(&contenders, &plan, args.kind)?;
    if args.kind == Kind::Bench {
        report::print(title, &contenders, &plan, &results);
    }
    if let Some(path) = &args.json {
        std::fs::write(path, report::json(title, &contenders, &plan, &results))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
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
fn rounds(contenders: &[Box<dyn Contender>], plan: &Plan, kind: Kind) -> Result<Results> {
    let mut results = Results::new();
    for round in 0..usize::try_from(plan.reps)? {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            if kind == Kind::Bench {
                eprintln!("round {} of {}: {}", round + 1, plan.reps, contenders[place].name());
            }
            for sample in contenders[place].turn(plan)? {
                results.entry((sample.work, place)).or_default().push(sample);
            }
        }
    }
    Ok(results)
}
