//! Dialogues with the HyperLogLog commands; the replies are those of the reference server.

use crate::command::testing::Fixture;
use crate::data::Class;

const NOT_A_SKETCH: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.";
const CORRUPT: &str = "-INVALIDOBJ Corrupted HLL object detected";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

fn fixture(dialogue: &[(&str, &str)]) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.check(dialogue);
    fixture
}

#[test]
fn pfadd_says_whether_the_count_may_have_changed() {
    fixture(&[
        ("PFADD p", ":1"),
        ("PFADD p", ":0"),
        ("PFCOUNT p", ":0"),
        ("PFADD p a b c", ":1"),
        ("PFADD p a b c", ":0"),
        ("PFADD p a \"\"", ":1"),
        ("PFCOUNT p", ":4"),
        ("PFCOUNT p none", ":4"),
        ("PFCOUNT none", ":0"),
        ("PFCOUNT none none", ":0"),
        ("TYPE p", "+string"),
    ]);
}

#[test]
fn pfcount_remembers_the_count_until_it_changes() {
    let mut fixture = fixture(&[
        ("PFADD p a b c", ":1"),
        ("GETBIT p 120", ":1"),
        ("PFCOUNT p", ":3"),
        ("GETBIT p 120", ":0"),
        ("GETRANGE p 8 8", "$1 \u{3}"),
        ("PFADD p a", ":0"),
        ("GETBIT p 120", ":0"),
        ("PFADD p 1 2 3", ":1"),
        ("GETBIT p 120", ":1"),
        ("MULTI", "+OK"),
        ("PFCOUNT p", "+QUEUED"),
        ("EXEC", "*1 :6"),
        ("GETBIT p 120", ":0"),
    ]);
    // What is remembered is believed.
    fixture.check(&[("SETRANGE p 8 \u{7}", ":36"), ("PFCOUNT p", ":7"), ("PFCOUNT p p", ":6")]);
}

#[test]
fn pfmerge_keeps_what_the_target_has_seen() {
    fixture(&[
        ("PFADD a 1 2 3", ":1"),
        ("PFADD b 3 4 5", ":1"),
        ("PFADD c 6", ":1"),
        ("PFMERGE c a b", "+OK"),
        ("PFCOUNT c", ":6"),
        ("PFCOUNT a b", ":5"),
        ("PFMERGE new", "+OK"),
        ("PFCOUNT new", ":0"),
        ("STRLEN new", ":18"),
        ("EXPIRE a 10", ":1"),
        ("PFMERGE a b", "+OK"),
        ("TTL a", ":10"),
        ("PFDEBUG TODENSE b", ":1"),
        ("PFMERGE a b", "+OK"),
        ("PFDEBUG ENCODING a", "+dense"),
        ("PFCOUNT a", ":5"),
    ]);
}

#[test]
fn sketches_become_dense_beyond_the_limit_of_sparse_ones() {
    let mut fixture = fixture(&[
        ("CONFIG SET hll-sparse-max-bytes 30", "+OK"),
        ("PFADD p a b c", ":1"),
        ("PFDEBUG ENCODING p", "+sparse"),
        ("PFADD p d e f g h", ":1"),
        ("PFDEBUG ENCODING p", "+dense"),
        ("STRLEN p", ":12304"),
        ("PFCOUNT p", ":8"),
        ("PFDEBUG DECODE p", "-ERR HLL encoding is not sparse"),
        ("PFDEBUG TODENSE p", ":0"),
        ("PFADD q a", ":1"),
        ("PFDEBUG DECODE q", "$20 Z:12711 v:2,1 Z:3672"),
        ("PFDEBUG junk q", "-ERR Unknown PFDEBUG subcommand 'junk'"),
        ("PFDEBUG GETREG none", "-ERR The specified key does not exist"),
    ]);
    assert!(fixture.run("PFDEBUG GETREG q").starts_with("*16384\r\n:0\r\n"));
    fixture.check(&[("PFDEBUG ENCODING q", "+dense")]);
}

#[test]
fn strings_that_are_no_sketches_are_told_so() {
    let mut fixture = fixture(&[
        ("SET k \"\"", "+OK"),
        ("SET n 12345678901234567", "+OK"),
        ("SADD s x", ":1"),
        ("PFADD p a", ":1"),
        ("PFADD magic a", ":1"),
        ("SETRANGE magic 3 X", ":21"),
        ("PFADD encoding a", ":1"),
        ("SETRANGE encoding 4 \u{2}", ":21"),
        ("PFADD long a", ":1"),
        ("PFDEBUG TODENSE long", ":1"),
        ("APPEND long x", ":12305"),
    ]);
    for key in ["k", "n", "magic", "encoding", "long"] {
        for request in
            ["PFADD #", "PFADD # a", "PFCOUNT #", "PFCOUNT p #", "PFMERGE p #", "PFMERGE #"]
        {
            fixture.check(&[(&request.replace('#', key), NOT_A_SKETCH)]);
        }
        fixture.check(&[(&format!("PFDEBUG ENCODING {key}"), NOT_A_SKETCH)]);
    }
    for request in ["PFADD s a", "PFCOUNT s", "PFCOUNT p s", "PFMERGE p s", "PFDEBUG ENCODING s"] {
        fixture.check(&[(request, WRONG_TYPE)]);
    }
}

#[test]
fn sparse_sketches_with_too_many_or_too_few_registers_are_corrupt() {
    let mut fixture =
        fixture(&[("PFADD more a b c", ":1"), ("APPEND more hello", ":32"), ("PFADD p a", ":1")]);
    let header = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";
    // The runs of zeros sum up to 2^32 registers and a few: counters of 32 bits would wrap.
    let wraps = [header.to_vec(), [0x7f, 0xff].repeat(1 << 18), vec![0xff]].concat();
    let cut = [&header[..], &[0x7f]].concat();
    fixture.call(&[b"SET", b"wraps", &wraps]);
    fixture.call(&[b"SET", b"cut", &cut]);
    fixture.call(&[b"SET", b"few", header]);
    for key in ["more", "wraps", "cut", "few"] {
        for request in
            ["PFCOUNT #", "PFCOUNT p #", "PFMERGE p #", "PFDEBUG GETREG #", "PFDEBUG TODENSE #"]
        {
            fixture.check(&[(&request.replace('#', key), CORRUPT)]);
        }
    }
    fixture.check(&[("PFADD few a", CORRUPT), ("PFADD cut a", CORRUPT), ("PFCOUNT p", ":1")]);
    fixture.check(&[("PFDEBUG DECODE cut", CORRUPT)]);
}

#[test]
fn events_tell_of_sketches_that_change() {
    let mut fixture = Fixture::new();
    let events =
        fixture.events(&["PFADD p a", "PFADD p a", "PFCOUNT p", "PFMERGE p", "PFDEBUG TODENSE p"]);
    let pfadd = (Class::String, "pfadd", "p".to_owned());
    assert_eq!(events, [pfadd.clone(), pfadd]);
}

#[test]
fn the_self_test_passes_whatever_the_limit_is() {
    fixture(&[
        ("PFSELFTEST", "+OK"),
        ("CONFIG SET hll-sparse-max-bytes 0", "+OK"),
        ("PFSELFTEST", "+OK"),
    ]);
}
