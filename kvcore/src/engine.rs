//! The engine of one open store: what every handle shares.
//!
//! Knows bytes, files, locks and the order of steps. Does not know key and value types.
//!
//! # Invariants
//!
//! E1. Records are appended and applied by the holder of the writer lock only, in sequence order.
//! E2. After one failed write into reserved space, or one failed sync, the store is poisoned:
//!     every later call answers `Poisoned`, and nothing is retried.
//! E3. No keydir lock is held while user code runs; the writer lock may be, and then a write from
//!     the same thread is `Nested`.
//! E4. Locks are taken in this order: merge, sync, writer, manifest, views, then those of an index,
//!     or the watchers' registry and a queue.
//! E5. What is dropped by merge, or unlinked, was superseded by something durable.

use crate::{
    clock::ClampedClock,
    disk::{Disk, DiskLock},
    error::{Error, Result},
    ids::{FileId, KeyspaceId, Sequence},
    index::{HashKey, Index},
    log::{EXPIRED_BY_OWNER, Files, KeyspaceMeta, LogPosition, Manifest, StoreId},
    options::{Durability, Options},
    view::ViewRegistry,
    watch::Registry,
};
use parking_lot::{Condvar, Mutex, RwLock};
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

mod append;
mod background;
mod blobs;
mod commit;
mod evict;
mod expire;
mod feed;
mod follow;
mod hints;
mod many;
mod pace;
mod patient;
mod prepared;
mod publish;
mod read;
mod space;
mod sync;
mod tell;
mod waiting;

pub(crate) use append::{FILE_BYTES_SMALL, LogEndState, Writer};
pub(crate) use background::{Background, Task, Tasks, tasks};
pub(crate) use blobs::{BlobFile, BlobPin, BlobTable, NewBlob};
pub(crate) use commit::{Scratch, When, WriteGuard, with_key_buffer};
pub(crate) use feed::{FeedCursor, FeedRecord, Keep, retained_above};
pub(crate) use hints::Hinted;
pub(crate) use many::{Ahead, GROUP_KEYS, KeyGroup, with_key_group};
pub(crate) use prepared::PreparedBatch;
pub(crate) use publish::{PublishError, write_manifest};
pub(crate) use read::OpenValue;
pub(crate) use space::Share;
pub(crate) use sync::SyncState;
pub(crate) use waiting::{Waiter, wake};

/// One keyspace of an open store.
#[derive(Debug)]
pub(crate) struct KeyspaceCore {
    pub(crate) meta: KeyspaceMeta,
    pub(crate) index: Arc<Index>,
    /// A value encoded by this process has been decoded again.
    pub(crate) codec_checked: AtomicBool,
}

impl KeyspaceCore {
    pub(crate) fn new(meta: KeyspaceMeta, index: Arc<Index>) -> KeyspaceCore {
        KeyspaceCore { meta, index, codec_checked: AtomicBool::new(false) }
    }

    /// The store leaves expired entries alone.
    pub(crate) fn is_expired_by_owner(&self) -> bool {
        self.meta.options & EXPIRED_BY_OWNER != 0
    }

    pub(crate) fn id(&self) -> KeyspaceId {
        self.meta.id
    }
}

/// What this process may do with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everything; it holds the lock.
    ReadWrite,
    /// Look, beside whoever writes.
    ReadOnly,
}

/// What all handles of one open store share.
pub(crate) struct Engine {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: ClampedClock,
    pub(crate) options: Options,
    pub(crate) store_id: StoreId,
    pub(crate) hash_key: HashKey,
    pub(crate) files: Files,
    pub(crate) blobs: BlobTable,
    pub(crate) views: Arc<ViewRegistry>,
    pub(crate) sync: SyncState,
    pub(crate) manifest: Mutex<Manifest>,
    pub(crate) keyspaces: RwLock<HashMap<String, Arc<KeyspaceCore>>>,
    pub(crate) tasks: Tasks,
    pub(crate) merge: Mutex<crate::merge::MergeState>,
    pub(crate) feeds: feed::Feeds,
    pub(crate) counters: crate::stats::Counters,
    pub(crate) space: space::Space,
    pub(crate) watching: Registry,
    writer: Mutex<Writer>,
    /// Of the range deletes that are being worked off. No lock is taken by who holds it.
    pace: Mutex<pace::Pace>,
    /// Which thread holds the writer lock; 0 for none.
    owner: AtomicUsize,
    /// Told when dead bytes are few again; see [`Engine::wait_for_space`].
    space_free: Condvar,
    space_turn: Mutex<()>,
    poison: OnceLock<Arc<Error>>,
    closed: AtomicBool,
    /// It is closed, and nothing more is done.
    ended: AtomicBool,
    /// The process that opened the store.
    process: u32,
    next_file: AtomicU32,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
    access: Access,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What recovery hands over.
pub(crate) struct Recovered {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) clock: ClampedClock,
    /// None for a store that is only read.
    pub(crate) lock: Option<Box<dyn DiskLock>>,
    pub(crate) access: Access,
    pub(crate) manifest: Manifest,
    pub(crate) files: Files,
    pub(crate) blobs: BlobTable,
    pub(crate) keyspaces: HashMap<String, Arc<KeyspaceCore>>,
    pub(crate) end: LogEndState,
    pub(crate) next_file: FileId,
}

