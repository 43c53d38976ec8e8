//! The two servers side by side: the same requests to both, the replies compared, and, where they
//! differ, told with everything that led there.
//!
//! Knows both servers and what they were asked. Does not know how requests are made.
//!
//! # Invariants
//!
//! B1. A run repeats from its seed: requests, and the time here, follow from the seed and the
//!     request's number alone. No time that a request names comes while a run lasts, and the
//!     reference server removes nothing by itself (`reference.rs`).
//! B2. A difference ends nothing: both begin again with nothing, and the run goes on.

use std::collections::{BTreeSet, VecDeque};

use super::generate::keys;
use super::likeness::{
    changes_nothing_but_counts, comparable, is_newer, is_of_the_past, leaves_half,
};
use super::{Reference, now_ms, read_reply};
use crate::command::Flags;
use crate::command::table::table;
use crate::command::testing::Fixture;
use crate::resp::Protocol;

/// A request, in words.
pub(super) type Words = Vec<String>;

/// How many requests are remembered, and how many of them are shown.
const HISTORY_LEN: usize = 20_000;
const SHOWN_MAX: usize = 200;
/// So many bytes of a reply are shown.
const REPLY_SHOWN_BYTES: usize = 400;
/// With so many differences a run ends.
const DIFFERENCES_MAX: usize = 10;
/// After so many requests all that the keys hold is compared.
const STATE_EVERY: usize = 1_000;

/// Commands that concern every key.
const OF_ALL: &[&str] = &[
    "multi", "exec", "discard", "watch", "unwatch", "select", "swapdb", "flushall", "flushdb",
    "config", "hello", "reset",
];

struct Asked {
    n: usize,
    words: Words,
    reply: Vec<u8>,
}

/// Two servers that were asked the same.
pub(super) struct Beside {
    reference: Reference,
    pub(super) fixture: Fixture,
    protocol: Protocol,
    seed: u64,
    start_ms: u64,
    n: usize,
    history: VecDeque<Asked>,
    queued: Vec<Words>,
    may_abort: bool,
    /// Keys that failed requests have changed there.
    half_done: Vec<String>,
    differences: Vec<String>,
}

impl Beside {
    pub(super) fn new(reference: Reference, protocol: Protocol, seed: u64) -> Self {
        let mut beside = Beside {
            reference,
            fixture: Fixture::new(),
            protocol,
            seed,
            start_ms: now_ms(),
            n: 0,
            history: VecDeque::new(),
            queued: Vec::new(),
            may_abort: false,
            half_done: Vec::new(),
            differences: Vec::new(),
        };
        beside.begin_again();
        beside
    }

    /// Asks both for the same; one that could wait in a transaction of its own, where it does not.
    pub(super) fn ask(&mut self, words: Words) {
        self.n += 1;
        let queueing = self.fixture.client.transaction.is_some();
        match words[0].as_str() {
            // Later versions than the installed one abort the transaction, and so does this one.
            "multi" | "watch" if queueing => {}
            _ if !queueing && may_wait(&words) => {
                for words in [vec!["multi".to_owned()], words, vec!["exec".to_owned()]] {
                    self.ask_both(words);
                }
            }
            _ => self.ask_both(words),
        }
        if self.n.is_multiple_of(STATE_EVERY) && self.fixture.client.transaction.is_none() {
            self.compare_state();
        }
    }

    /// True when there is no point in going on.
    pub(super) fn is_over(&self) -> bool {
        self.differences.len() >= DIFFERENCES_MAX
    }

    pub(super) fn assert_alike(self) {
        let (found, seed) = (self.differences.len(), self.seed);
        let all = self.differences.join("\n\n");
        assert!(found == 0, "{found} differences, {:?}, seed {seed}:\n{all}", self.protocol);
    }

    fn ask_both(&mut self, words: Words) {
        let is_exec = words[0] == "exec";
        if words[0] == "dbsize" && self.fixture.client.transaction.is_none() {
            // There, keys set with a time in the past count until they are touched.
            keys().for_each(|key| _ = self.reference.call(&[b"exists", key.as_bytes()]));
        }
        let (ours, mut theirs) = self.replies(&words);
        match words[0].as_str() {
            "watch" => self.may_abort = false,
            "exec" if self.may_abort && is_aborted(&theirs) && !is_aborted(&ours) => {
                theirs = self.executed_again();
            }
            _ => self.may_abort |= changes_nothing_but_counts(&words),
        }
        let known = self.differences.len();
        if is_exec {
            self.compare_executed(&ours, &theirs);
        } else {
            self.compare(&words, &ours, &theirs);
        }
        if ours == b"+QUEUED\r\n" {
            self.queued.push(words.clone());
        } else if self.fixture.client.transaction.is_none() {
            self.queued.clear();
        }
        for key in std::mem::take(&mut self.half_done) {
            self.replies(&["del".to_owned(), key]);
        }
        let reply = ours[..ours.len().min(REPLY_SHOWN_BYTES)].to_vec();
        self.history.push_back(Asked { n: self.n, words, reply });
        if self.history.len() > HISTORY_LEN {
            self.history.pop_front();
        }
        if self.differences.len() > known {
            self.begin_again();
        }
    }

    fn replies(&mut self, words: &[String]) -> (Vec<u8>, Vec<u8>) {
        let args: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.fixture.now_ms = self.start_ms + u64::try_from(self.n).expect("a usize is a u64");
        (self.fixture.call(&args), self.reference.call(&args))
    }

