//! The random operations, each done to the store and to the model.

use std::collections::VecDeque;

use kvcore::{Durability, Put};

use super::{
    expected::{Cell, Expected},
    world::{OpenWalk, World, system_time},
};
use crate::support::End;

/// A write inside a batch, decided before it is done.
#[derive(Debug)]
enum Write {
    Put(Vec<u8>, Vec<u8>, Option<u64>),
    Delete(Vec<u8>),
    DeleteRange(crate::support::Range),
    Clear,
    Expire(Vec<u8>, u64),
    Persist(Vec<u8>),
}

/// At most this many iterators are open at once.
const WALKS_MAX: usize = 4;

impl World {
    /// One random operation, and sometimes a look at everything.
    pub(super) fn step(&mut self) {
        self.steps += 1;
        let space = self.rng.usize(..self.spaces.len());
        match self.rng.u32(..1000) {
            0..=249 => self.put(space),
            250..=299 => self.put_with_ttl(space),
            300..=369 => self.delete(space),
            370..=374 => self.delete_range(space),
            375 => self.clear(space),
            376..=381 => self.fill(space),
            382..=409 => self.expire(space),
            410..=424 => self.persist(space),
            425..=464 => self.update(space),
            465..=494 => self.swap(space),
            495..=509 => self.take(space),
            510..=529 => self.get_or_insert(space),
            530..=554 => self.pop(space),
            555..=614 => self.batch(),
            615..=639 => self.round(),
            640..=719 => self.check_key(space),
            720..=759 => self.check_order(space),
            760..=779 => self.check_range(space),
            780..=784 => self.check_scan(space),
            785..=799 => self.check_random(space),
            800..=829 => self.open_walk(space),
            830..=889 => self.step_walk(),
            890..=899 => self.close_walk(),
            900..=939 => self.maintain(),
            940..=949 => self.follow(),
            950..=969 => self.sync(),
            970..=974 => self.merge(),
            975..=986 => self.pass_time(),
            987..=990 => self.jump_clock(),
            991..=993 => self.crash(),
            994..=995 => self.reopen(),
            _ => self.check_everything(),
        }
        self.follow_watchers();
        if self.rng.u8(..20) == 0 {
            self.check_watchers();
            if !self.has_threads() {
                self.check_figures();
            }
        }
    }

    fn put(&mut self, space: usize) {
        let (key, value) = (self.key(space), self.value());
        let durability = match self.rng.u8(..20) {
            0 => Durability::Immediate,
            _ => Durability::Buffered,
        };
        self.log(format!("{space}: put {} = {} bytes", show(&key), value.len()));
        self.spaces[space].put(&key, &value, durability.into()).expect("put");
        self.expected[space].cells.insert(key, Cell { value, expires_ms: None });
    }

    /// Many keys at once, so that range deletes have more to do than fits into their commit.
    fn fill(&mut self, space: usize) {
        let keys: Vec<_> = (0..self.rng.usize(50..300)).map(|_| self.key(space)).collect();
        self.log(format!("{space}: fill with {} keys", keys.len()));
        let mut batch = self.store().batch();
        for key in keys {
            self.spaces[space].batch_put(&mut batch, &key, b"fill", Put::default()).expect("fits");
            let cell = Cell { value: b"fill".to_vec(), expires_ms: None };
            self.expected[space].cells.insert(key, cell);
        }
        batch.commit().expect("commit");
    }

    fn put_with_ttl(&mut self, space: usize) {
        let (key, value, at_ms) = (self.key(space), self.value(), self.expiry_ms());
        let text = format!("{space}: put {} until {at_ms}, now {}", show(&key), self.now_ms);
        self.log(text);
        let put = match at_ms.checked_sub(self.now_ms) {
            Some(in_ms) if self.rng.bool() => {
                Put::expires_in(std::time::Duration::from_millis(in_ms))
            }
            _ => Put::expires_at(system_time(at_ms)),
        };
        self.spaces[space].put(&key, &value, put).expect("put");
        self.expected[space].cells.insert(key, Cell { value, expires_ms: Some(at_ms) });
    }

    fn delete(&mut self, space: usize) {
        let key = self.key(space);
        self.log(format!("{space}: delete {}", show(&key)));
        let was_there = self.spaces[space].delete(&key).expect("delete");
        let now_ms = self.now_ms;
        assert_eq!(was_there, self.expected[space].delete(&key, now_ms), "delete {}", show(&key));
    }

