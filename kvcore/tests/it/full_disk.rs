//! A disk without a byte left, with nothing set: deletes and merges go on all the same.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Error, Options, ReadMode, Store,
    disk::{Disk, SimDisk},
};
use std::{path::Path, sync::Arc};

use crate::crash::lying::{Lie, telling};
use crate::limits::{come_back_from_full, fill, is_full, key};

const MIB: u64 = 1 << 20;

fn options(disk: &Arc<dyn Disk>, lie: Lie) -> Options {
    let options = Options::new()
        .read_mode(ReadMode::Pread)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::clone(disk));
    match lie {
        // Large enough to have a reserve by default.
        Lie::None => options.data_file_bytes_max(8 * MIB),
        // Where nothing is reserved ahead, the reserve alone has to do for a merge of any file.
        _ => options.data_file_bytes_max(MIB / 4).disk_reserve_bytes(MIB),
    }
}

/// A store on a disk that it has filled, and the number of its keys.
fn full(sim: &SimDisk, disk: &Arc<dyn Disk>, lie: Lie) -> (Store, BytesKeyspace, u32) {
    let store = options(disk, lie).open("/store").unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    sim.set_capacity_bytes(Some(4 * MIB));
    let (count, error) = fill(&keyspace, 0);
    assert!(is_full(&error) && count > 2_500, "{count}: {error}");
    (store, keyspace, count)
}

#[test]
fn full_disk_with_default_options_takes_deletes_and_merges_without_a_restart() {
    for lie in [Lie::None, Lie::NoReserve, Lie::Portable] {
        println!("{lie:?}");
        let sim = SimDisk::new(20_261_121);
        let disk = telling(&sim, lie);
        let store = options(&disk, lie).open("/store").unwrap();
        let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
        sim.set_capacity_bytes(Some(4 * MIB));
        come_back_from_full(&store, &keyspace, |next| fill(&keyspace, next)).unwrap();
        store.close().unwrap();
        let names = sim.paths();
        assert!(!names.iter().any(|p| p.extension().is_some_and(|e| e == "tmp")), "{names:?}");
    }
}

/// Deletes keys; where even that finds no room any more, a merge makes some. Returns how often.
fn delete_all(store: &Store, keyspace: &BytesKeyspace, keys: std::ops::Range<u32>) -> u32 {
    let mut merges = 0;
    for n in keys {
        match keyspace.delete(&key(n)) {
            Err(e) if is_full(&e) => {
                merges += 1;
                assert!(store.merge().unwrap().bytes > 0, "merge {merges}, at key {n}");
                let deleted = keyspace.delete(&key(n));
                assert!(matches!(deleted, Ok(true)), "merge {merges}, key {n}: {deleted:?}");
            }
            deleted => assert!(deleted.unwrap()),
        }
    }
    merges
}

#[test]
fn without_a_single_byte_free_most_keys_can_be_deleted_and_their_space_given_back() {
    for lie in [Lie::None, Lie::NoReserve] {
        println!("{lie:?}");
        let sim = SimDisk::new(20_261_122);
        let disk = telling(&sim, lie);
        let (store, keyspace, count) = full(&sim, &disk, lie);
        // Others take the rest, to the last byte.
        sim.set_capacity_bytes(Some(sim.used_bytes()));
        let merges = delete_all(&store, &keyspace, 0..count - 10);
        assert!(merges < 5, "{merges}");
        store.merge().unwrap();
        assert!(sim.used_bytes() < MIB, "{lie:?}: {}", sim.used_bytes());
        store.maintain().unwrap();
        let (next, _) = fill(&keyspace, count);
        assert!(next > count + 1_800, "{lie:?}: room for {}", next - count);
    }
}

#[test]
fn store_without_a_reserve_says_so_when_nothing_is_left() {
    let sim = SimDisk::new(20_261_123);
    let disk = telling(&sim, Lie::None);
    let store = options(&disk, Lie::None).disk_reserve_bytes(0).open("/store").unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    sim.set_capacity_bytes(Some(4 * MIB));
    let (count, _) = fill(&keyspace, 0);
    sim.set_capacity_bytes(Some(sim.used_bytes()));
    // Until the last file that was made is full, too.
    let refused = (0..count).find_map(|n| keyspace.delete(&key(n)).err());
    assert!(refused.as_ref().is_some_and(is_full), "{refused:?}");
    assert!(!matches!(refused, Some(Error::Poisoned { .. })));
    assert!(keyspace.get(&key(count - 1)).unwrap().is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn full_file_system_takes_deletes_and_merges_with_default_options() {
    let Some(tmpfs) = crate::limits::Tmpfs::new(24 * MIB) else {
        println!("skipped: no right to mount a file system here");
        return;
    };
    let dir = tmpfs.path().join("store");
    let options = Options::new().durability(Durability::Buffered).auto_merge(AutoMerge::Off);
    let store = options.open(&dir).unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    let _empty: BytesKeyspace = store.keyspace("empty").unwrap();
    let (count, error) = fill(&keyspace, 0);
    assert!(is_full(&error), "{error}");
    fill_rest(tmpfs.path());
    let merges = delete_all(&store, &keyspace, 0..count - 10);
    assert!(merges < 5, "{merges}");
    store.merge().unwrap();
    assert!(store.drop_keyspace("empty").unwrap());
    let (next, _) = fill(&keyspace, count);
    assert!(next > count + 10_000, "room for {}", next - count);
    store.close().unwrap();
    let verified = kvcore::verify(&dir).unwrap();
    assert!(verified.is_sound(), "{verified:?}");
}

/// What somebody else puts on the same file system.
#[cfg(target_os = "linux")]
fn fill_rest(dir: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(dir.join("theirs")).unwrap();
    let error = std::iter::repeat_with(|| file.write_all(&[7; 4_096])).find_map(Result::err);
    assert_eq!(error.map(|e| e.kind()), Some(std::io::ErrorKind::StorageFull));
}
