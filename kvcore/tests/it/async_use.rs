//! Use from tokio: what waits without a thread, and what is sent to one; see `kvcore::guide`.

use kvcore::{Background, Durability, Error, Keyspace, Options, Store};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

fn is_async_friendly<T: Send + Sync + 'static>(_: &T) {}

#[tokio::test]
async fn thousand_tasks_await_durability_on_one_thread() {
    let store = Options::new().durability(Durability::Buffered).open_temporary().unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    is_async_friendly(&numbers);
    // One thread runs all the tasks: if any of them blocked in its wait, none would come behind.
    let waiting = Arc::new(AtomicUsize::new(0));
    let waiting_max = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1_000)
        .map(|n| {
            let (store, numbers) = (store.clone(), numbers.clone());
            let (waiting, waiting_max) = (Arc::clone(&waiting), Arc::clone(&waiting_max));
            tokio::spawn(async move {
                let sequence = numbers.put(n, &n)?;
                waiting_max.fetch_max(waiting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                store.durable(sequence).await?;
                waiting.fetch_sub(1, Ordering::SeqCst);
                assert!(store.durable_sequence() >= sequence);
                Ok::<_, Error>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(waiting_max.load(Ordering::SeqCst) > 100, "{waiting_max:?} waited at once");
    let syncs = store.stats().syncs;
    assert!(syncs < 500, "{syncs} syncs, tasks that wait together share them");
    assert_eq!(numbers.len(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn immediate_writes_go_through_spawn_blocking_and_tasks_run_meanwhile() {
    let store = Store::temporary().unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let writes: Vec<_> = (0..50)
        .map(|n| {
            let numbers = numbers.clone();
            tokio::task::spawn_blocking(move || numbers.put_with(n, &n, Durability::Immediate))
        })
        .collect();
    for write in writes {
        let sequence = write.await.unwrap().unwrap();
        assert!(store.durable_sequence() >= sequence);
    }
    assert_eq!(numbers.get(49).unwrap(), Some(49), "a read is short enough to make in place");
}

#[tokio::test]
async fn future_of_a_store_that_is_closed_ends_with_an_error() {
    let store = Options::new().durability(Durability::Buffered).in_memory().open("data").unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let sequence = numbers.put(1, &1).unwrap();
    store.durable(sequence).await.unwrap();
    store.durable(sequence).await.expect("what is durable stays so");
    let later = store.durable(sequence);
    store.clone().close().unwrap();
    later.await.expect("closing made it durable");
    let beyond = Store::in_memory().unwrap();
    let never = beyond.durable(sequence);
    assert!(matches!(never.await, Err(Error::BadOption { option: "sequence", .. })));
}

#[tokio::test]
async fn future_that_is_dropped_leaves_nothing_waiting() {
    let store = Store::in_memory().unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    for n in 0..100 {
        let sequence = numbers.put_with(n, &n, Durability::Buffered).unwrap();
        let wait = tokio::time::timeout(Duration::ZERO, store.durable(sequence));
        let _in_time_or_not = wait.await;
    }
    let last = store.tip_sequence();
    store.durable(last).await.unwrap();
    assert_eq!(store.durable_sequence(), last);
}

#[tokio::test]
async fn store_without_threads_syncs_in_the_task_that_awaits() {
    let options = Options::new().background(Background::Manual).in_memory();
    let store = options.durability(Durability::Buffered).open("data").unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let sequence = numbers.put(1, &1).unwrap();
    assert!(store.durable_sequence() < sequence);
    store.durable(sequence).await.unwrap();
    assert_eq!(store.durable_sequence(), sequence);
}

#[tokio::test]
async fn hundred_tasks_watch_on_one_thread_and_are_woken_by_commits() {
    let store = Options::new().durability(Durability::Buffered).open_temporary().unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let mut watcher = numbers.watch(n).unwrap();
            is_async_friendly(&watcher);
            tokio::spawn(async move {
                let mut told = Vec::new();
                while let Some(next) = watcher.next_async().await {
                    told.push(next.unwrap().event);
                }
                told
            })
        })
        .collect();
    tokio::task::yield_now().await;
    for n in 0..100 {
        // Those of `Immediate` commits come with the sync.
        let durability = if n % 2 == 0 { Durability::Immediate } else { Durability::Buffered };
        let numbers = numbers.clone();
        let put = tokio::task::spawn_blocking(move || numbers.put_with(n, &n, durability));
        put.await.unwrap().unwrap();
    }
    tokio::task::spawn_blocking(move || store.close()).await.unwrap().unwrap();
    for (n, task) in (0..).zip(tasks) {
        assert_eq!(task.await.unwrap(), [kvcore::Event::Put { key: n, value: n }]);
    }
}
