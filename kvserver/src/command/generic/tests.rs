//! Dialogues with the generic commands; the replies are those of the reference server.

mod collections;

use std::collections::HashSet;

use crate::command::testing::Fixture;

fn check(dialogue: &[(&str, &str)]) {
    Fixture::new().check(dialogue);
}

const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const NO_DB: &str = "-ERR DB index is out of range";
const SAME: &str = "-ERR source and destination objects are the same";

#[test]
fn existence_counts_arguments_and_deletion_counts_keys() {
    check(&[
        ("MSET a 1 b 2", "+OK"),
        ("EXISTS a a b c", ":3"),
        ("TOUCH a c", ":1"),
        ("TYPE a", "+string"),
        ("TYPE c", "+none"),
        ("DEL a a c", ":1"),
        ("UNLINK a b", ":1"),
        ("DBSIZE", ":0"),
    ]);
}

#[test]
fn rename_moves_value_and_expiry_and_replaces() {
    check(&[
        ("RENAME a b", "-ERR no such key"),
        ("RENAME a a", "-ERR no such key"),
        ("SET a 1 EX 100", "+OK"),
        ("SET b 2 EX 5", "+OK"),
        ("RENAMENX a b", ":0"),
        ("RENAME a b", "+OK"),
        ("GET b", "$1 1"),
        ("TTL b", ":100"),
        ("EXISTS a", ":0"),
        ("SET c 3", "+OK"),
        ("RENAME c b", "+OK"),
        ("TTL b", ":-1"),
        ("RENAME b b", "+OK"),
        ("RENAMENX b b", ":0"),
        ("RENAMENX b d", ":1"),
        ("KEYS *", "*1 $1 d"),
    ]);
}

#[test]
fn copy_duplicates_into_the_same_or_another_database() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SET a 1 EX 100", "+OK"),
        ("COPY a b", ":1"),
        ("TTL b", ":100"),
        ("SET a 2", "+OK"),
        ("COPY a b", ":0"),
        ("COPY a b REPLACE", ":1"),
        ("TTL b", ":-1"),
        ("COPY a a", SAME),
        ("COPY a a DB 0", SAME),
        ("COPY a a DB 3", ":1"),
        ("COPY none b", ":0"),
        ("COPY a b DB x", NOT_INTEGER),
        ("COPY a b DB 16", NO_DB),
        ("COPY a b DB -1", NO_DB),
        (
            "COPY a b DB 2147483648",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("COPY a b DB", "-ERR syntax error"),
        ("COPY a b what", "-ERR syntax error"),
    ]);
    fixture.client.db = 3;
    fixture.check(&[("KEYS *", "*1 $1 a"), ("GET a", "$1 2")]);
}

#[test]
fn move_takes_a_key_to_a_database_that_lacks_it() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SET a 1 EX 100", "+OK"),
        ("MOVE a 0", SAME),
        ("MOVE a 16", NO_DB),
        ("MOVE a x", NOT_INTEGER),
        ("MOVE none 1", ":0"),
        ("MOVE a 1", ":1"),
        ("EXISTS a", ":0"),
        ("SET a 2", "+OK"),
        ("MOVE a 1", ":0"),
    ]);
    fixture.client.db = 1;
    fixture.check(&[("GET a", "$1 1"), ("TTL a", ":100")]);
}

#[test]
fn swapdb_exchanges_everything_with_its_expiry() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("MSET a 1 b 2", "+OK"),
        ("EXPIRE a 50", ":1"),
        ("SWAPDB 0 1", "+OK"),
        ("DBSIZE", ":0"),
        ("SET c 3", "+OK"),
        ("SWAPDB 1 0", "+OK"),
        ("MGET a b c", "*3 $1 1 $1 2 $-1"),
        ("TTL a", ":50"),
        ("SWAPDB 0 0", "+OK"),
        ("SWAPDB 44 55", NO_DB),
        ("SWAPDB 44 a", "-ERR invalid second DB index"),
        ("SWAPDB a b", "-ERR invalid first DB index"),
    ]);
    fixture.client.db = 1;
    fixture.check(&[("KEYS *", "*1 $1 c")]);
}

#[test]
fn flushing_clears_one_database_or_all() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SET a 1", "+OK")]);
    fixture.client.db = 5;
    fixture.check(&[
        ("SET a 1", "+OK"),
        ("FLUSHDB what", "-ERR syntax error"),
        ("FLUSHDB sync async", "-ERR syntax error"),
        ("FLUSHDB ASYNC", "+OK"),
        ("DBSIZE", ":0"),
    ]);
    fixture.client.db = 0;
    fixture.check(&[("DBSIZE", ":1"), ("FLUSHALL SYNC", "+OK"), ("DBSIZE", ":0")]);
}

#[test]
fn expire_sets_conditionally_and_a_time_that_has_passed_deletes() {
    check(&[
        ("EXPIRE none 10", ":0"),
        ("SET k v", "+OK"),
        ("EXPIRE k 100 XX", ":0"),
        ("EXPIRE k 100 GT", ":0"),
        ("EXPIRE k 100 NX", ":1"),
        ("EXPIRE k 200 LT", ":0"),
        ("PEXPIRE k 150000 GT", ":1"),
        ("TTL k", ":150"),
        ("PTTL k", ":150000"),
        ("EXPIRETIME k", ":1700000150"),
        ("PEXPIRETIME k", ":1700000150000"),
        ("EXPIREAT k 1700000009 LT XX", ":1"),
        ("TTL k", ":9"),
        ("PEXPIREAT k 9223372036854770000", ":1"),
        ("PERSIST k", ":1"),
        ("PERSIST k", ":0"),
        ("PERSIST none", ":0"),
        ("EXPIRE k -10 LT", ":1"),
        ("TTL k", ":-2"),
        ("SET k v", "+OK"),
        ("PEXPIREAT k -9223372036854770000", ":1"),
        ("EXISTS k", ":0"),
    ]);
}

