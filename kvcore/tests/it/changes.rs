//! The change feed: complete, in order, whole commits, resumable everywhere, and what merge may
//! and may not take from it.

pub(crate) mod follower;

mod events;
mod lineage;
mod live;
mod retention;

use std::sync::Arc;

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Changes, Durability, Options, Store, clock::SimClock,
    disk::SimDisk,
};

pub(crate) const START_MS: u64 = 1_750_000_000_000;

/// A disk, a clock, and stores on them whose every step is the test's.
struct World {
    disk: SimDisk,
    clock: SimClock,
    options: Options,
}

impl World {
    fn new() -> World {
        World::with(|options| options)
    }

    fn with(more: impl FnOnce(Options) -> Options) -> World {
        let (disk, clock) = (SimDisk::new(7), SimClock::new(START_MS));
        let options = Options::new()
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
            .durability(Durability::Buffered)
            .data_file_bytes_max(400)
            .disk(Arc::new(disk.clone()))
            .clock(Arc::new(clock.clone()));
        World { disk, clock, options: more(options) }
    }

    /// The same on what a crash left.
    fn on(&self, disk: SimDisk) -> World {
        let options = self.options.clone().disk(Arc::new(disk.clone()));
        World { disk, clock: self.clock.clone(), options }
    }

    fn open(&self) -> (Store, BytesKeyspace) {
        let store = self.options.clone().open("/store").expect("open");
        let notes = store.keyspace("notes").expect("keyspace");
        (store, notes)
    }
}

/// Sequences of everything that is there by now, and whether each ends its commit.
fn drain(changes: &mut Changes) -> Vec<(u64, bool)> {
    let mut given = Vec::new();
    while let Some(change) = changes.try_next().expect("a sound feed") {
        given.push((change.sequence.get(), change.ends_commit()));
    }
    given
}

fn key(n: usize) -> Vec<u8> {
    format!("key {n:03}").into_bytes()
}
