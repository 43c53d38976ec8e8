//! The public API as its users call it: the tour, and the call shapes that must type-check.

use kvcore::*;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    user: String,
}

const USERS: Schema<String, User> = Schema::new("users").version(1);
const MINUTE: Duration = Duration::from_secs(60);

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn tour_of_the_api_works() -> Result<()> {
    let dir = dir();
    let ada = User { name: "Ada".into(), age: 36 };
    let store = Store::open(dir.path().join("data"))?;
    let users = store.keyspace(USERS)?;
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;
    let by_age: Keyspace<(u64, String), ()> = store.keyspace("users by age")?;
    let sessions: Keyspace<[u8; 16], Session> = store.keyspace("sessions")?;
    let blobs: Keyspace<Vec<u8>, [u8], Raw> = store.keyspace("blobs")?;

    users.put("ada", &ada)?;
    assert_eq!(users.get("ada")?, Some(ada.clone()));
    users.update("ada", |old| old.map(|u| User { age: u.age + 1, ..u }))?;
    assert_eq!(users.get("ada")?.map(|u| u.age), Some(37));
    counters.update("n", |n| Some(n.unwrap_or(0) + 1))?;
    assert_eq!(counters.compare_and_swap("n", Some(&1), Some(&2))?, Swap::Swapped);
    assert_eq!(counters.compare_and_swap("n", Some(&1), Some(&3))?, Swap::Differs(Some(2)));
    let id = [0u8; 16];
    sessions.put_with(id, &Session { user: "ada".into() }, Put::expires_in(MINUTE))?;
    assert!(sessions.expires_at(id)?.is_some());
    for entry in users.prefix("a") {
        let e = entry?;
        assert_eq!(e.key(), "ada");
        assert!(e.size_bytes() > 0);
        e.value()?;
    }
    assert_eq!(users.count("a".."n")?, 1);
    assert_eq!(users.rank("ada")?, Some(0));
    assert!(users.nth(10)?.is_none());
    for entry in users.range("a".."n").rev() {
        users.delete(entry?.key())?;
    }
    assert!(users.first()?.is_none());
    assert!(users.pop_first()?.is_none());
    by_age.put((36, "ada"), &())?;
    assert_eq!(by_age.range((18, "")..(65, "")).count(), 1);
    assert_eq!(by_age.prefix((36,)).count(), 1);
    blobs.put(b"k", b"bytes")?;
    assert_eq!(blobs.get(b"k")?.as_deref(), Some(&b"bytes"[..]));

    let mut batch = store.batch();
    batch.put(&users, "ada", &ada)?;
    batch.delete(&by_age, (36, "ada"))?;
    batch.commit_with(Durability::Immediate)?;
    assert_eq!(by_age.len(), 0);
    store.merge()?;
    store.sync()?;
    assert_eq!(store.stats().keys, 4);
    store.close()?;
    assert!(matches!(users.get("ada"), Err(Error::Closed)));

    let store = Store::open(dir.path().join("data"))?;
    let users = store.keyspace(USERS)?;
    assert_eq!(users.get("ada")?, Some(ada));
    assert_eq!(store.recovery().files_scanned, 0, "hints serve a clean open");
    store.close()
}

#[test]
fn reopen_after_many_rolls_and_merges_keeps_everything() -> Result<()> {
    let dir = dir();
    let open = || {
        Options::new().durability(Durability::Buffered).data_file_bytes_max(4096).open(dir.path())
    };
    for round in 0..5u64 {
        let store = open()?;
        let ks: Keyspace<u64, u64> = store.keyspace("n")?;
        for i in 0..2000 {
            ks.put(i, &(i + round))?;
        }
        for i in (0..2000).step_by(3) {
            ks.delete(i)?;
        }
        store.merge()?;
        for i in 0..2000 {
            let want = (i % 3 != 0).then_some(i + round);
            assert_eq!(ks.get(i)?, want, "round {round} key {i}");
        }
        assert_eq!(ks.iter().count() as u64, ks.len());
        if round % 2 == 0 {
            store.close()?;
        } else {
            // As a crash of the process would leave it: dropping closes, so forget instead.
            std::mem::forget(store);
            std::mem::forget(ks);
            break;
        }
    }
    Ok(())
}
