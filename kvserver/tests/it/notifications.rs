//! Keyspace notifications over sockets.

use crate::support::{Running, Wire};

/// A server that publishes these classes, a client, and one that hears every channel.
fn start(classes: &str) -> (Running, Wire, Wire) {
    let server = Running::with(|config| config.threads = 3);
    let (mut wire, mut hearer) = (server.connect(), server.connect());
    wire.ask(&format!("CONFIG SET notify-keyspace-events {classes}"), "+OK\r\n");
    hearer.ask("PSUBSCRIBE *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
    (server, wire, hearer)
}

/// Runs requests, and says what the hearer is told until the last one is done.
fn told(wire: &mut Wire, hearer: &mut Wire, requests: &[&str]) -> Vec<String> {
    wire.send("CLIENT REPLY OFF\r\n");
    for request in requests {
        wire.send(format!("{request}\r\n"));
    }
    wire.send("PUBLISH end .\r\nCLIENT REPLY ON\r\n");
    wire.expect("+OK\r\n");
    let mut told = Vec::new();
    loop {
        let frame: Vec<String> = (0..9).map(|_| hearer.line()).collect();
        if frame[6] == "end" {
            return told;
        }
        told.push(format!("{} {}", frame[6].trim_start_matches("__"), frame[8]));
    }
}

#[test]
fn events_are_published_by_key_and_by_event_in_the_order_of_what_happened() {
    let (_server, mut wire, mut hearer) = start("KEA");
    let requests = ["SELECT 2", "SET k v EX 100", "LPUSH l a", "LPOP l"];
    assert_eq!(
        told(&mut wire, &mut hearer, &requests),
        [
            "keyspace@2__:k set",
            "keyevent@2__:set k",
            "keyspace@2__:k expire",
            "keyevent@2__:expire k",
            "keyspace@2__:l lpush",
            "keyevent@2__:lpush l",
            "keyspace@2__:l lpop",
            "keyevent@2__:lpop l",
            "keyspace@2__:l del",
            "keyevent@2__:del l",
        ]
    );
}

#[test]
fn each_class_is_published_only_if_it_is_asked_for() {
    let requests =
        ["SET s v", "LPUSH l a", "SADD e a", "HSET h f v", "ZADD z 1 a", "DEL s", "GET s"];
    for (classes, expected) in [
        ("E$", vec!["keyevent@0__:set s"]),
        ("El", vec!["keyevent@0__:lpush l"]),
        ("Es", vec!["keyevent@0__:sadd e"]),
        ("Eh", vec!["keyevent@0__:hset h"]),
        ("Ez", vec!["keyevent@0__:zadd z"]),
        ("Eg", vec!["keyevent@0__:del s"]),
        ("Kg", vec!["keyspace@0__:s del"]),
        ("Em", vec!["keyevent@0__:keymiss s"]),
        ("A", vec![]),
        ("\"\"", vec![]),
    ] {
        let (_server, mut wire, mut hearer) = start(classes);
        assert_eq!(told(&mut wire, &mut hearer, &requests), expected, "{classes}");
    }
}

#[test]
fn new_keys_are_told_once_and_before_what_made_them() {
    let (_server, mut wire, mut hearer) = start("EAn");
    let requests = ["SET a 1", "SET a 2", "RENAME a b", "SET c 1", "RENAME b c", "COPY c d"];
    assert_eq!(
        told(&mut wire, &mut hearer, &requests),
        [
            "keyevent@0__:new a",
            "keyevent@0__:set a",
            "keyevent@0__:set a",
            "keyevent@0__:new b",
            "keyevent@0__:rename_from a",
            "keyevent@0__:rename_to b",
            "keyevent@0__:new c",
            "keyevent@0__:set c",
            "keyevent@0__:new c",
            "keyevent@0__:rename_from b",
            "keyevent@0__:rename_to c",
            "keyevent@0__:new d",
            "keyevent@0__:copy_to d",
        ]
    );
}

#[test]
fn messages_and_events_of_a_transaction_keep_their_order() {
    let (_server, mut wire, mut hearer) = start("E$g");
    let requests =
        ["MULTI", "PUBLISH x 1", "SET a 1", "PUBLISH x 2", "DEL a", "PUBLISH x 3", "EXEC"];
    assert_eq!(
        told(&mut wire, &mut hearer, &requests),
        ["x 1", "keyevent@0__:set a", "x 2", "keyevent@0__:del a", "x 3"]
    );
    let requests = ["MULTI", "SET a 1", "DISCARD", "INCR a", "SET a x", "INCR a"];
    assert_eq!(
        told(&mut wire, &mut hearer, &requests),
        ["keyevent@0__:incrby a", "keyevent@0__:set a"]
    );
}

#[test]
fn the_end_of_a_key_is_told_whoever_removes_it() {
    let (_server, mut wire, mut hearer) = start("Ex");
    // Nobody touches the key: the background removes it.
    wire.ask("SET a 1 PX 1", "+OK\r\n");
    hearer
        .expect("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\na\r\n");
    wire.ask("HSET h f v", ":1\r\n");
    wire.ask("PEXPIRE h 1", ":1\r\n");
    hearer
        .expect("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\nh\r\n");
    // A write may come first, or the background: it is told once either way.
    for _ in 0..20 {
        wire.send("SET b 1 PX 1\r\n");
        wire.expect("+OK\r\n");
        while wire.bulk_or_null("GET b").is_some() {}
        wire.ask("SET b 2", "+OK\r\n");
        hearer.expect(
            "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$22\r\n__keyevent@0__:expired\r\n$1\r\nb\r\n",
        );
    }
    assert_eq!(told(&mut wire, &mut hearer, &["DEL b"]), Vec::<String>::new());
}

#[test]
fn the_parameter_is_written_back_as_redis_does() {
    let (_server, mut wire, _) = start("gKE");
    wire.ask(
        "CONFIG GET notify-keyspace-events",
        "*2\r\n$22\r\nnotify-keyspace-events\r\n$3\r\ngKE\r\n",
    );
    wire.ask("CONFIG SET notify-keyspace-events KA", "+OK\r\n");
    wire.ask(
        "CONFIG GET notify-keyspace-events",
        "*2\r\n$22\r\nnotify-keyspace-events\r\n$2\r\nAK\r\n",
    );
    wire.ask(
        "CONFIG SET notify-keyspace-events KQ",
        "-ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - \
         Invalid event class character. Use 'Ag$lshzxeKEtmdn'.\r\n",
    );
}
