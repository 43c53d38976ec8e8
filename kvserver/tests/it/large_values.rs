//! Values too large for the log: their files are written without making other connections wait.

mod once;
mod refused;

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

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
    read_bytes: usize,
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
    fn observed(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match path.extension() {
            Some(kind) if kind == "blob" => Arc::new(SlowFile { file, disk: self.clone() }),
            _ => file,
        }
    }
    /// Bytes of large values that were read since this was asked last.
    fn take_read_bytes(&self) -> usize {
        std::mem::take(&mut self.0.0.lock().unwrap().read_bytes)
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
        Ok(self.observed(path, OsDisk.open(path, mode)?))
    }
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.observed(path, OsDisk.create_new(path)?))
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
        let count = self.file.read_at(buf, offset)?;
        self.disk.change(|syncs| syncs.read_bytes += count);
        Ok(count)
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

#[test]
fn request_that_waits_for_its_value_is_timed_once() {
    let (server, _disk, _dir) = start();
    let mut wire = server.connect();
    wire.ask("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    wire.ask("SLOWLOG RESET", "+OK\r\n");
    let value = vec![b'v'; LARGE];
    wire.send(request(&[b"SET", b"a", &value]));
    wire.expect("+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    for words in [&[&b"INCR"[..], b"n"][..], &[b"GETSET", b"b", &value]] {
        wire.send(request(words));
        wire.expect("+QUEUED\r\n");
    }
    wire.ask("EXEC", "*2\r\n:1\r\n$-1\r\n");
    for command in ["set", "incr", "getset", "exec"] {
        wire.send(format!("LATENCY HISTOGRAM {command}\r\n"));
        let head = format!("*2\r\n${}\r\n{command}\r\n*4\r\n$5\r\ncalls\r\n:1\r\n", command.len());
        wire.expect(head);
        // The buckets are whatever they are.
        wire.ask("ECHO end-of-buckets", "$14\r\nhistogram_usec\r\n*2\r\n");
        while wire.line() != "end-of-buckets" {}
    }
    let stats = wire.bulk("INFO commandstats");
    for command in ["set", "incr", "getset", "exec"] {
        assert!(stats.contains(&format!("cmdstat_{command}:calls=1,")), "{stats}");
    }
    // RESET, SET, MULTI, INCR, GETSET, four LATENCY HISTOGRAM, four ECHO, INFO; EXEC is not shown.
    wire.ask("SLOWLOG LEN", ":14\r\n");
}

/// A block of a large value, the part that is read and checked at once.
const BLOCK: usize = 64 << 10;

#[test]
fn parts_of_a_large_value_are_read_without_the_rest() {
    let (server, disk, _dir) = start();
    let mut wire = server.connect();
    // 16 MiB of zeros, and a byte.
    wire.ask("SETRANGE k 16777216 x", ":16777217\r\n");
    // Type tag and checksums are read with every block.
    let most = BLOCK + (8 << 10);
    disk.take_read_bytes();
    let bits: Vec<Vec<u8>> = (0..1000u64)
        .map(|n| request(&[b"GETBIT", b"k", (n * 134_000).to_string().as_bytes()]))
        .collect();
    wire.send(bits.concat());
    wire.expect(":0\r\n".repeat(1000));
    let read = disk.take_read_bytes();
    assert!(read <= 1000 * most, "{read} bytes for 1,000 bits");
    for (request, reply, blocks) in [
        ("STRLEN k", ":16777217\r\n", 0),
        ("TYPE k", "+string\r\n", 0),
        ("EXISTS k", ":1\r\n", 0),
        ("GETBIT k 134217733", ":0\r\n", 1),
        ("GETBIT k 134217729", ":1\r\n", 1),
        ("GETBIT k 4294967290", ":0\r\n", 0),
        ("GETRANGE k -2 -1", "$2\r\n\0x\r\n", 2),
        ("SUBSTR k 65534 65536", "$3\r\n\0\0\0\r\n", 2),
        ("GETRANGE k 5 4", "$0\r\n\r\n", 0),
        ("BITCOUNT k -1 -1", ":4\r\n", 1),
        ("BITCOUNT k 134217730 -1 BIT", ":3\r\n", 1),
        ("BITPOS k 0", ":0\r\n", 1),
        ("BITPOS k 1 16777216", ":134217729\r\n", 1),
        ("BITFIELD k GET u8 134217728", "*1\r\n:120\r\n", 1),
        ("BITFIELD_RO k GET u16 134217724 GET i8 #0", "*2\r\n:1920\r\n:0\r\n", 3),
    ] {
        wire.ask(request, reply);
        let (read, header) = (disk.take_read_bytes(), most - BLOCK);
        assert!(read <= blocks * BLOCK + header, "{request} has read {read} bytes");
    }
    // All of it, in constant memory.
    wire.ask("BITCOUNT k", ":4\r\n");
    wire.ask("BITPOS k 1", ":134217729\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.ask("SETBIT k 0 1", "+QUEUED\r\n");
    wire.ask("GETRANGE k 0 0", "+QUEUED\r\n");
    wire.ask("BITCOUNT k", "+QUEUED\r\n");
    wire.send("EXEC\r\n");
    wire.expect(b"*3\r\n:0\r\n$1\r\n\x80\r\n:5\r\n");
    wire.ask("PEXPIRE k 1", ":1\r\n");
    let until = Instant::now() + Duration::from_secs(60);
    let mut len = String::new();
    while len != ":0" && Instant::now() < until {
        wire.send("STRLEN k\r\n");
        len = wire.line();
    }
    assert_eq!(len, ":0");
    wire.ask("TYPE k", "+none\r\n");
}
