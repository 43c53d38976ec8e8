//! How watchers end: with the store, the keyspace, themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use kvcore::{
    Background, Durability, Error, Event, Keyspace, Options, Schema,
    disk::{Fault, Repeat, SimDisk},
};

use super::{Users, buffered, drain, put};

#[test]
fn closing_wakes_whoever_waits_and_what_waited_is_given_first() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let (waiting, late) = (users.watch("a").unwrap(), users.watch("a").unwrap());
    let waiting = thread::spawn(move || waiting.count());
    users.put("a", &1).unwrap();
    store.close().unwrap();
    assert_eq!(waiting.join().unwrap(), 1);
    let mut late = late;
    assert_eq!(late.next().unwrap().unwrap(), put("a", 1));
    assert!(late.next().is_none() && late.next().is_none());
    assert!(matches!(late.try_next(), Err(Error::Closed)));
    assert!(matches!(late.next_timeout(Duration::from_secs(9)), Err(Error::Closed)));
    assert!(matches!(users.watch("a"), Err(Error::Closed)));
}

#[test]
fn watcher_does_not_keep_the_store_open() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let watcher = users.watch_range(..).unwrap();
    let waiting = thread::spawn(move || watcher.count());
    drop((users, store));
    assert_eq!(waiting.join().unwrap(), 0);
}

#[test]
fn dropping_and_migrating_a_keyspace_end_its_watchers() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    users.put("a", &1).unwrap();
    let mut dropped = users.watch("a").unwrap();
    store.drop_keyspace("users").unwrap();
    let key = "a".to_owned();
    assert_eq!(dropped.wait_next().unwrap().event, Event::Delete { key });
    assert!(matches!(dropped.wait_next(), Err(Error::KeyspaceGone { .. })));
    assert!(dropped.next().is_none());
    assert!(matches!(users.watch("a"), Err(Error::KeyspaceGone { .. })));

    const OLD: Schema<u64, u64> = Schema::new("numbers").version(1);
    const NEW: Schema<u64, String> = Schema::new("numbers").version(2);
    let old = store.keyspace(OLD).unwrap();
    let mut watcher = old.watcher().capacity(1).range(..).unwrap();
    let mut lagging = old.watcher().capacity(1).range(..).unwrap();
    old.put(1, &1).unwrap();
    assert!(watcher.try_next().unwrap().is_some());
    old.put(2, &2).unwrap();
    store.migrate(OLD, NEW, |k, v| Ok(Some((k, v.to_string())))).unwrap();
    // Nothing was deleted: the entries are in the new keyspace.
    assert_eq!(watcher.wait_next().unwrap().event, Event::Put { key: 2, value: 2 });
    assert!(matches!(watcher.wait_next(), Err(Error::KeyspaceGone { .. })));
    assert!(matches!(lagging.wait_next(), Err(Error::Lagged { .. })));
    assert!(matches!(lagging.wait_next(), Err(Error::KeyspaceGone { .. })));
    let new = store.keyspace(NEW).unwrap();
    let mut watcher = new.watch(3).unwrap();
    new.put(3, &"three".to_owned()).unwrap();
    assert!(watcher.try_next().unwrap().is_some());
}

#[test]
fn failed_sync_ends_watchers_before_the_event_that_is_lost() {
    let disk = SimDisk::new(3);
    let store = Options::new()
        .background(Background::Manual)
        .disk(Arc::new(disk.clone()))
        .open("/store")
        .unwrap();
    let users: Users = store.keyspace("users").unwrap();
    users.put("a", &1).unwrap();
    let mut watcher = users.watch_range(..).unwrap();
    users.put_with("a", &2, Durability::Buffered).unwrap();
    // The write comes first.
    disk.fail(disk.operations() + 1, Fault::EIO, Repeat::Once);
    assert!(matches!(users.put("a", &3), Err(Error::Poisoned { .. })));
    assert_eq!(watcher.try_next().unwrap().unwrap().event, put("a", 2));
    assert!(matches!(watcher.wait_next(), Err(Error::Poisoned { .. })));
    assert!(watcher.next().is_none());
}

#[test]
fn watcher_of_a_thread_that_panics_is_gone() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let watcher = users.watch_range(..).unwrap();
    let consumer = thread::spawn(move || {
        for told in watcher {
            assert_eq!(told.unwrap(), put("a", 9), "cannot cope");
        }
    });
    users.put("a", &1).unwrap();
    assert!(consumer.join().is_err());
    assert_eq!(store.stats().watchers, 0);
    users.put("a", &2).unwrap();
    assert_eq!(users.get("a").unwrap(), Some(2));
}

#[test]
fn waiting_for_a_while_ends_in_time_and_with_an_event() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watch("a").unwrap();
    assert_eq!(watcher.next_timeout(Duration::from_millis(5)).unwrap(), None);
    let waiting = thread::spawn(move || watcher.next_timeout(Duration::from_secs(60)));
    users.put("a", &1).unwrap();
    assert!(waiting.join().unwrap().unwrap().is_some());
}

