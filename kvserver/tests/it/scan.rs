//! SCAN and its like over the wire: whatever is there throughout is returned, though others come
//! and go between two pages, and though the server is started again in between.

use std::collections::HashSet;
use std::io::Read;

use kvcore::{Durability, Options, Store};
use tempfile::TempDir;

use crate::support::{Running, Wire};

const STAYING: usize = 3_000;
const PAGES_BEFORE_RESTART: usize = 20;

/// A way to scan: its command, how an element is added and how it is removed.
struct Scan {
    scan: &'static str,
    add: fn(&str) -> String,
    remove: fn(&str) -> String,
    /// A reply's texts for each element.
    texts: usize,
}

const SCANS: [Scan; 4] = [
    Scan { scan: "SCAN", add: |n| format!("SET {n} v"), remove: |n| format!("DEL {n}"), texts: 1 },
    Scan {
        scan: "HSCAN hash",
        add: |n| format!("HSET hash {n} v"),
        remove: |n| format!("HDEL hash {n}"),
        texts: 2,
    },
    Scan {
        scan: "SSCAN set",
        add: |n| format!("SADD set {n}"),
        remove: |n| format!("SREM set {n}"),
        texts: 1,
    },
    Scan {
        scan: "ZSCAN zset",
        add: |n| format!("ZADD zset 1 {n}"),
        remove: |n| format!("ZREM zset {n}"),
        texts: 2,
    },
];

fn open(dir: &TempDir) -> Store {
    Options::new().durability(Durability::Buffered).open(dir.path()).unwrap()
}

fn text(wire: &mut Wire) -> String {
    let len: usize = wire.line().strip_prefix('$').unwrap().parse().unwrap();
    let mut bytes = vec![0; len + 2];
    wire.stream.read_exact(&mut bytes).unwrap();
    bytes.truncate(len);
    String::from_utf8(bytes).unwrap()
}

/// Sends requests together, each of which answers with one line.
fn change(wire: &mut Wire, requests: &[String]) {
    wire.send(requests.iter().map(|request| format!("{request}\r\n")).collect::<String>());
    for request in requests {
        let reply = wire.line();
        assert!(reply.starts_with('+') || reply.starts_with(':'), "{request}: {reply}");
    }
}

/// One page: the elements are added to `seen`; the next cursor.
fn page(wire: &mut Wire, scan: &Scan, cursor: &str, seen: &mut HashSet<String>) -> String {
    wire.send(format!("{} {cursor} COUNT 50\r\n", scan.scan));
    wire.expect("*2\r\n");
    let next = text(wire);
    let count: usize = wire.line().strip_prefix('*').unwrap().parse().unwrap();
    let texts: Vec<String> = (0..count).map(|_| text(wire)).collect();
    seen.extend(texts.into_iter().step_by(scan.texts));
    next
}

/// Some come, and those that came last time go.
fn disturb(wire: &mut Wire, scan: &Scan, round: usize) {
    let names = |round: usize| (0..40).map(move |n| format!("passing:{round}:{n}"));
    let mut requests: Vec<String> = names(round).map(|name| (scan.add)(&name)).collect();
    if let Some(before) = round.checked_sub(1) {
        requests.extend(names(before).map(|name| (scan.remove)(&name)));
    }
    change(wire, &requests);
}

#[test]
fn what_stays_is_scanned_though_others_come_and_go_and_the_server_restarts() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let server = Running::on(store.clone(), |_| {});
    let mut wire = server.connect();
    let stays: HashSet<String> = (0..STAYING).map(|n| format!("staying:{n}")).collect();
    let mut begun = Vec::new();
    for scan in &SCANS {
        let adds: Vec<String> = stays.iter().map(|name| (scan.add)(name)).collect();
        change(&mut wire, &adds);
        let (mut seen, mut cursor) = (HashSet::new(), "0".to_owned());
        for round in 0..PAGES_BEFORE_RESTART {
            cursor = page(&mut wire, scan, &cursor, &mut seen);
            assert!(cursor != "0" && cursor.parse::<u64>().is_ok(), "{}: {cursor}", scan.scan);
            disturb(&mut wire, scan, round);
        }
        begun.push((seen, cursor));
    }
    server.stop().unwrap();
    store.close().unwrap();

    let server = Running::on(open(&dir), |_| {});
    let mut wire = server.connect();
    for (scan, (mut seen, mut cursor)) in SCANS.iter().zip(begun) {
        let mut round = PAGES_BEFORE_RESTART;
        while cursor != "0" {
            cursor = page(&mut wire, scan, &cursor, &mut seen);
            disturb(&mut wire, scan, round);
            round += 1;
            assert!(round < 10_000, "{} ends", scan.scan);
        }
        assert!(round > PAGES_BEFORE_RESTART + 10, "{} had much to do after it", scan.scan);
        let missed: Vec<&String> = stays.difference(&seen).collect();
        assert!(missed.is_empty(), "{}: {missed:?}", scan.scan);
    }
}
