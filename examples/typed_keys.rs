//! Typed keys: strings, integers, tuples and newtypes, and what their order is good for.
//!
//! `cargo run --example typed_keys [DIRECTORY]`; without a directory a temporary one is used.
//! A directory must be new or empty: the example counts on finding nothing.
//!
//! Keys are encoded so that the order of their bytes is the order of the Rust type. Ranges,
//! prefixes and positions follow from that, and lookups take borrowed forms: `"ada"` finds a
//! `String`, `(36, "ada")` a `(u64, String)`.
#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "that borrowed keys work too is what is shown"
)]

use kv_examples::StoreDir;
use kvcore::{Keyspace, Raw, Store, key_newtype};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    age: u64,
}

/// A key type of one's own: it cannot be mixed up with another number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OrderId(u64);
key_newtype!(OrderId(u64));

const PEOPLE: [(&str, u64); 6] =
    [("ada", 36), ("alan", 41), ("barbara", 81), ("grace", 85), ("linus", 54), ("margaret", 36)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = StoreDir::from_argument(1)?;
    let store = Store::open(dir.path())?;
    let users: Keyspace<String, User> = store.keyspace("users")?;
    for (name, age) in PEOPLE {
        users.put(name, &User { name: name.to_uppercase(), age })?;
    }
    ranges(&users)?;
    positions(&users)?;
    ends(&users)?;
    tuples(&store)?;
    numbers(&store)?;
    newtypes(&store)?;
    writing_while_iterating(&users)?;
    store.close()?;
    println!("everything is as promised");
    Ok(())
}

/// Ranges and prefixes, from either end, with values that are read when asked for.
fn ranges(users: &Keyspace<String, User>) -> kvcore::Result<()> {
    for entry in users.prefix("a") {
        let entry = entry?;
        println!("{}: {} bytes, {:?}", entry.key(), entry.size_bytes(), entry.value()?);
        assert!(entry.key().starts_with('a'));
    }
    assert_eq!(names(users.range("alan".."linus"))?, ["alan", "barbara", "grace"]);
    assert_eq!(names(users.range("alan"..="linus"))?, ["alan", "barbara", "grace", "linus"]);
    assert_eq!(names(users.range("g"..).rev())?, ["margaret", "linus", "grace"]);
    assert_eq!(names(users.range(.."b"))?, ["ada", "alan"]);
    assert_eq!(names(users.iter())?.len(), PEOPLE.len());
    Ok(())
}

fn names(entries: impl Iterator<Item = UserEntry>) -> kvcore::Result<Vec<String>> {
    entries.map(|entry| entry.map(kvcore::Entry::into_key)).collect()
}

type UserEntry = kvcore::Result<kvcore::Entry<String, User, kvcore::Bincode>>;

/// Counting and finding by position cost O(log n), however large the range.
fn positions(users: &Keyspace<String, User>) -> kvcore::Result<()> {
    assert_eq!(users.count("a".."n")?, 6);
    assert_eq!(users.count("b".."h")?, 2);
    assert_eq!(users.count(..)?, users.len());
    assert_eq!(users.rank("barbara")?, Some(2), "two are before her");
    assert_eq!(users.rank("nobody")?, None);
    let third = users.nth(2)?.map(kvcore::Entry::into_key);
    assert_eq!(third.as_deref(), Some("barbara"));
    assert!(users.nth(10)?.is_none());
    // A page from the middle, without reading what is before it.
    let start = users.nth(3)?.map(kvcore::Entry::into_key).unwrap_or_default();
    assert_eq!(names(users.range(start..).take(2))?, ["grace", "linus"]);
    println!("{} users, barbara is number {:?}", users.len(), users.rank("barbara")?);
    Ok(())
}

/// The two ends; taking from one is a queue.
fn ends(users: &Keyspace<String, User>) -> kvcore::Result<()> {
    let first = users.first()?.map(kvcore::Entry::into_key);
    let last = users.last()?.map(kvcore::Entry::into_key);
    assert_eq!((first.as_deref(), last.as_deref()), (Some("ada"), Some("margaret")));
    let Some((key, ada)) = users.pop_first()? else { unreachable!("ada was there") };
    assert!(!users.contains("ada")?, "popped is deleted");
    users.put(&key, &ada)?;
    Ok(())
}

/// A tuple orders by its first component, then by the next: an index by anything.
fn tuples(store: &Store) -> kvcore::Result<()> {
    let by_age: Keyspace<(u64, String), ()> = store.keyspace("users by age")?;
    for (name, age) in PEOPLE {
        by_age.put((age, name), &())?;
    }
    let adults: kvcore::Result<Vec<(u64, String)>> =
        by_age.range((18, "")..(65, "")).map(|e| e.map(kvcore::Entry::into_key)).collect();
    let adults = adults?;
    println!("from 18 to 64: {adults:?}");
    assert_eq!(adults.len(), 4);
    assert!(adults.is_sorted());
    assert_eq!(by_age.prefix((36,)).count(), 2, "all with the first component 36");
    assert_eq!(by_age.count((80, "")..)?, 2);
    assert!(by_age.delete((36, "ada"))?);
    assert!(!by_age.delete((36, "ada"))?, "it was gone already");
    Ok(())
}

/// Integers sort as numbers, negative ones before positive ones.
fn numbers(store: &Store) -> kvcore::Result<()> {
    let degrees: Keyspace<i64, str, Raw> = store.keyspace("degrees")?;
    for (degree, word) in [(100, "boiling"), (-40, "the same in both"), (0, "freezing")] {
        degrees.put(degree, word)?;
    }
    let sorted: kvcore::Result<Vec<i64>> =
        degrees.iter().map(|e| e.map(kvcore::Entry::into_key)).collect();
    assert_eq!(sorted?, [-40, 0, 100]);
    assert_eq!(degrees.count(..=0)?, 2);
    Ok(())
}

fn newtypes(store: &Store) -> kvcore::Result<()> {
    let orders: Keyspace<OrderId, String> = store.keyspace("orders")?;
    orders.put(OrderId(300), &"tea".to_owned())?;
    orders.put(OrderId(7), &"coffee".to_owned())?;
    assert_eq!(orders.get(OrderId(7))?.as_deref(), Some("coffee"));
    let first = orders.range(OrderId(1)..OrderId(1000)).next().transpose()?;
    assert_eq!(first.map(kvcore::Entry::into_key), Some(OrderId(7)));
    Ok(())
}

/// An iterator is a view of its own: what is written meanwhile does not change it.
fn writing_while_iterating(users: &Keyspace<String, User>) -> kvcore::Result<()> {
    let mut seen = 0;
    for entry in users.range("a".."n").rev() {
        users.delete(entry?.key())?;
        seen += 1;
    }
    assert_eq!(seen, PEOPLE.len());
    assert!(users.is_empty());
    println!("deleted {seen} users while iterating over them");
    Ok(())
}
