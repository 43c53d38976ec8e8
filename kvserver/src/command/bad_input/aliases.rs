//! Commands on themselves: the same key twice, the target among the sources.

use super::{Both, words};

/// Asks both servers, from the keys of [`super::SETUP`] on.
fn check(dialogue: &[(&str, &str)]) {
    let mut both = Both::new();
    both.set_up();
    for (request, expected) in dialogue {
        let reply = both.ask(&words(request));
        let text = String::from_utf8_lossy(&reply).replace("\r\n", " ");
        assert_eq!(text.trim_end(), *expected, "{request}");
    }
    both.assert_same();
}

#[test]
fn a_member_moved_to_its_own_set_stays() {
    check(&[
        ("SMOVE t t a", ":1"),
        ("SMOVE t t none", ":0"),
        ("SCARD t", ":3"),
        ("SMOVE none none a", ":0"),
    ]);
}

#[test]
fn a_list_moved_to_itself_is_turned() {
    check(&[
        ("LMOVE l l LEFT RIGHT", "$1 a"),
        ("LRANGE l 0 -1", "*4 $1 b $1 c $1 3 $1 a"),
        ("RPOPLPUSH l l", "$1 a"),
        ("LMOVE l l LEFT LEFT", "$1 a"),
        ("BLMOVE l l RIGHT RIGHT 0", "*1 $1 3"),
        ("LRANGE l 0 -1", "*4 $1 a $1 b $1 c $1 3"),
        ("RPUSH one x", ":1"),
        ("LMOVE one one LEFT RIGHT", "$1 x"),
        ("LLEN one", ":1"),
    ]);
}

#[test]
fn a_target_may_be_one_of_its_sources() {
    check(&[
        ("SINTERSTORE t t t", ":3"),
        ("SUNIONSTORE t t none t", ":3"),
        ("ZUNIONSTORE z 2 z z", ":3"),
        ("ZSCORE z c", "$1 6"),
        ("ZINTERSTORE z 2 z t WEIGHTS 1 10", ":2"),
        ("ZRANGE z 0 -1 WITHSCORES", "*4 $1 a $2 12 $1 b $2 14"),
        ("ZDIFFSTORE z 2 z z", ":0"),
        ("EXISTS z", ":0"),
        ("SDIFFSTORE t t t", ":0"),
        ("EXISTS t", ":0"),
        ("ZADD z 1 a 2 b", ":2"),
        ("ZRANGESTORE z z 1 1", ":1"),
        ("ZRANGE z 0 -1", "*1 $1 b"),
        ("ZRANGESTORE z z 5 9", ":0"),
        ("EXISTS z", ":0"),
        ("SORT l ALPHA DESC STORE l", ":4"),
        ("LRANGE l 0 -1", "*4 $1 c $1 b $1 a $1 3"),
        ("BITOP XOR s s s", ":5"),
        ("PFMERGE p p p", "+OK"),
        ("PFCOUNT p p p", ":2"),
    ]);
}

#[test]
fn a_key_renamed_or_copied_to_itself_is_not_lost() {
    check(&[
        ("EXPIRE h 1000", ":1"),
        ("RENAME h h", "+OK"),
        ("RENAMENX h h", ":0"),
        ("HLEN h", ":2"),
        ("TTL h", ":1000"),
        ("COPY h h", "-ERR source and destination objects are the same"),
        ("COPY h h DB 0 REPLACE", "-ERR source and destination objects are the same"),
        ("MOVE h 0", "-ERR source and destination objects are the same"),
        ("RENAME none none", "-ERR no such key"),
        ("SWAPDB 0 0", "+OK"),
        ("HLEN h", ":2"),
    ]);
}

#[test]
fn the_same_key_or_member_several_times_counts_as_often_as_it_should() {
    check(&[
        ("MSETNX d 1 d 2", ":1"),
        ("GET d", "$1 2"),
        ("MSET d 3 d 4", "+OK"),
        ("MGET d d", "*2 $1 4 $1 4"),
        ("EXISTS d d", ":2"),
        ("TOUCH d d", ":2"),
        ("DEL d d", ":1"),
        ("SADD t x x", ":1"),
        ("SREM t x x", ":1"),
        ("ZADD z 1 x 2 x", ":1"),
        ("ZSCORE z x", "$1 2"),
        ("ZREM z x x", ":1"),
        ("HSET h x 1 x 2", ":1"),
        ("HGET h x", "$1 2"),
        ("HDEL h x x", ":1"),
        ("HMGET h a a", "*2 $1 1 $1 1"),
        ("LMPOP 2 l l LEFT", "*2 $1 l *1 $1 a"),
        ("ZINTERCARD 2 z z", ":3"),
        ("WATCH s s", "+OK"),
        ("MULTI", "+OK"),
        ("EXEC", "*0"),
    ]);
}
