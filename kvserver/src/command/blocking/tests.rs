//! Dialogues of several clients, of which some wait. Replies are those of the reference server.

use super::super::testing::Fixture;
use super::*;

fn text(timeout: Result<Timeout, CommandError>) -> String {
    match timeout {
        Ok(timeout) => format!("{timeout:?}"),
        Err(error) => error.to_string(),
    }
}

/// Lets a client say something to which there is no reply yet.
#[track_caller]
fn waits(fixture: &mut Fixture, id: u64, request: &str) {
    assert_eq!(fixture.be(id).run(request), "", "{request}");
    assert!(fixture.client.blocked.is_some(), "{request}");
}

#[track_caller]
fn says(fixture: &mut Fixture, id: u64, dialogue: &[(&str, &str)]) {
    fixture.be(id).check(dialogue);
}

#[track_caller]
fn served(fixture: &mut Fixture, expected: &[(u64, &str)]) {
    let served = fixture.served();
    let served: Vec<(u64, &str)> = served.iter().map(|(id, reply)| (*id, &reply[..])).collect();
    assert_eq!(served, expected);
}

#[test]
fn timeouts_are_seconds_rounded_up_to_what_a_clock_can_tell() {
    let now_ms = 1_700_000_000_000;
    for (written, expected) in [
        ("0", "None"),
        ("-0", "None"),
        ("-0.0001", "None"),
        ("1.5", "Some(1.5s)"),
        ("0x10", "Some(16s)"),
        ("1e-300", "Some(1ms)"),
        ("9223370000000000", "Some(9223370000000000s)"),
        ("9223372036854775", "ERR timeout is out of range"),
        ("1e400", "ERR timeout is out of range"),
        ("inf", "ERR timeout is out of range"),
        ("-inf", "ERR timeout is negative"),
        ("-1e400", "ERR timeout is negative"),
        ("-1", "ERR timeout is negative"),
        ("nan", "ERR timeout is not a float or out of range"),
        ("", "ERR timeout is not a float or out of range"),
        (" 1", "ERR timeout is not a float or out of range"),
    ] {
        assert_eq!(text(seconds(written.as_bytes(), now_ms)), expected, "{written}");
    }
    for (written, expected) in [
        ("0", "None"),
        ("20", "Some(20ms)"),
        ("-1", "ERR timeout is negative"),
        ("1.5", "ERR timeout is not an integer or out of range"),
        ("9223372036854775807", "ERR timeout is out of range"),
    ] {
        assert_eq!(text(milliseconds(written.as_bytes(), now_ms)), expected, "{written}");
    }
}

#[test]
fn what_is_there_is_taken_at_once() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("rpush l a b c d e f", ":6"),
        ("rpush m x", ":1"),
        ("zadd z 1 a 2 b 3 c 4 d", ":4"),
        ("blpop none l 0", "*2 $1 l $1 a"),
        ("brpop l none 0", "*2 $1 l $1 f"),
        ("blmove l m right left 0", "$1 e"),
        ("brpoplpush l m 0", "$1 d"),
        ("blmpop 0 2 none l left count 5", "*2 $1 l *2 $1 b $1 c"),
        ("lrange m 0 -1", "*3 $1 d $1 e $1 x"),
        ("exists l", ":0"),
        ("bzpopmin none z 0", "*3 $1 z $1 a $1 1"),
        ("bzpopmax z 0", "*3 $1 z $1 d $1 4"),
        ("bzmpop 0 1 z max", "*2 $1 z *1 *2 $1 c $1 3"),
        ("hello 3", fixture_hello()),
        ("bzpopmin z 0", "*3 $1 z $1 b ,2"),
        ("exists z", ":0"),
    ]);
    assert!(fixture.client.blocked.is_none());
}

fn fixture_hello() -> &'static str {
    "%7 $6 server $5 redis $7 version $5 7.2.4 $5 proto :3 $2 id :1 $4 mode $10 standalone $4 role \
     $6 master $7 modules *0"
}

