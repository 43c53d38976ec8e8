//! Random requests to the handlers: every reply must be whole, and be that of a reference server.
//!
//! The comparison is ignored unless asked for, because it needs a server to compare with:
//!
//! ```sh
//! redis-server --port 7777 --save "" &
//! REFERENCE_PORT=7777 cargo test -p kvserver --lib -- --ignored --test-threads 1 differential
//! ```

mod generate;
mod reference;

use std::time::{SystemTime, UNIX_EPOCH};

use super::testing::Fixture;
use super::{Flags, KeyFlags, generic, hash, string};
use crate::resp::Protocol;
use generate::request;
use reference::{Reference, read_reply};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// How far two replies must be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Likeness {
    /// Byte for byte.
    Same,
    /// Of the same kind: what depends on the instant, or on how a value came to be.
    Kind,
    /// Of the same length: what is drawn at random.
    Length,
    /// The same lines in any order: what has none.
    Lines,
}

fn likeness(request: &[String], reply: &str) -> Likeness {
    match request[0].as_str() {
        "ttl" | "expiretime" | "pexpiretime" if reply.starts_with(":-") => Likeness::Same,
        "ttl" | "expiretime" | "pexpiretime" => Likeness::Kind,
        "object" if request[1] != "FREQ" => Likeness::Kind,
        "scan" | "hscan" => Likeness::Kind,
        "keys" | "hgetall" | "hkeys" | "hvals" => Likeness::Lines,
        "hrandfield" => Likeness::Length,
        _ => Likeness::Same,
    }
}

fn comparable(request: &[String], reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).into_owned();
    if text.starts_with('-') {
        return text;
    }
    match likeness(request, &text) {
        Likeness::Same => text,
        Likeness::Kind => text[..1].to_owned(),
        Likeness::Length if text.starts_with('$') => "$".to_owned(),
        Likeness::Length => text.lines().next().unwrap_or_default().to_owned(),
        Likeness::Lines => {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join(" ")
        }
    }
}

fn compare(protocol: Protocol, seed: u64, requests: usize) {
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut reference = Reference::connect();
    let mut fixture = Fixture::new();
    reference.call(&[b"flushall"]);
    if protocol == Protocol::Resp3 {
        reference.call(&[b"hello", b"3"]);
        fixture.client.protocol = protocol;
    }
    for n in 0..requests {
        let words = request(&mut rng);
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        fixture.now_ms = now_ms();
        if words[0] == "dbsize" {
            // There, keys set with a time in the past count until they are touched.
            for key in generate::keys() {
                reference.call(&[b"exists", key.as_bytes()]);
            }
        }
        let ours = comparable(&words, &fixture.call(&args));
        let theirs = comparable(&words, &reference.call(&args));
        assert_eq!(ours, theirs, "request {n}: {words:?}");
    }
}

#[test]
#[ignore = "needs a reference server"]
fn random_requests_get_the_reference_servers_replies() {
    compare(Protocol::Resp2, fastrand::u64(..), 100_000);
    compare(Protocol::Resp3, fastrand::u64(..), 20_000);
}

#[test]
#[ignore = "needs a reference server"]
fn random_floats_add_up_as_on_the_reference_server() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut reference, mut fixture) = (Reference::connect(), Fixture::new());
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
    for n in 0..100_000 {
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
#[ignore = "needs a reference server"]
fn random_patterns_match_as_on_the_reference_server() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut reference, mut fixture) = (Reference::connect(), Fixture::new());
    for n in 0..50_000 {
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
#[ignore = "needs a reference server"]
fn arity_flags_and_key_flags_are_those_of_the_reference_server() {
    let mut reference = Reference::connect();
    for command in string::COMMANDS.iter().chain(generic::COMMANDS).chain(hash::COMMANDS) {
        let name = command.name;
        let info = reference.call(&[b"command", b"info", name.as_bytes()]);
        let info = String::from_utf8(info).unwrap();
        assert!(info.contains(&format!("{name}\r\n:{}\r\n", command.arity)), "{name}: {info}");
        let has = |word: &str| info.contains(&format!("+{word}\r\n"));
        let flags = [
            (Flags::WRITE, "write"),
            (Flags::READONLY, "readonly"),
            (Flags::DENYOOM, "denyoom"),
            (Flags::FAST, "fast"),
            (Flags::DANGEROUS, "@dangerous"),
        ];
        if !command.subcommands.is_empty() {
            continue; // A container's reply holds those of its subcommands.
        }
        for (flag, word) in flags {
            assert_eq!(command.flags.has(flag), has(word), "{name}: {word}");
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
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    for protocol in [Protocol::Resp2, Protocol::Resp3] {
        let mut fixture = Fixture::new();
        fixture.client.protocol = protocol;
        for _ in 0..20_000 {
            let words = request(&mut rng);
            let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            let reply = fixture.call(&args);
            let (mut rest, mut whole) = (&reply[..], Vec::new());
            read_reply(&mut rest, &mut whole);
            assert_eq!(whole, reply, "{words:?}");
            fixture.now_ms += rng.u64(..100);
        }
    }
}
