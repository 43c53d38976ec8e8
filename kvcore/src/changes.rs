//! The change feed: what was committed, record by record, from a place in history on.
//!
//! Knows places and waiting. Does not know files: where records are read from is the engine's.

use crate::{
    engine::{Engine, FeedCursor, Waiter},
    error::Result,
    ids::Sequence,
    log::Generation,
    store::Store,
    token::ChangeToken,
};
use parking_lot::{Condvar, Mutex};
use std::{
    fmt,
    sync::Arc,
    task::{Poll, Wake, Waker},
    time::{Duration, Instant},
};

mod apply;
mod change;
mod since;

pub use change::Change;
pub use since::Since;

/// What is committed to a store, in order and without a gap; see [`Store::changes`].
///
/// As an iterator it blocks until there is something to give, and ends when the store is closed,
/// after everything that the close made durable. [`Changes::try_next`] and
/// [`Changes::next_timeout`] do not wait for ever. After an error it is at its end; another feed
/// goes on from [`Changes::token`], if the error leaves a way. But where it would block inside the
/// closure of `update` or of a transaction, it gives [`Error::Nested`](crate::Error::Nested), and
/// goes on later.
///
/// Nothing is queued: changes are read from the log when they are asked for, so a feed that nobody
/// reads costs no memory and slows no writer. It holds merge back: the files with what it has not
/// given yet stay as they are, on top of the space that a store settles at (see
/// [`Stats::kept_for_feeds_bytes`](crate::Stats::kept_for_feeds_bytes)). Where the disk, or
/// [`Options::max_disk_bytes`](crate::Options::max_disk_bytes), leaves no room, merge goes on all
/// the same, and a feed that is overtaken gets [`Error::Compacted`](crate::Error::Compacted).
///
/// It does not keep the store open.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// let changes = store.changes(store.tip_sequence())?;
/// let follower = std::thread::spawn(move || changes.filter(Result::is_ok).count());
/// for n in 0..10 {
///     users.put("ada", &n)?;
/// }
/// store.close()?; // ends the feed
/// assert_eq!(follower.join().expect("it does not panic"), 10);
/// # Ok(())
/// # }
/// ```
pub struct Changes {
    cursor: FeedCursor,
    up_to: UpTo,
    /// The history, good for sequences up to the second.
    generations: (Vec<Generation>, Sequence),
    signal: Arc<Signal>,
    waiter: Waiter,
    is_over: bool,
}

/// Which commits are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UpTo {
    Durable,
    Visible,
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = self.cursor.after();
        f.debug_struct("Changes").field("after", &after).finish_non_exhaustive()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let engine = self.engine();
        engine.sync.leave(self.waiter);
        engine.feeds.leave(self.waiter);
    }
}

impl Store {
    /// Everything that was and will be committed behind a place: first what is in the files, then
    /// what comes, each commit when it has become durable.
    ///
    /// The place is a [`ChangeToken`], kept from a [`Snapshot`](crate::Snapshot) or from the last
    /// change that was dealt with, or a [`Sequence`] of this opening ([`Since`] says what is
    /// checked). To follow a store from a cold start, take a snapshot, open the feed behind it (so
    /// that merge leaves alone what comes), copy the snapshot, then follow; keep the token of what
    /// was applied together with it, and go on from there after a restart. Merge does not wait for
    /// followers that are away: [`Options::feed_retention_bytes`] lets them come back.
    ///
    /// Opening reads up to one data file to find the place; a read-only store refreshes itself when
    /// the place is not in the history it has seen. See [`Change`] for what is given, and
    /// `examples/follow.rs` for a whole follower.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// use kvcore::{Event, Keyspace, Store};
    /// let store = Store::open(dir.path())?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// let start = store.snapshot().token();
    /// users.put("ada", &36)?;
    /// users.delete("ada")?;
    /// let mut seen = Vec::new();
    /// let mut changes = store.changes(start)?;
    /// while let Some(change) = changes.try_next()? {
    ///     seen.extend(change.decode(&users)?);
    /// }
    /// let ada = || "ada".to_owned();
    /// assert_eq!(seen, [Event::Put { key: ada(), value: 36 }, Event::Delete { key: ada() }]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Compacted`] if merge has given space back behind the place, [`Error::Diverged`] if
    /// the place is not in this store's history, [`Error::BadOption`] for a sequence that was not
    /// given out, [`Error::Closed`], [`Error::Poisoned`].
    ///
    /// [`Error::Compacted`]: crate::Error::Compacted
    /// [`Error::Diverged`]: crate::Error::Diverged
    /// [`Error::BadOption`]: crate::Error::BadOption
    /// [`Error::Closed`]: crate::Error::Closed
    /// [`Error::Poisoned`]: crate::Error::Poisoned
    /// [`Options::feed_retention_bytes`]: crate::Options::feed_retention_bytes
    pub fn changes(&self, since: impl Into<Since>) -> Result<Changes> {
        let engine = &self.0.engine;
        engine.check_open()?;
        let after = since.into().resolve(engine)?;
        Ok(Changes {
            cursor: FeedCursor::open(engine, after)?,
            up_to: UpTo::Durable,
            generations: (Vec::new(), Sequence::ZERO),
            signal: Arc::default(),
            waiter: Waiter::new(),
            is_over: false,
        })
    }

