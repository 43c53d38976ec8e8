//! Random transactions, one at a time, on a store and on a map: every answer inside and
//! everything after must be the same.

use std::{collections::BTreeMap, ops::Bound, time::Duration};

use kvcore::{Entry, Error, Keyspace, Raw, Result, Schema, Store, Transaction};

const ORDERED: Schema<'static, u64, [u8], Raw> = Schema::new("ordered");
const UNORDERED: Schema<'static, u64, [u8], Raw> = Schema::new("unordered").unordered();
const KEYS: u64 = 120;

type Space = Keyspace<u64, [u8], Raw>;
type Cells = BTreeMap<u64, Vec<u8>>;

struct World {
    store: Store,
    ordered: Space,
    unordered: Space,
    rng: fastrand::Rng,
}

impl World {
    fn value(&mut self) -> Vec<u8> {
        let len = if self.rng.u8(..15) == 0 { 1_200 } else { self.rng.usize(..30) };
        vec![self.rng.u8(..); len]
    }

    fn range(&mut self) -> (Bound<u64>, Bound<u64>) {
        let mut bound = || match self.rng.u8(..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(self.rng.u64(..KEYS)),
            _ => Bound::Excluded(self.rng.u64(..KEYS)),
        };
        (bound(), bound())
    }

    /// One random operation in a transaction, and on the model.
    fn step(&mut self, tx: &mut Transaction<'_>, cells: &mut [Cells; 2]) -> Result<()> {
        let at = usize::from(self.rng.u8(..4) == 0);
        let space = if at == 0 { self.ordered.clone() } else { self.unordered.clone() };
        let model = &mut cells[at];
        let key = self.rng.u64(..KEYS);
        match self.rng.u8(..100) {
            0..=29 => {
                let value = self.value();
                tx.put(&space, key, &value)?;
                model.insert(key, value);
            }
            30..=44 => assert_eq!(tx.delete(&space, key)?, model.remove(&key).is_some()),
            45..=49 if at == 0 => {
                let range = self.range();
                tx.delete_range(&space, range)?;
                model.retain(|k, _| !contains(&range, *k));
            }
            50 => {
                tx.clear(&space)?;
                model.clear();
            }
            51..=54 if at == 0 => {
                let popped = tx.pop_first(&space)?.map(|(k, v)| (k, v.to_vec()));
                assert_eq!(popped, model.pop_first());
                let popped = tx.pop_last(&space)?.map(|(k, v)| (k, v.to_vec()));
                assert_eq!(popped, model.pop_last());
            }
            55..=59 => {
                let there = model.contains_key(&key);
                let hour = std::time::SystemTime::now() + Duration::from_secs(3_600);
                assert_eq!(tx.expire(&space, key, hour)?, there);
                assert_eq!(tx.expires_at(&space, key)?.is_some(), there);
                assert_eq!(tx.persist(&space, key)?, there);
                assert_eq!(tx.expires_at(&space, key)?, None);
            }
            60..=62 => {
                let there = model.remove(&key).is_some();
                let past = std::time::UNIX_EPOCH;
                assert_eq!(tx.expire(&space, key, past)?, there);
                assert_eq!(tx.get(&space, key)?, None);
                // As an expired key is counted until it is removed.
                tx.delete_range(&self.ordered, key..=key)?;
                cells[0].remove(&key);
                if at == 1 && there {
                    tx.put(&space, key, b"back")?;
                    cells[1].insert(key, b"back".to_vec());
                }
            }
            63..=79 => {
                let found = tx.get(&space, key)?.map(|v| v.to_vec());
                assert_eq!(found.as_ref(), model.get(&key));
                assert_eq!(tx.contains(&space, key)?, model.contains_key(&key));
            }
            80..=84 => assert_eq!(tx.count(&space, ..)?, model.len() as u64),
            _ => self.look(tx, &cells[0])?,
        }
        Ok(())
    }

    fn look(&mut self, tx: &Transaction<'_>, model: &Cells) -> Result<()> {
        let range = self.range();
        let expected: Vec<_> = model.iter().filter(|(k, _)| contains(&range, **k)).collect();
        assert_eq!(tx.count(&self.ordered, range)?, expected.len() as u64, "{range:?}");
        // From both ends, in any mixture.
        let (mut front, mut back) = (Vec::new(), Vec::new());
        let mut entries = tx.range(&self.ordered, range);
        loop {
            let from_front = self.rng.bool();
            let entry = if from_front { entries.next() } else { entries.next_back() };
            let Some(entry) = entry else { break };
            let pair = pair(&entry?)?;
            if from_front { front.push(pair) } else { back.push(pair) }
        }
        assert!(entries.next().is_none() && entries.next_back().is_none());
        front.extend(back.into_iter().rev());
        let expected: Vec<_> = expected.into_iter().map(|(k, v)| (*k, v.clone())).collect();
        assert_eq!(front, expected, "{range:?}");
        let n = self.rng.u64(..KEYS);
        let nth = tx.nth(&self.ordered, n)?.map(|e| e.into_key());
        let expected = usize::try_from(n).ok().and_then(|n| model.keys().nth(n));
        assert_eq!(nth.as_ref(), expected);
        Ok(())
    }

    fn check(&self, cells: &[Cells; 2]) -> Result<()> {
        let all: Result<Cells> = self.ordered.iter().map(|e| pair(&e?)).collect();
        assert_eq!(all?, cells[0]);
        assert_eq!(self.ordered.len(), cells[0].len() as u64);
        for key in 0..KEYS {
            let found = self.unordered.get(key)?.map(|v| v.to_vec());
            assert_eq!(found.as_ref(), cells[1].get(&key));
        }
        Ok(())
    }
}

fn pair(entry: &Entry<u64, [u8], Raw>) -> Result<(u64, Vec<u8>)> {
    Ok((*entry.key(), entry.value()?.to_vec()))
}

fn contains((start, end): &(Bound<u64>, Bound<u64>), key: u64) -> bool {
    std::ops::RangeBounds::contains(&(start.as_ref(), end.as_ref()), &key)
}

#[test]
fn any_transaction_gives_what_the_model_gives() -> Result<()> {
    for seed in 1..=4 {
        println!("seed {seed}");
        let store = super::simulated();
        let (ordered, unordered) = (store.keyspace(ORDERED)?, store.keyspace(UNORDERED)?);
        let rng = fastrand::Rng::with_seed(seed);
        let mut world = World { store: store.clone(), ordered, unordered, rng };
        let mut cells = [Cells::new(), Cells::new()];
        for _ in 0..120 {
            let mut after = cells.clone();
            let (steps, fails) = (world.rng.usize(..40), world.rng.u8(..4) == 0);
            let is_optimistic = world.rng.bool();
            let mut run = |tx: &mut Transaction<'_>| {
                (0..steps).try_for_each(|_| world.step(tx, &mut after))?;
                if fails { Err(Error::abort("on purpose")) } else { Ok(()) }
            };
            let done = if is_optimistic {
                store.optimistic_transaction(run)
            } else {
                store.transaction(&mut run)
            };
            match done {
                Ok(()) => cells = after,
                Err(Error::Aborted(_)) => assert!(fails),
                Err(e) => return Err(e),
            }
            world.check(&cells)?;
            if world.rng.u8(..5) == 0 {
                world.store.maintain()?;
            }
        }
    }
    Ok(())
}