impl Engine {
    pub(crate) fn new(r: Recovered, tasks: Tasks) -> Engine {
        let last = r.end.last_sequence;
        let position = r.end.last_file.map(|(file, offset)| LogPosition { file, offset });
        Engine {
            disk: Arc::clone(&r.options.disk),
            clock: r.clock,
            store_id: r.manifest.store_id,
            hash_key: HashKey(r.manifest.hash_seed),
            files: r.files,
            blobs: r.blobs,
            views: Arc::new(ViewRegistry::starting_at(last)),
            sync: SyncState::new(last, position),
            keyspaces: RwLock::new(r.keyspaces),
            tasks,
            merge: Mutex::default(),
            feeds: feed::Feeds::new(r.manifest.feed_floor),
            counters: crate::stats::Counters::default(),
            space: space::Space::default(),
            watching: Registry::default(),
            writer: Mutex::new(Writer::new(r.end)),
            pace: Mutex::default(),
            owner: AtomicUsize::new(0),
            space_free: Condvar::new(),
            space_turn: Mutex::new(()),
            poison: OnceLock::new(),
            closed: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            process: std::process::id(),
            next_file: AtomicU32::new(r.next_file.0),
            lock: Mutex::new(r.lock),
            access: r.access,
            manifest: Mutex::new(r.manifest),
            dir: r.dir,
            options: r.options,
        }
    }

    /// `Closed` or `Poisoned`, if the store is.
    #[inline]
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        self.check_poison()
    }

    #[inline]
    pub(crate) fn check_poison(&self) -> Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned { cause: Arc::clone(cause) }),
        }
    }

    /// A child made by `fork` shares the files and the lock, and must not touch either.
    ///
    /// Asked where files begin, are synced or end, since asking costs a system call.
    pub(crate) fn check_process(&self) -> Result<()> {
        if std::process::id() == self.process { Ok(()) } else { Err(Error::Forked) }
    }

    /// Memory may be ahead of the disk from here on: nothing more is believed (E2).
    pub(crate) fn poison(&self, cause: Error) -> Error {
        let cause = Arc::clone(self.poison.get_or_init(|| Arc::new(cause)));
        crate::trace::poisoned(&self.dir, &cause);
        self.sync.wake_waiting();
        wake(self.watching.wake_all());
        Error::Poisoned { cause }
    }

    /// Slows writers down while merge is behind, by a bounded time each, so that none ever hangs.
    pub(crate) fn wait_for_space(&self) {
        if !self.counters.is_overfull.load(Ordering::Relaxed) {
            return;
        }
        let deadline = std::time::Instant::now() + SPACE_WAIT_MAX;
        let mut turn = self.space_turn.lock();
        let must_wait = |(): &mut ()| {
            self.counters.is_overfull.load(Ordering::Acquire) && self.check_open().is_ok()
        };
        self.space_free.wait_while_until(&mut turn, must_wait, deadline);
    }

    /// Lets writers go on that wait for space.
    pub(crate) fn announce_space(&self) {
        let _turn = self.space_turn.lock();
        self.space_free.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// What is durable now is all that ever will be.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// The close is through with the log, well or not.
    pub(crate) fn declare_ended(&self) {
        self.ended.store(true, Ordering::Release);
        self.sync.wake_waiting();
        wake(self.watching.end_all());
    }

    /// Marks the store closed; false if it already was.
    pub(crate) fn start_closing(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn unlock(&self) {
        *self.lock.lock() = None;
    }

    /// A file number that was never used and never will be again.
    pub(crate) fn allocate_file(&self) -> Result<FileId> {
        let bump = |id: u32| id.checked_add(1);
        self.next_file
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, bump)
            .map(FileId)
            .map_err(|_| Error::Exhausted { what: "file numbers" })
    }

    pub(crate) fn next_file(&self) -> FileId {
        FileId(self.next_file.load(Ordering::Acquire))
    }

    /// How much is written when a commit without a durability of its own is acknowledged.
    pub(crate) fn durability(&self, asked: Option<Durability>) -> Durability {
        asked.unwrap_or(self.options.durability)
    }

    pub(crate) fn io(&self, action: &'static str, name: &str, source: std::io::Error) -> Error {
        Error::Io { action, path: self.dir.join(name), source }
    }

    /// The last applied commit's last sequence.
    pub(crate) fn tip(&self) -> Sequence {
        self.views.lock().tip()
    }

    pub(crate) fn all_keyspaces(&self) -> Vec<Arc<KeyspaceCore>> {
        let mut all: Vec<_> = self.keyspaces.read().values().cloned().collect();
        all.sort_by_cached_key(|k| u64::from(k.id().0));
        all
    }
}

/// The longest a commit, or a round of them, waits for merge to catch up.
const SPACE_WAIT_MAX: std::time::Duration = std::time::Duration::from_millis(100);

/// A number that tells threads that live apart; never 0.
#[inline]
pub(crate) fn thread_token() -> usize {
    thread_local! { static HERE: u8 = const { 0 }; }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}
