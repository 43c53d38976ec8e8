//! Collections on disk: whatever moment the process is killed at, every element belongs to a key
//! and every key that holds a collection has elements, all of the same command.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use kvcore::{BytesKeyspace, Direction, Durability, Options, ScanCursor};
use std::ops::ControlFlow;
use tempfile::TempDir;

use crate::spawned::{PATIENCE, Spawned, Start, live_until};

const ID_LEN: usize = 8;
/// So much is replied before a kill, at least.
const REPLIED_BYTES_MIN: usize = 1_000;

/// A command on a few keys. Every HSET writes the same number into all fields it names.
fn request(rng: &mut Rng, n: u32) -> String {
    let (key, other) = (rng.u8(..6), rng.u8(..6));
    match rng.u8(..20) {
        0 => format!("DEL h{key}\r\n"),
        1 => format!("RENAME h{key} h{other}\r\n"),
        2 => format!("SET h{key} text\r\n"),
        3 => format!("PEXPIRE h{key} {}\r\n", rng.u8(1..30)),
        4 => format!("COPY h{key} h{other} REPLACE\r\n"),
        5 => format!("MOVE h{key} {}\r\n", rng.u8(1..3)),
        6 => "SWAPDB 0 1\r\n".to_owned(),
        7 if rng.u8(..5) == 0 => "FLUSHDB\r\n".to_owned(),
        8 => format!("HDEL h{key} f0 f1 f2 f3\r\n"),
        9 => {
            let set = (0..4).map(|f| format!(" f{f} {n}")).collect::<String>();
            format!("MULTI\r\nDEL h{key}\r\nHSET h{key}{set}\r\nEXEC\r\n")
        }
        10 => {
            // More than a range delete removes at once.
            let set = (0..100).map(|f| format!(" f{f} {n}")).collect::<String>();
            format!("DEL h{key}\r\nHSET h{key}{set}\r\n")
        }
        _ => {
            let set = (0..4).map(|f| format!(" f{f} {n}")).collect::<String>();
            format!("HSET h{key}{set}\r\n")
        }
    }
}

/// Sends commands until the connection ends; counts the bytes of the replies.
fn write(addr: SocketAddr, seed: u64, replied: &AtomicUsize) {
    let mut rng = Rng::with_seed(seed);
    let Ok(mut stream) = TcpStream::connect(addr) else { return };
    let mut replies = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(len @ 1..) = replies.read(&mut bytes) {
                replied.fetch_add(len, Ordering::Relaxed);
            }
        });
        let mut n = 0;
        loop {
            n += 1;
            if stream.write_all(request(&mut rng, n).as_bytes()).is_err() {
                break;
            }
        }
    });
}

fn id_of(keys: &BytesKeyspace, key: &[u8]) -> Option<Vec<u8>> {
    let value = keys.stored(key).unwrap()?.value_bytes().unwrap();
    (value[0] != 0).then(|| value[1..].to_vec())
}

/// Looks at the store itself; the number of collections.
fn check(dir: &Path) -> usize {
    let store = Options::new().durability(Durability::Buffered).open(dir).unwrap();
    let mut collections = 0;
    for db in 0..3 {
        let keyspace = |part: &str| store.raw_keyspace(&format!("db{db}:{part}")).unwrap().unwrap();
        let (keys, elements) = (keyspace("keys"), keyspace("elements"));
        let mut held = BTreeMap::new();
        let mut names: Vec<Vec<u8>> =
            keys.expired(1_000).unwrap().into_iter().map(kvcore::Entry::into_key).collect();
        let (page, next) = keys.scan(ScanCursor::default(), 1_000).unwrap();
        assert_eq!(next, ScanCursor::default());
        names.extend(page.into_iter().map(kvcore::Entry::into_key));
        for name in names {
            if let Some(id) = id_of(&keys, &name) {
                held.insert(id, name);
            }
        }
        collections += held.len();
        let mut values: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        elements
            .walk(.., Direction::Ascending, usize::MAX, |element| {
                let of = values.entry(element.key()[..ID_LEN].to_vec()).or_default();
                of.push(element.value_with(<[u8]>::to_vec)?);
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert!(held.keys().eq(values.keys()), "db{db}: {held:?}, elements of {:?}", values.keys());
        for (id, values) in &values {
            let of_one_command = values.windows(2).all(|pair| pair[0] == pair[1]);
            // A longer one may have been overwritten in part by a later, shorter one.
            assert!(of_one_command || values.len() == 100, "{:?}: {values:?}", held[id]);
        }
    }
    store.close().unwrap();
    collections
}

#[test]
fn a_kill_leaves_no_element_without_its_key_and_no_half_command() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let dir = TempDir::new().unwrap();
    let (store, log) = (dir.path().join("store"), dir.path().join("log"));
    let mut collections = 0;
    for _ in 0..5 {
        let args = ["--data-file-bytes", "65536", "--databases", "3", "--threads", "2"];
        let mut server = Spawned::new(&store, &log, &args);
        let Start::Ready(addr) = server.wait_ready(PATIENCE) else {
            panic!("cannot start: {}\n{}", server.said(), server.log());
        };
        let seeds = [rng.u64(..), rng.u64(..)];
        let ends_at = Instant::now() + Duration::from_millis(rng.u64(20..200));
        let replied = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for seed in seeds {
                let replied = &replied;
                scope.spawn(move || write(addr, seed, replied));
            }
            live_until(ends_at, || replied.load(Ordering::Relaxed) > REPLIED_BYTES_MIN);
            server.kill();
        });
        collections += check(&store);
    }
    assert!(collections > 0);
}
