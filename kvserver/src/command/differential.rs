//! Random requests to the handlers: every reply must be whole, and be that of a reference server.
//!
//! The reference is the `redis-server` of the machine, version 7, started for each test; where
//! there is none the comparisons are skipped, and say so. More of the same:
//!
//! ```sh
//! KVSERVER_REFERENCE_REQUESTS=1000000 cargo test --release -p kvserver --lib differential
//! ```
//!
//! A run prints its seeds; `KVSERVER_REFERENCE_SEED` repeats one.

mod generate;
mod reference;

use std::time::{SystemTime, UNIX_EPOCH};

use super::table::table;
use super::testing::Fixture;
use super::{Flags, KeyFlags, bitmap, generic, hash, hyperloglog, list, set, string, zset};
use crate::resp::Protocol;
use generate::request;
pub(super) use reference::{Reference, read_reply};

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
    /// The same numbers, however they are written; there is one zero.
    Numbers,
}

fn likeness(request: &[String], reply: &str) -> Likeness {
    match request[0].as_str() {
        "ttl" | "expiretime" | "pexpiretime" if reply.starts_with(":-") => Likeness::Same,
        "ttl" | "expiretime" | "pexpiretime" => Likeness::Kind,
        "object" if request[1] != "FREQ" => Likeness::Kind,
        "scan" | "hscan" | "sscan" | "zscan" => Likeness::Kind,
        "keys" | "hgetall" | "hkeys" | "hvals" | "smembers" | "sinter" | "sunion" | "sdiff"
        | "spop" => Likeness::Lines,
        "hrandfield" | "srandmember" | "zrandmember" => Likeness::Length,
        name if name.starts_with('z') || name.starts_with("bz") => Likeness::Numbers,
        _ => Likeness::Same,
    }
}

pub(super) fn comparable(request: &[String], reply: &[u8]) -> String {
    // A character for each byte, so that nothing is lost.
    let text: String = reply.iter().map(|byte| char::from(*byte)).collect();
    if text.starts_with('-') {
        return text;
    }
    match likeness(request, &text) {
        Likeness::Same => text,
        Likeness::Kind => text[..1].to_owned(),
        Likeness::Length if text.starts_with('$') => "$".to_owned(),
        Likeness::Length => text.lines().next().unwrap_or_default().to_owned(),
        Likeness::Numbers => {
            let number = |line: &str| line.trim_start_matches(',').parse::<f64>().ok();
            let value =
                |line: &str| number(line).map_or(line.to_owned(), |n| (n + 0.0).to_string());
            let lines = text.lines().filter(|line| !line.starts_with('$')).map(value);
            lines.collect::<Vec<_>>().join(" ")
        }
        Likeness::Lines => {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.sort_unstable();
            lines.join(" ")
        }
    }
}

/// True for replies in which version 7.2 differs from 7.0: there, BITCOUNT and BITPOS ask for the
/// key before they read their arguments.
pub(super) fn is_newer(request: &[String], ours: &str) -> bool {
    ["bitcount", "bitpos"].contains(&request[0].as_str()) && ours.starts_with("-ERR")
}

/// True if a request could wait: it is queued in a transaction of its own, where it does not.
fn may_wait(args: &[&[u8]], fixture: &Fixture) -> bool {
    let entry = table().find(args[0]);
    fixture.client.transaction.is_none()
        && entry.is_some_and(|entry| entry.command.flags.has(Flags::BLOCKING))
}

/// The replies to a request in a transaction of its own.
fn queued_alone(args: &[&[u8]], call: impl FnMut(&[&[u8]]) -> Vec<u8>) -> Vec<u8> {
    [&[&b"multi"[..]][..], args, &[b"exec"]].map(call).concat()
}

/// True for requests that may change nothing, and all the same make EXEC fail there: a key set with
/// a time in the past that was not there, a list trimmed to what it is.
fn changes_nothing_but_counts(request: &[String]) -> bool {
    let has_time = |word: &String| ["EXAT", "PXAT"].contains(&word.as_str());
    request[0] == "ltrim" || request.iter().any(has_time)
}

