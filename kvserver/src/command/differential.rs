//! Random requests to the handlers: every reply must be whole, and be that of a reference server.
//!
//! The reference is the `redis-server` of the machine, version 7, started for each test; where
//! there is none the comparisons are skipped, and say so. More of the same:
//!
//! ```sh
//! KVSERVER_REFERENCE_REQUESTS=1000000 cargo test --release -p kvserver --lib differential
//! ```

use std::time::{SystemTime, UNIX_EPOCH};

use self::reference::{Reference, read_reply};
use super::testing::Fixture;
use super::{Flags, KeyFlags, generic, string};
use crate::resp::Protocol;

mod reference;

/// How many requests a comparison makes, unless told otherwise.
const REQUESTS_DEFAULT: usize = 10_000;

fn requests() -> usize {
    let text = std::env::var("KVSERVER_REFERENCE_REQUESTS").ok();
    text.map_or(REQUESTS_DEFAULT, |text| text.parse().expect("a number"))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

const WORDS: &[&str] = &[
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "REPLACE",
    "DB",
    "IDX",
    "LEN",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "junk",
    "set",
    "k1",
    "ASYNC",
    "SYNC",
];

const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "5",
    "-5",
    "10",
    "100",
    "1000",
    "100000",
    "-100",
    "16",
    "15",
    "3",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854776",
    "4294967296",
    "2147483648",
    "1e3",
    "1.5",
    "-2.25",
    "0.1",
    "0.2",
    "3.0e2",
    "+1",
    "01",
    " 1",
    "1 ",
    "",
    "abc",
    "0x10",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "1e4000",
    "1e5000",
    "1e-20",
    "1e-5000",
    "-0",
    "123456789.123456789123456789",
    "4102444800",
    "4102444800000",
    "9999999999999999999999",
    ".5",
    "5.",
    "18446744073709551615",
    "18446744073709551616.5",
    "0.00000000000000000501",
    "-0.1",
];

/// Where a number may be a time: none so near that the two servers could see different sides of it.
const TIMES: &[&str] = &[
    "0",
    "-1",
    "-100",
    "100000",
    "200000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854776",
    "-9223372036854776",
    "1.5",
    "abc",
    "",
    "4102444800",
    "4102444800000",
    "+1",
    "9223372036854770000",
    "9223370399119966",
];

const TIMED: &[&str] =
    &["set", "setex", "psetex", "getex", "expire", "pexpire", "expireat", "pexpireat"];

const VALUES: &[&str] = &["", "foobar", "hello world", "ohmytext", "mynewtext", "aXbXcXd", "XaXbX"];

const COMMANDS: &[(&str, &str)] = &[
    ("set", "kv"),
    ("set", "kvw"),
    ("set", "kvwn"),
    ("set", "kvwnw"),
    ("set", "kn"),
    ("get", "k"),
    ("append", "kv"),
    ("append", "kn"),
    ("decr", "k"),
    ("incr", "k"),
    ("incrby", "kn"),
    ("decrby", "kn"),
    ("incrbyfloat", "kn"),
    ("incrbyfloat", "kn"),
    ("getdel", "k"),
    ("getex", "k"),
    ("getex", "kwn"),
    ("getex", "kw"),
    ("getrange", "knn"),
    ("substr", "knn"),
    ("getset", "kv"),
    ("mget", "kkk"),
    ("mset", "kvkv"),
    ("mset", "kvk"),
    ("msetnx", "kvkv"),
    ("msetnx", "kvk"),
    ("setex", "knv"),
    ("psetex", "knv"),
    ("setnx", "kv"),
    ("setrange", "ksv"),
    ("strlen", "k"),
    ("lcs", "kk"),
    ("lcs", "kkw"),
    ("lcs", "kkwnw"),
    ("lcs", "kkww"),
    ("getbit", "kn"),
    ("setbit", "ksb"),
    ("del", "kk"),
    ("unlink", "k"),
    ("exists", "kk"),
    ("type", "k"),
    ("touch", "kk"),
    ("rename", "kk"),
    ("renamenx", "kk"),
    ("copy", "kk"),
    ("copy", "kkw"),
    ("copy", "kkwn"),
    ("copy", "kkwnw"),
    ("move", "kn"),
    ("expire", "kn"),
    ("expire", "knw"),
    ("expire", "knww"),
    ("pexpire", "knw"),
    ("expireat", "knw"),
    ("pexpireat", "knw"),
    ("ttl", "k"),
    ("expiretime", "k"),
    ("pexpiretime", "k"),
    ("persist", "k"),
    ("dbsize", ""),
    ("swapdb", "nn"),
    ("flushdb", "w"),
    ("object", "ok"),
    ("scan", "c"),
    ("keys", "k"),
    ("set", "k"),
    ("get", ""),
    ("expire", "k"),
    ("object", "o"),
    ("pttl", "kk"),
];

fn request(rng: &mut fastrand::Rng) -> Vec<String> {
    let (name, shape) = COMMANDS[rng.usize(..COMMANDS.len())];
    let mut words = vec![name.to_owned()];
    for kind in shape.chars() {
        words.push(match kind {
            'k' => format!("k{}", rng.u8(0..6)),
            'v' if rng.bool() => VALUES[rng.usize(..VALUES.len())].to_owned(),
            'n' if TIMED.contains(&name) => TIMES[rng.usize(..TIMES.len())].to_owned(),
            'v' | 'n' => NUMBERS[rng.usize(..NUMBERS.len())].to_owned(),
            'w' => WORDS[rng.usize(..WORDS.len())].to_owned(),
            's' => ["0", "3", "20", "-1", "x", "99999999999"][rng.usize(..6)].to_owned(),
            'c' => ["0", "1", "x", "1 ", " 1", "18446744073709551616"][rng.usize(..6)].to_owned(),
            'b' => ["0", "1", "2", "-1", "x"][rng.usize(..5)].to_owned(),
            'o' => ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"][rng.usize(..4)].to_owned(),
            other => panic!("no such kind of word: {other}"),
        });
    }
    words
}

/// What depends on the instant, or on how a value came to be, is compared by its shape only.
fn comparable(request: &[String], reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).into_owned();
    let name = request[0].as_str();
    let inexact = match name {
        "ttl" | "expiretime" | "pexpiretime" => text.starts_with(':') && !text.starts_with(":-"),
        "object" => request[1] != "FREQ" && !text.starts_with("-"),
        "scan" => text.starts_with('*'),
        _ => false,
    };
    if name == "keys" {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        return lines.join(" ");
    }
    if inexact { text[..1].to_owned() } else { text }
}

fn compare(reference: &mut Reference, protocol: Protocol, requests: usize) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
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
            reference.call(&[b"exists", b"k0", b"k1", b"k2", b"k3", b"k4", b"k5"]);
        }
        let ours = comparable(&words, &fixture.call(&args));
        let theirs = comparable(&words, &reference.call(&args));
        assert_eq!(ours, theirs, "request {n}: {words:?}");
    }
}

#[test]
fn random_requests_get_the_reference_servers_replies() {
    let Some(mut reference) = Reference::start() else { return };
    compare(&mut reference, Protocol::Resp2, requests());
    compare(&mut reference, Protocol::Resp3, requests() / 5);
}

#[test]
fn random_floats_add_up_as_on_the_reference_server() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
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
    let seed = fastrand::u64(..);
    println!("seed {seed}");
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
fn arity_flags_and_key_flags_are_those_of_the_reference_server() {
    let Some(mut reference) = Reference::start() else { return };
    for command in string::COMMANDS.iter().chain(generic::COMMANDS) {
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
