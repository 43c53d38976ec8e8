//! The helper threads: one makes commits durable, one merges and saves, one writes large values,
//! one removes what expired, one what is to give way, one what dead sets have left in the reverse
//! index.
//!
//! No connection thread ever waits for the disk: it asks here, keeps the replies, and is woken.

mod orphans;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::data::{Cleaning, Data, Position, StoreError};
use crate::eviction;
use crate::pubsub::Outbox;
use crate::shared::{Shared, now_ms};
use crate::staging::StageJob;
use crate::worker::Mail;
pub(crate) use orphans::{OrphanCheck, check_orphans};

/// How long an expired key may stay in memory before anybody looks.
const EXPIRE_EVERY: Duration = Duration::from_millis(100);
/// Keys removed while the workers wait.
const EXPIRE_STEP_KEYS: usize = 128;

/// What the background threads are asked for.
#[derive(Debug)]
pub(crate) enum Job {
    /// Wake the worker with this index when everything up to there is durable.
    Durable {
        until: Position,
        worker: usize,
    },
    Merge,
    /// Write large values, and tell their worker.
    Stage(Box<StageJob>),
    /// BGSAVE.
    Save,
    /// Remember uses of keys as the policy asks for.
    RememberUses,
    Stop,
}

/// Serves [`Job::Durable`], until [`Job::Stop`]: one sync for all that have asked meanwhile.
pub(crate) fn sync_loop(
    shared: &Arc<Shared>,
    jobs: &Receiver<Job>,
    slow: &crossbeam_channel::Sender<Job>,
    stage: &crossbeam_channel::Sender<Box<StageJob>>,
) {
    let mut asking = Vec::new();
    while let Ok(job) = jobs.recv() {
        let (mut wanted, mut stop) = (None, false);
        asking.clear();
        for job in std::iter::once(job).chain(jobs.try_iter()) {
            match job {
                Job::Durable { until, worker } => {
                    wanted = wanted.max(Some(until));
                    if !asking.contains(&worker) {
                        asking.push(worker);
                    }
                }
                Job::Stop => stop = true,
                Job::Stage(job) => drop(stage.send(job)),
                other => drop(slow.send(other)),
            }
        }
        if let Some(position) = wanted {
            match shared.engine.wait_durable(position) {
                Ok(()) => shared.wake(&asking),
                Err(error) => {
                    shared.fail(&error);
                    shared.wake_workers();
                }
            }
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
            Job::RememberUses => eviction::remember_uses(shared),
            Job::Durable { .. } | Job::Stage(_) => {}
            Job::Stop => return,
        }
    }
}

/// Writes large values into files of their own, until nobody can ask any more.
pub(crate) fn stage_loop(shared: &Arc<Shared>, jobs: &Receiver<Box<StageJob>>) {
    while let Ok(job) = jobs.recv() {
        let StageJob { values, worker, slot, client } = *job;
        let staged = shared.engine.stage(values);
        if let Some(mailbox) = shared.mailboxes.get().and_then(|all| all.get(worker)) {
            mailbox.send(Mail::Staged { slot, client, staged });
        }
    }
}

/// Removes keys past their time, with all they hold, until the other side of `ended` is dropped.
pub(crate) fn expiry_loop(shared: &Arc<Shared>, ended: &Receiver<Infallible>) {
    let mut data = Data::new(Arc::clone(&shared.engine));
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EXPIRE_EVERY) {
        loop {
            match expire_step(shared, &mut data, shared.engine.now_ms()) {
                Ok(0) => break,
                // More may wait, and so may the workers.
                Ok(_) => thread::yield_now(),
                Err(error) => {
                    tracing::warn!(%error, "cannot remove what has expired");
                    if error.is_final() {
                        shared.fail(&error);
                    }
                    break;
                }
            }
        }
    }
}

/// Removes some keys past their time in one commit; how many.
pub(crate) fn expire_step(
    shared: &Shared,
    data: &mut Data,
    now_ms: u64,
) -> Result<usize, StoreError> {
    let waits = !shared.debug.expires.load(Relaxed) || shared.pause.holds(now_ms).is_some();
    if waits || !shared.engine.has_due()? {
        return Ok(0);
    }
    let _gate = shared.gate.write();
    let time = shared.engine.hold_time();
    data.set_now_ms(time.now_ms());
    data.set_heard(shared.is_listening());
    let removed = data.remove_expired(EXPIRE_STEP_KEYS)?;
    if removed > 0 {
        let mut outbox = Outbox::default();
        shared.hear_all(data, &mut outbox);
        // WATCH is not told: it compares times (W2).
        let appendfsync = shared.parameters.appendfsync();
        shared.engine.round(appendfsync, |round| data.commit(round))??;
        outbox.keep();
        outbox.post(shared, None);
        shared.stats.expired.fetch_add(u64::try_from(removed).unwrap_or(0), Relaxed);
    }
    Ok(removed)
}

/// Times uses of keys, and evicts what commands have left to evict, until the other side of `ended`
/// is dropped.
pub(crate) fn eviction_loop(shared: &Arc<Shared>, ended: &Receiver<Infallible>) {
    let mut data = Data::new(Arc::clone(&shared.engine));
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EXPIRE_EVERY) {
        eviction::tick(shared, now_ms());
        loop {
            match eviction::evict_step(shared, &mut data) {
                Ok(false) => break,
                // More are to go, and workers may wait.
                Ok(true) => thread::yield_now(),
                Err(error) => {
                    tracing::warn!(%error, "cannot evict keys");
                    if error.is_final() {
                        shared.fail(&error);
                    }
                    break;
                }
            }
        }
    }
}

/// Removes what dead sets have left, until the other side of `ended` is dropped.
pub(crate) fn clean_loop(shared: &Arc<Shared>, ended: &Receiver<Infallible>) {
    let mut cleaning = Cleaning::default();
    let mut wait = Duration::ZERO;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(wait) {
        wait = match shared.engine.clean_sets(&mut cleaning) {
            Ok(true) => Duration::ZERO,
            Ok(false) => EXPIRE_EVERY,
            Err(error) => {
                tracing::warn!(%error, "cannot remove what dead sets have left");
                if error.is_final() {
                    shared.fail(&error);
                    return;
                }
                cleaning = Cleaning::default();
                EXPIRE_EVERY
            }
        };
    }
}

/// Makes pending the removal of some keys past their time, for a command that holds the gate.
pub(crate) fn expire_now(shared: &Shared, data: &mut Data) -> Result<(), StoreError> {
    let removed = data.remove_expired(EXPIRE_STEP_KEYS)?;
    shared.stats.expired.fetch_add(u64::try_from(removed).unwrap_or(0), Relaxed);
    Ok(())
}

/// Remembers that the first `changes` changes have been saved now.
pub(crate) fn note_saved(shared: &Shared, changes: u64) {
    shared.stats.changes_saved.store(changes, Relaxed);
    shared.background.last_save_s.store(now_ms() / 1000, Relaxed);
}