#[test]
fn expire_reports_bad_numbers_and_options_before_it_looks_at_the_key() {
    let invalid = "-ERR invalid expire time in 'expire' command";
    check(&[
        ("EXPIRE k \"\"", NOT_INTEGER),
        ("EXPIRE k 9223372036854776", invalid),
        ("EXPIRE k -9223372036854776", invalid),
        ("PEXPIRE k 9223372036854770000", "-ERR invalid expire time in 'pexpire' command"),
        ("EXPIRE k x AB", "-ERR Unsupported option AB"),
        ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible"),
    ]);
}

#[test]
fn ttl_rounds_to_the_nearest_second_and_tells_missing_from_lasting() {
    check(&[
        ("TTL k", ":-2"),
        ("EXPIRETIME k", ":-2"),
        ("SET k v PX 1499", "+OK"),
        ("TTL k", ":1"),
        ("SET k v PX 1500", "+OK"),
        ("TTL k", ":2"),
        ("SET k v", "+OK"),
        ("PTTL k", ":-1"),
        ("PEXPIRETIME k", ":-1"),
    ]);
}

#[test]
fn keys_past_their_time_are_gone_for_every_reader() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SET k v PX 10", "+OK")]);
    fixture.now_ms += 10;
    fixture.check(&[
        ("EXISTS k", ":0"),
        ("TYPE k", "+none"),
        ("KEYS *", "*0"),
        ("SCAN 0", "*2 $1 0 *0"),
        ("RANDOMKEY", "$-1"),
        ("DEL k", ":0"),
        ("EXPIRE k 10", ":0"),
        ("RENAME k l", "-ERR no such key"),
        ("COPY k l", ":0"),
        ("SETNX k v", ":1"),
        ("TTL k", ":-1"),
    ]);
}

/// All keys a walk with SCAN and these options returns, in order, repeats included.
fn walk(fixture: &mut Fixture, options: &str) -> Vec<String> {
    let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
    loop {
        let reply = fixture.run(&format!("SCAN {cursor}{options}"));
        let lines: Vec<&str> = reply.split("\r\n").collect();
        keys.extend(lines[4..].chunks_exact(2).map(|pair| pair[1].to_owned()));
        lines[2].clone_into(&mut cursor);
        if cursor == "0" {
            return keys;
        }
    }
}

#[test]
fn a_walk_returns_every_key_that_matches() {
    let mut fixture = Fixture::new();
    for n in 0..1_000 {
        fixture.run(&format!("SET key:{n} v"));
    }
    let distinct = |keys: Vec<String>| keys.into_iter().collect::<HashSet<_>>().len();
    assert_eq!(distinct(walk(&mut fixture, "")), 1_000);
    assert_eq!(distinct(walk(&mut fixture, " COUNT 5")), 1_000);
    assert_eq!(distinct(walk(&mut fixture, " MATCH key:1??")), 100);
    assert_eq!(distinct(walk(&mut fixture, " TYPE STRING COUNT 100 MATCH *")), 1_000);
    assert_eq!(walk(&mut fixture, " TYPE list"), Vec::<String>::new());
}

#[test]
fn a_walk_returns_what_stays_while_other_keys_come_and_go() {
    let mut fixture = Fixture::new();
    for n in 0..500 {
        fixture.run(&format!("SET stays:{n} v"));
        fixture.run(&format!("SET goes:{n} v"));
    }
    let (mut cursor, mut seen, mut step) = ("0".to_owned(), HashSet::new(), 0);
    loop {
        let reply = fixture.run(&format!("SCAN {cursor} COUNT 7 MATCH stays:*"));
        let lines: Vec<&str> = reply.split("\r\n").collect();
        seen.extend(lines[4..].chunks_exact(2).map(|pair| pair[1].to_owned()));
        lines[2].clone_into(&mut cursor);
        if cursor == "0" {
            break;
        }
        fixture.run(&format!("DEL goes:{step}"));
        fixture.run(&format!("SET comes:{step} v"));
        step += 1;
    }
    assert_eq!(seen.len(), 500);
}

#[test]
fn scan_and_keys_report_bad_arguments() {
    check(&[
        ("SCAN x", "-ERR invalid cursor"),
        ("SCAN 0 COUNT x", NOT_INTEGER),
        ("SCAN 0 COUNT 0", "-ERR syntax error"),
        ("SCAN 0 MATCH", "-ERR syntax error"),
        ("SCAN", "-ERR wrong number of arguments for 'scan' command"),
        ("SCAN 0", "*2 $1 0 *0"),
    ]);
}

#[test]
fn randomkey_draws_every_key() {
    let mut fixture = Fixture::new();
    fixture.check(&[("RANDOMKEY", "$-1"), ("MSET a 1 b 2", "+OK")]);
    let drawn: HashSet<String> = (0..100).map(|_| fixture.run("RANDOMKEY")).collect();
    assert_eq!(drawn, HashSet::from(["$1\r\na\r\n".to_owned(), "$1\r\nb\r\n".to_owned()]));
}

#[test]
fn object_answers_for_the_reference_servers_representation() {
    check(&[
        ("OBJECT ENCODING k", "$-1"),
        ("OBJECT REFCOUNT k", "$-1"),
        ("OBJECT FREQ k", "$-1"),
        ("SET k 12", "+OK"),
        ("OBJECT ENCODING k", "$3 int"),
        ("OBJECT REFCOUNT k", ":2147483647"),
        ("OBJECT IDLETIME k", ":0"),
        ("APPEND k x", ":3"),
        ("OBJECT encoding k", "$6 embstr"),
        ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
    ]);
}
