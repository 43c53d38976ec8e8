//! Watchers that are too slow: told so, and told again from there on.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use kvcore::{Error, Event, Keyspace, Options, Raw, Sequence};

use super::{Users, buffered, drain, put};

#[test]
fn full_watcher_gives_up_what_waits_and_says_from_where_on_it_is_missing() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watcher().capacity(3).range(..).unwrap();
    users.put("a", &1).unwrap();
    assert_eq!(drain(&mut watcher), [put("a", 1)]);
    let taken = store.snapshot().token();
    for n in 2..7 {
        users.put("a", &n).unwrap();
    }
    assert_eq!(store.stats().watchers_lagging, 1);
    let Err(Error::Lagged { resume_from }) = watcher.try_next() else {
        panic!("five events do not fit");
    };
    assert_eq!(resume_from, taken, "all that was not taken is missing");
    assert_eq!(store.stats().watchers_lagging, 0);
    users.put("a", &7).unwrap();
    assert_eq!(drain(&mut watcher), [put("a", 7)], "it goes on");
    let shown = Error::Lagged { resume_from }.to_string();
    assert_eq!(shown, "the watcher was too slow: events are missing after 1");
}

#[test]
fn commit_that_does_not_fit_is_missing_as_a_whole() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watcher().capacity(3).range(..).unwrap();
    users.put("a", &1).unwrap();
    let mut batch = store.batch();
    for n in 0..3 {
        batch.put(&users, n.to_string(), &n).unwrap();
    }
    batch.commit().unwrap();
    let lagged = watcher.try_next();
    assert!(
        matches!(&lagged, Err(Error::Lagged { resume_from }) if resume_from.sequence().get() == 0),
        "{lagged:?}"
    );
    assert_eq!(watcher.try_next().unwrap(), None);
}

#[test]
fn watcher_that_never_reads_keeps_no_files_and_no_events() {
    let store = Options::new().data_file_bytes_max(64 << 10).in_memory().open("/store").unwrap();
    let files: Keyspace<u64, [u8], Raw> = store.keyspace("files").unwrap();
    let watchers: Vec<_> =
        (0..10).map(|_| files.watcher().capacity(8).range(..).unwrap()).collect();
    for n in 0..8 {
        files.put(n % 2, &vec![1; 20_000]).unwrap();
    }
    store.sync().unwrap();
    store.maintain().unwrap();
    let held = store.stats();
    assert_eq!((held.blobs, held.watchers_lagging), (2, 0));
    for n in 0..8 {
        files.put(n % 2, &vec![2; 5_000]).unwrap();
    }
    store.sync().unwrap();
    store.merge().unwrap();
    store.maintain().unwrap();
    let stats = store.stats();
    assert_eq!((stats.blobs, stats.pinned_bytes), (0, 0), "{stats:?}");
    assert_eq!((stats.watchers, stats.watchers_lagging), (10, 10));
    drop(watchers);
    let stats = store.stats();
    assert_eq!((stats.watchers, stats.watchers_lagging), (0, 0));
}

#[test]
fn slow_watcher_under_writers_misses_nothing_that_it_does_not_say() {
    let store = buffered();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let done = AtomicBool::new(false);
    let mut watcher = numbers.watcher().capacity(16).range(..).unwrap();
    let (mut told, mut lags, mut next) = (0, 0, Some(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..50_000 {
                numbers.put(n % 7, &n).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        loop {
            let was_done = done.load(Ordering::Acquire);
            match watcher.try_next() {
                Ok(None) if was_done => break,
                Ok(None) => thread::yield_now(),
                Ok(Some(event)) => {
                    let Event::Put { value, .. } = event.event else { panic!("{event:?}") };
                    assert!(next.is_none_or(|next| next == value), "{next:?}, told {value}");
                    next = Some(value + 1);
                    told += 1;
                }
                Err(Error::Lagged { resume_from }) => {
                    // The record of value n has sequence n + 1.
                    assert!(next.is_none_or(|next| next == resume_from.sequence().get()));
                    next = None;
                    lags += 1;
                }
                Err(e) => panic!("{e}"),
            }
        }
    });
    println!("{told} of 50,000 events told, {lags} lags");
    assert!(lags > 0 || told == 50_000);
    numbers.put(0, &50_000).unwrap();
    assert!(watcher.wait_next().is_ok(), "it goes on");
}

#[test]
fn what_a_lagging_watcher_missed_comes_from_the_change_feed_without_gap_or_double() {
    let store = buffered();
    let users: Users = store.keyspace("users").unwrap();
    let mut watcher = users.watcher().capacity(50).range(..).unwrap();
    let mut seen: Vec<(Sequence, Event<String, u64>)> = Vec::new();
    let mut lags = 0;
    let mut rng = fastrand::Rng::with_seed(11);
    for n in 0..2_000 {
        let mut batch = store.batch();
        for _ in 0..rng.usize(1..5) {
            batch.put(&users, rng.u8(..9).to_string(), &n).unwrap();
        }
        batch.commit().unwrap();
        // In the middle of a commit, too.
        for _ in 0..rng.usize(..4) {
            let resume_from = match watcher.try_next() {
                Ok(None) => break,
                Ok(Some(told)) => {
                    let is_new = seen.last().is_none_or(|(last, _)| *last < told.sequence);
                    seen.extend(is_new.then_some((told.sequence, told.event)));
                    continue;
                }
                Err(Error::Lagged { resume_from }) => resume_from,
                Err(e) => panic!("{e}"),
            };
            lags += 1;
            let up_to = store.tip_sequence();
            let mut missed = store.changes(resume_from).unwrap().visible();
            while seen.last().is_none_or(|(last, _)| *last < up_to) {
                let change = missed.try_next().unwrap().expect("it is in the log");
                let event = change.decode(&users).unwrap().expect("of the only keyspace");
                seen.push((change.sequence, event));
            }
        }
    }
    let mut all = store.changes(Sequence::default()).unwrap().visible();
    for told in &seen {
        let change = all.try_next().unwrap().expect("all of it");
        let event = change.decode(&users).unwrap().expect("of the only keyspace");
        assert_eq!(*told, (change.sequence, event));
    }
    assert!(lags > 3, "{lags} lags, {} events; seed 11", seen.len());
}
