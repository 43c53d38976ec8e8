//! Chooses commands: few hot keys, so that most records die soon, and fresh ones beside them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;

use super::model::{FAR_MS, Key, Op, State};

const STRINGS: usize = 40;
const NUMBERS: usize = 10;
/// Keys that expire while the test runs.
pub(super) const SHORT_LIVED: usize = 8;
/// Fresh keys kept before the oldest are deleted.
const FRESH_MAX: u64 = 150;
/// Strings longer than this are replaced rather than made longer, as are those near a blob's size.
const GROWN_LEN_MAX: usize = 4096;

/// One connection's source of commands; no value comes twice.
#[derive(Debug)]
pub(super) struct Generator {
    rng: Rng,
    /// Values longer than this become a file of their own, which costs two syncs each: rare.
    blob_bytes: usize,
    ops: u64,
    fresh: u64,
    fresh_deleted: u64,
}

impl Generator {
    pub(super) fn new(seed: u64, blob_bytes: usize) -> Generator {
        let rng = Rng::with_seed(seed);
        Generator { rng, blob_bytes, ops: 0, fresh: 0, fresh_deleted: 0 }
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        self.rng.usize(..end)
    }

    /// The next command, for keys that are like this.
    pub(super) fn op(&mut self, state: &State) -> Op {
        self.ops += 1;
        match self.rng.u32(..1000) {
            0..60 => Op::Ticket((0..self.below(4)).map(|_| self.simple(state)).collect()),
            60..63 => Op::Merge,
            63..64 => Op::Flush,
            _ => self.simple(state),
        }
    }

    fn simple(&mut self, state: &State) -> Op {
        match self.rng.u32(..100) {
            0..24 => self.string_op(),
            24..34 => self.growth(state),
            34..40 => {
                Op::Mset((0..=self.below(5)).map(|_| (self.string(), self.value())).collect())
            }
            40..46 => Op::Del((0..=self.below(2)).map(|_| self.string()).collect()),
            46..50 => Op::GetDel(self.string()),
            50..65 => self.number_op(),
            65..72 => self.expire(),
            72..76 => Op::Persist(self.string()),
            76..84 => self.two_keys(),
            84..90 => self.short_lived(),
            _ => self.fresh(),
        }
    }

    fn string_op(&mut self) -> Op {
        let (key, value) = (self.string(), self.value());
        match self.rng.u32(..10) {
            0 => Op::SetNx { key, value },
            1 => Op::GetSet { key, value },
            2 | 3 => Op::Set { key, value, expires_at_ms: Some(self.far_ms()) },
            _ => Op::Set { key, value, expires_at_ms: None },
        }
    }

    fn growth(&mut self, state: &State) -> Op {
        let (key, value) = (self.string(), self.value());
        let len = state.entries.get(&key).map_or(0, |entry| entry.value.len());
        if len + value.len() + 32 > GROWN_LEN_MAX.min(self.blob_bytes) {
            Op::Set { key, value, expires_at_ms: None }
        } else if self.rng.bool() {
            Op::Append { key, value }
        } else {
            Op::SetRange { key, at: self.below(len + 20), value }
        }
    }

    fn number_op(&mut self) -> Op {
        let key = self.number();
        match self.rng.u32(..20) {
            0 => Op::Del(vec![key]),
            1 => Op::GetDel(key),
            2 => Op::ExpireAt { key, at_ms: self.far_ms() },
            _ => Op::IncrBy { key, by: self.rng.i64(-5..20) },
        }
    }

    /// Rarely at a time that has passed, which deletes.
    fn expire(&mut self) -> Op {
        let at_ms = if self.rng.u32(..8) == 0 { 1 } else { self.far_ms() };
        Op::ExpireAt { key: self.string(), at_ms }
    }

    fn two_keys(&mut self) -> Op {
        let (from, to) = (self.string(), self.string());
        if from == to {
            Op::Persist(from)
        } else if self.rng.bool() {
            Op::Rename { from, to }
        } else {
            Op::Copy { from, to }
        }
    }

    fn short_lived(&mut self) -> Op {
        let key = format!("t{}", self.below(SHORT_LIVED)).into_bytes();
        if self.rng.u32(..4) == 0 {
            return Op::Del(vec![key]);
        }
        let at = now_ms() + self.rng.u64(1..400);
        Op::Set { key, value: self.value(), expires_at_ms: Some(at) }
    }

    /// A new key, or the end of the oldest one.
    fn fresh(&mut self) -> Op {
        let key = |n: u64| format!("u{n}").into_bytes();
        if self.fresh - self.fresh_deleted > self.rng.u64(1..FRESH_MAX) {
            self.fresh_deleted += 1;
            return Op::Del(vec![key(self.fresh_deleted - 1)]);
        }
        self.fresh += 1;
        Op::Set { key: key(self.fresh - 1), value: self.value(), expires_at_ms: None }
    }

    /// Low numbers come more often.
    fn string(&mut self) -> Key {
        let bound = 1 + self.below(STRINGS);
        format!("s{}", self.below(bound)).into_bytes()
    }

    fn number(&mut self) -> Key {
        format!("n{}", self.below(NUMBERS)).into_bytes()
    }

    /// Never the same twice, any byte in it, rarely large enough for a file of its own.
    fn value(&mut self) -> Vec<u8> {
        let blob_bytes = self.blob_bytes;
        let len = match self.rng.u32(..400) {
            0..280 => self.rng.usize(..200),
            280..380 => self.rng.usize(..1_500.min(blob_bytes / 2)),
            380..399 => self.rng.usize(..6_000.min(blob_bytes - 50)),
            _ => blob_bytes + self.rng.usize(..10_000),
        };
        let mut value = format!("{}:{:x}:", self.ops, self.rng.u32(..)).into_bytes();
        value.extend(std::iter::repeat_with(|| self.rng.u8(..)).take(len));
        value
    }

    fn far_ms(&mut self) -> u64 {
        FAR_MS + self.rng.u64(..1_000_000)
    }
}

/// The time as the server sees it, too.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap()
}
