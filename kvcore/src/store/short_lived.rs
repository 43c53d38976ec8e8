//! Stores that leave nothing behind: in memory, or in a directory that goes with them.
//!
//! Knows where they are. Everything else about them is as in any other store.

use super::{Handle, Store};
use crate::{
    disk::{Disk, SimDisk},
    error::{Error, Result},
    options::Options,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Where a store in memory is, on the disk that it has for itself.
const MEMORY_DIR: &str = "/store";
/// Random names are tried this often before giving up.
const NAMES_MAX: usize = 16;

impl Store {
    /// A new, empty store in memory, for tests: gone when its last handle is.
    ///
    /// The same code as on a real disk, threads included, over a disk in memory. Everything
    /// written takes its place twice, as on the disk and in its cache; there is no mapping, so
    /// reads copy.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// let store = kvcore::Store::in_memory()?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::open`]; in practice none.
    pub fn in_memory() -> Result<Store> {
        Options::new().in_memory().open(MEMORY_DIR)
    }

    /// A new, empty store in a fresh directory below the system's temporary one, which is removed
    /// when the store is closed, by [`Store::close`] or with its last handle. A process that is
    /// killed leaves it to the system.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// let store = kvcore::Store::temporary()?;
    /// let users: kvcore::Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// let dir = store.dir().to_owned();
    /// assert!(dir.exists());
    /// store.close()?;
    /// assert!(!dir.exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    pub fn temporary() -> Result<Store> {
        Options::new().open_temporary()
    }

    /// The directory the store is in, as it was given.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// # let dir = tempfile::tempdir().expect("a temporary directory");
    /// let store = kvcore::Store::open(dir.path().join("data"))?;
    /// assert!(store.dir().ends_with("data"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.engine().dir
    }
}

impl Options {
    /// Keeps everything in memory, on a new, empty disk that clones of these options share: a
    /// store that was closed can be opened again from a clone. For tests.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Durability, Keyspace, Options};
    /// let options = Options::new().durability(Durability::Buffered).in_memory();
    /// let store = options.clone().open("data")?;
    /// let users: Keyspace<String, u64> = store.keyspace("users")?;
    /// users.put("ada", &36)?;
    /// store.close()?;
    /// let users: Keyspace<String, u64> = options.open("data")?.keyspace("users")?;
    /// assert_eq!(users.get("ada")?, Some(36));
    /// # Ok(())
    /// # }
    /// ```
    pub fn in_memory(self) -> Self {
        self.disk(Arc::new(SimDisk::new(0)))
    }

    /// As [`Store::temporary`], with these options.
    ///
    /// ```
    /// # fn main() -> kvcore::Result<()> {
    /// use kvcore::{Durability, Options};
    /// let store = Options::new().durability(Durability::Buffered).open_temporary()?;
    /// assert!(store.dir().exists());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Options::open`].
    pub fn open_temporary(mut self) -> Result<Store> {
        self.check()?;
        let dir = create_fresh(&*self.disk)?;
        self.remove_at_close = true;
        let disk = Arc::clone(&self.disk);
        self.open(&dir).inspect_err(|_| remove(&*disk, &dir))
    }
}

impl Handle {
    /// Removes a temporary store's directory. What stays behind by an error is the system's to
    /// clear away, as everything in its temporary directory.
    pub(super) fn remove_if_temporary(&self) {
        if self.engine.options.remove_at_close {
            remove(&*self.engine.disk, &self.engine.dir);
        }
    }
}

/// A directory of a name that nobody has.
fn create_fresh(disk: &dyn Disk) -> Result<PathBuf> {
    let parent = std::env::temp_dir();
    let error = |path: &Path, source| Error::Io {
        action: "create the directory",
        path: path.to_path_buf(),
        source,
    };
    for _ in 0..NAMES_MAX {
        let number = getrandom::u64().map_err(|e| error(&parent, io::Error::other(e)))?;
        let dir = parent.join(format!("kvcore-{number:016x}"));
        match disk.create_dir(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(error(&dir, e)),
        }
    }
    Err(error(&parent, io::ErrorKind::AlreadyExists.into()))
}

fn remove(disk: &dyn Disk, dir: &Path) {
    for entry in disk.list(dir).unwrap_or_default() {
        let _ = disk.unlink(&dir.join(entry.name));
    }
    let _ = disk.remove_dir(dir);
}
