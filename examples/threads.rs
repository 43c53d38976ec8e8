//! Sharing a store between threads: counters without lost updates, and how durable a commit is.
//!
//! `cargo run --example threads [DIRECTORY]`; without a directory a temporary one is used.
//! A directory must be new or empty: the example counts on finding nothing.
//!
//! Handles are `Clone + Send + Sync + 'static`. Commits of several threads that wait for the disk
//! at the same time share a sync.

use kv_examples::StoreDir;
use kvcore::{Durability, Keyspace, Options, Put, Store};
use std::{thread, time::Instant};

const THREADS: u64 = 8;
const ROUNDS: u64 = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = StoreDir::from_argument(1)?;
    let store = Options::new().durability(Durability::Buffered).open(dir.path())?;
    counters(&store)?;
    readers_and_writers(&store)?;
    durability_per_commit(&store)?;
    shared_syncs(&store)?;
    one_write_for_many(&store)?;
    store.close()?;
    println!("everything is as promised");
    Ok(())
}

/// `update` reads and writes in one step for everybody else.
fn counters(store: &Store) -> kvcore::Result<()> {
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;
    in_threads(|_| {
        for _ in 0..ROUNDS {
            counters.update("n", |n| Some(n.unwrap_or(0) + 1))?;
        }
        Ok(())
    })?;
    assert_eq!(counters.get("n")?, Some(THREADS * ROUNDS), "no update is lost");
    println!("{THREADS} threads counted to {:?}", counters.get("n")?);
    Ok(())
}

/// A batch is seen as a whole or not at all, also by a scan that takes its time.
fn readers_and_writers(store: &Store) -> kvcore::Result<()> {
    let accounts: Keyspace<u64, i64> = store.keyspace("accounts")?;
    for account in 0..THREADS {
        accounts.put(account, &1_000)?;
    }
    let total = |accounts: &Keyspace<u64, i64>| -> kvcore::Result<i64> {
        accounts.iter().map(|entry| entry?.value()).sum()
    };
    let moving = thread::spawn({
        // Clones are handles to the same keyspace and the same store.
        let (store, accounts) = (store.clone(), accounts.clone());
        move || -> kvcore::Result<()> {
            for round in 0..ROUNDS {
                let (from, to) = (round % THREADS, (round + 3) % THREADS);
                let (a, b) = (accounts.get(from)?.unwrap_or(0), accounts.get(to)?.unwrap_or(0));
                let mut batch = store.batch();
                batch.put(&accounts, from, &(a - 7))?;
                batch.put(&accounts, to, &(b + 7))?;
                batch.commit()?;
            }
            Ok(())
        }
    });
    let mut scans = 0;
    while !moving.is_finished() {
        assert_eq!(total(&accounts)?, i64::try_from(THREADS).unwrap_or(0) * 1_000);
        scans += 1;
    }
    moving.join().expect("the thread does not panic")?;
    println!("{scans} scans saw the same total while money moved");
    Ok(())
}

/// Each commit may ask for more than the store's durability, or wait later.
fn durability_per_commit(store: &Store) -> kvcore::Result<()> {
    let log: Keyspace<u64, String> = store.keyspace("log")?;
    let first = log.put(1, &"survives kill -9".to_owned())?;
    let second = log.put_with(2, &"survives power loss".to_owned(), Durability::Immediate)?;
    assert!(store.durable_sequence() >= second);
    assert!(first < second, "and so does all that came before it");

    let put = Put::default().with_durability(Durability::Buffered);
    let third = log.put_with(3, &"asked for later".to_owned(), put)?;
    store.wait_durable(third)?;
    assert!(store.durable_sequence() >= third && store.tip_sequence() >= third);
    Ok(())
}

/// Threads that wait for the disk share its answer.
fn shared_syncs(store: &Store) -> kvcore::Result<()> {
    let orders: Keyspace<(u64, u64), String> = store.keyspace("orders")?;
    let (before, started) = (store.stats().syncs, Instant::now());
    let each = 50;
    in_threads(|thread| {
        for n in 0..each {
            let sequence = orders.put_with((thread, n), &"tea".into(), Durability::Immediate)?;
            assert!(orders.store().durable_sequence() >= sequence);
        }
        Ok(())
    })?;
    let (commits, syncs) = (THREADS * each, store.stats().syncs - before);
    assert_eq!(orders.len(), commits);
    println!("{commits} durable commits took {syncs} syncs and {:?}", started.elapsed());
    Ok(())
}

/// A caller with many commits at hand has them written and synced together.
fn one_write_for_many(store: &Store) -> kvcore::Result<()> {
    let events: Keyspace<u64, u64> = store.keyspace("events")?;
    let before = store.stats().syncs;
    store.commit_many_with(Durability::Immediate, |round| {
        for n in 0..1_000 {
            round.put(&events, n, &(n * n), Put::default())?;
        }
        Ok(())
    })?;
    let syncs = store.stats().syncs - before;
    assert_eq!(store.durable_sequence(), store.tip_sequence());
    // One of its own; the background may have come in between.
    assert!(syncs <= 3, "1,000 commits took {syncs} syncs");
    println!("1,000 commits of one round took {syncs} syncs");
    Ok(())
}

fn in_threads(work: impl Fn(u64) -> kvcore::Result<()> + Sync) -> kvcore::Result<()> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..THREADS).map(|n| scope.spawn(move || work(n))).collect();
        threads.into_iter().try_for_each(|t| t.join().expect("the threads do not panic"))
    })
}
