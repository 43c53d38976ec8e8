//! Dialogues with the string commands; the replies are those of the reference server.

use crate::command::testing::Fixture;
use crate::resp::Protocol;

fn check(dialogue: &[(&str, &str)]) {
    Fixture::new().check(dialogue);
}

const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const NOT_FLOAT: &str = "-ERR value is not a valid float";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn set_obeys_its_conditions_and_returns_the_old_value_if_asked() {
    check(&[
        ("SET k 1 XX", "$-1"),
        ("SET k 1 NX", "+OK"),
        ("SET k 2 NX", "$-1"),
        ("SET k 2 XX", "+OK"),
        ("SET k 3 GET", "$1 2"),
        ("SET k 4 NX GET", "$1 3"),
        ("GET k", "$1 3"),
        ("SET new 1 GET", "$-1"),
        ("SET newer 1 XX GET", "$-1"),
        ("EXISTS newer", ":0"),
        ("SET k 1 NX XX", SYNTAX),
        ("SET k 1 EX", SYNTAX),
        ("SET k 1 EX 1 PX 1", SYNTAX),
        ("SET k 1 KEEPTTL EX 1", SYNTAX),
        ("SET k 1 PERSIST", SYNTAX),
    ]);
}

#[test]
fn set_gives_keeps_and_removes_the_expiry() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SET k v EX 10", "+OK"),
        ("TTL k", ":10"),
        ("SET k v KEEPTTL", "+OK"),
        ("PTTL k", ":10000"),
        ("SET k v", "+OK"),
        ("TTL k", ":-1"),
        ("SET k v PXAT 1700000000001", "+OK"),
        ("GET k", "$1 v"),
    ]);
    fixture.now_ms += 1;
    fixture.check(&[("GET k", "$-1"), ("SET k v KEEPTTL", "+OK"), ("TTL k", ":-1")]);
}

#[test]
fn set_with_a_time_that_has_passed_leaves_no_key() {
    check(&[
        ("SET k v", "+OK"),
        ("SET k w EXAT 1", "+OK"),
        ("EXISTS k", ":0"),
        ("SET k v EXAT 1700000000", "+OK"),
        ("DBSIZE", ":0"),
    ]);
}

