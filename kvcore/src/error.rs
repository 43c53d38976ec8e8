//! The one error type, grouped by what the caller should do.

use crate::token::ChangeToken;
use std::{io, path::PathBuf, sync::Arc, time::Duration};

/// Any error, for causes that come from user code: codecs, keys, closures.
///
/// ```
/// use kvcore::{BoxError, Error};
/// let cause: BoxError = "out of stock".into();
/// assert_eq!(Error::abort(cause).to_string(), "aborted: out of stock");
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The crate's result.
///
/// ```
/// fn visits(store: &kvcore::Store) -> kvcore::Result<u64> {
///     let visits: kvcore::Keyspace<String, u64> = store.keyspace("visits")?;
///     Ok(visits.len())
/// }
/// assert_eq!(kvcore::Store::in_memory().and_then(|store| visits(&store)).ok(), Some(0));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong, grouped by what the caller should do about it.
///
/// ```
/// use kvcore::Error;
///
/// /// What a program does about an error.
/// fn advice(e: &Error) -> &'static str {
///     match e {
///         Error::Io { .. } | Error::Locked { .. } => "mend the machine and try again",
///         Error::Poisoned { .. } | Error::Closed => "open the store again",
///         Error::Corrupt { .. } => "restore a backup, or salvage",
///         Error::LimitReached { .. } => "delete something",
///         _ => "fix the program",
///     }
/// }
///
/// let missing = kvcore::Options::new().open_read_only("no such directory").err();
/// assert_eq!(missing.as_ref().map(advice), Some("mend the machine and try again"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // ---- try again, or mend the machine: nothing was applied ----
    /// The operating system refused; nothing of the operation was applied.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was attempted, as a verb: `open`, `write`, `reserve space in`.
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Another process, or another `Store` of this one, has the directory open for writing.
    #[error("{} is locked by another open store (waited {waited:?})", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long the call waited.
        waited: Duration,
    },

    // ---- reopen ----
    /// An earlier write or sync failed, so memory may be ahead of the disk; reopen to recover.
    #[error("store is poisoned by an earlier failure: {cause}")]
    Poisoned {
        /// The first failure.
        cause: Arc<Error>,
    },
    /// The store was closed by `Store::close`.
    #[error("store is closed")]
    Closed,

    /// The process was forked after the store was opened; only the parent may use it.
    #[error("the store was opened before this process was forked: open it in the child instead")]
    Forked,

    // ---- restore or salvage ----
    /// Bytes on disk are not what was written. Nothing was changed.
    #[error("{} is damaged at byte {offset_bytes}: {what}", file.display())]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// Where the damage was noticed.
        offset_bytes: u64,
        /// What did not fit.
        what: String,
    },
    /// The directory holds something, but not a store.
    #[error("{} is not a store: {what}", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// What is missing or unexpected.
        what: String,
    },
    /// Written by a newer version of this library, or with features this build does not know.
    #[error("{} has format {found}, this build reads up to {supported}", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Version or feature found.
        found: String,
        /// What this build knows.
        supported: String,
    },

    // ---- follow anew, from a snapshot ----
    /// Some of the changes asked for are not there any more: merge has given their space back.
    #[error("changes are there from {oldest} on only: what came before was merged")]
    Compacted {
        /// The place from which all changes are there.
        oldest: ChangeToken,
    },
    /// The place is not in this store's history: it is of another store, or of commits that a
    /// crash, or the return to an older copy, took back.
    #[error("{token} is no place in this store's history")]
    Diverged {
        /// The place.
        token: ChangeToken,
        /// The last place before it that is in this history, where that is known.
        common: Option<ChangeToken>,
    },

    // ---- fix the call ----
    /// The encoded key is longer than the limit.
    #[error("key is {len_bytes} bytes long, the limit is {max_bytes}")]
    KeyTooLong {
        /// The encoded length.
        len_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The encoded value is longer than the limit.
    #[error("value is {len_bytes} bytes long, the limit is {max_bytes}")]
    ValueTooLong {
        /// The encoded length.
        len_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The batch holds more than fits.
    #[error("batch is {len_bytes} bytes long, the limit is {max_bytes}")]
    BatchTooLarge {
        /// The encoded length.
        len_bytes: u64,
        /// The limit.
        max_bytes: u64,
    },
    /// The keyspace exists with another key type, codec, schema version or option.
    #[error("keyspace {keyspace:?} has {what} {found:?}, asked for {wanted:?}")]
    SchemaMismatch {
        /// The keyspace's name.
        keyspace: String,
        /// Which property differs: `key type`, `codec`, `schema version`, `order`, `compression`.
        what: &'static str,
        /// As stored.
        found: String,
        /// As asked for.
        wanted: String,
    },
    /// The call needs key order, and the keyspace was created `unordered()`.
    #[error("keyspace {keyspace:?} is unordered: {call} needs an ordered one")]
    Unordered {
        /// The keyspace's name.
        keyspace: String,
        /// The call.
        call: &'static str,
    },
    /// The keyspace handle belongs to another store than the batch.
    #[error("keyspace {keyspace:?} belongs to another store")]
    ForeignKeyspace {
        /// The keyspace's name.
        keyspace: String,
    },
    /// The keyspace was dropped, or is being migrated, since the handle was opened.
    #[error("keyspace {keyspace:?} was dropped or is being migrated: open it again")]
    KeyspaceGone {
        /// The keyspace's name.
        keyspace: String,
    },
    /// A write, sync, merge or close was called from inside a closure that already holds the
    /// writer lock, or a watcher or feed would have waited there for a commit.
    #[error("a write inside the closure of `update` or a transaction: use the value it returns")]
    Nested,
    /// The store was opened read-only, and the call would write.
    #[error("the store was opened read-only")]
    ReadOnly,
    /// An option has a value that cannot work.
    #[error("option {option}: {what}")]
    BadOption {
        /// The option's name.
        option: &'static str,
        /// Why it cannot work.
        what: String,
    },
    /// The source given to [`put_reader`](crate::Keyspace::put_reader) failed; nothing was stored.
    #[error("the source of the value failed: {source}")]
    Source {
        /// The source's error.
        source: io::Error,
    },
    /// The user's closure gave up; see [`Error::abort`].
    #[error("aborted: {0}")]
    Aborted(#[source] BoxError),

    // ---- fix the types ----
    /// The codec could not encode the value; nothing was applied.
    #[error("value cannot be encoded: {source}")]
    Encode {
        /// The codec's error.
        source: BoxError,
    },
    /// Stored bytes are intact but do not decode as the type asked for.
    #[error("stored bytes do not decode: {source}")]
    Decode {
        /// The codec's or key's error.
        source: BoxError,
    },

    // ---- catch up ----
    /// A [`Watcher`](crate::Watcher) was not read in time, and events were left out. It goes on
    /// with what is committed from now on.
    #[error("the watcher was too slow: events are missing after {}", resume_from.sequence())]
    Lagged {
        /// What is missing comes after this place: see
        /// [`Store::changes`](crate::Store::changes).
        resume_from: ChangeToken,
    },

    // ---- wait, or grow ----
    /// A limit set in [`Options`](crate::Options) would be passed. Nothing was applied; deletes and
    /// merges still work.
    #[error("{what}: {wanted_bytes} bytes would be needed, the limit is {limit_bytes}")]
    LimitReached {
        /// Of what: `memory for keys`, `disk space`.
        what: &'static str,
        /// The limit.
        limit_bytes: u64,
        /// What would be taken, all in all.
        wanted_bytes: u64,
    },
    /// A counter of the format is used up: sequences or file numbers.
    #[error("{what} are used up")]
    Exhausted {
        /// Which counter.
        what: &'static str,
    },
}

impl Error {
    /// Wraps a caller's own error, to leave a closure with nothing applied.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Error;
    /// let refused: kvcore::Result<()> = store.transaction(|tx| {
    ///     tx.put(&users, "ada", &36)?;
    ///     Err(Error::abort("on second thoughts"))
    /// });
    /// assert_eq!(refused.unwrap_err().to_string(), "aborted: on second thoughts");
    /// assert!(!users.contains("ada")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(e: impl Into<BoxError>) -> Error {
        Error::Aborted(e.into())
    }
}
