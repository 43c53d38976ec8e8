//! A disk in memory that forgets, fails and crashes on demand.
//!
//! Knows what is durable and what is pending, per file and per directory. Does not know what the
//! store is; it never helps it more than a real file system would.
//!
//! Deterministic: the same calls on the same seed give the same answers, crash images included.
//!
//! # Invariants
//!
//! S1. Every change of the disk and every sync has a number, counted from 0 and given even if the
//!     call then fails; reads have numbers of their own.
//! S2. `sync_data` makes that file's bytes and length durable and nothing else; `sync_dir` that
//!     directory's names and nothing else, neither the files behind them nor its own name.
//! S3. A failed sync leaves what was pending for ever undurable: reads still show it, no later
//!     sync writes it, a power cut keeps or loses it (as Linux does; Rebello et al., USENIX
//!     ATC 2020). Only writing it again helps.
//! S4. After a crash fault every call fails until an image is taken, which is a disk of its own.

mod calls;
mod copy;
mod crash;
mod fault;
mod frozen;
mod medium;
mod pending;
mod plan;
mod tree;

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use self::{
    fault::{Detail, Entry, Faults, Log, crashed},
    tree::{DirNode, DirOp, FileNode, Node},
};
use super::{FileKind, not_a_file};

pub use crash::CrashImages;
pub use fault::{Fault, Repeat};

/// A simulated machine with one disk. Clones are the same machine.
///
/// All paths live under one root, which exists; absolute and relative ones are the same. Renames
/// stay within one directory. There are no mappings. Unsynced data is held twice, so a store that
/// lives here syncs now and then, as it does on a real disk.
///
/// ```
/// # fn main() -> kvcore::Result<()> {
/// use kvcore::{Error, Keyspace, Options, disk::{Fault, Repeat, SimDisk}};
/// use std::sync::Arc;
/// let disk = SimDisk::new(7);
/// let store = Options::new().disk(Arc::new(disk.clone())).open("/data")?;
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// users.put("ada", &36)?;
/// disk.fail(disk.operations(), Fault::EIO, Repeat::Forever); // the disk dies
/// assert!(users.put("bob", &41).is_err());
/// assert!(matches!(users.get("ada"), Err(Error::Poisoned { .. })));
///
/// let mended = disk.process_crash_image();
/// let store = Options::new().disk(Arc::new(mended)).open("/data")?;
/// let users: Keyspace<String, u64> = store.keyspace("users")?;
/// assert_eq!(users.get("ada")?, Some(36));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    /// How this disk came to be: the description of the crash image, or nothing.
    origin: String,
    root: Arc<DirNode>,
    /// Held by every change from beginning to end, so that an image is of one instant.
    machine: Mutex<Machine>,
    crashed: AtomicBool,
    reads: AtomicU64,
    read_faults_armed: AtomicBool,
}

#[derive(Default)]
struct Machine {
    operations: u64,
    faults: Faults,
    read_faults: Faults,
    /// Addresses of the locked files, which their locks keep alive.
    locks: HashSet<usize>,
    capacity_bytes: Option<u64>,
    log: Log,
}

/// The right to carry out one numbered operation.
struct Turn<'m> {
    machine: &'m mut Machine,
    index: u64,
}

