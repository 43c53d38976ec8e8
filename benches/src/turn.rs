//! One engine's turn in one round: all workloads, on a store of its own.

use std::{marker::PhantomData, path::Path};

use tempfile::TempDir;

use crate::{
    Result,
    child::{self, Task},
    engine::{Engine, Mode, Role},
    measure::{Sample, disk_bytes, settle_disk},
    plan::Plan,
    work::{self, Work},
};

/// An engine whose type is forgotten, so that engines can stand in one list.
pub trait Contender {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it is in the comparison.
    fn role(&self) -> Role;
    /// Whether its result of this workload may be called the best peer's.
    fn is_comparable(&self, work: Work) -> bool;
    /// Runs every workload of the plan that the engine supports.
    fn turn(&self, plan: &Plan) -> Result<Vec<Sample>>;
    /// Does a child's task in the plan's directory.
    fn child(&self, task: &Task, plan: &Plan) -> Result<()>;
}

/// The contender for an engine.
pub fn contender<E: Engine>() -> Box<dyn Contender> {
    Box::new(Of::<E>(PhantomData))
}

struct Of<E>(PhantomData<fn() -> E>);

impl<E: Engine> Contender for Of<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn role(&self) -> Role {
        E::ROLE
    }

    fn is_comparable(&self, work: Work) -> bool {
        E::ROLE == Role::Peer && (E::syncs_reliably() || !work.is_synced())
    }

    fn turn(&self, plan: &Plan) -> Result<Vec<Sample>> {
        turn::<E>(plan).map_err(|e| format!("{}: {e}", E::NAME).into())
    }

    fn child(&self, task: &Task, plan: &Plan) -> Result<()> {
        match task.work {
            Work::Memory => work::measure_memory::<E>(&plan.dir, plan),
            _ => work::write_until_killed::<E>(&plan.dir, plan),
        }
    }
}

fn turn<E: Engine>(plan: &Plan) -> Result<Vec<Sample>> {
    let wants = |work| plan.wants(work) && E::supports(work);
    let mut samples = Vec::new();
    if plan.wants_any(|work| work != Work::Memory && E::supports(work)) {
        let dir = fresh_dir(plan)?;
        buffered::<E>(dir.path(), plan, &mut samples)?;
        opened::<E>(dir.path(), plan, &mut samples)?;
        if plan.wants_any(|work| work.is_synced() && E::supports(work)) {
            synced::<E>(dir.path(), plan, &mut samples)?;
        }
    }
    if wants(Work::Memory) {
        samples.push(child::memory(E::NAME, fresh_dir(plan)?.path(), plan)?);
    }
    Ok(samples)
}

fn fresh_dir(plan: &Plan) -> Result<TempDir> {
    settle_disk();
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.dir)?)
}

/// The workloads that do not wait for the disk, from an empty store to a closed one.
fn buffered<E: Engine>(dir: &Path, plan: &Plan, samples: &mut Vec<Sample>) -> Result<()> {
    let engine = E::open(dir, Mode::Buffered)?;
    samples.push(work::load(&engine, plan)?);
    engine.settle()?;
    let mut keys = plan.keys;
    for &work in Work::ALL {
        if !plan.wants(work) || !E::supports(work) {
            continue;
        }
        samples.push(match work {
            Work::Get => work::get(&engine, plan, work, 1)?,
            Work::Get2 => work::get(&engine, plan, work, 2)?,
            Work::Seek => work::seek(&engine, plan)?,
            Work::Iterate => work::iterate(&engine, plan)?,
            Work::Count | Work::Rank | Work::Nth => work::positions(&engine, plan, work)?,
            Work::Overwrite => work::overwrite(&engine, plan)?,
            Work::Zipf => work::zipf(&engine, plan)?,
            Work::New => {
                keys += work::new_keys_len(plan);
                work::new_keys(&engine, plan)?
            }
            _ => continue,
        });
    }
    engine.close()?;
    if wants_disk::<E>(plan) {
        let times = disk_bytes(dir)? as f64 / plan.live_bytes(keys) as f64;
        samples.push(Sample::of(Work::Disk, times));
    }
    Ok(())
}

fn wants_disk<E: Engine>(plan: &Plan) -> bool {
    plan.wants(Work::Disk) && E::supports(Work::Disk)
}

/// Opening what [`buffered`] left.
fn opened<E: Engine>(dir: &Path, plan: &Plan, samples: &mut Vec<Sample>) -> Result<()> {
    if plan.wants(Work::Reopen) && E::supports(Work::Reopen) {
        samples.push(work::reopen::<E>(dir, plan)?);
    }
    if plan.wants(Work::Killed) && E::supports(Work::Killed) {
        let task = Task { work: Work::Killed, engine: E::NAME.to_owned() };
        task.run(dir, plan)?;
        samples.push(work::reopen_after_kill::<E>(dir, plan)?);
    }
    Ok(())
}

/// The workloads that wait for the disk, on the same store.
fn synced<E: Engine>(dir: &Path, plan: &Plan, samples: &mut Vec<Sample>) -> Result<()> {
    settle_disk();
    let engine = E::open(dir, Mode::Synced)?;
    for work in Work::ALL.iter().copied().filter(|&w| plan.wants(w) && E::supports(w)) {
        samples.push(match work {
            Work::SyncPut => work::sync_puts(&engine, plan, work, 1)?,
            Work::SyncPut16 => work::sync_puts(&engine, plan, work, 16)?,
            Work::SyncBatch => work::sync_batches(&engine, plan)?,
            _ => continue,
        });
    }
    engine.close()
}