    /// The place from which all changes are there: a feed can go on behind it, or behind any later
    /// one. At the beginning of the history while merge has not given anything back.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("ada", &37)?;
    /// let oldest = store.oldest_change_token();
    /// assert_eq!(oldest.sequence().get(), 0);
    /// store.merge()?;
    /// assert_eq!(store.oldest_change_token().sequence(), store.tip_sequence());
    /// assert!(matches!(store.changes(oldest), Err(kvcore::Error::Compacted { .. })));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn oldest_change_token(&self) -> ChangeToken {
        self.engine().oldest_place()
    }
}

impl Changes {
    /// The same with commits that are visible and not durable yet.
    ///
    /// For what lives no longer than the process, such as a cache: a crash may take such a commit
    /// back, and a follower's token is then [`Error::Diverged`](crate::Error::Diverged). While it
    /// waits, the next commit wakes it.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let here = store.tip_sequence();
    /// let (mut durable, mut visible) = (store.changes(here)?, store.changes(here)?.visible());
    /// users.put_with("ada", &36, kvcore::Durability::Buffered)?;
    /// assert!(visible.try_next()?.is_some());
    /// store.sync()?;
    /// assert!(durable.try_next()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn visible(mut self) -> Changes {
        self.up_to = UpTo::Visible;
        self
    }

    /// The place up to which everything has been given, also what is not told of: a good one to go
    /// on from, once all that was given is dealt with.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let mut changes = store.changes(store.oldest_change_token())?;
    /// let last = changes.try_next()?.expect("a put");
    /// assert_eq!(changes.token(), last.token());
    /// assert_eq!(changes.token(), store.snapshot().token());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn token(&self) -> ChangeToken {
        self.engine().place_of(self.cursor.after())
    }

    /// The next change, if there is one by now.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut changes = store.changes(store.tip_sequence())?;
    /// assert!(changes.try_next()?.is_none());
    /// users.put("ada", &36)?;
    /// assert!(changes.try_next()?.is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Compacted`](crate::Error::Compacted) if merge or the removal of a large value has
    /// overtaken the feed, [`Error::Corrupt`](crate::Error::Corrupt),
    /// [`Error::Io`](crate::Error::Io), and [`Error::Poisoned`](crate::Error::Poisoned) when all
    /// that is durable was given.
    pub fn try_next(&mut self) -> Result<Option<Change>> {
        if self.is_over {
            return Ok(None);
        }
        // Asked first: what has ended by then is all there.
        let has_ended = self.engine().has_ended();
        let is_sound = self.engine().check_poison();
        let found = match self.take() {
            Ok(None) => is_sound.map(|()| None),
            found => found,
        };
        self.is_over = found.is_err() || (has_ended && matches!(found, Ok(None)));
        found
    }

    /// The next change, waited for at most this long. `None` also at the end of the feed.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// let mut changes = store.changes(store.tip_sequence())?;
    /// assert!(changes.next_timeout(std::time::Duration::from_millis(1))?.is_none());
    /// assert!(!changes.is_over());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Changes::try_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Change>> {
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// Nothing more will come: the store is closed and everything was given, or there was an error.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut changes = store.changes(store.tip_sequence())?;
    /// assert!(changes.try_next()?.is_none() && !changes.is_over());
    /// store.close()?;
    /// assert!(changes.try_next()?.is_none() && changes.is_over());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn engine(&self) -> &Arc<Engine> {
        self.cursor.engine()
    }

    /// Commits up to here are given.
    fn bound(&self) -> Sequence {
        let durable = self.engine().sync.durable_sequence();
        match self.up_to {
            // Of a poisoned store nothing is believed but what is durable.
            UpTo::Visible if self.engine().check_poison().is_ok() => {
                self.engine().tip().max(durable)
            }
            UpTo::Visible | UpTo::Durable => durable,
        }
    }

    fn take(&mut self) -> Result<Option<Change>> {
        let bound = self.bound();
        let Some(record) = self.cursor.next(bound)? else { return Ok(None) };
        if record.sequence() > self.generations.1 {
            self.generations = self.engine().generations();
        }
        let store = self.engine().store_id;
        let token = ChangeToken::new(store, &self.generations.0, record.sequence());
        Ok(Some(Change::new(Arc::clone(self.engine()), record, token)))
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Result<Option<Change>> {
        loop {
            let found = self.try_next()?;
            if found.is_some() || self.is_over {
                return Ok(found);
            }
            if deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(None);
            }
            // Nothing can come while this thread keeps everybody from writing.
            self.engine().check_nested()?;
            self.wait(deadline);
        }
    }

    /// Until something may have changed, or the deadline has passed.
    fn wait(&self, deadline: Option<Instant>) {
        self.signal.reset();
        if !self.is_ready_or_wakes(&Waker::from(Arc::clone(&self.signal))) {
            self.signal.wait(deadline);
        }
    }

    /// Whether there may be something to say; if not, the waker is woken when there may be.
    fn is_ready_or_wakes(&self, waker: &Waker) -> bool {
        let engine = self.engine();
        engine.sync.register(self.waiter, waker);
        if self.up_to == UpTo::Visible {
            engine.feeds.await_tip(self.waiter, waker);
        }
        // What came before the registration is not told of.
        let may_end = self.is_over || engine.has_ended() || engine.check_poison().is_err();
        may_end || self.bound() > self.cursor.after()
    }

    /// Resolves when [`Changes::try_next`] may have something to give, or has come to its end: the
    /// way to wait in a task, since the iterator blocks its thread.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut changes = store.changes(store.tip_sequence())?;
    /// let follower = tokio::spawn(async move {
    ///     let mut given = 0;
    ///     while !changes.is_over() {
    ///         changes.ready().await;
    ///         while changes.try_next()?.is_some() {
    ///             given += 1;
    ///         }
    ///     }
    ///     kvcore::Result::Ok(given)
    /// });
    /// users.put("ada", &36)?;
    /// tokio::task::yield_now().await;
    /// users.put("bob", &41)?;
    /// store.close()?;
    /// assert_eq!(follower.await.expect("it does not panic")?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn ready(&mut self) -> impl Future<Output = ()> + Send + use<'_> {
        std::future::poll_fn(|cx| match self.is_ready_or_wakes(cx.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    /// Blocks until there is a change, or the store is closed.
    fn next(&mut self) -> Option<Result<Change>> {
        self.next_until(None).transpose()
    }
}

impl std::iter::FusedIterator for Changes {}

/// Lets a thread sleep until it is told.
#[derive(Debug, Default)]
struct Signal {
    is_told: Mutex<bool>,
    told: Condvar,
}

impl Signal {
    fn reset(&self) {
        *self.is_told.lock() = false;
    }

    fn wait(&self, until: Option<Instant>) {
        let mut is_told = self.is_told.lock();
        while !*is_told {
            match until {
                None => self.told.wait(&mut is_told),
                Some(at) if self.told.wait_until(&mut is_told, at).timed_out() => return,
                Some(_) => {}
            }
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        *self.is_told.lock() = true;
        self.told.notify_all();
    }
}
