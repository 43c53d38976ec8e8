//! What a server with a password lets those do who have not given it.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use crate::support::{Running, Wire};

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";

fn protected() -> Running {
    Running::with(|config| config.settings = vec![("requirepass".into(), "secret".into())])
}

#[test]
fn strangers_may_only_authenticate_and_are_strangers_again_after_reset() {
    let server = protected();
    let mut wire = server.connect();
    wire.ask("SET k v", NOAUTH);
    wire.ask("AUTH wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    wire.ask("PING", NOAUTH);
    wire.ask("AUTH secret", "+OK\r\n");
    wire.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    wire.ask("RESET", "+RESET\r\n");
    wire.ask("PUBLISH c x", NOAUTH);
    let mut other = server.connect();
    other.ask("AUTH default secret", "+OK\r\n");
    other.ask("PUBLISH c x", ":0\r\n");
    other.ask("EXISTS k", ":0\r\n");
    // Who has authenticated stays so.
    other.ask("CONFIG SET requirepass changed", "+OK\r\n");
    other.ask("EXISTS k", ":0\r\n");
    wire.ask("AUTH changed", "+OK\r\n");
    other.ask("CONFIG SET requirepass \"\"", "+OK\r\n");
    server.connect().ask("PING", "+PONG\r\n");
    wire.ask("QUIT", "+OK\r\n");
    wire.expect_closed();
}

#[test]
fn requests_of_strangers_are_limited_in_arguments_and_their_length() {
    let server = protected();
    for (request, error) in [
        ("*11\r\n", "unauthenticated multibulk length"),
        ("*100\r\n", "unauthenticated multibulk length"),
        ("*1\r\n$16385\r\n", "unauthenticated bulk length"),
        ("*2\r\n$4\r\nECHO\r\n$100000000\r\n", "unauthenticated bulk length"),
    ] {
        let mut wire = server.connect();
        wire.send(request);
        wire.expect(format!("-ERR Protocol error: {error}\r\n"));
        wire.expect_closed();
    }
    // What follows in the same packet is read by the limits that hold then.
    let value = "x".repeat(100_000);
    let set = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n{value}\r\n");
    let many = "*12\r\n$6\r\nEXISTS\r\n".to_owned() + &"$1\r\nk\r\n".repeat(11);
    let mut wire = server.connect();
    wire.send(format!("PING\r\nAUTH nearly\r\nAUTH secret\r\n{set}{many}PING\r\n"));
    wire.expect(NOAUTH);
    wire.expect("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    wire.expect("+OK\r\n+OK\r\n:11\r\n+PONG\r\n");
    let mut wire = server.connect();
    wire.send(format!("AUTH secret\r\nRESET\r\n{many}"));
    wire.expect(format!("+OK\r\n+RESET\r\n{NOAUTH}"));
    wire.send("*12\r\n");
    wire.expect("-ERR Protocol error: unauthenticated multibulk length\r\n");
    wire.expect_closed();
}

/// Sends requests and reads nothing, until the server ends the connection; true if it did.
fn is_closed_for_not_reading(wire: &mut Wire) -> bool {
    wire.stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    let requests = b"PING\r\n".repeat(10_000);
    for _ in 0..1_000 {
        match wire.stream.write_all(&requests) {
            Ok(()) => {}
            Err(error) => {
                return matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
            }
        }
    }
    false
}

#[test]
fn a_stranger_that_does_not_read_is_closed() {
    let server = protected();
    assert!(is_closed_for_not_reading(&mut server.connect()));
    server.connect().ask("AUTH secret", "+OK\r\n");
}
