//! Disks that let one kind of call do nothing, which the harness must notice, or do not have it.

use kvcore::disk::{
    DirEntry, Disk, DiskFile, DiskLock, Mapping, Metadata, OpenMode, Reserve, SimDisk,
};
use std::{io, path::Path, sync::Arc};

/// Which call does nothing and says that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    None,
    SyncData,
    SyncDir,
    /// Space is never promised, which is no lie, but another path through the store.
    NoReserve,
    /// Nothing that only some systems have: space is never promised, there is no sync of a
    /// directory, no link and no mapping. Names are durable by themselves, as on NTFS.
    Portable,
}

#[derive(Debug)]
struct LyingDisk {
    disk: SimDisk,
    lie: Lie,
}

#[derive(Debug)]
struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Lie,
}

/// This disk, with that lie.
pub(crate) fn telling(disk: &SimDisk, lie: Lie) -> Arc<dyn Disk> {
    match lie {
        Lie::None => Arc::new(disk.clone()),
        lie => Arc::new(LyingDisk { disk: disk.clone(), lie }),
    }
}

impl LyingDisk {
    fn wrap(&self, file: io::Result<Arc<dyn DiskFile>>) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(LyingFile { file: file?, lie: self.lie }))
    }

    /// A name has changed: where nobody can ask for it, it becomes durable by itself, and with it
    /// all that changed before, the names of its directories too: a journal keeps the order.
    fn named(&self, path: &Path) -> io::Result<()> {
        if self.lie == Lie::Portable {
            let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
            above.reverse();
            above.into_iter().try_for_each(|dir| self.disk.sync_dir(dir))?;
        }
        Ok(())
    }
}

impl Disk for LyingDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)?;
        self.named(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.disk.metadata(path)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.wrap(self.disk.open(path, mode))
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create_new(path)?;
        self.named(path)?;
        self.wrap(Ok(file))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)?;
        self.named(to)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.lie == Lie::Portable {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.disk.link(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.disk.unlink(path)?;
        self.named(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        match self.lie {
            Lie::SyncDir | Lie::Portable => Ok(()),
            _ => self.disk.sync_dir(dir),
        }
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.disk.lock(path)
    }
}

impl DiskFile for LyingFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }
    fn reserve(&self, len: u64) -> io::Result<Reserve> {
        if matches!(self.lie, Lie::NoReserve | Lie::Portable) {
            return Ok(Reserve::Unsupported);
        }
        self.file.reserve(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        if self.lie == Lie::SyncData { Ok(()) } else { self.file.sync_data() }
    }
    fn map(&self, len: u64) -> io::Result<Mapping> {
        if self.lie == Lie::Portable {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.file.map(len)
    }
}
