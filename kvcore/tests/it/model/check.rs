//! What is compared between store and model, beyond the answers of the operations.

use std::ops::Bound;

use kvcore::{Error, ScanCursor};

use super::{
    operations::show,
    world::{World, system_time},
};
use crate::support::{End, Pair};

const ALL: (Bound<Vec<u8>>, Bound<Vec<u8>>) = (Bound::Unbounded, Bound::Unbounded);

/// Bytes of an expiry-change record, at most: merge keeps one per key that has one.
const CHANGE_BYTES_MAX: u64 = 60;

/// The length of a data file without records.
const HEADER_BYTES: u64 = 128;

impl World {
    pub(super) fn check_key(&mut self, space: usize) {
        let keys: Vec<_> = (0..self.rng.usize(1..4)).map(|_| self.key(space)).collect();
        let now_ms = self.now_ms;
        let (at, expected) = (&self.spaces[space], &self.expected[space]);
        for key in &keys {
            let cell = expected.alive(key, now_ms);
            let value = cell.map(|cell| cell.value.clone());
            assert_eq!(at.get(key).expect("get"), value, "get {}", show(key));
            assert_eq!(at.contains(key).expect("contains"), cell.is_some(), "{}", show(key));
            let expires = cell.and_then(|cell| cell.expires_ms).map(system_time);
            assert_eq!(at.expires_at(key).expect("expires_at"), expires, "{}", show(key));
        }
        let values: Vec<_> = keys.iter().map(|key| expected.value(key, now_ms)).collect();
        assert_eq!(at.get_many(&keys).expect("get_many"), values);
    }

    /// Threads of the store may have removed expired keys or not: positions are then unknown.
    fn positions_known(&self, space: usize) -> bool {
        !self.has_threads() || self.expected[space].expired(self.now_ms) == 0
    }

    pub(super) fn check_order(&mut self, space: usize) {
        if space == 2 {
            return self.check_unordered();
        }
        let (key, range) = (self.key(space), self.range(space));
        let index = self.rng.usize(..self.expected[space].cells.len() + 2);
        let now_ms = self.now_ms;
        if self.has_threads() && self.positions_known(space) {
            // What expired long ago in the model may still be counted.
            return;
        }
        let (at, expected) = (&self.spaces[space], &self.expected[space]);
        for end in [End::First, End::Last] {
            assert_eq!(at.end(end).expect("end"), expected.end(end, now_ms), "{end:?}");
        }
        if self.has_threads() {
            return;
        }
        assert_eq!(at.count(&range).expect("count"), expected.count(&range), "count {range:?}");
        let rank = at.rank(&key).expect("rank");
        assert_eq!(rank, expected.rank(&key, now_ms), "rank of {}", show(&key));
        let nth = at.nth(index as u64).expect("nth");
        assert_eq!(nth, expected.nth(index, now_ms), "entry {index}");
    }

    pub(super) fn check_range(&mut self, space: usize) {
        if space == 2 {
            return self.check_unordered();
        }
        let range = self.range(space);
        let mut expected = self.expected[space].range(&range, self.now_ms);
        let mut walk = self.spaces[space].range(&range);
        let from = self.end();
        if from == End::Last {
            expected.reverse();
        }
        for pair in expected {
            let given = walk.step(from).transpose().expect("a sound store");
            assert_eq!(given, Some(pair), "{range:?} from {from:?}");
        }
        assert!(walk.step(from).is_none(), "{range:?} from {from:?} ends");
        assert!(walk.step(from).is_none(), "and stays so");
    }

    /// The calls that need an order say so.
    pub(super) fn check_unordered(&mut self) {
        let at = &self.spaces[2];
        let is_unordered = |e: Option<Error>| matches!(e, Some(Error::Unordered { .. }));
        assert!(is_unordered(at.pop(End::First).err()));
        assert!(is_unordered(at.rank(b"a").err()));
        assert!(is_unordered(at.nth(0).err()));
        assert!(is_unordered(at.end(End::Last).err()));
        assert!(is_unordered(at.prefix(b"a").step(End::First).and_then(Result::err)));
        let part = (Bound::Included(b"a".to_vec()), Bound::Unbounded);
        assert!(is_unordered(at.delete_range(&part).err()));
        assert!(is_unordered(at.count(&part).err()));
    }

    /// Every entry by cursor, once, since nothing changes meanwhile.
    pub(super) fn check_scan(&mut self, space: usize) {
        let limit = self.rng.usize(1..50);
        let mut found: Vec<Pair> = Vec::new();
        let mut cursor = ScanCursor::default();
        loop {
            let (page, next) = self.spaces[space].scan(cursor, limit).expect("scan");
            found.extend(page);
            cursor = next;
            if cursor == ScanCursor::default() {
                break;
            }
        }
        found.sort();
        assert_eq!(found, self.expected[space].range(&ALL, self.now_ms), "scan of {space}");
    }

