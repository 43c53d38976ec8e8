//! Values too large for the log: their files are written without making other connections wait.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use kvcore::disk::{
    DirEntry, Disk, DiskFile, DiskLock, Mapping, Metadata, OpenMode, OsDisk, Reserve,
};
use kvcore::{Durability, Options};
use tempfile::TempDir;

use crate::support::Running;

/// Larger than a quarter of the test's data files.
const LARGE: usize = 30_000;

/// A disk on which files of large values are synced when the test says so.
#[derive(Clone, Debug, Default)]
struct SlowDisk(Arc<(Mutex<Syncs>, Condvar)>);

#[derive(Debug, Default)]
struct Syncs {
    are_held: bool,
    fail: bool,
    waiting: usize,
    done: usize,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn DiskFile>,
    disk: SlowDisk,
}

impl SlowDisk {
    fn change(&self, f: impl FnOnce(&mut Syncs)) {
        f(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }
    fn hold(&self) {
        self.change(|syncs| syncs.are_held = true);
    }
    fn let_go(&self) {
        self.change(|syncs| syncs.are_held = false);
    }
    /// Returns when a large value waits for its sync.
    fn wait_until_held(&self) {
        let syncs = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(syncs, |syncs| syncs.waiting == 0).unwrap());
    }
    fn sync(&self, file: &dyn DiskFile) -> io::Result<()> {
        let mut syncs = self.0.0.lock().unwrap();
        syncs.waiting += 1;
        self.0.1.notify_all();
        syncs = self.0.1.wait_while(syncs, |syncs| syncs.are_held).unwrap();
        syncs.waiting -= 1;
        syncs.done += 1;
        if syncs.fail {
            return Err(io::ErrorKind::StorageFull.into());
        }
        file.sync_data()
    }
}

impl Disk for SlowDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        OsDisk.create_dir(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        OsDisk.list(dir)
    }
    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        OsDisk.metadata(path)
    }
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        OsDisk.open(path, mode)
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OsDisk.create_new(path)?;
        if path.extension().is_none_or(|kind| kind != "blob") {
            return Ok(file);
        }
        Ok(Arc::new(SlowFile { file, disk: self.clone() }))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.link(from, to)
    }
    fn unlink(&self, path: &Path) -> io::Result<()> {
        OsDisk.unlink(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        OsDisk.lock(path)
    }
}

impl DiskFile for SlowFile {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(buf, offset)
    }
    fn reserve(&self, len: u64) -> io::Result<Reserve> {
        self.file.reserve(len)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync(&*self.file)
    }
    fn map(&self, len: u64) -> io::Result<Mapping> {
        self.file.map(len)
    }
}

/// A server with one worker on a slow disk.
fn start() -> (Running, SlowDisk, TempDir) {
    let (dir, disk) = (TempDir::new().unwrap(), SlowDisk::default());
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(64 << 10)
        .disk(Arc::new(disk.clone()))
        .open(dir.path().join("store"))
        .unwrap();
    (Running::on(store, |config| config.threads = 1), disk, dir)
}

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    let mut reply = format!("${}\r\n", bytes.len()).into_bytes();
    reply.extend_from_slice(bytes);
    reply.extend_from_slice(b"\r\n");
    reply
}

