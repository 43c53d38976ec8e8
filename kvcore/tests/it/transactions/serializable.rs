//! Transactions of several threads are as if one came after the other.

use std::{
    collections::BTreeMap,
    sync::{
        Barrier, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use kvcore::{Durability, Error, Keyspace, Options, Result, Transaction};

use super::{
    checker::{Committed, Step, check},
    counters, run, simulated,
};

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
