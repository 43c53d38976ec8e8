//! What the simulated disk keeps, loses and refuses.

use std::{collections::BTreeSet, io, path::Path, sync::Arc};

use kvcore::disk::{Disk, DiskFile, Fault, FileKind, OpenMode, Repeat, Reserve, SimDisk};

use super::kind_of;

const SEED: u64 = 20_260_601;

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// A disk with a durable directory `/s`.
fn disk() -> SimDisk {
    let disk = SimDisk::new(SEED);
    disk.create_dir(p("/s")).expect("no fault is set");
    disk.sync_dir(p("/")).expect("no fault is set");
    disk
}

/// The same with a durable file of these bytes.
fn disk_with(bytes: &[u8]) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = disk();
    let file = disk.create_new(p("/s/a")).expect("no fault is set");
    file.write_all_at(bytes, 0).expect("no fault is set");
    file.sync_data().expect("no fault is set");
    disk.sync_dir(p("/s")).expect("no fault is set");
    (disk, file)
}

/// Everything the file can hold after a power cut, `None` for no such file.
fn states(disk: &SimDisk, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let images = disk.crash_images(5000, SEED);
    images.map(|(_, image)| image.read_file(p(path)).ok()).collect()
}

fn texts(texts: &[&str]) -> BTreeSet<Option<Vec<u8>>> {
    texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect()
}

#[test]
fn s2_synced_bytes_under_a_synced_name_always_survive() {
    let (disk, _file) = disk_with(b"hello");
    assert_eq!(states(&disk, "/s/a"), texts(&["hello"]));
    assert_eq!(disk.crash_images(10, 1).count(), 1, "nothing is pending");
}

#[test]
fn s2_file_synced_under_an_unsynced_name_may_be_gone() {
    let disk = disk();
    let file = disk.create_new(p("/s/a")).unwrap();
    file.write_all_at(b"hello", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(states(&disk, "/s/a"), BTreeSet::from([None, Some(b"hello".to_vec())]));
}

#[test]
fn s2_synced_name_does_not_save_the_bytes() {
    let disk = disk();
    let file = disk.create_new(p("/s/a")).unwrap();
    file.write_all_at(b"xy", 0).unwrap();
    disk.sync_dir(p("/s")).unwrap();
    // Nothing; a part; all of it; the length alone; a part and the length.
    assert_eq!(states(&disk, "/s/a"), texts(&["", "x", "xy", "\0\0", "x\0"]));
}

#[test]
fn s2_synced_directory_does_not_save_its_own_name() {
    let disk = SimDisk::new(SEED);
    disk.create_dir(p("s")).unwrap();
    disk.create_new(p("s/a")).unwrap();
    disk.sync_dir(p("s")).unwrap();
    assert_eq!(states(&disk, "s/a"), BTreeSet::from([None, Some(vec![])]));
}

#[test]
fn overwrite_without_growth_is_old_new_or_torn() {
    let (disk, file) = disk_with(b"old!");
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["old!", "nld!", "ned!", "new!"]));
}

#[test]
fn append_may_leave_bytes_without_length() {
    let (disk, file) = disk_with(b"ab");
    file.write_all_at(b"XY", 1).unwrap();
    let states = states(&disk, "/s/a");
    assert!(states.contains(&Some(b"aX".to_vec())), "the byte inside the old length only");
    assert!(states.contains(&Some(b"ab\0".to_vec())), "the length without the bytes");
}

#[test]
fn unsynced_writes_are_lost_in_any_combination() {
    let (disk, file) = disk_with(b"....");
    for (at, byte) in (0..).zip([b"a", b"b", b"c", b"d"]) {
        file.write_all_at(byte, at).unwrap();
    }
    assert_eq!(states(&disk, "/s/a").len(), 16);
}

#[test]
fn images_start_with_nothing_and_everything_and_never_repeat() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.create_new(p("/s/b")).unwrap();
    disk.unlink(p("/s/a")).unwrap();
    let images: Vec<_> = disk.crash_images(1000, SEED).collect();
    assert_eq!(images[0].1.read_file(p("/s/a")).unwrap(), b"old", "{}", images[0].0);
    assert_eq!(images[0].1.paths(), [p("/s/a")]);
    assert_eq!(images[1].1.paths(), [p("/s/b")], "{}", images[1].0);
    let hashes: BTreeSet<_> = images.iter().map(|(_, image)| image.content_hash()).collect();
    assert_eq!(hashes.len(), images.len());
    let paths: BTreeSet<_> = images.iter().map(|(_, image)| image.paths()).collect();
    assert_eq!(paths.len(), 4, "create and unlink are kept or lost independently");
    assert_eq!(disk.read_file(p("/s/b")).unwrap(), b"", "the disk itself is as before");
}

