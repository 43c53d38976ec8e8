//! One engine's turn in one round: all workloads of a run, on a store of its own.

use std::{marker::PhantomData, path::Path};

use tempfile::TempDir;

use crate::{
    Result,
    child::{self, Kind, Task},
    engine::{Engine, Mode, Role},
    measure::{Sample, anonymous_bytes, disk_bytes, evict, peak_resident_bytes, settle_disk},
    memory_limit,
    plan::Plan,
    work::{self, Work},
};

/// An engine whose type is forgotten, so that engines can stand in one list.
pub trait Contender {
    /// Its name.
    fn name(&self) -> &'static str;
    /// What it is in the comparison.
    fn role(&self) -> Role;
    /// Whether it takes part in this workload.
    fn supports(&self, work: Work) -> bool;
    /// Whether its result of this workload may be called the best peer's.
    fn is_comparable(&self, work: Work) -> bool;
    /// In a child process: does its task in the plan's directory, and reports.
    fn perform(&self, kind: Kind, plan: &Plan) -> Result<()>;
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

    fn supports(&self, work: Work) -> bool {
        E::supports(work)
    }

    fn is_comparable(&self, work: Work) -> bool {
        E::ROLE == Role::Peer && (E::syncs_reliably() || !work.is_synced())
    }

    fn perform(&self, kind: Kind, plan: &Plan) -> Result<()> {
        match kind {
            Kind::Turn => child::report(&turn::<E>(plan)?),
            Kind::Memory => {
                child::report(&work::measure_memory::<E>(&plan.dir, plan)?)?;
                child::wait_to_be_killed()
            }
            Kind::WriteUntilKilled => {
                let _open = work::write_until_killed::<E>(&plan.dir, plan)?;
                child::report(&[])?;
                child::wait_to_be_killed()
            }
        }
    }
}

fn turn<E: Engine>(plan: &Plan) -> Result<Vec<Sample>> {
    let mut turn = Turn::<E> { plan, samples: Vec::new(), engine: PhantomData };
    if turn.wants_any(|work| !work.is_of_keydir()) {
        let dir = fresh_dir(plan)?;
        let mut versions = vec![0; usize::try_from(plan.keys)?];
        turn.buffered(dir.path(), &mut versions)?;
        turn.opened(dir.path())?;
        if turn.wants_any(Work::is_limited) {
            turn.limited(dir.path(), &mut versions)?;
        }
        if turn.wants_any(Work::is_synced) {
            turn.synced(dir.path(), &mut versions)?;
        }
        if turn.wants_any(Work::is_of_removal) {
            turn.removed(dir.path())?;
        }
        turn.add_if_wanted(Work::PeakResident, || mebibytes(peak_resident_bytes()?))?;
    }
    if turn.wants_any(Work::is_of_keydir) {
        let dir = fresh_dir(plan)?;
        let task = Task::of_child(Kind::Memory, E::NAME, &plan.spec, dir.path());
        let samples = task.run()?;
        turn.samples.extend(samples.into_iter().filter(|sample| plan.wants(sample.work)));
    }
    Ok(turn.samples)
}

fn fresh_dir(plan: &Plan) -> Result<TempDir> {
    settle_disk();
    Ok(tempfile::Builder::new().prefix("bench-").tempdir_in(&plan.dir)?)
}

fn mebibytes(bytes: u64) -> Result<f64> {
    Ok(bytes as f64 / f64::from(1 << 20))
}

struct Turn<'p, E> {
    plan: &'p Plan,
    samples: Vec<Sample>,
    engine: PhantomData<fn() -> E>,
}

