//! What is remembered of the ends of sorted sets is compared with the sets themselves, after
//! random commands.

use crate::command::testing::Fixture;

#[test]
fn pops_are_those_of_a_server_that_remembers_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut with, mut without) = (Fixture::new(), Fixture::new());
    let long = "m".repeat(70);
    for _ in 0..6_000 {
        let (zset, other) = (rng.u8(..2), rng.u8(..2));
        let (score, member) = (rng.i8(-3..4), rng.u8(..40));
        let request = match rng.u8(..24) {
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
            21 => match rng.u8(..5) {
                0 => "FLUSHDB".to_owned(),
                1 => format!("DEL {zset}"),
                2 => "SWAPDB 0 1".to_owned(),
                3 => format!("PEXPIRE {zset} 9"),
                _ => format!("SET {zset} x"),
            },
            _ => match rng.u8(..3) {
                0 => "MULTI".to_owned(),
                1 => "EXEC".to_owned(),
                _ => "DISCARD".to_owned(),
            },
        };
        for fixture in [&mut with, &mut without] {
            fixture.now_ms += 1;
        }
        without.forget_hot();
        assert_eq!(with.run(&request), without.run(&request), "{request}");
        for all in [format!("ZRANGE {zset} 0 -1 WITHSCORES"), format!("ZCARD {zset}")] {
            assert_eq!(with.run(&all), without.run(&all), "{all} after {request}");
        }
    }
    assert_eq!((with.orphans(), without.orphans()), (0, 0));
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
