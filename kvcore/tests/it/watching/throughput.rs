//! What watchers cost writers. Everyday runs are short and notice only what is gross; measured is,
//! in an optimised build and on a machine with nothing else to do:
//!
//! `KVCORE_WATCH_ROUNDS=5 cargo test --release -p kvcore --test it throughput -- --nocapture`

use std::time::Instant;

use kvcore::{Durability, Keyspace, Options, Raw, Store, Watcher};

type Bytes = Keyspace<u64, [u8], Raw>;

const KEYS: u64 = 100_000;
/// Turns in a row with the same watchers, then new ones.
const TURNS: usize = 200;

/// How much is run, and how much of the throughput has to stay.
#[derive(Clone, Copy, Debug)]
struct Plan {
    rounds: u64,
    turns: usize,
    /// Puts in one turn: few, so that whatever else the machine does meets both stores alike.
    puts: u64,
    kept: f64,
}

impl Plan {
    fn of_this_run() -> Plan {
        match crate::crash::setting("KVCORE_WATCH_ROUNDS", 0) {
            0 => Plan { rounds: 1, turns: 151, puts: 100, kept: 0.5 },
            rounds => Plan { rounds, turns: TURNS, puts: 1_000, kept: 0.95 },
        }
    }
}

fn store() -> (Store, Bytes) {
    let options = Options::new().durability(Durability::Buffered);
    let store = options.open_temporary().expect("a temporary directory");
    let keyspace: Bytes = store.keyspace("bytes").expect("a fresh store");
    for n in 0..KEYS {
        keyspace.put(n, &[7; 100]).expect("nothing fails here");
    }
    (store, keyspace)
}

/// One turn; each key follows from the one before.
fn turn(keyspace: &Bytes, key: &mut u64, puts: u64) -> f64 {
    let started = Instant::now();
    for _ in 0..puts {
        *key = (*key * 7_919 + 104_729) % KEYS;
        keyspace.put(*key, &[7; 100]).expect("nothing fails here");
    }
    started.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Throughput with watchers as a part of that without: the median of all pairs of turns.
fn ratio(plan: Plan, make: impl Fn(&Bytes) -> Vec<Watcher<u64, [u8], Raw>>) -> f64 {
    let (_alone, without) = store();
    let (_watched, with) = store();
    let mut all = Vec::new();
    let (mut a, mut b) = (1, 1);
    for _ in 0..plan.rounds {
        let watchers = make(&with);
        for i in 0..plan.turns {
            let (alone, watched) = if i % 2 == 0 {
                let alone = turn(&without, &mut a, plan.puts);
                (alone, turn(&with, &mut b, plan.puts))
            } else {
                let watched = turn(&with, &mut b, plan.puts);
                (turn(&without, &mut a, plan.puts), watched)
            };
            all.push(alone / watched);
        }
        drop(watchers);
    }
    median(all)
}

#[test]
fn writers_keep_95_percent_of_their_throughput_with_100_stalled_watchers() {
    let plan = Plan::of_this_run();
    let none = ratio(plan, |_| Vec::new());
    let stalled = ratio(plan, |ks| (0..100).map(|_| ks.watch_range(..).expect("open")).collect());
    let elsewhere =
        ratio(plan, |ks| (KEYS..KEYS + 10_000).map(|n| ks.watch(n).expect("open")).collect());
    let Plan { rounds, turns, kept, .. } = plan;
    println!(
        "throughput against a store without watchers, medians of {rounds} x {turns} pairs of turns"
    );
    for (name, ratio) in [
        ("none: what the measurement adds", none),
        ("100 of everything that never read", stalled),
        ("10,000 of single keys that nobody puts", elsewhere),
    ] {
        println!("  {name:40} {ratio:.3}");
    }
    assert!(stalled / none >= kept, "{stalled:.3} of {none:.3}");
}
