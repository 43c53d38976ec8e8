//! `kill -9` at any moment leaves a reverse index that answers what asking every set would.
//!
//! Two connections change sets they share, in one database, and large ones that the background
//! cleans up after; then the process is killed, or killed while it builds the index anew.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use super::check_log;
use super::client::Conn;
use super::reply::Reply;
use crate::spawned::{PATIENCE, Spawned, Start, live_until};

const CYCLES: usize = 6;
const MEMBERS: usize = 40;

#[test]
fn kill_9_leaves_sets_and_their_reverse_index_in_agreement() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let root = TempDir::new().unwrap();
    let mut found = 0;
    for cycle in 0..CYCLES {
        // Off and on again: it is built from what there is.
        let is_on = cycle % 3 != 2;
        let mut server = spawn(&root, if is_on { "yes" } else { "no" });
        if rng.u32(..3) == 0 {
            server.wait_ready(Duration::from_micros(rng.u64(0..25_000)));
            server.kill();
            check_log(&server).unwrap();
            server = spawn(&root, if is_on { "yes" } else { "no" });
        }
        let Start::Ready(addr) = server.wait_ready(PATIENCE) else {
            panic!("seed {seed}: cannot start: {}\n{}", server.said(), server.log());
        };
        if is_on {
            found += compare(addr, seed);
        }
        let ends_at = Instant::now() + Duration::from_micros(rng.u64(20_000..300_000));
        let replied = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let (rng, replied) = (rng.fork(), &replied);
                scope.spawn(move || write_until_broken(addr, rng, replied));
            }
            live_until(ends_at, || replied.load(Ordering::Relaxed));
            server.kill();
        });
        check_log(&server).unwrap();
    }
    let mut server = spawn(&root, "yes");
    found += compare(server.ready(), seed);
    assert!(found > 0, "seed {seed}: there was something to find");
}

fn spawn(root: &TempDir, index: &str) -> Spawned {
    let args = ["--set-reverse-index", index, "--data-file-bytes", "65536", "--threads", "2"];
    Spawned::new(&root.path().join("store"), &root.path().join("log"), &args)
}

fn write_until_broken(addr: SocketAddr, mut rng: Rng, replied: &AtomicBool) {
    let Ok(mut conn) = Conn::new(addr) else { return };
    loop {
        let requests: Vec<_> = (0..rng.usize(1..30)).flat_map(|_| requests(&mut rng)).collect();
        if conn.ask(&requests).is_err() {
            return;
        }
        replied.store(true, Ordering::Relaxed);
    }
}

/// One change, or several in a MULTI.
fn requests(rng: &mut Rng) -> Vec<Vec<Vec<u8>>> {
    let words = |text: &str| text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    if rng.u32(..4) > 0 {
        return vec![words(&change(rng))];
    }
    let mut requests = vec![words("MULTI")];
    requests.extend((0..rng.u32(1..5)).map(|_| words(&change(rng))));
    requests.push(words("EXEC"));
    requests
}

fn change(rng: &mut Rng) -> String {
    let (one, two) = (rng.u32(..8), rng.u32(..8));
    let mut member = || format!("m{}", rng.usize(..MEMBERS));
    let (m, n) = (member(), member());
    match rng.u32(..20) {
        0..8 => format!("SADD k{one} {m} {n}"),
        8..10 => format!("SREM k{one} {m} {n}"),
        10 => format!("SMOVE k{one} k{two} {m}"),
        11 => format!("DEL k{one}"),
        12 => format!("RENAME k{one} k{two}"),
        13 => format!("COPY k{one} k{two} REPLACE"),
        14 => format!("SUNIONSTORE k{one} k{one} k{two}"),
        15 => format!("PEXPIRE k{one} {}", rng.u32(1..40)),
        16 => {
            let many: String = (0..3_000).map(|n| format!(" big{n}")).collect();
            format!("SADD k{one}{many}")
        }
        17 => format!("SET k{one} v"),
        18 => format!("HSET h{one} {m} v"),
        _ if rng.u32(..20) == 0 => "FLUSHDB".to_owned(),
        _ => format!("SPOP k{one} 3"),
    }
}

/// Compares the index with the sets themselves; how many memberships there are.
fn compare(addr: SocketAddr, seed: u64) -> usize {
    let mut conn = Conn::new(addr).unwrap();
    // One step, as keys expire meanwhile.
    conn.say("MULTI").unwrap();
    (0..8).for_each(|key| drop(conn.say(&format!("SMEMBERS k{key}")).unwrap()));
    let members: Vec<String> =
        (0..MEMBERS).map(|m| format!("m{m}")).chain(["big0".into(), "big2999".into()]).collect();
    members.iter().for_each(|m| drop(conn.say(&format!("SWITHMEMBER {m}")).unwrap()));
    let Reply::Array(mut sets) = conn.say("EXEC").unwrap() else { panic!("EXEC") };
    let answers = sets.split_off(8);
    let mut wanted: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (key, set) in sets.into_iter().enumerate() {
        for member in bulks(set) {
            wanted.entry(member).or_default().insert(format!("k{key}").into_bytes());
        }
    }
    let mut found = 0;
    for (member, answer) in members.iter().zip(answers) {
        let wanted = wanted.remove(member.as_bytes()).unwrap_or_default();
        let answer = bulks(answer);
        found += answer.len();
        assert_eq!(answer, wanted, "seed {seed}: the sets of {member}");
    }
    found
}

/// The elements of an array; of an error (the key holds another type) none.
fn bulks(reply: Reply) -> BTreeSet<Vec<u8>> {
    let Reply::Array(items) = reply else { return BTreeSet::new() };
    let bulk = |item| match item {
        Reply::Bulk(bulk) => bulk,
        other => panic!("{other:?}"),
    };
    items.into_iter().filter_map(bulk).collect()
}
