//! Crashes and faults at every disk operation of many small workloads, on the simulated disk.
//!
//! For every operation of a workload the power is cut there, the disks that may be found afterwards
//! are opened, and what they hold is compared with what was promised: a prefix of the commits,
//! whole batches, everything acknowledged as durable, nothing that was never written. Some are then
//! cut again inside their recovery, or after the first writes behind it. The fault sweep does the
//! same with calls that fail, once or for ever.
//!
//! `cargo test` runs a sample. The full sweep, with as many images as asked for:
//!
//! ```text
//! KVCORE_CRASH_IMAGES=1000000 cargo test --release -p kvcore --test it crash:: -- --nocapture
//! ```
//!
//! `KVCORE_CRASH_SEED=n` starts from other random workloads; `KVCORE_KILLS=n` sets the number of
//! real processes that are killed.

mod found;
mod kill;
pub(crate) mod lying;
mod model;
mod run;
mod sweep;
mod workload;

use lying::Lie;
use sweep::{Effort, Report, Sweep};

/// A number from the environment, for runs longer than the everyday one.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    setting("KVCORE_CRASH_SEED", 20_260_901)
}

/// Images of a run of `cargo test`; all sweeps together.
const IMAGES_DEFAULT: u64 = 6_000;

fn images_wanted() -> u64 {
    setting("KVCORE_CRASH_IMAGES", IMAGES_DEFAULT)
}

fn effort(seed: u64, images_wanted: u64, stride: u64) -> Effort {
    if images_wanted <= IMAGES_DEFAULT {
        return Effort { seed, stride, images: 5, second_images: 2, follow_one_in: 8 };
    }
    Effort { seed, stride: 1, images: 40, second_images: 6, follow_one_in: 10 }
}

/// Sweeps the scripts, then random workloads until there were images enough. A sample looks at
/// one operation in `stride`.
fn sweep_all(lie: Lie, images_wanted: u64, stride: u64, go: impl Fn(&mut Sweep<'_>)) -> Report {
    let (seed, mut report) = (seed(), Report::default());
    for workload in workload::scripts() {
        go(&mut Sweep::new(&workload, lie, effort(seed, images_wanted, stride), &mut report));
    }
    let mut next = seed;
    while report.images < images_wanted && report.violations.is_empty() {
        let workload = workload::random(next);
        go(&mut Sweep::new(&workload, lie, effort(next, images_wanted, stride), &mut report));
        next += 1;
    }
    report
}

#[track_caller]
fn assert_kept(what: &str, report: &Report) {
    println!("{what}, seed {}: {report}", seed());
    assert!(report.faults_fired > 0, "nothing went wrong, so nothing was tested");
    assert!(report.violations.is_empty(), "{what}, seed {}: {report}", seed());
}

#[test]
fn every_power_cut_leaves_a_prefix_with_everything_that_was_promised() {
    let report = sweep_all(Lie::None, images_wanted() / 2, 7, |sweep| sweep.crashes());
    assert_kept("power cuts", &report);
}

#[test]
fn every_failing_call_loses_nothing_that_was_promised() {
    let report = sweep_all(Lie::None, images_wanted() / 3, 41, |sweep| sweep.faults());
    assert_kept("faults", &report);
}

#[test]
fn full_disk_fails_commits_and_loses_none() {
    let report = sweep_all(Lie::None, images_wanted() / 6, 31, |sweep| sweep.full_disks());
    assert_kept("full disks", &report);
}

#[test]
fn disk_without_reservations_keeps_the_same_promises() {
    let report = sweep_all(Lie::NoReserve, images_wanted() / 6, 61, |sweep| {
        sweep.crashes();
        sweep.faults();
    });
    assert_kept("without reservations", &report);
}

#[test]
fn power_cut_beside_a_merge_leaves_a_prefix_with_everything_that_was_promised() {
    let wanted = images_wanted() / 6;
    let mut report = Report::default();
    let mut next = seed();
    while report.images < wanted && report.violations.is_empty() {
        let workload = workload::random_writes(next);
        let effort = effort(next, wanted, 1);
        Sweep::new(&workload, Lie::None, effort, &mut report).crash_beside_a_merge();
        next += 1;
    }
    assert_kept("power cuts beside a merge", &report);
}

#[test]
fn disk_with_only_what_every_system_has_keeps_the_same_promises() {
    let report = sweep_all(Lie::Portable, images_wanted() / 6, 83, |sweep| sweep.crashes());
    assert_kept("portable calls only", &report);
}

#[test]
fn sweep_notices_a_disk_whose_file_sync_does_nothing() {
    let report = sweep_all(Lie::SyncData, 1, 7, |sweep| sweep.crashes());
    assert!(!report.violations.is_empty(), "{} images and nothing seen", report.images);
}

#[test]
fn sweep_notices_a_disk_whose_directory_sync_does_nothing() {
    let report = sweep_all(Lie::SyncDir, 1, 7, |sweep| sweep.crashes());
    assert!(!report.violations.is_empty(), "{} images and nothing seen", report.images);
}
