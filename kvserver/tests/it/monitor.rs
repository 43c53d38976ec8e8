//! MONITOR over sockets.

use crate::support::{Running, Wire};

/// The next line, without time and address.
fn line(wire: &mut Wire) -> String {
    let line = wire.line();
    let (time, rest) = line.split_once(" [").unwrap_or_else(|| panic!("{line}"));
    let (seconds, micros) = time.strip_prefix('+').and_then(|time| time.split_once('.')).unwrap();
    assert!(seconds.parse::<u64>().is_ok_and(|seconds| seconds > 1_000_000_000), "{line}");
    assert!(micros.len() == 6 && micros.parse::<u32>().is_ok(), "{line}");
    let (place, words) = rest.split_once("] ").unwrap();
    let (db, addr) = place.split_once(' ').unwrap();
    assert!(addr.starts_with("127.0.0.1:"), "{line}");
    format!("{db} {words}")
}

#[test]
fn every_command_is_shown_but_those_of_administrators_and_no_password_is() {
    let server = Running::with(|config| config.threads = 3);
    let (mut watcher, mut wire) = (server.connect(), server.connect());
    watcher.ask("MONITOR", "+OK\r\n");
    wire.ask("AUTH default secret", "+OK\r\n");
    wire.send("HELLO 2 SETNAME auth AUTH default secret\r\n");
    while wire.line() != "*0" {}
    wire.send("AUTH nobody secret\r\n");
    assert!(wire.line().starts_with("-WRONGPASS"));
    wire.ask("CONFIG SET maxmemory 0", "+OK\r\n");
    wire.ask("SELECT 3", "+OK\r\n");
    wire.ask("set \"a\\x00\\\"b\" \"\\r\\n\"", "+OK\r\n");
    wire.ask("INCR", "-ERR wrong number of arguments for 'incr' command\r\n");
    wire.send("LPUSH \"a\\x00\\\"b\" x\r\n");
    assert!(wire.line().starts_with("-WRONGTYPE"));
    wire.send("MULTI\r\nPING\r\nINCR n\r\nCLIENT LIST\r\nEXEC\r\n");
    wire.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+PONG\r\n:1\r\n");
    wire.send("RESET\r\n");
    for expected in [
        "0 \"AUTH\" \"(redacted)\" \"(redacted)\"",
        "0 \"HELLO\" \"2\" \"SETNAME\" \"auth\" \"AUTH\" \"(redacted)\" \"(redacted)\"",
        "0 \"AUTH\" \"(redacted)\" \"(redacted)\"",
        "3 \"SELECT\" \"3\"",
        "3 \"set\" \"a\\x00\\\"b\" \"\\r\\n\"",
        "3 \"LPUSH\" \"a\\x00\\\"b\" \"x\"",
        "3 \"MULTI\"",
        "3 \"PING\"",
        "3 \"INCR\" \"n\"",
        "3 \"EXEC\"",
        "0 \"RESET\"",
    ] {
        assert_eq!(line(&mut watcher), expected);
    }
}

#[test]
fn a_client_that_monitors_sees_itself_until_reset() {
    let server = Running::start();
    let (mut watcher, mut wire) = (server.connect(), server.connect());
    watcher.ask("MULTI", "+OK\r\n");
    watcher.ask("MONITOR", "+QUEUED\r\n");
    watcher.ask("EXEC", "*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n");
    watcher.ask("MONITOR", "+OK\r\n");
    // In one packet: each line behind its reply.
    watcher.send("PING\r\nECHO a\r\n");
    assert_eq!(watcher.line(), "+PONG");
    assert_eq!(line(&mut watcher), "0 \"PING\"");
    watcher.expect("$1\r\na\r\n");
    assert_eq!(line(&mut watcher), "0 \"ECHO\" \"a\"");
    assert!(wire.bulk("CLIENT LIST").contains(" flags=O "));
    watcher.ask("RESET", "+RESET\r\n");
    wire.ask("PING", "+PONG\r\n");
    watcher.ask("PING", "+PONG\r\n");
    assert!(!wire.bulk("CLIENT LIST").contains(" flags=O "));
}

#[test]
fn monitors_end_with_their_connections_and_others_go_on() {
    let server = Running::with(|config| config.threads = 2);
    let mut wire = server.connect();
    let mut watchers: Vec<Wire> = (0..4).map(|_| server.connect()).collect();
    watchers.iter_mut().for_each(|watcher| watcher.ask("MONITOR", "+OK\r\n"));
    watchers.truncate(1);
    for n in 0..200 {
        wire.ask(&format!("ECHO {n:03}"), &format!("$3\r\n{n:03}\r\n"));
    }
    for n in 0..200 {
        assert_eq!(line(&mut watchers[0]), format!("0 \"ECHO\" \"{n:03}\""));
    }
}
