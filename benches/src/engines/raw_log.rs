//! A limit: bytes appended to a preallocated file, and a table of where they are.
//!
//! One `pwrite` per commit of as many bytes as a record of kvcore has, one `fdatasync` if synced,
//! one insert into a hash map; a read is a probe and a `pread`. No checksum, no recovery.

use std::{
    collections::HashMap,
    fs::File,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;

use crate::{
    Result,
    data::Pair,
    engine::{Engine, Mode, Reader, Role, Setup},
    key::{InlineKey, inline},
    raw_file::{read_at, reserve, write_at},
    work::Work,
};

/// Bytes of a record besides key and value.
const HEADER_BYTES: usize = 29;
/// How much is reserved at once.
const CHUNK_BYTES: u64 = 256 << 20;

/// The file and the table.
#[derive(Debug)]
pub struct RawLog {
    file: File,
    mode: Mode,
    table: RwLock<HashMap<InlineKey, Place>>,
    end: AtomicU64,
    reserved: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    len: u32,
}

impl RawLog {
    /// Appends the pairs with one write; the table is updated under the same lock.
    fn append<'p>(&self, pairs: impl Iterator<Item = (&'p [u8], &'p [u8])>) -> Result<()> {
        let mut bytes = Vec::with_capacity(256);
        let mut table = self.table.write();
        let start = self.end.load(Ordering::Relaxed);
        for (key, value) in pairs {
            bytes.extend_from_slice(&[0x5a; HEADER_BYTES]);
            bytes.extend_from_slice(key);
            let offset = start + bytes.len() as u64;
            table.insert(inline(key)?, Place { offset, len: u32::try_from(value.len())? });
            bytes.extend_from_slice(value);
        }
        let end = start + bytes.len() as u64;
        while end > self.reserved.load(Ordering::Relaxed) {
            self.reserved.fetch_add(CHUNK_BYTES, Ordering::Relaxed);
            reserve(&self.file, self.reserved.load(Ordering::Relaxed))?;
        }
        write_at(&self.file, &bytes, start)?;
        self.end.store(end, Ordering::Relaxed);
        drop(table);
        if self.mode == Mode::Synced {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl Engine for RawLog {
    const NAME: &'static str = "raw-log";
    const ROLE: Role = Role::Limit;
    type Reader<'e> = &'e RawLog;

    fn supports(work: Work) -> bool {
        use Work::{Get, Get2, Get4, Get8, Load, New, Overwrite, SyncBatch, SyncPut, Zipf};
        cfg!(unix)
            && matches!(
                work,
                Load | Get | Get2 | Get4 | Get8 | Overwrite | New | Zipf | SyncPut | SyncBatch
            )
    }

    fn open(dir: &Path, setup: Setup) -> Result<Self> {
        let mode = setup.mode;
        // A log of its own for each mode: it has no recovery.
        let path = dir.join(format!("raw-{mode:?}"));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        reserve(&file, CHUNK_BYTES)?;
        file.sync_all()?;
        Ok(RawLog {
            file,
            mode,
            table: RwLock::default(),
            end: AtomicU64::new(0),
            reserved: AtomicU64::new(CHUNK_BYTES),
        })
    }

    fn reader(&self) -> Result<&RawLog> {
        Ok(self)
    }

    fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.append(std::iter::once((key, value)))
    }

    fn put_batch(&self, pairs: &[Pair]) -> Result<()> {
        self.append(pairs.iter().map(|(key, value)| (&key[..], value.as_slice())))
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

impl Reader for &RawLog {
    fn get<T>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let Some(place) = self.table.read().get(&inline(key)?).copied() else { return Ok(None) };
        let len = usize::try_from(place.len)?;
        let mut short = [0; 256];
        let mut long = Vec::new();
        let buffer = match short.get_mut(..len) {
            Some(buffer) => buffer,
            None => {
                long.resize(len, 0);
                &mut long[..]
            }
        };
        read_at(&self.file, buffer, place.offset)?;
        Ok(Some(see(buffer)))
    }

    fn scan(
        &self,
        _from: Option<&[u8]>,
        _limit: usize,
        _see: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<usize> {
        Err("the raw log has no order".into())
    }
}
