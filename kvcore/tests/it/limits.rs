//! Limits of memory and disk: errors before the machine's, and a way back from them.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Error, Keyspace, Options, ReadMode, Result,
    Schema, Store, disk::SimDisk,
};
use std::{path::Path, sync::Arc};

const SEED: u64 = 20_261_122;
const FILE: u64 = 64 << 10;

fn options(disk: &SimDisk) -> Options {
    Options::new()
        .data_file_bytes_max(FILE)
        .read_mode(ReadMode::Pread)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::new(disk.clone()))
}

fn open(options: Options) -> (Store, BytesKeyspace) {
    let store = options.open("/store").unwrap();
    let keyspace = store.keyspace("k").unwrap();
    (store, keyspace)
}

pub(crate) fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

pub(crate) fn value(n: u32) -> Vec<u8> {
    vec![n.to_le_bytes()[0]; 1_000]
}

/// Puts keys from `first` on until one is refused; returns the first that is not there, and why.
pub(crate) fn fill(keyspace: &BytesKeyspace, first: u32) -> (u32, Error) {
    let refused = |n: u32| keyspace.put(&key(n), &value(n)).err().map(|e| (n, e));
    (first..first + 100_000).find_map(refused).expect("some put is refused")
}

fn is_disk_limit(e: &Error) -> bool {
    matches!(e, Error::LimitReached { what: "disk space", .. })
}

