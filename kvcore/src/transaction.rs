//! Transactions: reads and writes over any keyspaces that take effect as one, or not at all.
//!
//! Knows types and what the transaction has written itself. Reads of keys are in `get`, of
//! ranges in `range`, writes in `write`; how it is run and committed is in `run`.
//!
//! # Invariants
//!
//! T1. Every read is as of one view, overlaid with the transaction's own writes.
//! T2. Nothing is appended before the closure has returned `Ok`.
//! T3. At the commit, under the writer lock, nothing that was read has changed since the view: the
//!     lock was held all along, or the reads are compared.

use crate::{
    batch::Batch,
    error::{Error, Result},
    index::Index,
    log::Record,
    options::Durability,
    store::Store,
    view::View,
};
use std::{cell::RefCell, fmt, marker::PhantomData, sync::Arc};

mod get;
mod iter;
mod nth;
mod own;
mod range;
mod reads;
mod run;
mod write;

pub use iter::TxIter;
use own::{Own, Write};
use reads::Reads;

/// Reads and writes that happen at one moment for everybody else: what the closure of
/// [`Store::transaction`] and [`Store::optimistic_transaction`] is given.
///
/// Reads see the store as it was when the closure began, and what the transaction itself has
/// written since. Entries count as expired by the time at which it began. Writes are kept in
/// memory until the closure returns `Ok`, and are then committed as one batch.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// # let store = kvcore::Store::open(dir.path())?;
/// use kvcore::{Error, Keyspace};
/// let accounts: Keyspace<String, u64> = store.keyspace("accounts")?;
/// accounts.put("ada", &100)?;
/// let moved = store.transaction(|tx| {
///     let ada = tx.get(&accounts, "ada")?.unwrap_or(0);
///     let bob = tx.get(&accounts, "bob")?.unwrap_or(0);
///     let rest = ada.checked_sub(70).ok_or_else(|| Error::abort("too poor"))?;
///     tx.put(&accounts, "ada", &rest)?;
///     tx.put(&accounts, "bob", &(bob + 70))?;
///     assert_eq!(tx.get(&accounts, "bob")?, Some(70)); // it sees its own writes
///     Ok(70)
/// })?;
/// assert_eq!(moved, 70);
/// assert_eq!(accounts.get("ada")?, Some(30));
/// # Ok(())
/// # }
/// ```
pub struct Transaction<'s> {
    store: &'s Store,
    view: Arc<View>,
    own: Own,
    /// What an optimistic transaction has read.
    reads: Option<RefCell<Reads>>,
    durability: Durability,
    /// The lock it stands for belongs to this thread.
    not_send: PhantomData<*mut ()>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("view", &self.view.sequence).finish_non_exhaustive()
    }
}

impl<'s> Transaction<'s> {
    fn new(store: &'s Store, reads: Option<Reads>) -> Transaction<'s> {
        let engine = store.engine();
        Transaction {
            store,
            view: Arc::new(engine.views.open(engine.clock.now_ms())),
            own: Own::default(),
            reads: reads.map(RefCell::new),
            durability: engine.options.durability,
            not_send: PhantomData,
        }
    }

    /// The store it is of.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// # let store = kvcore::Store::open(dir.path())?;
    /// # let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// store.transaction(|tx| {
    ///     assert!(tx.store().keyspace_names().contains(&"users".to_owned()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The writes as one batch; large values are in durable files when this returns.
    fn prepare(&self) -> Result<Batch, Error> {
        let mut batch = Batch::new(self.store.clone());
        let mut packed = Vec::new();
        for space in self.own.spaces() {
            let index = &space.inner.core.index;
            let keyspace = index.id;
            for (start, end) in space.deleted_ranges() {
                batch.push(index, &Record::RangeTombstone { keyspace, start, end })?;
            }
            for (key, write) in &space.keys {
                match write {
                    Write::Put { value, expires_at_ms } => {
                        let record =
                            space.inner.put_record(key, value, &mut packed, *expires_at_ms)?;
                        batch.push(index, &record)?;
                    }
                    Write::Delete if self.is_stored(index, key) && !space.is_deleted(key) => {
                        batch.push(index, &Record::Tombstone { keyspace, key })?;
                    }
                    Write::Delete => {}
                    Write::Expire(at_ms) => batch.push_expiry(index, key, *at_ms)?,
                }
            }
        }
        Ok(batch)
    }

    fn is_stored(&self, index: &Index, key: &[u8]) -> bool {
        index.item_of(&self.store.engine().files, key, self.view.sequence).is_some()
    }
}
