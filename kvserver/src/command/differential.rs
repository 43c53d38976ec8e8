//! Random requests to the handlers: every reply must be whole, and be that of a reference server.
//!
//! The reference is the `redis-server` of the machine, version 7, started for each test; where
//! there is none the comparisons are skipped, and say so. More of the same:
//!
//! ```sh
//! KVSERVER_REFERENCE_REQUESTS=1000000 cargo test --release -p kvserver --lib differential
//! ```
//!
//! A run prints its seeds; `KVSERVER_REFERENCE_SEED` repeats one. A difference is told with its
//! seed, its number, and what was asked about the same keys before.

mod beside;
mod generate;
mod likeness;
mod reference;

use std::time::{SystemTime, UNIX_EPOCH};

use super::testing::Fixture;
use super::{Flags, KeyFlags, bitmap, generic, hash, hyperloglog, list, set, string, zset};
use crate::resp::Protocol;
use beside::{Beside, may_wait};
use generate::request;
pub(super) use likeness::{comparable, is_newer};
pub(super) use reference::{Hearer, Reference, read_reply};

/// How many requests a comparison makes, unless told otherwise.
const REQUESTS_DEFAULT: usize = 10_000;

fn requests() -> usize {
    let text = std::env::var("KVSERVER_REFERENCE_REQUESTS").ok();
    text.map_or(REQUESTS_DEFAULT, |text| text.parse().expect("a number"))
}

fn seed() -> u64 {
    let text = std::env::var("KVSERVER_REFERENCE_SEED").ok();
    let seed = text.map_or_else(|| fastrand::u64(..), |text| text.parse().expect("a number"));
    println!("seed {seed}");
    seed
}

pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn compare(reference: Reference, protocol: Protocol, requests: usize) {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut beside = Beside::new(reference, protocol, seed);
    for _ in 0..requests {
        beside.ask(request(&mut rng));
        if beside.is_over() {
            break;
        }
    }
    beside.assert_alike();
}

/// The replies to a request in a transaction of its own.
fn queued_alone(args: &[&[u8]], call: impl FnMut(&[&[u8]]) -> Vec<u8>) -> Vec<u8> {
    [&[&b"multi"[..]][..], args, &[b"exec"]].map(call).concat()
}

#[test]
fn random_requests_get_the_reference_servers_replies() {
    // Each on a server of its own: requests also change its settings and the connection.
    for (protocol, requests) in [(Protocol::Resp2, requests()), (Protocol::Resp3, requests() / 5)] {
        let Some(reference) = Reference::start() else { return };
        compare(reference, protocol, requests);
    }
}

#[test]
fn random_floats_add_up_as_on_the_reference_server() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(mut reference) = Reference::start() else { return };
    let mut fixture = Fixture::new();
    let number = |rng: &mut fastrand::Rng| {
        let digits: String =
            (0..rng.usize(1..25)).map(|_| char::from(rng.u8(b'0'..=b'9'))).collect();
        let fraction: String =
            (0..rng.usize(..25)).map(|_| char::from(rng.u8(b'0'..=b'9'))).collect();
        let sign = ["", "-", "+"][rng.usize(..3)];
        let exponent = match rng.u8(..4) {
            0 => format!("e{}", rng.i32(-30..30)),
            1 => format!("e{}", rng.i32(-5_000..5_000)),
            _ => String::new(),
        };
        format!("{sign}{digits}.{fraction}{exponent}")
    };
    for n in 0..requests() {
        let (a, b) = (number(&mut rng), number(&mut rng));
        let set: [&[u8]; 3] = [b"set", b"f", a.as_bytes()];
        let add: [&[u8]; 3] = [b"incrbyfloat", b"f", b.as_bytes()];
        assert_eq!(fixture.call(&set), reference.call(&set));
        let (ours, theirs) = (fixture.call(&add), reference.call(&add));
        assert_eq!(
            String::from_utf8_lossy(&ours),
            String::from_utf8_lossy(&theirs),
            "sum {n}: {a} + {b}"
        );
    }
}

#[test]
fn random_patterns_match_as_on_the_reference_server() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(mut reference) = Reference::start() else { return };
    let mut fixture = Fixture::new();
    for n in 0..requests() {
        let mut text = |from: &[u8], most: usize| {
            (0..rng.usize(1..most)).map(|_| from[rng.usize(..from.len())]).collect::<Vec<_>>()
        };
        let (key, pattern) = (text(b"ab]-^\\", 8), text(b"ab*?[]^-\\", 10));
        for request in [&[&b"flushdb"[..]][..], &[b"set", &key, b""]] {
            assert_eq!(fixture.call(request), reference.call(request));
        }
        let request: [&[u8]; 2] = [b"keys", &pattern];
        let (ours, theirs) = (fixture.call(&request), reference.call(&request));
        assert_eq!(
            ours,
            theirs,
            "{n}: {:?} on {:?}",
            String::from_utf8_lossy(&pattern),
            String::from_utf8_lossy(&key)
        );
    }
}

