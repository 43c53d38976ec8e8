//! Dialogues with the set commands; the replies are those of the reference server.

use std::collections::BTreeSet;

use crate::command::testing::Fixture;
use crate::resp::Protocol;

fn check(dialogue: &[(&str, &str)]) {
    let mut fixture = Fixture::new();
    fixture.check(dialogue);
    assert_eq!(fixture.orphans(), 0);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const SYNTAX: &str = "-ERR syntax error";

/// The bulk strings of a reply.
pub(super) fn words(reply: &str) -> BTreeSet<String> {
    let mut lines = reply.split("\r\n");
    let mut words = BTreeSet::new();
    while let Some(line) = lines.next() {
        if line.starts_with('$') {
            words.extend(lines.next().map(str::to_owned));
        }
    }
    words
}

fn set_of(members: &[&str]) -> BTreeSet<String> {
    members.iter().map(|member| (*member).to_owned()).collect()
}

#[test]
fn members_are_added_found_and_removed_and_the_last_one_takes_the_key_along() {
    check(&[
        ("SADD s a b a", ":2"),
        ("SADD s a", ":0"),
        ("SCARD s", ":2"),
        ("SCARD none", ":0"),
        ("SISMEMBER s a", ":1"),
        ("SISMEMBER s c", ":0"),
        ("SISMEMBER none a", ":0"),
        ("SMISMEMBER s a c b", "*3 :1 :0 :1"),
        ("SMISMEMBER none a c", "*2 :0 :0"),
        ("TYPE s", "+set"),
        ("SREM s a a x", ":1"),
        ("SREM s b", ":1"),
        ("EXISTS s", ":0"),
        ("SREM s b", ":0"),
        ("SET t v", "+OK"),
        ("SADD t a", WRONG_TYPE),
        ("SISMEMBER t a", WRONG_TYPE),
        ("SINTER t", WRONG_TYPE),
        ("SUNIONSTORE u t", WRONG_TYPE),
        ("SPOP t", WRONG_TYPE),
        ("SADD n 1 2 3", ":3"),
        ("OBJECT ENCODING n", "$6 intset"),
        ("SADD n x", ":1"),
        ("OBJECT ENCODING n", "$8 listpack"),
    ]);
}

#[test]
fn members_move_between_sets() {
    check(&[
        ("SADD s a b", ":2"),
        ("SMOVE s d a", ":1"),
        ("SMOVE s d x", ":0"),
        ("SMOVE none d x", ":0"),
        ("SMOVE s s b", ":1"),
        ("SMOVE s s x", ":0"),
        ("SADD d b", ":1"),
        ("SMOVE s d b", ":1"),
        ("EXISTS s", ":0"),
        ("SCARD d", ":2"),
        ("SET t v", "+OK"),
        ("SMOVE d t a", WRONG_TYPE),
        ("SMOVE none t a", ":0"),
    ]);
}

#[test]
fn sets_are_intersected_united_and_subtracted_also_into_one_of_them() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SADD a 1 2 3 4", ":4"), ("SADD b 3 4 5", ":3"), ("SADD c 4 6", ":2")]);
    for (request, members) in [
        ("SINTER a b", &["3", "4"][..]),
        ("SINTER a b c", &["4"]),
        ("SINTER a a", &["1", "2", "3", "4"]),
        ("SINTER a none", &[]),
        ("SUNION a b c none", &["1", "2", "3", "4", "5", "6"]),
        ("SUNION a a", &["1", "2", "3", "4"]),
        ("SDIFF a b", &["1", "2"]),
        ("SDIFF a b c a", &[]),
        ("SDIFF none a", &[]),
        ("SDIFF a none", &["1", "2", "3", "4"]),
        ("SMEMBERS c", &["4", "6"]),
    ] {
        let reply = fixture.run(request);
        assert_eq!(words(&reply), set_of(members), "{request}");
        assert!(reply.starts_with(&format!("*{}\r\n", members.len())), "{request}");
    }
    fixture.check(&[
        ("SINTERCARD 2 a b", ":2"),
        ("SINTERCARD 2 a b LIMIT 1", ":1"),
        ("SINTERCARD 2 a b LIMIT 0", ":2"),
        ("SINTERCARD 0 a", "-ERR numkeys should be greater than 0"),
        ("SINTERCARD 3 a b", "-ERR Number of keys can't be greater than number of args"),
        ("SINTERCARD 2 a b LIMIT -1", "-ERR LIMIT can't be negative"),
        ("SINTERCARD 2 a b what 1", SYNTAX),
        ("SUNIONSTORE d a b", ":5"),
        ("EXPIRE a 100", ":1"),
        ("SUNIONSTORE a a b", ":5"),
        ("TTL a", ":-1"),
        ("SDIFFSTORE a a b c", ":2"),
        ("SINTERSTORE a a none", ":0"),
        ("EXISTS a", ":0"),
        ("SET t v", "+OK"),
        ("SUNIONSTORE t b", ":3"),
        ("TYPE t", "+set"),
    ]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn members_are_popped_at_random_until_none_is_left() {
    let mut fixture = Fixture::new();
    let all: BTreeSet<String> = (0..100).map(|n| n.to_string()).collect();
    let members: String = all.iter().map(|member| format!(" {member}")).collect();
    fixture.run(&format!("SADD s{members}"));
    let mut popped = words(&fixture.run("SPOP s"));
    popped.extend(words(&fixture.run("SPOP s 10")));
    popped.extend(words(&fixture.run("SPOP s 60")));
    assert_eq!(popped.len(), 71);
    fixture.check(&[("SCARD s", ":29"), ("SPOP s 0", "*0")]);
    popped.extend(words(&fixture.run("SPOP s 1000")));
    assert_eq!(popped, all);
    fixture.check(&[
        ("EXISTS s", ":0"),
        ("SPOP s", "$-1"),
        ("SPOP s 1", "*0"),
        ("SPOP s -1", "-ERR value is out of range, must be positive"),
        ("SPOP s 1 2", SYNTAX),
    ]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn members_are_drawn_with_and_without_repetition() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("SADD s a b c", ":3"),
        ("SRANDMEMBER none", "$-1"),
        ("SRANDMEMBER none 5", "*0"),
        ("SRANDMEMBER s 0", "*0"),
        ("SRANDMEMBER s 1 2", SYNTAX),
    ]);
    assert_eq!(words(&fixture.run("SRANDMEMBER s 100")), set_of(&["a", "b", "c"]));
    assert!(fixture.run("SRANDMEMBER s -10").starts_with("*10\r\n"));
    let drawn: BTreeSet<String> =
        (0..200).flat_map(|_| words(&fixture.run("SRANDMEMBER s"))).collect();
    assert_eq!(drawn, set_of(&["a", "b", "c"]));
}

#[test]
fn a_walk_returns_every_member_and_sets_have_their_own_shape_in_resp3() {
    let mut fixture = Fixture::new();
    for n in 0..300 {
        fixture.run(&format!("SADD s member:{n}"));
    }
    let (mut cursor, mut seen) = ("0".to_owned(), BTreeSet::new());
    loop {
        let reply = fixture.run(&format!("SSCAN s {cursor} COUNT 9"));
        reply.split("\r\n").nth(2).unwrap().clone_into(&mut cursor);
        seen.extend(words(&reply).into_iter().filter(|word| word.starts_with("member")));
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 300);
    fixture.check(&[("SSCAN none 0", "*2 $1 0 *0"), ("SSCAN s x", "-ERR invalid cursor")]);
    fixture.client.protocol = Protocol::Resp3;
    assert!(fixture.run("SMEMBERS s").starts_with("~300\r\n"));
    assert!(fixture.run("SPOP s 2").starts_with("~2\r\n"));
    assert!(fixture.run("SRANDMEMBER s 2").starts_with("*2\r\n"));
}
