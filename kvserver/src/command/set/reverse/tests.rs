//! SWITHMEMBER answers what asking every set would answer.

use std::collections::BTreeSet;

use crate::command::set::tests::words;
use crate::command::testing::Fixture;
use crate::config::Config;

fn indexed() -> Fixture {
    Fixture::with(Config { set_reverse_index: true, ..Config::default() })
}

fn holders(fixture: &mut Fixture, member: &str) -> BTreeSet<String> {
    words(&fixture.run(&format!("SWITHMEMBER {member}")))
}

fn set_of(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn without_the_index_the_command_says_how_to_get_it() {
    let mut fixture = Fixture::new();
    fixture.check(&[(
        "SWITHMEMBER a",
        "-ERR the reverse index of sets is off; start the server with --set-reverse-index yes",
    )]);
}

#[test]
fn who_may_not_read_every_key_may_not_ask() {
    let mut fixture = indexed();
    fixture.check(&[
        ("SADD secret a", ":1"),
        ("ACL SETUSER u on nopass +@all ~own", "+OK"),
        ("AUTH u x", "+OK"),
        ("SWITHMEMBER a", "-NOPERM No permissions to access a key"),
        ("AUTH default x", "+OK"),
        ("ACL SETUSER u %R~*", "+OK"),
        ("AUTH u x", "+OK"),
        ("SWITHMEMBER a", "*1 $6 secret"),
    ]);
}

#[test]
fn arguments_are_checked() {
    indexed().check(&[
        ("SWITHMEMBER", "-ERR wrong number of arguments for 'swithmember' command"),
        ("SWITHMEMBER a b", "-ERR syntax error"),
        ("SWITHMEMBER a COUNT", "-ERR syntax error"),
        ("SWITHMEMBER a COUNT 0", "-ERR COUNT must be greater than 0"),
        ("SWITHMEMBER a COUNT x", "-ERR COUNT must be greater than 0"),
        ("SWITHMEMBER a COUNT 1 2", "-ERR syntax error"),
        ("SADD s1 a", ":1"),
        ("SADD s2 a", ":1"),
        ("SADD s3 b", ":1"),
        ("SWITHMEMBER a COUNT 1", "*1 $2 s1"),
        ("SWITHMEMBER a COUNT 9", "*2 $2 s1 $2 s2"),
        ("SWITHMEMBER nobody", "*0"),
        ("SADD s4 \"\"", ":1"),
        ("SWITHMEMBER \"\"", "*1 $2 s4"),
    ]);
}

#[test]
fn only_sets_that_are_there_are_named_whatever_took_the_others_away() {
    for (change, left) in [
        ("SREM s a", vec![]),
        ("SMOVE s t a", vec!["t"]),
        ("SPOP s 2", vec![]),
        ("DEL s", vec![]),
        ("UNLINK s", vec![]),
        ("SET s v", vec![]),
        ("SUNIONSTORE s none", vec![]),
        ("SUNIONSTORE s s t", vec!["s"]),
        ("SDIFFSTORE u s t", vec!["s", "u"]),
        ("RENAME s r", vec!["r"]),
        ("RENAME t s", vec![]),
        ("COPY s c", vec!["s", "c"]),
        ("MOVE s 1", vec![]),
        ("SWAPDB 0 1", vec![]),
        ("FLUSHDB", vec![]),
        ("FLUSHALL", vec![]),
        ("PEXPIREAT s 1", vec![]),
        ("HSET h a 1", vec!["s"]),
    ] {
        let mut fixture = indexed();
        fixture.check(&[("SADD s a b", ":2"), ("SADD t b", ":1")]);
        fixture.run(change);
        assert_eq!(holders(&mut fixture, "a"), set_of(&left), "{change}");
        fixture.clean_sets();
        assert_eq!(holders(&mut fixture, "a"), set_of(&left), "{change}");
        assert_eq!(fixture.orphans(), 0, "{change}");
    }
}

#[test]
fn a_set_that_has_expired_is_not_named_before_its_removal_or_after() {
    let mut fixture = indexed();
    fixture.check(&[("SADD s a", ":1"), ("PEXPIRE s 10", ":1")]);
    fixture.now_ms += 11;
    assert_eq!(holders(&mut fixture, "a"), set_of(&[]));
    assert_eq!(fixture.expire(), 1);
    fixture.clean_sets();
    assert_eq!(holders(&mut fixture, "a"), set_of(&[]));
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn a_large_dead_set_is_cleaned_in_steps_and_leaves_nothing() {
    let mut fixture = indexed();
    for n in 0..30 {
        let members: String = (0..100).map(|m| format!(" m{}", n * 100 + m)).collect();
        fixture.run(&format!("SADD big{members}"));
    }
    fixture.check(&[("SADD other m7", ":1"), ("DEL big", ":1"), ("SADD big m8", ":1")]);
    assert_eq!(holders(&mut fixture, "m7"), set_of(&["other"]));
    assert_eq!(holders(&mut fixture, "m8"), set_of(&["big"]));
    fixture.clean_sets();
    assert_eq!(fixture.reverse_entries(), (2, 2));
    assert_eq!(fixture.orphans(), 0);
}

#[test]
fn switched_on_it_is_built_and_switched_off_it_is_dropped() {
    let mut fixture = Fixture::new();
    fixture.check(&[("SADD s a b", ":2"), ("HSET h a 1", ":1"), ("SELECT 3", "+OK")]);
    fixture.check(&[("SADD t a", ":1"), ("SET string a", "+OK")]);
    fixture.restart(true);
    assert_eq!(holders(&mut fixture, "a"), set_of(&["t"]));
    fixture.check(&[("SELECT 0", "+OK"), ("CONFIG GET set-reverse-index", ON)]);
    assert_eq!(holders(&mut fixture, "a"), set_of(&["s"]));
    fixture.check(&[("SADD u a", ":1"), ("DEL s", ":1")]);
    fixture.restart(true);
    assert_eq!(holders(&mut fixture, "a"), set_of(&["u"]));
    // Off, with a dead set that nobody has cleaned; and what happens then is known afterwards.
    fixture.restart(false);
    assert!(fixture.run("SWITHMEMBER a").starts_with("-ERR the reverse index"));
    assert_eq!(fixture.orphans(), 0);
    fixture.check(&[("SREM u a", ":1"), ("SADD v a", ":1")]);
    fixture.restart(true);
    assert_eq!(holders(&mut fixture, "a"), set_of(&["v"]));
    fixture.check(&[("CONFIG SET set-reverse-index no", AT_START)]);
}

const ON: &str = "*2 $17 set-reverse-index $3 yes";
const AT_START: &str = "-ERR CONFIG SET failed (possibly related to argument \
                         'set-reverse-index') - it can be changed at the start only";

/// A request that may change sets of members `a` to `d`.
fn change(rng: &mut fastrand::Rng) -> String {
    let keys = ["k1", "k2", "k3", "k4"];
    let members = ["a", "b", "c", "d"];
    let (one, two) = (keys[rng.usize(..4)], keys[rng.usize(..4)]);
    let (m, n) = (members[rng.usize(..4)], members[rng.usize(..4)]);
    match rng.u32(..24) {
        0..7 => format!("SADD {one} {m} {n}"),
        7..9 => format!("SREM {one} {m} {n}"),
        9 => format!("SMOVE {one} {two} {m}"),
        10 => format!("SPOP {one} 2"),
        11 => format!("DEL {one} {two}"),
        12 => format!("SET {one} {m}"),
        13 => format!("SUNIONSTORE {one} {two} k1"),
        14 => format!("SINTERSTORE {one} {two} k2"),
        15 => format!("RENAME {one} {two}"),
        16 => format!("COPY {one} {two} REPLACE"),
        17 => format!("COPY {one} {two} DB 1 REPLACE"),
        18 => format!("MOVE {one} 1"),
        19 => "SWAPDB 0 1".to_owned(),
        20 => format!("PEXPIRE {one} {}", rng.u32(1..50)),
        21 => format!("HSET {one} {m} 1"),
        22 => format!("SELECT {}", rng.u32(..2)),
        _ if rng.u32(..4) == 0 => "FLUSHDB".to_owned(),
        _ => format!("SDIFFSTORE {one} {two} k3"),
    }
}

#[test]
fn any_changes_leave_what_asking_every_set_would_answer_also_inside_multi() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut fixture = indexed();
    for step in 0..1_000 {
        let in_multi = rng.u32(..3) == 0;
        let mut asked = Vec::new();
        if in_multi {
            fixture.run("MULTI");
            for _ in 0..rng.u32(1..25) {
                fixture.run(&change(&mut rng));
            }
            for member in ["a", "b", "c", "d"] {
                fixture.run(&format!("SWITHMEMBER {member}"));
            }
            let reply = fixture.run("EXEC");
            let answers: Vec<&str> = reply.split("\r\n*").collect();
            asked = answers[answers.len() - 4..].iter().map(|answer| words(answer)).collect();
        } else {
            fixture.run(&change(&mut rng));
        }
        for (at, member) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let mut wanted = BTreeSet::new();
            for key in words(&fixture.run("KEYS *")) {
                if fixture.run(&format!("SISMEMBER {key} {member}")) == ":1\r\n" {
                    wanted.insert(key);
                }
            }
            assert_eq!(holders(&mut fixture, member), wanted, "seed {seed}, step {step}");
            if in_multi {
                assert_eq!(asked[at], wanted, "seed {seed}, step {step}, inside MULTI");
            }
        }
        match rng.u32(..40) {
            0 => fixture.clean_sets(),
            1 => fixture.now_ms += 30,
            2 => drop(fixture.expire()),
            3 => fixture.restart(rng.u32(..3) > 0 || step % 2 == 0),
            _ => {}
        }
        if fixture.run("SWITHMEMBER a").starts_with('-') {
            fixture.restart(true);
        }
    }
    fixture.run("FLUSHALL");
    fixture.clean_sets();
    assert_eq!((fixture.reverse_entries(), fixture.orphans()), ((0, 0), 0), "seed {seed}");
}
