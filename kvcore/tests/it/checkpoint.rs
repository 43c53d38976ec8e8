//! Checkpoints: online, consistent, incremental, and all or nothing whatever goes wrong.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use kvcore::{
    CheckpointFiles, Durability, Error, Keyspace, Options, Store,
    disk::{Disk, Fault, Repeat, SimDisk},
};

use crate::verify::options;

type Numbers = Keyspace<u64, String>;
type Content = Vec<(u64, String)>;

fn open_at(disk: &SimDisk, dir: &str) -> (Store, Numbers) {
    let store = options(disk).open(dir).unwrap();
    let numbers = store.keyspace("numbers").unwrap();
    (store, numbers)
}

fn fill(numbers: &Numbers, keys: std::ops::Range<u64>, word: &str) {
    for n in keys {
        numbers.put(n, &format!("{word} {n}")).unwrap();
    }
    numbers.put(1_000, &word.repeat(60)).unwrap();
    numbers.delete(3).unwrap();
}

fn all(numbers: &Numbers) -> Content {
    let entry = |e: kvcore::Entry<u64, String, _>| (*e.key(), e.value().unwrap());
    numbers.iter().map(|e| entry(e.unwrap())).collect()
}

fn content(disk: &SimDisk, dir: &str) -> Content {
    let (store, numbers) = open_at(disk, dir);
    let content = all(&numbers);
    let verified = store.verify().unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    content
}

fn files(disk: &SimDisk, dir: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let of_dir = disk.paths().into_iter().filter(|p| p.starts_with(dir));
    of_dir.map(|p| (p.clone(), disk.read_file(&p).unwrap())).collect()
}

#[test]
fn a_checkpoint_is_a_store_of_that_moment_and_neither_changes_the_other() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..30, "first");
    let then = all(&numbers);
    let done = store.checkpoint("/backup").unwrap();
    assert_eq!(done.sequence, store.tip_sequence());
    assert!(done.files_linked > 3 && done.files_copied == 0 && done.files_kept == 0, "{done:?}");
    let linked = files(&disk, "/backup");
    fill(&numbers, 10..50, "second");
    store.merge().unwrap();
    store.maintain().unwrap();
    assert_eq!(files(&disk, "/backup"), linked, "linked files never change");
    let now = all(&numbers);
    let (backup, of_backup) = open_at(&disk, "/backup");
    assert_eq!(all(&of_backup), then);
    fill(&of_backup, 0..9, "another life");
    backup.merge().unwrap();
    assert_eq!(all(&numbers), now);
    backup.close().unwrap();
    store.close().unwrap();
    assert_eq!(content(&disk, "/store"), now);
}

#[test]
fn a_second_checkpoint_brings_what_is_new_and_removes_what_is_not_needed() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..30, "first");
    let first = store.checkpoint("/backup").unwrap();
    fill(&numbers, 30..35, "second");
    let second = store.checkpoint("/backup").unwrap();
    assert!(second.files_kept >= first.files_linked - 1, "{second:?}");
    assert!(second.files_linked < first.files_linked && second.files_removed >= 1, "{second:?}");
    store.close().unwrap();
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..30, "third");
    store.merge().unwrap();
    let third = store.checkpoint("/backup").unwrap();
    assert!(third.files_removed > 3, "{third:?}");
    let verified = options(&disk).verify("/backup", |_| {}).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    let left = files(&disk, "/backup").len();
    assert_eq!(content(&disk, "/backup"), all(&numbers));
    assert_eq!(content(&disk, "/store".replace("store", "backup").as_str()), all(&numbers));
    assert!(left <= files(&disk, "/store").len() + 1, "nothing is left over");
}

#[test]
fn copies_share_nothing_and_are_the_same() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..30, "first");
    let done = store.checkpoint_with("/backup", CheckpointFiles::Copy).unwrap();
    assert!(done.files_linked == 0 && done.files_copied > 3 && done.bytes_copied >= done.bytes);
    for (path, _) in files(&disk, "/store") {
        if path.extension().is_some_and(|e| e == "data") {
            disk.flip_bit(&path, 200, 1).unwrap();
        }
    }
    assert_eq!(content(&disk, "/backup").len(), 30);
}