#[test]
fn same_seed_gives_same_images() {
    let (disk, file) = disk_with(b"old");
    for i in 0..10 {
        file.write_all_at(&[i; 700], u64::from(i) * 300).unwrap();
    }
    let list = |seed| -> Vec<_> {
        let images = disk.crash_images(60, seed);
        images.map(|(text, image)| (text, image.content_hash())).collect()
    };
    assert_eq!(list(5), list(5));
    assert_ne!(list(5), list(6));
    assert_eq!(list(5).len(), 60);
}

#[test]
fn rename_is_there_or_not_but_never_half() {
    let (disk, _file) = disk_with(b"old");
    let new = disk.create_new(p("/s/tmp")).unwrap();
    new.write_all_at(b"new", 0).unwrap();
    new.sync_data().unwrap();
    disk.rename(p("/s/tmp"), p("/s/a")).unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["old", "new"]));
    disk.sync_dir(p("/s")).unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["new"]));
    assert_eq!(states(&disk, "/s/tmp"), BTreeSet::from([None]));
}

#[test]
fn killed_process_leaves_everything_visible_and_still_pending() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    let _lock = disk.lock(p("/s/LOCK")).unwrap();
    let image = disk.process_crash_image();
    assert_eq!(image.read_file(p("/s/a")).unwrap(), b"new");
    assert_eq!(image.operations(), disk.operations());
    image.lock(p("/s/LOCK")).expect("locks end with their process");
    assert!(states(&image, "/s/a").contains(&Some(b"old".to_vec())), "power may go later");
    image.open(p("/s/a"), OpenMode::ReadWrite).unwrap().sync_data().unwrap();
    assert_eq!(states(&image, "/s/a"), texts(&["new"]));
    assert!(states(&disk, "/s/a").contains(&Some(b"old".to_vec())), "the two are separate");
}

#[test]
fn clean_image_has_nothing_pending() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"new", 0).unwrap();
    disk.link(p("/s/a"), p("/s/b")).unwrap();
    let image = disk.clean_image();
    assert_eq!(image.crash_images(10, 1).count(), 1);
    let file = image.open(p("/s/a"), OpenMode::ReadWrite).unwrap();
    file.write_all_at(b"N", 0).unwrap();
    assert_eq!(image.read_file(p("/s/b")).unwrap(), b"New", "two names, one file");
}

#[test]
fn s3_failed_sync_is_not_mended_by_a_later_one() {
    let (disk, file) = disk_with(b"old");
    file.write_all_at(b"N", 0).unwrap();
    disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), Some(5));
    file.write_all_at(b"D", 2).unwrap();
    file.sync_data().unwrap();
    assert_eq!(disk.read_file(p("/s/a")).unwrap(), b"NlD", "reads see it all");
    assert_eq!(states(&disk, "/s/a"), texts(&["olD", "NlD"]));
    file.write_all_at(b"M", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["MlD"]), "written again, it is durable");
    assert_eq!(disk.faults_fired(), 1);
}

#[test]
fn s3_failed_sync_of_a_directory_is_not_mended_either() {
    let disk = disk();
    disk.create_new(p("/s/a")).unwrap();
    disk.fail(disk.operations(), Fault::EIO, Repeat::Once);
    disk.sync_dir(p("/s")).unwrap_err();
    disk.create_new(p("/s/b")).unwrap();
    disk.sync_dir(p("/s")).unwrap();
    assert_eq!(states(&disk, "/s/a"), BTreeSet::from([None, Some(vec![])]));
    assert_eq!(states(&disk, "/s/b"), BTreeSet::from([Some(vec![])]));
}

#[test]
fn s4_after_a_crash_every_call_fails_and_the_operation_may_have_happened() {
    let (disk, file) = disk_with(b"old");
    disk.fail(disk.operations(), Fault::Crash, Repeat::Once);
    file.write_at(b"new", 0).unwrap_err();
    assert!(disk.crashed());
    assert!(file.read_at(&mut [0], 0).is_err() && file.len().is_err());
    assert!(disk.list(p("/s")).is_err() && disk.sync_dir(p("/s")).is_err());
    assert!(disk.lock(p("/s/LOCK")).is_err() && disk.create_new(p("/s/b")).is_err());
    assert_eq!(states(&disk, "/s/a"), texts(&["old", "nld", "ned", "new"]));
    let (_, image) = disk.crash_images(1, SEED).next().unwrap();
    assert_eq!(image.list(p("/s")).unwrap().len(), 1, "an image is a working disk");
}