#[test]
fn bad_arguments_are_refused_in_the_reference_servers_order() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("set s v", "+OK"),
        ("blpop s x", "-ERR timeout is not a float or out of range"),
        ("blpop s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("bzpopmin s 0", "-WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("blmove a b x left x", "-ERR syntax error"),
        ("blmove a b left left x", "-ERR timeout is not a float or out of range"),
        ("brpoplpush a b -1", "-ERR timeout is negative"),
        ("blmpop x 0 a left", "-ERR numkeys should be greater than 0"),
        ("blmpop x 1 a left count 0", "-ERR count should be greater than 0"),
        ("blmpop x 1 a left", "-ERR timeout is not a float or out of range"),
        ("bzmpop x 1 a left", "-ERR syntax error"),
        ("bzmpop -1 1 a min", "-ERR timeout is negative"),
        ("wait x 1", "-ERR value is not an integer or out of range"),
        ("wait 1 x", "-ERR timeout is not an integer or out of range"),
        ("waitaof 2 0 0", "-ERR value is out of range, value must between 0 and 1"),
        ("client unblock x y", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        (
            "client unblock 1 timeout x",
            "-ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
        ),
        (
            "slowlog get 1 2",
            "-ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP.",
        ),
        ("memory usage none samples x", "-ERR value is not an integer or out of range"),
        ("memory usage none samples -1", "-ERR syntax error"),
        ("client unblock x", "-ERR value is not an integer or out of range"),
        ("client unblock 7 error", ":0"),
        ("command getkeys blpop a b 0", "*2 $1 a $1 b"),
        ("command getkeys bzmpop 0 2 a b min", "*2 $1 a $1 b"),
    ]);
    assert_eq!(fixture.waiting(), crate::blocking::Figures::default());
}

#[test]
fn nothing_waits_inside_multi() {
    let mut fixture = Fixture::new();
    fixture.check(&[
        ("multi", "+OK"),
        ("blpop l 0", "+QUEUED"),
        ("blmove l m left left 0", "+QUEUED"),
        ("brpoplpush l m 0", "+QUEUED"),
        ("blmpop 0 1 l left", "+QUEUED"),
        ("bzpopmin z 0", "+QUEUED"),
        ("bzmpop 0 1 z min", "+QUEUED"),
        ("wait 1 0", "+QUEUED"),
        ("exec", "*7 *-1 $-1 $-1 *-1 *-1 *-1 :0"),
    ]);
    assert!(fixture.client.blocked.is_none());
    assert_eq!(fixture.waiting().clients, 0);
}

#[test]
fn who_came_first_is_served_first_and_others_go_on_waiting() {
    let mut fixture = Fixture::new();
    waits(&mut fixture, 2, "blpop l 0");
    waits(&mut fixture, 3, "brpop l l 0");
    waits(&mut fixture, 4, "blmpop 0 2 none l left count 9");
    waits(&mut fixture, 5, "bzpopmin l 1.5");
    let figures = fixture.waiting();
    assert_eq!((figures.clients, figures.timed, figures.keys), (4, 1, 2));
    says(&mut fixture, 1, &[("rpush l a", ":1"), ("exists l", ":0")]);
    served(&mut fixture, &[(2, "*2 $1 l $1 a")]);
    says(&mut fixture, 1, &[("rpush l b c d e", ":4"), ("exists l", ":0")]);
    served(&mut fixture, &[(3, "*2 $1 l $1 e"), (4, "*2 $1 l *3 $1 b $1 c $1 d")]);
    says(&mut fixture, 1, &[("zadd l 1 m", ":1"), ("exists l", ":0")]);
    served(&mut fixture, &[(5, "*3 $1 l $1 m $1 1")]);
    assert_eq!(fixture.waiting(), crate::blocking::Figures::default());
}

#[test]
fn the_first_of_its_keys_that_has_data_serves_a_client() {
    let mut fixture = Fixture::new();
    waits(&mut fixture, 2, "blpop a b c 0");
    says(
        &mut fixture,
        1,
        &[
            ("multi", "+OK"),
            ("rpush c 3", "+QUEUED"),
            ("rpush b 2", "+QUEUED"),
            ("rpush a 1", "+QUEUED"),
            ("del a", "+QUEUED"),
            ("exec", "*4 :1 :1 :1 :1"),
        ],
    );
    served(&mut fixture, &[(2, "*2 $1 b $1 2")]);
    says(&mut fixture, 1, &[("exists a b c", ":1")]);
}

#[test]
fn moves_between_waiting_clients_are_chained() {
    let mut fixture = Fixture::new();
    waits(&mut fixture, 2, "blmove a b left right 0");
    waits(&mut fixture, 3, "brpoplpush b c 0");
    waits(&mut fixture, 4, "blpop c 0");
    says(&mut fixture, 1, &[("rpush a x", ":1"), ("exists a b c", ":0")]);
    served(&mut fixture, &[(2, "$1 x"), (3, "$1 x"), (4, "*2 $1 c $1 x")]);
    waits(&mut fixture, 2, "brpoplpush a a 0");
    says(&mut fixture, 1, &[("rpush a x y", ":2"), ("lrange a 0 -1", "*2 $1 y $1 x")]);
    served(&mut fixture, &[(2, "$1 y")]);
}

