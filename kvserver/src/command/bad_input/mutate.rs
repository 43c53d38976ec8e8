//! Each example, made wrong word by word, on both servers.

use super::{Both, KEYS, Words, entry_of, examples, keys_of, show, words};
use crate::command::Flags;

/// What stands where something else should.
const HOSTILE: &[&[u8]] = &[
    b"-9223372036854775808",
    b"9223372036854775807",
    b"-9223372036854775809",
    b"9223372036854775808",
    b"18446744073709551615",
    b"-1",
    b"0",
    b"-0",
    b"+1",
    b"01",
    b" 1",
    b"1 ",
    b"1.5",
    b"1e3",
    b"0x10",
    b"nan",
    b"-nan",
    b"inf",
    b"-inf",
    b"+inf",
    b"1e309",
    b"1e-400",
    b"",
    b"abc",
    b"(",
    b"[",
    b"(nan",
    b"1\0",
    b"\0\r\n$-1\r\n",
    b"\xff\xfe",
    b"99999999999999999999999999999999999999999999999999999999999999999999999999999999999999999",
];

/// True for replies that differ from version 7.0, and shall.
pub(super) fn is_known(request: &[String], ours: &str, theirs: &str) -> bool {
    let name = request[0].as_str();
    match name {
        // Cursors are digits here; the reference server also takes signs, spaces and nothing.
        "scan" | "hscan" | "sscan" | "zscan" => ours == "-ERR invalid cursor\r\n",
        // WITHSCORE came with 7.2.
        "zrank" | "zrevrank" => request.len() > 3,
        // Its own.
        "swithmember" => theirs.starts_with("-ERR unknown command"),
        // Without an end since 7.2.
        "bitcount" => request.len() == 3,
        // Said more exactly since 7.2.
        "exec" => ours.contains("timeout is out of range") && theirs.contains("is negative"),
        // What is drawn at random.
        "spop" => ours.get(..1) == theirs.get(..1),
        // Refused since 7.2.
        "lpos" => ours.contains("value must between -9223372036854775807"),
        // Words that texts repeat end at a NUL there, and are UTF-8 here.
        _ if ours.starts_with('-') && theirs.starts_with('-') => {
            let replaced = "\u{ef}\u{bf}\u{bd}";
            ours.contains(replaced)
                || ours.split_once('\0').is_some_and(|(start, _)| theirs.starts_with(start))
        }
        _ => false,
    }
}

/// Commands whose outcome is a matter of chance.
const BY_CHANCE: &[&str] = &["spop"];

/// Asks for one request; an error must have left what there was.
fn try_one(both: &mut Both, before: &[Vec<u8>], request: &Words) {
    let Some(name) = request.first().map(|name| String::from_utf8_lossy(name).into_owned()) else {
        return;
    };
    both.set_up();
    let reply = both.ask(request);
    let writes = entry_of(request).is_some_and(|e| e.command.flags.has(Flags::WRITE));
    let failed = reply.starts_with(b"-");
    if !writes || BY_CHANCE.contains(&name.as_str()) {
        both.is_set_up &= !writes;
        return;
    }
    let after = both.state();
    assert!(!failed || after == before, "an error left something: {}", show(request));
    both.is_set_up = after == before;
}

/// An example with one word after the other replaced, left out and added.
fn mutations(example: &str) -> Vec<Words> {
    let base = words(example);
    let keys = keys_of(&base);
    let mut all = Vec::new();
    for at in 1..base.len() {
        let others = if keys.contains(&at) { KEYS } else { HOSTILE };
        for other in others {
            let mut request = base.clone();
            request[at] = other.to_vec();
            all.push(request);
        }
        let mut without = base.clone();
        without.remove(at);
        all.push(without);
        all.push(base[..at].to_vec());
        let mut twice = base.clone();
        twice.insert(at, base[at].clone());
        all.push(twice);
    }
    // Every key the same: what a command does to itself.
    for key in KEYS.iter().filter(|_| keys.len() > 1) {
        let mut request = base.clone();
        keys.iter().for_each(|at| request[*at] = key.to_vec());
        all.push(request);
    }
    let mut longer = base.clone();
    longer.push(b"junk".to_vec());
    all.push(longer);
    all.push(base);
    all.retain(|request| !is_undefined(request));
    all
}

/// True where nobody says what comes out: ranges by name of members with different scores.
fn is_undefined(request: &Words) -> bool {
    let has = |word: &[u8]| request.iter().any(|w| w.ends_with(word));
    request.contains(&b"z".to_vec()) && (has(b"bylex") || has(b"zlexcount"))
}

fn try_all(examples: &[&str]) {
    let mut both = Both::new();
    let mut tried = 0;
    for example in examples {
        both.renew();
        both.set_up();
        let before = both.state();
        for request in mutations(example) {
            try_one(&mut both, &before, &request);
            tried += 1;
        }
    }
    both.assert_same();
    assert!(tried > examples.len() * 10, "{tried}");
}

#[test]
fn wrong_requests_to_strings_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::STRINGS);
}

#[test]
fn wrong_requests_to_bitmaps_and_sketches_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::BITS);
}

#[test]
fn wrong_requests_to_any_type_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::GENERIC);
}

#[test]
fn wrong_requests_to_hashes_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::HASHES);
}

#[test]
fn wrong_requests_to_lists_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::LISTS);
}

#[test]
fn wrong_requests_to_sets_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::SETS);
}

#[test]
fn wrong_requests_to_sorted_sets_answer_and_leave_what_the_reference_server_does() {
    try_all(examples::SORTED_SETS);
}
