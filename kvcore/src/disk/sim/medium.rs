//! The disk by hand: what is on it, for failure messages, and damage, for tests.

use super::{
    FileKind, SimDisk,
    tree::{FileNode, FileState, Node},
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

impl SimDisk {
    /// The last few thousand changes and syncs, one line each, for failure messages.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_new(Path::new("/log"))?;
    /// let log = disk.op_log();
    /// assert!(log.len() == 1 && log[0].contains("/log"), "{log:?}");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn op_log(&self) -> Vec<String> {
        self.shared.machine.lock().log.lines()
    }

    /// Where this disk comes from and what is on it, for failure messages.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_new(Path::new("/log"))?.write_all_at(b"record", 0)?;
    /// assert!(disk.describe().contains("/log: 6 bytes, 0 durable"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn describe(&self) -> String {
        let _machine = self.shared.machine.lock();
        let mut text = format!("seed {}; {}\n", self.shared.seed, self.shared.origin);
        self.shared.each_entry(|path, node| {
            let line = match node {
                Node::File(file) => {
                    let state = file.state.read();
                    format!(
                        "{}: {} bytes, {} durable, {} changes pending\n",
                        path.display(),
                        state.visible.len(),
                        state.durable.len(),
                        state.pending.ops.len()
                    )
                }
                other => format!("{}: {}\n", path.display(), other.kind()),
            };
            text.push_str(&line);
        });
        text
    }

    /// The paths of all regular files, sorted.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.create_dir(Path::new("/data"))?;
    /// disk.create_new(Path::new("/data/a"))?;
    /// assert_eq!(disk.paths(), [Path::new("/data/a")]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let _machine = self.shared.machine.lock();
        let mut paths = Vec::new();
        self.shared.each_entry(|path, node| {
            if let Node::File(_) = node {
                paths.push(path.to_owned());
            }
        });
        paths
    }

    /// A file's bytes as reads see them; not counted, no faults.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.write_file(Path::new("/log"), b"record")?;
    /// assert_eq!(disk.read_file(Path::new("/log"))?, b"record");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound`, or `InvalidInput` if it is no regular file.
    pub fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.shared.file(path)?.state.read().visible.to_vec())
    }

    /// Puts a durable file with a durable name there, replacing one; not counted, no faults.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.write_file(Path::new("/log"), b"record")?;
    /// assert_eq!(disk.operations(), 0); // not counted
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such directory.
    pub fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let content = Arc::new(bytes.to_vec());
        self.plant(path, Node::File(FileNode::new(path.into(), FileState::settled(content))))
    }

    /// Puts a link or special file there, which can be listed and not opened.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, FileKind, OpenMode, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    /// disk.plant_special(Path::new("/log"), FileKind::Symlink)?;
    /// assert!(disk.open(Path::new("/log"), OpenMode::Read).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such directory, `InvalidInput` for other kinds.
    pub fn plant_special(&self, path: &Path, kind: FileKind) -> io::Result<()> {
        match kind {
            FileKind::Symlink | FileKind::Other => self.plant(path, Node::Special(kind)),
            FileKind::File | FileKind::Directory => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn plant(&self, path: &Path, node: Node) -> io::Result<()> {
        let _machine = self.shared.machine.lock();
        let (dir, name) = self.shared.root.parent(path)?;
        let mut state = dir.state.write();
        state.visible.insert(name.to_owned(), node.clone());
        state.durable.insert(name.to_owned(), node);
        Ok(())
    }

    /// Flips one bit of a file on the medium; what was pending in the file becomes durable.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.write_file(Path::new("/log"), b"record")?;
    /// disk.flip_bit(Path::new("/log"), 0, 0)?;
    /// assert_eq!(disk.read_file(Path::new("/log"))?, b"secord");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_file`](SimDisk::read_file), and `InvalidInput` past the file's end.
    pub fn flip_bit(&self, path: &Path, byte: usize, bit: u8) -> io::Result<()> {
        self.damage(path, |content| {
            let byte = content.get_mut(byte).ok_or(io::ErrorKind::InvalidInput)?;
            *byte ^= 1_u8.checked_shl(bit.into()).ok_or(io::ErrorKind::InvalidInput)?;
            Ok(())
        })
    }

    /// Cuts a file on the medium, or extends it with zeros; pending changes become durable first.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use kvcore::disk::{Disk, SimDisk};
    /// use std::path::Path;
    /// let disk = SimDisk::new(1);
    ///
    /// disk.write_file(Path::new("/log"), b"record")?;
    /// disk.truncate(Path::new("/log"), 3)?;
    /// assert_eq!(disk.read_file(Path::new("/log"))?, b"rec");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`read_file`](SimDisk::read_file).
    pub fn truncate(&self, path: &Path, len: usize) -> io::Result<()> {
        self.damage(path, |content| {
            content.resize(len, 0);
            Ok(())
        })
    }

    fn damage(
        &self,
        path: &Path,
        change: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        let _machine = self.shared.machine.lock();
        let file = self.shared.file(path)?;
        let mut state = file.state.write();
        let mut content = state.visible.to_vec();
        change(&mut content)?;
        *state = FileState::settled(Arc::new(content));
        Ok(())
    }
}