    fn delete_range(&mut self, space: usize) {
        let range = self.range(space);
        if space == 2 {
            return self.check_unordered();
        }
        self.log(format!("{space}: delete range {range:?}"));
        self.spaces[space].delete_range(&range).expect("delete range");
        self.expected[space].delete_range(&range);
    }

    fn clear(&mut self, space: usize) {
        self.log(format!("{space}: clear"));
        self.spaces[space].clear().expect("clear");
        self.expected[space].cells.clear();
    }

    fn expire(&mut self, space: usize) {
        let (key, at_ms) = (self.key(space), self.expiry_ms());
        self.log(format!("{space}: expire {} at {at_ms}, now {}", show(&key), self.now_ms));
        let was_there = self.spaces[space].expire(&key, system_time(at_ms)).expect("expire");
        let now_ms = self.now_ms;
        assert_eq!(was_there, self.expected[space].expire(&key, at_ms, now_ms), "expire");
    }

    fn persist(&mut self, space: usize) {
        let key = self.key(space);
        self.log(format!("{space}: persist {}", show(&key)));
        let changed = self.spaces[space].persist(&key).expect("persist");
        let now_ms = self.now_ms;
        assert_eq!(changed, self.expected[space].persist(&key, now_ms), "persist {}", show(&key));
    }

    fn update(&mut self, space: usize) {
        let (key, value) = (self.key(space), self.value());
        let new = (self.rng.u8(..4) > 0).then_some(value);
        self.log(format!("{space}: update {} to {:?}", show(&key), new.as_ref().map(Vec::len)));
        let mut seen = Vec::new();
        let given = self.spaces[space].update(&key, &mut |old| {
            seen.push(old);
            new.clone()
        });
        let now_ms = self.now_ms;
        let expected = &mut self.expected[space];
        assert_eq!(seen, [expected.value(&key, now_ms)], "what update of {} saw", show(&key));
        assert_eq!(given.expect("update"), new);
        match new {
            Some(value) => expected.write_back(&key, value, now_ms),
            None => drop(expected.delete(&key, now_ms)),
        }
    }

    fn swap(&mut self, space: usize) {
        let (key, value) = (self.key(space), self.value());
        let now_ms = self.now_ms;
        let old = self.expected[space].value(&key, now_ms);
        let guess = match self.rng.u8(..4) {
            0 => Some(self.value()),
            1 => None,
            _ => old.clone(),
        };
        let new = (self.rng.u8(..4) > 0).then_some(value);
        self.log(format!("{space}: swap {} to {:?}", show(&key), new.as_ref().map(Vec::len)));
        let differs = self.spaces[space].swap(&key, guess.as_deref(), new.as_deref());
        let differs = differs.expect("swap");
        assert_eq!(differs, (guess != old).then_some(old.clone()), "swap of {}", show(&key));
        if guess == old {
            match new {
                Some(value) => self.expected[space].write_back(&key, value, now_ms),
                None => drop(self.expected[space].delete(&key, now_ms)),
            }
        }
    }

    fn take(&mut self, space: usize) {
        let key = self.key(space);
        self.log(format!("{space}: take {}", show(&key)));
        let now_ms = self.now_ms;
        let old = self.expected[space].value(&key, now_ms);
        assert_eq!(self.spaces[space].take(&key).expect("take"), old, "take {}", show(&key));
        self.expected[space].delete(&key, now_ms);
    }

    fn get_or_insert(&mut self, space: usize) {
        let (key, value) = (self.key(space), self.value());
        self.log(format!("{space}: get or insert {}", show(&key)));
        let now_ms = self.now_ms;
        let old = self.expected[space].value(&key, now_ms);
        let given = self.spaces[space].get_or_insert(&key, &value).expect("get or insert");
        assert_eq!(given, old.clone().unwrap_or_else(|| value.clone()), "{}", show(&key));
        if old.is_none() {
            self.expected[space].write_back(&key, value, now_ms);
        }
    }

    fn pop(&mut self, space: usize) {
        if space == 2 {
            return self.check_unordered();
        }
        let end = self.end();
        self.log(format!("{space}: pop {end:?}"));
        let now_ms = self.now_ms;
        let given = self.spaces[space].pop(end).expect("pop");
        assert_eq!(given, self.expected[space].pop(end, now_ms), "pop {end:?}");
    }

    // ---- several writes at once ----

