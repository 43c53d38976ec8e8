//! How far the store is durable, and waiting for it with a thread or with a future.

use super::Store;
use crate::{
    engine::{Task, Waiter},
    error::{Error, Result},
    ids::Sequence,
    options::Background,
};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

impl Store {
    /// The sequence of the last applied commit.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// let before = store.tip_sequence();
    /// let sequence = users.put("ada", &36)?;
    /// assert!(before < sequence && store.tip_sequence() == sequence);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tip_sequence(&self) -> Sequence {
        self.engine().tip()
    }

    /// Everything up to this sequence survives power loss.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let ada = users.put_with("ada", &36, Durability::Buffered)?; // may not be durable yet
    /// let bob = users.put_with("bob", &41, Durability::Immediate)?;
    /// assert!(store.durable_sequence() >= bob && bob > ada); // one sync covers both
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn durable_sequence(&self) -> Sequence {
        self.engine().sync.durable_sequence()
    }

    /// Blocks until everything up to this sequence survives power loss.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let sequence = users.put_with("ada", &36, Durability::Buffered)?;
    /// store.wait_durable(sequence)?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if a sync failed, [`Error::BadOption`] for a sequence beyond the tip.
    pub fn wait_durable(&self, sequence: Sequence) -> Result<()> {
        self.check_sequence(sequence)?;
        self.engine().check_open()?;
        self.engine().sync_through(sequence)
    }

    /// A future that resolves when everything up to this sequence survives power loss. It blocks
    /// no thread: the store's own one syncs. The guide has [more](crate::guide::asynchronous).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// let sequence = users.put_with("ada", &36, Durability::Buffered)?;
    /// store.durable(sequence).await?;
    /// assert!(store.durable_sequence() >= sequence);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if the sync fails, [`Error::Closed`], [`Error::BadOption`] for a
    /// sequence beyond the tip.
    pub fn durable(
        &self,
        sequence: Sequence,
    ) -> impl Future<Output = Result<()>> + Send + 'static + use<> {
        Durable { store: self.clone(), target: sequence, waiter: Waiter::new() }
    }

    fn check_sequence(&self, sequence: Sequence) -> Result<()> {
        let tip = self.tip_sequence();
        if sequence <= tip {
            return Ok(());
        }
        let what = format!("{sequence} has not been given out, the last one is {tip}");
        Err(Error::BadOption { option: "sequence", what })
    }

    /// Makes everything committed so far survive power loss.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::Durability;
    /// users.put_with("ada", &36, Durability::Buffered)?;
    /// store.sync()?;
    /// assert_eq!(store.durable_sequence(), store.tip_sequence());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Poisoned`] if the sync fails.
    pub fn sync(&self) -> Result<()> {
        self.engine().check_open()?;
        self.engine().sync_all()
    }
}

/// The future of [`Store::durable`].
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::Durability;
/// use std::task::{Context, Poll, Waker};
/// let sequence = users.put_with("ada", &36, Durability::Immediate)?;
/// let mut durable = Box::pin(store.durable(sequence));
/// let ready = durable.as_mut().poll(&mut Context::from_waker(Waker::noop()));
/// assert!(matches!(ready, Poll::Ready(Ok(()))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Durable {
    store: Store,
    target: Sequence,
    waiter: Waiter,
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.store.engine().sync.leave(self.waiter);
    }
}

impl Future for Durable {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let engine = self.store.engine();
        let is_done = || engine.sync.durable_sequence() >= self.target;
        if is_done() {
            return Poll::Ready(Ok(()));
        }
        if let Err(e) = engine.check_open().and_then(|()| self.store.check_sequence(self.target)) {
            return Poll::Ready(Err(e));
        }
        if engine.options.background == Background::Manual {
            return Poll::Ready(engine.sync_through(self.target));
        }
        engine.sync.register(self.waiter, cx.waker());
        engine.notify(Task::SyncSoon);
        // Between the first look and the registration it may have come true, or failed.
        match engine.check_open() {
            Err(e) => Poll::Ready(Err(e)),
            Ok(()) if is_done() => Poll::Ready(Ok(())),
            Ok(()) => Poll::Pending,
        }
    }
}
