//! What is remembered is compared with the collections themselves, after random commands.

use crate::command::testing::{Fixture, compare_with_forgetful};

/// Random commands on few short lists and a set: the replies that rest on what is remembered must
/// be those of a server that remembers nothing.
#[test]
fn replies_are_those_of_a_server_that_remembers_nothing() {
    compare_with_forgetful(6_000, |rng| {
        let (list, other) = (rng.u8(..3), rng.u8(..3));
        let (n, m) = (rng.i8(-4..5), rng.i8(-4..5));
        let value = rng.u8(..6);
        let request = match rng.u8(..25) {
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
            _ => match rng.u8(..4) {
                0 => format!("DEL {list}"),
                1 => format!("PEXPIRE {list} 5"),
                2 => format!("SET {list} x"),
                _ => format!("PERSIST {list}"),
            },
        };
        (request, vec![format!("LRANGE {list} 0 -1")])
    });
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