    fn draw_write(&mut self, space: usize) -> Write {
        let key = self.key(space);
        match self.rng.u8(..200) {
            0..=79 => Write::Put(key, self.value(), None),
            80..=99 => Write::Put(key, self.value(), Some(self.expiry_ms())),
            100..=139 => Write::Delete(key),
            140..=169 => Write::Expire(key, self.expiry_ms()),
            170..=196 => Write::Persist(key),
            197 | 198 if space != 2 => Write::DeleteRange(self.range(space)),
            197 | 198 => Write::Delete(key),
            _ => Write::Clear,
        }
    }

    fn batch(&mut self) {
        let batch = self.draw_batch();
        let batch = match batch {
            Some(batch) if self.rng.u8(..10) > 0 => batch,
            _ => return,
        };
        let (batch, after) = batch;
        let durability =
            if self.rng.u8(..10) == 0 { Durability::Immediate } else { Durability::Buffered };
        self.log(format!("commit the batch, {durability:?}"));
        batch.commit_with(durability).expect("commit");
        self.expected = after;
    }

    /// A batch, and what the store holds after it; `None` if it came out empty.
    fn draw_batch(&mut self) -> Option<(kvcore::Batch, Vec<Expected>)> {
        let mut after = self.expected.clone();
        let mut batch = self.store().batch();
        let mut hot: Option<(usize, Vec<u8>)> = None;
        for _ in 0..self.rng.usize(..8) {
            let space = self.rng.usize(..self.spaces.len());
            let mut write = self.draw_write(space);
            let mut space = space;
            // Writes to the same key in one batch apply in their order.
            if let Some((hot_space, key)) = &hot
                && self.rng.bool()
            {
                space = *hot_space;
                write = match write {
                    Write::Put(_, v, e) => Write::Put(key.clone(), v, e),
                    Write::Delete(_) => Write::Delete(key.clone()),
                    Write::Expire(_, at) => Write::Expire(key.clone(), at),
                    _ => Write::Persist(key.clone()),
                };
            }
            if let Write::Put(key, ..) | Write::Expire(key, _) = &write {
                hot = Some((space, key.clone()));
            }
            self.log(format!("{space}: batched {}", describe(&write)));
            self.add_to_batch(&mut batch, space, &write);
            apply(&mut after[space], write, self.now_ms);
        }
        (!batch.is_empty()).then_some((batch, after))
    }

    fn add_to_batch(&self, batch: &mut kvcore::Batch, space: usize, write: &Write) {
        let space = &self.spaces[space];
        let added = match write {
            Write::Put(key, value, None) => space.batch_put(batch, key, value, Put::default()),
            Write::Put(key, value, Some(at_ms)) => {
                space.batch_put(batch, key, value, Put::expires_at(system_time(*at_ms)))
            }
            Write::Delete(key) => space.batch_delete(batch, key),
            Write::DeleteRange(range) => space.batch_delete_range(batch, range),
            Write::Clear => space.batch_clear(batch),
            Write::Expire(key, at_ms) => space.batch_expire(batch, key, system_time(*at_ms)),
            Write::Persist(key) => space.batch_persist(batch, key),
        };
        added.expect("fits into the batch");
    }

    /// Several commits with one write, read back in between.
    fn round(&mut self) {
        self.log("a round".into());
        let writes: Vec<_> = (0..self.rng.usize(..12))
            .map(|_| {
                let space = self.rng.usize(..self.spaces.len());
                (space, self.draw_write(space))
            })
            .collect();
        let store = self.store().clone();
        let now_ms = self.now_ms;
        store
            .commit_many(|round| {
                for (space, write) in writes {
                    self.log(format!("{space}: in the round {}", describe(&write)));
                    let at = &self.spaces[space];
                    match &write {
                        Write::Put(key, value, None) => {
                            at.round_put(round, key, value, Put::default())?;
                        }
                        Write::Delete(key) => {
                            let was_there = self.expected[space].delete(key, now_ms);
                            assert_eq!(at.round_delete(round, key)?, was_there);
                            continue;
                        }
                        other => {
                            let mut batch = store.batch();
                            self.add_to_batch(&mut batch, space, other);
                            round.commit(batch)?;
                        }
                    }
                    let key = match &write {
                        Write::Put(key, ..) | Write::Expire(key, _) => Some(key.clone()),
                        _ => None,
                    };
                    apply(&mut self.expected[space], write, now_ms);
                    if let Some(key) = key {
                        let expected = self.expected[space].value(&key, now_ms);
                        assert_eq!(at.get(&key)?, expected, "{} in the round", show(&key));
                    }
                }
                Ok(())
            })
            .expect("round");
    }

    // ---- iterators ----