#[test]
fn s4_crash_at_a_sync_or_lock_leaves_it_undecided() {
    let (disk, file) = disk_with(b"o");
    file.write_all_at(b"n", 0).unwrap();
    disk.fail(disk.operations(), Fault::Crash, Repeat::Once);
    file.sync_data().unwrap_err();
    assert_eq!(states(&disk, "/s/a"), texts(&["o", "n"]));
    let (disk, _file) = disk_with(b"o");
    disk.fail(disk.operations(), Fault::Crash, Repeat::Once);
    disk.lock(p("/s/LOCK")).unwrap_err();
    assert_eq!(states(&disk, "/s/LOCK"), BTreeSet::from([None, Some(vec![])]));
}

#[test]
fn every_fault_does_as_much_as_it_says() {
    let (disk, file) = disk_with(b"....");
    let next = || disk.operations();
    disk.fail(next(), Fault::ShortWrite(1), Repeat::Once);
    assert_eq!(file.write_at(b"ab", 0).unwrap(), 1);
    disk.fail(next(), Fault::TornWrite(1), Repeat::Once);
    file.write_at(b"cd", 2).unwrap_err();
    assert_eq!(disk.read_file(p("/s/a")).unwrap(), b"a.c.");
    disk.fail(next(), Fault::ENOSPC, Repeat::Forever);
    assert_eq!(kind_of(file.write_at(b"ef", 0)), io::ErrorKind::StorageFull);
    assert_eq!(kind_of(file.reserve(100)), io::ErrorKind::StorageFull);
    assert_eq!(kind_of(disk.unlink(p("/s/a"))), io::ErrorKind::StorageFull);
    assert_eq!(kind_of(disk.rename(p("/s/a"), p("/s/b"))), io::ErrorKind::StorageFull);
    disk.clear_faults();
    assert_eq!(disk.read_file(p("/s/a")).unwrap(), b"a.c.");
    disk.fail(next(), Fault::Error(io::ErrorKind::PermissionDenied), Repeat::Once);
    assert_eq!(kind_of(disk.create_new(p("/s/b"))), io::ErrorKind::PermissionDenied);
    assert_eq!(disk.paths(), [p("/s/a")]);
    assert_eq!(disk.faults_fired(), 7);
    let log = disk.op_log();
    assert!(log.iter().any(|line| line.contains("write /s/a at 2, 2 bytes")), "{log:#?}");
}

#[test]
fn s1_reads_are_counted_and_fail_on_their_own() {
    let (disk, file) = disk_with(b"abcd");
    let (changes, reads) = (disk.operations(), disk.read_operations());
    disk.fail_read(reads + 1, Fault::EIO, Repeat::Once);
    disk.fail_read(reads + 2, Fault::ShortWrite(2), Repeat::Once);
    let mut buf = [0; 4];
    assert_eq!(file.read_at(&mut buf, 0).unwrap(), 4);
    assert_eq!(file.read_at(&mut buf, 0).unwrap_err().raw_os_error(), Some(5));
    assert_eq!(file.read_at(&mut buf, 1).unwrap(), 2);
    assert_eq!(&buf[..2], b"bc");
    assert_eq!((disk.operations(), disk.read_operations()), (changes, reads + 3));
}

#[test]
fn full_disk_refuses_growth_but_not_reserved_space() {
    let disk = disk();
    disk.set_capacity_bytes(Some(100));
    let a = disk.create_new(p("/s/a")).unwrap();
    assert_eq!(a.reserve(60).unwrap(), Reserve::Done);
    let b = disk.create_new(p("/s/b")).unwrap();
    assert_eq!(b.write_at(&[1; 50], 0).unwrap(), 40, "what fits");
    assert_eq!(kind_of(b.write_at(&[1; 50], 40)), io::ErrorKind::StorageFull);
    assert_eq!(kind_of(b.reserve(41)), io::ErrorKind::StorageFull);
    assert_eq!(b.len().unwrap(), 40);
    a.write_all_at(&[2; 60], 0).expect("space was reserved");
    assert_eq!(disk.used_bytes(), 100);
    disk.unlink(p("/s/a")).unwrap();
    b.write_all_at(&[1; 50], 40).unwrap();
    assert_eq!(disk.used_bytes(), 90);
}

