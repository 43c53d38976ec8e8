//! Quickstart: open a store, write and read typed values, close it, find everything again.
//!
//! `cargo run --example quickstart [DIRECTORY]`; without a directory a temporary one is used.
//! A directory must be new or empty: the example counts on finding nothing.

use kv_examples::StoreDir;
use kvcore::{Durability, Error, Keyspace, Options, Put, Raw, Schema, Store, Swap, Value};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Session {
    user: String,
}

/// Name, types and options in one place. The version is compared whenever it is opened.
const USERS: Schema<String, User> = Schema::new("users").version(1);
const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = StoreDir::from_argument(1)?;
    let store = Store::open(dir.path())?;
    println!("opened a store in {}", dir.path().display());

    values(&store)?;
    expiry(&store)?;
    raw_bytes(&store)?;
    batches(&store)?;
    transactions(&store)?;
    upkeep(&store)?;

    let users = store.keyspace(USERS)?;
    store.close()?;
    assert!(matches!(users.get("ada"), Err(Error::Closed)), "other handles answer that it is over");

    reopen(&dir)?;
    println!("everything is as promised");
    Ok(())
}

/// Put, get, and changes that depend on what is there.
fn values(store: &Store) -> kvcore::Result<()> {
    let users = store.keyspace(USERS)?;
    // Types from the annotation; values are encoded by serde and bincode.
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;

    let ada = User { name: "Ada".into(), age: 36 };
    users.put("ada", &ada)?;
    let found: Option<User> = users.get("ada")?;
    assert_eq!(found, Some(ada));
    assert_eq!(users.get("bob")?, None, "not found is no error");

    // The closure sees the old value, `None` deletes, the new value comes back.
    let older = users.update("ada", |old| old.map(|u| User { age: u.age + 1, ..u }))?;
    assert_eq!(older.map(|u| u.age), Some(37));

    counters.update("n", |n| Some(n.unwrap_or(0) + 1))?;
    if counters.compare_and_swap("n", Some(&1), Some(&2))? != Swap::Swapped {
        unreachable!("nobody else writes here");
    }
    assert_eq!(counters.compare_and_swap("n", Some(&1), Some(&9))?, Swap::Differs(Some(2)));
    println!("users: {}, counter: {:?}", users.len(), counters.get("n")?);
    Ok(())
}

/// Entries that disappear by themselves.
fn expiry(store: &Store) -> kvcore::Result<()> {
    let sessions: Keyspace<[u8; 16], Session> = store.keyspace("sessions")?;
    let (id, session) = ([7; 16], Session { user: "ada".into() });

    sessions.put_with(id, &session, Put::expires_in(MINUTE))?;
    assert!(sessions.expires_at(id)?.is_some());
    assert!(sessions.persist(id)?, "now it stays");
    assert_eq!(sessions.expires_at(id)?, None);

    // A time that has come: gone for readers at once, and removed by the store later.
    sessions.put_with([8; 16], &session, Put::expires_in(Duration::ZERO))?;
    assert_eq!(sessions.get([8; 16])?, None);
    println!("sessions: {:?}", sessions.get(id)?);
    Ok(())
}

/// Bytes as they are, without a codec. Large ones are not copied when they are read.
fn raw_bytes(store: &Store) -> kvcore::Result<()> {
    let blobs: Keyspace<Vec<u8>, [u8], Raw> = store.keyspace("blobs")?;
    blobs.put(b"k", b"bytes")?;
    let value: Option<Value> = blobs.get(b"k")?;
    assert_eq!(value.as_deref(), Some(&b"bytes"[..]));

    let notes: Keyspace<u64, str, Raw> = store.keyspace("notes")?;
    notes.put(1, "text needs no codec either")?;
    println!("note: {:?}", notes.get(1)?);
    Ok(())
}

/// Several writes, in several keyspaces, that happen together or not at all.
fn batches(store: &Store) -> kvcore::Result<()> {
    let users = store.keyspace(USERS)?;
    let by_age: Keyspace<(u64, String), ()> = store.keyspace("users by age")?;
    let bob = User { name: "Bob".into(), age: 41 };

    let mut batch = store.batch();
    batch.put(&users, "bob", &bob)?;
    batch.put(&by_age, (41, "bob"), &())?;
    batch.delete(&by_age, (36, "ada"))?;
    let sequence = batch.commit_with(Durability::Immediate)?;
    assert!(store.durable_sequence() >= sequence, "Immediate means it survives power loss");
    assert!(by_age.contains((41, "bob"))?);
    println!("the batch is durable up to sequence {sequence}");
    Ok(())
}

/// Reads and writes that happen at one moment, and a look back; more in `transactions.rs`.
fn transactions(store: &Store) -> kvcore::Result<()> {
    let users = store.keyspace(USERS)?;
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;

    let view = store.snapshot();
    let n = store.transaction(|tx| {
        let n = tx.get(&counters, "n")?.unwrap_or(0);
        tx.put(&counters, "n", &(n + 1))?;
        Ok(n)
    })?;
    assert_eq!(counters.get("n")?, Some(n + 1));
    assert_eq!(view.get(&counters, "n")?, Some(n), "the snapshot is from before");
    assert_eq!(view.range(&users, ..).count(), 2);
    println!("the transaction counted from {n} to {}", n + 1);
    Ok(())
}

/// What a store is asked now and then.
fn upkeep(store: &Store) -> kvcore::Result<()> {
    // Merge runs in the background by itself; by hand it says what it gave back.
    assert!(store.stats().dead_bytes > 0, "what was overwritten and deleted is dead");
    let reclaimed = store.merge()?;
    store.sync()?;
    let stats = store.stats();
    println!("merge gave back {} bytes; {} keys in all", reclaimed.bytes, stats.keys);
    println!("the keydir takes {} bytes of memory", stats.keydir_bytes);
    assert!(reclaimed.files > 0 && reclaimed.bytes > 0);
    assert!(stats.keys >= 7, "nothing that lives is gone");
    Ok(())
}

/// Another run of the program would find this.
fn reopen(dir: &StoreDir) -> kvcore::Result<()> {
    let store = Options::new().durability(Durability::Buffered).open(dir.path())?;
    let users = store.keyspace(USERS)?;
    assert_eq!(users.get("ada")?, Some(User { name: "Ada".into(), age: 37 }));
    assert_eq!(users.len(), 2);
    let other: Result<Keyspace<u64, User>, Error> = store.keyspace("users");
    assert!(matches!(other, Err(Error::SchemaMismatch { .. })), "another key type is an error");
    println!("reopened with {} keys in {:?}", store.recovery().keys, store.recovery().took);
    store.close()
}
