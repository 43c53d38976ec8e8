//! What watchers cost writers, measured: run by hand, in an optimised build.
//!
//! `cargo test --release -p kvcore --test it watching::throughput -- --ignored --nocapture`

use std::time::Instant;

use kvcore::{Durability, Keyspace, Options, Raw, Store, Watcher};

type Bytes = Keyspace<u64, [u8], Raw>;

const PUTS: u64 = 100_000;
const ROUNDS: usize = 15;

fn store() -> (Store, Bytes) {
    let options = Options::new().durability(Durability::Buffered);
    let store = options.open_temporary().expect("a temporary directory");
    let keyspace: Bytes = store.keyspace("bytes").expect("a fresh store");
    for n in 0..PUTS {
        keyspace.put(n, &[7; 100]).expect("nothing fails here");
    }
    (store, keyspace)
}

fn seconds(keyspace: &Bytes) -> f64 {
    let started = Instant::now();
    let mut n = 1;
    for _ in 0..PUTS {
        n = n * 31 % PUTS.next_power_of_two();
        keyspace.put(n, &[7; 100]).expect("nothing fails here");
    }
    started.elapsed().as_secs_f64()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Throughput with watchers as a part of that without, taken in turns; every round has new ones.
fn ratio(make: impl Fn(&Bytes) -> Vec<Watcher<u64, [u8], Raw>>) -> f64 {
    let (_alone, without) = store();
    let (_watched, with) = store();
    let mut ratios = Vec::new();
    for round in 0..ROUNDS {
        let watchers = make(&with);
        let (a, b) = if round % 2 == 0 {
            let a = seconds(&without);
            (a, seconds(&with))
        } else {
            let b = seconds(&with);
            (seconds(&without), b)
        };
        drop(watchers);
        ratios.push(a / b);
    }
    median(ratios)
}

#[test]
#[ignore = "a measurement: by hand, optimised, on a machine with nothing else to do"]
fn writers_keep_95_percent_of_their_throughput_with_100_stalled_watchers() {
    let none = ratio(|_| Vec::new());
    let stalled = ratio(|ks| (0..100).map(|_| ks.watch_range(..).expect("open")).collect());
    let elsewhere =
        ratio(|ks| (PUTS * 9..PUTS * 9 + 10_000).map(|n| ks.watch(n).expect("open")).collect());
    println!("throughput against a store without watchers, medians of {ROUNDS} pairs:");
    println!("  none (what the machine adds):            {none:.3}");
    println!("  100 of everything that never read:       {stalled:.3}");
    println!("  10,000 of single keys that nobody puts:  {elsewhere:.3}");
    assert!(stalled / none >= 0.95, "{stalled:.3} of {none:.3}");
}
