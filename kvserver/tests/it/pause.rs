//! CLIENT PAUSE and UNPAUSE over sockets.

use std::time::{Duration, Instant};

use crate::support::{Running, Wire};

fn wait_for_blocked(wire: &mut Wire, count: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let wanted = format!("blocked_clients:{count}\r\n");
    while !wire.bulk("INFO clients").contains(&wanted) {
        assert!(Instant::now() < deadline, "never {count} clients wait");
    }
}

#[test]
fn a_pause_of_writes_stops_what_changes_and_nothing_else() {
    let server = Running::with(|config| config.threads = 3);
    let mut wire = server.connect();
    let (mut queueing, mut reading) = (server.connect(), server.connect());
    queueing.send("MULTI\r\nSET a 1\r\n");
    queueing.expect("+OK\r\n+QUEUED\r\n");
    wire.ask("CLIENT PAUSE 60000 WRITE", "+OK\r\n");
    reading.send("GET a\r\nMULTI\r\nGET a\r\nEXEC\r\nSET a\r\n");
    reading.expect("$-1\r\n+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n");
    reading.expect("-ERR wrong number of arguments for 'set' command\r\n");
    let mut stopped: Vec<Wire> = (0..4).map(|_| server.connect()).collect();
    stopped[0].send("SET b 1\r\nPING\r\n");
    stopped[1].send("PUBLISH c x\r\n");
    stopped[2].send("PING\r\nINCR d\r\n");
    stopped[2].expect("+PONG\r\n");
    stopped[3].send("SET e 1\r\n");
    queueing.send("EXEC\r\n");
    wait_for_blocked(&mut wire, 5);
    assert_eq!(wire.bulk("CLIENT LIST").matches(" flags=b ").count(), 4);
    // One of them gives up.
    drop(stopped.pop());
    wait_for_blocked(&mut wire, 4);
    wire.ask("EXISTS a b d", ":0\r\n");
    wire.ask("CLIENT UNPAUSE", "+OK\r\n");
    stopped[0].expect("+OK\r\n+PONG\r\n");
    stopped[1].expect(":0\r\n");
    stopped[2].expect(":1\r\n");
    queueing.expect("*1\r\n+OK\r\n");
    wait_for_blocked(&mut wire, 0);
    wire.ask("EXISTS a b d e", ":3\r\n");
}

#[test]
fn a_pause_of_all_ends_by_its_time_and_a_weaker_one_does_not_shorten_it() {
    let server = Running::start();
    let (mut wire, mut other) = (server.connect(), server.connect());
    let begun = Instant::now();
    wire.send("CLIENT PAUSE 300\r\n");
    wire.expect("+OK\r\n");
    other.send("CLIENT PAUSE 10 WRITE\r\nPING\r\n");
    other.expect("+OK\r\n+PONG\r\n");
    // The server counts in whole milliseconds, by another clock than ours.
    assert!(begun.elapsed() >= Duration::from_millis(290), "{:?}", begun.elapsed());
}

#[test]
fn what_is_no_pause_is_refused() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.ask("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range\r\n");
    wire.ask("CLIENT PAUSE -1", "-ERR timeout is negative\r\n");
    wire.ask("CLIENT PAUSE 1 x", "-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n");
    wire.ask("CLIENT PAUSE 0", "+OK\r\n");
    wire.ask("PING", "+PONG\r\n");
}

#[test]
fn nothing_is_removed_by_time_during_a_pause_and_it_is_at_its_end() {
    let server = Running::start();
    let mut wire = server.connect();
    wire.send("MULTI\r\nSET a 1 PX 1\r\nHSET h f v\r\nPEXPIRE h 1\r\n");
    wire.send("CLIENT PAUSE 60000 WRITE\r\nEXEC\r\n");
    wire.expect(
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*4\r\n+OK\r\n:1\r\n:1\r\n+OK\r\n",
    );
    while wire.bulk_or_null("GET a").is_some() {}
    std::thread::park_timeout(Duration::from_millis(250));
    wire.ask("DBSIZE", ":2\r\n");
    assert!(wire.bulk("INFO stats").contains("expired_keys:0\r\n"));
    wire.ask("CLIENT UNPAUSE", "+OK\r\n");
    wire.ask("DBSIZE", ":0\r\n");
    assert!(wire.bulk("INFO stats").contains("expired_keys:2\r\n"));
}
