//! Watchers: a typed stream of what is committed to some keys, within this process.
//!
//! Knows types, and one queue. Does not know who fills it: see `engine/tell.rs`.
//!
//! # Invariants
//!
//! W1. A watcher gives every event of its keys once, in the order of sequences, or says from where
//!     on it does not.
//! W2. It slows no writer: what is told waits in a bounded queue, and a queue that is full leaves
//!     the commits' path (`watch/queue.rs` Q1).
//! W3. User code (keys, codecs, wakers) runs under no lock; only when the store is poisoned by a
//!     commit may a waker be called under the writer lock, where writes are `Nested`.

use crate::{
    codec::Codec,
    engine::{Engine, KeyspaceCore, Waiter},
    error::{Error, Result},
    event::Event,
    ids::Sequence,
    key::{Key, decode_whole},
    keyspace::decode_error,
    options::system_time,
    schema::Types,
    value::ValueRef,
};
use std::{
    fmt,
    future::{Future, poll_fn},
    iter::FusedIterator,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

mod queue;
mod registry;
mod scope;

pub(crate) use queue::{End, Next, Queue, QueueParts, Stored, Told, What};
pub(crate) use registry::{About, Inner, Registry};
pub(crate) use scope::Scope;

/// Events that may wait for a watcher which says nothing else.
pub(crate) const CAPACITY_DEFAULT: usize = 1_024;

/// What a [`Watcher`] gives: an event, and what is known about it.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// let mut watcher = users.watcher().with_old_values().key("ada")?;
/// let put = users.put("ada", &36)?;
/// users.delete("ada")?;
/// let told = watcher.wait_next()?;
/// assert_eq!((told.sequence, told.old), (put, None));
/// assert_eq!(watcher.wait_next()?.old, Some(36));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched<K, T> {
    /// The sequence of its record. Those of one commit follow each other.
    pub sequence: Sequence,
    /// What happened.
    pub event: Event<K, T>,
    /// The value that the key had before, if the watcher was made
    /// [`with_old_values`](crate::WatchBuilder::with_old_values) and there was one. For the removal
    /// of an expired entry, the value that expired; none for a range and for a change of expiry.
    pub old: Option<T>,
}

/// What a look at the queue gives; nothing is waiting: `Pending`.
type Looked = Poll<Option<Result<Arc<Told>>>>;

/// What is committed to some keys of a keyspace, from the moment it was made.
///
/// Made by [`Keyspace::watch`](crate::Keyspace::watch) and its like. It is told of every commit
/// that was not visible when it was made, however the commit came about: puts, deletes,
/// transactions, `update`, expiry, eviction; of a read-only store, of what a
/// [`refresh`](crate::Store::refresh) brings. It does not keep the store open.
///
/// # Order and durability
///
/// Events come in the order of commits, all of a commit once it is visible, and each not before it
/// is as durable as its writer asked: one of an `Immediate` commit when it is synced, one of a
/// `Buffered` commit at once, though never before those that were committed before it. So what a
/// watcher was told of an `Immediate` commit does not go away by a crash. With
/// [`only_durable`](crate::WatchBuilder::only_durable) that holds of all.
///
/// # Lag
///
/// Up to [`capacity`](crate::WatchBuilder::capacity) events wait. One more, and the watcher lags:
/// everything that waits is given up, and nothing is kept for it, until the next call gives
/// [`Error::Lagged`]. From then on it gives what is committed after that call. What is missing
/// lies between `resume_from` and there, and the events say by their sequences where that is: take
/// it from [`Store::changes`](crate::Store::changes), or read anew what you keep. A commit with
/// more events than the capacity makes a watcher lag that does not read meanwhile.
///
/// # Costs
///
/// A commit pays one relaxed load while nobody watches the store, and for watchers that lag. Else
/// it pays one hash probe per record, the watched prefixes and ranges that the key lies in, found
/// in O(log n) each, and, for each watcher that is told, a lock and a pointer; a range delete looks
/// at every key that is watched by itself.
///
/// Memory: per waiting event its key and a value up to 4 KiB, shared by all watchers that it waits
/// for. Larger values wait on disk and are read when they are taken; until then their files stay,
/// also when they were replaced.
///
/// # Waiting
///
/// [`Iterator::next`] and [`wait_next`](Watcher::wait_next) block,
/// [`next_timeout`](Watcher::next_timeout) for a while, [`try_next`](Watcher::try_next) not at all.
/// Where they would block inside the closure of `update` or of a transaction, which holds the lock
/// that a commit needs, they give [`Error::Nested`] instead, and go on later.
/// [`poll_next`](Watcher::poll_next) and [`next_async`](Watcher::next_async) are for tasks.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Event;
/// let watcher = users.watch_prefix("a")?;
/// let told = std::thread::spawn(move || watcher.collect::<Result<Vec<_>, _>>());
/// users.put("ada", &36)?;
/// users.put("bob", &41)?;
/// users.delete("ada")?;
/// store.close()?; // the watcher gives what waits, and ends
/// let told = told.join().expect("the thread does not panic")?;
/// let (key, value) = ("ada".to_owned(), 36);
/// assert_eq!(told, [Event::Put { key: key.clone(), value }, Event::Delete { key }]);
/// # Ok(())
/// # }
/// ```
pub struct Watcher<K, V: ?Sized, C = crate::Bincode> {
    engine: Arc<Engine>,
    core: Arc<KeyspaceCore>,
    queue: Arc<Queue>,
    waiter: Waiter,
    /// The last word has been said.
    is_done: bool,
    types: Types<K, V, C>,
}

