//! What the store does by itself: syncing in time, and everything that can wait.
//!
//! Three threads, so that a long merge never delays a sync, nor the file that comes next, nor what
//! has expired. All end when told, and none keeps the store open.
//!
//! All have the priority of the caller's threads. With a lower one merge falls behind where other
//! programs take the processors, and then writers wait for it (docs/performance.md).

use super::{Engine, hints::Hinted};
use crate::{
    error::Result,
    options::{AutoMerge, Durability},
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use parking_lot::Mutex;
use std::{
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

/// What happened that a background thread should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// A data file was sealed.
    Rolled,
    /// A range delete waits to be worked off.
    WorkOff,
    /// The active file is nearly full, and none is ready to follow it.
    NearlyFull,
    /// Many bytes wait to be synced, or somebody waits for them.
    SyncSoon,
    /// End the thread.
    Stop,
}

/// Where tasks go. Both ends look around by themselves too, so a lost task is only late.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    sync: Sender<Task>,
    work: Sender<Task>,
    merge: Sender<Task>,
}

/// The receiving ends, until the threads start.
#[derive(Debug)]
pub(crate) struct TaskQueues {
    sync: Receiver<Task>,
    work: Receiver<Task>,
    merge: Receiver<Task>,
}

const QUEUE_TASKS_MAX: usize = 64;
/// How often a thread looks around.
const TICK: Duration = Duration::from_millis(100);

/// What can wait and holds the writer lock at times.
const WORK: [Step; 4] = [
    Engine::work_off_in_background,
    |engine| engine.remove_expired().map(drop),
    Engine::evict_over_budget,
    Engine::prepare_next_file,
];
/// What gives space back. Nobody waits for it before that is used up.
const GIVE_BACK: [Step; 4] =
    [Engine::unlink_dead_blobs, Engine::write_hints_if_due, Engine::merge_if_due, |engine| {
        engine.relax();
        Ok(())
    }];

type Step = fn(&Engine) -> Result<()>;

pub(crate) fn tasks() -> (Tasks, TaskQueues) {
    let (sync, sync_queue) = bounded(QUEUE_TASKS_MAX);
    let (work, work_queue) = bounded(QUEUE_TASKS_MAX);
    let (merge, merge_queue) = bounded(QUEUE_TASKS_MAX);
    let queues = TaskQueues { sync: sync_queue, work: work_queue, merge: merge_queue };
    (Tasks { sync, work, merge }, queues)
}

/// The running threads of a store.
#[derive(Debug, Default)]
pub(crate) struct Background(Mutex<Vec<JoinHandle<()>>>);

impl Background {
    /// Starts the threads of an engine.
    pub(crate) fn start(engine: &Arc<Engine>, queues: TaskQueues) -> std::io::Result<Background> {
        let start = |name: &str, run: fn(&Engine, &Receiver<Task>), queue: Receiver<Task>| {
            let engine = Arc::clone(engine);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || run(&engine, &queue))
        };
        let threads = vec![
            start("kvcore-sync", Engine::sync_loop, queues.sync)?,
            start("kvcore-work", Engine::work_loop, queues.work)?,
            start("kvcore-merge", Engine::merge_loop, queues.merge)?,
        ];
        Ok(Background(Mutex::new(threads)))
    }

    /// Ends the threads and waits for them.
    pub(crate) fn stop(&self, engine: &Engine) {
        let threads = std::mem::take(&mut *self.0.lock());
        if threads.is_empty() {
            return;
        }
        // The store is closed by now, so a full queue is soon empty.
        let _ = engine.tasks.sync.send(Task::Stop);
        let _ = engine.tasks.work.send(Task::Stop);
        let _ = engine.tasks.merge.send(Task::Stop);
        for thread in threads {
            // Dropping the last handle inside one of the threads must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl Engine {
    pub(crate) fn notify(&self, task: Task) {
        if matches!(task, Task::Rolled | Task::SyncSoon | Task::NearlyFull) {
            let _ = self.tasks.sync.try_send(task);
        }
        if matches!(task, Task::Rolled | Task::WorkOff) {
            let _ = self.tasks.work.try_send(task);
            let _ = self.tasks.merge.try_send(task);
        }
    }

    /// A commit asked to be synced within this time.
    pub(super) fn sync_within(&self, every: Duration) {
        let ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).max(1);
        if self.counters.sync_every_ms.fetch_min(ms, Ordering::Relaxed) > ms {
            self.notify(Task::SyncSoon);
        }
    }

    /// The longest time an applied commit waits for its sync.
    fn sync_period(&self) -> Duration {
        let asked = Duration::from_millis(self.counters.sync_every_ms.load(Ordering::Relaxed));
        let default = match self.options.durability {
            Durability::Interval(every) => every.min(self.options.sync_after),
            _ => self.options.sync_after,
        };
        asked.min(default)
    }

    fn sync_loop(&self, queue: &Receiver<Task>) {
        loop {
            match queue.recv_timeout(self.sync_period()) {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            if self.check_open().is_err() {
                continue;
            }
            // Here too, since the thread that works off may be in the middle of it, and who finds
            // no file ready has to make one. What fails is tried, and reported, there.
            let _ = self.prepare_next_file();
            if self.has_unsynced() {
                // A failure poisons the store, and every later call reports it.
                let _ = self.sync_all();
            }
        }
    }

    fn has_unsynced(&self) -> bool {
        self.tip() > self.sync.durable_sequence()
    }

    fn work_loop(&self, queue: &Receiver<Task>) {
        loop {
            let wait = if self.has_pending() { Duration::ZERO } else { TICK };
            match queue.recv_timeout(wait) {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            if self.check_open().is_err() {
                continue;
            }
            self.take_steps_in_background(&WORK);
        }
    }

    fn merge_loop(&self, queue: &Receiver<Task>) {
        loop {
            match queue.recv_timeout(TICK) {
                Ok(Task::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
            if self.check_open().is_ok() {
                self.take_steps_in_background(&GIVE_BACK);
            }
        }
    }

    fn take_steps_in_background(&self, steps: &[Step]) {
        if let Err(e) = self.take_steps(steps) {
            crate::trace::background_failed(&self.dir, &e);
        }
    }

    /// One round of everything that can wait.
    pub(crate) fn maintain(&self) -> Result<()> {
        self.check_nested()?;
        let worked = self.take_steps(&WORK);
        worked.and(self.take_steps(&GIVE_BACK))
    }

    /// A step that fails does not keep the later ones from their turn: on a full disk only merge
    /// can help, and what comes before it needs space.
    fn take_steps(&self, steps: &[Step]) -> Result<()> {
        self.check_writable()?;
        steps.iter().map(|step| step(self)).fold(Ok(()), Result::and)
    }

    fn write_hints_if_due(&self) -> Result<()> {
        // Nobody else writes the same hint, and no merge removes its file meanwhile.
        let _one_at_a_time = self.merge.lock();
        let which = match self.options.auto_merge {
            AutoMerge::On => Hinted::Settled,
            AutoMerge::Off => Hinted::All,
        };
        match self.write_missing_hints(which) {
            // Merge comes next, and makes room.
            Err(e) if e.is_full() => Ok(()),
            written => written,
        }
    }
}
