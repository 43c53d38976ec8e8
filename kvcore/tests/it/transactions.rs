//! Transactions: all or nothing, as if one at a time, whatever other threads do.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use kvcore::{
    Background, Durability, Error, Keyspace, Options, Read, Result, Store, Transaction,
    clock::SimClock, disk::SimDisk,
};

mod checker;
mod model;

use checker::{Committed, Step, check};

/// A store with tiny files, on a disk that is only simulated.
fn simulated() -> Store {
    let options = Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .data_file_bytes_max(4_000)
        .disk(Arc::new(SimDisk::new(1)))
        .clock(Arc::new(SimClock::new(1_750_000_000_000)));
    options.open("/store").unwrap()
}

fn counters(store: &Store) -> Keyspace<String, u64> {
    store.keyspace("counters").unwrap()
}

/// Runs a closure in one of the two ways.
fn run<T>(
    store: &Store,
    is_optimistic: bool,
    f: impl FnMut(&mut Transaction<'_>) -> Result<T>,
) -> Result<T> {
    if is_optimistic { store.optimistic_transaction(f) } else { store.transaction(f) }
}

// ---- all or nothing ----

#[test]
fn an_error_or_a_panic_leaves_nothing_and_the_store_goes_on() -> Result<()> {
    for is_optimistic in [false, true] {
        let store = simulated();
        let counters = counters(&store);
        counters.put("kept", &1)?;
        let tip = store.tip_sequence();
        let failed = run(&store, is_optimistic, |tx| {
            tx.put(&counters, "new", &2)?;
            tx.delete(&counters, "kept")?;
            tx.next_id(&counters)?;
            Err::<(), _>(Error::abort("no"))
        });
        assert!(matches!(failed, Err(Error::Aborted(_))));
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            run(&store, is_optimistic, |tx| -> Result<()> {
                tx.delete_range(&counters, ..)?;
                panic!("on purpose")
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(store.tip_sequence(), tip);
        assert_eq!((counters.get("kept")?, counters.len()), (Some(1), 1));
        run(&store, is_optimistic, |tx| tx.put(&counters, "kept", &3))?;
        assert_eq!(counters.get("kept")?, Some(3));
        assert_eq!(counters.next_id()?, 1, "what was not committed was not given out");
        assert_eq!((store.stats().views, store.stats().undo_records), (0, 0));
    }
    Ok(())
}

#[test]
fn a_callers_own_error_comes_back_as_it_is() {
    #[derive(Debug, PartialEq)]
    enum Own {
        Store(String),
        Poor(u64),
    }
    impl From<Error> for Own {
        fn from(e: Error) -> Own {
            Own::Store(e.to_string())
        }
    }
    let store = simulated();
    let counters = counters(&store);
    let poor: Result<(), Own> = store.try_transaction(|tx| {
        tx.put(&counters, "n", &1)?;
        Err(Own::Poor(7))
    });
    assert_eq!(poor, Err(Own::Poor(7)));
    let poor: Result<(), Own> = store.try_optimistic_transaction(|_| Err(Own::Poor(8)));
    assert_eq!(poor, Err(Own::Poor(8)));
    let nested: Result<(), Own> = store.try_transaction(|_| {
        counters.put("n", &2)?;
        Ok(())
    });
    assert!(matches!(nested, Err(Own::Store(_))));
    assert!(counters.is_empty());
}

#[test]
fn writes_from_inside_that_go_around_the_transaction_are_nested() -> Result<()> {
    for is_optimistic in [false, true] {
        let store = simulated();
        let counters = counters(&store);
        counters.put("n", &1)?;
        run(&store, is_optimistic, |tx| {
            let nested = |result: Result<()>| assert!(matches!(result, Err(Error::Nested)));
            nested(counters.put("n", &2).map(drop));
            nested(counters.delete("n").map(drop));
            nested(counters.update("n", |n| n).map(drop));
            nested(counters.next_id().map(drop));
            nested(store.batch_of(&counters).commit().map(drop));
            nested(store.transaction(|tx| tx.put(&counters, "n", &3)));
            nested(store.optimistic_transaction(|tx| tx.put(&counters, "n", &3)));
            assert_eq!(counters.get("n")?, Some(1), "reading is fine");
            assert_eq!(store.snapshot().get(&counters, "n")?, Some(1));
            tx.put(&counters, "n", &4)
        })?;
        assert_eq!(counters.get("n")?, Some(4));
        counters.put("n", &5)?;
    }
    Ok(())
}

trait BatchOf {
    fn batch_of(&self, counters: &Keyspace<String, u64>) -> kvcore::Batch;
}

impl BatchOf for Store {
    fn batch_of(&self, counters: &Keyspace<String, u64>) -> kvcore::Batch {
        let mut batch = self.batch();
        batch.put(counters, "n", &9).unwrap();
        batch
    }
}

#[test]
fn what_would_wait_for_the_writer_lock_is_nested_and_no_deadlock() -> Result<()> {
    let store = simulated();
    let counters = counters(&store);
    store.transaction(|tx| {
        assert!(matches!(store.sync(), Err(Error::Nested)));
        assert!(matches!(store.merge(), Err(Error::Nested)));
        assert!(matches!(store.maintain(), Err(Error::Nested)));
        assert!(matches!(store.clone().close(), Err(Error::Nested)));
        tx.put(&counters, "n", &1)
    })?;
    counters.update("n", |n| {
        assert!(matches!(store.sync(), Err(Error::Nested)));
        n
    })?;
    store.sync()
}

#[test]
fn a_transaction_is_as_durable_as_it_says() -> Result<()> {
    let store = simulated();
    let counters = counters(&store);
    let sequence = store.transaction(|tx| {
        tx.put(&counters, "n", &1)?;
        Ok(tx.store().tip_sequence())
    })?;
    assert!(store.durable_sequence() <= sequence);
    for is_optimistic in [false, true] {
        run(&store, is_optimistic, |tx| {
            tx.set_durability(Durability::Immediate);
            let n = tx.get(&counters, "n")?.unwrap_or(0);
            tx.put(&counters, "n", &(n + 1))
        })?;
        assert_eq!(store.durable_sequence(), store.tip_sequence());
    }
    assert_eq!(counters.get("n")?, Some(3));
    Ok(())
}

#[test]
fn large_values_are_written_and_those_of_failures_removed() -> Result<()> {
    let store = simulated();
    let texts: Keyspace<u64, String> = store.keyspace("texts")?;
    let large = "x".repeat(3_000);
    for is_optimistic in [false, true] {
        let failed = run(&store, is_optimistic, |tx| {
            tx.put(&texts, 2, &large)?;
            assert_eq!(tx.get(&texts, 2)?.as_ref(), Some(&large));
            Err::<(), _>(Error::abort("no"))
        });
        assert!(failed.is_err());
        assert_eq!(store.stats().blobs, u64::from(is_optimistic));
        run(&store, is_optimistic, |tx| {
            tx.put(&texts, 1, &large)?;
            assert_eq!(tx.first(&texts)?.map(|e| e.size_bytes()), Some(3_003));
            Ok(())
        })?;
        assert_eq!(texts.get(1)?.as_ref(), Some(&large));
        assert_eq!(store.stats().blobs, 1);
    }
    Ok(())
}

#[test]
fn a_conflict_leaves_no_file_of_a_large_value() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().data_file_bytes_max(4_000).open(dir.path())?;
    let texts: Keyspace<u64, String> = store.keyspace("texts")?;
    let mut runs = 0;
    store.optimistic_transaction(|tx| {
        runs += 1;
        tx.contains(&texts, 1)?;
        tx.put(&texts, 2, &"x".repeat(3_000))?;
        if runs == 1 {
            let put = || assert!(texts.put(1, &"in between".into()).is_ok());
            std::thread::scope(|scope| drop(scope.spawn(put)));
        }
        Ok(())
    })?;
    let files = std::fs::read_dir(dir.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!((runs, names.filter(|name| name.ends_with(".blob")).count()), (2, 1));
    Ok(())
}

#[test]
fn one_helper_reads_from_store_snapshot_and_transaction() -> Result<()> {
    fn sum(from: &impl Read, counters: &Keyspace<String, u64>) -> Result<(u64, u64, bool)> {
        let sum: Result<u64> = from.range(counters, ..).map(|e| e?.value()).sum();
        let backwards: Result<u64> = from.prefix(counters, "").rev().map(|e| e?.value()).sum();
        assert_eq!(sum.as_ref().ok(), backwards.as_ref().ok());
        assert_eq!(from.first(counters)?.is_some(), from.last(counters)?.is_some());
        assert_eq!(from.get(counters, "a")?.is_some(), from.get_bytes(counters, "a")?.is_some());
        assert_eq!(from.get_many(counters, ["a", "b"])?.len(), 2);
        Ok((sum?, from.count(counters, ..)?, from.contains(counters, "b")?))
    }
    let store = simulated();
    let counters = counters(&store);
    counters.put("a", &1)?;
    let before = store.snapshot();
    let inside = store.transaction(|tx| {
        tx.put(&counters, "b", &2)?;
        sum(tx, &counters)
    })?;
    assert_eq!(sum(&before, &counters)?, (1, 1, false));
    assert_eq!(inside, (3, 2, true));
    assert_eq!(sum(&store, &counters)?, (3, 2, true));
    let other = simulated();
    assert!(matches!(sum(&other, &counters), Err(Error::ForeignKeyspace { .. })));
    Ok(())
}

// ---- as if one at a time ----

#[test]
fn write_skew_is_impossible() -> Result<()> {
    let store = simulated();
    let on_call: Keyspace<String, bool> = store.keyspace("on call")?;
    for name in ["ada", "bob"] {
        on_call.put(name, &true)?;
    }
    let both_have_read = Barrier::new(2);
    std::thread::scope(|scope| {
        for name in ["ada", "bob"] {
            let (store, on_call, both_have_read) = (&store, &on_call, &both_have_read);
            scope.spawn(move || {
                let mut runs = 0;
                let leave = |tx: &mut Transaction<'_>| {
                    runs += 1;
                    let others = ["ada", "bob"].iter().filter(|n| **n != name);
                    let there = others.filter(|n| tx.get(on_call, **n).unwrap() == Some(true));
                    if there.count() > 0 {
                        tx.put(on_call, name, &false)?;
                    }
                    if runs == 1 {
                        both_have_read.wait();
                    }
                    Ok(())
                };
                store.optimistic_transaction(leave).unwrap();
            });
        }
    });
    let left = on_call.iter().filter(|e| e.as_ref().unwrap().value().unwrap()).count();
    assert_eq!(left, 1, "one of two stays");
    Ok(())
}

/// Both threads find a range empty before either puts into it; only one may have found it so.
fn only_one_takes_the_gap(
    is_empty: fn(&Transaction<'_>, &Keyspace<u64, String>) -> Result<bool>,
) -> Result<()> {
    let store = simulated();
    let rooms: Keyspace<u64, String> = store.keyspace("rooms")?;
    rooms.put(50, &"outside".into())?;
    let both_have_read = Barrier::new(2);
    std::thread::scope(|scope| {
        for n in 0..2 {
            let (store, rooms, both_have_read) = (&store, &rooms, &both_have_read);
            scope.spawn(move || {
                let mut runs = 0;
                let book = |tx: &mut Transaction<'_>| {
                    runs += 1;
                    if is_empty(tx, rooms)? {
                        tx.put(rooms, 10 + n, &format!("booked by {n}"))?;
                    }
                    if runs == 1 {
                        both_have_read.wait();
                    }
                    Ok(())
                };
                store.optimistic_transaction(book).unwrap();
            });
        }
    });
    assert_eq!(rooms.count(10..20)?, 1);
    Ok(())
}

#[test]
fn phantoms_are_impossible() -> Result<()> {
    only_one_takes_the_gap(|tx, rooms| Ok(tx.range(rooms, 10..20).next().is_none()))?;
    only_one_takes_the_gap(|tx, rooms| Ok(tx.range(rooms, 10..20).next_back().is_none()))?;
    only_one_takes_the_gap(|tx, rooms| Ok(tx.count(rooms, 10..20)? == 0))?;
    only_one_takes_the_gap(|tx, rooms| Ok(tx.first(rooms)?.is_none_or(|e| *e.key() >= 20)))?;
    only_one_takes_the_gap(|tx, rooms| Ok(tx.nth(rooms, 0)?.is_none_or(|e| *e.key() >= 20)))?;
    only_one_takes_the_gap(|tx, rooms| Ok(tx.get_many(rooms, 10..20)?.iter().all(Option::is_none)))
}

/// How often an optimistic transaction runs if something is written while it runs first.
fn runs(
    read: impl Fn(&Transaction<'_>, &Keyspace<u64, String>) -> Result<()>,
    write: impl Fn(&Keyspace<u64, String>) + Sync,
) -> Result<u32> {
    let store = simulated();
    let space: Keyspace<u64, String> = store.keyspace("space")?;
    for key in 0..300 {
        space.put(key, &"old".into())?;
    }
    let mut runs = 0;
    store.optimistic_transaction(|tx| {
        runs += 1;
        read(tx, &space)?;
        tx.put(&space, 1_000, &"done".into())?;
        if runs == 1 {
            std::thread::scope(|scope| drop(scope.spawn(|| write(&space))));
        }
        Ok(())
    })?;
    assert_eq!(space.get(1_000)?.as_deref(), Some("done"));
    Ok(runs)
}

#[test]
fn only_what_was_read_makes_an_optimistic_transaction_run_again() -> Result<()> {
    let put = |key| move |s: &Keyspace<u64, String>| assert!(s.put(key, &"new".into()).is_ok());
    let delete = |key| move |s: &Keyspace<u64, String>| assert!(s.delete(key).unwrap());
    assert_eq!(runs(|tx, s| tx.get(s, 5).map(drop), put(5))?, 2);
    assert_eq!(runs(|tx, s| tx.get(s, 5).map(drop), put(6))?, 1);
    assert_eq!(runs(|tx, s| tx.get(s, 500).map(drop), put(500))?, 2, "absent keys are read too");
    assert_eq!(runs(|tx, s| tx.contains(s, 5).map(drop), delete(5))?, 2);
    assert_eq!(runs(|tx, s| tx.count(s, 0..10).map(drop), delete(5))?, 2);
    assert_eq!(runs(|tx, s| tx.count(s, 0..10).map(drop), put(500))?, 1);
    let persist = |s: &Keyspace<u64, String>| assert!(!s.persist(5).unwrap());
    assert_eq!(runs(|tx, s| tx.get(s, 5).map(drop), persist)?, 1, "nothing has happened");
    let expire = |s: &Keyspace<u64, String>| {
        assert!(s.expire(5, UNIX_EPOCH + Duration::from_secs(4_000_000_000)).unwrap());
    };
    assert_eq!(runs(|tx, s| tx.expires_at(s, 5).map(drop), expire)?, 2);
    let few = |s: &Keyspace<u64, String>| assert!(s.delete_range(4..6).is_ok());
    let many = |s: &Keyspace<u64, String>| assert!(s.delete_range(4..250).is_ok());
    for key in [5, 100] {
        assert_eq!(runs(|tx, s| tx.get(s, key).map(drop), many)?, 2);
    }
    assert_eq!(runs(|tx, s| tx.get(s, 5).map(drop), few)?, 2);
    assert_eq!(runs(|tx, s| tx.get(s, 3).map(drop), many)?, 1);
    assert_eq!(runs(|tx, s| tx.range(s, 240..).try_for_each(|e| e.map(drop)), many)?, 2);
    assert_eq!(runs(|tx, s| tx.range(s, 250..).try_for_each(|e| e.map(drop)), many)?, 1);
    // An iterator left early has read only so far, from either end.
    let both_ends = |tx: &Transaction<'_>, s: &Keyspace<u64, String>| {
        let mut entries = tx.range(s, 100..200);
        assert_eq!(entries.next().map(|e| *e.unwrap().key()), Some(100));
        assert_eq!(entries.next_back().map(|e| *e.unwrap().key()), Some(199));
        Ok(())
    };
    for (key, expected) in [(99, 1), (100, 2), (101, 1), (198, 1), (199, 2), (200, 1)] {
        assert_eq!(runs(both_ends, put(key))?, expected, "key {key}");
    }
    Ok(())
}

#[test]
fn an_optimistic_transaction_that_always_conflicts_is_run_under_the_lock() -> Result<()> {
    let store = simulated();
    let counters = counters(&store);
    let mut runs = 0;
    store.optimistic_transaction(|tx| {
        runs += 1;
        let n = tx.get(&counters, "n")?.unwrap_or(0);
        if runs <= 8 {
            let add = || counters.update("n", |n| Some(n.unwrap_or(0) + 1)).unwrap();
            std::thread::scope(|scope| scope.spawn(add).join().unwrap());
        }
        tx.put(&counters, "n", &(n + 100))
    })?;
    assert_eq!(runs, 9);
    assert_eq!(counters.get("n")?, Some(108));
    Ok(())
}

#[test]
fn no_increment_is_lost_under_contention() -> Result<()> {
    const THREADS: u64 = 4;
    const EACH: u64 = 150;
    let store = simulated();
    let counters = counters(&store);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, counters) = (&store, &counters);
            scope.spawn(move || {
                for n in 0..EACH {
                    let add = |tx: &mut Transaction<'_>| {
                        let n = tx.get(counters, "n")?.unwrap_or(0);
                        tx.put(counters, "n", &(n + 1))
                    };
                    run(store, (n + thread) % 3 != 0, add).unwrap();
                }
            });
        }
    });
    assert_eq!(counters.get("n")?, Some(THREADS * EACH));
    Ok(())
}

