//! What some settings can be.

#[cfg(doc)]
use super::Options;
use std::time::Duration;

/// What an acknowledged write has survived. Per store ([`Options::durability`]) and per commit.
///
/// Whatever is asked for, the log keeps its order: after a crash the store holds a prefix of the
/// commits, and a commit that was made durable has everything before it durable too.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Durability;
/// use std::time::Duration;
/// users.put("ada", &36)?; // the store's: `Immediate` unless told otherwise
/// users.put_with("bob", &41, Durability::Buffered)?; // fast, and the next sync covers it
/// users.put_with("eve", &29, Durability::Interval(Duration::from_secs(1)))?;
/// store.sync()?;
/// assert_eq!(store.durable_sequence(), store.tip_sequence());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Acknowledged when handed to the operating system: survives `kill -9`, not power loss.
    /// Synced in the background after some seconds or megabytes.
    Buffered,
    /// As [`Durability::Buffered`], and synced in the background at least this often: power loss
    /// costs at most about this much time.
    Interval(Duration),
    /// Acknowledged when synced: survives power loss. Concurrent commits share one sync.
    Immediate,
}

/// How values are read from data files.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// use kvcore::{Options, ReadMode};
/// // On a disk that may fail under a running program: errors instead of SIGBUS.
/// let store = Options::new().read_mode(ReadMode::Pread).open(dir.path())?;
/// assert_eq!(store.stats().keys, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMode {
    /// Through memory maps: fastest, and large raw values are zero-copy. A sector that cannot be
    /// read, or a file cut by another program, ends the process with SIGBUS.
    #[default]
    Map,
    /// Through `pread`: slower, and such faults are errors of the one read.
    Pread,
}

/// Whether the store works in the background (sync, merge, hints, expiry).
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Background, Options};
/// let store = Options::new().background(Background::Manual).in_memory().open("data")?;
/// store.maintain()?; // everything that threads would do, now and here
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Background {
    /// Threads of the store do it.
    #[default]
    Threads,
    /// Nobody does, until [`Store::maintain`](crate::Store::maintain) is called: for tests that
    /// must be deterministic.
    Manual,
}

/// How far a recovery has come; see [`Options::on_recovery`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// use kvcore::{Options, RecoveryProgress};
/// let options = Options::new().on_recovery(|p: RecoveryProgress| {
///     eprintln!("{} of {} bytes, {} keys", p.bytes_done, p.bytes_total, p.keys);
/// });
/// let store = options.open(dir.path())?;
/// # store.close()
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecoveryProgress {
    /// Bytes of data files dealt with (a file loaded from its hint counts whole).
    pub bytes_done: u64,
    /// Bytes of data files in all.
    pub bytes_total: u64,
    /// Keys loaded so far.
    pub keys: u64,
}

/// Whether merge runs by itself.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{AutoMerge, Options};
/// let store = Options::new().auto_merge(AutoMerge::Off).in_memory().open("data")?;
/// store.merge()?; // at night, say
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoMerge {
    /// In the background, whenever dead bytes approach live ones.
    On,
    /// Only when [`Store::merge`](crate::Store::merge) is called; space is then not bounded.
    Off,
}
