//! Transactions and snapshots: several keyspaces read and written as one.
//!
//! `cargo run --example transactions [DIRECTORY]`; without a directory a temporary one is used.
//! A directory must be new or empty: the example counts on finding nothing.

use kv_examples::StoreDir;
use kvcore::{Error, Keyspace, Read, Store};
use std::thread;

const THREADS: u64 = 4;
const MOVES: u64 = 200;
const ACCOUNTS: u64 = 10;
const EACH: u64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = StoreDir::from_argument(1)?;
    let store = kvcore::Options::new().durability(kvcore::Durability::Buffered).open(dir.path())?;
    counting(&store)?;
    moving_money(&store)?;
    looking_back(&store)?;
    a_queue(&store)?;
    a_long_read(&store)?;
    store.close()?;
    println!("everything is as promised");
    Ok(())
}

/// Read, decide, write: all of it or nothing, and nobody writes in between.
fn counting(store: &Store) -> kvcore::Result<()> {
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;
    let n = store.transaction(|tx| {
        let n = tx.get(&counters, "n")?.unwrap_or(0);
        tx.put(&counters, "n", &(n + 1))?;
        Ok(n)
    })?;
    let refused = store.transaction(|tx| {
        tx.put(&counters, "n", &1_000)?;
        Err::<(), _>(Error::abort("changed my mind"))
    });
    assert!(matches!(refused, Err(Error::Aborted(_))));
    assert_eq!((n, counters.get("n")?), (0, Some(1)), "the second one left nothing");
    println!("the counter is {:?}", counters.get("n")?);
    Ok(())
}

/// The sum of all accounts, wherever it is read from.
fn total(from: &impl Read, accounts: &Keyspace<u64, u64>) -> kvcore::Result<u64> {
    from.range(accounts, ..).map(|entry| entry?.value()).sum()
}

/// Threads move money between accounts while another one sums it up.
fn moving_money(store: &Store) -> kvcore::Result<()> {
    let accounts: Keyspace<u64, u64> = store.keyspace("accounts")?;
    for account in 0..ACCOUNTS {
        accounts.put(account, &EACH)?;
    }
    let move_one = |from: u64, to: u64| {
        store.transaction(|tx| {
            let (have, there) = (tx.get(&accounts, from)?, tx.get(&accounts, to)?);
            let (Some(have), Some(there)) = (have, there) else {
                return Err(Error::abort("no such account"));
            };
            if from != to && have > 0 {
                tx.put(&accounts, from, &(have - 1))?;
                tx.put(&accounts, to, &(there + 1))?;
            }
            Ok(())
        })
    };
    thread::scope(|scope| -> kvcore::Result<()> {
        let movers: Vec<_> = (0..THREADS)
            .map(|t| {
                scope.spawn(move || {
                    (0..MOVES).try_for_each(|n| move_one((t + n) % ACCOUNTS, n % ACCOUNTS))
                })
            })
            .collect();
        for _ in 0..20 {
            assert_eq!(total(&store.snapshot(), &accounts)?, ACCOUNTS * EACH);
        }
        movers.into_iter().try_for_each(|m| m.join().expect("no mover panics"))
    })?;
    assert_eq!(total(store, &accounts)?, ACCOUNTS * EACH);
    println!("{} moves, and the sum was always {}", THREADS * MOVES, ACCOUNTS * EACH);
    Ok(())
}

/// A snapshot is all of the store as it was.
fn looking_back(store: &Store) -> kvcore::Result<()> {
    let accounts: Keyspace<u64, u64> = store.keyspace("accounts")?;
    let before = store.snapshot();
    accounts.clear()?;
    assert_eq!(accounts.len(), 0);
    assert_eq!(before.count(&accounts, ..)?, ACCOUNTS);
    assert_eq!(total(&before, &accounts)?, ACCOUNTS * EACH);
    let stats = store.stats();
    println!("{} snapshot keeps {} old states", stats.snapshots, stats.undo_records);
    drop(before);
    assert_eq!(store.stats().undo_records, 0, "nothing is kept for nobody");
    Ok(())
}

/// Jobs get numbers without gaps, and each is claimed once.
fn a_queue(store: &Store) -> kvcore::Result<()> {
    let waiting: Keyspace<u64, String> = store.keyspace("waiting")?;
    let running: Keyspace<u64, String> = store.keyspace("running")?;
    for job in ["resize", "send", "clean"] {
        store.transaction(|tx| {
            let id = tx.next_id(&waiting)?;
            tx.put(&waiting, id, &job.to_owned())
        })?;
    }
    let claimed = store.transaction(|tx| {
        let Some((id, job)) = tx.pop_first(&waiting)? else { return Ok(None) };
        tx.put(&running, id, &job)?;
        Ok(Some((id, job)))
    })?;
    assert_eq!(claimed, Some((1, "resize".to_owned())));
    assert_eq!((waiting.len(), running.len()), (2, 1));
    println!("claimed {claimed:?}");
    Ok(())
}

/// A closure that reads much keeps nobody from writing, and runs again if they were in its way.
fn a_long_read(store: &Store) -> kvcore::Result<()> {
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers")?;
    let sums: Keyspace<String, u64> = store.keyspace("sums")?;
    for n in 0..100 {
        numbers.put(n, &n)?;
    }
    let mut runs = 0;
    let sum = store.optimistic_transaction(|tx| {
        runs += 1;
        let sum = total(tx, &numbers)?;
        if runs == 1 {
            // Another thread changes what was read.
            thread::scope(|scope| {
                scope.spawn(|| numbers.put(7, &1_007)).join().expect("it does not panic")
            })?;
        }
        tx.put(&sums, "all", &sum)?;
        Ok(sum)
    })?;
    assert_eq!((runs, sum, sums.get("all")?), (2, 5_950, Some(5_950)));
    println!("the sum is {sum}, after {runs} runs");
    Ok(())
}
