//! Sizes and counts at the ends of what there can be.

use std::time::{Duration, Instant};

use super::{Both, words};
use crate::command::testing::Fixture;

const TIME_MAX: Duration = Duration::from_secs(60);
const TOO_LONG: &str = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range";

#[test]
fn strings_grow_up_to_the_limit_and_not_beyond() {
    let mut both = Both::new();
    let dialogue = [
        ("CONFIG SET proto-max-bulk-len 1048576", "+OK"),
        ("SETRANGE k 1048575 x", ":1048576"),
        ("SETRANGE k 1048576 x", TOO_LONG),
        ("SETRANGE k 1048575 xy", TOO_LONG),
        ("SETRANGE k 9223372036854775807 x", TOO_LONG),
        ("APPEND k x", TOO_LONG),
        ("APPEND k \"\"", ":1048576"),
        ("SETBIT k 8388607 0", ":0"),
        ("SETBIT k 8388608 0", BAD_OFFSET),
        ("SETBIT k 9223372036854775807 1", BAD_OFFSET),
        ("GETBIT k 8388608", BAD_OFFSET),
        ("BITFIELD k SET u8 8388600 255", "*1 :120"),
        ("BITFIELD k GET u8 8388608", BAD_OFFSET),
        ("BITFIELD k SET u8 #1048576 1", BAD_OFFSET),
        ("BITFIELD k INCRBY i64 #144115188075855871 1", BAD_OFFSET),
        ("BITOP NOT k2 k", ":1048576"),
        ("SETRANGE none 1048576 \"\"", ":0"),
        ("EXISTS none", ":0"),
        ("STRLEN k", ":1048576"),
    ];
    for (request, expected) in dialogue {
        let reply = both.ask(&words(request));
        let text = String::from_utf8_lossy(&reply).replace("\r\n", " ");
        assert_eq!(text.trim_end(), expected, "{request}");
    }
    both.assert_same();
}

#[test]
fn the_default_limit_is_512_mebibytes() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SETRANGE k 536870912 x", TOO_LONG),
        ("SETRANGE k 536870911 xx", TOO_LONG),
        ("SETRANGE k 4294967297 x", TOO_LONG),
        ("SETBIT k 4294967296 1", BAD_OFFSET),
        ("GETBIT k 4294967295", ":0"),
        ("BITFIELD k SET u8 4294967296 1", BAD_OFFSET),
        ("EXISTS k", ":0"),
    ]);
}

#[test]
fn counts_of_draws_that_no_reply_could_hold_are_refused_at_once() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SADD t a", ":1"), ("HSET h a 1", ":1"), ("ZADD z 1 a", ":1")]);
    let start = Instant::now();
    for count in [i64::MIN, -i64::MAX, i64::MIN / 2, -i64::from(u32::MAX) * 8] {
        for request in ["SRANDMEMBER t #", "HRANDFIELD h #", "ZRANDMEMBER z #"] {
            let request = request.replace('#', &count.to_string());
            for options in ["", " WITHVALUES", " WITHSCORES"] {
                let reply = fixture.run(&format!("{request}{options}"));
                assert!(reply.starts_with("-ERR"), "{request}{options}: {reply}");
            }
        }
    }
    assert!(start.elapsed() < TIME_MAX, "{:?}", start.elapsed());
}

#[test]
fn bounds_of_scores_are_read_as_loosely_as_strtod_reads_them() {
    let mut both = Both::new();
    both.set_up();
    for (min, max, count) in [
        (&b" 2"[..], &b"1e309"[..], 2),
        (b"", b"2", 2),
        (b"(", b"1e-400", 0),
        (b"-1e999", b"2\0junk", 2),
        (b"(\t1", b"(0x3", 1),
    ] {
        let request = [&b"zcount"[..], b"z", min, max].map(<[u8]>::to_vec).to_vec();
        assert_eq!(both.ask(&request), format!(":{count}\r\n").as_bytes());
    }
    for bound in [&b" "[..], b"2 ", b"nan", b"(nan", b"((1", b"1,5", b"+-1"] {
        let request = [&b"zcount"[..], b"z", bound, b"5"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(both.ask(&request), b"-ERR min or max is not a float\r\n");
    }
    both.assert_same();
}

#[test]
fn counts_beyond_what_there_is_give_what_there_is() {
    let mut both = Both::new();
    for (request, expected) in [
        ("SRANDMEMBER t 9223372036854775807", "*3"),
        ("HRANDFIELD h 4611686018427387903 WITHVALUES", "*4"),
        ("HRANDFIELD h 9223372036854775807 WITHVALUES", "-ERR value is out of range"),
        ("ZRANDMEMBER z 9223372036854775807", "*3"),
        ("SPOP t 9223372036854775807", "*3"),
        ("LPOP l 9223372036854775807", "*4"),
        ("ZPOPMIN z 9223372036854775807", "*6"),
        ("LRANGE l -9223372036854775808 9223372036854775807", "*4"),
        ("LMPOP 1 l LEFT COUNT 9223372036854775807", "*2"),
        ("ZRANGE z -9223372036854775808 9223372036854775807", "*3"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 0 9223372036854775807", "*3"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 9223372036854775807 1", "*0"),
        ("LPOS l a RANK -9223372036854775807", "$-1"),
        ("LREM l -9223372036854775808 a", ":1"),
        ("SCAN 0 COUNT 9223372036854775807", "*2"),
        ("HSCAN h 18446744073709551615 COUNT 9223372036854775807", "*2"),
        ("SORT t ALPHA LIMIT 0 9223372036854775807", "*3"),
        ("LTRIM l -9223372036854775808 9223372036854775807", "+OK"),
    ] {
        both.is_set_up = false;
        both.set_up();
        let reply = both.ask(&words(request));
        let first = String::from_utf8_lossy(&reply);
        assert_eq!(first.lines().next(), Some(expected), "{request}");
    }
    both.assert_same();
}
