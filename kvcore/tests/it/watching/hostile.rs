//! Races with the end, wakers that misbehave, waiting where nothing can come.

use std::{
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use kvcore::{Durability, Error, Store};

use super::{Users, buffered, put};

/// Does nothing when woken; how often it is kept is how often its `Arc` is.
struct Idle;

impl Wake for Idle {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn what_the_close_makes_durable_is_given_to_whoever_looks_meanwhile() {
    for round in 0..150 {
        let store = buffered();
        let users: Users = store.keyspace("users").unwrap();
        let mut watcher = users.watcher().only_durable().key("a").unwrap();
        users.put("a", &1).unwrap();
        let looking = thread::spawn(move || {
            loop {
                match watcher.try_next() {
                    Ok(None) => {}
                    other => return other.map(|told| told.map(|told| told.event)),
                }
            }
        });
        store.close().unwrap();
        let told = looking.join().unwrap();
        assert_eq!(told.expect("an event, not the end"), Some(put("a", 1)), "round {round}");
    }
}

#[test]
fn whoever_waits_in_vain_leaves_no_waker_behind() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let sequence = users.put("a", &1).unwrap();
    let mut watcher = users.watcher().only_durable().key("b").unwrap();
    users.put_with("b", &1, Durability::Buffered).unwrap();
    let idle = Arc::new(Idle);
    let waker = Waker::from(Arc::clone(&idle));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..10 {
        let here = store.tip_sequence();
        let (mut durable, mut visible) =
            (store.changes(here).unwrap(), store.changes(here).unwrap().visible());
        assert!(pin!(durable.ready()).poll(&mut cx).is_pending());
        assert!(pin!(visible.ready()).poll(&mut cx).is_pending());
        let _ = pin!(store.durable(sequence)).poll(&mut cx);
    }
    // What a sync in the background has made durable meanwhile is given; then one waits again.
    while watcher.poll_next(&mut cx).is_ready() {
        users.put_with("b", &1, Durability::Buffered).unwrap();
    }
    drop(watcher);
    assert_eq!(Arc::strong_count(&idle), 2, "the waker here, and the one it is made of");
}

#[test]
fn waiting_inside_a_transaction_is_nested_and_not_for_ever() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watch("a").unwrap();
    let mut changes = store.changes(store.tip_sequence()).unwrap();
    let (tell, told) = mpsc::channel();
    let (in_thread, of_thread) = (store.clone(), users.clone());
    thread::spawn(move || {
        let done = in_thread.transaction(|tx| {
            tx.put(&of_thread, "a", &1)?;
            assert!(matches!(watcher.wait_next(), Err(Error::Nested)));
            assert!(matches!(watcher.next_timeout(Duration::MAX), Err(Error::Nested)));
            assert!(matches!(changes.next(), Some(Err(Error::Nested))));
            assert!(watcher.try_next()?.is_none() && changes.try_next()?.is_none());
            Ok::<_, Error>(())
        });
        done.unwrap();
        in_thread.sync().unwrap();
        assert_eq!(watcher.next().unwrap().unwrap(), put("a", 1));
        assert!(changes.next().is_some_and(|change| change.is_ok()), "it goes on");
        tell.send(()).unwrap();
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(()));
}

/// Panics when woken.
struct Panicking;

impl Wake for Panicking {
    fn wake(self: Arc<Self>) {
        panic!("a waker panics");
    }
}

#[test]
fn waker_that_panics_neither_stops_syncs_nor_keeps_others_asleep() {
    let store = Store::in_memory().unwrap();
    let users: Users = store.keyspace("users").unwrap();
    let mut bad = store.changes(store.tip_sequence()).unwrap();
    let waker = Waker::from(Arc::new(Panicking));
    assert!(pin!(bad.ready()).poll(&mut Context::from_waker(&waker)).is_pending());
    let mut good = store.changes(store.tip_sequence()).unwrap();
    let waiting = thread::spawn(move || good.next().is_some_and(|change| change.is_ok()));
    let (tell, told) = mpsc::channel();
    let of_thread = users.clone();
    thread::spawn(move || of_thread.put("a", &1)).join().expect("the writer goes on").unwrap();
    thread::spawn(move || {
        users.put("b", &2).unwrap();
        tell.send(()).unwrap();
    });
    assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(()));
    assert!(waiting.join().unwrap());
}