    /// The reply of EXEC there to the same requests, with nothing watched.
    fn executed_again(&mut self) -> Vec<u8> {
        self.reference.call(&[b"multi"]);
        for request in &self.queued {
            let args: Vec<&[u8]> = request.iter().map(|word| word.as_bytes()).collect();
            self.reference.call(&args);
        }
        self.reference.call(&[b"exec"])
    }

    fn compare(&mut self, request: &[String], ours: &[u8], theirs: &[u8]) {
        let (our, their) = (comparable(request, ours), comparable(request, theirs));
        if leaves_half(request, theirs) {
            self.half_done.push(request[1].clone());
        }
        let is_known = is_newer(request, &our) || is_of_the_past(request, &our, &their);
        if our != their && !is_known {
            self.tell(request, ours, theirs);
        }
    }

    /// Compares EXEC's replies request by request.
    fn compare_executed(&mut self, ours: &[u8], theirs: &[u8]) {
        let queued = std::mem::take(&mut self.queued);
        let head = format!("*{}\r\n", queued.len());
        let parts = (ours.strip_prefix(head.as_bytes()), theirs.strip_prefix(head.as_bytes()));
        match parts {
            (Some(mut ours), Some(mut theirs)) => {
                for request in &queued {
                    let (mut our, mut their) = (Vec::new(), Vec::new());
                    read_reply(&mut ours, &mut our);
                    read_reply(&mut theirs, &mut their);
                    // Keys that expired and were not touched count there.
                    if request[0] != "dbsize" {
                        self.compare(request, &our, &their);
                    }
                }
            }
            _ if ours == theirs => {}
            _ => {
                let all = queued.concat();
                self.tell(&[&["exec".to_owned()][..], &all].concat(), ours, theirs);
            }
        }
    }

    /// Compares what every key holds, so that a difference shows soon after its cause.
    fn compare_state(&mut self) {
        let known = self.differences.len();
        for key in keys() {
            let looks: [&[&str]; 7] = [
                &["type", &key],
                &["ttl", &key],
                &["get", &key],
                &["hgetall", &key],
                &["lrange", &key, "0", "-1"],
                &["smembers", &key],
                &["zrange", &key, "0", "-1", "WITHSCORES"],
            ];
            for look in looks {
                let words: Words = look.iter().map(|word| (*word).to_owned()).collect();
                let (ours, theirs) = self.replies(&words);
                self.compare(&words, &ours, &theirs);
            }
        }
        if self.differences.len() > known {
            self.differences.truncate(known + 1);
            self.begin_again();
        }
    }

    fn tell(&mut self, request: &[String], ours: &[u8], theirs: &[u8]) {
        let mut text = format!(
            "request {}: {request:?}\n  ours: {}\ntheirs: {}\nbefore:",
            self.n,
            ours.escape_ascii(),
            theirs.escape_ascii()
        );
        for asked in self.related(request) {
            text +=
                &format!("\n{:>9} {:?} => {}", asked.n, asked.words, asked.reply.escape_ascii());
        }
        println!("{:?}, seed {}, {text}", self.protocol, self.seed);
        self.differences.push(text);
    }

    /// What was written before to the keys of a request, and to those that went into them.
    fn related(&self, request: &[String]) -> Vec<&Asked> {
        let all: BTreeSet<String> = keys().collect();
        let mut about: BTreeSet<&String> = all.iter().filter(|key| request.contains(key)).collect();
        let mut found = Vec::new();
        for asked in self.history.iter().rev() {
            let is_control = OF_ALL.contains(&asked.words[0].as_str());
            if asked.reply.starts_with(b"-") || !(is_control || is_write(&asked.words)) {
                continue;
            }
            let named = || all.iter().filter(|key| asked.words[1..].contains(key));
            if named().any(|key| about.contains(key)) {
                about.extend(named());
            } else if !is_control {
                continue;
            }
            found.push(asked);
            if found.len() == SHOWN_MAX {
                break;
            }
        }
        found.reverse();
        found
    }

    /// Empties both and forgets what was asked.
    fn begin_again(&mut self) {
        let protocol = if self.protocol == Protocol::Resp3 { "3" } else { "2" };
        let requests: [&[&str]; 6] = [
            &["reset"],
            &["hello", protocol],
            &["flushall"],
            &["config", "set", "hll-sparse-max-bytes", "3000"],
            &["client", "setname", ""],
            &["select", "0"],
        ];
        for request in requests {
            let words: Words = request.iter().map(|word| (*word).to_owned()).collect();
            self.replies(&words);
        }
        self.history.clear();
        self.queued.clear();
        self.may_abort = false;
    }
}

fn is_aborted(reply: &[u8]) -> bool {
    [&b"*-1\r\n"[..], b"_\r\n"].contains(&reply)
}

fn has_flag(words: &[String], flag: Flags) -> bool {
    let entry = table().find(words[0].as_bytes());
    entry.is_some_and(|entry| entry.command.flags.has(flag))
}

fn is_write(words: &[String]) -> bool {
    has_flag(words, Flags::WRITE)
}

/// True if a request could wait, outside a transaction.
pub(super) fn may_wait(words: &[String]) -> bool {
    has_flag(words, Flags::BLOCKING)
}
