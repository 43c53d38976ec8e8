//! Call shapes: every form in which keys, ranges, values and options may be handed in.
//!
//! Most of it holds once it compiles: it is type inference that must not need help. It runs too,
//! and what comes back is compared.
#![allow(
    clippy::needless_borrows_for_generic_args,
    reason = "that borrowed keys work too is what is shown"
)]
#![expect(clippy::needless_borrows_for_generic_args, reason = "borrowed forms must work too")]

use kvcore::*;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    ops::Bound,
    time::{Duration, SystemTime},
};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct City {
    name: String,
    people: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct CityId(u64);
key_newtype!(CityId(u64));

const VISITS: Schema<'static, (String, u64), City> = Schema::new("visits").version(2);
const PICTURES: Schema<'static, Vec<u8>, [u8], Raw> = Schema::new("pictures");

/// Handles can be fields.
struct App {
    cities: Keyspace<String, City>,
    pictures: BytesKeyspace,
}

fn city(name: &str, people: u32) -> City {
    City { name: name.into(), people }
}

fn open() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().durability(Durability::Buffered).open(dir.path()).unwrap();
    (dir, store)
}

fn keys<K: Key, V: ?Sized, C: Codec<V>>(
    entries: impl Iterator<Item = Result<Entry<K, V, C>>>,
) -> Vec<K> {
    entries.map(|e| e.unwrap().into_key()).collect()
}

#[test]
fn string_keys_are_found_by_every_form_of_string() -> Result<()> {
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    let rome = city("Rome", 2_800_000);
    cities.put("rome", &rome)?;

    let owned = String::from("rome");
    let found = [cities.get("rome")?, cities.get(&owned)?, cities.get(owned.as_str())?];
    assert!(found.iter().all(|f| f.as_ref() == Some(&rome)));
    assert_eq!(cities.get(owned)?, Some(rome.clone()));
    for name in ["rome", "oslo"] {
        assert_eq!(cities.get(name)?.is_some(), name == "rome");
    }
    for name in &["rome", "oslo"] {
        assert_eq!(cities.contains(*name)?, *name == "rome");
    }
    assert_eq!(cities.get_many(["rome", "oslo"])?, [Some(rome.clone()), None]);
    assert_eq!(cities.get_or_insert_with("oslo", || city("Oslo", 700_000))?.people, 700_000);
    assert_eq!(cities.get_or_insert_with("oslo", || city("Oslo", 0))?.people, 700_000);
    assert_eq!(cities.take("oslo")?.map(|c| c.name).as_deref(), Some("Oslo"));
    assert_eq!(cities.take("oslo")?, None);
    Ok(())
}

#[test]
fn closures_get_and_give_owned_values() -> Result<()> {
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;

    cities.put("rome", &city("Rome", 1))?;
    let grown = cities.update("rome", |c| c.map(|c| City { people: c.people + 1, ..c }))?;
    assert_eq!(grown, Some(city("Rome", 2)));
    assert_eq!(cities.update("rome", |_| None)?, None);
    assert!(!cities.contains("rome")?);

    let n = counters.update("n", |n| Some(n.unwrap_or(0) + 1))?;
    assert_eq!(n, Some(1));
    counters.update("n", |_| Some(5))?;
    let swap: Swap<u64> = counters.compare_and_swap("n", Some(&5), Some(&6))?;
    assert_eq!(swap, Swap::Swapped);
    assert_eq!(counters.compare_and_swap("n", None, Some(&7))?, Swap::Differs(Some(6)));
    assert_eq!(counters.compare_and_swap("n", Some(&6), None)?, Swap::Swapped);
    assert_eq!(counters.compare_and_swap("n", None, Some(&8))?, Swap::Swapped);
    assert_eq!(counters.pop_first()?, Some(("n".to_owned(), 8)));
    assert_eq!(counters.pop_last()?, None);
    Ok(())
}