    pub(super) fn check_random(&mut self, space: usize) {
        let seed = self.rng.u64(..);
        let found = self.spaces[space].random(seed).expect("random");
        let (expected, now_ms) = (&self.expected[space], self.now_ms);
        match found {
            Some((key, value)) => assert_eq!(expected.value(&key, now_ms), Some(value)),
            None => assert_eq!(expected.range(&ALL, now_ms), [], "a key is there"),
        }
    }

    /// Every key of every keyspace, both ways, and the figures.
    pub(super) fn check_everything(&mut self) {
        for space in 0..self.spaces.len() {
            let expected = self.expected[space].range(&ALL, self.now_ms);
            if space != 2 {
                let mut walk = self.spaces[space].range(&ALL);
                for pair in &expected {
                    let given = walk.step(End::First).transpose().expect("a sound store");
                    assert_eq!(given.as_ref(), Some(pair), "keyspace {space}");
                }
                assert!(walk.step(End::First).is_none(), "keyspace {space} ends");
            }
            for (key, value) in expected {
                let given = self.spaces[space].get(&key).expect("get");
                assert_eq!(given, Some(value), "keyspace {space}, {}", show(&key));
            }
            self.check_scan(space);
        }
        self.check_figures();
    }

    /// The figures of `stats` against the model, the directory and each other.
    pub(super) fn check_figures(&mut self) {
        for (space, expected) in self.spaces.iter().zip(&self.expected) {
            let (keys, expired) = (expected.cells.len() as u64, expected.expired(self.now_ms));
            let len = space.len();
            assert!(len <= keys && len >= keys - expired, "{len} of {keys} keys");
            assert!(self.has_threads() || len == keys, "{len} of {keys} keys");
        }
        if self.has_threads() {
            return;
        }
        let stats = self.store().stats();
        assert_eq!(stats.keys, self.spaces.iter().map(|s| s.len()).sum::<u64>());
        if self.walks.is_empty() {
            assert_eq!(stats.undo_records, 0, "no iterator is open");
        }
        let bytes: u64 = stats.files.iter().map(|f| f.bytes).sum();
        let headers = HEADER_BYTES * stats.files.len() as u64;
        assert_eq!(stats.live_bytes + stats.dead_bytes + headers, bytes, "{stats:?}");
        let data = self.numbers("data");
        let listed: Vec<u64> = stats.files.iter().map(|f| f.id).collect();
        assert_eq!(data, listed, "data files on disk and in stats");
        let hints = self.numbers("hint");
        assert!(hints.iter().all(|id| data.contains(id)), "hints {hints:?} of {data:?}");
        assert_eq!(self.names().iter().filter(|n| n.starts_with("MANIFEST")).count(), 1);
        assert!(!self.names().iter().any(|n| n.ends_with(".tmp")), "{:?}", self.names());
        self.blobs_max = self.blobs_max.max(stats.blobs);
    }

    /// A merge by hand: nothing changes but the space it takes.
    pub(super) fn merge(&mut self) {
        self.log("merge".into());
        let before = self.store().stats();
        self.store().merge().expect("merge");
        if self.has_threads() {
            return;
        }
        let stats = self.store().stats();
        let expiring: u64 = stats.keyspaces.iter().map(|k| k.expiring).sum();
        let most = expiring * (CHANGE_BYTES_MAX + 500);
        let dead_bytes = stats.dead_bytes - stats.kept_for_feeds_bytes;
        assert!(expiring > 0 || dead_bytes == 0, "{before:?}\n{stats:?}");
        assert!(dead_bytes <= most, "{expiring} expiring: {before:?}\n{stats:?}");
        assert!(stats.kept_for_feeds_bytes <= self.retention_bytes, "{stats:?}");
        self.check_figures();
        self.settle();
        self.check_recount();
    }

    /// With all work done, only what is needed is on disk.
    fn settle(&mut self) {
        for _ in 0..2 {
            self.store().sync().expect("sync");
            self.maintain();
            // What waits to be told keeps its blobs.
            self.follow_watchers();
        }
        if self.walks.is_empty() && self.retention_bytes == 0 {
            let stats = self.store().stats();
            let blobs = self.numbers("blob");
            assert_eq!(blobs.len() as u64, stats.blobs, "blobs on disk: {blobs:?}");
        }
        self.check_figures();
    }

    /// The live bytes that a fresh open counts are those counted on the way.
    fn check_recount(&mut self) {
        if self.rng.u8(..4) > 0 {
            return;
        }
        let before = self.store().stats();
        self.reopen();
        let after = self.store().stats();
        assert_eq!(after.live_bytes, before.live_bytes, "{before:?}\n{after:?}");
        assert_eq!((after.blobs, after.blob_bytes), (before.blobs, before.blob_bytes));
    }

    fn names(&self) -> Vec<String> {
        let entries = self.disk().list(&self.dir()).expect("the directory is there");
        entries.into_iter().map(|e| e.name.to_string_lossy().into_owned()).collect()
    }

    /// The numbers of our files of this kind, ascending.
    fn numbers(&self, kind: &str) -> Vec<u64> {
        let names = self.names();
        let of_kind = names.iter().filter_map(|name| name.strip_suffix(&format!(".{kind}")));
        let mut numbers: Vec<u64> = of_kind.filter_map(|n| n.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }
}
