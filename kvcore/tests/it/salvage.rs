//! What can be read is recovered, and nothing that was not written.

use std::{collections::BTreeMap, path::PathBuf};

use kvcore::{
    Error, Keyspace, Salvaged, ScanCursor,
    disk::{Disk, SimDisk},
};

use crate::{corruption::sample::Sample, verify::options};

type Content = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// Salvages a disk and reads the new store.
fn salvage(disk: &SimDisk) -> (Salvaged, Content) {
    let before: Vec<_> = files(disk);
    let salvaged = options(disk).salvage("/store", "/new", |_| {});
    let salvaged = salvaged.unwrap_or_else(|e| panic!("damage is no error: {e}"));
    assert_eq!(before, files(disk), "the old store is only read");
    (salvaged, read(disk))
}

fn files(disk: &SimDisk) -> Vec<(PathBuf, Vec<u8>)> {
    let old = disk.paths().into_iter().filter(|p| p.starts_with("/store"));
    old.map(|p| (p.clone(), disk.read_file(&p).unwrap())).collect()
}

fn read(disk: &SimDisk) -> Content {
    let store = options(disk).open("/new").unwrap();
    let names = [["numbers", "bytes", "loose"], ["keyspace-1", "keyspace-2", "keyspace-3"]];
    let mut content = Content::new();
    for (space, name) in names.iter().flat_map(|names| (0..).zip(names)) {
        let Some(keyspace) = store.raw_keyspace(name).unwrap() else { continue };
        let (page, next) = keyspace.scan(ScanCursor::default(), 10_000).unwrap();
        assert_eq!(next, ScanCursor::default());
        for entry in page {
            let value = entry.value().unwrap();
            // bincode puts the length in front of a text.
            let text = if space == 0 { &value[1..] } else { &value[..] };
            content.insert((space, entry.key().clone()), text.to_vec());
        }
    }
    assert!(store.verify().unwrap().is_sound());
    content
}

fn last(sample: &Sample) -> &Content {
    sample.states.last().unwrap()
}

#[test]
fn a_sound_store_is_copied_whole_with_types_and_expiries() {
    for sample in [Sample::closed(), Sample::unclean()] {
        let disk = sample.disk.clean_image();
        let (salvaged, content) = salvage(&disk);
        assert!(salvaged.lost.is_empty(), "{salvaged:?}");
        assert_eq!(&content, last(&sample));
        let store = options(&disk).open("/new").unwrap();
        let numbers: Keyspace<u64, String> = store.keyspace("numbers").unwrap();
        assert!(numbers.expires_at(2).unwrap().is_some());
        assert_eq!(numbers.get(1).unwrap().as_deref(), Some("another value"));
    }
}

/// Every value is one the key had once; keys differ from the end only if something was lost.
fn judge(sample: &Sample, what: &str, (salvaged, content): &(Salvaged, Content)) -> usize {
    for (key, value) in content {
        let had = sample.states.iter().any(|state| state.get(key) == Some(value));
        assert!(had, "{what}: {key:?} never was {value:?}");
    }
    let keys = last(sample).keys().chain(content.keys());
    let mut other: Vec<_> =
        keys.filter(|key| last(sample).get(*key) != content.get(*key)).collect();
    other.sort();
    other.dedup();
    assert!(other.is_empty() || !salvaged.lost.is_empty(), "{what}: {other:?} {salvaged:?}");
    other.len()
}

fn flip_everything(sample: &Sample) {
    let (mut cases, mut touched) = (0, 0);
    for path in sample.disk.paths() {
        let len = sample.disk.read_file(&path).unwrap().len();
        for byte in 0..len {
            let disk = sample.disk.clean_image();
            disk.flip_bit(&path, byte, byte.to_le_bytes()[0] % 8).unwrap();
            let what = format!("{} byte {byte}", path.display());
            let (salvaged, content) = salvage(&disk);
            let other = judge(sample, &what, &(salvaged.clone(), content));
            // The largest frame of the samples holds three records, and a range delete hides two
            // keys more.
            assert!(other <= 5, "{what}: {other} keys differ, {salvaged:?}");
            (cases, touched) = (cases + 1, touched + usize::from(other > 0));
        }
    }
    println!("{cases} flips, {touched} of them cost a key its last state");
    assert!(cases > touched && touched > 0);
}

#[test]
fn every_flipped_byte_of_a_closed_store_costs_its_frame_and_nothing_else() {
    flip_everything(&Sample::closed());
}

#[test]
fn every_missing_file_costs_what_was_in_it() {
    for sample in [Sample::closed(), Sample::unclean_synced()] {
        for path in sample.disk.paths() {
            let disk = sample.disk.clean_image();
            disk.unlink(&path).unwrap();
            let what = format!("{} is missing", path.display());
            let result = salvage(&disk);
            // Nothing else tells of the last file of a store that was killed.
            if sample.tail.as_ref() != Some(&path) {
                judge(&sample, &what, &result);
            }
            let lost = &result.0.lost;
            let is_hint = path.extension().is_some_and(|e| e == "hint");
            assert!(!is_hint || lost.is_empty(), "hints are never needed: {lost:?}");
        }
    }
}

#[test]
fn without_manifest_and_hints_keyspaces_are_found_by_number() {
    let sample = Sample::closed();
    let disk = sample.disk.clean_image();
    for path in disk.paths() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("MANIFEST") || name.ends_with("hint") {
            disk.unlink(&path).unwrap();
        }
    }
    let (salvaged, content) = salvage(&disk);
    assert_eq!(salvaged.unknown_keyspaces, ["keyspace-1", "keyspace-2", "keyspace-3"]);
    assert_eq!(&content, last(&sample));
    assert!(!salvaged.lost.is_empty(), "the manifest is");
}

#[test]
fn several_damages_in_one_file_cost_their_frames_only() {
    let disk = SimDisk::new(1);
    let store = options(&disk).data_file_bytes_max(1 << 20).open("/store").unwrap();
    let numbers: Keyspace<u64, String> = store.keyspace("numbers").unwrap();
    for n in 0..100 {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    store.close().unwrap();
    let path = PathBuf::from("/store/000000000001.data");
    for at in [500, 1_500, 2_500] {
        disk.flip_bit(&path, at, 0).unwrap();
    }
    let salvaged = options(&disk).salvage("/store", "/new", |_| {}).unwrap();
    assert_eq!((salvaged.keys, salvaged.lost.len()), (97, 3), "{salvaged:?}");
    assert!(salvaged.lost.iter().all(|l| l.file == path && l.bytes < 60), "{salvaged:?}");
}

#[test]
fn nothing_is_salvaged_into_a_store_or_from_nothing() {
    let sample = Sample::smallest_closed();
    let disk = sample.disk.clean_image();
    let error = options(&disk).salvage("/store", "/store", |_| {}).unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    disk.create_dir(std::path::Path::new("/empty")).unwrap();
    let error = options(&disk).salvage("/empty", "/new", |_| {}).unwrap_err();
    assert!(matches!(error, Error::NotAStore { .. }), "{error}");
    assert!(disk.list(std::path::Path::new("/new")).is_err(), "nothing was made");
}
