//! What parameters take: the same as the reference server's, bound by bound.

use super::{Both, words};

/// Values at the ends of what numbers can be, with units and without, and what is none.
const VALUES: &[&str] = &[
    "0",
    "1",
    "2",
    "-1",
    "-2",
    "-5",
    "-6",
    "10",
    "100",
    "101",
    "500",
    "501",
    "1000",
    "65535",
    "65536",
    "1048575",
    "1048576",
    "32767",
    "32768",
    "-32769",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "0x10",
    "010",
    "+1",
    " 1",
    "1 ",
    "1.5",
    "1e3",
    "",
    "-",
    "-0",
    "00",
    "yes",
    "no",
    "YES",
    "true",
    "nan",
    "inf",
    "1k",
    "1kb",
    "1K",
    "1mb",
    "1MB",
    "1g",
    "1gb",
    "1t",
    "1tb",
    "1b",
    "1bb",
    "-1mb",
    "-1b",
    "1 mb",
    "1.5mb",
    "kb",
    "8589934591gb",
    "8589934592gb",
    "17179869183gb",
    "9223372036854775807b",
    "9223372036854775808b",
    "18446744073709551615b",
    "18446744073709551616b",
    "1%",
    "0%",
    "100%",
    "101%",
    "-1%",
    "%",
    "1%%",
    "777",
    "778",
    "1000000",
    "nosave",
    "always",
    "everysec",
    "KEA",
    "noeviction",
    "allkeys-lru",
];

/// Those of several words, for parameters that have a form of their own.
const LISTS: &[(&str, &[&str])] = &[
    (
        "client-output-buffer-limit",
        &[
            "normal 0 0 0",
            "normal 9223372036854775807 0 0",
            "normal 9223372036854775808 0 0",
            "normal 18446744073709551615 0 0",
            "normal -1 0 0",
            "normal 1gb 1mb 9223372036854775807",
            "normal 0 0 -1",
            "normal 0 0 2147483648",
            "normal 0 0 1x",
            "pubsub 1 2 3 slave 1 2 3",
            "replica 1 2 3",
            "master 1 2 3",
            "other 1 2 3",
            "normal 1 2",
            "normal 1 2 3 normal 4 5 6",
            "NORMAL 1 2 3",
        ],
    ),
    ("save", &["3600 1", "3600 1 60 5", "3600", "0 1", "1 0", "1 -1", "a b", "3600 1 60"]),
    (
        "oom-score-adj-values",
        &[
            "0 1 2",
            "-2000 0 2000",
            "-2001 0 0",
            "0 0 2001",
            "0 0",
            "0 0 0 0",
            "a b c",
            "2 1 0",
            "0 200 100",
        ],
    ),
    (
        "latency-tracking-info-percentiles",
        &["50 99 99.9", "0 100", "100.1", "-1", "nan", "50 x", "1e1"],
    ),
    ("notify-keyspace-events", &["AKE", "KEA$", "g$lshzxetdmKE", "K", "Q", "", "a", "KEd", "gxKE"]),
    (
        "shutdown-on-sigterm",
        &[
            "save now",
            "nosave save",
            "default",
            "force",
            "now now",
            "x",
            "SAVE",
            "default now",
            "save nosave",
        ],
    ),
    ("shutdown-on-sigint", &["save now", "nosave force", "default default"]),
    ("loglevel", &["debug", "verbose", "notice", "warning", "DEBUG", "nothing", "err"]),
    ("maxmemory-policy", &["volatile-lru", "VOLATILE-TTL", "allkeys", "lru"]),
    ("sanitize-dump-payload", &["no", "yes", "clients", "x"]),
    ("repl-diskless-load", &["disabled", "on-empty-db", "swapdb", "flush-before-load"]),
    ("appendfsync", &["no", "ALWAYS", "sometimes"]),
    ("requirepass", &[""]),
    ("maxclients", &["0", "-1", "1x", "4294967296", "0x10"]),
    (
        "maxmemory-clients",
        &[
            "0",
            "",
            "%",
            "101%",
            "1%%",
            "-1",
            "-1%",
            "9223372036854775808",
            "1tb",
            "0%",
            "5%",
            "100mb",
            "1048576000",
        ],
    ),
];

/// Parameters that would end the reference server's connection, or move its files.
const APART: &[&str] = &[
    "bind",
    "bind-source-addr",
    "dir",
    "port",
    "tls-port",
    "unixsocket",
    "requirepass",
    "dbfilename",
    "maxmemory-clients",
    "client-output-buffer-limit",
    "masterauth",
    "maxclients",
    "masteruser",
];

/// What is known to differ: later versions have other bounds and words, some can be set at the
/// start only here, and a title of the process is only remembered.
const KNOWN: &[&str] = &["loglevel", "maxmemory-samples", "proc-title-template", "protected-mode"];

/// Parameters of several words, where blanks around one are no more than that here.
const OF_WORDS: &[&str] = &["latency-tracking-info-percentiles", "save"];

fn set(both: &mut Both, name: &str, value: &str) {
    let mut request = words("config set");
    request.extend([name.as_bytes().to_vec(), value.as_bytes().to_vec()]);
    let reply = both.ask_plainly(&request);
    if reply.starts_with(b"+") {
        both.ask_plainly(&words(&format!("config get {name}")));
    }
}

/// The names and values of CONFIG GET.
fn all(reply: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(reply).into_owned();
    let bulks: Vec<&str> = text.split("\r\n").skip(2).step_by(2).collect();
    let pairs = bulks.chunks_exact(2);
    pairs.map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect()
}

#[test]
fn every_parameter_takes_and_refuses_what_the_reference_server_does() {
    let mut both = Both::new();
    let Some(reference) = &mut both.reference else { return };
    let theirs = all(&reference.call(&[b"config", b"get", b"*"]));
    let ours = all(&both.fixture.call(&[b"config", b"get", b"*"]));
    let mut compared = 0;
    for (name, their_value) in &theirs {
        if KNOWN.contains(&name.as_str()) {
            continue;
        }
        let Some((_, our_value)) = ours.iter().find(|(ours, _)| ours == name) else { continue };
        let lists = LISTS.iter().filter(|(of, _)| of == name).flat_map(|(_, values)| *values);
        let is_blank = |value: &str| OF_WORDS.contains(&name.as_str()) && value != value.trim();
        let values = VALUES.iter().filter(|value| !is_blank(value));
        let values = values.filter(|_| !APART.contains(&name.as_str()));
        for value in values.chain(lists) {
            set(&mut both, name, value);
            compared += 1;
        }
        let reference = both.reference.as_mut().expect("it was there");
        reference.call(&[b"config", b"set", name.as_bytes(), their_value.as_bytes()]);
        both.fixture.call(&[b"config", b"set", name.as_bytes(), our_value.as_bytes()]);
    }
    both.assert_same();
    assert!(compared > 5_000, "{compared}");
}