impl<E: Engine> Turn<'_, E> {
    fn wants(&self, work: Work) -> bool {
        self.plan.wants(work) && E::supports(work)
    }

    fn wants_any(&self, works: impl Fn(Work) -> bool) -> bool {
        self.plan.wants_any(|work| works(work) && E::supports(work))
    }

    fn add_if_wanted(&mut self, work: Work, value: impl FnOnce() -> Result<f64>) -> Result<()> {
        if self.wants(work) {
            self.samples.push(Sample::of(work, value()?));
        }
        Ok(())
    }

    /// The workloads that do not wait for the disk, from an empty store to a closed one.
    /// `versions` is what mixes have written.
    fn buffered(&mut self, dir: &Path, versions: &mut Vec<u32>) -> Result<()> {
        let plan = self.plan;
        let engine = E::open(dir, plan.setup(Mode::Buffered))?;
        let load = work::load(&engine, plan)?;
        if self.wants(Work::Load) {
            self.samples.push(load);
        }
        engine.settle()?;
        // Pages the load left dirty would hide those that the workloads make dirty.
        settle_disk();
        let mut keys = plan.keys;
        for &work in Work::ALL {
            if !self.wants(work) || work.is_synced() || work.is_limited() {
                continue;
            }
            self.samples.push(match work {
                Work::Len => work::len(&engine, plan)?,
                Work::Get => work::get(&engine, plan, work, 1)?,
                Work::Get2 => work::get(&engine, plan, work, 2)?,
                Work::Get4 => work::get(&engine, plan, work, 4)?,
                Work::Get8 => work::get(&engine, plan, work, 8)?,
                Work::Seek => work::seek(&engine, plan)?,
                Work::Iterate => work::iterate(&engine, plan)?,
                Work::Count | Work::Rank | Work::Nth => work::positions(&engine, plan, work)?,
                Work::Overwrite => work::overwrite(&engine, plan)?,
                Work::Zipf => work::zipf(&engine, plan)?,
                Work::New => {
                    keys += work::new_keys_len(plan);
                    work::new_keys(&engine, plan)?
                }
                work if work.is_mixed() => work::mix(&engine, plan, work, versions)?,
                _ => continue,
            });
        }
        if self.wants(Work::SteadyPut) {
            self.samples.extend(work::steady(&engine, dir, plan)?);
        }
        self.add_if_wanted(Work::Anonymous, || mebibytes(anonymous_bytes()?))?;
        engine.close()?;
        self.add_if_wanted(Work::Disk, || of_live(dir, plan, keys))
    }

    /// Opening what [`Turn::buffered`] left.
    fn opened(&mut self, dir: &Path) -> Result<()> {
        let plan = self.plan;
        if self.wants(Work::Reopen) {
            self.samples.push(work::reopen::<E>(dir, plan, Work::Reopen)?);
        }
        if self.wants(Work::ReopenCold) {
            evict(dir)?;
            self.samples.push(work::reopen::<E>(dir, plan, Work::ReopenCold)?);
        }
        if self.wants(Work::ColdGet) {
            self.samples.push(work::cold_gets::<E>(dir, plan)?);
        }
        if self.wants(Work::Killed) {
            Task::of_child(Kind::WriteUntilKilled, E::NAME, &plan.spec, dir).run()?;
            self.samples.push(work::reopen_after_kill::<E>(dir, plan)?);
        }
        Ok(())
    }

    /// The mixes with little memory. The store was loaded with all there is, since a load into a
    /// tree larger than memory takes hours; nothing of it is left in the page cache.
    fn limited(&mut self, dir: &Path, versions: &mut Vec<u32>) -> Result<()> {
        evict(dir)?;
        memory_limit::join_group()?;
        let engine = E::open(dir, self.plan.setup(Mode::Buffered))?;
        for work in Work::ALL.iter().copied().filter(|work| work.is_limited()) {
            if self.wants(work) {
                self.samples.push(work::mix(&engine, self.plan, work, versions)?);
            }
        }
        engine.close()
    }

    /// The workloads that wait for the disk, on the same store.
    fn synced(&mut self, dir: &Path, versions: &mut Vec<u32>) -> Result<()> {
        let plan = self.plan;
        settle_disk();
        let engine = E::open(dir, plan.setup(Mode::Synced))?;
        for work in Work::ALL.iter().copied().filter(|work| work.is_synced()) {
            if !self.wants(work) {
                continue;
            }
            self.samples.push(match work {
                Work::SyncPut => work::sync_puts(&engine, plan, work, 1)?,
                Work::SyncPut16 => work::sync_puts(&engine, plan, work, 16)?,
                Work::SyncBatch => work::sync_batches(&engine, plan)?,
                work => work::mix(&engine, plan, work, versions)?,
            });
        }
        engine.close()
    }

    /// Removals, and the space before and after compaction.
    fn removed(&mut self, dir: &Path) -> Result<()> {
        let plan = self.plan;
        let new = if self.wants(Work::New) { work::new_keys_len(plan) } else { 0 };
        let keys = plan.keys / 2 + new;
        let engine = E::open(dir, plan.setup(Mode::Buffered))?;
        let remove = work::remove(&engine, plan)?;
        if self.wants(Work::Remove) {
            self.samples.push(remove);
        }
        engine.settle()?;
        engine.close()?;
        self.add_if_wanted(Work::DiskRemoved, || of_live(dir, plan, keys))?;
        if self.wants(Work::Compacted) {
            E::open(dir, plan.setup(Mode::Buffered))?.compact(dir)?;
            self.samples.push(Sample::of(Work::Compacted, of_live(dir, plan, keys)?));
        }
        Ok(())
    }
}

/// Bytes on disk as a multiple of those of this many keys and values.
fn of_live(dir: &Path, plan: &Plan, keys: u32) -> Result<f64> {
    Ok(disk_bytes(dir)? as f64 / plan.live_bytes(keys) as f64)
}