#[test]
fn where_links_fail_files_are_copied() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..5, "first");
    store.sync().unwrap();
    let log_before = disk.op_log().len();
    store.checkpoint("/first").unwrap();
    let log = disk.op_log();
    let link = log
        .iter()
        .skip(log_before)
        .position(|op| op.contains(" link "))
        .unwrap_or_else(|| panic!("{log:#?}"));
    let (again, _) = (SimDisk::new(1), ());
    let (store, numbers) = open_at(&again, "/store");
    fill(&numbers, 0..5, "first");
    store.sync().unwrap();
    let at = again.operations() + u64::try_from(link).unwrap();
    again.fail(at, Fault::EIO, Repeat::Once);
    let done = store.checkpoint("/first").unwrap();
    assert!(again.faults_fired() == 1 && done.files_copied == 1, "{done:?}");
    assert_eq!(content(&again, "/first"), all(&numbers));
}

#[test]
fn other_directories_are_left_alone() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..5, "first");
    let refused = |dir: &str| store.checkpoint(dir).unwrap_err();
    disk.create_dir(Path::new("/docs")).unwrap();
    disk.write_file(Path::new("/docs/letter.txt"), b"Dear").unwrap();
    assert!(matches!(refused("/docs"), Error::NotAStore { .. }));
    assert_eq!(files(&disk, "/docs").len(), 1);
    disk.write_file(Path::new("/file"), b"Dear").unwrap();
    assert!(matches!(refused("/file"), Error::NotAStore { .. }));
    assert!(matches!(refused("/no/such/parent"), Error::Io { .. }));
    open_at(&disk, "/other").0.close().unwrap();
    let before = files(&disk, "/other");
    assert!(matches!(refused("/other"), Error::NotAStore { .. }));
    assert_eq!(files(&disk, "/other"), before);
    assert!(matches!(refused("/store"), Error::Locked { .. }));
    let nested = numbers.update(1, |old| {
        assert!(matches!(store.checkpoint("/nested"), Err(Error::Nested)));
        old
    });
    assert!(nested.is_ok() && files(&disk, "/nested").is_empty());
    store.checkpoint("/backup").unwrap();
    let open = open_at(&disk, "/backup");
    assert!(matches!(refused("/backup"), Error::Locked { .. }));
    fill(&open.1, 0..2, "its own");
    open.0.close().unwrap();
    let error = refused("/backup");
    assert!(error.to_string().contains("a store of its own"), "{error}");
}

#[test]
fn a_checkpoint_of_a_history_that_was_not_ours_is_not_updated() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..5, "first");
    store.checkpoint("/a").unwrap();
    fill(&numbers, 0..5, "second");
    store.checkpoint("/b").unwrap();
    store.close().unwrap();
    // Restored from the older one, and gone on from there.
    let (store, numbers) = open_at(&disk, "/a");
    fill(&numbers, 0..50, "third");
    let error = store.checkpoint("/b").unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
}

/// What the sweeps do: a store, a checkpoint of it, more of it; then the checkpoint in question.
fn prepared(disk: &SimDisk) -> (Store, Numbers, Content) {
    let (store, numbers) = open_at(disk, "/store");
    fill(&numbers, 0..12, "first");
    store.checkpoint("/backup").unwrap();
    let first = all(&numbers);
    fill(&numbers, 5..20, "second");
    store.merge().unwrap();
    fill(&numbers, 18..22, "third");
    store.sync().unwrap();
    (store, numbers, first)
}

/// The state of the checkpoint on a disk after a crash; `None` if it is no store.
fn restored(disk: &SimDisk, dir: &str) -> Option<Content> {
    match options(disk).open(dir) {
        Ok(store) => {
            store.raw_keyspace("numbers").unwrap()?;
            let numbers = store.keyspace("numbers").unwrap();
            assert!(store.verify().unwrap().is_sound());
            Some(all(&numbers))
        }
        Err(Error::NotAStore { .. }) => None,
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => None,
        Err(e) => panic!("{e}"),
    }
}

fn sweep(files: CheckpointFiles, dir: &str) {
    let (mut at, mut images) = (0, 0);
    loop {
        let disk = SimDisk::new(7);
        let (store, numbers, first) = prepared(&disk);
        let second = all(&numbers);
        disk.fail(disk.operations() + at, Fault::Crash, Repeat::Once);
        let result = store.checkpoint_with(dir, files);
        let crashed = disk.crashed();
        if !crashed {
            disk.crash();
        }
        drop((store, numbers));
        for (which, image) in disk.crash_images(12, at) {
            images += 1;
            let what = format!("crash at call {at} of {dir}: {result:?}, {which}");
            let source = content(&image, "/store");
            assert_eq!(source, second, "{what}");
            let again = image.process_crash_image();
            let (store, numbers) = open_at(&again, "/store");
            let into = store.checkpoint_with(dir, files);
            into.unwrap_or_else(|e| panic!("{what}, and again: {e}\n{}", image.describe()));
            assert_eq!(all(&numbers), second);
            drop((store, numbers));
            assert_eq!(content(&again, dir), second, "{what}, and again");
            assert!(!temporaries(&again, dir), "{what}, and again");
            match restored(&image, dir) {
                Some(found) if found == second => {}
                Some(found) => {
                    let log = disk.op_log();
                    let log = log[log.len().saturating_sub(16)..].join("\n");
                    let is_old = found == first && result.is_err() && dir == "/backup";
                    assert!(is_old, "{what}: {found:?}\n{first:?}\n{log}");
                }
                None => {
                    assert!(result.is_err() && dir != "/backup", "{what}: {}", image.describe())
                }
            }
        }
        if !crashed {
            result.unwrap();
            break;
        }
        at += 1;
    }
    println!("{at} calls, {images} images");
    assert!(at > 10 && images > at);
}

