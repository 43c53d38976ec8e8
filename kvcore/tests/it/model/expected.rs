//! What the store must hold: a `BTreeMap` per keyspace, and the time.

use std::{collections::BTreeMap, ops::Bound};

use crate::support::{End, Pair, Range};

/// One key: its value, and when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) value: Vec<u8>,
    pub(super) expires_ms: Option<u64>,
}

/// One keyspace. Expired keys stay until something removes them, as they do in the store.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) cells: BTreeMap<Vec<u8>, Cell>,
}

impl Cell {
    pub(super) fn is_alive(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|at| at > now_ms)
    }
}

impl Expected {
    pub(super) fn alive(&self, key: &[u8], now_ms: u64) -> Option<&Cell> {
        self.cells.get(key).filter(|cell| cell.is_alive(now_ms))
    }

    pub(super) fn value(&self, key: &[u8], now_ms: u64) -> Option<Vec<u8>> {
        self.alive(key, now_ms).map(|cell| cell.value.clone())
    }

    /// A put that keeps the expiry of a key that is there.
    pub(super) fn write_back(&mut self, key: &[u8], value: Vec<u8>, now_ms: u64) {
        let expires_ms = self.alive(key, now_ms).and_then(|cell| cell.expires_ms);
        self.cells.insert(key.to_vec(), Cell { value, expires_ms });
    }

    /// Deletes a key that has not expired; whether it was there.
    pub(super) fn delete(&mut self, key: &[u8], now_ms: u64) -> bool {
        let was_there = self.alive(key, now_ms).is_some();
        if was_there {
            self.cells.remove(key);
        }
        was_there
    }

    pub(super) fn delete_range(&mut self, range: &Range) {
        self.cells.retain(|key, _| !contains(range, key));
    }

    /// Whether the key was there.
    pub(super) fn expire(&mut self, key: &[u8], at_ms: u64, now_ms: u64) -> bool {
        let cell = self.cells.get_mut(key).filter(|cell| cell.is_alive(now_ms));
        let was_there = cell.is_some();
        if let Some(cell) = cell {
            cell.expires_ms = Some(at_ms);
        }
        was_there
    }

    /// Whether the key was there and had an expiry.
    pub(super) fn persist(&mut self, key: &[u8], now_ms: u64) -> bool {
        let cell = self.cells.get_mut(key).filter(|cell| cell.is_alive(now_ms));
        cell.is_some_and(|cell| cell.expires_ms.take().is_some())
    }

    pub(super) fn pop(&mut self, end: End, now_ms: u64) -> Option<Pair> {
        let (key, value) = self.end(end, now_ms)?;
        self.cells.remove(&key);
        Some((key, value))
    }

    pub(super) fn end(&self, end: End, now_ms: u64) -> Option<Pair> {
        let mut alive = self.cells.iter().filter(|(_, cell)| cell.is_alive(now_ms));
        let found = match end {
            End::First => alive.next(),
            End::Last => alive.next_back(),
        };
        found.map(|(key, cell)| (key.clone(), cell.value.clone()))
    }

    /// What an iterator over the range made now must give.
    pub(super) fn range(&self, range: &Range, now_ms: u64) -> Vec<Pair> {
        let found = self.cells.iter().filter(|(k, c)| c.is_alive(now_ms) && contains(range, k));
        found.map(|(key, cell)| (key.clone(), cell.value.clone())).collect()
    }

    /// Keys in the range, expired ones included.
    pub(super) fn count(&self, range: &Range) -> u64 {
        self.cells.keys().filter(|key| contains(range, key)).count() as u64
    }

    pub(super) fn rank(&self, key: &[u8], now_ms: u64) -> Option<u64> {
        self.alive(key, now_ms)?;
        Some(self.cells.keys().take_while(|k| k.as_slice() < key).count() as u64)
    }

    /// The first key from this position on that has not expired.
    pub(super) fn nth(&self, index: usize, now_ms: u64) -> Option<Pair> {
        let mut from = self.cells.iter().skip(index);
        let found = from.find(|(_, cell)| cell.is_alive(now_ms));
        found.map(|(key, cell)| (key.clone(), cell.value.clone()))
    }

    pub(super) fn expired(&self, now_ms: u64) -> u64 {
        self.cells.values().filter(|cell| !cell.is_alive(now_ms)).count() as u64
    }

    pub(super) fn remove_expired(&mut self, now_ms: u64) {
        self.cells.retain(|_, cell| cell.is_alive(now_ms));
    }
}

pub(super) fn contains((start, end): &Range, key: &[u8]) -> bool {
    let after = match start {
        Bound::Included(start) => key >= start.as_slice(),
        Bound::Excluded(start) => key > start.as_slice(),
        Bound::Unbounded => true,
    };
    after
        && match end {
            Bound::Included(end) => key <= end.as_slice(),
            Bound::Excluded(end) => key < end.as_slice(),
            Bound::Unbounded => true,
        }
}