#[test]
fn simulated_disk_answers_like_the_real_one() {
    let (disk, file) = disk_with(b"abc");
    let at = p("/s/a");
    assert_eq!(kind_of(disk.create_new(at)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(disk.create_dir(at)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(disk.link(at, at)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind_of(disk.open(p("/s/b"), OpenMode::Read)), io::ErrorKind::NotFound);
    assert_eq!(kind_of(disk.unlink(p("/s/b"))), io::ErrorKind::NotFound);
    assert_eq!(kind_of(disk.list(p("/t"))), io::ErrorKind::NotFound);
    assert_eq!(kind_of(disk.open(p("/s"), OpenMode::Read)), io::ErrorKind::InvalidInput);
    disk.plant_special(p("/s/link"), FileKind::Symlink).unwrap();
    assert_eq!(kind_of(disk.open(p("/s/link"), OpenMode::Read)), io::ErrorKind::InvalidInput);
    assert_eq!(kind_of(disk.lock(p("/s/link"))), io::ErrorKind::InvalidInput);
    assert_eq!(disk.metadata(p("/s/link")).unwrap().kind, FileKind::Symlink);
    let reader = disk.open(at, OpenMode::Read).unwrap();
    assert_eq!(kind_of(reader.write_at(b"x", 0)), io::ErrorKind::PermissionDenied);
    assert_eq!(kind_of(file.map(3)), io::ErrorKind::Unsupported);
    let lock = disk.lock(p("/s/LOCK")).unwrap();
    assert_eq!(kind_of(disk.lock(p("/s/LOCK"))), io::ErrorKind::WouldBlock);
    drop(lock);
    disk.lock(p("/s/LOCK")).unwrap();
    disk.unlink(at).unwrap();
    let mut buf = [0; 3];
    reader.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(&buf, b"abc", "an open handle keeps an unlinked file");
}

#[test]
fn damage_by_hand_is_on_the_medium_at_once() {
    let (disk, file) = disk_with(b"abc");
    file.write_all_at(b"d", 3).unwrap();
    disk.flip_bit(p("/s/a"), 0, 1).unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["cbcd"]));
    assert_eq!(kind_of(disk.flip_bit(p("/s/a"), 4, 0)), io::ErrorKind::InvalidInput);
    disk.truncate(p("/s/a"), 2).unwrap();
    disk.write_file(p("/s/b"), b"new").unwrap();
    assert_eq!(states(&disk, "/s/a"), texts(&["cb"]));
    assert_eq!(states(&disk, "/s/b"), texts(&["new"]));
    assert_eq!(file.len().unwrap(), 2);
    assert!(disk.describe().contains("/s/b: 3 bytes"), "{}", disk.describe());
}

/// Replays random operations on a second disk with everything synced after each, and checks that
/// both look alike at every step, and that the image "everything kept" does, too.
#[test]
fn visible_state_does_not_depend_on_what_is_synced() {
    let mut random = fastrand::Rng::with_seed(SEED);
    let (lazy, eager) = (disk(), disk());
    for step in 0..600 {
        let name = format!("/s/{}", random.u8(..4));
        let other = format!("/s/{}", random.u8(..4));
        let (kind, offset, len) = (random.u8(..7), random.u64(..2000), random.usize(..1500));
        let act = |disk: &SimDisk| -> io::Result<()> {
            let file = || disk.open(p(&name), OpenMode::ReadWrite);
            match kind {
                0 => disk.create_new(p(&name)).map(drop),
                1 => disk.unlink(p(&name)),
                2 => disk.rename(p(&name), p(&other)),
                3 => file()?.set_len(offset),
                4 => file()?.reserve(offset).map(drop),
                _ => file()?.write_all_at(&vec![kind; len], offset),
            }
        };
        let results = [act(&lazy), act(&eager)].map(|r| r.map_err(|e| e.kind()));
        assert_eq!(results[0], results[1], "step {step}, seed {SEED}");
        for path in eager.paths() {
            eager.open(&path, OpenMode::ReadWrite).unwrap().sync_data().unwrap();
        }
        eager.sync_dir(p("/s")).unwrap();
        assert_eq!(lazy.content_hash(), eager.content_hash(), "step {step}, seed {SEED}");
        let kept: Vec<_> = eager.crash_images(3, 1).collect();
        assert_eq!(kept.len(), 1, "step {step}, seed {SEED}");
        assert_eq!(kept[0].1.content_hash(), lazy.content_hash());
        // The first of them if "nothing" happens to look the same.
        let mut leading = lazy.crash_images(2, 1).map(|(_, image)| image.content_hash());
        assert!(leading.any(|hash| hash == lazy.content_hash()), "step {step}, seed {SEED}");
        if step % 50 == 49 {
            lazy.sync_dir(p("/s")).unwrap();
        }
    }
}
