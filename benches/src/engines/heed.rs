//! LMDB through heed: a memory-mapped copy-on-write B-tree.
//!
//! Buffered is `MDB_NOSYNC`: commits go to the page cache, survive the end of the process, and
//! may leave a broken database after power loss. Synced is LMDB's default. Where the data do not
//! fit into memory it is told not to read ahead (`MDB_NORDAHEAD`), as its documentation advises.

use std::{ops::Bound, path::Path};

use heed::{
    CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithTls, types::Bytes,
};

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Memory, Mode, Reader, Role, Setup},
    key::KeyBytes,
};

/// Address space for the map; a limit, not a reservation.
const MAP_BYTES: usize = 64 << 30;

/// An open environment.
#[derive(Debug)]
pub struct Heed {
    env: Env,
    db: Database<Bytes, Bytes>,
}

impl Heed {
    fn write<'p>(&self, pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> Result<()> {
        let mut tx = self.env.write_txn()?;
        for (key, value) in pairs {
            self.db.put(&mut tx, key, value)?;
        }
        Ok(tx.commit()?)
    }
}

/// A read transaction, held for all reads of a workload.
pub struct Snapshot<'e> {
    tx: RoTxn<'e, WithTls>,
    db: Database<Bytes, Bytes>,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Engine for Heed {
    const NAME: &'static str = "heed";
    const ROLE: Role = Role::Peer;
    type Reader<'e> = Snapshot<'e>;

    #[allow(unsafe_code, reason = "heed offers no other way to open an environment")]
    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        let mut flags = EnvFlags::empty();
        flags.set(EnvFlags::NO_SYNC, setup.mode == Mode::Buffered);
        flags.set(EnvFlags::NO_READ_AHEAD, setup.memory == Memory::Small);
        // SAFETY: `MDB_NOSYNC` endangers the database at power loss only, and it is a
        // benchmark's; the other flag is advice to the system.
        unsafe { options.flags(flags) };
        // SAFETY: the directory is a fresh one of this run; no other process has its files open
        // (a child that had is dead), none truncates them, and it is opened once at a time.
        let env = unsafe { options.open(dir)? };
        let mut tx = env.write_txn()?;
        let db = env.create_database(&mut tx, None)?;
        tx.commit()?;
        Ok(Heed { env, db })
    }

    fn reader(&self) -> Result<Snapshot<'_>> {
        Ok(Snapshot { tx: self.env.read_txn()?, db: self.db })
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.write(std::iter::once((key, value)))
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        self.write(pairs.iter().map(|(key, value)| (&key[..], value.as_slice())))
    }

    fn remove_batch(&self, keys: &[KeyBytes]) -> Result<()> {
        let mut tx = self.env.write_txn()?;
        for key in keys {
            self.db.delete(&mut tx, key)?;
        }
        Ok(tx.commit()?)
    }

    fn compact(self, dir: &Path) -> Result<()> {
        // LMDB compacts by copying; the copy then takes the place of the original.
        let copy = dir.join("compacted");
        self.env.copy_to_path(&copy, CompactionOption::Enabled)?.sync_all()?;
        self.close()?;
        Ok(std::fs::rename(copy, dir.join("data.mdb"))?)
    }

    fn close(self) -> Result<()> {
        self.env.force_sync()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}

impl Reader for Snapshot<'_> {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.db.get(&self.tx, key)?.map(see))
    }

    fn scan(
        &self,
        from: Option<&[u8]>,
        limit: usize,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        let start = from.map_or(Bound::Unbounded, |key| Bound::Included(key));
        let mut seen = 0;
        for pair in self.db.range(&self.tx, &(start, Bound::Unbounded))?.take(limit) {
            let (key, value) = pair?;
            see(key, value)?;
            seen += 1;
        }
        Ok(seen)
    }

    fn len(&self) -> Result<u64> {
        Ok(self.db.len(&self.tx)?)
    }
}
