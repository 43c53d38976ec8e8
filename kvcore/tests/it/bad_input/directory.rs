//! Directories that are no store, not ours alone, of a newer version, or in use.

use std::{
    hash::Hasher,
    path::{Path, PathBuf},
};

use kvcore::{
    Error, Store,
    disk::{Disk, FileKind, SimDisk},
};

use super::{closed_store, holds, open, options};

/// The error of an open that must fail, after which nothing on disk may have changed.
fn refused(disk: &SimDisk) -> Error {
    let before = disk.content_hash();
    let error = open(disk).expect_err("this must not open");
    assert_eq!(disk.content_hash(), before, "{error}: nothing is touched");
    error
}

fn dir_with(files: &[&str]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(Path::new("/store")).unwrap();
    for name in files {
        disk.write_file(&Path::new("/store").join(name), b"somebody else's").unwrap();
    }
    disk
}

fn is_not_a_store(error: &Error, names: &str) -> bool {
    matches!(error, Error::NotAStore { .. }) && error.to_string().contains(names)
}

#[test]
fn directory_with_other_files_is_not_made_a_store() {
    let error = refused(&dir_with(&["letter.txt"]));
    assert!(is_not_a_store(&error, "letter.txt"), "{error}");
}

#[test]
fn directory_with_data_and_no_manifest_is_not_a_store() {
    let error = refused(&dir_with(&["000000000007.data"]));
    assert!(is_not_a_store(&error, "000000000007.data"), "{error}");
}

#[test]
fn file_where_the_directory_should_be_is_not_a_store() {
    let disk = SimDisk::new(1);
    disk.write_file(Path::new("/store"), b"a file").unwrap();
    let error = refused(&disk);
    assert!(is_not_a_store(&error, "/store"), "{error}");
}

#[test]
fn missing_parent_is_an_error_that_names_the_directory() {
    let disk = SimDisk::new(1);
    let error = options(&disk).open("/no/such/place").expect_err("nowhere to create it");
    assert!(error.to_string().contains("/no/such/place"), "{error}");
}

#[test]
fn manifest_of_other_bytes_is_corrupt() {
    let disk = dir_with(&["MANIFEST-000000000001"]);
    let error = open(&disk).expect_err("this must not open");
    assert!(matches!(&error, Error::Corrupt { .. }), "{error}");
    assert!(disk.read_file(Path::new("/store/MANIFEST-000000000001")).is_ok());
    assert!(error.to_string().contains("MANIFEST-000000000001"), "{error}");
}

#[test]
fn foreign_files_and_directories_are_left_alone() {
    let disk = closed_store(100);
    let foreign = ["notes.txt", "1.data", "000000000001.data.bak", "LOCK.old", ".hidden"];
    for name in foreign {
        disk.write_file(&Path::new("/store").join(name), name.as_bytes()).unwrap();
    }
    disk.create_dir(Path::new("/store/lost+found")).unwrap();
    disk.plant_special(Path::new("/store/link"), FileKind::Symlink).unwrap();
    let (store, numbers) = open(&disk).unwrap();
    assert!(holds(&numbers, 100));
    store.merge().unwrap();
    store.close().unwrap();
    for name in foreign {
        let bytes = disk.read_file(&Path::new("/store").join(name)).unwrap();
        assert_eq!(bytes, name.as_bytes());
    }
    assert!(disk.metadata(Path::new("/store/lost+found")).is_ok());
    assert!(disk.metadata(Path::new("/store/link")).is_ok());
}

/// Every name of ours, taken by something that is no file.
const OURS: [&str; 6] = [
    "LOCK",
    "MANIFEST-000000000099",
    "000000000099.data",
    "000000000099.hint",
    "000000000099.blob",
    "000000000099.hint.tmp",
];

#[test]
fn our_names_as_links_devices_or_directories_are_errors() {
    for name in OURS {
        let path = Path::new("/store").join(name);
        for kind in [FileKind::Symlink, FileKind::Other] {
            let disk = closed_store(10);
            disk.plant_special(&path, kind).unwrap();
            let error = refused(&disk);
            assert!(is_not_a_store(&error, name), "{name} as {kind}: {error}");
        }
        let disk = closed_store(10);
        let _ = disk.unlink(&path);
        disk.create_dir(&path).unwrap();
        let error = refused(&disk);
        assert!(is_not_a_store(&error, name), "{name} as a directory: {error}");
    }
}

#[cfg(unix)]
#[test]
fn our_names_as_real_symbolic_links_are_errors() {
    for name in OURS {
        let dir = tempfile::tempdir().unwrap();
        Store::open(dir.path()).unwrap().close().unwrap();
        let path = dir.path().join(name);
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        let error = Store::open(dir.path()).expect_err("links are not followed");
        assert!(is_not_a_store(&error, name), "{name}: {error}");
    }
}

// ---- versions ----

