//! What is remembered of the ends of sorted sets is compared with the sets themselves, after
//! random commands.

use crate::command::testing::{Fixture, compare_with_forgetful};

#[test]
fn pops_are_those_of_a_server_that_remembers_nothing() {
    let long = "m".repeat(70);
    compare_with_forgetful(6_000, |rng| {
        let (zset, other) = (rng.u8(..2), rng.u8(..2));
        let (score, member) = (rng.i8(-3..4), rng.u8(..40));
        let request = match rng.u8(..22) {
            0..=4 => format!("ZADD {zset} {score} {member}"),
            5 => format!("ZADD {zset} {score}.5 {long}{member} -0 {score}"),
            6 => format!("ZINCRBY {zset} {score} {member}"),
            7..=9 => format!("ZPOPMIN {zset}"),
            10..=12 => format!("ZPOPMAX {zset}"),
            13 => format!("ZPOPMIN {zset} {}", member % 4),
            14 => format!("ZREM {zset} {member}"),
            15 => format!("ZREMRANGEBYRANK {zset} {score} {score}"),
            16 => format!("ZMPOP 2 {zset} {other} MAX"),
            17 => format!("ZUNIONSTORE {zset} 2 {zset} {other}"),
            18 => format!("ZADD {zset} {score} 1 {score} 2 {score} 3 {score} 4 {score} 5"),
            19 => format!("COPY {zset} {other} REPLACE"),
            20 => format!("RENAME {zset} {other}"),
            _ => match rng.u8(..3) {
                0 => format!("DEL {zset}"),
                1 => format!("PEXPIRE {zset} 9"),
                _ => format!("SET {zset} x"),
            },
        };
        (request, vec![format!("ZRANGE {zset} 0 -1 WITHSCORES"), format!("ZCARD {zset}")])
    });
}

#[test]
fn members_are_popped_in_order_from_both_ends_however_many_there_are() {
    let mut fixture = Fixture::new();
    for n in 0..500 {
        fixture.run(&format!("ZADD z {} m{n:03}", n / 7));
    }
    for n in 0..250 {
        let pair = |n: u32| {
            let score = (n / 7).to_string();
            format!("*2\r\n$4\r\nm{n:03}\r\n${}\r\n{score}\r\n", score.len())
        };
        assert_eq!(fixture.run("ZPOPMIN z"), pair(n), "{n} from the front");
        assert_eq!(fixture.run("ZPOPMAX z"), pair(499 - n), "{n} from the back");
    }
    assert_eq!(fixture.run("EXISTS z"), ":0\r\n");
    assert_eq!(fixture.orphans(), 0);
}