fn temporaries(disk: &SimDisk, dir: &str) -> bool {
    files(disk, dir).iter().any(|(path, _)| path.extension().is_some_and(|e| e == "tmp"))
}

/// A directory as a first checkpoint leaves it when the power is cut just before its manifest.
fn unfinished(disk: &SimDisk, dir: &str) -> SimDisk {
    let (store, numbers) = open_at(disk, "/store");
    fill(&numbers, 0..12, "first");
    drop(numbers);
    store.close().unwrap();
    for at in 0.. {
        let copy = disk.process_crash_image();
        let (store, _) = open_at(&copy, "/store");
        copy.fail(copy.operations() + at, Fault::Crash, Repeat::Once);
        let _ = store.checkpoint(dir);
        assert!(copy.crashed(), "it was never unfinished");
        drop(store);
        let image = copy.process_crash_image();
        let names: Vec<_> = files(&image, dir).into_iter().map(|(p, _)| p).collect();
        let is = |what: &str| names.iter().any(|p| p.to_string_lossy().contains(what));
        if is(".data") && is("MANIFEST-") && !names.iter().any(|p| is_manifest(p)) {
            return image;
        }
    }
    unreachable!("the loop ends by itself")
}

fn is_manifest(path: &Path) -> bool {
    path.to_string_lossy().contains("MANIFEST-") && path.extension().is_none()
}

#[test]
fn u2_files_without_a_manifest_that_are_no_leftovers_of_ours_are_left_alone() {
    let disk = unfinished(&SimDisk::new(1), "/fresh");
    // A store of another identity takes its place.
    disk.create_dir(Path::new("/elsewhere")).unwrap();
    let (other, numbers) = open_at(&disk, "/elsewhere/store");
    fill(&numbers, 0..3, "other");
    let before = files(&disk, "/fresh");
    let error = other.checkpoint("/fresh").unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    assert_eq!(files(&disk, "/fresh"), before);
    // A file that no marker lists, or no marker at all: a store that lost its manifest, perhaps.
    let (store, numbers) = open_at(&disk, "/store");
    let refused = |disk: &SimDisk| {
        let before = files(disk, "/fresh");
        let error = store.checkpoint("/fresh").unwrap_err();
        assert!(matches!(error, Error::NotAStore { .. }), "{error}");
        assert_eq!(files(disk, "/fresh"), before);
    };
    for name in ["000000009999.data", "000000009999.hint", "letter.txt"] {
        let path = Path::new("/fresh").join(name);
        disk.write_file(&path, b"something").unwrap();
        refused(&disk);
        disk.unlink(&path).unwrap();
    }
    let is_marker = |p: &&PathBuf| p.to_string_lossy().contains("MANIFEST-");
    let marker = before.iter().map(|(path, _)| path).find(is_marker);
    let marker = marker.unwrap().clone();
    let bytes = disk.read_file(&marker).unwrap();
    disk.unlink(&marker).unwrap();
    refused(&disk);
    disk.write_file(&marker, &bytes).unwrap();
    store.checkpoint("/fresh").unwrap();
    assert_eq!(content(&disk, "/fresh"), all(&numbers));
}

#[test]
fn every_power_cut_leaves_the_old_checkpoint_or_the_new_one() {
    sweep(CheckpointFiles::Link, "/backup");
    sweep(CheckpointFiles::Copy, "/backup");
}

#[test]
fn every_power_cut_leaves_no_store_or_a_whole_one_in_a_new_directory() {
    sweep(CheckpointFiles::Link, "/fresh");
    sweep(CheckpointFiles::Copy, "/fresh");
}

