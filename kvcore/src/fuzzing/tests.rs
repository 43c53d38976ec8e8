//! The doors with bytes that are nearly right: what a fuzzer finds in its first seconds.

use super::*;
use crate::{
    Background, Durability, Keyspace, Options,
    disk::{Disk, SimDisk},
};
use std::{ops::Bound, sync::Arc};

/// The bytes of every file of a small store, and some values and keys.
fn samples() -> Vec<Vec<u8>> {
    let disk = SimDisk::new(1);
    let options = Options::new()
        .background(Background::Manual)
        .durability(Durability::Buffered)
        .data_file_bytes_max(600)
        .disk(Arc::new(disk.clone()) as Arc<dyn Disk>);
    let store = options.open("/store").unwrap();
    let numbers: Keyspace<u64, str, Raw> = store.keyspace("numbers").unwrap();
    for n in 0..20 {
        numbers.put(n, &format!("value {n}")).unwrap();
        numbers.delete(n / 2).unwrap();
        numbers.expire(n, std::time::SystemTime::now()).unwrap();
    }
    numbers.delete_range((Bound::Included(3), Bound::Excluded(9))).unwrap();
    numbers.put(7, &"large".repeat(60)).unwrap();
    store.close().unwrap();
    let mut samples: Vec<Vec<u8>> =
        disk.paths().iter().map(|path| disk.read_file(path).unwrap()).collect();
    assert!(samples.len() > 4, "data files, hints, a manifest, a blob");
    // Records, where they lie in the first file.
    let data = samples.iter().find(|bytes| bytes.len() > 300).unwrap().clone();
    samples.extend((128..220).map(|at| data[at..].to_vec()));
    samples.push(br#"[["a",[1,2],{"7":1.5}],["b",null,{}]]"#.to_vec());
    samples.push(b"\x01\x03abc\x01\x02\x07\x09\x01\x05\0\0\0\0\0\0\xf0\x3f".to_vec());
    samples.push(b"a\0\0\x80\0\0\x01".to_vec());
    samples
}

fn mutate(rng: &mut fastrand::Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=bytes.len());
        match rng.u8(..6) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
            2 if at < bytes.len() => bytes[at] = [0, 1, 127, 128, 255][rng.usize(..5)],
            3 => bytes.truncate(at),
            4 => {
                let more: Vec<u8> = (0..rng.usize(..9)).map(|_| rng.u8(..)).collect();
                drop(bytes.splice(at..at, more));
            }
            _ => {
                bytes.truncate(at);
                bytes.extend_from_slice(&other[rng.usize(..=other.len())..]);
            }
        }
    }
}

#[test]
fn no_door_panics_at_bytes_that_are_nearly_right() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let samples = samples();
    samples.iter().for_each(|bytes| all(bytes));
    let rounds = std::env::var("KVCORE_FUZZ_ROUNDS").map_or(50_000, |n| n.parse().unwrap());
    let mut done: u64 = 0;
    while done < rounds {
        let mut bytes = samples[rng.usize(..samples.len())].clone();
        let other = rng.usize(..samples.len());
        mutate(&mut rng, &mut bytes, &samples[other]);
        all(&bytes);
        done += 1;
    }
    assert_eq!(done, rounds);
}
