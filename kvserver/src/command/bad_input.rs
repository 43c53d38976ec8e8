//! Requests that are wrong in every way one can think of: each gets one whole reply, an error
//! leaves nothing behind, and replies and state are those of the reference server, where there is
//! one (see [`super::differential`]).
//!
//! Every command that names keys has an example here, and the table is asked whether one is
//! missing.

mod aliases;
mod arity;
mod events;
mod examples;
mod globs;
mod limits;
mod mutate;
mod parameters;
mod watched;

use super::differential::{Reference, comparable, is_newer, read_reply};
use super::table::{Entry, table};
use super::testing::Fixture;
use crate::data::Type;
use crate::resp::Protocol;

/// One key of each kind, by name, and the requests that make them.
const SETUP: &[&str] = &[
    "set s hello",
    "set n 10",
    "hset h a 1 b two",
    "rpush l a b c 3",
    "sadd t a b 3",
    "zadd z 1 a 2 b 3 c",
    "zadd y 0 a 0 b 0 c",
    "pfadd p x y",
];

/// The keys of [`SETUP`], one that is not there, and two that have odd names.
const KEYS: &[&[u8]] =
    &[b"s", b"n", b"h", b"l", b"t", b"z", b"y", b"p", b"none", b"", b"\0\r\n$-1\r\n"];

/// A request, in words.
type Words = Vec<Vec<u8>>;

fn words(request: &str) -> Words {
    let word = |word: &str| if word == "\"\"" { Vec::new() } else { word.as_bytes().to_vec() };
    request.split(' ').map(word).collect()
}

fn show(words: &Words) -> String {
    words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

/// The two servers, side by side.
struct Both {
    fixture: Fixture,
    reference: Option<Reference>,
    /// The keys are those of [`SETUP`].
    is_set_up: bool,
    /// Replies that are not the same.
    differences: Vec<String>,
}

impl Both {
    fn new() -> Self {
        Both {
            fixture: Fixture::new(),
            reference: Reference::start(),
            is_set_up: false,
            differences: Vec::new(),
        }
    }
    /// A new server of ours beside the same reference.
    fn renew(&mut self) {
        self.fixture = Fixture::new();
        self.is_set_up = false;
    }
    fn set_up(&mut self) {
        if !std::mem::replace(&mut self.is_set_up, true) {
            self.ask(&words("flushall"));
            SETUP.iter().for_each(|request| _ = self.ask(&words(request)));
        }
    }
    /// Asks both, compares, and gives our reply. Commands that wait do not, inside MULTI.
    fn ask(&mut self, words: &Words) -> Vec<u8> {
        let entry = entry_of(words);
        let waits = entry.is_some_and(|e| e.command.flags.has(super::Flags::BLOCKING));
        if !waits {
            return self.ask_plainly(words);
        }
        self.ask_plainly(&vec![b"multi".to_vec()]);
        let queued = self.ask_plainly(words);
        let known = self.differences.len();
        let reply = self.ask_plainly(&vec![b"exec".to_vec()]);
        self.differences[known..].iter_mut().for_each(|d| d.insert_str(0, &show(words)));
        if queued.starts_with(b"+") { reply } else { queued }
    }
    fn ask_plainly(&mut self, words: &Words) -> Vec<u8> {
        let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        self.fixture.now_ms = super::differential::now_ms();
        let ours = self.fixture.call(&args);
        let (mut rest, mut whole) = (&ours[..], Vec::new());
        read_reply(&mut rest, &mut whole);
        assert_eq!(whole, ours, "not one reply to {}", show(words));
        if let Some(reference) = &mut self.reference {
            let theirs = reference.call(&args);
            let lossy: Vec<String> = words
                .iter()
                .map(|word| String::from_utf8_lossy(word).to_ascii_lowercase())
                .collect();
            let (a, b) = (comparable(&lossy, &ours), comparable(&lossy, &theirs));
            let is_known = is_newer(&lossy, &a) || mutate::is_known(&lossy, &a, &b);
            if a != b && !is_known {
                let difference = format!(
                    "{}
  ours: {a:?}
theirs: {b:?}",
                    show(words)
                );
                self.differences.push(difference);
            }
        }
        ours
    }
    fn assert_same(&self) {
        assert!(self.differences.is_empty(), "{}", self.differences.join("\n"));
    }
    /// Everything the databases hold, which both must agree on.
    fn state(&mut self) -> Vec<Vec<u8>> {
        let mut state = Vec::new();
        for key in KEYS {
            for look in ["get", "hgetall", "lrange", "smembers", "zrange", "ttl"] {
                let mut request = vec![look.as_bytes().to_vec(), key.to_vec()];
                if look.ends_with("range") {
                    request.extend(words("0 -1"));
                }
                if look == "zrange" {
                    request.extend(words("withscores"));
                }
                state.push(self.ask_plainly(&request));
            }
        }
        state
    }
}

fn entry_of(words: &Words) -> Option<&'static Entry> {
    table().resolve(words.first()?, words.get(1).map(Vec::as_slice))
}

/// The examples of commands that there are.
fn examples() -> impl Iterator<Item = &'static str> {
    let all = examples::EXAMPLES.iter().copied().flatten().copied();
    all.filter(|example| entry_of(&words(example)).is_some())
}

