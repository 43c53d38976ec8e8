//! Clients that die, lie about lengths or speak something else. See `docs/hostile-input.md`.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Running, Wire};

/// Asks for a line of INFO until it is so: what a client leaves goes when its end is noticed.
#[track_caller]
fn wait_for(wire: &mut Wire, section: &str, line: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let info = wire.bulk(&format!("INFO {section}"));
        if info.contains(&format!("{line}\r\n")) {
            return;
        }
        assert!(Instant::now() < deadline, "not {line} in {info}");
        std::thread::yield_now();
    }
}

#[test]
fn clients_that_die_inside_multi_leave_nothing() {
    let server = Running::start();
    let mut other = server.connect();
    let endings: [&[u8]; 5] = [
        b"",
        b"EXE",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100\r\nxxx",
        b"*1\r\n$4\r\nEXEC\r",
        b"DISCARD\r\nMULTI\r\nSET k 2\r\n",
    ];
    for ending in endings.iter().cycle().take(50) {
        let mut dying = server.connect();
        dying.ask("WATCH k w", "+OK\r\n");
        dying.ask("MULTI", "+OK\r\n");
        dying.ask("SET k 1", "+QUEUED\r\n");
        dying.send(b"RPUSH l a\r\n");
        dying.send(ending);
    }
    wait_for(&mut other, "clients", "connected_clients:1");
    wait_for(&mut other, "clients", "watching_clients:0");
    wait_for(&mut other, "clients", "total_watched_keys:0");
    other.ask("EXISTS k l", ":0\r\n");
    other.ask("DBSIZE", ":0\r\n");
}

#[test]
fn a_client_that_dies_behind_exec_has_run_all_or_nothing() {
    let server = Running::start();
    let mut other = server.connect();
    for n in 0..50 {
        let mut dying = server.connect();
        dying.send(format!("MULTI\r\nSET a {n}\r\nSET b {n}\r\nRPUSH l {n}\r\nEXEC\r\n"));
        if n % 2 == 0 {
            dying.expect("+OK\r\n");
        }
        drop(dying);
        other.send("MGET a b\r\n");
        assert_eq!(other.line(), "*2");
        let mut value = || match other.line().as_str() {
            "$-1" => None,
            _ => Some(other.line()),
        };
        // Whichever transaction ran last, clients of other workers included: never half of one.
        let (a, b) = (value(), value());
        assert_eq!(a, b, "{n}");
    }
    wait_for(&mut other, "clients", "connected_clients:1");
}

#[test]
fn connections_with_nothing_garbage_or_half_a_request_keep_nobody_else_out() {
    let server = Running::start();
    let mut steady = server.connect();
    let mut open: Vec<TcpStream> = Vec::new();
    let greetings: [&[u8]; 6] = [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"*1\r\n$4\r\nPI",
        b"*1000000\r\n$536870912\r\nx",
        b"PING\r\nPING\r\nPING\r\n",
        b"\0\0\0\0",
    ];
    for (n, greeting) in greetings.iter().cycle().take(300).enumerate() {
        let mut wire = server.connect();
        wire.send(greeting);
        if n % 3 == 0 {
            open.push(wire.stream);
        }
        // Others end at once, replies unread.
        if n % 30 == 0 {
            steady.ask("PING", "+PONG\r\n");
            server.connect().ask("PING", "+PONG\r\n");
        }
    }
    server.connect().ask("SET k v", "+OK\r\n");
    drop(open);
    wait_for(&mut steady, "clients", "connected_clients:1");
    steady.ask("GET k", "$1\r\nv\r\n");
}
