//! The seam to the disk: everything in this crate that touches a file does it through [`Disk`].
//!
//! Knows paths, bytes and which calls make what durable. Does not know what the bytes mean, which
//! names the store uses, or that there is a log.
//!
//! [`OsDisk`] is the real one. [`SimDisk`] keeps everything in memory, fails where it is told to
//! and produces every state a power cut may leave. Others may be written and injected.
//!
//! # Invariants every implementation keeps
//!
//! D1. What a call has written is seen by every later read, in this process, at once.
//! D2. Bytes and length of a file survive a power cut once `sync_data` on it has returned `Ok`
//!     after they were written; its name, once `sync_dir` on its directory has returned `Ok`.
//!     Each without the other is worth nothing, and neither implies the other.
//! D3. After a failed `sync_data` nothing is known about what was written since the last good one,
//!     and a later `Ok` does not repair it.
//! D4. No call follows a symbolic link in the last component of a file's path.
//! D5. A call that returns an error has changed nothing, except that `write_at` and `reserve` may
//!     have done a part, and that D3 holds.

mod map;
mod os;
mod sim;

use std::{ffi::OsString, fmt, io, path::Path, sync::Arc};

pub use map::Mapping;
pub(crate) use map::prefetch;
pub use os::OsDisk;
pub use sim::{CrashImages, Fault, Repeat, SimDisk};

/// Directories and the names in them.
///
/// Implementations are shared between threads and do no locking between calls.
///
/// ```
/// use kvcore::disk::{Disk, FileKind, OsDisk, SimDisk};
/// use std::{io, path::Path};
///
/// /// Works alike on the real disk and on a simulated one.
/// fn files_in(disk: &dyn Disk, dir: &Path) -> io::Result<usize> {
///     Ok(disk.list(dir)?.iter().filter(|entry| entry.kind == FileKind::File).count())
/// }
///
/// # fn main() -> io::Result<()> {
/// let disk = SimDisk::new(1);
/// disk.create_dir(Path::new("/data"))?;
/// disk.create_new(Path::new("/data/a"))?;
/// assert_eq!(files_in(&disk, Path::new("/data"))?, 1);
/// assert!(files_in(&OsDisk, Path::new("no such directory")).is_err());
/// # Ok(())
/// # }
/// ```
pub trait Disk: Send + Sync + fmt::Debug + 'static {
    /// Creates one directory, readable by its owner only (mode 0700). Its parent must exist.
    ///
    /// Durable after [`sync_dir`](Disk::sync_dir) of the parent.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is anything of that name, a directory too.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// What is in a directory, in no particular order, links not followed.
    ///
    /// An entry that disappears while the directory is read may be missing from the answer.
    ///
    /// # Errors
    ///
    /// `NotFound`, `NotADirectory`, and what the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Kind and length of what is there; a link is reported, not followed.
    ///
    /// # Errors
    ///
    /// `NotFound` if nothing is there.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Opens a regular file that exists. Not inherited by child processes.
    ///
    /// # Errors
    ///
    /// `NotFound`; `InvalidInput` that names the kind if it is a link, a directory or a device.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;

    /// Creates an empty file for reading and writing, for its owner only (mode 0600).
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if there is anything of that name, a dangling link too.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames within one directory, replacing a file of the new name at once.
    ///
    /// After a power cut the old or the new state is there, never neither. Whether two
    /// directories may be involved is up to the implementation; the engine never does it.
    ///
    /// # Errors
    ///
    /// `NotFound`, and what the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if `to` exists, `NotFound`, `Unsupported` or the operating system's answer
    /// where the file system has no links.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file's name; open handles and mappings stay valid (on Unix).
    ///
    /// # Errors
    ///
    /// `NotFound`, and what the operating system says.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory. Only temporary stores ask for it.
    ///
    /// # Errors
    ///
    /// `DirectoryNotEmpty`, `NotFound`, what the operating system says, and `Unsupported`, which
    /// is all that this default does.
    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes the names in this directory durable, and only those (D2).
    ///
    /// # Errors
    ///
    /// Whatever the operating system says; D3 holds for the names.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the exclusive lock of a lock file, which is created if missing and never removed.
    ///
    /// The lock is the kernel's: it ends with the returned value or with the process, whatever
    /// way that ends. It keeps out other holders of this lock, nobody else.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if anyone holds it, this process too; `InvalidInput` if the path is a link or
    /// not a regular file.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// One open regular file. Reads and writes name their offset, so threads may share it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use kvcore::disk::{Disk, DiskFile, SimDisk};
