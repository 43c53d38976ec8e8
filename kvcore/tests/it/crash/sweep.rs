//! The sweeps: a fault at every operation of a workload, and everything the medium may hold then.

use super::{
    lying::Lie,
    model::Ledger,
    run::{Run, Stepped, Violation, dir},
    workload::{Ack, Op, Workload, Write},
};
use kvcore::AutoMerge;
use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// What a sweep did and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Disks as a power cut or a dying process left them, opened and compared.
    pub(crate) images: u64,
    /// Of those, after a crash in a recovery or after the first writes behind one.
    pub(crate) second_crashes: u64,
    pub(crate) faults_fired: u64,
    pub(crate) violations: Vec<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { images, second_crashes, faults_fired, violations } = self;
        write!(f, "{images} images ({second_crashes} of a second crash), ")?;
        write!(f, "{faults_fired} faults fired, {} violations", violations.len())?;
        violations.iter().take(3).try_for_each(|v| write!(f, "\n\n{v}"))
    }
}

/// How hard to look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    pub(crate) seed: u64,
    /// Crash points per workload are this far apart.
    pub(crate) stride: u64,
    /// Images per crash point, and per second crash.
    pub(crate) images: usize,
    pub(crate) second_images: usize,
    /// Of this many images one is followed further.
    pub(crate) follow_one_in: u64,
}

/// What made a disk as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    ByPowerCut,
    /// What was pending still is.
    ByProcess,
}

/// Ends a sweep that has found enough.
const VIOLATIONS_MAX: usize = 20;

