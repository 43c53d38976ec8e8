//! What the harness asks of an engine.
//!
//! An adapter translates, and does nothing else: no caching, no checking, no measuring.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Result, data::Pair, key::KeyBytes, work::Work};

/// What an acknowledged write has survived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The engine does not wait for the disk. Survives the end of the process, or less where
    /// the adapter says so.
    Buffered,
    /// The engine syncs before it answers. Survives power loss.
    Synced,
}

/// How much memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// More than data.
    Ample,
    /// Less than data: an engine that is told so by its users is told so here.
    Small,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// What acknowledged writes survive.
    pub mode: Mode,
    /// Cache of every engine that has one, in bytes.
    pub cache_bytes: usize,
    /// Whether the data fit into memory.
    pub memory: Memory,
}

/// What an engine is in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// kvcore.
    Ours,
    /// Another store, compared.
    Peer,
    /// Not a store: what the machine allows at best.
    Limit,
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
        !work.is_positional() && !work.is_of_keydir()
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
    fn open(dir: &Path, setup: Setup) -> Result<Self>;

    /// A view of all writes so far.
    fn reader(&self) -> Result<Self::Reader<'_>>;

    /// One write, one commit.
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Many writes, one commit.
    fn put_batch(&self, pairs: &[Pair]) -> Result<()>;

    /// Many removals of keys that are there, one commit. Only where [`Engine::supports`] says so.
    fn remove_batch(&self, _keys: &[KeyBytes]) -> Result<()> {
        Err("this engine does not remove".into())
    }

    /// Gives back what space it can, and closes. Only where [`Engine::supports`] says so.
    fn compact(self, _dir: &Path) -> Result<()> {
        Err("this engine does not compact".into())
    }

    /// Waits for work that writes have left to the background, before reads are measured.
    /// Not timed.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Closes cleanly: what was written is there when the store is opened again.
    fn close(self) -> Result<()>;
}

/// A view of a store.
#[expect(clippy::len_without_is_empty, reason = "nobody asks a benchmark's store")]
pub trait Reader {
    /// Shows the value of `key` to `see`.
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>>;

    /// Shows up to `limit` pairs in key order, from `from` on, or from the start.
    /// Returns how many there were.
    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize>;

    /// How many keys there are. Only where [`Engine::supports`] says so.
    fn len(&self) -> Result<u64> {
        Err("this engine does not know its length".into())
    }

    /// How many keys are at or behind `key`. Only where [`Engine::supports`] says so.
    fn count_from(&self, _key: &[u8]) -> Result<u64> {
        Err("this engine does not count".into())
    }

    /// How many keys stand before `key`, if it is there.
    fn rank(&self, _key: &[u8]) -> Result<Option<u64>> {
        Err("this engine does not rank".into())
    }

    /// The key at this place of the order.
    fn nth(&self, _index: u64) -> Result<Option<Vec<u8>>> {
        Err("this engine does not know places".into())
    }
}
