//! Dialogues with the list commands; the replies are those of the reference server.

use crate::command::testing::Fixture;

fn check(dialogue: &[(&str, &str)]) {
    let mut fixture = Fixture::new();
    fixture.check(dialogue);
    assert_eq!(fixture.orphans(), 0);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_INTEGER: &str = "-ERR value is not an integer or out of range";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn both_ends_are_pushed_to_and_popped_from_and_the_last_element_takes_the_key_along() {
    check(&[
        ("RPUSH l b c", ":2"),
        ("LPUSH l a z", ":4"),
        ("LRANGE l 0 -1", "*4 $1 z $1 a $1 b $1 c"),
        ("LPOP l", "$1 z"),
        ("RPOP l", "$1 c"),
        ("TYPE l", "+list"),
        ("LPOP l 5", "*2 $1 a $1 b"),
        ("EXISTS l", ":0"),
        ("LPOP l", "$-1"),
        ("LPOP l 0", "*-1"),
        ("LPOP l 2", "*-1"),
        ("RPUSHX l a", ":0"),
        ("LPUSHX l a", ":0"),
        ("EXISTS l", ":0"),
        ("RPUSH l a", ":1"),
        ("RPUSHX l b c", ":3"),
        ("LPUSHX l 1 0", ":5"),
        ("LPOP l 0", "*0"),
        ("RPOP l 2", "*2 $1 c $1 b"),
        ("LPOP l -1", "-ERR value is out of range, must be positive"),
        ("LPOP l x", "-ERR value is out of range, must be positive"),
        ("LPOP l 1 2", "-ERR wrong number of arguments for 'lpop' command"),
        ("LLEN l", ":3"),
        ("LLEN none", ":0"),
    ]);
}

#[test]
fn elements_are_found_by_index_from_either_end() {
    check(&[
        ("RPUSH l a b c d e", ":5"),
        ("LINDEX l 0", "$1 a"),
        ("LINDEX l 4", "$1 e"),
        ("LINDEX l 5", "$-1"),
        ("LINDEX l -1", "$1 e"),
        ("LINDEX l -5", "$1 a"),
        ("LINDEX l -6", "$-1"),
        ("LINDEX l x", NOT_INTEGER),
        ("LINDEX none x", "$-1"),
        ("LINDEX l -9223372036854775808", "$-1"),
        ("LINDEX l 9223372036854775807", "$-1"),
        ("LSET l 1 B", "+OK"),
        ("LSET l -1 E", "+OK"),
        ("LSET l 5 x", "-ERR index out of range"),
        ("LSET none x x", "-ERR no such key"),
        ("LSET l x x", NOT_INTEGER),
        ("LRANGE l 1 3", "*3 $1 B $1 c $1 d"),
        ("LRANGE l -2 100", "*2 $1 d $1 E"),
        ("LRANGE l 3 1", "*0"),
        ("LRANGE l 9 10", "*0"),
        ("LRANGE none 0 -1", "*0"),
        ("LRANGE l x 1", NOT_INTEGER),
    ]);
}

#[test]
fn trimming_keeps_a_range_and_its_expiry() {
    let mut fixture = Fixture::new();
    let all: String = (0..300).map(|n| format!(" {n}")).collect();
    for (range, kept) in
        [("0 -1", 300), ("10 289", 280), ("100 104", 5), ("299 500", 1), ("5 4", 0)]
    {
        fixture.run(&format!("RPUSH l{all}"));
        fixture.run("EXPIRE l 100");
        fixture.check(&[(&format!("LTRIM l {range}"), "+OK"), ("LLEN l", &format!(":{kept}"))]);
        let first: usize = range.split(' ').next().unwrap().parse().unwrap();
        if kept > 0 {
            let first = first.to_string();
            let shown = format!("${} {first}", first.len());
            fixture.check(&[("LINDEX l 0", &shown), ("TTL l", ":100")]);
        }
        fixture.run("DEL l");
        assert_eq!(fixture.orphans(), 0, "{range}");
    }
    fixture.check(&[("LTRIM none 0 0", "+OK"), ("LTRIM none x 0", NOT_INTEGER)]);
}

#[test]
fn elements_are_inserted_removed_and_found_by_value() {
    check(&[
        ("RPUSH l a b c b a b", ":6"),
        ("LPOS l b", ":1"),
        ("LPOS l b RANK 2", ":3"),
        ("LPOS l b RANK -1", ":5"),
        ("LPOS l b COUNT 0", "*3 :1 :3 :5"),
        ("LPOS l b COUNT 2 RANK -1", "*2 :5 :3"),
        ("LPOS l b COUNT 0 MAXLEN 4", "*2 :1 :3"),
        ("LPOS l x", "$-1"),
        ("LPOS l x COUNT 1", "*0"),
        ("LPOS none x COUNT 1", "*0"),
        ("LPOS none x", "$-1"),
        ("LPOS l b COUNT -1", "-ERR COUNT can't be negative"),
        ("LPOS l b MAXLEN -1", "-ERR MAXLEN can't be negative"),
        ("LPOS l b what 1", SYNTAX),
        ("LPOS l b RANK", SYNTAX),
        ("LINSERT l BEFORE c x", ":7"),
        ("LINSERT l AFTER c y", ":8"),
        ("LINSERT l BEFORE a first", ":9"),
        ("LINSERT l AFTER none x", ":-1"),
        ("LINSERT none AFTER a x", ":0"),
        ("LINSERT l beside a x", SYNTAX),
        ("LRANGE l 0 4", "*5 $5 first $1 a $1 b $1 x $1 c"),
        ("LREM l 1 b", ":1"),
        ("LREM l -1 b", ":1"),
        ("LREM l 0 b", ":1"),
        ("LREM l 0 b", ":0"),
        ("LREM l x b", NOT_INTEGER),
        ("LRANGE l 0 -1", "*6 $5 first $1 a $1 x $1 c $1 y $1 a"),
        ("LREM l -9223372036854775808 a", ":2"),
        ("RPUSH m a a", ":2"),
        ("LREM m 0 a", ":2"),
        ("EXISTS m", ":0"),
    ]);
}

#[test]
fn elements_move_between_lists_and_round_within_one() {
    check(&[
        ("RPUSH l a b c", ":3"),
        ("LMOVE l m LEFT RIGHT", "$1 a"),
        ("LMOVE l m right left", "$1 c"),
        ("LRANGE m 0 -1", "*2 $1 c $1 a"),
        ("RPOPLPUSH m m", "$1 a"),
        ("LRANGE m 0 -1", "*2 $1 a $1 c"),
        ("LMOVE m m LEFT LEFT", "$1 a"),
        ("LMOVE l m LEFT up", SYNTAX),
        ("LMOVE none m LEFT LEFT", "$-1"),
        ("EXPIRE l 100", ":1"),
        ("LMOVE l l LEFT RIGHT", "$1 b"),
        ("TTL l", ":100"),
        ("RPOPLPUSH l m", "$1 b"),
        ("EXISTS l", ":0"),
        ("LRANGE m 0 -1", "*3 $1 b $1 a $1 c"),
        ("SET s v", "+OK"),
        ("LMOVE m s LEFT LEFT", WRONG_TYPE),
        ("LMOVE s m LEFT LEFT", WRONG_TYPE),
        ("LMOVE none s LEFT LEFT", "$-1"),
        ("LLEN m", ":3"),
    ]);
}

#[test]
fn several_lists_are_popped_from_in_their_order() {
    check(&[
        ("RPUSH m a b c", ":3"),
        ("LMPOP 2 l m LEFT", "*2 $1 m *1 $1 a"),
        ("LMPOP 2 l m RIGHT COUNT 5", "*2 $1 m *2 $1 c $1 b"),
        ("LMPOP 2 l m RIGHT", "*-1"),
        ("LMPOP 0 l RIGHT", "-ERR numkeys should be greater than 0"),
        ("LMPOP x l RIGHT", "-ERR numkeys should be greater than 0"),
        ("LMPOP 3 l RIGHT", SYNTAX),
        ("LMPOP 1 l up", SYNTAX),
        ("LMPOP 1 l LEFT COUNT", SYNTAX),
        ("LMPOP 1 l LEFT COUNT 0", "-ERR count should be greater than 0"),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", SYNTAX),
        ("SET s v", "+OK"),
        ("LMPOP 2 l s LEFT", WRONG_TYPE),
    ]);
}

#[test]
fn a_transaction_sees_the_lists_it_changes() {
    check(&[
        ("RPUSH l a b c", ":3"),
        ("MULTI", "+OK"),
        ("LPOP l", "+QUEUED"),
        ("RPUSH l d", "+QUEUED"),
        ("LINDEX l 1", "+QUEUED"),
        ("LSET l 0 B", "+QUEUED"),
        ("LINSERT l AFTER c x", "+QUEUED"),
        ("LRANGE l 0 -1", "+QUEUED"),
        ("LTRIM l 1 1", "+QUEUED"),
        ("LRANGE l 0 -1", "+QUEUED"),
        ("LPOP l 9", "+QUEUED"),
        ("RPUSH l new", "+QUEUED"),
        ("LRANGE l 0 -1", "+QUEUED"),
        ("EXEC", "*11 $1 a :3 $1 c +OK :4 *4 $1 B $1 c $1 x $1 d +OK *1 $1 c *1 $1 c :1 *1 $3 new"),
        ("LRANGE l 0 -1", "*1 $3 new"),
    ]);
}