pub(crate) fn is_full(e: &Error) -> bool {
    matches!(e, Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
}

// ---- memory ----

#[test]
fn new_keys_are_refused_beyond_the_memory_limit_and_everything_else_goes_on() {
    let disk = SimDisk::new(SEED);
    let limit = 200 << 10;
    let limited = || options(&disk).max_keydir_bytes(limit);
    let (store, keyspace) = open(limited());
    let (count, error) = fill(&keyspace, 0);
    let Error::LimitReached { what, limit_bytes, wanted_bytes } = error else { panic!("{error}") };
    assert_eq!((what, limit_bytes), ("memory for keys", limit));
    assert!(wanted_bytes > limit && wanted_bytes < limit + 100, "{wanted_bytes}");
    assert_eq!(keyspace.len(), u64::from(count));
    let real = store.stats().keydir_bytes;
    assert!(real > limit / 2 && real < limit * 3 / 2, "{real} counted as {limit}");

    keyspace.put(&key(1), b"overwritten").unwrap();
    keyspace.update(&key(2), |_| Some(b"updated".as_slice().into())).unwrap();
    let mut batch = store.batch();
    batch.put(&keyspace, &key(3), b"again").unwrap();
    batch.put(&keyspace, &key(count), b"new").unwrap();
    assert!(matches!(batch.commit(), Err(Error::LimitReached { .. })));
    assert_eq!(keyspace.get(&key(3)).unwrap().unwrap().len(), 1_000, "nothing of it is applied");

    assert!(keyspace.delete(&key(0)).unwrap());
    keyspace.put(&key(count), b"in its place").unwrap();
    assert!(keyspace.put(&key(count + 1), b"one too many").is_err());
    store.close().unwrap();
    let (store, keyspace) = open(limited());
    assert!(keyspace.put(&key(count + 1), b"one too many").is_err(), "counted again at open");
    keyspace.clear().unwrap();
    store.maintain().unwrap();
    assert_eq!(fill(&keyspace, 0).0, count, "as many as before");
    drop((store, keyspace));
    let (_store, keyspace) = open(options(&disk).max_keydir_bytes(100));
    assert_eq!(keyspace.len(), u64::from(count), "more keys than allowed can be opened");
    assert!(keyspace.delete(&key(1)).unwrap());
}

#[test]
fn what_keys_are_counted_as_is_about_what_they_take() {
    for ordered in [true, false] {
        let disk = SimDisk::new(SEED);
        let count = 60_000_u32;
        let at_limit = |limit| {
            let store = options(&disk).data_file_bytes_max(8 << 20).max_keydir_bytes(limit);
            let store = store.open("/store").unwrap();
            let schema: Schema<'_, Vec<u8>, [u8], kvcore::Raw> = Schema::new("k");
            let schema = if ordered { schema } else { schema.unordered() };
            let keyspace = store.keyspace(schema).unwrap();
            (store, keyspace)
        };
        let (store, keyspace) = at_limit(u64::MAX);
        let mut random = fastrand::Rng::with_seed(SEED);
        for _ in 0..count / 1_000 {
            let mut batch = store.batch();
            for _ in 0..1_000 {
                let key: Vec<u8> = (0..24).map(|_| random.u8(..)).collect();
                batch.put(&keyspace, key, b"").unwrap();
            }
            batch.commit().unwrap();
        }
        let real = store.stats().keydir_bytes;
        drop((store, keyspace));
        let is_refused = |limit| {
            let (_store, keyspace) = at_limit(limit);
            keyspace.put([7; 24].as_slice(), b"").is_err()
        };
        assert!(is_refused(real * 2 / 3), "ordered: {ordered}, {real} bytes");
        assert!(!is_refused(real * 4 / 3), "ordered: {ordered}, {real} bytes");
    }
}

// ---- disk, by a limit ----

#[test]
fn at_the_disk_limit_deletes_and_merges_give_space_back_again_and_again() {
    let limit = 1 << 20;
    let disk = SimDisk::new(SEED);
    let limited = || options(&disk).max_disk_bytes(limit);
    let (mut store, mut keyspace) = open(limited());
    let (mut next, error) = fill(&keyspace, 0);
    assert!(is_disk_limit(&error), "{error}");
    assert!(next > 600, "{next} puts of 1,000 bytes below {limit}");
    let mut random = fastrand::Rng::with_seed(SEED);
    for round in 0..8 {
        // Spread over all files, so that none is dead as a whole.
        let live: Vec<Vec<u8>> = keyspace.iter().map(|e| e.unwrap().into_key()).collect();
        for key in live.iter().filter(|_| random.u8(..10) < 3) {
            assert!(keyspace.delete(key.as_slice()).unwrap(), "round {round}, seed {SEED}");
        }
        if round % 2 == 0 {
            store.merge().unwrap();
        } else {
            store.close().unwrap();
            (store, keyspace) = open(limited().auto_merge(AutoMerge::On));
            assert!(fill(&keyspace, next).0 >= next);
            next = fill(&keyspace, next).0;
            store.sync().unwrap();
            store.maintain().unwrap();
        }
        let (refused, error) = fill(&keyspace, next);
        assert!(is_disk_limit(&error), "{error}");
        assert!(refused > next + 50, "round {round}: room for {} more", refused - next);
        next = refused;
        let used = disk.used_bytes();
        assert!(used < limit + limit / 8, "hints included, {used} are used");
        for entry in keyspace.iter() {
            let entry = entry.unwrap();
            let n = u32::from_be_bytes(entry.key().as_slice().try_into().unwrap());
            assert_eq!(&*entry.value().unwrap(), value(n));
        }
    }
}

#[test]
fn blobs_and_streams_count_against_the_disk_limit_and_leave_nothing_when_refused() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(options(&disk).max_disk_bytes(1 << 20));
    let source = || std::io::Read::take(std::io::repeat(7), 300_000);
    let refused = (0..9).find_map(|n| keyspace.put_reader(&key(n), source()).err()).unwrap();
    assert!(is_disk_limit(&refused), "{refused}");
    let refused = keyspace.put(b"large", &vec![7; 600_000]).unwrap_err();
    assert!(is_disk_limit(&refused), "{refused}");
    let endless = keyspace.put_reader(b"endless", std::io::repeat(1)).unwrap_err();
    assert!(is_disk_limit(&endless), "{endless}");
    let blobs = store.stats().blobs;
    let is_blob = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "blob");
    assert_eq!(disk.paths().into_iter().filter(is_blob).count() as u64, blobs);
    assert!(disk.used_bytes() < (1 << 20) + 10_000);
    keyspace.delete(&key(0)).unwrap();
    store.sync().unwrap();
    store.maintain().unwrap();
    keyspace.put_reader(b"again", source()).unwrap();
    assert_eq!(keyspace.reader(b"again").unwrap().unwrap().len(), 300_000);
}

#[test]
fn f3_refused_commits_leave_no_blobs() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(options(&disk).max_keydir_bytes(100));
    let large = vec![7; 100_000];
    assert!(matches!(keyspace.put(b"a", &large), Err(Error::LimitReached { .. })));
    let refused = keyspace.put_reader(b"b", large.as_slice());
    assert!(matches!(refused, Err(Error::LimitReached { .. })), "{refused:?}");
    let mut batch = store.batch();
    batch.put(&keyspace, b"c", &large).unwrap();
    batch.put(&keyspace, b"d", &large).unwrap();
    assert!(matches!(batch.commit(), Err(Error::LimitReached { .. })));
    assert!(!disk.paths().iter().any(|p| p.extension().is_some_and(|e| e == "blob")));
}

