//! How a store is opened: every setting, its unit and its default.
//!
//! Checks what it is given; knows nothing of files or locks beyond their sizes.

use crate::{
    clock::{Clock, SystemClock},
    disk::{Disk, OsDisk},
    error::{Error, Result},
    log::KEY_LEN_MAX,
};
use std::{fmt, sync::Arc, time::Duration};

mod choice;
mod put;

pub use choice::{AutoMerge, Background, Durability, ReadMode, RecoveryProgress};
pub use put::Put;
pub(crate) use put::{system_time, unix_ms};

type ProgressFn = dyn Fn(RecoveryProgress) + Send + Sync;

/// Settings for opening a store. The defaults are what the documentation measures.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// use kvcore::{Durability, Options, ReadMode};
/// let store = Options::new()
///     .durability(Durability::Buffered)
///     .read_mode(ReadMode::Pread)
///     .data_file_bytes_max(64 << 20)
///     .open(dir.path())?;
/// # store.close()
/// # }
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until `open`"]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) data_file_bytes_max: u64,
    pub(crate) read_mode: ReadMode,
    pub(crate) background: Background,
    pub(crate) auto_merge: AutoMerge,
    pub(crate) merge_bytes_per_second: u64,
    pub(crate) max_keydir_bytes: u64,
    pub(crate) max_disk_bytes: u64,
    disk_reserve_bytes: Option<u64>,
    pub(crate) feed_retention_bytes: u64,
    pub(crate) sync_after_bytes: u64,
    pub(crate) sync_after: Duration,
    pub(crate) lock_timeout: Duration,
    pub(crate) expire_per_tick_max: usize,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) on_recovery: Option<Arc<ProgressFn>>,
    /// The store is a temporary one.
    pub(crate) remove_at_close: bool,
}

pub(crate) const DATA_FILE_BYTES_DEFAULT: u64 = 256 << 20;
/// Small enough for tests that want a roll every few puts.
pub(crate) const DATA_FILE_BYTES_MIN: u64 = 256;
/// Offsets inside a data file are 32 bits wide in the keydir.
pub(crate) const DATA_FILE_BYTES_MAX: u64 = 1 << 31;
/// Data files of a small store are this large, or of the largest size if that is less.
const DISK_STEP_BYTES: u64 = 4 << 20;
pub(crate) const KEY_BYTES_MAX: u64 = KEY_LEN_MAX as u64;
pub(crate) const VALUE_BYTES_MAX: u64 = u32::MAX as u64;

impl Default for Options {
    fn default() -> Self {
        Options {
            durability: Durability::Immediate,
            data_file_bytes_max: DATA_FILE_BYTES_DEFAULT,
            read_mode: ReadMode::Map,
            background: Background::Threads,
            auto_merge: AutoMerge::On,
            merge_bytes_per_second: 256 << 20,
            max_keydir_bytes: u64::MAX,
            max_disk_bytes: u64::MAX,
            disk_reserve_bytes: None,
            feed_retention_bytes: 0,
            sync_after_bytes: 64 << 20,
            sync_after: Duration::from_secs(5),
            lock_timeout: Duration::ZERO,
            expire_per_tick_max: 1_000,
            disk: Arc::new(OsDisk),
            clock: Arc::new(SystemClock::new()),
            on_recovery: None,
            remove_at_close: false,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("data_file_bytes_max", &self.data_file_bytes_max)
            .field("read_mode", &self.read_mode)
            .field("background", &self.background)
            .field("auto_merge", &self.auto_merge)
            .finish_non_exhaustive()
    }
}

/// The reserve of large stores: thousands of deletes, and a manifest.
const RESERVE_BYTES_DEFAULT_MAX: u64 = 1 << 20;
/// Less is not worth a file.
const RESERVE_BYTES_DEFAULT_MIN: u64 = 64 << 10;

impl Options {
    /// The defaults: `Immediate` durability, data files of at most 256 MiB, mapped reads.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::Options;
    /// let store = Options::new().open(dir.path())?; // what `Store::open` does
    /// # store.close()
    /// # }
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// What a write without a durability of its own has survived when it returns.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Durability, Keyspace, Options};
    /// let store = Options::new().durability(Durability::Buffered).open_temporary()?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// let sequence = users.put("ada", &36)?; // waits for no disk
    /// store.wait_durable(sequence)?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// The size at which a data file is sealed, in bytes; 256 B to 2 GiB, default 256 MiB.
    ///
    /// The actual size follows the live bytes below this bound, so that small stores merge in
    /// small steps. A value larger than a quarter of a data file becomes a file of its own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Error, Options};
    /// let refused = Options::new().data_file_bytes_max(1).open_temporary();
    /// assert!(matches!(refused, Err(Error::BadOption { option: "data_file_bytes_max", .. })));
    /// let store = Options::new().data_file_bytes_max(64 << 20).open_temporary()?;
    /// # store.close()
    /// # }
    /// ```
    pub fn data_file_bytes_max(mut self, bytes: u64) -> Self {
        self.data_file_bytes_max = bytes;
        self
    }