pub(crate) struct Sweep<'a> {
    workload: &'a Workload,
    lie: Lie,
    effort: Effort,
    random: fastrand::Rng,
    pub(crate) report: &'a mut Report,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(
        workload: &'a Workload,
        lie: Lie,
        effort: Effort,
        report: &'a mut Report,
    ) -> Sweep<'a> {
        let random = fastrand::Rng::with_seed(effort.seed);
        Sweep { workload, lie, effort, random, report }
    }

    fn run(&self, disk: &SimDisk) -> Run {
        Run::new(self.workload, disk.clone(), self.lie)
    }

    /// How many changes, syncs and reads the workload takes without a fault.
    fn count(&mut self, disk: &SimDisk) -> (u64, u64) {
        let mut run = self.run(disk);
        let played = run.play(&self.workload.ops);
        let (disk, store) = (run.disk.clone(), run.store.is_some());
        self.note(&disk, "without a fault", played);
        assert!(store, "the workload {:?} runs to its end", self.workload.name);
        (disk.operations(), disk.read_operations())
    }

    fn note(&mut self, disk: &SimDisk, how: &str, result: Result<(), Violation>) {
        let Err(what) = result else { return };
        let log = disk.op_log();
        let log = log[log.len().saturating_sub(120)..].join("\n");
        let (name, seed) = (&self.workload.name, self.effort.seed);
        self.report.violations.push(format!(
            "workload {name:?}, seed {seed}, {how}: {what}\n{}\n{log}",
            disk.describe()
        ));
    }

    /// Runs a case; a panic is a violation like any other.
    fn case(
        &mut self,
        disk: &SimDisk,
        how: &str,
        f: impl FnOnce(&mut Self) -> Result<(), Violation>,
    ) {
        let result = catch_unwind(AssertUnwindSafe(|| f(self))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        });
        self.note(disk, how, result);
    }

    fn is_enough(&self) -> bool {
        self.report.violations.len() >= VIOLATIONS_MAX
    }

    // ---- power cuts ----

    /// A power cut at every operation.
    pub(crate) fn crashes(&mut self) {
        let (operations, _) = self.count(&SimDisk::new(self.effort.seed));
        let mut at = self.random.u64(..self.effort.stride);
        while at < operations && !self.is_enough() {
            let disk = SimDisk::new(self.effort.seed ^ at);
            let mut run = self.run(&disk);
            run.fail(at, Fault::Crash, Repeat::Once);
            let how = format!("power cut at #{at}");
            self.case(&disk, &how, |sweep| {
                run.play(&sweep.workload.ops)?;
                sweep.report.faults_fired += run.disk.faults_fired();
                if !run.disk.crashed() {
                    // Merges that start by themselves pause by the real clock.
                    let may_vary = sweep.workload.auto_merge == AutoMerge::On;
                    return may_vary.then_some(()).ok_or("the power cut did not come".to_owned());
                }
                sweep.power_cut(&run, &how, sweep.effort.images)
            });
            at += self.effort.stride;
        }
    }

    /// A power cut somewhere while one thread writes and another merges.
    pub(crate) fn crash_beside_a_merge(&mut self) {
        let disk = SimDisk::new(self.effort.seed);
        let mut run = self.run(&disk);
        // Which operation that is, is up to the threads.
        let at = self.random.u64(20..400);
        run.fail(at, Fault::Crash, Repeat::Once);
        let how = format!("power cut at #{at} beside a merge");
        self.case(&disk, &how, |sweep| {
            if run.start()? {
                beside_a_merge(&mut run, &sweep.workload.ops)?;
            }
            run.disk.crash();
            sweep.report.faults_fired += 1;
            run.drop_store();
            sweep.power_cut(&run, &how, sweep.effort.images)
        });
    }

    /// Opens what a cut of this disk may have left, and what the end of its process did.
    fn power_cut(&mut self, run: &Run, how: &str, limit: usize) -> Result<(), Violation> {
        let ledger = run.ledger.clone();
        let killed = run.disk.process_crash_image();
        self.check_image(&killed, &ledger, Left::ByProcess, &format!("{how}, killed"));
        for (image, disk) in run.disk.crash_images(limit, self.random.u64(..)) {
            if self.is_enough() {
                break;
            }
            self.check_image(&disk, &ledger, Left::ByPowerCut, &format!("{how}, {image}"));
        }
        Ok(())
    }

    /// Opens an image, and with some goes further: another crash, now or a little later.
    fn check_image(&mut self, image: &SimDisk, ledger: &Ledger, left: Left, how: &str) {
        let must_hold = if left == Left::ByProcess { ledger.acked } else { ledger.durable };
        let mut run = None;
        self.case(image, how, |sweep| {
            run = Some(sweep.open_copy(image, ledger, must_hold)?);
            Ok(())
        });
        let Some(mut run) = run else { return };
        if self.random.u64(..self.effort.follow_one_in) > 0 {
            return run.drop_store();
        }
        let disk = run.disk.clone();
        // Until the first recovery came to its end, a dead process's writes are not durable.
        let found = match left {
            Left::ByProcess => (&disk, ledger),
            Left::ByPowerCut => (&disk, &run.ledger.clone()),
        };
        match self.random.u8(..6) {
            0..2 => self.crash_in_recovery(image, found, how),
            2..5 => self.case(&disk, &format!("{how}, written to"), |sweep| {
                sweep.write_and_crash(&mut run, how)
            }),
            _ => self.case(&disk, &format!("{how}, tidied up"), |_| tidied_up(&mut run)),
        }
        run.drop_store();
    }

    fn open_copy(
        &mut self,
        image: &SimDisk,
        ledger: &Ledger,
        must_hold: u64,
    ) -> Result<Run, Violation> {
        self.report.images += 1;
        let copy = image.process_crash_image();
        let mut run = Run::resume(self.workload, copy, self.lie, ledger.clone());
        match run.open(must_hold) {
            Ok(compared) => compared.map(|()| run),
            Err(e) => {
                run.drop_store();
                Err(format!("the store does not open: {e}"))
            }
        }
    }

    /// Recovery itself is cut off, and another one must come to the same.
    fn crash_in_recovery(
        &mut self,
        image: &SimDisk,
        (opened, found): (&SimDisk, &Ledger),
        how: &str,
    ) {
        let start = image.process_crash_image().operations();
        let count = opened.operations().saturating_sub(start);
        for step in 0..count {
            if self.is_enough() {
                return;
            }
            let how = format!("{how}, recovery cut at #{}", start + step);
            let disk = image.process_crash_image();
            self.case(&disk, &how, |sweep| {
                disk.fail(start + step, Fault::Crash, Repeat::Once);
                let mut run = Run::resume(sweep.workload, disk.clone(), sweep.lie, found.clone());
                let result = run.open(found.acked);
                run.drop_store();
                sweep.report.faults_fired += disk.faults_fired();
                if let Ok(Err(what)) = result {
                    return Err(what);
                }
                sweep.reopen_all(&disk, found, &how)
            });
        }
    }

    /// Every image of a disk must hold what the ledger has as durable.
    fn reopen_all(&mut self, disk: &SimDisk, ledger: &Ledger, how: &str) -> Result<(), Violation> {
        let images = disk.crash_images(self.effort.second_images, self.random.u64(..));
        for (image, disk) in images.collect::<Vec<_>>() {
            self.report.second_crashes += 1;
            let mut run = self
                .open_copy(&disk, ledger, ledger.durable)
                .map_err(|what| format!("{how}, {image}: {what}\n{}", disk.describe()))?;
            run.drop_store();
        }
        Ok(())
    }

    /// Some writes behind a recovery, and another power cut.
    fn write_and_crash(&mut self, run: &mut Run, how: &str) -> Result<(), Violation> {
        let count = self.random.usize(..5);
        for key in 0..count {
            let key = u8::try_from(key).expect("a few");
            let ack = if self.random.bool() { Ack::Durable } else { Ack::Buffered };
            let op = match self.random.u8(..8) {
                0 => Op::Merge,
                1 => Op::Maintain,
                2 => Op::Write(Write::Delete { keyspace: 0, key }, ack),
                3 => Op::Write(Write::Put { keyspace: 0, key, len: 190 }, ack),
                _ => Op::Write(Write::Put { keyspace: 0, key, len: 30 }, ack),
            };
            if let Stepped::Failed(e) = run.step(&op)? {
                return Err(format!("{op:?} failed without a fault: {e}"));
            }
        }
        let ledger = run.ledger.clone();
        let killed = run.disk.process_crash_image();
        self.report.second_crashes += 1;
        self.open_copy(&killed, &ledger, ledger.acked)
            .map_err(|what| format!("killed: {what}"))?
            .drop_store();
        self.reopen_all(&run.disk.clone(), &ledger, how)
    }

    // ---- faults ----

    /// Every change and sync goes wrong in every way.
    pub(crate) fn faults(&mut self) {
        let (operations, reads) = self.count(&disk_with_directory(self.effort.seed));
        let faults = [
            (Fault::EIO, Repeat::Once),
            (Fault::EIO, Repeat::Forever),
            (Fault::ENOSPC, Repeat::Once),
            (Fault::ShortWrite(1), Repeat::Once),
            (Fault::TornWrite(17), Repeat::Once),
            (Fault::TornWrite(1 << 20), Repeat::Once),
        ];
        for (fault, repeat) in faults {
            let mut at = self.random.u64(..self.effort.stride);
            while at < operations && !self.is_enough() {
                self.one_fault(&format!("{fault:?} {repeat:?} at #{at}"), |run| {
                    run.fail(at, fault, repeat);
                });
                at += self.effort.stride;
            }
        }
        let read_faults = [(Fault::EIO, Repeat::Once), (Fault::ShortWrite(1), Repeat::Once)];
        for (fault, repeat) in read_faults {
            let mut at = self.random.u64(..self.effort.stride);
            while at < reads && !self.is_enough() {
                self.one_fault(&format!("{fault:?} {repeat:?} at read {at}"), |run| {
                    run.disk.fail_read(at, fault, repeat);
                });
                at += self.effort.stride;
            }
        }
    }

    /// The disk is full, at one size after the other, until there is space again.
    pub(crate) fn full_disks(&mut self) {
        let disk = disk_with_directory(self.effort.seed);
        self.count(&disk);
        let step = disk.used_bytes() / 24 + self.effort.stride * 8;
        let mut capacity_bytes = self.random.u64(..step);
        while capacity_bytes < disk.used_bytes() && !self.is_enough() {
            let how = format!("a disk of {capacity_bytes} bytes");
            self.one_fault(&how, |run| run.disk.set_capacity_bytes(Some(capacity_bytes)));
            capacity_bytes += step;
        }
    }

    fn one_fault(&mut self, how: &str, arm: impl FnOnce(&mut Run)) {
        let disk = disk_with_directory(self.effort.seed);
        let mut run = self.run(&disk);
        arm(&mut run);
        self.case(&disk, how, |sweep| {
            run.play(&sweep.workload.ops)?;
            run.drop_store();
            // A full disk is no fault to the disk, but to the step that met it.
            sweep.report.faults_fired += run.fired().max(run.failures);
            run.disk.clear_faults();
            run.disk.set_capacity_bytes(None);
            // What a power cut leaves right now, and what the next process finds and then keeps.
            let limit = sweep.effort.second_images;
            sweep.power_cut(&run, how, limit)?;
            let ledger = run.ledger.clone();
            let mut next = sweep.open_copy(&run.disk, &ledger, ledger.acked)?;
            let recovered = next.ledger.clone();
            sweep.reopen_all(&next.disk.clone(), &recovered, &format!("{how}, reopened"))?;
            sweep.write_and_crash(&mut next, how)?;
            tidied_up(&mut next)?;
            next.drop_store();
            Ok(())
        });
    }
}

