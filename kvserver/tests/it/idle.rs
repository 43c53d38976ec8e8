//! Clients that say nothing: `timeout`, and the question whether they are still there.

use std::time::{Duration, Instant};

use crate::support::{Running, Wire};

/// Waits until the server has closed `wire`.
fn expect_closed(wire: &mut Wire) {
    wire.stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    wire.expect_closed();
}

/// Seconds since anything moved over the connection of the client called `name`.
fn idle_s(observer: &mut Wire, name: &str) -> u64 {
    let list = observer.bulk("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(&format!(" name={name} "))).unwrap();
    line.split(' ').find_map(|word| word.strip_prefix("idle=")).unwrap().parse().unwrap()
}

#[test]
fn idle_clients_are_closed_and_those_who_wait_or_listen_are_not() {
    let server = Running::with(|config| config.threads = 1);
    let since = Instant::now();
    let [mut idle, mut blocked, mut subscriber, mut monitor] =
        std::array::from_fn(|_| server.connect());
    blocked.send("BLPOP list 0\r\n");
    // One that may run other commands, too.
    subscriber.send("HELLO 3\r\n");
    while subscriber.line() != "*0" {}
    subscriber.ask("SUBSCRIBE news", ">3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    monitor.ask("MONITOR", "+OK\r\n");
    idle.ask("CONFIG SET timeout 1", "+OK\r\n");
    expect_closed(&mut idle);
    // The server counts in whole milliseconds, by another clock than ours.
    assert!(since.elapsed() >= Duration::from_millis(990));
    let list = subscriber.bulk_of("CLIENT LIST", '=');
    for who in [" flags=b ", " flags=P ", " flags=O "] {
        assert!(list.contains(who), "{list}");
    }
    subscriber.ask("RPUSH list a", ":1\r\n");
    blocked.expect("*2\r\n$4\r\nlist\r\n$1\r\na\r\n");
    // Nothing keeps it any more.
    expect_closed(&mut blocked);
    subscriber.ask("CONFIG SET timeout 0", "+OK\r\n");
    server.connect().ask("PUBLISH news x", ":1\r\n");
    subscriber.expect(">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n");
}

#[test]
fn a_request_that_takes_long_to_arrive_is_no_silence() {
    let server = Running::start();
    let (mut slow, mut observer) = (server.connect(), server.connect());
    slow.ask("CLIENT SETNAME slow", "+OK\r\n");
    slow.send("*2\r\n$4\r\nECHO\r\n$100000\r\n");
    while idle_s(&mut observer, "slow") == 0 {
        std::thread::yield_now();
    }
    let mut sent = 0;
    // A byte makes it active; on a machine that is busy a second may pass before we ask.
    while sent == 0 || (idle_s(&mut observer, "slow") > 0 && sent < 10_000) {
        slow.send("x");
        sent += 1;
    }
    assert!(sent < 10_000, "still idle after {sent} bytes");
    slow.send("x".repeat(100_000 - sent) + "\r\n");
    slow.expect(format!("$100000\r\n{}\r\n", "x".repeat(100_000)));
}

/// Which timer the system runs for the server's end of a connection; `02` asks whether the other
/// side is there.
#[cfg(target_os = "linux")]
fn timer_of(wire: &Wire) -> String {
    let server = wire.stream.peer_addr().unwrap().port();
    let client = wire.stream.local_addr().unwrap().port();
    let (ours, theirs) = (format!(":{server:04X}"), format!(":{client:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.skip(1).find(|row| row[1].ends_with(&ours) && row[2].ends_with(&theirs));
    row.unwrap()[5].split(':').next().unwrap().to_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn the_system_asks_whether_new_clients_are_there_as_configured() {
    let server = Running::start();
    let mut before = server.connect();
    before.ask("PING", "+PONG\r\n");
    before.ask("CONFIG SET tcp-keepalive 0", "+OK\r\n");
    let mut after = server.connect();
    after.ask("PING", "+PONG\r\n");
    // What is still to be acknowledged has a timer of its own.
    let until = Instant::now() + Duration::from_secs(60);
    while timer_of(&before) != "02" && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(timer_of(&before), "02");
    while timer_of(&after) != "00" && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(timer_of(&after), "00");
}
