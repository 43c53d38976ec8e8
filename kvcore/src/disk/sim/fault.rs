//! Which operation fails how, and a record of what was asked of a disk.
//!
//! Knows numbers of operations. Does not know what the operations do.

use std::{collections::VecDeque, fmt, io, path::Path, sync::Arc};

/// What goes wrong at an operation.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
/// use std::path::Path;
/// let disk = SimDisk::new(1);
/// let file = disk.create_new(Path::new("/log"))?;
/// disk.fail(disk.operations(), Fault::ShortWrite(2), Repeat::Once);
/// assert_eq!(file.write_at(b"record", 0)?, 2); // as a system call may
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and this is the error.
    Error(io::ErrorKind),
    /// Nothing is done, and the error is the operating system's of this number.
    Errno(i32),
    /// At most so many bytes are written or read, and the call succeeds with that number.
    /// Operations without bytes are not affected.
    ShortWrite(usize),
    /// So many bytes are written, and the call fails with `EIO`; other operations just fail.
    TornWrite(usize),
    /// The power goes: the operation may or may not have reached the medium, the call fails, and
    /// so does every later one.
    Crash,
}

impl Fault {
    /// The medium cannot be read or written.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// let file = disk.create_new(Path::new("/log"))?;
    /// disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    /// assert!(file.sync_data().is_err()); // nobody knows now what is on the medium
    /// # Ok(())
    /// # }
    /// ```
    pub const EIO: Fault = Fault::Errno(5);
    /// No space is left.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// let file = disk.create_new(Path::new("/log"))?;
    /// disk.fail(disk.operations(), Fault::ENOSPC, Repeat::Once);
    /// assert!(file.reserve(1 << 20).is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub const ENOSPC: Fault = Fault::Errno(28);

    /// The error a caller gets to see.
    pub(super) fn error(self) -> io::Error {
        match self {
            Fault::Error(kind) => io::Error::new(kind, "injected fault"),
            Fault::Errno(number) => io::Error::from_raw_os_error(number),
            Fault::ShortWrite(_) | Fault::TornWrite(_) => io::Error::from_raw_os_error(5),
            Fault::Crash => crashed(),
        }
    }
}

/// How often a fault strikes.
///
/// ```
/// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
/// use std::path::Path;
/// let disk = SimDisk::new(1);
/// disk.fail(0, Fault::EIO, Repeat::Forever);
/// for name in ["/a", "/b", "/c"] {
///     assert!(disk.create_dir(Path::new(name)).is_err());
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// At the operation of exactly this number.
    Once,
    /// At it and at every later one.
    Forever,
}

/// What every call answers once the power is gone.
pub(super) fn crashed() -> io::Error {
    io::Error::other("the simulated machine has lost power")
}

/// Faults waiting for their operation.
#[derive(Debug, Default)]
pub(super) struct Faults {
    armed: Vec<(u64, Fault, Repeat)>,
    fired: u64,
}

impl Faults {
    pub(super) fn arm(&mut self, index: u64, fault: Fault, repeat: Repeat) {
        self.armed.push((index, fault, repeat));
    }

    pub(super) fn clear(&mut self) {
        self.armed.clear();
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// The fault for this operation, the first armed one if there are several.
    pub(super) fn strike(&mut self, index: u64) -> Option<Fault> {
        let hit = self.armed.iter().find(|(at, _, repeat)| match repeat {
            Repeat::Once => index == *at,
            Repeat::Forever => index >= *at,
        });
        let fault = hit.map(|(_, fault, _)| *fault);
        self.fired += u64::from(fault.is_some());
        fault
    }
}

/// One line of the record: formatted only when somebody reads it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) index: u64,
    pub(super) verb: &'static str,
    pub(super) path: Arc<Path>,
    pub(super) detail: Detail,
    pub(super) fault: Option<Fault>,
    pub(super) error: Option<io::ErrorKind>,
}

#[derive(Clone, Debug)]
pub(super) enum Detail {
    None,
    Span { offset: u64, len: usize },
    Len(u64),
    To(Arc<Path>),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {}", self.index, self.verb, self.path.display())?;
        match &self.detail {
            Detail::None => {}
            Detail::Span { offset, len } => write!(f, " at {offset}, {len} bytes")?,
            Detail::Len(len) => write!(f, " to {len} bytes")?,
            Detail::To(path) => write!(f, " to {}", path.display())?,
        }
        if let Some(fault) = self.fault {
            write!(f, " [{fault:?}]")?;
        }
        match self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

/// The last operations of a disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
}

impl Log {
    /// Enough for any scripted workload; older lines are forgotten.
    const ENTRIES_MAX: usize = 4096;

    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.len() == Self::ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// Notes how the operation just pushed ended.
    pub(super) fn ended(&mut self, error: &io::Error) {
        if let Some(entry) = self.entries.back_mut() {
            entry.error = Some(error.kind());
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.entries.iter().map(Entry::to_string).collect()
    }
}
