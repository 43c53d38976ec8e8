//! How long commands wait for what the store does by itself: a writer and a reader go on while a
//! range of many entries, deleted with one record, is worked off in the background.
//!
//! `cargo bench -p kv-benches --bench stalls -- [ELEMENTS [BUSY]]`: entries of the range
//! (1,000,000), and threads that keep processors busy meanwhile (0).

#![expect(clippy::disallowed_methods, reason = "its commands come at a pace, by the wall clock")]

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kvcore::{Durability, Keyspace, Latencies, Options, Result, Store};

type Elements = Keyspace<(u64, u64), u64>;

/// Entries that stay and are used meanwhile.
const USED: u64 = 1_000;
const BATCH: u64 = 1_000;
/// The longest time that is told from longer ones.
const HOUR_NS: u64 = 3_600_000_000_000;
/// Between two commands of a thread.
const PACE: Duration = Duration::from_micros(100);

fn main() -> Result<()> {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let elements = numbers.next().unwrap_or(if is_bench { 1_000_000 } else { 10_000 });
    let busy = numbers.next().unwrap_or(0);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory to measure in");
    let store = Options::new().durability(Durability::Buffered).open(dir.path())?;
    let keyspace: Elements = store.keyspace("elements")?;
    load(&store, &keyspace, elements)?;
    let before = store.stats();

    let done = AtomicBool::new(false);
    let started = Instant::now();
    keyspace.delete_range((1, 0)..(2, 0))?;
    let deleted = started.elapsed();
    let (writes, reads, removed) = thread::scope(|scope| {
        let (done, keyspace) = (&done, &keyspace);
        for _ in 0..busy {
            scope.spawn(move || while !black_box(done).load(Relaxed) {});
        }
        let write = move |n: u64| keyspace.put((2, n % USED), &n).map(drop);
        let read = move |n: u64| keyspace.get((2, n * 7 % USED)).map(drop);
        let writer = scope.spawn(move || measure(done, write));
        let reader = scope.spawn(move || measure(done, read));
        while store.stats().keydir_bytes > before.keydir_bytes / 20 && elements > 10_000 {
            thread::sleep(PACE * 1_000);
        }
        let removed = started.elapsed();
        done.store(true, Relaxed);
        (writer.join().expect("it ends"), reader.join().expect("it ends"), removed)
    });
    let (writes, reads) = (writes?, reads?);
    if is_bench {
        println!("{elements} entries, {busy} busy threads");
        println!("deleted in {deleted:.1?}, worked off in {removed:.1?}");
        print("writes", &writes);
        print("reads", &reads);
        print_holds(&store.stats().background_holds);
    }
    assert_eq!(store.stats().keys, USED, "what was not deleted is there, and nothing else");
    store.close()
}

fn load(store: &Store, keyspace: &Elements, elements: u64) -> Result<()> {
    let mut n = 0;
    while n < elements {
        let mut batch = store.batch();
        for i in n..(n + BATCH).min(elements) {
            // As a hash would scatter them.
            batch.put(keyspace, (1, i.wrapping_mul(0x9E37_79B9_7F4A_7C15)), &i)?;
        }
        batch.commit()?;
        n += BATCH;
    }
    (0..USED).try_for_each(|n| keyspace.put((2, n), &n).map(drop))
}

/// Times a command again and again, in nanoseconds.
fn measure(done: &AtomicBool, command: impl Fn(u64) -> Result<()>) -> Result<Histogram<u64>> {
    let mut times = Histogram::new_with_max(HOUR_NS, 3).expect("three digits are few enough");
    for n in 0.. {
        if done.load(Relaxed) {
            break;
        }
        let started = Instant::now();
        command(n)?;
        times.saturating_record(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        thread::sleep(PACE);
    }
    Ok(times)
}

fn print(what: &str, times: &Histogram<u64>) {
    let us = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    println!(
        "{what}: {} in µs: half below {:.0}, 99 % {:.0}, 99.9 % {:.0}, all {:.0}",
        times.len(),
        us(0.5),
        us(0.99),
        us(0.999),
        us(1.0),
    );
}

fn print_holds(holds: &Latencies) {
    println!("steps that held the writer lock: {}", holds.count());
    for (bucket, count) in holds.buckets().iter().enumerate().filter(|(_, n)| **n > 0) {
        println!("  below {:?}: {count}", Latencies::bucket_end(bucket));
    }
}
