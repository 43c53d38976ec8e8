//! Files that another program cuts short under an open store. With mapped reads that ends the
//! process, as documented; with `ReadMode::Pread` it is an error of the reads concerned.

use kvcore::{BytesKeyspace, Durability, Error, Options, ReadMode, Store};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

const VALUE_BYTES: usize = 500;

fn options() -> Options {
    Options::new()
        .read_mode(ReadMode::Pread)
        .durability(Durability::Buffered)
        .data_file_bytes_max(64 << 10)
}

fn value(n: u32) -> Vec<u8> {
    vec![n.to_le_bytes()[0]; VALUE_BYTES]
}

fn key(n: u32) -> [u8; 4] {
    n.to_be_bytes()
}

/// Keys over several files.
fn filled(dir: &Path) -> (Store, BytesKeyspace) {
    let store = options().open(dir).unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    for n in 0..600 {
        keyspace.put(&key(n), &value(n)).unwrap();
    }
    store.sync().unwrap();
    (store, keyspace)
}

fn files(dir: &Path, kind: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == kind)).collect();
    paths.sort();
    paths
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

#[track_caller]
fn assert_names(error: &Error, path: &Path) {
    let text = error.to_string();
    let name = path.file_name().unwrap().to_str().unwrap();
    let is_kind = matches!(error, Error::Corrupt { .. } | Error::Io { .. });
    assert!(is_kind && text.contains(name), "{error:?}: {text}");
}

/// Reads every key; the first that cannot be read, and how many.
fn unreadable(keyspace: &BytesKeyspace, path: &Path) -> (u32, u32) {
    let (mut first, mut count) = (0, 0);
    for n in (0..600).rev() {
        match keyspace.get(&key(n)) {
            Ok(found) => assert_eq!(found.as_deref(), Some(&value(n)[..]), "key {n}"),
            Err(e) => {
                assert_names(&e, path);
                (first, count) = (n, count + 1);
            }
        }
    }
    (first, count)
}

#[test]
fn sealed_file_cut_by_another_program_is_an_error_of_its_reads_and_of_no_others() {
    let temp = tempfile::tempdir().unwrap();
    let (store, keyspace) = filled(temp.path());
    let snapshot = store.snapshot();
    let path = files(temp.path(), "data").remove(1);
    let len = fs::metadata(&path).unwrap().len();
    cut(&path, len / 2);
    let (first, count) = unreadable(&keyspace, &path);
    assert!(count > 30 && count < 130, "{count} keys are in half a file");
    let get = snapshot.get_bytes(&keyspace, &key(first)).unwrap_err();
    assert_names(&get, &path);
    let walked = keyspace.range(&key(first)[..]..).next().unwrap().unwrap().value().unwrap_err();
    assert_names(&walked, &path);
    let contents = keyspace.iter().map(|entry| entry.unwrap().value());
    assert_eq!(u32::try_from(contents.filter(Result::is_err).count()).unwrap(), count);
    assert_names(&keyspace.update(&key(first), |_| None).unwrap_err(), &path);
    // It can be written to, what is lost too.
    keyspace.put(&key(first), &value(first)).unwrap();
    assert!(keyspace.delete(&key(first + 1)).unwrap());
    assert_eq!(keyspace.get(&key(first + 1)).unwrap(), None);
    keyspace.put(&key(first + 1), &value(first + 1)).unwrap();
    assert_eq!(keyspace.get(&key(first)).unwrap().as_deref(), Some(&value(first)[..]));
    assert!(!store.verify().unwrap().is_sound());
    // A merge does not take the damage for an end, and changes nothing.
    assert_names(&store.merge().unwrap_err(), &path);
    assert_eq!(unreadable(&keyspace, &path).1, count - 2);
}

#[test]
fn active_file_cut_by_another_program_is_an_error_of_its_reads_and_found_at_the_next_open() {
    let temp = tempfile::tempdir().unwrap();
    let (store, keyspace) = filled(temp.path());
    let active = store.stats().files.last().unwrap().id;
    let path = temp.path().join(format!("{active:012}.data"));
    cut(&path, 1_000);
    let (_, count) = unreadable(&keyspace, &path);
    assert!(count > 0, "something was in the active file");
    keyspace.put(&key(9_999), &value(1)).unwrap();
    assert_eq!(keyspace.get(&key(9_999)).unwrap().as_deref(), Some(&value(1)[..]));
    let _ = store.close();
    let opened = options().open(temp.path());
    assert_names(&opened.unwrap_err(), &path);
}

#[test]
fn large_value_cut_by_another_program_is_an_error_where_it_ends() {
    const LEN: u64 = 3 << 20;
    let temp = tempfile::tempdir().unwrap();
    let store = options().open(temp.path()).unwrap();
    let films: BytesKeyspace = store.keyspace("films").unwrap();
    films.put_reader(b"night", std::io::repeat(7).take(LEN)).unwrap();
    let mut reader = films.reader(b"night").unwrap().unwrap();
    let path = files(temp.path(), "blob").remove(0);
    cut(&path, 1 << 20);
    let mut start = vec![0; 1_000];
    reader.read_exact(&mut start).unwrap();
    assert!(start.iter().all(|b| *b == 7));
    reader.seek(SeekFrom::Start(2 << 20)).unwrap();
    let error = reader.read(&mut start).unwrap_err();
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>()).expect("the store's error");
    assert_names(inner, &path);
    let error = films.get_bytes(b"night").unwrap_err();
    assert_names(&error, &path);
    assert_eq!(films.get(b"day").unwrap(), None);
}