#[test]
fn options_of_a_put_convert_from_what_is_at_hand() -> Result<()> {
    let (_dir, store) = open();
    let sessions: Keyspace<[u8; 16], String> = store.keyspace("sessions")?;
    let (id, user) = ([1; 16], "ada".to_owned());
    sessions.put_with(&id, &user, Put::expires_in(MINUTE))?;
    assert!(sessions.expires_at(id)?.is_some());
    let sequence = sessions.put_with(id, &user, Durability::Immediate)?;
    assert!(store.durable_sequence() >= sequence);
    assert_eq!(sessions.expires_at(&id)?, None, "a put clears the expiry");
    sessions.put_with(
        id,
        &user,
        Put::expires_in(MINUTE).with_durability(Durability::Interval(MINUTE)),
    )?;
    assert!(sessions.persist(id)?);
    let at = SystemTime::now() + MINUTE;
    sessions.put_with(id, &user, Put::expires_at(at))?;
    assert!(sessions.expire(id, at + MINUTE)?);
    assert!(sessions.expires_at(id)? > Some(at));
    assert!(sessions.expire(id, SystemTime::now())?);
    assert!(!sessions.persist(id)?, "a time that has come is past");
    Ok(())
}

#[test]
fn ranges_of_strings_take_every_form_of_bound() -> Result<()> {
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    for name in ["bern", "oslo", "paris", "rome"] {
        cities.put(name, &city(name, 1))?;
    }
    assert_eq!(keys(cities.range(.."oslo")), ["bern"]);
    assert_eq!(keys(cities.range(.."oslo".to_string())), ["bern"]);
    assert_eq!(keys(cities.range("paris"..)), ["paris", "rome"]);
    assert_eq!(keys(cities.range("oslo"..="paris")), ["oslo", "paris"]);
    assert_eq!(keys(cities.range(..="bern")), ["bern"]);
    let low = String::from("oslo");
    assert_eq!(keys(cities.range(&low..)).len(), 3);
    assert_eq!(keys(cities.range(low.as_str()..=low.as_str())), ["oslo"]);
    let after = (Bound::Excluded("oslo"), Bound::Unbounded);
    assert_eq!(keys(cities.range(after)), ["paris", "rome"]);
    assert_eq!(keys(cities.range(..).rev()), ["rome", "paris", "oslo", "bern"]);
    assert_eq!(keys(cities.prefix("p")), ["paris"]);
    assert_eq!(keys(cities.prefix(&low)), ["oslo"]);
    assert_eq!((cities.count("b".."p")?, cities.count(..)?), (2, 4));
    assert_eq!(cities.rank("paris")?, Some(2));
    assert_eq!(cities.nth(3)?.map(Entry::into_key).as_deref(), Some("rome"));
    assert_eq!(cities.last()?.map(Entry::into_key).as_deref(), Some("rome"));

    let mut ends = cities.iter();
    assert_eq!(ends.next().unwrap()?.key(), "bern");
    assert_eq!(ends.next_back().unwrap()?.key(), "rome");
    assert_eq!(keys(ends), ["oslo", "paris"], "both ends meet");
    for entry in cities.range("b".."q").rev() {
        let entry = entry?;
        assert_eq!(entry.value()?.name, *entry.key());
        assert_eq!(entry.value_bytes()?.len() as u64, entry.size_bytes());
        cities.delete(entry.key())?;
    }
    let left: Vec<City> =
        cities.iter().filter_map(Result::ok).map(|e| e.value().unwrap()).collect();
    assert_eq!(left, [city("rome", 1)]);
    cities.delete_range("a".."s")?;
    assert!(cities.is_empty());
    Ok(())
}

#[test]
fn integers_tuples_and_newtypes_are_keys() -> Result<()> {
    let (_dir, store) = open();
    let notes: Keyspace<u64, str, Raw> = store.keyspace("notes")?;
    notes.put(7, "hello")?;
    let seven = 7u64;
    assert_eq!(notes.get(seven)?.as_deref(), Some("hello"));
    assert_eq!(notes.get(&seven)?, notes.get(7)?);
    assert_eq!(keys(notes.range(1..10)), [7]);
    assert_eq!(keys(notes.range(&1..&7)), [0_u64; 0]);
    assert_eq!(notes.count(..=7)?, 1);

    let index: Keyspace<(String, u64), ()> = store.keyspace("cities by people")?;
    index.put(("rome", 28), &())?;
    index.put(("rome", 31), &())?;
    let key = ("rome".to_string(), 28u64);
    assert_eq!(index.get(&key)?, Some(()));
    assert_eq!(index.prefix(("rome",)).count(), 2);
    assert_eq!(keys(index.range(("rome", 0)..("rome", 30))), [key]);
    assert!(index.delete(("rome", &31))?);
    assert_eq!(index.len(), 1);

    let by_id: Keyspace<CityId, City> = store.keyspace("cities by id")?;
    by_id.put(CityId(7), &city("Rome", 1))?;
    assert_eq!(by_id.get(CityId(7))?, by_id.get(&CityId(7))?);
    assert_eq!(keys(by_id.range(CityId(1)..CityId(9))), [CityId(7)]);
    Ok(())
}

