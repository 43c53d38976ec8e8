//! The simulated disk behind the seam's traits.
//!
//! Knows how each call ends under a fault. Does not know what a power cut leaves.

use std::{io, path::Path, sync::Arc};

use super::{
    Machine, SimDisk, Turn, address,
    fault::{Detail, Fault},
    pending::FileOp,
    to_u64,
    tree::{DirOp, FileNode, FileState, Node},
};
use crate::disk::{
    DirEntry, Disk, DiskFile, DiskLock, FileKind, Mapping, Metadata, OpenMode, Reserve,
};

/// Offsets and lengths above this are refused, as every file system has a limit (ext4: 16 TiB).
const FILE_LEN_MAX: u64 = 1 << 44;

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.naming("create_dir", path, Detail::None, |turn| {
            self.shared.add(&turn, path, Node::Dir(Arc::default()))
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.shared.reading()?;
        let dir = self.shared.root.dir(dir)?;
        let state = dir.state.read();
        let mut entries: Vec<DirEntry> = Vec::with_capacity(state.visible.len());
        for (name, node) in &state.visible {
            entries.push(DirEntry { name: name.clone(), kind: node.kind() });
        }
        // No order is promised, so none is kept.
        fastrand::Rng::with_seed(self.shared.seed).shuffle(&mut entries);
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.shared.reading()?;
        let node = self.shared.root.node(path)?;
        let len = match &node {
            Node::File(file) => to_u64(file.state.read().visible.len()),
            Node::Dir(_) | Node::Special(_) => 0,
        };
        Ok(Metadata { kind: node.kind(), len })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.reading()?;
        Ok(self.handle(self.shared.file(path)?, mode))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.naming("create", path, Detail::None, |turn| {
            let file = FileNode::new(path.into(), FileState::default());
            self.shared.add(&turn, path, Node::File(Arc::clone(&file)))?;
            Ok(self.handle(file, OpenMode::ReadWrite))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.naming("rename", from, Detail::To(to.into()), |turn| {
            let (dir, from) = self.shared.root.parent(from)?;
            let (target, to) = self.shared.root.parent(to)?;
            let node = dir.get(from)?;
            if !Arc::ptr_eq(&dir, &target) {
                return Err(io::ErrorKind::CrossesDevices.into());
            }
            let mut state = dir.state.write();
            match state.visible.get(to) {
                Some(there) if there.is(&node) => return Ok(()),
                Some(Node::Dir(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
                Some(_) if node.kind() == FileKind::Directory => {
                    return Err(io::ErrorKind::NotADirectory.into());
                }
                _ => {}
            }
            let op = DirOp::Move { from: from.to_owned(), to: to.to_owned(), node };
            state.apply(turn.index, op);
            Ok(())
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.naming("link", from, Detail::To(to.into()), |turn| {
            let file = self.shared.file(from)?;
            self.shared.add(&turn, to, Node::File(file))
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.shared.naming("unlink", path, Detail::None, |turn| {
            let (dir, name) = self.shared.root.parent(path)?;
            let node = dir.get(name)?;
            if node.kind() == FileKind::Directory {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            let op = DirOp::Remove { name: name.to_owned(), node };
            dir.state.write().apply(turn.index, op);
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.shared.changing("sync_dir", &dir.into(), Detail::None, |_, fault| {
            let dir = self.shared.root.dir(dir)?;
            let mut state = dir.state.write();
            match fault {
                None | Some(Fault::ShortWrite(_)) => state.sync(),
                Some(Fault::Crash) => {}
                Some(fault) => {
                    state.pending.doom();
                    return Err(fault.error());
                }
            }
            Ok(())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.shared.naming("lock", path, Detail::None, |turn| {
            let file = match self.shared.file(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let file = FileNode::new(path.into(), FileState::default());
                    self.shared.add(&turn, path, Node::File(Arc::clone(&file)))?;
                    file
                }
                found => found?,
            };
            if !turn.machine.locks.insert(address(&file)) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let lock: Box<dyn DiskLock> = Box::new(SimLock { disk: self.clone(), file });
            Ok(lock)
        })
    }
}

impl SimDisk {
    fn handle(&self, node: Arc<FileNode>, mode: OpenMode) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), node, mode })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    node: Arc<FileNode>,
    mode: OpenMode,
}

impl SimFile {
    fn changing<T>(
        &self,
        verb: &'static str,
        detail: Detail,
        change: impl FnOnce(Turn<'_>, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.mode == OpenMode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.disk.shared.changing(verb, &self.node.path, detail, change)
    }

    /// How far `[0, end)` can be allocated: `end`, or less on a full disk.
    fn room(&self, machine: &Machine, end: usize) -> usize {
        let allocated = self.node.state.read().allocated;
        match machine.capacity_bytes {
            Some(capacity_bytes) if end > allocated => {
                let left = capacity_bytes.saturating_sub(self.disk.shared.used_bytes());
                let left = usize::try_from(left).unwrap_or(usize::MAX);
                end.min(allocated.saturating_add(left))
            }
            _ => end,
        }
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.shared.reading()?;
        Ok(to_u64(self.node.state.read().visible.len()))
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let limit = self.disk.shared.reading()?.unwrap_or(usize::MAX);
        let state = self.node.state.read();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(state.visible.len());
        let rest = &state.visible[start..];
        let n = rest.len().min(buf.len()).min(limit);
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.changing("write", Detail::Span { offset, len: buf.len() }, |turn, fault| {
            let (len, error) = match fault {
                None | Some(Fault::Crash) => (buf.len(), None),
                Some(Fault::ShortWrite(n)) => (n.min(buf.len()), None),
                Some(Fault::TornWrite(n)) => (n.min(buf.len()), fault),
                Some(fault) => (0, Some(fault)),
            };
            let end = file_len(offset.saturating_add(to_u64(len)))?;
            let offset = end - len;
            let len_wanted = len;
            let len = self.room(turn.machine, end).saturating_sub(offset);
            if len > 0 {
                let op = FileOp::Write { offset, data: buf[..len].into() };
                self.node.state.write().apply(turn.index, op);
            }
            match error {
                Some(fault) => Err(fault.error()),
                None if len == 0 && len_wanted > 0 => Err(io::ErrorKind::StorageFull.into()),
                None => Ok(len),
            }
        })
    }

    fn reserve(&self, len: u64) -> io::Result<Reserve> {
        self.changing("reserve", Detail::Len(len), |turn, fault| {
            let len = file_len(len)?;
            match fault {
                None | Some(Fault::Crash | Fault::ShortWrite(_)) => {}
                Some(fault) => return Err(fault.error()),
            }
            if self.room(turn.machine, len) < len {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.node.state.write().apply(turn.index, FileOp::Reserve(len));
            Ok(Reserve::Done)
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.changing("set_len", Detail::Len(len), |turn, fault| {
            let len = file_len(len)?;
            match fault {
                None | Some(Fault::Crash | Fault::ShortWrite(_)) => {}
                Some(fault) => return Err(fault.error()),
            }
            self.node.state.write().apply(turn.index, FileOp::SetLen(len));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        let shared = &self.disk.shared;
        shared.changing("sync_data", &self.node.path, Detail::None, |_, fault| {
            let mut state = self.node.state.write();
            match fault {
                None | Some(Fault::ShortWrite(_)) => state.sync(),
                Some(Fault::Crash) => {}
                Some(fault) => {
                    state.pending.doom();
                    return Err(fault.error());
                }
            }
            Ok(())
        })
    }

    fn map(&self, _len: u64) -> io::Result<Mapping> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[derive(Debug)]
struct SimLock {
    disk: SimDisk,
    file: Arc<FileNode>,
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.shared.machine.lock().locks.remove(&address(&self.file));
    }
}

fn file_len(len: u64) -> io::Result<usize> {
    if len > FILE_LEN_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge.into())
}