/// Writes to the store that wakes it.
struct Busy {
    users: Users,
    woken: AtomicUsize,
}

impl Wake for Busy {
    fn wake(self: Arc<Self>) {
        self.woken.fetch_add(1, Ordering::SeqCst);
        self.users.put("from the waker", &1).unwrap();
        assert!(self.users.watch("b").is_ok());
        assert_eq!(self.users.store().stats().keys, self.users.len());
    }
}

#[test]
fn waker_may_call_the_store_since_no_lock_is_held() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watch("a").unwrap();
    let busy = Arc::new(Busy { users: users.clone(), woken: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&busy));
    let mut cx = Context::from_waker(&waker);
    assert!(watcher.poll_next(&mut cx).is_pending());
    users.put("a", &1).unwrap();
    assert_eq!(busy.woken.load(Ordering::SeqCst), 1);
    assert!(matches!(watcher.poll_next(&mut cx), Poll::Ready(Some(Ok(_)))));
    assert_eq!(drain(&mut watcher), []);
}

#[test]
fn watchers_that_come_and_go_while_the_store_closes_all_end() {
    for _ in 0..20 {
        let store = buffered();
        let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
        let ends = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (numbers, ends) = (&numbers, &ends);
                scope.spawn(move || {
                    while let Ok(mut watcher) = numbers.watch_range(..) {
                        let _ = numbers.put(1, &1);
                        loop {
                            match watcher.next_timeout(Duration::from_micros(100)) {
                                Ok(Some(_)) | Err(Error::Lagged { .. }) => {}
                                Ok(None) => break,
                                Err(e) => {
                                    assert!(matches!(e, Error::Closed), "{e}");
                                    break;
                                }
                            }
                        }
                    }
                    ends.fetch_add(1, Ordering::SeqCst);
                });
            }
            let closing = store.clone();
            scope.spawn(move || {
                thread::yield_now();
                closing.close().unwrap();
            });
        });
        assert_eq!(ends.load(Ordering::SeqCst), 3);
        assert_eq!(store.stats().watchers, 0);
    }
}

#[test]
fn watcher_of_a_read_only_store_is_told_what_a_refresh_brings() {
    let disk = SimDisk::new(5);
    let options = || Options::new().background(Background::Manual).disk(Arc::new(disk.clone()));
    let store = options().open("/store").unwrap();
    let users: Users = store.keyspace("users").unwrap();
    users.put("a", &1).unwrap();
    // Each commit tells how far the log is durable before it.
    users.put("a", &2).unwrap();
    let reader = options().open_read_only("/store").unwrap();
    let seen: Users = reader.keyspace("users").unwrap();
    let mut watcher = seen.watcher().with_old_values().range(..).unwrap();
    let first = seen.get("a").unwrap().unwrap_or(0);
    users.put("a", &3).unwrap();
    users.put("a", &4).unwrap();
    reader.refresh().unwrap();
    let last = seen.get("a").unwrap().unwrap();
    assert!(last > first, "{first} to {last}");
    for n in first + 1..=last {
        let told = watcher.try_next().unwrap().expect("it came with the refresh");
        assert_eq!((told.event, told.old), (put("a", n), Some(n - 1).filter(|n| *n > 0)));
    }
    assert_eq!(watcher.try_next().unwrap(), None);
    // A merge makes it load everything anew: what came with that is missing, and it says so.
    users.put("b", &1).unwrap();
    store.merge().unwrap();
    users.put("b", &2).unwrap();
    store.sync().unwrap();
    store.close().unwrap();
    reader.refresh().unwrap();
    assert_eq!(seen.get("b").unwrap(), Some(2));
    let lagged = watcher.try_next();
    assert!(matches!(lagged, Err(Error::Lagged { .. })), "{lagged:?}");
    assert_eq!(watcher.try_next().unwrap(), None);
}

/// Refreshes the store that wakes it.
struct Refreshing(kvcore::Store);

impl Wake for Refreshing {
    fn wake(self: Arc<Self>) {
        self.0.refresh().unwrap();
    }
}

#[test]
fn waker_may_refresh_the_read_only_store_that_wakes_it() {
    let disk = SimDisk::new(6);
    let options = || Options::new().background(Background::Manual).disk(Arc::new(disk.clone()));
    let store = options().open("/store").unwrap();
    let users: Users = store.keyspace("users").unwrap();
    users.put("a", &1).unwrap();
    let reader = options().open_read_only("/store").unwrap();
    let seen: Users = reader.keyspace("users").unwrap();
    let mut watcher = seen.watch("b").unwrap();
    let waker = Waker::from(Arc::new(Refreshing(reader.clone())));
    assert!(watcher.poll_next(&mut Context::from_waker(&waker)).is_pending());
    users.put("b", &1).unwrap();
    store.close().unwrap();
    reader.refresh().unwrap();
    assert_eq!(drain(&mut watcher), [put("b", 1)]);
}