/// Where the keys of a request are.
fn keys_of(words: &Words) -> Vec<usize> {
    let args: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let Some(entry) = entry_of(words) else { return Vec::new() };
    let found = super::introspection::positions(entry.command, &args).unwrap_or_default();
    let mut places: Vec<usize> = found.into_iter().map(|(at, _)| at).collect();
    places.dedup();
    places
}

#[test]
fn every_command_that_names_keys_has_an_example() {
    let is_shown = |entry: &Entry| {
        let mut all = examples();
        all.any(|example| entry_of(&words(example)).is_some_and(|e| e.index == entry.index))
    };
    let all = table().entries().iter().flat_map(Entry::with_subcommands);
    let with_keys = all.filter(|e| !e.command.keys.is_empty() || e.command.keys_of.is_some());
    let missing: Vec<&str> =
        with_keys.filter(|e| !is_shown(e)).map(|e| e.full_name.as_str()).collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}

#[test]
fn every_example_is_a_request_that_works() {
    let mut both = Both::new();
    both.reference = None;
    for example in examples() {
        both.is_set_up = false;
        both.set_up();
        let reply = both.ask(&words(example));
        assert!(!reply.starts_with(b"-"), "{example}: {}", reply.escape_ascii());
    }
}

/// The type that a command of a group works on.
fn type_of(group: super::Group) -> Option<Type> {
    use super::Group;
    Some(match group {
        Group::String | Group::Bitmap | Group::HyperLogLog => Type::String,
        Group::List => Type::List,
        Group::Set => Type::Set,
        Group::SortedSet => Type::ZSet,
        Group::Hash => Type::Hash,
        _ => return None,
    })
}

#[test]
fn keys_of_other_types_are_wrong_for_every_command_of_a_type() {
    const KINDS: [(&[u8], Type); 5] = [
        (b"s", Type::String),
        (b"h", Type::Hash),
        (b"l", Type::List),
        (b"t", Type::Set),
        (b"z", Type::ZSet),
    ];
    let mut both = Both::new();
    both.reference = None;
    let mut checked = 0;
    for example in examples() {
        let base = words(example);
        let command = entry_of(&base).expect("an example is a command").command;
        let Some(own) = type_of(command.group) else { continue };
        let args: Vec<&[u8]> = base.iter().map(Vec::as_slice).collect();
        for (at, flags) in super::introspection::positions(command, &args).unwrap_or_default() {
            // What is overwritten or counted as missing may be anything; LCS has a text of its own.
            let ignores = ["lcs", "mget", "setnx", "swithmember"].contains(&command.name);
            let is_target = at == 1 && command.name.ends_with("store");
            if flags.has(super::KeyFlags::OW) || is_target || ignores {
                continue;
            }
            for (key, kind) in KINDS {
                // Sets are sorted sets whose scores are 1 to those who combine them.
                if kind == own || (own == Type::ZSet && kind == Type::Set) {
                    continue;
                }
                let mut request = base.clone();
                request[at] = key.to_vec();
                both.is_set_up = false;
                both.set_up();
                let reply = both.ask(&request);
                let is_wrong =
                    reply.starts_with(b"-WRONGTYPE") || reply.starts_with(b"*1\r\n-WRONGTYPE");
                assert!(is_wrong, "{}: {}", show(&request), reply.escape_ascii());
                checked += 1;
            }
        }
    }
    assert!(checked > 400, "{checked}");
}

#[test]
fn binary_names_and_values_come_back_as_they_were() {
    let mut both = Both::new();
    let odd: &[&[u8]] = &[b"", b"\0", b"\r\n", b"*1\r\n$4\r\nPING\r\n", b"\xff\xfe\x80", b" "];
    for name in odd {
        for value in odd {
            let bulk = [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat();
            let mut check = |write: &[&[u8]], read: &[&[u8]]| {
                let owned = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
                both.ask(&owned(&[b"del", name]));
                both.ask(&owned(write));
                assert_eq!(both.ask(&owned(read)), bulk, "{}", show(&owned(write)));
            };
            check(&[b"set", name, value], &[b"get", name]);
            check(&[b"hset", name, b"f", value], &[b"hget", name, b"f"]);
            check(&[b"hset", name, value, value], &[b"hget", name, value]);
            check(&[b"rpush", name, value], &[b"lindex", name, b"-1"]);
            check(&[b"sadd", name, value], &[b"srandmember", name]);
            check(&[b"zadd", name, b"1", value], &[b"zrandmember", name]);
            check(&[b"append", name, value], &[b"getrange", name, b"0", b"-1"]);
        }
    }
    both.assert_same();
}

#[test]
fn wrong_requests_in_resp3_get_one_whole_reply_too() {
    let mut both = Both::new();
    both.reference = None;
    both.fixture.client.protocol = Protocol::Resp3;
    for example in examples() {
        let base = words(example);
        for at in 1..base.len() {
            both.set_up();
            let mut request = base.clone();
            request[at] = b"\0\r\n".to_vec();
            both.ask(&request);
            both.is_set_up = false;
        }
    }
}