#[test]
fn impossible_limits_are_bad_options() {
    let disk = SimDisk::new(SEED);
    let found = options(&disk).max_disk_bytes(4 * FILE - 1).open("/store");
    assert!(matches!(found, Err(Error::BadOption { option: "max_disk_bytes", .. })), "{found:?}");
    assert!(options(&disk).max_disk_bytes(4 * FILE).open("/store").is_ok());
}

// ---- disk, by the machine ----

/// Fills the disk, deletes a part of everything, merges, and goes on, without a restart.
pub(crate) fn come_back_from_full(
    store: &Store,
    keyspace: &BytesKeyspace,
    mut fill: impl FnMut(u32) -> (u32, Error),
) -> Result<()> {
    let mut next = 0;
    for round in 0..4 {
        let (refused, error) = fill(next);
        assert!(is_full(&error), "{error}");
        assert!(refused > next + 30, "round {round}: room for {} more", refused - next);
        next = refused;
        assert!(is_full(&keyspace.put(&key(next), &value(next)).unwrap_err()));
        let live: Vec<Vec<u8>> = keyspace.iter().map(|e| e.unwrap().into_key()).collect();
        for key in live.iter().step_by(3) {
            assert!(keyspace.delete(key.as_slice())?, "round {round}");
        }
        store.merge()?;
        store.maintain()?;
        for key in live.iter().skip(1).step_by(3) {
            let n = u32::from_be_bytes(key.as_slice().try_into().expect("four bytes"));
            assert_eq!(keyspace.get(key.as_slice())?.as_deref(), Some(&value(n)[..]));
        }
    }
    Ok(())
}

#[test]
fn full_disk_with_a_reserve_takes_deletes_and_merges_and_then_puts_without_a_restart() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(options(&disk).disk_reserve_bytes(2 * FILE));
    disk.set_capacity_bytes(Some(1 << 20));
    come_back_from_full(&store, &keyspace, |next| fill(&keyspace, next)).unwrap();
    fill(&keyspace, 50_000);
    // What no record says to be durable would be copied, and that takes room.
    store.sync().unwrap();
    assert!(keyspace.delete(keyspace.first().unwrap().unwrap().into_key()).unwrap());
    let count = keyspace.len();
    let left = disk.process_crash_image();
    disk.crash();
    drop((store, keyspace));
    let (store, keyspace) = open(options(&left).disk_reserve_bytes(2 * FILE));
    assert_eq!(keyspace.len(), count, "opened on a full disk after a kill");
    assert!(keyspace.delete(keyspace.first().unwrap().unwrap().into_key()).unwrap());
    store.close().unwrap();
    let is_temporary = |p: &std::path::PathBuf| p.extension().is_some_and(|e| e == "tmp");
    assert!(!left.paths().iter().any(is_temporary), "closing gives the reserve back");
}

#[test]
fn f2_reserve_that_was_spent_is_not_eaten_by_puts() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(options(&disk).disk_reserve_bytes(FILE));
    disk.set_capacity_bytes(Some(1 << 20));
    let (count, _) = fill(&keyspace, 0);
    for n in 0..count / 2 {
        assert!(keyspace.delete(&key(n)).unwrap());
    }
    for n in 0..200 {
        assert!(keyspace.put(&key(count + n), &vec![7; 2_000]).is_err(), "{n}");
    }
    for n in count / 2..count / 2 + 50 {
        assert!(keyspace.delete(&key(n)).unwrap(), "{n}");
    }
    assert!(store.merge().unwrap().bytes > 0);
    fill(&keyspace, count);
    assert!(keyspace.len() > u64::from(count / 2) + 50);
}

/// A file system of its own, as far as the machine lets us have one.
#[cfg(target_os = "linux")]
pub(crate) struct Tmpfs(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Tmpfs {
    pub(crate) fn new(bytes: u64) -> Option<Tmpfs> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|o| o.status.success());
        mounted.then(|| Tmpfs(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn full_file_system_is_survived_without_a_restart() {
    let Some(tmpfs) = Tmpfs::new(8 << 20) else {
        println!("skipped: no right to mount a file system here");
        return;
    };
    for mode in [ReadMode::Map, ReadMode::Pread] {
        let dir = tmpfs.path().join("store");
        let store = Options::new()
            .data_file_bytes_max(512 << 10)
            .read_mode(mode)
            .durability(Durability::Buffered)
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
            .disk_reserve_bytes(1 << 20)
            .open(&dir)
            .unwrap();
        let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
        come_back_from_full(&store, &keyspace, |next| fill(&keyspace, next)).unwrap();
        let numbers: Keyspace<u64, u64> = store.keyspace("another").unwrap();
        assert!(numbers.is_empty());
        store.close().unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