/// Raises the version of a structure of the format and makes its checksum right again.
fn raise_version(bytes: &mut [u8], len: usize, file: u64, place: u64, extra: u64) {
    let (body, crc) = bytes[..len].split_at_mut(len - 4);
    body[8] = 2;
    let store: [u8; 16] = body[24..40].try_into().unwrap();
    let mut key = siphasher::sip::SipHasher24::new_with_key(&store);
    key.write(&file.to_le_bytes());
    let place = [key.finish().to_le_bytes(), place.to_le_bytes(), extra.to_le_bytes()].concat();
    crc.copy_from_slice(&crc32c::crc32c_append(crc32c::crc32c(body), &place).to_le_bytes());
}

fn only(disk: &SimDisk, kind: &str) -> PathBuf {
    let is_of_kind = |path: &PathBuf| path.to_string_lossy().contains(kind);
    disk.paths().into_iter().find(is_of_kind).expect("there is one")
}

fn number_of(path: &Path) -> u64 {
    let name = path.file_name().unwrap().to_string_lossy();
    name.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

#[test]
fn newer_manifest_is_refused_as_newer() {
    let disk = closed_store(10);
    let path = only(&disk, "MANIFEST");
    let mut bytes = disk.read_file(&path).unwrap();
    let len = bytes.len();
    raise_version(&mut bytes, len, 0, number_of(&path), u64::MAX - 2);
    disk.write_file(&path, &bytes).unwrap();
    let error = refused(&disk);
    assert!(matches!(&error, Error::NewerFormat { path: p, .. } if *p == path), "{error}");
}

#[test]
fn newer_data_file_is_refused_as_newer() {
    let disk = closed_store(10);
    let path = only(&disk, ".data");
    let mut bytes = disk.read_file(&path).unwrap();
    raise_version(&mut bytes, 128, number_of(&path), 0, u64::MAX);
    disk.write_file(&path, &bytes).unwrap();
    let error = refused(&disk);
    assert!(matches!(&error, Error::NewerFormat { path: p, .. } if *p == path), "{error}");
}

#[test]
fn newer_hint_is_not_used() {
    let disk = closed_store(10);
    let (store, _) = open(&disk.clean_image()).unwrap();
    assert_eq!(store.recovery().files_scanned, 0);
    let path = only(&disk, ".hint");
    let mut bytes = disk.read_file(&path).unwrap();
    let (len, data_len) = (bytes.len(), u64::from_le_bytes(bytes[48..56].try_into().unwrap()));
    raise_version(&mut bytes, len, number_of(&path), data_len, u64::MAX - 1);
    disk.write_file(&path, &bytes).unwrap();
    let (store, numbers) = open(&disk).unwrap();
    assert_eq!(store.recovery().files_scanned, 1);
    assert!(holds(&numbers, 10));
}

// ---- in use, read-only ----

#[test]
fn second_open_of_a_store_is_locked_out_until_the_first_is_closed() {
    let disk = SimDisk::new(1);
    let (store, _numbers) = open(&disk).unwrap();
    let error = options(&disk).open("/store").expect_err("it is open");
    assert!(matches!(error, Error::Locked { .. }), "{error}");
    store.close().unwrap();
    assert!(open(&disk).is_ok());
}

/// Set for the child, which finds the store locked.
const LOCKED_DIR: &str = "KVCORE_TEST_LOCKED_DIR";

#[test]
fn second_process_is_locked_out() {
    if let Some(dir) = std::env::var_os(LOCKED_DIR) {
        let error = Store::open(dir).expect_err("the parent has it open");
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let _store = Store::open(dir.path()).unwrap();
    let name = "bad_input::directory::second_process_is_locked_out";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(LOCKED_DIR, dir.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn disk_that_takes_no_changes_is_an_error_at_open() {
    use kvcore::disk::{Fault, Repeat};
    let read_only = Fault::Error(std::io::ErrorKind::ReadOnlyFilesystem);
    let disk = closed_store(10);
    disk.fail(disk.operations(), read_only, Repeat::Forever);
    let error = refused(&disk);
    assert!(matches!(&error, Error::Io { path, .. } if path.starts_with("/store")), "{error}");
    let empty = SimDisk::new(1);
    empty.fail(empty.operations(), read_only, Repeat::Forever);
    let error = refused(&empty);
    assert!(matches!(&error, Error::Io { path, .. } if path.starts_with("/store")), "{error}");
}

#[cfg(unix)]
#[test]
fn read_only_directory_is_an_error_that_names_it() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mode = |mode| std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode));
    mode(0o555).unwrap();
    // The superuser may write anyway.
    let may_write = std::fs::write(dir.path().join(".probe"), b"").is_ok();
    let opened = Store::open(dir.path());
    mode(0o755).unwrap();
    match opened {
        Ok(_) => assert!(may_write),
        Err(e) => assert!(!may_write && e.to_string().contains(&*dir.path().to_string_lossy())),
    }
}

// ---- hints ----

#[test]
fn missing_hint_costs_a_scan_and_nothing_else() {
    let disk = closed_store(10);
    disk.unlink(&only(&disk, ".hint")).unwrap();
    let (store, numbers) = open(&disk).unwrap();
    assert_eq!(store.recovery().files_scanned, 1);
    assert!(holds(&numbers, 10));
}