#[test]
fn random_sketches_count_and_are_written_down_as_on_the_reference_server() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let Some(mut reference) = Reference::start() else { return };
    let mut fixture = Fixture::new();
    let mut both = |request: &[&[u8]]| {
        let (ours, theirs) = (fixture.call(request), reference.call(request));
        assert!(ours == theirs, "{}", String::from_utf8_lossy(request[0]));
    };
    for keys in [[&b"a"[..], b"b", b"c"], [b"d", b"e", b"f"]] {
        let limit = [&b"3000"[..], b"0", b"300", b"16000"][rng.usize(..4)];
        both(&[b"config", b"set", b"hll-sparse-max-bytes", limit]);
        for n in 0..requests() / 100 {
            let key = keys[rng.usize(..3)];
            let elements: Vec<Vec<u8>> = (0..rng.usize(1..100))
                .map(|_| (0..rng.usize(..30)).map(|_| rng.u8(..)).collect())
                .collect();
            let mut request = vec![&b"pfadd"[..], key];
            request.extend(elements.iter().map(|element| &element[..]));
            both(&request);
            both(&[b"pfcount", key]);
            both(&[b"get", key]);
            if n % 10 == 0 {
                both(&[b"pfcount", keys[0], keys[1], keys[2]]);
                both(&[b"pfmerge", key, keys[0], keys[1]]);
                both(&[b"get", key]);
                both(&[b"pfdebug", b"encoding", key]);
                both(&[b"pfdebug", b"decode", key]);
            }
        }
    }
}

#[test]
fn arity_flags_and_key_flags_are_those_of_the_reference_server() {
    let Some(mut reference) = Reference::start() else { return };
    let families = [
        bitmap::COMMANDS,
        hyperloglog::COMMANDS,
        string::COMMANDS,
        generic::COMMANDS,
        hash::COMMANDS,
        list::COMMANDS,
        list::blocking::COMMANDS,
        set::COMMANDS,
        zset::COMMANDS,
        zset::blocking::COMMANDS,
    ];
    for command in families.into_iter().flatten() {
        let name = command.name;
        if name == "swithmember" {
            continue; // Only we have it.
        }
        if ["zrank", "zrevrank", "sort", "sort_ro"].contains(&name) {
            // Newer versions than the installed one take WITHSCORE; the keys of SORT that are not
            // among its first arguments are told by `keys_of`.
            continue;
        }
        let info = reference.call(&[b"command", b"info", name.as_bytes()]);
        let info = String::from_utf8(info).unwrap();
        assert!(info.contains(&format!("{name}\r\n:{}\r\n", command.arity)), "{name}: {info}");
        let has = |word: &str| info.contains(&format!("+{word}\r\n"));
        let flags = [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::FAST, "fast"),
            (Flags::BLOCKING, "blocking"),
            (Flags::NOSCRIPT, "noscript"),
            (Flags::DANGEROUS, "@dangerous"),
        ];
        if !command.subcommands.is_empty() {
            continue; // A container's reply holds those of its subcommands.
        }
        for (flag, word) in flags {
            // What administrators do is dangerous by itself.
            let implied = flag == Flags::DANGEROUS && command.flags.has(Flags::ADMIN);
            assert_eq!(command.flags.has(flag) || implied, has(word), "{name}: {word}");
        }
        let key_flags = command.keys.iter().fold(None, |all: Option<KeyFlags>, spec| {
            Some(all.map_or(spec.flags, |all| all | spec.flags))
        });
        let ours: Vec<&str> = key_flags.iter().flat_map(|flags| flags.names()).collect();
        for word in ["RO", "RW", "OW", "RM", "access", "update", "insert", "delete"] {
            assert_eq!(ours.contains(&word), has(word), "{name}: {word}");
        }
    }
}

#[test]
fn random_requests_get_one_whole_reply_each() {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut fixture = Fixture::new();
        fixture.client.protocol = protocol;
        for _ in 0..20_000 {
            let words = request(&mut rng);
            let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            let (reply, replies) = if fixture.client.transaction.is_none() && may_wait(&words) {
                (queued_alone(&args, |request| fixture.call(request)), 3)
            } else {
                (fixture.call(&args), 1)
            };
            let (mut rest, mut whole) = (&reply[..], Vec::new());
            (0..replies).for_each(|_| read_reply(&mut rest, &mut whole));
            assert_eq!(whole, reply, "{words:?}");
            fixture.now_ms += rng.u64(..100);
        }
    }
}
