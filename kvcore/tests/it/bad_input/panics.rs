//! Panics of user code: closures, codecs, keys. They leave nothing, and the store works on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use kvcore::{
    AsKey, Bincode, BoxError, Codec, Key, Keyspace, Position, Put, Result, Store, ValueRef,
    disk::SimDisk,
};

use super::options;

/// Panics when it meets the numbers below.
struct Fussy;

const ENCODE: u64 = 13;
const DECODE: u64 = 14;

impl Codec<u64> for Fussy {
    type Owned = u64;
    const ID: &'static str = "fussy";

    fn encode(value: &u64, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.extend_from_slice(&value.to_le_bytes());
        assert_ne!(*value, ENCODE, "this value cannot be encoded");
        Ok(())
    }

    fn decode(bytes: ValueRef<'_>) -> Result<u64, BoxError> {
        let value = u64::from_le_bytes((*bytes).try_into()?);
        assert_ne!(value, DECODE, "this value cannot be decoded");
        Ok(value)
    }
}

/// A key whose code panics, too.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Touchy(u64);

impl AsKey<Touchy> for Touchy {
    fn encode_key(&self, out: &mut Vec<u8>, _: Position) {
        out.extend_from_slice(&self.0.to_be_bytes());
        assert_ne!(self.0, ENCODE, "this key cannot be encoded");
    }
}

impl Key for Touchy {
    fn type_tag(tag: &mut String) {
        tag.push_str("touchy");
    }

    fn decode_key(bytes: &mut &[u8], _: Position) -> Result<Touchy, BoxError> {
        let (number, rest) = bytes.split_first_chunk().ok_or("too short")?;
        *bytes = rest;
        let number = u64::from_be_bytes(*number);
        assert_ne!(number, DECODE, "this key cannot be decoded");
        Ok(Touchy(number))
    }
}

type Touched = Keyspace<Touchy, u64, Fussy>;

fn store() -> (Store, Touched) {
    let store = options(&SimDisk::new(1)).open("/store").unwrap();
    let touched = store.keyspace("touched").unwrap();
    (store, touched)
}

/// Runs what must panic, then checks that nothing changed and everything works.
fn panics<R>(touched: &Touched, f: impl FnOnce() -> R) {
    let tip = touched.store().tip_sequence();
    let len = touched.len();
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "it panics");
    assert_eq!(touched.store().tip_sequence(), tip, "nothing was committed");
    assert_eq!(touched.len(), len);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| touched.put(Touchy(1_000), &7).map(drop));
        other.join().unwrap().unwrap();
    });
    assert_eq!(touched.take(Touchy(1_000)).unwrap(), Some(7));
    touched.store().sync().unwrap();
    touched.store().maintain().unwrap();
}

#[test]
fn panic_of_a_closure_leaves_nothing() {
    let (store, touched) = store();
    touched.put(Touchy(1), &1).unwrap();
    panics(&touched, || touched.update(Touchy(1), |_| panic!("in update")));
    panics(&touched, || touched.update(Touchy(2), |_| panic!("in update")));
    panics(&touched, || touched.get_or_insert_with(Touchy(3), || panic!("in the default")));
    panics(&touched, || store.commit_many(|_| -> Result<()> { panic!("in a round") }));
    assert_eq!(touched.get(Touchy(1)).unwrap(), Some(1));
}

#[test]
fn round_that_panics_keeps_what_it_had_committed() {
    let disk = SimDisk::new(1);
    let store = options(&disk).open("/store").unwrap();
    let numbers: Keyspace<u64, u64> = store.keyspace("numbers").unwrap();
    let round = catch_unwind(AssertUnwindSafe(|| {
        store.commit_many(|round| -> Result<()> {
            round.put(&numbers, 1, &1, Put::default())?;
            panic!("after the first commit")
        })
    }));
    assert!(round.is_err());
    assert_eq!(numbers.get(1).unwrap(), Some(1));
    // Written too: it survives the end of the process.
    let image = disk.process_crash_image();
    let store = options(&image).open("/store").unwrap();
    let numbers: Keyspace<u64, u64, Bincode> = store.keyspace("numbers").unwrap();
    assert_eq!(numbers.get(1).unwrap(), Some(1));
}

#[test]
fn panic_of_a_codec_leaves_nothing() {
    let (store, touched) = store();
    touched.put(Touchy(1), &1).unwrap();
    touched.put(Touchy(2), &DECODE).unwrap();
    panics(&touched, || touched.put(Touchy(1), &ENCODE));
    panics(&touched, || touched.update(Touchy(1), |_| Some(ENCODE)));
    panics(&touched, || touched.compare_and_swap(Touchy(1), Some(&1), Some(&ENCODE)));
    panics(&touched, || store.batch().put(&touched, Touchy(1), &ENCODE));
    panics(&touched, || touched.get(Touchy(2)));
    panics(&touched, || touched.take(Touchy(2)));
    panics(&touched, || touched.pop_last());
    panics(&touched, || touched.update(Touchy(2), |_| None));
    panics(&touched, || touched.iter().filter_map(|e| e.and_then(|e| e.value()).ok()).count());
    assert_eq!(touched.get(Touchy(1)).unwrap(), Some(1));
    assert!(touched.delete(Touchy(2)).unwrap());
    assert_eq!(store.stats().undo_records, 0);
}

#[test]
fn panic_of_a_key_leaves_nothing() {
    let (store, touched) = store();
    touched.put(Touchy(1), &1).unwrap();
    touched.put(Touchy(DECODE), &2).unwrap();
    panics(&touched, || touched.put(Touchy(ENCODE), &1));
    panics(&touched, || touched.get(Touchy(ENCODE)));
    panics(&touched, || touched.delete(Touchy(ENCODE)));
    panics(&touched, || touched.update(Touchy(ENCODE), |_| Some(1)));
    panics(&touched, || touched.delete_range(Touchy(0)..Touchy(ENCODE)));
    panics(&touched, || touched.range(Touchy(0)..Touchy(ENCODE)).count());
    panics(&touched, || store.batch().delete(&touched, Touchy(ENCODE)));
    panics(&touched, || touched.iter().count());
    panics(&touched, || touched.last());
    panics(&touched, || touched.pop_last());
    panics(&touched, || touched.scan(kvcore::ScanCursor::default(), 100));
    assert_eq!(touched.get(Touchy(1)).unwrap(), Some(1));
    assert_eq!(touched.get(Touchy(DECODE)).unwrap(), Some(2));
    assert_eq!(store.stats().undo_records, 0);
}
