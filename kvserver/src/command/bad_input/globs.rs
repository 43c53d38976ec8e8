//! Patterns made to take for ever.

use std::time::{Duration, Instant};

use crate::command::testing::Fixture;

/// A pattern that a matcher with recursion tries for longer than anybody lives.
const TIME_MAX: Duration = Duration::from_secs(60);

#[test]
fn patterns_with_thousands_of_stars_are_matched_in_time_by_every_command_that_takes_one() {
    let mut fixture = Fixture::new();
    let long = vec![b'a'; 60_000];
    fixture.call(&[b"SET", &long, b"v"]);
    fixture.call(&[b"HSET", b"h", &long, b"v"]);
    fixture.call(&[b"SADD", b"t", &long]);
    fixture.call(&[b"ZADD", b"z", b"1", &long]);
    let starry = b"*a".repeat(10_000);
    let patterns = [[&starry[..], b"b"].concat(), starry, b"a*".repeat(500), b"[a-".repeat(9_000)];
    let start = Instant::now();
    for pattern in &patterns {
        let requests: [&[&[u8]]; 7] = [
            &[b"KEYS", pattern],
            &[b"SCAN", b"0", b"MATCH", pattern],
            &[b"HSCAN", b"h", b"0", b"MATCH", pattern],
            &[b"SSCAN", b"t", b"0", b"MATCH", pattern],
            &[b"ZSCAN", b"z", b"0", b"MATCH", pattern],
            &[b"CONFIG", b"GET", pattern],
            &[b"COMMAND", b"LIST", b"FILTERBY", b"PATTERN", pattern],
        ];
        for request in requests {
            let reply = fixture.call(request);
            assert!(reply.starts_with(b"*"), "{}", String::from_utf8_lossy(request[0]));
        }
    }
    assert!(start.elapsed() < TIME_MAX, "{:?}", start.elapsed());
}
