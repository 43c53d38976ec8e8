//! Bad input of every kind: each is an error that says what is wrong, and loses nothing.

mod calls;
mod cut;
mod directory;
mod fail;
mod full;
mod panics;

use std::sync::Arc;

use kvcore::{
    Background, Durability, Keyspace, Options, Result, Store, clock::SimClock, disk::SimDisk,
};

const START_MS: u64 = 1_750_000_000_000;

/// A store on a simulated disk, without threads, with data files of 4,000 bytes.
fn options(disk: &SimDisk) -> Options {
    Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .data_file_bytes_max(4_000)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(START_MS)))
}

fn open(disk: &SimDisk) -> Result<(Store, Keyspace<u64, String>)> {
    let store = options(disk).open("/store")?;
    let numbers = store.keyspace("numbers")?;
    Ok((store, numbers))
}

/// A closed store of a few files with these many entries.
fn closed_store(entries: u64) -> SimDisk {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk).unwrap();
    for n in 0..entries {
        numbers.put(n, &format!("value {n}")).unwrap();
    }
    store.close().unwrap();
    disk.clean_image()
}

/// Whether a store holds exactly these entries.
fn holds(numbers: &Keyspace<u64, String>, entries: u64) -> bool {
    let all: Vec<(u64, String)> = numbers
        .iter()
        .map(|entry| {
            let entry = entry.unwrap();
            (*entry.key(), entry.value().unwrap())
        })
        .collect();
    all == (0..entries).map(|n| (n, format!("value {n}"))).collect::<Vec<_>>()
}
