//! Transactions: all or nothing here; as if one at a time, and what is built on them, below.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use kvcore::{
    Background, Durability, Error, Keyspace, Options, Read, Result, Store, Transaction,
    clock::SimClock, disk::SimDisk,
};

mod checker;
mod model;
mod numbers;
mod serializable;

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