    /// How values are read.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Options, ReadMode};
    /// let store = Options::new().read_mode(ReadMode::Pread).open_temporary()?;
    /// # store.close()
    /// # }
    /// ```
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// Whether the store has threads of its own.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Background, Options};
    /// let store = Options::new().background(Background::Manual).in_memory().open("data")?;
    /// store.maintain()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn background(mut self, background: Background) -> Self {
        self.background = background;
        self
    }

    /// Whether merge runs by itself.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{AutoMerge, Durability, Keyspace, Options};
    /// let options = Options::new().auto_merge(AutoMerge::Off).durability(Durability::Buffered);
    /// let store = options.in_memory().open("data")?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// for n in 0..1_000 {
    ///     users.put("ada", &n)?;
    /// }
    /// assert!(store.merge()?.bytes > 10_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn auto_merge(mut self, auto_merge: AutoMerge) -> Self {
        self.auto_merge = auto_merge;
        self
    }

    /// The rate at which background merge reads, in bytes per second. Default 256 MiB/s.
    ///
    /// It is exceeded while writers would otherwise have to wait for space.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::Options;
    /// // A slow disk that others use too.
    /// let store = Options::new().merge_bytes_per_second(8 << 20).open_temporary()?;
    /// # store.close()
    /// # }
    /// ```
    pub fn merge_bytes_per_second(mut self, bytes: u64) -> Self {
        self.merge_bytes_per_second = bytes;
        self
    }

    /// Refuses new keys when the keydir would take more memory than this, in bytes; no limit by
    /// default.
    ///
    /// A put of a key that is not there is then [`Error::LimitReached`]; overwriting, deleting and
    /// everything else goes on, and deleting makes room at once. Counted is what keys take by the
    /// README's formula, not the undo of open iterators; the real figure,
    /// [`Stats::keydir_bytes`](crate::Stats::keydir_bytes), moves around it by up to a third, since
    /// tables grow in steps. A store with more keys can be opened.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Error, Keyspace, Options};
    /// let store = Options::new().max_keydir_bytes(1 << 20).open(dir.path())?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut batch = store.batch();
    /// for n in 0..100_000 {
    ///     batch.put(&users, n.to_string(), &n)?;
    /// }
    /// assert!(matches!(batch.commit(), Err(Error::LimitReached { .. })));
    /// users.put("ada", &37)?; // needs no more memory
    /// # store.close()
    /// # }
    /// ```
    pub fn max_keydir_bytes(mut self, bytes: u64) -> Self {
        self.max_keydir_bytes = bytes;
        self
    }

    /// Refuses what would make data files and blobs take more than this, in bytes; no limit by
    /// default. At least 16 MiB, or four data files if these are small.
    ///
    /// Commits that put something get [`Error::LimitReached`] when less is left than a merge may
    /// need for one data file (a 16th of the live bytes, 4 MiB at least); deletes and merges
    /// may use the rest, so that there is always a way back: delete, then
    /// [`Store::merge`](crate::Store::merge), or wait for the background. Space is claimed a data
    /// file at a time, so refusals come up to a data file before the limit. Hints and manifests,
    /// which come on top, are small.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{BytesKeyspace, Error, Options};
    /// let options = Options::new().durability(kvcore::Durability::Buffered);
    /// let store = options.max_disk_bytes(16 << 20).open(dir.path())?;
    /// let films: BytesKeyspace = store.keyspace("films")?;
    /// let film = vec![7; 1 << 20];
    /// let refused = (0u8..99).find_map(|n| films.put([n].as_slice(), &film).err());
    /// assert!(matches!(refused, Some(Error::LimitReached { what: "disk space", .. })));
    /// films.clear()?;
    /// store.merge()?;
    /// films.put(b"another", &film)?;
    /// # store.close()
    /// # }
    /// ```
    pub fn max_disk_bytes(mut self, bytes: u64) -> Self {
        self.max_disk_bytes = bytes;
        self
    }

    /// Keeps a file of this size, in bytes, that is given up when the disk is full, so that deletes
    /// and merges work even then. By default a 64th of the largest data file, at most 1 MiB, and
    /// none if that is less than 64 KiB; 0 is none.
    ///
    /// The default does for deletes, and for merges of files of which little is left. The size of a
    /// data file lets any merge go on. While the reserve is spent, puts are [`Error::Io`]; it is
    /// taken back when there is room. Opening after a crash copies what nothing proves durable,
    /// about 64 MiB at most, and needs room for that too.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::Options;
    /// let store = Options::new().disk_reserve_bytes(4 << 20).open_temporary()?;
    /// # store.close()
    /// # }
    /// ```
    pub fn disk_reserve_bytes(mut self, bytes: u64) -> Self {
        self.disk_reserve_bytes = Some(bytes);
        self
    }

    /// What is to be kept back.
    pub(crate) fn reserve_bytes(&self) -> u64 {
        let by_default = || match (self.data_file_bytes_max / 64).min(RESERVE_BYTES_DEFAULT_MAX) {
            bytes if bytes >= RESERVE_BYTES_DEFAULT_MIN => bytes,
            _ => 0,
        };
        self.disk_reserve_bytes.unwrap_or_else(by_default)
    }

    /// Keeps the newest part of the log as it was written for followers that are away, up to this
    /// many bytes that merge could otherwise give back; 0 by default.
    ///
    /// A follower comes back with the [`ChangeToken`](crate::ChangeToken) of what it has, and goes
    /// on with [`Store::changes`](crate::Store::changes) if nothing behind it was merged away.
    /// Counted are the dead bytes of data files and large values, from the end of the log
    /// backwards, a data file at a time; live bytes are there anyway. They come on top of the
    /// space that a store settles at, and are kept over a restart with the same option. Where
    /// [`Options::max_disk_bytes`] or the disk leaves no room, they are given back all the same.
    /// [`Stats::kept_for_feeds_bytes`](crate::Stats::kept_for_feeds_bytes) has the real figure.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Keyspace, Options};
    /// let options = Options::new().feed_retention_bytes(64 << 20);
    /// let store = options.clone().open(dir.path())?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// let token = store.snapshot().token();
    /// for n in 0..10 {
    ///     users.put("ada", &n)?;
    /// }
    /// store.close()?;
    /// let store = options.open(dir.path())?;
    /// store.merge()?; // leaves all ten
    /// let mut changes = store.changes(token)?;
    /// let mut values = 0;
    /// while changes.try_next()?.is_some() {
    ///     values += 1;
    /// }
    /// assert_eq!(values, 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn feed_retention_bytes(mut self, bytes: u64) -> Self {
        self.feed_retention_bytes = bytes;
        self
    }

    /// How long `open` waits for another process to let go of the store. Default: not at all.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Error, Options, Store};
    /// use std::time::Duration;
    /// let store = Store::open(dir.path())?;
    /// let second = Options::new().lock_timeout(Duration::from_millis(20)).open(dir.path());
    /// assert!(matches!(second, Err(Error::Locked { waited, .. }) if !waited.is_zero()));
    /// # store.close()
    /// # }
    /// ```
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// At most this many expired entries are removed in one go. Default 1,000.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::Options;
    /// // Many sessions end at once: remove them in large steps.
    /// let store = Options::new().expire_per_tick_max(50_000).in_memory().open("data")?;
    /// # store.close()
    /// # }
    /// ```
    pub fn expire_per_tick_max(mut self, entries: usize) -> Self {
        self.expire_per_tick_max = entries;
        self
    }

    /// The file system to use, for tests.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Options, disk::SimDisk};
    /// use std::sync::Arc;
    /// let disk = SimDisk::new(1); // in memory, and fails when told to
    /// let store = Options::new().disk(Arc::new(disk.clone())).open("/data")?;
    /// assert!(!disk.paths().is_empty());
    /// # store.close()
    /// # }
    /// ```
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = disk;
        self
    }

    /// The clock to use, for tests.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Options, clock::SimClock};
    /// use std::sync::Arc;
    /// let clock = SimClock::new(0);
    /// let store = Options::new().clock(Arc::new(clock.clone())).in_memory().open("data")?;
    /// # store.close()
    /// # }
    /// ```
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Called now and then while `open` loads the keydir, from the threads that load it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::Options;
    /// let options = Options::new().on_recovery(|p| {
    ///     eprintln!("opening: {} %", 100 * p.bytes_done / p.bytes_total.max(1));
    /// });
    /// let store = options.open(dir.path())?;
    /// # store.close()
    /// # }
    /// ```
    pub fn on_recovery(mut self, f: impl Fn(RecoveryProgress) + Send + Sync + 'static) -> Self {
        self.on_recovery = Some(Arc::new(f));
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let bad = |option, what: String| Err(Error::BadOption { option, what });
        let size = self.data_file_bytes_max;
        if !(DATA_FILE_BYTES_MIN..=DATA_FILE_BYTES_MAX).contains(&size) {
            return bad(
                "data_file_bytes_max",
                format!("{size} is outside {DATA_FILE_BYTES_MIN} to {DATA_FILE_BYTES_MAX}"),
            );
        }
        if self.merge_bytes_per_second == 0 {
            return bad("merge_bytes_per_second", "0 would never finish".to_owned());
        }
        let disk_min = 4 * size.min(DISK_STEP_BYTES);
        if self.max_disk_bytes < disk_min {
            return bad("max_disk_bytes", format!("{} is below {disk_min}", self.max_disk_bytes));
        }
        if self.expire_per_tick_max == 0 {
            return bad("expire_per_tick_max", "0 would never remove anything".to_owned());
        }
        match self.durability {
            Durability::Interval(d) if d.is_zero() => {
                bad("durability", "an interval of 0 is Immediate".to_owned())
            }
            _ => Ok(()),
        }
    }
}