/// Threads that append to lists and read them, in every way there is; the history they leave.
fn concurrent_history(seed: u64, keys: u64, each: usize) -> Result<usize> {
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(100_000)
        .open(dir.path())?;
    let lists: Lists = store.keyspace("lists")?;
    let (history, next) = (Mutex::new(Vec::new()), AtomicU64::new(1));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, lists, history, next) = (&store, &lists, &history, &next);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed * 100 + thread);
                for _ in 0..each {
                    let (is_optimistic, fails) = (rng.u8(..3) > 0, rng.u8(..8) == 0);
                    let plan = rng.fork();
                    let done = run(store, is_optimistic, |tx| {
                        let mut worker = Worker { keys, rng: plan.clone(), next };
                        let committed = worker.work(tx, lists)?;
                        std::thread::yield_now();
                        if fails { Err(Error::abort("no")) } else { Ok(committed) }
                    });
                    match done {
                        Ok(committed) => history.lock().unwrap().push(committed),
                        Err(e) => assert!(fails, "{e}"),
                    }
                }
            });
        }
    });
    let last: BTreeMap<u64, Vec<u64>> =
        (0..keys).map(|key| (key, lists.get(key).unwrap().unwrap_or_default())).collect();
    let history = history.into_inner().unwrap();
    let edges = check(&history, &last).unwrap_or_else(|e| panic!("{e:?}"));
    println!("{} transactions, {edges} edges", history.len());
    assert!(edges > history.len(), "they were about the same keys");
    Ok(edges)
}

