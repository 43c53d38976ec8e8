//! The real disk: `std::fs`, plus space reservation and open flags where the platform has them.
//!
//! Knows the operating system. Does not know the store.
//!
//! What differs between platforms:
//!
//! - Space is reserved on Linux and Android only; elsewhere `reserve` answers `Unsupported`.
//! - On Apple's systems `sync_data` and `sync_dir` ask the drive itself to flush
//!   (`F_FULLFSYNC`, std does that), as `fdatasync` on Linux does with a proper drive.
//! - Windows has no way to sync a directory: `sync_dir` does nothing, names are as durable as NTFS
//!   makes them. Modes 0700 and 0600 do not exist there either.
//! - Some file systems (of networks, of user space) do not offer the sync of a directory and answer
//!   `EINVAL` or `ENOTSUP`. That is taken for "names are durable by themselves", as there is
//!   nothing else to call; every other error is one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::Path,
    sync::Arc,
};

use super::{
    DirEntry, Disk, DiskFile, DiskLock, FileKind, Mapping, Metadata, OpenMode, Reserve, not_a_file,
};

/// The operating system's file system.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// # let dir = tempfile::tempdir().expect("a temporary directory");
/// use kvcore::{Options, disk::OsDisk};
/// use std::sync::Arc;
/// let store = Options::new().disk(Arc::new(OsDisk)).open(dir.path())?; // what is the default
/// assert_eq!(store.stats().keys, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OsDisk;

impl Disk for OsDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(file_type) => kind(file_type),
                // Unlinked between the two calls, on file systems that need two.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            };
            entries.push(DirEntry { name: entry.file_name(), kind });
        }
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Metadata { kind: kind(metadata.file_type()), len: metadata.len() })
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode == OpenMode::ReadWrite);
        Ok(Arc::new(OsFile { file: open_regular(&mut options, path)? }))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        for_owner_only(&mut options);
        Ok(Arc::new(OsFile { file: options.open(path)? }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
        let dir = OpenOptions::new().read(true).custom_flags(flags).open(dir)?;
        match dir.sync_all() {
            Err(e) if is_not_offered(&e) => Ok(()),
            synced => synced,
        }
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::metadata(dir).map(drop)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        for_owner_only(&mut options);
        let file = open_regular(&mut options, path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(OsLock { file, holder: std::process::id() })),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(e)) => Err(e),
        }
    }
}

/// Whether the file system says that it has no such call, as opposed to that it failed.
#[cfg(unix)]
fn is_not_offered(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

#[derive(Debug)]
struct OsFile {
    file: File,
}

impl DiskFile for OsFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    #[cfg(unix)]
    #[inline]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(&self.file, buf, offset)
    }

    #[cfg(unix)]
    #[inline]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(&self.file, buf, offset)
    }

    #[cfg(windows)]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_write(&self.file, buf, offset)
    }

    fn reserve(&self, len: u64) -> io::Result<Reserve> {
        reserve(&self.file, len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self, len: u64) -> io::Result<Mapping> {
        Mapping::new(&self.file, len)
    }
}

/// Gives the lock back by name: closing the file would do only with its last handle, and a
/// process this one is just starting holds one until its program has replaced this one's. A
/// process forked for good is not the holder and gives nothing back.
#[derive(Debug)]
struct OsLock {
    file: File,
    holder: u32,
}

impl DiskLock for OsLock {}

impl Drop for OsLock {
    fn drop(&mut self) {
        if self.holder == std::process::id() {
            // Where this fails, closing the file is what is left to do, and comes next.
            let _ = self.file.unlock();
        }
    }
}

/// Opens without following a link, and refuses what is not a regular file.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    do_not_follow(options);
    let file = options.open(path).map_err(|e| match fs::symlink_metadata(path) {
        // A link, a directory opened for writing, a socket: say so instead of `ELOOP`.
        Ok(m) if !m.is_file() => not_a_file(path, kind(m.file_type())),
        _ => e,
    })?;
    let file_type = file.metadata()?.file_type();
    if file_type.is_file() { Ok(file) } else { Err(not_a_file(path, kind(file_type))) }
}

#[cfg(unix)]
fn do_not_follow(options: &mut OpenOptions) {
    use rustix::fs::OFlags;
    // NONBLOCK so that a pipe planted under one of our names cannot hang the open. It means
    // nothing for regular files, and nothing else is kept open.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, flags.bits().cast_signed());
}

#[cfg(windows)]
fn do_not_follow(options: &mut OpenOptions) {
    // FILE_FLAG_OPEN_REPARSE_POINT, from winbase.h: open the link itself.
    std::os::windows::fs::OpenOptionsExt::custom_flags(options, 0x0020_0000);
}

#[cfg(unix)]
fn for_owner_only(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn for_owner_only(_options: &mut OpenOptions) {}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn reserve(file: &File, len: u64) -> io::Result<Reserve> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };
    if len == 0 {
        return Ok(Reserve::Done);
    }
    loop {
        // The bare system call: the C library's function of a similar name writes zeros instead
        // of saying that the file system cannot.
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Ok(()) => return Ok(Reserve::Done),
            Err(Errno::INTR) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV) => return Ok(Reserve::Unsupported),
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn reserve(_file: &File, _len: u64) -> io::Result<Reserve> {
    Ok(Reserve::Unsupported)
}

fn kind(file_type: fs::FileType) -> FileKind {
    if file_type.is_file() {
        FileKind::File
    } else if file_type.is_dir() {
        FileKind::Directory
    } else if file_type.is_symlink() {
        FileKind::Symlink
    } else {
        FileKind::Other
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn only_a_file_system_without_the_call_is_excused_from_syncing_directories() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(is_not_offered(&error(Errno::INVAL)) && is_not_offered(&error(Errno::OPNOTSUPP)));
        for errno in [Errno::IO, Errno::NOSPC, Errno::ACCESS, Errno::ROFS, Errno::DQUOT] {
            assert!(!is_not_offered(&error(errno)), "{errno}");
        }
    }

    #[test]
    fn a_lock_given_back_is_free_though_a_starting_process_still_has_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("LOCK");
        let file = File::create(&path).unwrap();
        file.try_lock().unwrap();
        let inherited = file.try_clone().unwrap();
        assert!(OsDisk.lock(&path).is_err());
        drop(OsLock { file, holder: std::process::id() });
        assert!(OsDisk.lock(&path).is_ok());

        inherited.try_lock().unwrap();
        let copy = inherited.try_clone().unwrap();
        drop(OsLock { file: copy, holder: 0 });
        assert!(OsDisk.lock(&path).is_err(), "a forked process gave back its parent's lock");
    }
}
