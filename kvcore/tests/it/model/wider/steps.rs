//! Steps that write, in the store and in the model.

use std::{collections::BTreeMap, time::Duration};

use kvcore::{Error, Put, Result, Transaction, Value, clock::Clock};

use super::{CACHE, Cell, Model, PLAIN, SESSIONS, THINGS, Wider, look::visible};
use crate::model::world::system_time;

type Cells = BTreeMap<Vec<u8>, Cell>;

/// What is seen of a key, and all of its keyspace.
fn alive_in<'m>(
    model: &'m mut Model,
    name: &str,
    key: &[u8],
    now_ms: u64,
) -> (Option<Cell>, &'m mut Cells) {
    let cells = model.get_mut(name).expect("there from the start");
    (cells.get(key).filter(|cell| cell.is_alive(now_ms)).cloned(), cells)
}

/// One operation of a transaction, chosen before it runs: it may run several times.
#[derive(Clone, Debug)]
enum Op {
    Get(&'static str, Vec<u8>),
    Put(&'static str, Vec<u8>, Vec<u8>, Option<u64>),
    Delete(&'static str, Vec<u8>),
    DeleteRange(Vec<u8>, Vec<u8>),
    Expire(&'static str, Vec<u8>, u64),
    Walk(&'static str),
    NextId,
}

impl Wider {
    // ---- random parts ----

    /// Keys of few bytes, so that they meet often.
    pub(super) fn key(&mut self) -> Vec<u8> {
        (0..self.rng.usize(1..3)).map(|_| b'a' + self.rng.u8(..6)).collect()
    }

    /// From nothing to several data files; some repeat themselves.
    fn value(&mut self) -> Vec<u8> {
        let len = match self.rng.u8(..30) {
            0 => 0,
            1..=24 => self.rng.usize(1..60),
            25..=27 => self.rng.usize(400..600),
            _ => self.rng.usize(2_000..6_000),
        };
        let (first, period) = (self.rng.u8(..), [usize::MAX, 3][self.rng.usize(..2)]);
        (0..len).map(|i| first.wrapping_add((i % period).to_le_bytes()[0])).collect()
    }

    fn expiry_ms(&mut self) -> Option<u64> {
        let after_ms = [self.rng.u64(..200), self.rng.u64(..100_000)][self.rng.usize(..2)];
        (self.rng.u8(..4) == 0).then_some(self.now_ms + after_ms)
    }

    fn name(&mut self) -> &'static str {
        let names = [PLAIN[0], PLAIN[0], PLAIN[1], PLAIN[2], SESSIONS, CACHE, THINGS];
        names[self.rng.usize(..names.len())]
    }

    // ---- single writes ----

    pub(super) fn put(&mut self, name: &'static str, key: &[u8], value: &[u8], at_ms: Option<u64>) {
        let put = at_ms.map_or_else(Put::default, |ms| Put::expires_at(system_time(ms)));
        let space = self.space(name);
        let done = match name {
            "films" => space.put_reader_with(key, value, put),
            _ => space.put_with(key, value, put),
        };
        done.expect("put");
        let cell = Cell { value: value.to_vec(), expires_ms: at_ms };
        self.cells(name).insert(key.to_vec(), cell);
    }

    pub(super) fn write(&mut self) {
        let (name, key) = (self.name(), self.key());
        let there = self.alive(name, &key).cloned();
        match self.rng.u8(..12) {
            0..=5 => {
                let (value, at_ms) = (self.value(), self.expiry_ms());
                self.log("put", format!("{name} {key:?} = {} bytes, {at_ms:?}", value.len()));
                self.put(name, &key, &value, at_ms);
            }
            6 | 7 => {
                self.log("delete", format!("{name} {key:?}"));
                let deleted = self.space(name).delete(&key).expect("delete");
                assert!(deleted == there.is_some() || (name == CACHE && !deleted), "{name}");
                // An expired one is still its owner's.
                if there.is_some() {
                    self.cells(name).remove(&key);
                }
            }
            8 => {
                let ttl_ms = self.rng.u64(1..60_000);
                self.log("touch", format!("{name} {key:?} for {ttl_ms} ms"));
                let ttl = Duration::from_millis(ttl_ms);
                let touched = self.space(name).touch(&key, ttl).expect("touch");
                assert!(touched == there.is_some() || (name == CACHE && !touched), "{name}");
                let until_ms = self.now_ms + ttl_ms;
                if let Some(cell) = self.cells(name).get_mut(&key).filter(|_| touched) {
                    cell.expires_ms = Some(until_ms);
                }
            }
            9 => {
                self.log("range", "delete".to_owned());
                let (start, end) = (self.key(), self.key());
                self.space("pairs").delete_range(&start[..]..&end[..]).expect("delete_range");
                self.cells("pairs").retain(|key, _| *key < start || *key >= end);
            }
            _ => {
                self.log("get", format!("{name} {key:?}"));
                let found = self.space(name).get(&key).expect("get").map(|value| value.to_vec());
                let wanted = there.map(|cell| cell.value);
                assert!(found == wanted || (name == CACHE && found.is_none()), "{name} {key:?}");
            }
        }
    }

    // ---- several at once ----

    fn op(&mut self) -> Op {
        let names = [PLAIN[0], PLAIN[0], PLAIN[1], SESSIONS, THINGS];
        let (name, key) = (names[self.rng.usize(..names.len())], self.key());
        match self.rng.u8(..16) {
            0..=3 => Op::Get(name, key),
            4..=8 => Op::Put(name, key, self.value(), self.expiry_ms()),
            9 | 10 => Op::Delete(name, key),
            11 => Op::DeleteRange(key, self.key()),
            12 => Op::Expire(name, key, self.now_ms + self.rng.u64(1..10_000)),
            13 | 14 => Op::Walk([PLAIN[0], SESSIONS, THINGS][self.rng.usize(..3)]),
            _ => Op::NextId,
        }
    }

    pub(super) fn transaction(&mut self) {
        let ops: Vec<Op> = (0..self.rng.usize(1..8)).map(|_| self.op()).collect();
        let (is_optimistic, fails) = (self.rng.bool(), self.rng.u8(..4) == 0);
        self.log("transaction", format!("{is_optimistic} {fails} {ops:?}"));
        let before = (self.model.clone(), self.things_ids);
        let run = |tx: &mut Transaction<'_>| {
            let mut after = before.clone();
            for op in &ops {
                self.apply(tx, op, &mut after)?;
            }
            if fails { Err(Error::abort("as it was meant to")) } else { Ok(after) }
        };
        let done = match is_optimistic {
            true => self.store().optimistic_transaction(run),
            false => self.store().transaction(run),
        };
        match done {
            Ok((model, ids)) => {
                assert!(!fails);
                (self.model, self.things_ids) = (model, ids);
            }
            Err(e) => assert!(fails && matches!(e, Error::Aborted(_)), "{e}"),
        }
    }

    /// Does one operation, and compares what it sees with the model of the transaction.
    fn apply(
        &self,
        tx: &mut Transaction<'_>,
        op: &Op,
        (model, ids): &mut (Model, u64),
    ) -> Result<()> {
        let now_ms = self.now_ms;
        match op {
            Op::Get(name, key) => {
                let found = tx.get_bytes(self.space(name), key)?.map(|value| value.to_vec());
                assert_eq!(
                    found,
                    alive_in(model, name, key, now_ms).0.map(|cell| cell.value),
                    "{op:?}"
                );
            }
            Op::Put(name, key, value, at_ms) => {
                let put = at_ms.map_or_else(Put::default, |ms| Put::expires_at(system_time(ms)));
                tx.put_with(self.space(name), key, value, put)?;
                let cell = Cell { value: value.clone(), expires_ms: *at_ms };
                alive_in(model, name, key, now_ms).1.insert(key.clone(), cell);
            }
            Op::Delete(name, key) => {
                let (there, cells) = alive_in(model, name, key, now_ms);
                assert_eq!(tx.delete(self.space(name), key)?, there.is_some(), "{op:?}");
                there.and_then(|_| cells.remove(key));
            }
            Op::DeleteRange(start, end) => {
                tx.delete_range(self.space("pairs"), &start[..]..&end[..])?;
                model
                    .get_mut("pairs")
                    .expect("there from the start")
                    .retain(|key, _| key < start || key >= end);
            }
            Op::Expire(name, key, at_ms) => {
                let (there, cells) = alive_in(model, name, key, now_ms);
                let expires = tx.expire(self.space(name), key, system_time(*at_ms))?;
                assert_eq!(expires, there.is_some(), "{op:?}");
                if let (Some(_), Some(cell)) = (there, cells.get_mut(key)) {
                    cell.expires_ms = Some(*at_ms);
                }
            }
            Op::Walk(name) => {
                let mut walked = Vec::new();
                for entry in tx.iter(self.space(name)) {
                    let entry = entry?;
                    let value = entry.value_bytes()?.to_vec();
                    walked.push((entry.into_key(), value));
                }
                let wanted: Vec<_> = visible(model, name, now_ms).into_iter().collect();
                assert_eq!(walked, wanted, "{name} inside");
            }
            Op::NextId => {
                *ids += 1;
                assert_eq!(tx.next_id(self.space(THINGS))?, *ids);
            }
        }
        Ok(())
    }

    /// The owner removes what has expired, and its namesakes.
    pub(super) fn remove_expired(&mut self) {
        let (pairs, sessions) = (self.space("pairs").clone(), self.space(SESSIONS).clone());
        let now_ms = self.now_ms;
        let due: Vec<Vec<u8>> = self.model[SESSIONS]
            .iter()
            .filter(|(_, cell)| !cell.is_alive(now_ms))
            .map(|(key, _)| key.clone())
            .collect();
        self.log("remove", format!("{} expired", due.len()));
        let mut found: Vec<Vec<u8>> = Vec::new();
        let removed = sessions.remove_expired(1_000, |batch, entry| {
            found.push(entry.key().clone());
            batch.delete(&pairs, entry.key())
        });
        found.sort();
        let waits =
            removed.expect("nothing fails here") == 0 && self.clock.monotonic() < self.grace_until;
        if waits {
            return;
        }
        assert_eq!(found, due);
        for key in due {
            self.cells(SESSIONS).remove(&key);
            self.cells("pairs").remove(&key);
        }
    }

    pub(super) fn take_id(&mut self) {
        self.log("id", String::new());
        self.things_ids += 1;
        let id = self.space(THINGS).next_id().expect("next id");
        assert_eq!(id, self.things_ids, "given out once, and without gaps");
    }

    /// Every value gets one byte more, and every third kind of key goes.
    pub(super) fn migrate(&mut self) {
        self.log("migrate", format!("from version {}", self.things_version));
        let version = |v| Self::schema(THINGS).version(v);
        let (from, to) = (version(self.things_version), version(self.things_version + 1));
        let is_kept = |key: &[u8]| !key.ends_with(b"a");
        let longer = |value: &[u8]| [value, b"+"].concat();
        let old = self.space(THINGS).clone();
        let fails = self.rng.u8(..4) == 0;
        let migrated = self.store().migrate(from, to, |key: Vec<u8>, value: Value| {
            if fails && key.starts_with(b"c") {
                return Err(Error::abort("half way"));
            }
            Ok(is_kept(&key).then(|| (key, Value::from(longer(&value)))))
        });
        match migrated {
            Err(e) => assert!(fails && matches!(e, Error::Aborted(_)), "{e}"),
            Ok(done) => {
                assert!(done);
                let gone = old.put(b"x", b"");
                assert!(matches!(gone, Err(Error::KeyspaceGone { .. })), "{gone:?}");
                self.things_version += 1;
                let now_ms = self.now_ms;
                let cells = self.cells(THINGS);
                cells.retain(|key, cell| is_kept(key) && cell.is_alive(now_ms));
                cells.values_mut().for_each(|cell| cell.value = longer(&cell.value));
                // Snapshots of before have their own ends; the next ones see the new keyspace.
                self.held.clear();
                self.open_things();
            }
        }
    }

    pub(super) fn drop_things(&mut self) {
        self.log("drop", String::new());
        assert!(self.store().drop_keyspace(THINGS).expect("nothing fails here"));
        (self.things_version, self.things_ids) = (0, 0);
        self.cells(THINGS).clear();
        self.held.clear();
        self.open_things();
    }
}