type Lists = Keyspace<u64, Vec<u64>>;

/// What one run of a transaction does.
struct Worker<'a> {
    keys: u64,
    rng: fastrand::Rng,
    next: &'a AtomicU64,
}

impl Worker<'_> {
    fn work(&mut self, tx: &mut Transaction<'_>, lists: &Lists) -> Result<Committed> {
        let mut committed = Committed::default();
        let steps = &mut committed.steps;
        for _ in 0..self.rng.usize(1..5) {
            let key = self.rng.u64(..self.keys);
            match self.rng.u8(..20) {
                0..=6 => steps.push(Step::Read(key, tx.get(lists, key)?.unwrap_or_default())),
                7..=13 => {
                    let list = tx.get(lists, key)?.unwrap_or_default();
                    steps.push(Step::Read(key, list.clone()));
                    if self.rng.bool() {
                        tx.delete(lists, key)?;
                    }
                    self.append(tx, lists, key, list, steps)?;
                }
                14..=18 => {
                    read_range(tx, lists, key..self.keys, steps)?;
                }
                _ => {
                    // All of a range is deleted and put back, one list longer than before.
                    let found = read_range(tx, lists, key..self.keys, steps)?;
                    tx.delete_range(lists, key..self.keys)?;
                    for (key, list) in found.iter().filter(|(_, list)| !list.is_empty()) {
                        tx.put(lists, *key, list)?;
                    }
                    self.append(tx, lists, key, found[&key].clone(), steps)?;
                }
            }
        }
        Ok(committed)
    }

    fn append(
        &self,
        tx: &mut Transaction<'_>,
        lists: &Lists,
        key: u64,
        mut list: Vec<u64>,
        steps: &mut Vec<Step>,
    ) -> Result<()> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        list.push(n);
        steps.push(Step::Append(key, n));
        tx.put(lists, key, &list)
    }
}