/// use std::path::Path;
/// let disk = SimDisk::new(1);
/// let file = disk.create_new(Path::new("/log"))?;
/// file.write_all_at(b"record", 4)?; // a gap reads as zeros
/// let mut bytes = [0; 10];
/// file.read_exact_at(&mut bytes, 0)?;
/// assert_eq!(&bytes, b"\0\0\0\0record");
/// file.sync_data()?; // the bytes are durable; the name is not, until
/// disk.sync_dir(Path::new("/"))?;
/// # Ok(())
/// # }
/// ```
pub trait DiskFile: Send + Sync + fmt::Debug + 'static {
    /// The file's length in bytes, reserved space included.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    ///
    /// As [`len`](DiskFile::len).
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads up to `buf.len()` bytes; fewer also in the middle of a file, 0 only at its end.
    ///
    /// # Errors
    ///
    /// What the operating system says, `Interrupted` included.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `buf.len()` bytes and returns how many; a gap before them reads as zeros.
    ///
    /// # Errors
    ///
    /// What the operating system says, `Interrupted` included; some bytes may be written.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize>;

    /// Allocates space for `[0, len)`, so that writing there later cannot run out of it.
    ///
    /// The file is at least `len` bytes long afterwards; new bytes are zero, old ones unchanged.
    /// Never falls back to writing zeros.
    ///
    /// # Errors
    ///
    /// `StorageFull` and the like; the length may then be anything from the old one to `len`.
    fn reserve(&self, len: u64) -> io::Result<Reserve>;

    /// Cuts the file or extends it with zeros (which may occupy no space).
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes bytes and length durable (D2).
    ///
    /// # Errors
    ///
    /// Whatever the operating system says; see D3.
    fn sync_data(&self) -> io::Result<()>;

    /// Maps `[0, len)` for reading, shared with the file: later writes are seen.
    ///
    /// `len` may exceed the file's present length; bytes past the length must not be touched
    /// until they exist.
    ///
    /// # Errors
    ///
    /// `Unsupported` where there are no mappings; callers then read with
    /// [`read_at`](DiskFile::read_at).
    fn map(&self, len: u64) -> io::Result<Mapping>;

    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; what was read until then is in `buf`.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => (buf, offset) = (&mut buf[n..], advance(offset, n)?),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes the whole of `buf` at `offset`, in as many calls as it takes.
    ///
    /// # Errors
    ///
    /// `WriteZero` if the file takes no more, else the first error; a part may be written.
    fn write_all_at(&self, mut buf: &[u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => (buf, offset) = (&buf[n..], advance(offset, n)?),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A held lock; dropping it gives it back.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use kvcore::disk::{Disk, SimDisk};
/// use std::path::Path;
/// let disk = SimDisk::new(1);
/// let lock = disk.lock(Path::new("/LOCK"))?;
/// assert!(disk.lock(Path::new("/LOCK")).is_err()); // held
/// drop(lock);
/// assert!(disk.lock(Path::new("/LOCK")).is_ok());
/// # Ok(())
/// # }
/// ```
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name alone, without the directory.
    pub name: OsString,
    /// What it is.
    pub kind: FileKind,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, to whatever.
    Symlink,
    /// A device, a socket, a pipe.
    Other,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::File => "a regular file",
            FileKind::Directory => "a directory",
            FileKind::Symlink => "a symbolic link",
            FileKind::Other => "a special file",
        })
    }
}

/// Kind and length of a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; of no meaning unless it is a regular file.
    pub len: u64,
}

/// What an opened file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reading and mapping.
    Read,
    /// Reading, mapping and writing.
    ReadWrite,
}

/// What came of a reservation that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Reserve {
    /// The space is there.
    Done,
    /// This file system or platform cannot promise space; nothing was changed.
    Unsupported,
}

/// The error for a name that is not a regular file.
fn not_a_file(path: &Path, kind: FileKind) -> io::Error {
    let text = format!("{} is {kind}, not a regular file", path.display());
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

fn advance(offset: u64, n: usize) -> io::Result<u64> {
    let n = u64::try_from(n).map_err(|_| io::ErrorKind::FileTooLarge)?;
    offset.checked_add(n).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}
