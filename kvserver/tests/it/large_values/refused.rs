//! A command whose large value has been written is refused when it is to run again: the value, its
//! file and the client's part in both are gone.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{LARGE, request, start};
use crate::support::Wire;

const OUT_OF_MEMORY: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

fn blobs(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir.join("store")).unwrap();
    let is_blob = |path: &Path| path.extension().is_some_and(|kind| kind == "blob");
    entries.filter(|entry| is_blob(&entry.as_ref().unwrap().path())).count()
}

/// Returns when there is no file of a large value, or says that there still is one.
#[track_caller]
fn wait_until_no_blobs(dir: &Path) {
    let until = Instant::now() + Duration::from_secs(30);
    while blobs(dir) > 0 && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(blobs(dir), 0, "what was written for a refused command is gone");
}

/// What the client reads after it was refused is a use of its key, and timed.
#[track_caller]
fn reads_count(wire: &mut Wire) {
    wire.ask("CONFIG SET maxmemory 0", "+OK\r\n");
    wire.ask("CONFIG SET slowlog-log-slower-than 0", "+OK\r\n");
    wire.ask("SLOWLOG RESET", "+OK\r\n");
    wire.ask("GET none", "$-1\r\n");
    wire.ask("SLOWLOG LEN", ":2\r\n");
}

#[test]
fn a_write_refused_for_want_of_memory_leaves_no_file_and_no_trace() {
    let (server, disk, dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    other.ask("SET some 1", "+OK\r\n");
    disk.hold();
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    disk.wait_until_held();
    other.ask("CONFIG SET maxmemory 1", "+OK\r\n");
    disk.let_go();
    wire.expect(OUT_OF_MEMORY);
    wait_until_no_blobs(dir.path());
    wire.ask("EXISTS k", ":0\r\n");
    reads_count(&mut wire);
}

#[test]
fn an_exec_refused_for_want_of_memory_leaves_no_file_and_no_trace() {
    let (server, disk, dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    other.ask("SET some 1", "+OK\r\n");
    wire.ask("MULTI", "+OK\r\n");
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    wire.expect("+QUEUED\r\n");
    disk.hold();
    wire.send("EXEC\r\n");
    disk.wait_until_held();
    other.ask("CONFIG SET maxmemory 1", "+OK\r\n");
    disk.let_go();
    wire.expect(
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > \
         'maxmemory'.\r\n",
    );
    wait_until_no_blobs(dir.path());
    wire.ask("EXISTS k", ":0\r\n");
    reads_count(&mut wire);
}

#[test]
fn a_write_that_a_pause_keeps_waiting_after_its_value_was_written_ends_with_its_client() {
    let (server, disk, dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    wire.send("CLIENT ID\r\n");
    let id = wire.line()[1..].to_owned();
    disk.hold();
    wire.send(request(&[b"SET", b"k", &vec![b'v'; LARGE]]));
    disk.wait_until_held();
    other.ask("CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    disk.let_go();
    while !other.bulk("INFO clients").contains("blocked_clients:1") {}
    other.ask("EXISTS k", ":0\r\n");
    other.ask(&format!("CLIENT KILL ID {id}"), ":1\r\n");
    wire.expect_closed();
    wait_until_no_blobs(dir.path());
    assert!(other.bulk("INFO clients").contains("blocked_clients:0"));
    other.ask("CLIENT UNPAUSE", "+OK\r\n");
    other.ask("EXISTS k", ":0\r\n");
}

#[test]
fn what_empties_and_swaps_databases_while_a_value_is_written_comes_before_it() {
    let (server, disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let value = vec![b'v'; LARGE];
    wire.ask("SELECT 1", "+OK\r\n");
    for between in ["FLUSHALL", "SWAPDB 0 1", "FLUSHDB"] {
        disk.hold();
        wire.send([request(&[b"SET", b"k", &value]), request(&[b"STRLEN", b"k"])].concat());
        disk.wait_until_held();
        other.ask(between, "+OK\r\n");
        disk.let_go();
        wire.expect("+OK\r\n:30000\r\n");
    }
    other.ask("DBSIZE", ":0\r\n");
    wire.ask("DBSIZE", ":1\r\n");
}
