//! Walks in no particular order: what servers ask of every keyspace.

use super::Keyspace;
#[cfg(doc)]
use crate::Error;
use crate::{
    codec::Codec,
    error::Result,
    index::{Item, State},
    iter::Entry,
    key::Key,
};

/// Where a scan goes on; the default is the start, and a scan has ended when it comes back.
///
/// A number below 2^40 that means the same after a restart.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let store = kvcore::Store::in_memory()?;
/// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
/// use kvcore::ScanCursor;
/// for n in 0..100 {
///     users.put(n.to_string(), &n)?;
/// }
/// let (_page, next) = users.scan(ScanCursor::default(), 10)?;
/// let kept: u64 = next.0; // say, handed to a client
/// let (page, _) = users.scan(ScanCursor(kept), 10)?;
/// assert!(!page.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCursor(pub u64);

impl<K: Key, V: ?Sized + 'static, C: Codec<V>> Keyspace<K, V, C> {
    /// One page of entries in no particular order, and where to go on.
    ///
    /// A key that is there during the whole scan is returned, whatever is written, resized or
    /// restarted meanwhile; others may be. A page holds about `limit` entries: more where hashes
    /// collide, fewer where entries have expired. Works on every keyspace.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// use kvcore::ScanCursor;
    /// for n in 0..100 {
    ///     users.put(n.to_string(), &n)?;
    /// }
    /// let (mut cursor, mut seen) = (ScanCursor::default(), 0);
    /// loop {
    ///     let (page, next) = users.scan(cursor, 10)?;
    ///     seen += page.len();
    ///     cursor = next;
    ///     if cursor == ScanCursor::default() {
    ///         break;
    ///     }
    /// }
    /// assert_eq!(seen, 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for a key, [`Error::Closed`], [`Error::Poisoned`].
    #[expect(clippy::type_complexity, reason = "a page and where to go on, nothing to name")]
    pub fn scan(
        &self,
        cursor: ScanCursor,
        limit: usize,
    ) -> Result<(Vec<Entry<K, V, C>>, ScanCursor)> {
        let now_ms = self.engine().clock.now_ms();
        self.scan_where(cursor, limit, |state| state.is_alive(|| now_ms))
    }

    /// The same of the entries in these states, expired or not.
    #[expect(clippy::type_complexity, reason = "a page and where to go on, nothing to name")]
    pub(crate) fn scan_where(
        &self,
        cursor: ScanCursor,
        limit: usize,
        keep: impl Fn(&State) -> bool,
    ) -> Result<(Vec<Entry<K, V, C>>, ScanCursor)> {
        self.engine().check_open()?;
        let ((items, next), view) = self.pinning_blobs(
            || {
                let mut items = Vec::new();
                let next = self.index().scan(cursor.0, limit.max(1), |key, state| {
                    if keep(&state)
                        && let Some(item) = self.engine().item(key, state)
                    {
                        items.push(item);
                    }
                });
                (items, next)
            },
            |(items, _)| items.iter().any(Item::is_blob),
        );
        let entry = |item| Entry::new(item, &self.inner, view.as_ref());
        let entries: Result<Vec<_>> = items.into_iter().map(entry).collect();
        Ok((entries?, ScanCursor(next.unwrap_or(0))))
    }

    /// An entry chosen evenly among all, by this seed; `None` if there are none.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let store = kvcore::Store::in_memory()?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// users.put("bob", &41)?;
    /// let winner = users.random(17)?.expect("two to choose from");
    /// assert!(["ada", "bob"].contains(&winner.key().as_str()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Keyspace::scan`].
    pub fn random(&self, seed: u64) -> Result<Option<Entry<K, V, C>>> {
        self.engine().check_open()?;
        let now_ms = self.engine().clock.now_ms();
        self.entry(|| {
            let mut rng = fastrand::Rng::with_seed(seed);
            self.index().random(
                || rng.u64(..),
                |key, state| {
                    state.is_alive(|| now_ms).then(|| self.engine().item(key, state)).flatten()
                },
            )
        })
    }
}
