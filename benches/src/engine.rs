//! What the harness asks of an engine.
//!
//! An adapter translates, and does nothing else: no caching, no checking, no measuring.

use std::path::Path;

use crate::{Result, data::KeyBytes, work::Work};

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The engine does not wait for the disk. Survives the end of the process, or less where
    /// the adapter says so.
    Buffered,
    /// The engine syncs before it answers. Survives power loss.
    Synced,
}

/// What an engine is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// kvcore.
    Ours,
    /// Another store, compared.
    Peer,
    /// Not a store: what the machine allows at best.
    Limit,
}

impl Role {
    /// The word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Ours => "ours",
            Role::Peer => "peer",
            Role::Limit => "limit",
        }
    }
}

/// A store under measurement.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Its name in tables and on the command line.
    const NAME: &'static str;
    /// What it is in the comparison.
    const ROLE: Role;

    /// A view to read through, made once per thread and workload, so that an engine with read
    /// transactions opens one for many reads.
    type Reader<'e>: Reader
    where
        Self: 'e;

    /// Whether this workload means anything here.
    fn supports(work: Work) -> bool {
        !work.is_positional() && work != Work::Memory
    }

    /// Whether its synced writes can be believed; if not they are shown, but are no best peer.
    fn syncs_reliably() -> bool {
        true
    }

    /// Whether a buffered write that was acknowledged is there after `kill -9`. Checked.
    fn buffered_survives_kill() -> bool {
        true
    }

    /// Opens or creates the store in `dir`.
    fn open(dir: &Path, mode: Mode) -> Result<Self>;

    /// A view of all writes so far.
    fn reader(&self) -> Result<Self::Reader<'_>>;

    /// One write, one commit.
    fn put(&self, key: &KeyBytes, value: &[u8]) -> Result<()>;

    /// Many writes, one commit.
    fn put_batch(&self, pairs: &[(KeyBytes, Vec<u8>)]) -> Result<()>;

    /// Waits for work that writes have left to the background, before reads are measured.
    /// Not timed.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Closes cleanly: what was written is there when the store is opened again.
    fn close(self) -> Result<()>;
}

/// A view of a store.
pub trait Reader {
    /// Shows the value of `key` to `see`.
    fn get<T>(&self, key: &KeyBytes, see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>>;

    /// Shows up to `limit` pairs in key order, from `from` on, or from the start.
    /// Returns how many there were.
    fn scan(
        &self,
        from: Option<&KeyBytes>,
        limit: usize,
        see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize>;

    /// How many keys are at or behind `key`. Only where [`Engine::supports`] says so.
    fn count_from(&self, _key: &KeyBytes) -> Result<u64> {
        Err("this engine does not count".into())
    }

    /// How many keys stand before `key`, if it is there.
    fn rank(&self, _key: &KeyBytes) -> Result<Option<u64>> {
        Err("this engine does not rank".into())
    }

    /// The key at this place of the order.
    fn nth(&self, _index: u64) -> Result<Option<Vec<u8>>> {
        Err("this engine does not know places".into())
    }
}