impl<K, V: ?Sized, C> fmt::Debug for Watcher<K, V, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("keyspace", &self.core.meta.name).finish_non_exhaustive()
    }
}

impl<K, V: ?Sized, C> Drop for Watcher<K, V, C> {
    fn drop(&mut self) {
        self.engine.watching.left(&self.queue);
        self.engine.sync.leave(self.waiter);
    }
}

impl<K, V: ?Sized, C> Watcher<K, V, C> {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        core: &Arc<KeyspaceCore>,
        queue: QueueParts,
    ) -> Result<Self> {
        engine.check_open()?;
        let queue = Arc::new(Queue::new(queue));
        engine.watch(&queue, &core.meta.name)?;
        engine.watching.joined();
        let (engine, core) = (Arc::clone(engine), Arc::clone(core));
        Ok(Watcher {
            engine,
            core,
            queue,
            waiter: Waiter::new(),
            is_done: false,
            types: PhantomData,
        })
    }

    /// The next event as it was told, or why there is none.
    fn look(&mut self, waker: Option<&Waker>) -> Looked {
        if self.is_done {
            return Poll::Ready(None);
        }
        let mut next = self.take(waker);
        loop {
            let must_be_synced = matches!(next, Next::NotDurable);
            if !must_be_synced && !matches!(next, Next::Nothing) {
                return self.found(next);
            }
            if let Some(waker) = waker.filter(|_| must_be_synced) {
                self.engine.sync.register(self.waiter, waker);
            }
            // Asked before the next look: what came, or became durable, before the end is found.
            let poison = self.engine.check_poison().err();
            let has_ended = poison.is_some() || self.engine.has_ended();
            next = self.take(waker);
            match next {
                Next::Nothing | Next::NotDurable if has_ended => return self.end(poison),
                Next::Nothing => return Poll::Pending,
                Next::NotDurable if must_be_synced => return Poll::Pending,
                _ => {}
            }
        }
    }

    fn take(&self, waker: Option<&Waker>) -> Next {
        self.queue.take(self.engine.sync.durable_sequence(), waker)
    }

    fn found(&mut self, next: Next) -> Looked {
        match next {
            Next::Event(told) => Poll::Ready(Some(Ok(told))),
            Next::Lagged(from) => Poll::Ready(Some(Err(self.go_on(from)))),
            Next::End(End::Closed) => self.end(None),
            Next::End(End::Gone) => {
                let keyspace = self.core.meta.name.clone();
                self.end(Some(Error::KeyspaceGone { keyspace }))
            }
            Next::Nothing | Next::NotDurable => Poll::Pending,
        }
    }

    fn end(&mut self, last_word: Option<Error>) -> Looked {
        self.is_done = true;
        Poll::Ready(last_word.map(Err))
    }

    /// Is told again from here on, and says since when it was not.
    fn go_on(&mut self, from: Sequence) -> Error {
        let resume_from = self.engine.place_of(Sequence(from.0.saturating_sub(1)));
        // Where nothing more will come, the next look says why.
        let _ = self.engine.watch(&self.queue, &self.core.meta.name);
        Error::Lagged { resume_from }
    }

    /// Blocks until there is something, or until the deadline.
    fn wait(&mut self, deadline: Option<Instant>) -> Looked {
        let mut ready = self.look(None);
        while ready.is_pending() {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Poll::Pending;
            }
            ready = PARKED.with(|waker| self.look(Some(waker)));
            if ready.is_pending() {
                // Nothing can come while this thread keeps everybody from writing.
                if let Err(e) = self.engine.check_nested() {
                    return Poll::Ready(Some(Err(e)));
                }
                match left {
                    None => std::thread::park(),
                    Some(left) => std::thread::park_timeout(left),
                }
                ready = self.look(None);
            }
        }
        ready
    }
}