#[test]
fn raw_bytes_take_literals_slices_and_vectors() -> Result<()> {
    let (_dir, store) = open();
    let bytes: Keyspace<Vec<u8>, [u8], Raw> = store.keyspace("bytes")?;
    bytes.put(b"k", b"v")?;
    let value: Option<Value> = bytes.get(b"k")?;
    assert_eq!(value.as_deref(), Some(&b"v"[..]));
    bytes.put("k".as_bytes(), &[1, 2, 3])?;
    assert_eq!(bytes.get(vec![b'k'])?.as_deref(), Some(&[1, 2, 3][..]));
    assert_eq!(bytes.get_bytes(b"k")?, bytes.get(b"k")?);
    assert_eq!(keys(bytes.prefix(b"k")).len(), 1);
    assert_eq!(keys(bytes.range(&b"a"[..]..&b"z"[..])).len(), 1);
    assert_eq!(keys(bytes.range(b"a"..b"z")).len(), 1);
    bytes.update(b"k", |old| Some([old.as_deref().unwrap_or_default(), b"!"].concat().into()))?;
    assert_eq!(bytes.get(b"k")?.as_deref(), Some(&b"\x01\x02\x03!"[..]));
    assert_eq!(bytes.compare_and_swap(b"k", Some(b"\x01\x02\x03!"), None)?, Swap::Swapped);
    bytes.put(b"", b"the empty key is a key")?;
    assert!(bytes.contains(b"")?);

    let mut scanned = BTreeSet::new();
    let mut cursor = ScanCursor::default();
    loop {
        let (page, next) = bytes.scan(cursor, 10)?;
        scanned.extend(page.into_iter().map(Entry::into_key));
        cursor = next;
        if cursor == ScanCursor::default() {
            break;
        }
    }
    assert_eq!(scanned, BTreeSet::from([vec![]]));
    assert_eq!(bytes.random(3)?.map(Entry::into_key), Some(vec![]));
    Ok(())
}

#[test]
fn keyspaces_open_by_name_by_constant_and_by_a_name_made_at_run_time() -> Result<()> {
    let (_dir, store) = open();
    let visits = store.keyspace(VISITS)?;
    visits.put(("ada", 1), &city("Rome", 1))?;
    assert!(visits.get(("ada", 1))?.is_some());
    let pictures = store.keyspace(PICTURES)?;
    pictures.put(b"x", b"...")?;
    let name = format!("db{}", 3);
    let by_reference: BytesKeyspace = store.keyspace(&name)?;
    let made_in_place: BytesKeyspace = store.keyspace(&format!("db{}", 3))?;
    by_reference.put(b"k", b"v")?;
    assert!(made_in_place.contains(b"k")?, "two handles to one keyspace");
    let app = App { cities: store.keyspace("cities")?, pictures: store.keyspace("pictures")? };
    assert_eq!((app.cities.len(), app.pictures.len()), (0, 1));
    assert_eq!(store.keyspace_names(), ["cities", "db3", "pictures", "visits"]);
    Ok(())
}

#[test]
fn a_batch_takes_what_keyspaces_take() -> Result<()> {
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    let index: Keyspace<(String, u64), ()> = store.keyspace("index")?;
    let key = ("rome".to_string(), 28u64);
    index.put(&key, &())?;

    let mut batch = store.batch();
    assert!(batch.is_empty());
    batch.put(&cities, "rome", &city("Rome", 28))?;
    batch.put_with(&cities, "oslo", &city("Oslo", 1), Put::expires_in(MINUTE))?;
    batch.expire(&cities, "rome", SystemTime::now() + MINUTE)?;
    batch.persist(&cities, "oslo")?;
    batch.delete(&index, &key)?;
    batch.delete_range(&cities, "x".."z")?;
    assert_eq!(batch.len(), 6);
    let sequence = batch.commit_with(Durability::Immediate)?;
    store.wait_durable(sequence)?;
    assert_eq!((cities.len(), index.len()), (2, 0));
    assert!(cities.expires_at("rome")?.is_some());
    assert_eq!(cities.expires_at("oslo")?, None);

    store.commit_many(|round| {
        round.put(&cities, "bern", &city("Bern", 1), Put::default())?;
        round.delete(&cities, "oslo")?;
        let mut batch = store.batch();
        batch.clear(&index)?;
        round.commit(batch)
    })?;
    assert_eq!(keys(cities.iter()), ["bern", "rome"]);
    Ok(())
}