/// Plays the script while another thread merges and tidies up, until the power goes.
fn beside_a_merge(run: &mut Run, ops: &[Op]) -> Result<(), Violation> {
    let (store, disk) = (run.store().clone(), run.disk.clone());
    run.is_beside_a_merge = true;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let merger = scope.spawn(|| {
            while !disk.crashed() && !done.load(Ordering::Acquire) {
                if let Err(e) = store.merge().and_then(|_| store.maintain())
                    && !disk.crashed()
                {
                    return Err(format!("merge failed without a fault: {e}"));
                }
            }
            Ok(())
        });
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| run.play_on(ops)));
        let played = played.unwrap_or_else(|_| Err("the script panicked".to_owned()));
        run.is_beside_a_merge = false;
        run.ledger.unseen_until(None);
        done.store(true, Ordering::Release);
        played.and(merger.join().expect("the merging thread does not panic"))
    })
}

/// A disk for faults: no later call can mend the name of a directory whose sync has failed.
fn disk_with_directory(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.create_dir(dir()).and_then(|()| disk.sync_dir(Path::new("/"))).expect("no fault is set");
    disk
}

/// After a merge nothing is left on the disk that the store does not know, and a proper close and
/// open change nothing.
fn tidied_up(run: &mut Run) -> Result<(), Violation> {
    for op in [Op::Merge, Op::Maintain, Op::Sync, Op::Maintain] {
        if let Stepped::Failed(e) = run.step(&op)? {
            return Err(format!("{op:?} failed without a fault: {e}"));
        }
    }
    let stats = run.store().stats();
    let known: BTreeSet<u64> = stats.files.iter().map(|f| f.id).collect();
    let mut blobs = 0;
    for path in run.disk.paths() {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let (stem, extension) = name.split_once('.').unwrap_or((&name, ""));
        let is_known = match extension {
            "data" | "hint" => stem.parse().is_ok_and(|id| known.contains(&id)),
            "blob" => {
                blobs += 1;
                true
            }
            _ => name == "LOCK" || name.starts_with("MANIFEST-"),
        };
        if !is_known {
            return Err(format!("{name} is left over; live are {known:?}"));
        }
    }
    let paths = run.disk.paths();
    if paths.iter().filter(|p| p.to_string_lossy().contains("MANIFEST")).count() != 1 {
        return Err("there is more than one manifest".to_owned());
    }
    if blobs != stats.blobs && run.feed_retention_bytes == 0 {
        return Err(format!("{blobs} blobs are on the disk, {} are live", stats.blobs));
    }
    run.play_on(&[Op::Reopen])
}