/// Wakes the thread it was made on.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static PARKED: Waker = Waker::from(Arc::new(Parked(std::thread::current())));
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Watcher<K, V, C> {
    /// Blocks until there is an event.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watch("ada")?;
    /// let sequence = users.put("ada", &36)?;
    /// assert_eq!(watcher.wait_next()?.sequence, sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Lagged`]: see [there](Watcher#lag); it goes on. [`Error::Decode`],
    /// [`Error::Corrupt`] and [`Error::Io`] if the key or a value cannot be read; it goes on with
    /// the next event. [`Error::Closed`], [`Error::KeyspaceGone`] and [`Error::Poisoned`] if there
    /// will be no more.
    pub fn wait_next(&mut self) -> Result<Watched<K, C::Owned>> {
        match self.wait(None) {
            Poll::Ready(Some(told)) => self.typed(&*told?),
            Poll::Ready(None) | Poll::Pending => Err(Error::Closed),
        }
    }

    /// The same, for as long as this; `None` if nothing came.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use std::time::Duration;
    /// let mut watcher = users.watch("ada")?;
    /// assert_eq!(watcher.next_timeout(Duration::from_millis(1))?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Watcher::wait_next`].
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<Watched<K, C::Owned>>> {
        let looked = self.wait(Instant::now().checked_add(timeout));
        self.typed_if_any(looked)
    }

    /// An event, if one is waiting.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::{Error, Event};
    /// let mut watcher = users.watch("ada")?;
    /// assert_eq!(watcher.try_next()?, None);
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let told = watcher.try_next()?.expect("it was put");
    /// assert_eq!(told.event, Event::Put { key: "ada".to_owned(), value: 36 });
    /// assert_eq!(watcher.try_next()?, None);
    /// store.close()?;
    /// assert!(matches!(watcher.try_next(), Err(Error::Closed)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Watcher::wait_next`].
    pub fn try_next(&mut self) -> Result<Option<Watched<K, C::Owned>>> {
        let looked = self.look(None);
        self.typed_if_any(looked)
    }

    /// An event, or the promise that the task is woken when there is one: what a stream's
    /// `poll_next` is. `None` when the store has been closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watch("ada")?;
    /// users.put("ada", &36)?;
    /// let next = std::future::poll_fn(|cx| watcher.poll_next(cx)).await;
    /// assert!(next.is_some_and(|told| told.is_ok()));
    /// # Ok(())
    /// # }
    /// ```
    #[expect(clippy::type_complexity, reason = "the signature of a stream, nothing to name")]
    pub fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Watched<K, C::Owned>>>> {
        let told = match self.look(Some(cx.waker())) {
            Poll::Ready(told) => told,
            Poll::Pending => return Poll::Pending,
        };
        Poll::Ready(told.map(|told| told.and_then(|told| self.typed(&told))))
    }

    /// A future of the next event; `None` when the store has been closed. It occupies no thread,
    /// and nothing is lost when it is dropped. More on this is in
    /// [the guide](crate::guide::asynchronous).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let mut watcher = users.watch_range(..)?;
    /// users.put("ada", &36)?;
    /// store.close()?;
    /// let mut told = 0;
    /// while let Some(next) = watcher.next_async().await {
    ///     println!("{:?}", next?.event);
    ///     told += 1;
    /// }
    /// assert_eq!(told, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn next_async(
        &mut self,
    ) -> impl Future<Output = Option<Result<Watched<K, C::Owned>>>> + Send + '_ {
        poll_fn(move |cx| self.poll_next(cx))
    }

    fn typed_if_any(&self, looked: Looked) -> Result<Option<Watched<K, C::Owned>>> {
        match looked {
            Poll::Pending => Ok(None),
            Poll::Ready(None) => Err(Error::Closed),
            Poll::Ready(Some(told)) => self.typed(&*told?).map(Some),
        }
    }

    fn typed(&self, told: &Told) -> Result<Watched<K, C::Owned>> {
        let key = |bytes: &[u8]| decode_whole::<K>(bytes).map_err(decode_error);
        let (key_bytes, event) = match &told.what {
            What::Put { bytes, key_len } => {
                let (bytes, value) = bytes.split_at(*key_len);
                let value = C::decode(ValueRef::copied(value)).map_err(decode_error)?;
                (bytes, Event::Put { key: key(bytes)?, value })
            }
            What::PutStored { key: bytes, value } => {
                (&**bytes, Event::Put { key: key(bytes)?, value: self.read(bytes, value)? })
            }
            What::Delete { key: bytes } => (&**bytes, Event::Delete { key: key(bytes)? }),
            What::DeleteRange(range) => (&[][..], Event::DeleteRange { range: range.clone() }),
            What::Expire { key: bytes, at_ms } => {
                let expires_at = at_ms.map(system_time);
                (&**bytes, Event::Expire { key: key(bytes)?, expires_at })
            }
        };
        let old = told.old.as_ref().filter(|_| self.queue.wants_old());
        let old = old.map(|old| self.read(key_bytes, old)).transpose()?;
        Ok(Watched { sequence: told.sequence, event, old })
    }

    fn read(&self, key: &[u8], at: &Stored) -> Result<C::Owned> {
        self.engine.read_value(&at.file, self.core.id(), key, &at.entry, C::decode)
    }
}

/// Blocks until there is an event, and ends when the store has been closed.
///
/// An error is an item like any other: after [`Error::Lagged`] and those of reading, events go on.
/// After [`Error::KeyspaceGone`] and [`Error::Poisoned`] it ends.
impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Iterator for Watcher<K, V, C> {
    type Item = Result<Event<K, C::Owned>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.wait(None) {
            Poll::Ready(Some(told)) => {
                Some(told.and_then(|told| self.typed(&told)).map(|watched| watched.event))
            }
            Poll::Ready(None) | Poll::Pending => None,
        }
    }
}

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> FusedIterator for Watcher<K, V, C> {}