#[test]
fn transactions_and_snapshots_take_what_keyspaces_take() -> Result<()> {
    #[derive(Debug)]
    enum AppError {
        Store,
        Poor,
    }
    impl From<Error> for AppError {
        fn from(_: Error) -> AppError {
            AppError::Store
        }
    }
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    let counters: Keyspace<String, u64> = store.keyspace("counters")?;
    let index: Keyspace<(String, u64), ()> = store.keyspace("index")?;
    store.transaction(|tx| {
        let n = tx.get(&counters, "n")?.unwrap_or(0);
        tx.put(&counters, "n", &(n + 1))
    })?;
    let n: u64 = store.transaction(|tx| {
        let n = tx.get(&counters, String::from("n"))?.unwrap_or(0);
        tx.put(&counters, "n", &(n + 1))?;
        tx.put_with(&cities, "rome", &city("Rome", 28), Put::expires_in(MINUTE))?;
        tx.put_with(&index, ("rome", 28), &(), Durability::Buffered)?;
        tx.set_durability(Durability::Immediate);
        Ok(n)
    })?;
    assert_eq!(n, 1);
    store.transaction(|tx| {
        if tx.get(&counters, "m")?.is_none() {
            tx.delete(&counters, "m")?;
        }
        assert_eq!(tx.prefix(&index, ("rome",)).count(), 1);
        assert_eq!(tx.count(&index, ("rome", 0)..("rome", 99))?, 1);
        assert_eq!(tx.get_many(&counters, ["n", "m"])?, [Some(2), None]);
        assert!(tx.expires_at(&cities, &"rome".to_string())?.is_some());
        Ok(())
    })?;
    let view = store.snapshot();
    let removed = store.transaction(|tx| {
        let old: Vec<String> =
            tx.range(&cities, ..).map(|e| e.map(|e| e.into_key())).collect::<Result<_>>()?;
        for key in &old {
            tx.delete(&cities, key)?;
        }
        Ok(old.len())
    })?;
    assert_eq!(removed, 1);
    let refused: Result<(), AppError> = store.try_transaction(|tx| {
        if tx.get(&counters, "n")? == Some(2) {
            return Err(AppError::Poor);
        }
        tx.delete(&counters, "n")?;
        Ok(())
    });
    assert!(matches!(refused, Err(AppError::Poor)));
    let none = |tx: &mut Transaction<'_>| match tx.get(&counters, "m")? {
        None => Err(Error::abort("no m")),
        Some(m) => Ok(m),
    };
    assert!(matches!(store.optimistic_transaction(none), Err(Error::Aborted(_))));
    assert_eq!(view.get(&cities, "rome")?.map(|c| c.people), Some(28));
    for entry in view.range(&cities, .."s") {
        assert_eq!(entry?.value()?.name, "Rome");
    }
    assert_eq!(view.count(&index, (Bound::Excluded(("rome", 28)), Bound::Unbounded))?, 0);
    assert_eq!(keys(view.prefix(&cities, "r")), ["rome"]);
    assert_eq!(view.token().sequence(), view.sequence());
    Ok(())
}

#[test]
fn handles_iterators_and_values_go_to_other_threads() -> Result<()> {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    let (_dir, store) = open();
    let cities: Keyspace<String, City> = store.keyspace("cities")?;
    let pictures = store.keyspace(PICTURES)?;
    pictures.put(b"x", b"...")?;
    cities.put("rome", &city("Rome", 1))?;
    check(&store);
    check(&cities);
    check(&pictures);
    check(&cities.range(..));
    check(&pictures.get(b"x")?);
    check(&store.snapshot());
    check(&store.snapshot().range(&cities, ..));
    let found = std::thread::spawn({
        let cities = cities.clone();
        move || cities.get("rome").map(|c| c.is_some())
    });
    assert!(found.join().unwrap()?);
    store.close()?;
    assert!(matches!(cities.put("oslo", &city("Oslo", 1)), Err(Error::Closed)));
    Ok(())
}

#[test]
fn errors_of_ones_own_are_carried_as_the_source() {
    let error = Error::abort("no money");
    assert_eq!(error.to_string(), "aborted: no money");
    assert!(std::error::Error::source(&error).is_some());
}