    fn open_walk(&mut self, space: usize) {
        if self.walks.len() >= WALKS_MAX || space == 2 {
            return self.step_walk();
        }
        let now_ms = self.now_ms;
        let expected = &self.expected[space];
        let (walk, left, made) = if self.rng.u8(..3) == 0 {
            let prefix = [b'a' + self.rng.u8(..6)];
            let all =
                expected.range(&(std::ops::Bound::Unbounded, std::ops::Bound::Unbounded), now_ms);
            let left: VecDeque<_> =
                all.into_iter().filter(|(k, _)| k.starts_with(&prefix)).collect();
            (self.spaces[space].prefix(&prefix), left, format!("prefix {}", show(&prefix)))
        } else {
            let range = self.range(space);
            let left = self.expected[space].range(&range, now_ms);
            (self.spaces[space].range(&range), left.into(), format!("range {range:?}"))
        };
        let made = format!("{space}: iterator over {made} of step {}", self.steps);
        self.log(made.clone());
        self.walks.push(OpenWalk { walk, left, made });
    }

    fn step_walk(&mut self) {
        if self.walks.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.walks.len());
        let steps = self.rng.usize(1..40);
        let ends = self.rng.u8(..3);
        self.log(format!("step {at} {steps} times"));
        let mut is_done = false;
        for _ in 0..steps {
            let end = match ends {
                0 => End::First,
                1 => End::Last,
                _ => self.end(),
            };
            is_done |= self.walks[at].step(end);
        }
        if is_done {
            self.walks.swap_remove(at);
        }
    }

    fn close_walk(&mut self) {
        if self.walks.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.walks.len());
        self.log(format!("close iterator {at}"));
        let mut walk = self.walks.swap_remove(at);
        if self.rng.bool() {
            while !walk.step(End::First) {}
        }
    }

    // ---- the store as a whole ----

    fn sync(&mut self) {
        self.log("sync".into());
        let store = self.store();
        let tip = store.tip_sequence();
        store.sync().expect("sync");
        assert!(store.durable_sequence() >= tip);
    }

    fn pass_time(&mut self) {
        let by_ms = match self.rng.u8(..10) {
            0..=6 => self.rng.u64(..2_000),
            7 | 8 => self.rng.u64(..70_000),
            _ => self.rng.u64(..1_000_000),
        };
        self.log(format!("{by_ms} ms pass"));
        self.advance(by_ms);
    }

    fn jump_clock(&mut self) {
        let far = if self.rng.bool() { 10_000 } else { 8_000_000 };
        let by_ms = self.rng.i64(-far..far);
        self.log(format!("the clock jumps by {by_ms} ms"));
        self.jump(by_ms);
    }
}

impl OpenWalk {
    /// One step; whether the iterator has ended.
    fn step(&mut self, from: End) -> bool {
        let given = self.walk.step(from).transpose().expect("a sound store");
        let expected = match from {
            End::First => self.left.pop_front(),
            End::Last => self.left.pop_back(),
        };
        let (given, expected) = (given.map(shown), expected.map(shown));
        assert_eq!(given, expected, "next from {from:?} of {}", self.made);
        given.is_none()
    }
}

/// A pair that reads well in a failure message.
fn shown((key, value): crate::support::Pair) -> (String, Vec<u8>) {
    (show(&key), value)
}

fn apply(expected: &mut Expected, write: Write, now_ms: u64) {
    match write {
        Write::Put(key, value, expires_ms) => {
            expected.cells.insert(key, Cell { value, expires_ms });
        }
        Write::Delete(key) => drop(expected.cells.remove(&key)),
        Write::DeleteRange(range) => expected.delete_range(&range),
        Write::Clear => expected.cells.clear(),
        Write::Expire(key, at_ms) => drop(expected.expire(&key, at_ms, now_ms)),
        Write::Persist(key) => drop(expected.persist(&key, now_ms)),
    }
}

fn describe(write: &Write) -> String {
    match write {
        Write::Put(key, value, at) => format!("put {} = {} bytes, {at:?}", show(key), value.len()),
        Write::Delete(key) => format!("delete {}", show(key)),
        Write::DeleteRange(range) => format!("delete range {range:?}"),
        Write::Clear => "clear".to_owned(),
        Write::Expire(key, at_ms) => format!("expire {} at {at_ms}", show(key)),
        Write::Persist(key) => format!("persist {}", show(key)),
    }
}

/// A key that reads well in a failure message.
pub(super) fn show(key: &[u8]) -> String {
    let start = key[..key.len().min(8)].escape_ascii().to_string();
    if key.len() > 8 { format!("{start}…({})", key.len()) } else { start }
}
