//! What the real disk promises, checked on a temporary directory.

mod sim;

use std::{io, path::Path};

use kvcore::disk::{Disk, DiskFile, FileKind, OpenMode, OsDisk, Reserve};

fn kind_of<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("an error").kind()
}

#[test]
fn file_grows_by_writing_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let file = OsDisk.create_new(&path).unwrap();
    file.write_all_at(b"hello", 3).unwrap();
    assert_eq!(file.len().unwrap(), 8);
    let mut buf = [1; 8];
    file.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"\0\0\0hello");
    assert_eq!(kind_of(file.read_exact_at(&mut buf, 1)), io::ErrorKind::UnexpectedEof);
    file.set_len(4).unwrap();
    assert_eq!(file.len().unwrap(), 4);
    file.sync_data().unwrap();
    OsDisk.sync_dir(dir.path()).unwrap();
    let again = OsDisk.open(&path, OpenMode::Read).unwrap();
    assert_eq!(again.read_at(&mut buf, 0).unwrap(), 4);
    assert!(again.write_at(b"x", 0).is_err(), "opened for reading");
}

#[test]
fn reserved_space_is_zero_and_counts_as_length() {
    let dir = tempfile::tempdir().unwrap();
    let file = OsDisk.create_new(&dir.path().join("a")).unwrap();
    file.write_all_at(b"xyz", 0).unwrap();
    match file.reserve(8192).unwrap() {
        Reserve::Done => assert_eq!(file.len().unwrap(), 8192),
        Reserve::Unsupported => assert_eq!(file.len().unwrap(), 3),
    }
    let mut start = [9; 3];
    file.read_exact_at(&mut start, 0).unwrap();
    assert_eq!(&start, b"xyz");
    assert!(file.reserve(u64::MAX).is_err() || !cfg!(target_os = "linux"));
}

#[test]
fn existing_name_is_not_created_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    OsDisk.create_new(&path).unwrap();
    assert_eq!(kind_of(OsDisk.create_new(&path)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(OsDisk.create_dir(&path)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(OsDisk.create_dir(dir.path())), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(OsDisk.link(&path, &path)), io::ErrorKind::AlreadyExists);
}

#[test]
fn missing_name_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    assert_eq!(kind_of(OsDisk.open(&path, OpenMode::ReadWrite)), io::ErrorKind::NotFound);
    assert_eq!(kind_of(OsDisk.metadata(&path)), io::ErrorKind::NotFound);
    assert_eq!(kind_of(OsDisk.unlink(&path)), io::ErrorKind::NotFound);
    assert_eq!(kind_of(OsDisk.list(&path)), io::ErrorKind::NotFound);
}

#[cfg(unix)]
#[test]
fn d4_link_directory_and_pipe_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    OsDisk.create_new(&at("file")).unwrap();
    OsDisk.create_dir(&at("dir")).unwrap();
    std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
    std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(at("pipe")).status();
    let mut names = vec!["dir", "link", "dangling"];
    if made.is_ok_and(|status| status.success()) {
        names.push("pipe");
    }
    for name in names {
        for mode in [OpenMode::Read, OpenMode::ReadWrite] {
            let error = OsDisk.open(&at(name), mode).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}: {error}");
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        assert_eq!(kind_of(OsDisk.lock(&at(name))), io::ErrorKind::InvalidInput, "{name}");
        assert_eq!(kind_of(OsDisk.create_new(&at(name))), io::ErrorKind::AlreadyExists);
    }
    assert!(!at("nowhere").exists());
    assert_eq!(OsDisk.metadata(&at("link")).unwrap().kind, FileKind::Symlink);
    assert_eq!(OsDisk.metadata(&at("dir")).unwrap().kind, FileKind::Directory);
    let listed = OsDisk.list(dir.path()).unwrap();
    let link = listed.iter().find(|e| e.name == "link").unwrap();
    assert_eq!(link.kind, FileKind::Symlink);
}

#[cfg(unix)]
#[test]
fn new_files_and_directories_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let at = |name: &str| dir.path().join(name);
    OsDisk.create_new(&at("file")).unwrap();
    OsDisk.create_dir(&at("dir")).unwrap();
    drop(OsDisk.lock(&at("lock")).unwrap());
    assert_eq!((mode(&at("file")), mode(&at("dir")), mode(&at("lock"))), (0o600, 0o700, 0o600));
}

#[test]
fn lock_is_held_once_until_dropped_and_its_file_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("LOCK");
    let lock = OsDisk.lock(&path).unwrap();
    assert_eq!(kind_of(OsDisk.lock(&path)), io::ErrorKind::WouldBlock);
    drop(lock);
    assert_eq!(OsDisk.metadata(&path).unwrap().kind, FileKind::File);
    OsDisk.lock(&path).unwrap();
}

#[test]
fn names_move_and_files_outlive_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (old, new) =
        (OsDisk.create_new(&at("old")).unwrap(), OsDisk.create_new(&at("new")).unwrap());
    old.write_all_at(b"old", 0).unwrap();
    new.write_all_at(b"new", 0).unwrap();
    let map = old.map(3).unwrap();
    OsDisk.link(&at("new"), &at("second")).unwrap();
    OsDisk.rename(&at("new"), &at("old")).unwrap();
    OsDisk.unlink(&at("second")).unwrap();
    let mut names: Vec<_> = OsDisk.list(dir.path()).unwrap();
    names.sort();
    assert_eq!(names.len(), 1);
    assert_eq!((names[0].name.to_str(), names[0].kind), (Some("old"), FileKind::File));
    assert_eq!(map.len(), 3);
    let mut buf = [0; 3];
    old.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"old", "an open handle keeps a replaced file");
}

/// Writes at most two bytes a call and is interrupted before each.
#[derive(Debug, Default)]
struct Reluctant {
    bytes: parking_lot::Mutex<(Vec<u8>, bool)>,
    full: usize,
}

impl Reluctant {
    fn interrupt(&self) -> io::Result<()> {
        let mut guard = self.bytes.lock();
        guard.1 = !guard.1;
        if guard.1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl DiskFile for Reluctant {
    fn len(&self) -> io::Result<u64> {
        u64::try_from(self.bytes.lock().0.len()).map_err(io::Error::other)
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        let guard = self.bytes.lock();
        let rest = &guard.0[usize::try_from(offset).expect("small")..];
        let n = rest.len().min(buf.len()).min(2);
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.interrupt()?;
        let mut guard = self.bytes.lock();
        assert_eq!(usize::try_from(offset), Ok(guard.0.len()));
        let n = buf.len().min(2).min(self.full - guard.0.len());
        guard.0.extend_from_slice(&buf[..n]);
        Ok(n)
    }
    fn reserve(&self, _: u64) -> io::Result<Reserve> {
        Ok(Reserve::Unsupported)
    }
    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
    fn map(&self, _: u64) -> io::Result<kvcore::disk::Mapping> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[test]
fn short_and_interrupted_calls_are_continued() {
    let file = Reluctant { full: 7, ..Reluctant::default() };
    file.write_all_at(b"abcdefg", 0).unwrap();
    let mut buf = [0; 5];
    file.read_exact_at(&mut buf, 2).unwrap();
    assert_eq!(&buf, b"cdefg");
    assert_eq!(kind_of(file.write_all_at(b"h", 7)), io::ErrorKind::WriteZero);
    assert_eq!(kind_of(file.read_exact_at(&mut buf, 3)), io::ErrorKind::UnexpectedEof);
    assert!(!file.is_empty().unwrap());
}
