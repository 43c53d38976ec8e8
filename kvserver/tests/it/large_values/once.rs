//! A command that is taken back and runs again has run once for everybody who notices.

use super::{LARGE, request, start};
use crate::support::Wire;

/// What INFO says after `field:`, up to the end of the line.
fn info(wire: &mut Wire, section: &str, field: &str) -> String {
    let info = wire.bulk(&format!("INFO {section}"));
    let line = info.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_default().to_owned()
}

fn id(wire: &mut Wire) -> String {
    wire.send("CLIENT ID\r\n");
    wire.line()[1..].to_owned()
}

/// Runs the requests in one EXEC, behind a value that has to be written first.
fn exec_with_large_value(wire: &mut Wire, requests: &[&str]) {
    wire.ask("MULTI", "+OK\r\n");
    wire.send(request(&[b"SET", b"large", &vec![b'v'; LARGE]]));
    wire.expect("+QUEUED\r\n");
    requests.iter().for_each(|request| wire.ask(request, "+QUEUED\r\n"));
    wire.send("EXEC\r\n");
    wire.expect(format!("*{}\r\n+OK\r\n", requests.len() + 1));
}

#[test]
fn clients_are_killed_and_unblocked_once_and_told_so() {
    let (server, _disk, _dir) = start();
    let (mut wire, mut victim, mut waiter) = (server.connect(), server.connect(), server.connect());
    let (victim_id, waiter_id) = (id(&mut victim), id(&mut waiter));
    waiter.send("BLPOP none 0\r\n");
    while info(&mut wire, "clients", "blocked_clients:") != "1" {}
    wire.ask("SET w 1", "+OK\r\n");
    wire.ask("WATCH w", "+OK\r\n");
    let kill = format!("CLIENT KILL ID {victim_id}");
    let unblock = format!("CLIENT UNBLOCK {waiter_id} ERROR");
    exec_with_large_value(&mut wire, &[&kill, &unblock, "UNWATCH", "CONFIG RESETSTAT"]);
    wire.expect(":1\r\n:1\r\n+OK\r\n+OK\r\n");
    waiter.expect("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    victim.expect_closed();
    wire.ask("STRLEN large", ":30000\r\n");
}

#[test]
fn a_client_that_kills_itself_in_exec_has_run_it() {
    let (server, _disk, _dir) = start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let kill = format!("CLIENT KILL ID {} SKIPME no", id(&mut wire));
    exec_with_large_value(&mut wire, &[&kill, "INCR n"]);
    wire.expect(":1\r\n:1\r\n");
    wire.expect_closed();
    other.ask("GET n", "$1\r\n1\r\n");
    other.ask("STRLEN large", ":30000\r\n");
}

#[test]
fn errors_messages_events_and_lines_of_a_repeated_exec_are_counted_and_sent_once() {
    let (server, disk, _dir) = start();
    let mut wires = [server.connect(), server.connect(), server.connect(), server.connect()];
    let [wire, listener, watcher, other] = &mut wires;
    wire.ask("CONFIG SET notify-keyspace-events KA", "+OK\r\n");
    wire.ask("CONFIG SET maxmemory-policy allkeys-lfu", "+OK\r\n");
    wire.ask("CONFIG SET lfu-log-factor 0", "+OK\r\n");
    wire.ask("SET s 1", "+OK\r\n");
    wire.ask("OBJECT FREQ s", ":5\r\n");
    listener.ask("PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    watcher.ask("MONITOR", "+OK\r\n");
    wire.ask("CONFIG RESETSTAT", "+OK\r\n");
    disk.hold();
    wire.ask("MULTI", "+OK\r\n");
    wire.send(request(&[b"SET", b"large", &vec![b'v'; LARGE]]));
    wire.expect("+QUEUED\r\n");
    for request in ["LPUSH s a", "PUBLISH c m", "GET s", "GET none", "LPOP s"] {
        wire.ask(request, "+QUEUED\r\n");
    }
    wire.send("EXEC\r\n");
    disk.wait_until_held();
    // What has not run has not failed.
    assert_eq!(info(other, "errorstats", "errorstat_WRONGTYPE:"), "");
    disk.let_go();
    wire.expect(
        "*6\r\n+OK\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    );
    wire.expect(":1\r\n$1\r\n1\r\n$-1\r\n");
    wire.expect("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");

    assert_eq!(info(other, "errorstats", "errorstat_WRONGTYPE:"), "count=2");
    let lpush = info(other, "commandstats", "cmdstat_lpush:");
    assert!(lpush.starts_with("calls=1,") && lpush.ends_with("failed_calls=1"), "{lpush}");
    assert_eq!(info(other, "stats", "total_error_replies:"), "2");
    assert_eq!(info(other, "stats", "keyspace_hits:"), "3"); // Those of the wrong type too.
    assert_eq!(info(other, "stats", "keyspace_misses:"), "1");
    other.ask("OBJECT FREQ s", ":8\r\n");
    other.ask("PUBLISH end e", ":1\r\n");
    for (channel, message) in [("__keyspace@0__:large", "set"), ("c", "m"), ("end", "e")] {
        let (channel_len, len) = (channel.len(), message.len());
        listener.expect(format!(
            "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n${channel_len}\r\n{channel}\r\n\
             ${len}\r\n{message}\r\n"
        ));
    }
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("\"PUBLISH\" \"end\"")) {
        lines.push(watcher.line());
    }
    for request in ["\"SET\" \"large\"", "\"LPUSH\" \"s\"", "\"PUBLISH\" \"c\"", "\"EXEC\""] {
        assert_eq!(lines.iter().filter(|line| line.contains(request)).count(), 1, "{request}");
    }
}
