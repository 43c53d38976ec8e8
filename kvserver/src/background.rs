//! The two helper threads: one makes commits durable, one merges and saves.
//!
//! No connection thread ever waits for the disk: it asks here, keeps the replies, and is woken.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};

use crossbeam_channel::Receiver;

use crate::data::Position;
use crate::shared::{Shared, now_ms};

/// What the background threads are asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// Wake the workers when everything up to here is durable.
    Durable(Position),
    Merge,
    /// BGSAVE.
    Save,
    Stop,
}

/// Serves [`Job::Durable`], until [`Job::Stop`]: one sync for all that have asked meanwhile.
pub(crate) fn sync_loop(
    shared: &Arc<Shared>,
    jobs: &Receiver<Job>,
    slow: &crossbeam_channel::Sender<Job>,
) {
    while let Ok(job) = jobs.recv() {
        let (mut wanted, mut stop) = (None, false);
        for job in std::iter::once(job).chain(jobs.try_iter()) {
            match job {
                Job::Durable(position) => wanted = wanted.max(Some(position)),
                Job::Stop => stop = true,
                other => drop(slow.send(other)),
            }
        }
        if let Some(position) = wanted {
            if let Err(error) = shared.engine.wait_durable(position) {
                shared.fail(&error);
            }
            shared.wake_workers();
        }
        if stop {
            drop(slow.send(Job::Stop));
            return;
        }
    }
}

/// Serves the jobs that take long, one after the other, until [`Job::Stop`].
pub(crate) fn slow_loop(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Merge => {
                if let Err(error) = shared.engine.merge() {
                    tracing::warn!(%error, "merge failed; nothing has changed");
                }
                shared.background.merging.store(false, Release);
            }
            Job::Save => {
                let changes = shared.stats.changes.load(Relaxed);
                match shared.engine.sync() {
                    Ok(()) => note_saved(shared, changes),
                    Err(error) => shared.fail(&error),
                }
                shared.background.saving.store(false, Release);
            }
            Job::Durable(_) => {}
            Job::Stop => return,
        }
    }
}

/// Remembers that the first `changes` changes have been saved now.
pub(crate) fn note_saved(shared: &Shared, changes: u64) {
    shared.stats.changes_saved.store(changes, Relaxed);
    shared.background.last_save_s.store(now_ms() / 1000, Relaxed);
}