impl SimDisk {
    /// An empty disk.
    ///
    /// ```
    /// use kvcore::disk::SimDisk;
    /// let disk = SimDisk::new(42); // the seed of its crash images
    /// assert!(disk.paths().is_empty());
    /// ```
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::with_root(seed, String::new(), Arc::default())
    }

    fn with_root(seed: u64, origin: String, root: Arc<DirNode>) -> SimDisk {
        let shared = Shared {
            seed,
            origin,
            root,
            machine: Mutex::default(),
            crashed: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            read_faults_armed: AtomicBool::new(false),
        };
        SimDisk { shared: Arc::new(shared) }
    }

    /// How many changes and syncs there were: the number the next one gets.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// let file = disk.create_new(Path::new("/log"))?;
    /// file.sync_data()?;
    /// assert_eq!(disk.operations(), 2);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.machine.lock().operations
    }

    /// How many reads there were (`open`, `list`, `metadata`, `len`, `read_at`).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.list(Path::new("/"))?;
    /// assert_eq!(disk.read_operations(), 1);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn read_operations(&self) -> u64 {
        self.shared.reads.load(Ordering::Relaxed)
    }

    /// Lets the change or sync of this number (S1) go wrong.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// let file = disk.create_new(Path::new("/log"))?;
    /// disk.fail(disk.operations(), Fault::ENOSPC, Repeat::Once); // the next one
    /// assert!(file.write_all_at(b"record", 0).is_err());
    /// assert!(file.write_all_at(b"record", 0).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail(&self, op_index: u64, fault: Fault, repeat: Repeat) {
        self.shared.machine.lock().faults.arm(op_index, fault, repeat);
    }

    /// Lets the read of this number go wrong.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// disk.fail_read(disk.read_operations(), Fault::EIO, Repeat::Forever);
    /// assert!(disk.list(Path::new("/")).is_err());
    /// assert!(disk.create_dir(Path::new("/data")).is_ok()); // no read
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_read(&self, read_index: u64, fault: Fault, repeat: Repeat) {
        self.shared.machine.lock().read_faults.arm(read_index, fault, repeat);
        self.shared.read_faults_armed.store(true, Ordering::Release);
    }

    /// Takes back all faults that have not struck yet, and those that strike for ever.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// disk.fail(0, Fault::EIO, Repeat::Forever);
    /// assert!(disk.create_dir(Path::new("/data")).is_err());
    /// disk.clear_faults();
    /// assert!(disk.create_dir(Path::new("/data")).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_faults(&self) {
        let mut machine = self.shared.machine.lock();
        machine.faults.clear();
        machine.read_faults.clear();
        self.shared.read_faults_armed.store(false, Ordering::Release);
    }

    /// How many operations a fault has struck. A test that injects faults asserts it is not 0.
    ///
    /// ```
    /// use kvcore::disk::{Disk, Fault, Repeat, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// disk.fail(0, Fault::EIO, Repeat::Once);
    /// assert!(disk.create_dir(Path::new("/data")).is_err());
    /// assert_eq!(disk.faults_fired(), 1);
    /// ```
    #[must_use]
    pub fn faults_fired(&self) -> u64 {
        let machine = self.shared.machine.lock();
        machine.faults.fired() + machine.read_faults.fired()
    }

    /// Cuts the power now: every later call on this disk fails.
    ///
    /// ```
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.crash();
    /// assert!(disk.create_dir(Path::new("/data")).is_err());
    /// ```
    pub fn crash(&self) {
        self.shared.crashed.store(true, Ordering::Release);
    }

    /// Whether the power is gone.
    ///
    /// ```
    /// use kvcore::disk::SimDisk;
    /// let disk = SimDisk::new(1);
    /// assert!(!disk.crashed());
    /// disk.crash();
    /// assert!(disk.crashed());
    /// ```
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.shared.crashed.load(Ordering::Acquire)
    }

    /// Limits the space for file contents; `None` lifts the limit.
    ///
    /// Space reserved before is never refused. A write that fits in part is cut short, one that
    /// does not fit at all fails with `StorageFull`. Unlinking frees at once.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// let file = disk.create_new(Path::new("/log"))?;
    /// disk.set_capacity_bytes(Some(4));
    /// assert!(file.write_all_at(b"record", 0).is_err());
    /// disk.set_capacity_bytes(None);
    /// assert!(file.write_all_at(b"record", 0).is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.shared.machine.lock().capacity_bytes = capacity_bytes;
    }

    /// Space taken by the contents of all files that have a name.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_new(Path::new("/log"))?.write_all_at(b"record", 0)?;
    /// assert_eq!(disk.used_bytes(), 6);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        let _machine = self.shared.machine.lock();
        self.shared.used_bytes()
    }
}

