//! What an operation costs in system calls, allocations and memory, counted.
//!
//! Allocations are those of the calling thread; the stores here have no other.

use allocation_counter::{AllocationInfo, measure};
use kvcore::{
    Background, BytesKeyspace, Durability, Options, Raw, ReadMode, Schema, Store,
    disk::{DirEntry, Disk, DiskFile, DiskLock, Mapping, Metadata, OpenMode, OsDisk, Reserve},
};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Calls to the disk, of whatever kind, and the bytes that were read.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<AtomicU64>, Arc<AtomicU64>);

impl Calls {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn read_bytes(&self) -> u64 {
        self.1.load(Ordering::Relaxed)
    }

    fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct CountingDisk<D>(D, Calls);

#[derive(Debug)]
struct CountingFile(Arc<dyn DiskFile>, Calls);

macro_rules! counted {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> io::Result<$result> {
            self.1.one_more();
            self.0.$name($($arg),*)
        })*
    };
}

impl<D: Disk> Disk for CountingDisk<D> {
    counted! {
        create_dir(path: &Path) -> ();
        list(dir: &Path) -> Vec<DirEntry>;
        metadata(path: &Path) -> Metadata;
        rename(from: &Path, to: &Path) -> ();
        link(from: &Path, to: &Path) -> ();
        unlink(path: &Path) -> ();
        sync_dir(dir: &Path) -> ();
        lock(path: &Path) -> Box<dyn DiskLock>;
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.1.one_more();
        Ok(Arc::new(CountingFile(self.0.open(path, mode)?, self.1.clone())))
    }

    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.1.one_more();
        Ok(Arc::new(CountingFile(self.0.create_new(path)?, self.1.clone())))
    }
}

impl DiskFile for CountingFile {
    counted! {
        len() -> u64;
        write_at(buf: &[u8], offset: u64) -> usize;
        reserve(len: u64) -> Reserve;
        set_len(len: u64) -> ();
        sync_data() -> ();
        map(len: u64) -> Mapping;
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.1.one_more();
        let len = self.0.read_at(buf, offset)?;
        self.1.1.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

const KEYS: u32 = 2_000;

fn key(n: u32) -> [u8; 24] {
    let mut key = [0; 24];
    fastrand::Rng::with_seed(u64::from(n)).fill(&mut key);
    key
}

fn options() -> Options {
    Options::new().durability(Durability::Buffered).background(Background::Manual)
}

fn keyspace(store: &Store, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> BytesKeyspace {
    store.keyspace(schema).unwrap()
}

/// A store with keys, on a disk that counts.
fn loaded(dir: &Path, schema: Schema<'static, Vec<u8>, [u8], Raw>) -> (BytesKeyspace, Calls) {
    let calls = Calls::default();
    let disk = Arc::new(CountingDisk(OsDisk, calls.clone()));
    let store = options().disk(disk).open(dir).unwrap();
    let keys = keyspace(&store, schema);
    for n in 0..KEYS {
        keys.put(&key(n), &[1; 150]).unwrap();
    }
    (keys, calls)
}

#[test]
fn a_buffered_overwrite_is_one_call_to_the_disk_and_no_allocation() {
    for schema in [Schema::new("ordered"), Schema::new("unordered").unordered()] {
        let dir = tempfile::tempdir().unwrap();
        let (keys, calls) = loaded(dir.path(), schema);
        let before = calls.count();
        let puts = measure(|| {
            for n in 0..KEYS {
                keys.put(&key(n), &[2; 150]).unwrap();
            }
        });
        assert_eq!(calls.count() - before, u64::from(KEYS), "calls to the disk");
        assert_eq!(puts.count_total, 0, "allocations");
        assert_eq!(&keys.get(&key(7)).unwrap().unwrap()[..], &[2; 150]);
    }
}

#[test]
fn a_buffered_delete_is_one_call_to_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, calls) = loaded(dir.path(), Schema::new("unordered").unordered());
    let before = calls.count();
    for n in 0..KEYS {
        assert!(keys.delete(&key(n)).unwrap());
    }
    assert_eq!(calls.count() - before, u64::from(KEYS), "calls to the disk");
}

#[test]
fn a_read_is_no_call_to_the_disk_and_no_allocation() {
    let dir = tempfile::tempdir().unwrap();
    let (keys, calls) = loaded(dir.path(), Schema::new("unordered").unordered());
    // The first read of a thread makes what later ones use.
    keys.get_with(&key(0), |_| ()).unwrap();
    let before = calls.count();
    let mut sum = 0;
    let gets = measure(|| {
        for n in 0..KEYS {
            sum += keys.get_with(&key(n), |value| value.len()).unwrap().unwrap();
        }
    });
    assert_eq!(sum, 150 * KEYS as usize);
    assert_eq!((calls.count() - before, gets.count_total), (0, 0), "calls and allocations");
}

#[test]
fn an_open_after_a_kill_reads_no_data_that_has_a_hint() {
    let (dir, killed, calls) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Calls::default());
    let counting = Arc::new(CountingDisk(OsDisk, calls.clone()));
    let options = || {
        let options = options().data_file_bytes_max(1 << 20).read_mode(ReadMode::Pread);
        options.disk(counting.clone())
    };
    let value = vec![1; 12_000];
    let store = options().open(dir.path()).unwrap();
    let keys = keyspace(&store, Schema::new("keys"));
    for n in 0..KEYS {
        keys.put(&key(n), &value).unwrap();
    }
    store.sync().unwrap();
    store.maintain().unwrap();
    // What a kill now would leave: all but the end of the log has its hints.
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, killed.path().join(path.file_name().unwrap())).unwrap();
    }
    let before = calls.read_bytes();
    let store = options().open(killed.path()).unwrap();
    let read = calls.read_bytes() - before;
    let data = u64::from(KEYS) * value.len() as u64;
    assert!(read < data / 2, "{read} bytes read of {data}");
    let keys = keyspace(&store, Schema::new("keys"));
    assert_eq!(keys.len(), u64::from(KEYS));
    assert_eq!(&keys.get(&key(3)).unwrap().unwrap()[..], &value[..]);
}

/// Inserts keys in batches; what the calling thread allocated meanwhile.
fn growth(schema: Schema<'static, Vec<u8>, [u8], Raw>, count: u32) -> AllocationInfo {
    let dir = tempfile::tempdir().unwrap();
    let store = options().open(dir.path()).unwrap();
    let keys = keyspace(&store, schema);
    keys.put(&key(0), &[]).unwrap();
    measure(|| {
        for first in (1..count).step_by(200) {
            let mut batch = store.batch();
            for n in first..count.min(first + 200) {
                batch.put(&keys, &key(n), &[]).unwrap();
            }
            batch.commit().unwrap();
        }
    })
}

#[test]
fn memory_grows_without_a_spike() {
    let kinds = [(Schema::new("ordered"), 62), (Schema::new("unordered").unordered(), 42)];
    for (schema, bytes_max) in kinds {
        let count = 60_000;
        let grown = growth(schema, count);
        let per_key = |bytes: u64| bytes as f64 / f64::from(count);
        let now = per_key(u64::try_from(grown.bytes_current).unwrap());
        let peak = per_key(grown.bytes_max);
        println!("{now:.1} bytes per key, at most {peak:.1} on the way");
        assert!(now < f64::from(bytes_max + 24), "{now:.1} bytes per key");
        assert!(peak < now * 1.05, "{peak:.1} bytes per key on the way to {now:.1}");
    }
}
