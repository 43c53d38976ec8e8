//! What is remembered is compared with the collections themselves, after random commands.

use crate::command::testing::Fixture;

/// Random commands on few short lists and a set: the replies that rest on what is remembered must
/// be those of a server that remembers nothing.
#[test]
fn replies_are_those_of_a_server_that_remembers_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut with, mut without) = (Fixture::new(), Fixture::new());
    for _ in 0..6_000 {
        let (list, other) = (rng.u8(..3), rng.u8(..3));
        let (n, m) = (rng.i8(-4..5), rng.i8(-4..5));
        let value = rng.u8(..6);
        let request = match rng.u8(..26) {
            0..=2 => format!("LPUSH {list} {value} {n}"),
            3..=5 => format!("RPUSH {list} {value}"),
            6..=8 => format!("LPOP {list}"),
            9..=11 => format!("RPOP {list}"),
            12 => format!("LPOP {list} {}", value / 2),
            13 => format!("LINSERT {list} BEFORE {value} {m}"),
            14 => format!("LREM {list} {n} {value}"),
            15 => format!("LSET {list} {n} {value}"),
            16 => format!("LTRIM {list} {n} {m}"),
            17 => format!("LMOVE {list} {other} LEFT RIGHT"),
            18 => format!("RPOPLPUSH {list} {list}"),
            19 => format!("RENAME {list} {other}"),
            20 => format!("COPY {list} {other} REPLACE"),
            21 => format!("SADD s {value} {n}"),
            22 => format!("SREM s {value}"),
            23 => format!("LLEN {list}"),
            24 => match rng.u8(..6) {
                0 => "FLUSHDB".to_owned(),
                1 => format!("DEL {list}"),
                2 => "SWAPDB 0 1".to_owned(),
                3 => format!("PEXPIRE {list} 5"),
                4 => format!("SET {list} x"),
                _ => format!("PERSIST {list}"),
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
        let all = format!("LRANGE {list} 0 -1");
        assert_eq!(with.run(&all), without.run(&all), "{all} after {request}");
    }
    assert_eq!((with.orphans(), without.orphans()), (0, 0));
}

#[test]
fn a_queue_is_taken_from_in_order_however_long_it_is() {
    let mut fixture = Fixture::new();
    let (mut pushed, mut taken) = (0, 0);
    for round in 0..40 {
        for _ in 0..round {
            fixture.run(&format!("LPUSH q {pushed}"));
            pushed += 1;
        }
        for _ in 0..round * 2 / 3 {
            let text = taken.to_string();
            assert_eq!(fixture.run("RPOP q"), format!("${}\r\n{text}\r\n", text.len()));
            taken += 1;
        }
        assert_eq!(fixture.run("LLEN q"), format!(":{}\r\n", pushed - taken));
    }
}
