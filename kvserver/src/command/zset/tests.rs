//! Dialogues with the sorted-set commands; the replies are those of the reference server, with
//! scores as short as they read back.

use std::collections::BTreeSet;

use crate::command::testing::Fixture;
use crate::resp::Protocol;

fn check(dialogue: &[(&str, &str)]) {
    let mut fixture = Fixture::new();
    fixture.check(dialogue);
    assert_eq!(fixture.orphans(), 0);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";
const NOT_FLOAT: &str = "-ERR value is not a valid float";
const NOT_BOUND: &str = "-ERR min or max is not a float";
const NOT_NAME: &str = "-ERR min or max not valid string range item";
const SYNTAX: &str = "-ERR syntax error";

#[test]
fn members_have_scores_and_ranks_and_the_last_one_takes_the_key_along() {
    check(&[
        ("ZADD z 1 a 2 b 3 c", ":3"),
        ("ZADD z 1.5 a 2 b", ":0"),
        ("ZADD z CH 4 a 5 d", ":2"),
        ("ZSCORE z a", "$1 4"),
        ("ZSCORE z x", "$-1"),
        ("ZSCORE none x", "$-1"),
        ("ZMSCORE z a x c", "*3 $1 4 $-1 $1 3"),
        ("ZCARD z", ":4"),
        ("ZCARD none", ":0"),
        ("ZRANK z b", ":0"),
        ("ZRANK z d", ":3"),
        ("ZREVRANK z d", ":0"),
        ("ZREVRANK z b", ":3"),
        ("ZRANK z x", "$-1"),
        ("ZRANK z a WITHSCORE", "*2 :2 $1 4"),
        ("ZRANK z x WITHSCORE", "*-1"),
        ("ZRANK z x what", SYNTAX),
        ("TYPE z", "+zset"),
        ("ZREM z a x b", ":2"),
        ("ZREM z c d", ":2"),
        ("EXISTS z", ":0"),
        ("ZREM z a", ":0"),
        ("SET s v", "+OK"),
        ("ZADD s 1 a", WRONG_TYPE),
        ("ZSCORE s a", WRONG_TYPE),
        ("ZRANGE s 0 -1", WRONG_TYPE),
        ("ZUNION 1 s", WRONG_TYPE),
    ]);
}

#[test]
fn scores_are_added_under_conditions_and_never_become_no_number() {
    check(&[
        ("ZADD z XX 1 a", ":0"),
        ("EXISTS z", ":0"),
        ("ZADD z NX 1 a", ":1"),
        ("ZADD z NX 2 a", ":0"),
        ("ZADD z GT CH 0 a", ":0"),
        ("ZADD z GT CH 2 a", ":1"),
        ("ZADD z LT CH 1 a", ":1"),
        ("ZADD z INCR 2.5 a", "$3 3.5"),
        ("ZADD z NX INCR 2.5 a", "$-1"),
        ("ZINCRBY z -1 a", "$3 2.5"),
        ("ZINCRBY z inf a", "$3 inf"),
        ("ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)"),
        ("ZADD z nan a", NOT_FLOAT),
        ("ZADD z 1 a x b", NOT_FLOAT),
        ("EXISTS b", ":0"),
        ("ZADD z 1", "-ERR wrong number of arguments for 'zadd' command"),
        ("ZADD z 1 a 2", SYNTAX),
        ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible"),
        ("ZADD z GT LT 1 a", "-ERR GT, LT, and/or NX options at the same time are not compatible"),
        ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair"),
    ]);
}

#[test]
fn ranges_go_by_rank_score_and_name_in_either_direction() {
    check(&[
        ("ZADD z 1 a 2 b 3 c 4 d", ":4"),
        ("ZRANGE z 0 -1", "*4 $1 a $1 b $1 c $1 d"),
        ("ZRANGE z -2 -1 WITHSCORES", "*4 $1 c $1 3 $1 d $1 4"),
        ("ZRANGE z 0 1 REV", "*2 $1 d $1 c"),
        ("ZREVRANGE z 1 2", "*2 $1 c $1 b"),
        ("ZRANGE z 4 9", "*0"),
        ("ZRANGEBYSCORE z 2 3", "*2 $1 b $1 c"),
        ("ZRANGEBYSCORE z (2 3", "*1 $1 c"),
        ("ZRANGEBYSCORE z 2 (3", "*1 $1 b"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 1 2", "*2 $1 b $1 c"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT 3 -1", "*1 $1 d"),
        ("ZRANGEBYSCORE z -inf +inf LIMIT -1 2", "*0"),
        ("ZREVRANGEBYSCORE z 3 2", "*2 $1 c $1 b"),
        ("ZREVRANGEBYSCORE z +inf -inf LIMIT 1 2", "*2 $1 c $1 b"),
        ("ZRANGE z (1 3 BYSCORE LIMIT 0 1", "*1 $1 b"),
        ("ZRANGE z 3 (1 BYSCORE REV", "*2 $1 c $1 b"),
        ("ZRANGE none 0 -1", "*0"),
        ("ZCOUNT z (1 3", ":2"),
        ("ZCOUNT z 3 1", ":0"),
        ("ZCOUNT z x 1", NOT_BOUND),
        ("ZRANGEBYSCORE z nan 1", NOT_BOUND),
        ("ZRANGE z 0 1 BYSCORE BYLEX", SYNTAX),
        (
            "ZRANGE z 0 1 LIMIT 0 1",
            "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or \
             BYLEX",
        ),
        ("ZADD l 0 a 0 b 0 c 0 d", ":4"),
        ("ZRANGEBYLEX l [b (d", "*2 $1 b $1 c"),
        ("ZRANGEBYLEX l - + LIMIT 1 2", "*2 $1 b $1 c"),
        ("ZREVRANGEBYLEX l + [c", "*2 $1 d $1 c"),
        ("ZRANGE l (a [c BYLEX", "*2 $1 b $1 c"),
        ("ZLEXCOUNT l - [b", ":2"),
        ("ZLEXCOUNT l + -", ":0"),
        ("ZRANGEBYLEX l b c", NOT_NAME),
        ("ZRANGESTORE d z 1 2", ":2"),
        ("ZRANGE d 0 -1 WITHSCORES", "*4 $1 b $1 2 $1 c $1 3"),
        ("ZRANGESTORE d z 9 10", ":0"),
        ("EXISTS d", ":0"),
    ]);
}

#[test]
fn ranges_are_removed_and_ends_are_popped() {
    check(&[
        ("ZADD z 1 a 2 b 3 c 4 d 5 e 6 f", ":6"),
        ("ZREMRANGEBYRANK z 0 0", ":1"),
        ("ZREMRANGEBYSCORE z (5 +inf", ":1"),
        ("ZPOPMIN z", "*2 $1 b $1 2"),
        ("ZPOPMAX z 1", "*2 $1 e $1 5"),
        ("ZPOPMIN z 0", "*0"),
        ("ZPOPMIN none", "*0"),
        ("ZPOPMIN z -1", "-ERR value is out of range, must be positive"),
        ("ZMPOP 2 none z MAX", "*2 $1 z *1 *2 $1 d $1 4"),
        ("ZMPOP 1 none MIN", "*-1"),
        ("ZMPOP 1 z what", SYNTAX),
        ("ZMPOP 0 z MIN", "-ERR numkeys should be greater than 0"),
        ("ZPOPMAX z 9", "*2 $1 c $1 3"),
        ("EXISTS z", ":0"),
        ("ZADD l 0 a 0 b 0 c", ":3"),
        ("ZREMRANGEBYLEX l [a (c", ":2"),
        ("ZREMRANGEBYLEX l - +", ":1"),
        ("EXISTS l", ":0"),
        ("ZREMRANGEBYRANK l 0 -1", ":0"),
    ]);
}

#[test]
fn zeros_of_either_sign_are_one_score_and_no_number_changes_no_extreme() {
    check(&[
        ("ZADD z 1 a -1 b 1 c -1 d", ":4"),
        ("ZUNION 1 z WEIGHTS 0 WITHSCORES", "*8 $1 a $1 0 $1 b $2 -0 $1 c $1 0 $1 d $2 -0"),
        ("ZADD p inf m 1 n", ":2"),
        ("ZADD q -5 m", ":1"),
        // Infinity times zero, of the input that is not walked over.
        ("ZINTER 2 p q WEIGHTS 0 1 AGGREGATE MAX WITHSCORES", "*2 $1 m $2 -5"),
        ("ZINTER 2 p q WEIGHTS 0 1 AGGREGATE MIN WITHSCORES", "*2 $1 m $2 -5"),
        ("ZINTER 2 p q WEIGHTS 0 1 WITHSCORES", "*2 $1 m $1 0"),
    ]);
}

#[test]
fn sorted_sets_and_sets_are_united_intersected_and_subtracted() {
    check(&[
        ("ZADD a 1 x 2 y 3 z", ":3"),
        ("ZADD b 10 y 20 z 30 w", ":3"),
        ("SADD s y z", ":2"),
        ("ZUNION 2 a b WITHSCORES", "*8 $1 x $1 1 $1 y $2 12 $1 z $2 23 $1 w $2 30"),
        ("ZINTER 2 a b WITHSCORES", "*4 $1 y $2 12 $1 z $2 23"),
        ("ZINTER 2 a b WEIGHTS 2 1 AGGREGATE MIN WITHSCORES", "*4 $1 y $1 4 $1 z $1 6"),
        ("ZINTER 2 a s WITHSCORES AGGREGATE MAX", "*4 $1 y $1 2 $1 z $1 3"),
        ("ZDIFF 2 a b WITHSCORES", "*2 $1 x $1 1"),
        ("ZDIFF 2 a s", "*1 $1 x"),
        ("ZINTERCARD 2 a b", ":2"),
        ("ZINTERCARD 2 a b LIMIT 1", ":1"),
        ("ZUNIONSTORE a 2 a b", ":4"),
        ("ZRANGE a 0 -1", "*4 $1 x $1 y $1 z $1 w"),
        ("ZINTERSTORE d 2 a none", ":0"),
        ("ZDIFFSTORE d 2 a b", ":1"),
        ("ZRANGE d 0 -1", "*1 $1 x"),
        ("ZADD i inf m", ":1"),
        ("ZADD j -inf m", ":1"),
        ("ZUNION 2 i j WITHSCORES", "*2 $1 m $1 0"),
        ("ZUNION 1 i WEIGHTS 0 WITHSCORES", "*2 $1 m $1 0"),
        ("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command"),
        ("ZUNION 9 a", SYNTAX),
        ("ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float"),
        ("ZUNION 1 a AGGREGATE what", SYNTAX),
        ("ZDIFF 1 a WEIGHTS 1", SYNTAX),
        ("ZUNIONSTORE d 1 a WITHSCORES", SYNTAX),
    ]);
}

#[test]
fn scores_have_their_own_shape_in_resp3() {
    let mut fixture = Fixture::new();
    fixture.client.protocol = Protocol::Resp3;
    fixture.check(&[
        ("ZADD z 1.5 a 2 b", ":2"),
        ("ZSCORE z a", ",1.5"),
        ("ZSCORE z x", "_"),
        ("ZADD z INCR 1 a", ",2.5"),
        ("ZRANGE z 0 -1 WITHSCORES", "*2 *2 $1 b ,2 *2 $1 a ,2.5"),
        ("ZPOPMIN z", "*2 $1 b ,2"),
        ("ZPOPMIN z 1", "*1 *2 $1 a ,2.5"),
        ("ZADD z inf a", ":1"),
        ("ZRANDMEMBER z 1 WITHSCORES", "*1 *2 $1 a ,inf"),
        ("ZSCAN z 0", "*2 $1 0 *2 $1 a $3 inf"),
    ]);
}

#[test]
fn a_walk_returns_every_member_and_random_ones_are_distinct() {
    let mut fixture = Fixture::new();
    for n in 0..300 {
        fixture.run(&format!("ZADD z {n} member:{n}"));
    }
    let members = |reply: &str| -> Vec<String> {
        reply.split("\r\n").filter(|line| line.starts_with("member")).map(str::to_owned).collect()
    };
    let (mut cursor, mut seen) = ("0".to_owned(), BTreeSet::new());
    loop {
        let reply = fixture.run(&format!("ZSCAN z {cursor} COUNT 9"));
        reply.split("\r\n").nth(2).unwrap().clone_into(&mut cursor);
        seen.extend(members(&reply));
        if cursor == "0" {
            break;
        }
    }
    assert_eq!(seen.len(), 300);
    for count in [1, 50, 200, 1_000] {
        let drawn = members(&fixture.run(&format!("ZRANDMEMBER z {count}")));
        let distinct: BTreeSet<&String> = drawn.iter().collect();
        assert_eq!((drawn.len(), distinct.len()), (count.min(300), count.min(300)));
    }
    assert_eq!(members(&fixture.run("ZRANDMEMBER z -500")).len(), 500);
    fixture.check(&[("ZRANGE z 150 150", "*1 $10 member:150"), ("ZRANK z member:250", ":250")]);
}

#[test]
fn a_scan_leaves_out_scores_when_told_to() {
    check(&[
        ("ZADD z 1 a", ":1"),
        ("ZSCAN z 0 NOSCORES", "*2 $1 0 *1 $1 a"),
        ("ZSCAN z 0 COUNT 5 NOSCORES MATCH b", "*2 $1 0 *0"),
        ("ZSCAN z 0 NOVALUES", SYNTAX),
    ]);
}

#[test]
fn ranges_by_name_are_found_where_scores_rise_with_the_names() {
    check(&[
        ("ZADD z 1 a 2 b 3 c 4 d", ":4"),
        ("ZRANGE z [b [c BYLEX", "*2 $1 b $1 c"),
        ("ZRANGE z (a (d BYLEX", "*2 $1 b $1 c"),
        ("ZRANGE z [c [b BYLEX REV", "*2 $1 c $1 b"),
        ("ZRANGE z - + BYLEX LIMIT 1 2", "*2 $1 b $1 c"),
        ("ZRANGE z [x + BYLEX", "*0"),
        ("ZLEXCOUNT z [b +", ":3"),
        ("ZRANGESTORE to z [b [c BYLEX", ":2"),
        ("ZREMRANGEBYLEX z - (c", ":2"),
        ("ZRANGE z 0 -1", "*2 $1 c $1 d"),
        ("DEL z to", ":2"),
    ]);
}