#[test]
fn others_on_the_worker_are_answered_while_a_large_value_is_synced() {
    let (server, disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let value = vec![b'v'; LARGE];
    disk.hold();
    wire.send([request(&[b"INCR", b"n"]), request(&[b"SET", b"k", &value])].concat());
    wire.send([request(&[b"INCR", b"n"]), request(&[b"GET", b"k"])].concat());
    wire.expect(":1\r\n");
    disk.wait_until_held();
    other.ask("PING", "+PONG\r\n");
    other.ask("SET a 1", "+OK\r\n");
    other.ask("GET n", "$1\r\n1\r\n");
    other.ask("EXISTS k", ":0\r\n");
    disk.let_go();
    wire.expect("+OK\r\n:2\r\n");
    wire.expect(bulk(&value));
    assert!(other.bulk("INFO commandstats").contains("cmdstat_set:calls=2,"));
}

#[test]
fn exec_with_large_values_happens_at_once_and_after_the_sync() {
    let (server, disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let (one, two) = (vec![b'1'; LARGE], vec![b'2'; LARGE]);
    disk.hold();
    wire.ask("WATCH w", "+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    for words in [&[&b"SELECT"[..], b"1"][..], &[b"SET", b"a", &one], &[b"HSET", b"h", b"f", &two]]
    {
        wire.send(request(words));
        wire.expect("+QUEUED\r\n");
    }
    wire.send(request(&[b"EXEC"]));
    disk.wait_until_held();
    other.ask("SELECT 1", "+OK\r\n");
    other.ask("EXISTS a h", ":0\r\n");
    disk.let_go();
    wire.expect("*3\r\n+OK\r\n+OK\r\n:1\r\n");
    other.send(request(&[b"HGET", b"h", b"f"]));
    other.expect(bulk(&two));
    assert!(wire.bulk("CLIENT INFO").contains(" db=1 "));
}

#[test]
fn exec_that_waits_for_a_sync_still_sees_what_it_watches() {
    let (server, disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let value = vec![b'v'; LARGE];
    disk.hold();
    wire.ask("WATCH w", "+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.send(request(&[b"SET", b"a", &value]));
    wire.expect("+QUEUED\r\n");
    wire.send(request(&[b"EXEC"]));
    disk.wait_until_held();
    other.ask("SET w 1", "+OK\r\n");
    disk.let_go();
    wire.expect("*-1\r\n");
    other.ask("EXISTS a", ":0\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("EXEC", "*0\r\n");
}

#[test]
fn value_that_has_grown_meanwhile_is_written_anew() {
    let (server, disk, dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let (old, end) = (vec![b'o'; 10_000], vec![b'e'; 20_000]);
    wire.send(request(&[b"SET", b"k", &old]));
    wire.expect("+OK\r\n");
    disk.hold();
    wire.send(request(&[b"APPEND", b"k", &end]));
    disk.wait_until_held();
    other.ask("APPEND k x", ":10001\r\n");
    disk.let_go();
    wire.expect(":30001\r\n");
    let value = [&old[..], b"x", &end].concat();
    other.send(request(&[b"GET", b"k"]));
    other.expect(bulk(&value));
    let mut blobs = 0;
    for entry in std::fs::read_dir(dir.path().join("store")).unwrap() {
        blobs += usize::from(entry.unwrap().path().extension().is_some_and(|e| e == "blob"));
    }
    assert_eq!(blobs, 1, "what was written in vain is gone");
}

#[test]
fn failure_to_write_a_large_value_is_the_reply_and_nothing_has_changed() {
    let (server, disk, _dir) = start();
    let mut wire = server.connect();
    disk.change(|syncs| syncs.fail = true);
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    assert!(wire.line().starts_with("-ERR "));
    wire.ask("EXISTS k", ":0\r\n");
    disk.change(|syncs| syncs.fail = false);
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    wire.expect("+OK\r\n");
    wire.ask("STRLEN k", ":30000\r\n");
}

#[test]
fn client_that_leaves_while_its_value_is_synced_leaves_nothing() {
    let (server, disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    disk.hold();
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    disk.wait_until_held();
    let id: u64 = other.bulk("CLIENT LIST").split("id=").nth(1).unwrap()[..1].parse().unwrap();
    other.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n");
    disk.let_go();
    other.ask("EXISTS k", ":0\r\n");
    other.send(request(&[b"SET", b"k", &vec![b'w'; LARGE]]));
    other.expect("+OK\r\n");
    assert_eq!(disk.0.0.lock().unwrap().done, 2);
}
