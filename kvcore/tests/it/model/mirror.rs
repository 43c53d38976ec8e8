//! A second model of each keyspace that knows only what a watcher tells.

use std::collections::{BTreeMap, BTreeSet};

use kvcore::Event;

use super::{expected::Expected, operations::show, world::World};
use crate::support::{Told, Watch};

/// A watcher of a whole keyspace, and what the keyspace must hold by it.
pub(super) struct Mirror {
    watch: Box<dyn Watch>,
    cells: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Keys in `cells` that had expired when watching began, and that the store's threads may have
    /// removed before, told to nobody. Empty without threads.
    may_be_gone: BTreeSet<Vec<u8>>,
    last: u64,
    told: u64,
}

impl World {
    /// Watches all keyspaces, which hold what is expected.
    pub(super) fn watch_all(&mut self) {
        let (has_threads, now_ms) = (self.has_threads(), self.now_ms);
        let pairs = self.spaces.iter().zip(&self.expected);
        self.mirrors = pairs
            .map(|(space, Expected { cells })| {
                let watch = space.watch().expect("the store is open");
                let expired =
                    cells.iter().filter(|(_, cell)| has_threads && !cell.is_alive(now_ms));
                let may_be_gone = expired.map(|(key, _)| key.clone()).collect();
                let cells = cells.iter().map(|(k, cell)| (k.clone(), cell.value.clone())).collect();
                Mirror { watch, cells, may_be_gone, last: 0, told: 0 }
            })
            .collect();
    }

    /// Takes in what watchers were told.
    pub(super) fn follow_watchers(&mut self) {
        self.mirrors.iter_mut().for_each(Mirror::follow);
    }

    /// What watchers were told adds up to what is there. Expired entries go when they go.
    pub(super) fn check_watchers(&mut self) {
        self.follow_watchers();
        for (space, (mirror, expected)) in self.mirrors.iter().zip(&self.expected).enumerate() {
            for key in mirror.cells.keys() {
                let is_there = expected.cells.contains_key(key);
                assert!(is_there, "{space}: nobody was told that {} is gone", show(key));
            }
            for (key, cell) in &expected.cells {
                let told = mirror.cells.get(key);
                let may_be_gone = self.has_threads() && !cell.is_alive(self.now_ms);
                let is_right = told == Some(&cell.value) || (may_be_gone && told.is_none());
                assert!(is_right, "{space}: {} is not as told", show(key));
            }
        }
        self.events += self.mirrors.iter_mut().map(|m| std::mem::take(&mut m.told)).sum::<u64>();
    }
}

impl Mirror {
    fn follow(&mut self) {
        while let Some(told) = self.watch.next().expect("a sound store") {
            let Told { sequence, event, old } = told;
            assert!(sequence > self.last, "{sequence} comes after {}", self.last);
            self.last = sequence;
            self.told += 1;
            match event {
                Event::Put { key, value } => {
                    self.may_be_gone.remove(&key);
                    let before = self.cells.insert(key.clone(), value);
                    // An entry whose time has passed is none.
                    assert!(old.is_none() || old == before, "old value of {}", show(&key));
                }
                Event::Delete { key } => {
                    let may_be_gone = self.may_be_gone.remove(&key);
                    let before = self.cells.remove(&key);
                    let is_right = old == before || (may_be_gone && old.is_none());
                    assert!(is_right, "old value of {}: {old:?}, not {before:?}", show(&key));
                }
                Event::DeleteRange { range } => {
                    let watch = &self.watch;
                    self.cells.retain(|key, _| !watch.contains(&range, key));
                }
                Event::Expire { key, .. } => {
                    assert!(self.cells.contains_key(&key), "{} is there to expire", show(&key));
                }
                other => panic!("{other:?} is no event this test knows"),
            }
        }
    }
}