/// A range is a read of all its keys, also of those that are not there.
fn read_range(
    tx: &Transaction<'_>,
    lists: &Lists,
    range: std::ops::Range<u64>,
    steps: &mut Vec<Step>,
) -> Result<BTreeMap<u64, Vec<u64>>> {
    let mut found: BTreeMap<u64, Vec<u64>> = range.clone().map(|key| (key, Vec::new())).collect();
    for entry in tx.range(lists, range) {
        let entry = entry?;
        found.insert(*entry.key(), entry.value()?);
    }
    steps.extend(found.iter().map(|(key, list)| Step::Read(*key, list.clone())));
    Ok(found)
}

#[test]
fn concurrent_transactions_are_serializable() -> Result<()> {
    for seed in 1..=3 {
        assert!(concurrent_history(seed, 7, 150)? > 0);
    }
    Ok(())
}

#[test]
fn concurrent_transactions_over_large_ranges_are_serializable() -> Result<()> {
    // More keys than a range delete removes at once.
    assert!(concurrent_history(9, 150, 150)? > 0);
    Ok(())
}

// ---- numbers and queues ----

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
        let (near, far) = (timed(0)?, timed(40_000)?);
        println!("20 at the start: {near:?}, 20 at the end: {far:?}");
        // Walking there would take some thousand times as long.
        assert!(far < near * 100 + std::time::Duration::from_millis(5), "{near:?} {far:?}");
        Ok(())
    })
}
