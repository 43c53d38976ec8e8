//! Dialogues with the hash commands; the replies are those of the reference server.

use std::collections::{BTreeMap, BTreeSet};

use crate::command::testing::Fixture;
use crate::resp::Protocol;

fn check(dialogue: &[(&str, &str)]) {
    Fixture::new().check(dialogue);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";

#[test]
fn fields_are_set_read_and_removed_and_the_last_one_takes_the_key_along() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("HSET h a 1 b 2 a 3", ":2"),
        ("HGET h a", "$1 3"),
        ("HGET h c", "$-1"),
        ("HGET none c", "$-1"),
        ("HMGET h b c a", "*3 $1 2 $-1 $1 3"),
        ("HMGET none b c", "*2 $-1 $-1"),
        ("HLEN h", ":2"),
        ("HLEN none", ":0"),
        ("HEXISTS h a", ":1"),
        ("HEXISTS h c", ":0"),
        ("HSTRLEN h a", ":1"),
        ("HSTRLEN h c", ":0"),
        ("HSETNX h a 9", ":0"),
        ("HSETNX h c 9", ":1"),
        ("HMSET h d 4 e 5", "+OK"),
        ("TYPE h", "+hash"),
        ("HDEL h c c d e nothing", ":3"),
        ("HDEL h a b", ":2"),
        ("EXISTS h", ":0"),
        ("HDEL h a", ":0"),
        ("HSETNX h a 1", ":1"),
        ("HSET h \"\" \"\"", ":1"),
        ("HGET h \"\"", "$0"),
        ("DBSIZE", ":1"),
    ]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn arguments_are_checked_before_anything_changes() {
    check(&[
        ("HSET h a", "-ERR wrong number of arguments for 'hset' command"),
        ("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command"),
        ("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command"),
        ("EXISTS h", ":0"),
        ("SET s v", "+OK"),
        ("HSET s a 1", WRONG_TYPE),
        ("HGET s a", WRONG_TYPE),
        ("HMGET s a", WRONG_TYPE),
        ("HLEN s", WRONG_TYPE),
        ("HGETALL s", WRONG_TYPE),
        ("HSCAN s 0", WRONG_TYPE),
        ("HRANDFIELD s", WRONG_TYPE),
        ("HINCRBY s a 1", WRONG_TYPE),
        ("HDEL s a", WRONG_TYPE),
        ("HSET h a 1", ":1"),
        ("GET h", WRONG_TYPE),
        ("APPEND h x", WRONG_TYPE),
        ("INCR h", WRONG_TYPE),
        ("MGET h s", "*2 $-1 $1 v"),
        ("SET h v GET", WRONG_TYPE),
        ("HSCAN h x", "-ERR invalid cursor"),
        ("HSCAN h 0 TYPE hash", "-ERR syntax error"),
        ("HSCAN none 0 what", "*2 $1 0 *0"),
    ]);
}

#[test]
fn counters_in_fields_keep_to_their_ranges_and_forms() {
    check(&[
        ("HINCRBY h n 5", ":5"),
        ("HINCRBY h n -7", ":-2"),
        ("HSET h t text", ":1"),
        ("HINCRBY h t 1", "-ERR hash value is not an integer"),
        ("HINCRBY h n x", NOT_INTEGER),
        ("HINCRBY h n 9223372036854775808", NOT_INTEGER),
        ("HSET h n -9223372036854775808", ":0"),
        ("HINCRBY h n -1", "-ERR increment or decrement would overflow"),
        ("HINCRBYFLOAT h f 10.5", "$4 10.5"),
        ("HINCRBYFLOAT h f 0.1", "$4 10.6"),
        ("HINCRBYFLOAT h f -10.6", "$1 0"),
        ("HINCRBYFLOAT h t 1", "-ERR hash value is not a float"),
        ("HINCRBYFLOAT h f x", "-ERR value is not a valid float"),
        ("HINCRBYFLOAT none f x", "-ERR value is not a valid float"),
        ("EXISTS none", ":0"),
    ]);
}