#[test]
fn invalid_times_are_refused_with_the_commands_name() {
    check(&[
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET k v EX 10000000000000000", "-ERR invalid expire time in 'set' command"),
        ("SET k v EX -9999999999999999", "-ERR invalid expire time in 'set' command"),
        ("SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ("SET k v EX 1.5", NOT_INTEGER),
        ("SETEX k -10 v", "-ERR invalid expire time in 'setex' command"),
        ("PSETEX k 0 v", "-ERR invalid expire time in 'psetex' command"),
        ("GETEX k EX 0", "$-1"),
        ("SET k v", "+OK"),
        ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
        ("GETEX k EX x", NOT_INTEGER),
        ("TTL k", ":-1"),
    ]);
}

#[test]
fn getex_changes_only_the_expiry() {
    check(&[
        ("SET k v", "+OK"),
        ("GETEX k EX 100", "$1 v"),
        ("TTL k", ":100"),
        ("GETEX k", "$1 v"),
        ("TTL k", ":100"),
        ("GETEX k PERSIST", "$1 v"),
        ("TTL k", ":-1"),
        ("GETEX k PXAT 1", "$1 v"),
        ("GETEX k", "$-1"),
        ("GETEX k NX", SYNTAX),
    ]);
}

#[test]
fn getdel_getset_and_setnx_answer_what_was_there() {
    check(&[
        ("GETSET k a", "$-1"),
        ("GETSET k b", "$1 a"),
        ("SETNX k c", ":0"),
        ("GETDEL k", "$1 b"),
        ("GETDEL k", "$-1"),
        ("SETNX k c", ":1"),
        ("SETEX k 5 d", "+OK"),
        ("GETSET k e", "$1 d"),
        ("TTL k", ":-1"),
    ]);
}

#[test]
fn several_keys_are_set_together_or_not_at_all() {
    check(&[
        ("MSET a 1 b 2 a 3", "+OK"),
        ("MGET a b c", "*3 $1 3 $1 2 $-1"),
        ("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command"),
        ("MSETNX c 1 d", "-ERR wrong number of arguments for 'msetnx' command"),
        ("MSETNX a 1 b", "-ERR wrong number of arguments for 'msetnx' command"),
        ("MSETNX c 1 a 9", ":0"),
        ("EXISTS c", ":0"),
        ("MSETNX c 1 c 2", ":1"),
        ("GET c", "$1 2"),
    ]);
}

#[test]
fn counters_stop_at_the_ends_of_64_bits() {
    check(&[
        ("INCR n", ":1"),
        ("DECRBY n 11", ":-10"),
        ("SET n 9223372036854775806", "+OK"),
        ("INCR n", ":9223372036854775807"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        ("INCRBY n -9223372036854775808", ":-1"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("INCRBY n 1.5", NOT_INTEGER),
        ("SET n 01", "+OK"),
        ("DECR n", NOT_INTEGER),
        ("SET n v EX 9", "+OK"),
        ("INCR n", NOT_INTEGER),
    ]);
}

#[test]
fn counters_keep_the_expiry() {
    check(&[
        ("SET n 1 EX 9", "+OK"),
        ("INCR n", ":2"),
        ("INCRBYFLOAT n 0.5", "$3 2.5"),
        ("APPEND n 1", ":4"),
        ("SETRANGE n 0 9", ":4"),
        ("SETBIT n 0 0", ":0"),
        ("GET n", "$4 9.51"),
        ("TTL n", ":9"),
    ]);
}

#[test]
fn floats_are_added_in_extended_precision() {
    check(&[
        ("INCRBYFLOAT f 0.1", "$3 0.1"),
        ("INCRBYFLOAT f 0.2", "$3 0.3"),
        ("INCRBYFLOAT f -1.1", "$4 -0.8"),
        ("INCRBYFLOAT f 0.8", "$1 0"),
        ("INCRBYFLOAT f 5.0e3", "$4 5000"),
        ("INCRBYFLOAT f v", NOT_FLOAT),
        ("INCRBYFLOAT f +inf", "-ERR increment would produce NaN or Infinity"),
        ("INCRBYFLOAT f 1e4933", NOT_FLOAT),
        ("SET f v", "+OK"),
        ("INCRBYFLOAT f 1", NOT_FLOAT),
    ]);
}

#[test]
fn ranges_are_read_and_overwritten_in_place() {
    check(&[
        ("SET k Hello-World", "+OK"),
        ("GETRANGE k 0 3", "$4 Hell"),
        ("SUBSTR k -5 -1", "$5 World"),
        ("GETRANGE k 5 3", "$0"),
        ("GETRANGE none 0 -1", "$0"),
        ("GETRANGE k x 1", NOT_INTEGER),
        ("SETRANGE k 6 Redis", ":11"),
        ("SETRANGE k 12 !", ":13"),
        ("GET k", "$13 Hello-Redis\0!"),
        ("SETRANGE none 5 \"\"", ":0"),
        ("EXISTS none", ":0"),
        ("STRLEN k", ":13"),
        ("STRLEN none", ":0"),
    ]);
}

#[test]
fn strings_longer_than_the_limit_are_refused() {
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    check(&[
        ("SETRANGE k 536870908 world", too_long),
        ("SETRANGE k 9223372036854775807 w", too_long),
        ("SETRANGE k -1 w", "-ERR offset is out of range"),
        ("SETRANGE k x w", NOT_INTEGER),
        ("SETBIT k 4294967296 1", "-ERR bit offset is not an integer or out of range"),
        ("SETBIT k 0 2", "-ERR bit is not an integer or out of range"),
        ("DBSIZE", ":0"),
    ]);
}

#[test]
fn bits_count_from_the_most_significant() {
    check(&[
        ("SET k @", "+OK"),
        ("SETBIT k 2 1", ":0"),
        ("SETBIT k 1 0", ":1"),
        ("GET k", "$1"),
        ("GETBIT k 2", ":1"),
        ("GETBIT k 100000", ":0"),
        ("SETBIT k 15 0", ":0"),
        ("STRLEN k", ":2"),
        ("GETBIT k -1", "-ERR bit offset is not an integer or out of range"),
    ]);
}

#[test]
fn lcs_answers_the_subsequence_its_length_or_its_places() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("MSET a ohmytext b mynewtext", "+OK"),
        ("LCS a b", "$6 mytext"),
        ("LCS a b LEN", ":6"),
        ("LCS a none LEN", ":0"),
        ("LCS a b IDX", "*4 $7 matches *2 *2 *2 :4 :7 *2 :5 :8 *2 *2 :2 :3 *2 :0 :1 $3 len :6"),
        (
            "LCS a b IDX MINMATCHLEN 4 WITHMATCHLEN",
            "*4 $7 matches *1 *3 *2 :4 :7 *2 :5 :8 :4 $3 len :6",
        ),
        ("LCS a b IDX LEN", "-ERR If you want both the length and indexes, please just use IDX."),
        ("LCS a b MINMATCHLEN", SYNTAX),
        ("LCS a b MINMATCHLEN x", NOT_INTEGER),
    ]);
    fixture.client.protocol = Protocol::Resp3;
    fixture.check(&[("LCS a none IDX", "%2 $7 matches *0 $3 len :0")]);
}

#[test]
fn lcs_of_strings_too_long_to_compare_is_refused() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SETRANGE a 99999 x", ":100000"), ("SETRANGE b 99999 x", ":100000")]);
    let refused = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len";
    fixture.check(&[("LCS a b LEN", refused)]);
}

#[test]
fn keys_longer_than_the_store_allows_are_refused_by_every_writer() {
    let mut fixture = Fixture::new();
    let key = vec![b'k'; 65_537];
    let longest = &key[1..];
    assert_eq!(fixture.call(&[b"SET", longest, b"v"]), b"+OK\r\n");
    let requests: [&[&[u8]]; 9] = [
        &[b"SET", &key, b"v"],
        &[b"MSET", b"a", b"1", &key, b"v"],
        &[b"INCR", &key],
        &[b"INCRBYFLOAT", &key, b"1"],
        &[b"APPEND", &key, b"v"],
        &[b"SETRANGE", &key, b"1", b"v"],
        &[b"SETBIT", &key, b"1", b"1"],
        &[b"RENAME", longest, &key],
        &[b"COPY", longest, &key],
    ];
    for request in requests {
        let reply = fixture.call(request);
        assert!(reply.starts_with(b"-ERR key is too long: 65537 bytes"), "{:?}", request[0]);
    }
    fixture.check(&[("DBSIZE", ":1")]);
}
