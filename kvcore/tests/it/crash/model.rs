//! What a store must hold: every state it went through, and which of them it may have lost.
//!
//! Knows commits and sequences. Does not know disks or stores.

use super::workload::{Op, Write};
use kvcore::ChangeToken;
use std::{collections::BTreeMap, sync::Arc};

/// A keyspace's number in [`super::workload::KEYSPACES`], and a key in it.
pub(crate) type Place = (usize, u8);

/// A value, and when it expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) value: Arc<[u8]>,
    pub(crate) expires_ms: Option<u64>,
}

/// What all keyspaces hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BTreeMap<Place, Held>);

impl State {
    /// What reads show at this time.
    pub(crate) fn visible(&self, now_ms: u64) -> State {
        let alive = |held: &Held| held.expires_ms.is_none_or(|at| at > now_ms);
        let kept = self.0.iter().filter(|(_, held)| alive(held));
        State(kept.map(|(place, held)| (*place, held.clone())).collect())
    }

    fn shows(&self, place: Place, now_ms: u64) -> Option<&Held> {
        self.0.get(&place).filter(|held| held.expires_ms.is_none_or(|at| at > now_ms))
    }

    /// Applies one write; returns how many records a single call of it appends.
    pub(crate) fn write(&mut self, write: &Write, now_ms: u64, serial: u64) -> u64 {
        match *write {
            Write::Put { keyspace, key, len } | Write::Stream { keyspace, key, len } => {
                let held = Held { value: value(serial, len), expires_ms: None };
                self.0.insert((keyspace, key), held);
                1
            }
            Write::PutFor { keyspace, key, len, ms } => {
                let held = Held { value: value(serial, len), expires_ms: Some(now_ms + ms) };
                self.0.insert((keyspace, key), held);
                1
            }
            Write::Delete { keyspace, key } => {
                let seen = self.shows((keyspace, key), now_ms).is_some();
                self.0.remove(&(keyspace, key));
                u64::from(seen)
            }
            Write::DeleteRange { keyspace, from, to } => {
                self.0.retain(|(ks, key), _| *ks != keyspace || *key < from || *key >= to);
                1
            }
            Write::Clear { keyspace } => {
                self.0.retain(|(ks, _), _| *ks != keyspace);
                1
            }
            Write::Expire { keyspace, key, ms } => self.change(keyspace, key, now_ms, Some(ms)),
            Write::Persist { keyspace, key } => self.change(keyspace, key, now_ms, None),
        }
    }

    fn change(&mut self, keyspace: usize, key: u8, now_ms: u64, ms: Option<u64>) -> u64 {
        let Some(held) = self.shows((keyspace, key), now_ms).cloned() else { return 0 };
        if ms.is_none() && held.expires_ms.is_none() {
            return 0;
        }
        self.0.insert((keyspace, key), Held { expires_ms: ms.map(|ms| now_ms + ms), ..held });
        1
    }
}

/// Bytes that no other write of a run has.
pub(crate) fn value(serial: u64, len: usize) -> Arc<[u8]> {
    let text = format!("<{serial}>");
    text.bytes().cycle().take(len.max(text.len())).collect()
}

/// A state the store was in after a commit.
#[derive(Clone, Debug)]
struct Point {
    sequence: u64,
    /// Sequences up to here hold the same: records that change nothing anybody sees.
    same_until: u64,
    state: Arc<State>,
}

/// Everything a run knows of what was committed and promised.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    points: Vec<Point>,
    /// Acknowledged or reported as surviving power loss.
    pub(crate) durable: u64,
    /// Acknowledged: survives the end of the process.
    pub(crate) acked: u64,
    /// Registered keyspaces: they survive everything.
    pub(crate) keyspaces: Vec<usize>,
    pub(crate) now_ms: u64,
    /// A follower's place in what was durable, and one in what was visible.
    pub(crate) places: Option<[ChangeToken; 2]>,
    /// Makes values unique.
    pub(crate) serial: u64,
}

/// More records than one round of maintenance appends in these workloads.
const UNSEEN_MAX: u64 = 200;

impl Ledger {
    pub(crate) fn new(now_ms: u64) -> Ledger {
        let start = Point { sequence: 0, same_until: 0, state: Arc::default() };
        let (durable, acked, serial) = (0, 0, 0);
        let (keyspaces, places) = (Vec::new(), None);
        Ledger { points: vec![start], durable, acked, keyspaces, now_ms, places, serial }
    }

    fn last(&self) -> &Point {
        self.points.last().expect("there is always the empty store")
    }

    pub(crate) fn tip(&self) -> u64 {
        self.last().same_until
    }

    pub(crate) fn state(&self) -> &State {
        &self.last().state
    }

    /// A commit was made, or may have been.
    pub(crate) fn push(&mut self, sequence: u64, state: State) {
        let state = Arc::new(state);
        self.points.push(Point { sequence, same_until: sequence, state });
    }

    /// Records were appended that change nothing anybody sees.
    pub(crate) fn unseen_until(&mut self, tip: Option<u64>) {
        let last = self.points.last_mut().expect("there is always the empty store");
        last.same_until = tip.unwrap_or(last.same_until + UNSEEN_MAX).max(last.same_until);
    }

    /// A commit was made beside a merge, whose records may lie before or behind it.
    pub(crate) fn push_beside(&mut self, records: u64, tip: Option<u64>, state: State) {
        let first = self.tip() + records;
        let tip = tip.unwrap_or(first + UNSEEN_MAX);
        if records == 0 {
            return self.unseen_until(Some(tip));
        }
        self.unseen_until(Some(tip - records));
        self.points.push(Point { sequence: first, same_until: tip, state: Arc::new(state) });
    }

    /// The states that may be at this sequence, newest first: none inside a commit, and more than
    /// one only where a merge appended beside it.
    pub(crate) fn at(&self, sequence: u64) -> Vec<(usize, &State)> {
        let is_here = |p: &Point| p.sequence <= sequence && sequence <= p.same_until;
        let here = self.points.iter().enumerate().rev().filter(|(_, p)| is_here(p));
        here.map(|(i, p)| (i, &*p.state)).collect()
    }

    /// The store came back with this tip: what was behind it is gone, what is left is durable.
    pub(crate) fn recovered(&mut self, tip: u64, point: usize) {
        self.points.truncate(point + 1);
        let last = self.points.last_mut().expect("the empty store has sequence 0");
        last.same_until = tip;
        self.durable = tip;
        self.acked = tip;
    }

    /// What the write or batch makes of the tip: the state after it, and how many records it has.
    pub(crate) fn plan(&self, op: &Op) -> (State, u64) {
        let mut state = self.state().clone();
        match op {
            Op::Write(write, _) => {
                let records = state.write(write, self.now_ms, self.serial);
                (state, records)
            }
            Op::Batch(writes, _) => {
                for (i, write) in (0..).zip(writes) {
                    state.write(write, self.now_ms, self.serial + i);
                }
                (state, writes.len() as u64)
            }
            _ => (state, 0),
        }
    }
}
