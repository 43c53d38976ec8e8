//! DEBUG against a server in memory.

use crate::command::testing::Fixture;

fn fixture() -> Fixture {
    Fixture::with_settings(&[("enable-debug-command", "local")])
}

#[test]
fn debug_is_refused_unless_allowed() {
    let mut fixture = Fixture::new();
    let reply = fixture.run("DEBUG HELP");
    assert!(reply.starts_with("-ERR DEBUG command not allowed. If the"), "{reply}");
}

#[test]
fn unknown_subcommands_and_counts_of_arguments_are_refused() {
    fixture().check(&[
        (
            "DEBUG no",
            "-ERR unknown subcommand or wrong number of arguments for 'no'. Try DEBUG HELP.",
        ),
        (
            "DEBUG SLEEP",
            "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.",
        ),
        (
            "DEBUG ERROR MYERR text",
            "-ERR unknown subcommand or wrong number of arguments for 'ERROR'. Try DEBUG HELP.",
        ),
        ("DEBUG ERROR MYERR", "-MYERR"),
        ("DEBUG STRINGMATCH-LEN a*a 5", ":1"),
    ]);
}

#[test]
fn digests_depend_on_data_and_not_on_its_history() {
    let mut fixture = fixture();
    let empty = fixture.run("DEBUG DIGEST");
    assert_eq!(empty, format!("+{}\r\n", "0".repeat(40)));
    let mut digests = std::collections::BTreeSet::from([empty.clone()]);
    for request in [
        "SET s 1",
        "SET s 2",
        "HSET h a 1 b 2",
        "SADD set a b",
        "RPUSH l a b",
        "RPUSH l b a",
        "ZADD z 1 a 2 b",
        "ZADD z 2 a",
        "EXPIRE s 100",
    ] {
        fixture.run(request);
        assert!(digests.insert(fixture.run("DEBUG DIGEST")), "{request}");
    }
    let before = fixture.run("DEBUG DIGEST");
    fixture.run("HSET h c 3");
    fixture.run("HDEL h c");
    fixture.run("LPOP l");
    fixture.run("LPUSH l a");
    fixture.run("SET other 1");
    assert_ne!(fixture.run("DEBUG DIGEST"), before);
    fixture.run("DEL other");
    assert_eq!(fixture.run("DEBUG DIGEST"), before);
    fixture.run("FLUSHALL");
    assert_eq!(fixture.run("DEBUG DIGEST"), empty);
}

#[test]
fn digests_of_values_ignore_the_key() {
    let mut fixture = fixture();
    fixture.run("SADD a x y z");
    fixture.run("SADD b z x y");
    fixture.run("SADD c z x");
    let reply = fixture.run("DEBUG DIGEST-VALUE a b c none");
    let lines: Vec<&str> = reply.lines().collect();
    assert_eq!(lines[0], "*4");
    assert_eq!(lines[1], lines[2]);
    assert_ne!(lines[1], lines[3]);
    assert_eq!(lines[4], format!("+{}", "0".repeat(40)));
}

#[test]
fn objects_are_described_and_absent_ones_are_errors() {
    let mut fixture = fixture();
    fixture.check(&[
        ("SET s 12", "+OK"),
        (
            "DEBUG OBJECT s",
            "+Value at:0x0 refcount:1 encoding:int serializedlength:3 lru:0 lru_seconds_idle:0",
        ),
        ("DEBUG OBJECT none", "-ERR no such key"),
        ("DEBUG LISTPACK s", "-ERR Not a listpack encoded object."),
    ]);
}

#[test]
fn populate_makes_keys_and_reload_finds_them_whole() {
    let mut fixture = fixture();
    fixture.check(&[
        ("DEBUG POPULATE 3 p 10", "+OK"),
        ("STRLEN p:2", ":10"),
        ("DEBUG POPULATE 2", "+OK"),
        ("GET key:1", "$7 value:1"),
        ("RPUSH l a", ":1"),
        ("DEBUG RELOAD", "+OK"),
        ("DEBUG ORPHANS", ":0"),
        ("DEBUG ORPHANS REPAIR", ":0"),
    ]);
}

#[test]
fn replies_of_every_type_are_there() {
    let mut fixture = fixture();
    fixture.check(&[
        ("DEBUG PROTOCOL double", "$5 3.141"),
        ("DEBUG PROTOCOL push", "-ERR RESP2 is not supported by this command"),
        ("DEBUG PROTOCOL bignum", "$37 1234567999999999999999999999999999999"),
    ]);
    fixture.run("HELLO 3");
    fixture.check(&[
        ("DEBUG PROTOCOL map", "%3 :0 #f :1 #t :2 #f"),
        ("DEBUG PROTOCOL bignum", "(1234567999999999999999999999999999999"),
        (
            "DEBUG PROTOCOL attrib",
            "|1 $14 key-popularity *2 $7 key:123 :90 \
             $39 Some real reply following the attribute",
        ),
    ]);
}