/// The bulk strings of a reply.
fn words(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n");
    let mut words = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with('$') {
            words.extend(lines.next().map(str::to_owned));
        }
    }
    words
}

fn fill(fixture: &mut Fixture, fields: usize) -> BTreeMap<String, String> {
    let all: BTreeMap<String, String> =
        (0..fields).map(|n| (format!("field:{n}"), format!("value:{n}"))).collect();
    for (field, value) in &all {
        fixture.run(&format!("HSET h {field} {value}"));
    }
    all
}

#[test]
fn a_hash_is_returned_whole_in_both_protocols() {
    let mut fixture = Fixture::new();
    let all = fill(&mut fixture, 300);
    let pairs = |reply: &str| {
        let words = words(reply);
        let pairs = words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let reply = fixture.run("HGETALL h");
    assert!(reply.starts_with("*600\r\n"));
    assert_eq!(pairs(&reply), all);
    let keys: BTreeSet<String> = words(&fixture.run("HKEYS h")).into_iter().collect();
    assert!(keys.iter().eq(all.keys()));
    let values: BTreeSet<String> = words(&fixture.run("HVALS h")).into_iter().collect();
    assert!(values.iter().eq(all.values().collect::<BTreeSet<_>>()));
    fixture.client.protocol = Protocol::Resp3;
    let reply = fixture.run("HGETALL h");
    assert!(reply.starts_with("%300\r\n"));
    assert_eq!(pairs(&reply), all);
    assert_eq!(fixture.run("HGETALL none"), "%0\r\n");
}

#[test]
fn a_walk_returns_every_field_that_stays_while_others_come_and_go() {
    let mut fixture = Fixture::new();
    let all = fill(&mut fixture, 500);
    let (mut cursor, mut seen, mut step) = ("0".to_owned(), BTreeSet::new(), 0);
    loop {
        let page = words(&fixture.run(&format!("HSCAN h {cursor} COUNT 7")));
        page[0].clone_into(&mut cursor);
        seen.extend(page[1..].chunks_exact(2).map(|pair| pair[0].clone()));
        if cursor == "0" {
            break;
        }
        fixture.run(&format!("HDEL h other:{step}"));
        step += 1;
        fixture.run(&format!("HSET h other:{step} x"));
    }
    assert!(all.keys().all(|field| seen.contains(field)));
    assert!(step >= 500 / 8);
    let page = words(&fixture.run("HSCAN h 0 MATCH field:1 COUNT 1000"));
    assert_eq!(page, ["0", "field:1", "value:1"]);
    let page = words(&fixture.run("HSCAN h 0 MATCH field:1 COUNT 1000 NOVALUES"));
    assert_eq!(page, ["0", "field:1"]);
    assert_eq!(words(&fixture.run("HSCAN h 18446744073709551615")), ["0"]);
}

#[test]
fn random_fields_are_distinct_for_positive_counts_and_repeat_for_negative_ones() {
    let mut fixture = Fixture::new();
    let all = fill(&mut fixture, 40);
    for count in [1, 5, 20, 39, 40, 1_000] {
        let fields = words(&fixture.run(&format!("HRANDFIELD h {count}")));
        let distinct: BTreeSet<&String> = fields.iter().collect();
        assert_eq!((fields.len(), distinct.len()), (count.min(40), count.min(40)));
        assert!(fields.iter().all(|field| all.contains_key(field)));
    }
    assert_eq!(words(&fixture.run("HRANDFIELD h -100")).len(), 100);
    let drawn: BTreeSet<String> =
        (0..1_000).flat_map(|_| words(&fixture.run("HRANDFIELD h"))).collect();
    assert_eq!(drawn.len(), 40);
    let pairs = words(&fixture.run("HRANDFIELD h 3 WITHVALUES"));
    assert!(pairs.chunks_exact(2).all(|pair| all.get(&pair[0]) == Some(&pair[1])));
    assert_eq!(pairs.len(), 6);
    fixture.client.protocol = Protocol::Resp3;
    let nested = fixture.run("HRANDFIELD h 1 WITHVALUES");
    assert!(nested.starts_with("*1\r\n*2\r\n$"), "{nested:?}");
}

#[test]
fn counts_of_random_fields_are_checked() {
    check(&[
        ("HRANDFIELD none", "$-1"),
        ("HRANDFIELD none 5", "*0"),
        ("HSET h a 1", ":1"),
        ("HRANDFIELD h 0", "*0"),
        ("HRANDFIELD h x", NOT_INTEGER),
        (
            "HRANDFIELD h -9223372036854775808",
            "-ERR value is out of range, value must between -9223372036854775807 and \
             9223372036854775807",
        ),
        ("HRANDFIELD h -9223372036854775807 WITHVALUES", "-ERR value is out of range"),
        ("HRANDFIELD h 1 what", "-ERR syntax error"),
        ("HRANDFIELD h x what", NOT_INTEGER),
        ("HRANDFIELD h 9223372036854775807", "*1 $1 a"),
    ]);
}

#[test]
fn a_transaction_sees_its_own_changes_of_elements_in_every_way_of_reading() {
    let mut fixture = Fixture::new();
    fixture.run("HSET h a 1 b 2 c 3");
    let requests: Vec<String> = [
        "HDEL h a",
        "HSET h d 4",
        "HSET h b 5",
        "HLEN h",
        "HGET h b",
        "HEXISTS h a",
        "HVALS h",
        "HSCAN h 0 COUNT 100",
        "HRANDFIELD h 10",
        "DEL h",
        "HLEN h",
        "HGETALL h",
        "HSET h x 1",
        "HGETALL h",
        "SET h text",
        "HGET h x",
        "DEL h",
        "HSET h y 1",
        "HLEN h",
    ]
    .map(str::to_owned)
    .into();
    fixture.run("MULTI");
    requests.iter().for_each(|request| drop(fixture.run(request)));
    let reply = fixture.run("EXEC");
    let mut replies = reply.split("\r\n").skip(1);
    let mut take = |count: usize| replies.by_ref().take(count).collect::<Vec<_>>().join(" ");
    assert_eq!(take(6), ":1 :1 :0 :3 $1 5");
    assert_eq!(take(1), ":0");
    let mut values = take(7).split(' ').skip(2).step_by(2).collect::<Vec<_>>().join("");
    let mut sorted: Vec<char> = std::mem::take(&mut values).chars().collect();
    sorted.sort_unstable();
    assert_eq!(sorted, ['3', '4', '5']);
    assert_eq!(take(16).matches('$').count(), 7);
    assert_eq!(take(7).matches('$').count(), 3);
    assert_eq!(take(3), ":1 :0 *0");
    assert_eq!(take(6), ":1 *2 $1 x $1 1");
    assert_eq!(take(2), format!("+OK {WRONG_TYPE}"));
    assert_eq!(take(3), ":1 :1 :1");
    fixture.check(&[("HGETALL h", "*2 $1 y $1 1")]);
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn a_command_that_fails_inside_a_transaction_leaves_no_element() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("MULTI", "+OK"),
        ("HSET h n text", "+QUEUED"),
        ("HINCRBY h n 1", "+QUEUED"),
        ("HINCRBYFLOAT new f 1", "+QUEUED"),
        ("HINCRBY g n 1", "+QUEUED"),
        ("HINCRBY g n 9223372036854775807", "+QUEUED"),
        ("HLEN g", "+QUEUED"),
        (
            "EXEC",
            "*6 :1 -ERR hash value is not an integer $1 1 :1 \
             -ERR increment or decrement would overflow :1",
        ),
        ("HGETALL h", "*2 $1 n $4 text"),
    ]);
    assert_eq!(fixture.orphans(), 0);
}