#[test]
fn a_destination_of_another_type_is_the_waiters_error_and_the_source_stays() {
    let mut fixture = Fixture::new();
    says(&mut fixture, 1, &[("set d v", "+OK")]);
    waits(&mut fixture, 2, "blmove l d left left 0");
    says(&mut fixture, 1, &[("rpush l x", ":1"), ("lrange l 0 -1", "*1 $1 x")]);
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    served(&mut fixture, &[(2, wrong)]);
}

#[test]
fn a_key_of_another_type_or_gone_again_wakes_nobody() {
    let mut fixture = Fixture::new();
    waits(&mut fixture, 2, "blpop l 0");
    says(
        &mut fixture,
        1,
        &[
            ("set l v", "+OK"),
            ("del l", ":1"),
            ("zadd l 1 a", ":1"),
            ("sadd other a", ":1"),
            ("del l", ":1"),
            ("multi", "+OK"),
            ("rpush l x", "+QUEUED"),
            ("del l", "+QUEUED"),
            ("set l v", "+QUEUED"),
            ("exec", "*3 :1 :1 +OK"),
            ("flushall", "+OK"),
        ],
    );
    served(&mut fixture, &[]);
    says(&mut fixture, 1, &[("rpush l y", ":1")]);
    served(&mut fixture, &[(2, "*2 $1 l $1 y")]);
}

#[test]
fn keys_become_ready_however_they_come_to_be() {
    for (before, make) in [
        ("rpush l x", "rename l k"),
        ("rpush l x", "renamenx l k"),
        ("rpush l x", "copy l k"),
        ("rpush l x", "sort l alpha store k"),
        ("rpush l x", "lmove l k left left"),
    ] {
        let mut fixture = Fixture::new();
        waits(&mut fixture, 2, "blpop k 0");
        fixture.be(1).run(before);
        fixture.run(make);
        served(&mut fixture, &[(2, "*2 $1 k $1 x")]);
    }
    for make in [
        "zunionstore k 1 z",
        "zinterstore k 1 z",
        "zdiffstore k 1 z",
        "zrangestore k z 0 -1",
        "copy z k",
        "rename z k",
        "zincrby k 1 m",
    ] {
        let mut fixture = Fixture::new();
        waits(&mut fixture, 2, "bzpopmax k 0");
        fixture.be(1).run("zadd z 1 m");
        fixture.run(make);
        served(&mut fixture, &[(2, "*3 $1 k $1 m $1 1")]);
    }
}

#[test]
fn moved_and_swapped_databases_make_their_keys_ready() {
    let mut fixture = Fixture::new();
    waits(&mut fixture, 2, "blpop k 0");
    says(&mut fixture, 1, &[("select 3", "+OK"), ("rpush k a", ":1"), ("move k 0", ":1")]);
    served(&mut fixture, &[(2, "*2 $1 k $1 a")]);
    waits(&mut fixture, 3, "blpop j 0");
    waits(&mut fixture, 2, "blpop k 0");
    says(&mut fixture, 1, &[("rpush k b c", ":2"), ("rpush j d", ":1"), ("swapdb 0 3", "+OK")]);
    served(&mut fixture, &[(3, "*2 $1 j $1 d"), (2, "*2 $1 k $1 b")]);
    waits(&mut fixture, 2, "blpop k2 0");
    says(
        &mut fixture,
        1,
        &[
            ("multi", "+OK"),
            ("swapdb 0 3", "+QUEUED"),
            ("rpush k2 x", "+QUEUED"),
            ("swapdb 3 0", "+QUEUED"),
            ("exec", "*3 +OK :1 +OK"),
        ],
    );
    served(&mut fixture, &[(2, "*2 $2 k2 $1 x")]);
}

#[test]
fn what_a_served_client_takes_is_told_to_watchers() {
    let mut fixture = Fixture::new();
    says(&mut fixture, 3, &[("watch moved", "+OK"), ("multi", "+OK"), ("ping", "+QUEUED")]);
    waits(&mut fixture, 2, "blmove l moved left left 0");
    says(&mut fixture, 1, &[("rpush l x", ":1")]);
    served(&mut fixture, &[(2, "$1 x")]);
    says(&mut fixture, 3, &[("exec", "*-1")]);
}

#[test]
fn a_wait_is_counted_as_a_call_when_it_ends() {
    let mut fixture = Fixture::new();
    let calls = |fixture: &mut Fixture| {
        let info = fixture.be(1).run("info commandstats");
        info.lines()
            .find(|line| line.starts_with("cmdstat_blpop"))
            .map(|line| line[..21].to_owned())
    };
    waits(&mut fixture, 2, "blpop l 0");
    assert_eq!(calls(&mut fixture), None);
    says(&mut fixture, 1, &[("rpush l x", ":1")]);
    assert_eq!(calls(&mut fixture).unwrap(), "cmdstat_blpop:calls=1");
}
