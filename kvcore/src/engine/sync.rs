//! The one path on which the log becomes durable.
//!
//! # Invariants
//!
//! S1. The position is captured, and everything up to it written, before the sync call; poison is
//!     checked after it, since the system reports a failed write-back once.
//! S2. The durable watermark moves to a position only after every file up to it and the directory
//!     are synced.
//! S3. One thread syncs at a time; the others wait, and one sync serves all that it covers.
//! S4. A failed sync, of a log file or of the directory, poisons the store; it is never repeated.

use super::{
    Engine,
    append::SyncScope,
    waiting::{Waiter, Waiting, wake},
};
use crate::{
    error::{Error, Result},
    ids::{FileId, Sequence},
    log::LogPosition,
};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    task::Waker,
};

/// What is durable, and who waits for it.
#[derive(Debug)]
pub(crate) struct SyncState {
    turn: Mutex<Turn>,
    /// Told when a sync has ended.
    ended: Condvar,
    /// The durable watermark, packed: see [`pack`]. Every commit asks for it.
    position: AtomicU64,
    sequence: AtomicU64,
    waiting: Waiting,
}

/// Who syncs, and for how many.
#[derive(Debug, Default)]
struct Turn {
    is_taken: bool,
    waiting: usize,
    /// How many threads the last sync served: so many may be about to commit again.
    served: usize,
}

/// A position as one number that sorts as positions do. No file has the number 0, and none ends
/// above 4 GiB.
fn pack(position: LogPosition) -> u64 {
    let offset = u32::try_from(position.offset).unwrap_or(u32::MAX);
    u64::from(position.file.0) << u32::BITS | u64::from(offset)
}

fn unpack(packed: u64) -> Option<LogPosition> {
    let file = u32::try_from(packed >> u32::BITS).expect("64 bits less 32 are 32");
    let offset = packed & u64::from(u32::MAX);
    (file > 0).then_some(LogPosition { file: FileId(file), offset })
}

/// A sync waits for at most this many other threads to join it.
const JOINERS_MAX: usize = 64;

impl SyncState {
    /// What recovery hands over is durable, up to the log's end.
    pub(super) fn new(durable: Sequence, position: Option<LogPosition>) -> SyncState {
        SyncState {
            turn: Mutex::default(),
            ended: Condvar::new(),
            position: AtomicU64::new(position.map_or(0, pack)),
            sequence: AtomicU64::new(durable.0),
            waiting: Waiting::default(),
        }
    }

    /// The durable watermark; none before a new store's first sync.
    pub(crate) fn durable_position(&self) -> Option<LogPosition> {
        unpack(self.position.load(Ordering::Acquire))
    }

    pub(crate) fn durable_sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    /// Wakes it, once, when something may have changed.
    pub(crate) fn register(&self, waiter: Waiter, waker: &Waker) {
        self.waiting.join(waiter, waker);
    }

    /// It asks no more.
    pub(crate) fn leave(&self, waiter: Waiter) {
        self.waiting.leave(waiter);
    }

    /// Lets everybody who waits look again: the store was poisoned or closed.
    pub(crate) fn wake_waiting(&self) {
        wake(self.waiting.take());
    }

    pub(super) fn advance(&self, end: Option<LogPosition>, last: Sequence) {
        if let Some(end) = end {
            self.position.fetch_max(pack(end), Ordering::AcqRel);
        }
        self.sequence.fetch_max(last.0, Ordering::AcqRel);
        self.wake_waiting();
    }
}

impl Engine {
    /// Returns when this sequence is durable. Threads that wait meanwhile share the sync.
    pub(crate) fn sync_through(&self, target: Sequence) -> Result<()> {
        if self.sync.durable_sequence() >= target {
            return Ok(());
        }
        self.check_nested()?;
        let mut turn = self.sync.turn.lock();
        loop {
            self.check_poison()?;
            if self.sync.durable_sequence() >= target {
                // Somebody else's sync covered this commit while it waited for its turn.
                return Ok(());
            }
            if !turn.is_taken {
                break;
            }
            turn.waiting += 1;
            self.sync.ended.wait(&mut turn);
            turn.waiting -= 1;
        }
        self.take_turn(turn)
    }

    /// Syncs, and lets everybody who waited look again.
    fn take_turn(&self, mut turn: MutexGuard<'_, Turn>) -> Result<()> {
        turn.is_taken = true;
        let served = turn.served.min(JOINERS_MAX);
        // Those that the last sync served are on their way back with a commit: without a chance
        // to append it they would all wait for the next sync, and every other one serve nobody.
        for _ in 1..served {
            MutexGuard::unlocked(&mut turn, std::thread::yield_now);
            if turn.waiting + 1 >= served {
                break;
            }
        }
        let result = MutexGuard::unlocked(&mut turn, || self.sync_now());
        turn.is_taken = false;
        turn.served = turn.waiting + 1;
        self.sync.ended.notify_all();
        result
    }

    /// Makes everything applied so far durable.
    pub(crate) fn sync_all(&self) -> Result<()> {
        self.check_nested()?;
        let mut turn = self.sync.turn.lock();
        while turn.is_taken {
            turn.waiting += 1;
            self.sync.ended.wait(&mut turn);
            turn.waiting -= 1;
        }
        self.check_poison()?;
        self.take_turn(turn)
    }

    fn sync_now(&self) -> Result<()> {
        self.check_process()?;
        let scope = {
            let mut writer = self.writer.lock();
            self.flush_tail(&mut writer)?;
            writer.take_sync_scope()
        };
        if scope.last == self.sync.durable_sequence() && !scope.directory {
            return Ok(());
        }
        let started = std::time::Instant::now();
        self.sync_scope(&scope)?;
        // S1: another thread may have been told of a failure that this call was not told of.
        self.check_poison()?;
        // Durable from here.
        self.sync.advance(scope.end, scope.last);
        self.counters.synced(started.elapsed());
        Ok(())
    }

    fn sync_scope(&self, scope: &SyncScope) -> Result<()> {
        for file in &scope.files {
            file.handle().sync_data().map_err(|source| {
                self.poison(Error::Io { action: "sync", path: file.path.clone(), source })
            })?;
        }
        if scope.directory { self.sync_dir() } else { Ok(()) }
    }

    /// Makes all names durable. They may be other threads' too, so a failure poisons (S4).
    pub(crate) fn sync_dir(&self) -> Result<()> {
        self.disk.sync_dir(&self.dir).map_err(|source| {
            let path = self.dir.clone();
            self.poison(Error::Io { action: "sync the directory", path, source })
        })
    }
}