#[test]
fn every_failing_call_is_an_error_that_leaves_what_was_there() {
    for fault in [Fault::EIO, Fault::ENOSPC] {
        for at in 0.. {
            let disk = SimDisk::new(7);
            let (store, numbers, first) = prepared(&disk);
            let second = all(&numbers);
            disk.fail(disk.operations() + at, fault, Repeat::Once);
            let result = store.checkpoint_with("/backup", CheckpointFiles::Copy);
            if disk.faults_fired() == 0 {
                assert!(at > 10);
                break;
            }
            disk.clear_faults();
            let what = format!("{fault:?} at call {at}: {result:?}");
            drop((store, numbers));
            let found = content(&disk, "/backup");
            assert!(found == second || (found == first && result.is_err()), "{what}");
            assert_eq!(content(&disk, "/store"), second, "{what}");
        }
    }
}

#[test]
fn after_every_failing_call_the_next_checkpoint_into_the_same_new_directory_succeeds() {
    for at in 0.. {
        let disk = SimDisk::new(7);
        let (store, numbers, _) = prepared(&disk);
        let second = all(&numbers);
        disk.fail(disk.operations() + at, Fault::EIO, Repeat::Once);
        let result = store.checkpoint_with("/fresh", CheckpointFiles::Copy);
        if disk.faults_fired() == 0 {
            assert!(at > 20);
            return;
        }
        disk.clear_faults();
        drop((store, numbers));
        let what = format!("EIO at call {at}: {result:?}");
        let (store, numbers) = open_at(&disk, "/store");
        let again = store.checkpoint("/fresh");
        assert!(again.is_ok(), "{what}, then {again:?}");
        drop((store, numbers));
        assert_eq!(content(&disk, "/fresh"), second, "{what}");
        assert!(!temporaries(&disk, "/fresh"), "{what}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_left_behind() {
    let disk = SimDisk::new(1);
    let (store, numbers) = open_at(&disk, "/store");
    fill(&numbers, 0..60, "first");
    store.sync().unwrap();
    disk.set_capacity_bytes(Some(disk.used_bytes() + 1_000));
    let error = store.checkpoint_with("/backup", CheckpointFiles::Copy).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let left: Vec<_> = files(&disk, "/backup").into_iter().map(|(p, _)| p).collect();
    assert!(left.iter().all(|p| p.ends_with("LOCK")), "{left:?}");
    disk.set_capacity_bytes(None);
    store.checkpoint_with("/backup", CheckpointFiles::Copy).unwrap();
    assert_eq!(content(&disk, "/backup"), all(&numbers));
}

#[cfg(unix)]
#[test]
fn a_read_only_directory_is_an_error() {
    use std::{fs, os::unix::fs::PermissionsExt};
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("data")).unwrap();
    let numbers: Numbers = store.keyspace("numbers").unwrap();
    numbers.put(1, &"one".to_owned()).unwrap();
    let backup = dir.path().join("backup");
    fs::create_dir(&backup).unwrap();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o500)).unwrap();
    let result = store.checkpoint(&backup);
    let may_write_anyway = fs::write(backup.join("x"), b"").is_ok();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(may_write_anyway || matches!(result, Err(Error::Io { .. })), "{result:?}");
}

#[test]
fn checkpoints_are_consistent_while_writers_and_merges_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::new().durability(Durability::Buffered).data_file_bytes_max(4_096);
    let store = options.clone().open(dir.path().join("data")).unwrap();
    let pairs: Keyspace<u64, u64> = store.keyspace("pairs").unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (store, pairs, done) = (store.clone(), pairs.clone(), Arc::clone(&done));
        move || {
            let mut n = 0;
            while !done.load(Ordering::Relaxed) {
                n += 1;
                let mut batch = store.batch();
                for key in 0..10 {
                    batch.put(&pairs, key, &n).unwrap();
                }
                batch.commit().unwrap();
                if n % 300 == 0 {
                    store.merge().unwrap();
                }
            }
        }
    });
    let backup = dir.path().join("backup");
    let mut before = 0;
    for _ in 0..10 {
        store.checkpoint(&backup).unwrap();
        let restored = Options::new().open_read_only(&backup).unwrap();
        let Ok(pairs) = restored.keyspace::<u64, u64, kvcore::Bincode>("pairs") else { continue };
        let values: Vec<u64> = pairs.iter().map(|e| e.unwrap().value().unwrap()).collect();
        assert!(values.iter().all(|v| *v == values[0]), "{values:?}");
        assert!(values.first().copied().unwrap_or(0) >= before);
        before = values.first().copied().unwrap_or(0);
    }
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert!(before > 0);
}