impl Machine {
    fn continue_from(&mut self, other: &Machine) {
        self.operations = other.operations;
        self.capacity_bytes = other.capacity_bytes;
        self.log = other.log.clone();
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk")
            .field("seed", &self.shared.seed)
            .field("origin", &self.shared.origin)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn alive(&self) -> io::Result<()> {
        if self.crashed.load(Ordering::Acquire) { Err(crashed()) } else { Ok(()) }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<FileNode>> {
        match self.root.node(path)? {
            Node::File(file) => Ok(file),
            other => Err(not_a_file(path, other.kind())),
        }
    }

    /// Visits every visible name below the root, directories before what is in them.
    fn each_entry(&self, mut visit: impl FnMut(&Path, &Node)) {
        let mut left = vec![(PathBuf::from("/"), Arc::clone(&self.root))];
        while let Some((at, dir)) = left.pop() {
            for (name, node) in &dir.state.read().visible {
                let path = at.join(name);
                visit(&path, node);
                if let Node::Dir(dir) = node {
                    left.push((path, Arc::clone(dir)));
                }
            }
        }
    }

    fn used_bytes(&self) -> u64 {
        let mut seen = HashSet::new();
        let mut used = 0;
        self.each_entry(|_, node| {
            if let Node::File(file) = node
                && seen.insert(address(file))
            {
                used += to_u64(file.state.read().allocated);
            }
        });
        used
    }

    /// Counts a read; `Some(n)` limits it to `n` bytes.
    fn reading(&self) -> io::Result<Option<usize>> {
        self.alive()?;
        let index = self.reads.fetch_add(1, Ordering::Relaxed);
        if !self.read_faults_armed.load(Ordering::Acquire) {
            return Ok(None);
        }
        match self.machine.lock().read_faults.strike(index) {
            None => Ok(None),
            Some(Fault::ShortWrite(n)) => Ok(Some(n)),
            Some(fault) => {
                if fault == Fault::Crash {
                    self.crashed.store(true, Ordering::Release);
                }
                Err(fault.error())
            }
        }
    }

    /// Counts and logs a change, and carries it out or lets it fail.
    ///
    /// `change` gets the fault only if it has to do with it: it writes less, or nothing.
    fn changing<T>(
        &self,
        verb: &'static str,
        path: &Arc<Path>,
        detail: Detail,
        change: impl FnOnce(Turn<'_>, Option<Fault>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.machine.lock();
        self.alive()?;
        let index = machine.operations;
        machine.operations += 1;
        let fault = machine.faults.strike(index);
        let path = Arc::clone(path);
        machine.log.push(Entry { index, verb, path, detail, fault, error: None });
        let result = change(Turn { machine: &mut machine, index }, fault);
        if fault == Some(Fault::Crash) {
            self.crashed.store(true, Ordering::Release);
        }
        if let Err(e) = &result {
            machine.log.ended(e);
        }
        // A lock in the result takes this mutex when it is dropped.
        drop(machine);
        if fault == Some(Fault::Crash) { Err(crashed()) } else { result }
    }

    /// A change of names: done or not done, nothing in between.
    fn naming<T>(
        &self,
        verb: &'static str,
        path: &Path,
        detail: Detail,
        change: impl FnOnce(Turn<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.changing(verb, &path.into(), detail, |turn, fault| match fault {
            // At a crash it is done here, and then is pending like everything else.
            None | Some(Fault::Crash | Fault::ShortWrite(_)) => change(turn),
            Some(fault) => Err(fault.error()),
        })
    }

    /// Adds a name to a directory that does not have it.
    fn add(&self, turn: &Turn<'_>, path: &Path, node: Node) -> io::Result<()> {
        let (dir, name) = self.root.parent(path)?;
        let mut state = dir.state.write();
        if state.visible.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.apply(turn.index, DirOp::Add { name: name.to_owned(), node });
        Ok(())
    }
}

fn address<T>(node: &Arc<T>) -> usize {
    Arc::as_ptr(node).addr()
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).expect("no supported platform has pointers wider than 64 bits")
}