fn is_aborted(reply: &[u8]) -> bool {
    [&b"*-1\r\n"[..], b"_\r\n"].contains(&reply)
}

/// The reply of EXEC to the same requests, with nothing watched.
fn executed_again(reference: &mut Reference, queued: &[Vec<String>]) -> Vec<u8> {
    reference.call(&[b"multi"]);
    for request in queued {
        let args: Vec<&[u8]> = request.iter().map(|word| word.as_bytes()).collect();
        reference.call(&args);
    }
    reference.call(&[b"exec"])
}

fn compare(reference: &mut Reference, protocol: Protocol, requests: usize) {
    let seed = seed();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut fixture = Fixture::new();
    if protocol == Protocol::Resp3 {
        reference.call(&[b"hello", b"3"]);
        fixture.client.protocol = protocol;
    }
    let mut queued: Vec<Vec<String>> = Vec::new();
    let mut may_abort = false;
    for n in 0..requests {
        let words = request(&mut rng);
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        fixture.now_ms = now_ms();
        let queueing = fixture.client.transaction.is_some();
        if queueing && ["multi", "watch"].contains(&words[0].as_str()) {
            // Later versions than the installed one abort the transaction, and so does this one.
            continue;
        }
        if words[0] == "dbsize" && !queueing {
            // There, keys set with a time in the past count until they are touched.
            for key in generate::keys() {
                reference.call(&[b"exists", key.as_bytes()]);
            }
        }
        if may_wait(&args, &fixture) {
            let ours = queued_alone(&args, |request| fixture.call(request));
            let theirs = queued_alone(&args, |request| reference.call(request));
            assert_alike(&words, &ours, &theirs, n);
            continue;
        }
        let (ours, mut theirs) = (fixture.call(&args), reference.call(&args));
        match words[0].as_str() {
            "watch" => may_abort = false,
            "exec" if may_abort && is_aborted(&theirs) && !is_aborted(&ours) => {
                theirs = executed_again(reference, &queued);
            }
            _ => may_abort |= changes_nothing_but_counts(&words),
        }
        if words[0] == "exec" {
            assert_executed_alike(&queued, &ours, &theirs, n);
        } else {
            assert_alike(&words, &ours, &theirs, n);
        }
        if ours == b"+QUEUED\r\n" {
            queued.push(words);
        } else if fixture.client.transaction.is_none() {
            queued.clear();
        }
    }
}

fn assert_alike(request: &[String], ours: &[u8], theirs: &[u8], n: usize) {
    let (ours, theirs) = (comparable(request, ours), comparable(request, theirs));
    if !is_newer(request, &ours) {
        assert_eq!(ours, theirs, "request {n}: {request:?}");
    }
}

/// Compares EXEC's replies request by request.
fn assert_executed_alike(queued: &[Vec<String>], ours: &[u8], theirs: &[u8], n: usize) {
    let head = format!("*{}\r\n", queued.len());
    let parts = (ours.strip_prefix(head.as_bytes()), theirs.strip_prefix(head.as_bytes()));
    let (Some(mut ours), Some(mut theirs)) = parts else {
        let text = |reply| String::from_utf8_lossy(reply);
        assert_eq!(text(ours), text(theirs), "request {n}: exec of {queued:?}");
        return;
    };
    for request in queued {
        let (mut our, mut their) = (Vec::new(), Vec::new());
        read_reply(&mut ours, &mut our);
        read_reply(&mut theirs, &mut their);
        // Keys that expired and were not touched count there.
        if request[0] != "dbsize" {
            assert_alike(request, &our, &their, n);
        }
    }
}

#[test]
fn random_requests_get_the_reference_servers_replies() {
    // Each on a server of its own: requests also change its settings and the connection.
    for (protocol, requests) in [(Protocol::Resp2, requests()), (Protocol::Resp3, requests() / 5)] {
        let Some(mut reference) = Reference::start() else { return };
        compare(&mut reference, protocol, requests);
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
            let (reply, replies) = if may_wait(&args, &fixture) {
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
