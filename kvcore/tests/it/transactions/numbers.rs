//! Numbers and queues that are built on transactions, and places in them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use kvcore::{
    Background, Durability, Error, Keyspace, Options, Result, Transaction, clock::SimClock,
    disk::SimDisk,
};

use super::{run, simulated};

#[test]
fn ids_are_given_out_once_and_without_gaps() -> Result<()> {
    let (disk, clock) = (SimDisk::new(1), SimClock::new(1_750_000_000_000));
    let open = || {
        Options::new()
            .durability(Durability::Buffered)
            .background(Background::Manual)
            .disk(Arc::new(disk.clone()))
            .clock(Arc::new(clock.clone()))
            .open("/store")
            .unwrap()
    };
    let store = open();
    let (jobs, others): (Keyspace<u64, u64>, Keyspace<u64, u64>) =
        (store.keyspace("jobs")?, store.keyspace("others")?);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, jobs) = (&store, &jobs);
            scope.spawn(move || {
                for n in 0..50 {
                    let result = run(store, n % 2 == 0, |tx| {
                        let id = tx.next_id(jobs)?;
                        tx.put(jobs, id, &thread)?;
                        if n % 5 == 0 { Err(Error::abort("no")) } else { Ok(()) }
                    });
                    assert_eq!(result.is_err(), n % 5 == 0);
                }
            });
        }
    });
    let keys: Vec<u64> = jobs.iter().map(|e| e.unwrap().into_key()).collect();
    assert_eq!(keys, (1..=160).collect::<Vec<_>>());
    assert_eq!((others.next_id()?, others.next_id()?, jobs.next_id()?), (1, 2, 161));
    jobs.clear()?;
    assert_eq!(store.keyspace_names(), ["jobs", "others"]);
    assert_eq!((store.stats().keys, store.stats().keyspaces.len()), (0, 2));
    let reserved: Result<Keyspace<u64, u64>> = store.keyspace("\0ids");
    assert!(matches!(reserved, Err(Error::BadOption { .. })));
    drop((jobs, others));
    store.close()?;

    let jobs: Keyspace<u64, u64> = open().keyspace("jobs")?;
    assert_eq!(jobs.next_id()?, 162, "also after reopening and clearing");
    Ok(())
}

#[test]
fn every_job_of_a_queue_is_claimed_once() -> Result<()> {
    let store = simulated();
    let waiting: Keyspace<u64, String> = store.keyspace("waiting")?;
    let claimed: Keyspace<u64, u64> = store.keyspace("claimed")?;
    for n in 0..200 {
        waiting.put(waiting.next_id()?, &n.to_string())?;
    }
    let claims = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, waiting, claimed, claims) = (&store, &waiting, &claimed, &claims);
            scope.spawn(move || {
                let claim = |tx: &mut Transaction<'_>| {
                    let Some((id, _)) = tx.pop_first(waiting)? else { return Ok(None) };
                    assert!(!tx.contains(claimed, id)?);
                    tx.put(claimed, id, &thread)?;
                    Ok(Some(id))
                };
                while run(store, thread % 2 == 0, claim).unwrap().is_some() {
                    claims.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((claims.into_inner(), waiting.len(), claimed.len()), (200, 0, 200));
    Ok(())
}

#[test]
fn nth_skips_what_has_expired_in_a_transaction_as_outside() -> Result<()> {
    let store = simulated();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers")?;
    let past = std::time::SystemTime::UNIX_EPOCH;
    for n in 0..6 {
        numbers.put(n, &n)?;
    }
    for n in [1, 3, 5] {
        numbers.expire(n, past)?;
    }
    for is_optimistic in [false, true] {
        let seen = run(&store, is_optimistic, |tx| {
            let nth = |n| tx.nth(&numbers, n).map(|entry| entry.map(|e| e.into_key()));
            (0..8).map(nth).collect::<Result<Vec<_>>>()
        })?;
        let outside = |n| numbers.nth(n).map(|entry| entry.map(|e| e.into_key()));
        assert_eq!(seen, (0..8).map(outside).collect::<Result<Vec<_>>>()?);
        assert_eq!(seen[..4], [Some(0), Some(2), Some(2), Some(4)]);
    }
    Ok(())
}

#[test]
fn nth_does_not_walk_to_its_place() -> Result<()> {
    let store = simulated();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers")?;
    let mut batch = store.batch();
    for n in 0..40_000 {
        batch.put(&numbers, n * 2, &n)?;
    }
    batch.commit()?;
    store.transaction(|tx| {
        (0..50).try_for_each(|n| tx.put(&numbers, n * 401 + 1, &0))?;
        let timed = |at: u64| {
            let started = std::time::Instant::now();
            (0..20)
                .try_for_each(|n| tx.nth(&numbers, at + n).map(|found| assert!(found.is_some())))?;
            Ok::<_, Error>(started.elapsed())
        };
        // The quickest of many, as the thread may be stopped at any time.
        let (mut near, mut far) = (timed(0)?, timed(40_000)?);
        for _ in 0..100 {
            (near, far) = (near.min(timed(0)?), far.min(timed(40_000)?));
        }
        println!("20 at the start: {near:?}, 20 at the end: {far:?}");
        // Walking there would take some thousand times as long.
        assert!(far < near * 100, "{near:?} {far:?}");
        Ok(())
    })
}
