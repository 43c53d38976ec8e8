//! Snapshots: what was there when one was made stays there, in every keyspace, whatever follows.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kvcore::{
    Background, ChangeToken, Durability, Error, Keyspace, Options, Put, Raw, Result, Schema,
    Snapshot, Store, clock::SimClock, disk::SimDisk,
};

const START_MS: u64 = 1_750_000_000_000;
const PLAIN: Schema<'static, u64, [u8], Raw> = Schema::new("plain");
const EXPIRING: Schema<'static, u64, [u8], Raw> = Schema::new("expiring");
const UNORDERED: Schema<'static, u64, [u8], Raw> = Schema::new("unordered").unordered();
const KEYS: u64 = 400;

type Space = Keyspace<u64, [u8], Raw>;

/// Value and expiry.
type Cells = BTreeMap<u64, (Vec<u8>, Option<u64>)>;

/// A store with tiny files, and what should be in it.
struct World {
    store: Store,
    clock: SimClock,
    rng: fastrand::Rng,
    spaces: Vec<Space>,
    cells: Vec<Cells>,
    snapshots: Vec<(Snapshot, Vec<Cells>, u64)>,
}

fn options(disk: &SimDisk, clock: &SimClock) -> Options {
    Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .data_file_bytes_max(4_000)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(clock.clone()))
}

fn open() -> (Store, SimClock) {
    let clock = SimClock::new(START_MS);
    let store = options(&SimDisk::new(1), &clock).open("/store").unwrap();
    (store, clock)
}

fn at_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

fn alive(cells: &Cells, now_ms: u64) -> Vec<(u64, Vec<u8>)> {
    let is_alive = |at: &Option<u64>| at.is_none_or(|at| at > now_ms);
    let kept = cells.iter().filter(|(_, (_, at))| is_alive(at));
    kept.map(|(key, (value, _))| (*key, value.clone())).collect()
}

impl World {
    fn new(seed: u64) -> World {
        let (store, clock) = open();
        let spaces = [PLAIN, EXPIRING, UNORDERED].map(|s| store.keyspace(s).unwrap());
        World {
            store,
            clock,
            rng: fastrand::Rng::with_seed(seed),
            spaces: spaces.to_vec(),
            cells: vec![Cells::new(); 3],
            snapshots: Vec::new(),
        }
    }

    fn now_ms(&self) -> u64 {
        use kvcore::clock::Clock;
        self.clock.wall_ms()
    }

    fn value(&mut self) -> Vec<u8> {
        // Some are larger than a quarter of a file and so get one of their own.
        let len = if self.rng.u8(..20) == 0 { 1_500 } else { self.rng.usize(..40) };
        vec![self.rng.u8(..); len]
    }

    fn step(&mut self) -> Result<()> {
        let space = self.rng.usize(..self.spaces.len());
        let key = self.rng.u64(..KEYS);
        let keyspace = self.spaces[space].clone();
        match self.rng.u8(..100) {
            0..=39 => {
                let value = self.value();
                keyspace.put(key, &value)?;
                self.cells[space].insert(key, (value, None));
            }
            40..=49 => {
                let (value, at) = (self.value(), self.now_ms() + self.rng.u64(1..5_000));
                self.spaces[1].put_with(key, &value, Put::expires_at(at_ms(at)))?;
                self.cells[1].insert(key, (value, Some(at)));
            }
            50..=59 => {
                keyspace.delete(key)?;
                self.cells[space].remove(&key);
            }
            60..=64 => {
                let range = key..key + self.rng.u64(..KEYS / 2);
                if space == 2 {
                    keyspace.clear()?;
                    self.cells[2].clear();
                } else {
                    keyspace.delete_range(range.clone())?;
                    self.cells[space].retain(|k, _| !range.contains(k));
                }
            }
            65..=69 => {
                let at = self.now_ms() + self.rng.u64(1..5_000);
                if self.spaces[1].expire(key, at_ms(at))? {
                    self.cells[1].get_mut(&key).expect("the model has it").1 = Some(at);
                }
            }
            70..=79 => self.batch()?,
            80..=84 => self.store.maintain()?,
            85 => drop(self.store.merge()?),
            86..=88 => self.clock.advance(Duration::from_millis(self.rng.u64(..2_000))),
            89..=91 if self.snapshots.len() < 5 => {
                let taken = (self.store.snapshot(), self.cells.clone(), self.now_ms());
                self.snapshots.push(taken);
            }
            92..=93 if !self.snapshots.is_empty() => {
                let at = self.rng.usize(..self.snapshots.len());
                self.snapshots.swap_remove(at);
            }
            _ => self.check()?,
        }
        Ok(())
    }

    fn batch(&mut self) -> Result<()> {
        let mut batch = self.store.batch();
        for space in 0..3 {
            for _ in 0..self.rng.usize(..60) {
                let (key, value) = (self.rng.u64(..KEYS), self.value());
                if self.rng.bool() {
                    batch.put(&self.spaces[space], key, &value)?;
                    self.cells[space].insert(key, (value, None));
                } else {
                    batch.delete(&self.spaces[space], key)?;
                    self.cells[space].remove(&key);
                }
            }
        }
        batch.commit().map(drop)
    }

    fn check(&mut self) -> Result<()> {
        for (snapshot, cells, now_ms) in &self.snapshots {
            for (space, cells) in self.spaces.iter().zip(cells) {
                for _ in 0..10 {
                    let key = self.rng.u64(..KEYS);
                    let expected =
                        cells.get(&key).filter(|(_, at)| at.is_none_or(|at| at > *now_ms));
                    let expected = expected.map(|(value, _)| value.as_slice());
                    let found = snapshot.get(space, key)?;
                    assert_eq!(found.as_deref(), expected, "{} {key}", space.name());
                    assert_eq!(snapshot.contains(space, key)?, expected.is_some());
                }
                if space.name() == "plain" {
                    let (low, high) = (self.rng.u64(..KEYS), self.rng.u64(..KEYS));
                    let expected = cells.keys().filter(|k| (low..high).contains(k)).count();
                    assert_eq!(snapshot.count(space, low..high)?, expected as u64);
                    let first = snapshot.first(space)?.map(|e| e.into_key());
                    assert_eq!(first, cells.keys().next().copied());
                    let last = snapshot.last(space)?.map(|e| e.into_key());
                    assert_eq!(last, cells.keys().next_back().copied());
                }
                check_all(snapshot, space, cells, *now_ms)?;
            }
        }
        if self.snapshots.is_empty() {
            let stats = self.store.stats();
            assert_eq!((stats.views, stats.undo_records, stats.undo_bytes), (0, 0, 0));
        }
        Ok(())
    }
}

fn check_all(snapshot: &Snapshot, space: &Space, cells: &Cells, now_ms: u64) -> Result<()> {
    let expected = alive(cells, now_ms);
    if space.name() == "unordered" {
        assert!(matches!(snapshot.iter(space).next(), Some(Err(Error::Unordered { .. }))));
        assert_eq!(snapshot.len(space)?, cells.len() as u64);
        return Ok(());
    }
    let pair = |e: Result<kvcore::Entry<u64, [u8], Raw>>| {
        let e = e.unwrap();
        (*e.key(), e.value().unwrap().to_vec())
    };
    assert_eq!(snapshot.iter(space).map(pair).collect::<Vec<_>>(), expected);
    let mut backwards: Vec<_> = snapshot.iter(space).rev().map(pair).collect();
    backwards.reverse();
    assert_eq!(backwards, expected);
    let count = snapshot.len(space)?;
    let without_expiry = cells.values().filter(|(_, at)| at.is_none()).count();
    if without_expiry == cells.len() {
        assert_eq!(count, cells.len() as u64);
    } else {
        assert!((expected.len() as u64..=cells.len() as u64).contains(&count));
    }
    Ok(())
}

#[test]
fn a_snapshot_shows_what_the_model_was_when_it_was_made() -> Result<()> {
    let seed: u64 = std::env::var("KVCORE_MODEL_SEED").map_or(7, |s| s.parse().expect("a number"));
    for seed in seed..seed + 3 {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.step()?;
        }
        world.check()?;
        world.snapshots.clear();
        world.check()?;
    }
    Ok(())
}

#[test]
fn snapshots_see_whole_commits_across_keyspaces_while_threads_write() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(100_000)
        .open(dir.path())?;
    let left: Keyspace<u64, u64> = store.keyspace("left")?;
    let right: Keyspace<u64, u64> = store.keyspace(Schema::new("right").unordered())?;
    for key in 0..100 {
        left.put(key, &1_000)?;
        right.put(key, &1_000)?;
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (store, left, right, is_over) = (&store, &left, &right, &is_over);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                while !is_over.load(Ordering::Relaxed) {
                    let (from, to, n) = (rng.u64(..50) * 2 + seed, rng.u64(..50) * 2 + seed, 1);
                    let mut batch = store.batch();
                    let there = left.get(from).unwrap().unwrap();
                    batch.put(left, from, &there.wrapping_sub(n)).unwrap();
                    let there = right.get(to).unwrap().unwrap();
                    batch.put(right, to, &there.wrapping_add(n)).unwrap();
                    // One key that comes and goes, so that counts change with every commit.
                    match left.contains(1_000 + seed).unwrap() {
                        true => batch.delete(left, 1_000 + seed).unwrap(),
                        false => batch.put(left, 1_000 + seed, &0).unwrap(),
                    }
                    batch.commit().unwrap();
                }
            });
        }
        for _ in 0..300 {
            let view = store.snapshot();
            let by_get: u64 = (0..100)
                .map(|key| {
                    let left = view.get(&left, key).unwrap().unwrap();
                    left.wrapping_add(view.get(&right, key).unwrap().unwrap())
                })
                .fold(0, u64::wrapping_add);
            assert_eq!(by_get, 200_000);
            let entries = view.iter(&left).filter(|e| e.is_ok()).count() as u64;
            assert_eq!(view.len(&left).unwrap(), entries);
            assert_eq!(view.len(&right).unwrap(), 100);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    Ok(())
}

#[test]
fn every_way_of_reading_a_snapshot_agrees_while_ranges_are_deleted_and_merged() -> Result<()> {
    const KEYS: u64 = 400;
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new()
        .durability(Durability::Buffered)
        .data_file_bytes_max(50_000)
        .open(dir.path())?;
    let (ordered, unordered) = (store.keyspace(PLAIN)?, store.keyspace(UNORDERED)?);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..2 {
            let (ordered, unordered, is_over) = (&ordered, &unordered, &is_over);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                while !is_over.load(Ordering::Relaxed) {
                    let key = rng.u64(..KEYS);
                    match rng.u16(..300) {
                        0 => drop(unordered.clear().unwrap()),
                        1 | 2 => {
                            let end = key + rng.u64(..KEYS);
                            assert!(ordered.delete_range(key..end).is_ok());
                        }
                        n if n % 4 == 0 => {
                            ordered.delete(key).unwrap();
                            unordered.delete(key).unwrap();
                        }
                        _ => {
                            ordered.put(key, &[7; 50]).unwrap();
                            unordered.put(key, &[7; 50]).unwrap();
                        }
                    }
                }
            });
        }
        for _ in 0..150 {
            let view = store.snapshot();
            for space in [&ordered, &unordered] {
                let look = || -> Vec<u64> {
                    (0..KEYS).filter(|key| view.contains(space, *key).unwrap()).collect()
                };
                let keys = look();
                assert_eq!(view.len(space).unwrap(), keys.len() as u64, "{}", space.name());
                if space.name() == "plain" {
                    let listed: Vec<u64> = view.iter(space).map(|e| *e.unwrap().key()).collect();
                    assert_eq!(listed, keys);
                    let half = keys.iter().filter(|key| **key >= 200).count() as u64;
                    assert_eq!(view.count(space, 200..).unwrap(), half);
                }
                assert_eq!(look(), keys, "{}", space.name());
                assert_eq!(view.len(space).unwrap(), keys.len() as u64, "{}", space.name());
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    Ok(())
}

#[test]
fn a_snapshot_held_for_ever_costs_by_changed_keys_and_not_by_overwrites() -> Result<()> {
    let (store, clock) = open();
    let space = store.keyspace(PLAIN)?;
    for key in 0..50 {
        space.put(key, b"old")?;
    }
    let held = store.snapshot();
    clock.advance(Duration::from_secs(3));
    for round in 0..200_u64 {
        for key in 0..50 {
            space.put(key, &round.to_le_bytes())?;
        }
        // Short views beside it must not pile up either.
        let short = store.snapshot();
        space.put(round % 50, b"changed while another view is open")?;
        assert_eq!(short.get(&space, round % 50)?.as_deref(), Some(&round.to_le_bytes()[..]));
        store.maintain()?;
    }
    let stats = store.stats();
    assert_eq!((stats.snapshots, stats.views), (1, 1));
    assert_eq!(stats.oldest_view_age, Duration::from_secs(3));
    assert!((50..=1_100).contains(&stats.undo_records), "{} records", stats.undo_records);
    assert!(stats.undo_bytes > 0);
    store.merge()?;
    assert!(store.stats().pinned_bytes > 0, "the old values are in files that merge replaced");
    for key in 0..50 {
        assert_eq!(held.get(&space, key)?.as_deref(), Some(&b"old"[..]));
    }
    let other = held.clone();
    drop(held);
    assert_eq!(other.get(&space, 0)?.as_deref(), Some(&b"old"[..]));
    assert_eq!(store.stats().snapshots, 1);
    drop(other);
    let stats = store.stats();
    assert_eq!((stats.snapshots, stats.undo_records, stats.undo_bytes), (0, 0, 0));
    assert_eq!((stats.pinned_bytes, stats.oldest_view_age), (0, Duration::ZERO));
    Ok(())
}

#[test]
fn large_values_stay_readable_while_a_snapshot_lives() -> Result<()> {
    let (store, _clock) = open();
    let space = store.keyspace(PLAIN)?;
    let large = vec![7; 3_000];
    space.put(1, &large)?;
    let view = store.snapshot();
    space.put(1, b"small")?;
    space.put(2, &large)?;
    space.delete(2)?;
    store.sync()?;
    store.merge()?;
    store.maintain()?;
    assert_eq!(view.get(&space, 1)?.as_deref(), Some(&large[..]));
    assert_eq!(view.get(&space, 2)?, None);
    let entry = view.first(&space)?.unwrap();
    drop(view);
    store.maintain()?;
    assert_eq!(&*entry.value()?, &large[..], "an entry keeps what its value needs");
    assert_eq!(space.get(1)?.as_deref(), Some(&b"small"[..]));
    Ok(())
}

#[test]
fn expiry_is_judged_by_the_time_of_the_snapshot() -> Result<()> {
    let (store, clock) = open();
    let space = store.keyspace(EXPIRING)?;
    space.put_with(1, b"a", Put::expires_in(Duration::from_secs(10)))?;
    let view = store.snapshot();
    clock.advance(Duration::from_secs(20));
    store.maintain()?;
    assert_eq!(space.get(1)?, None);
    assert_eq!(view.get(&space, 1)?.as_deref(), Some(&b"a"[..]));
    assert_eq!(view.expires_at(&space, 1)?, Some(at_ms(START_MS + 10_000)));
    assert_eq!(view.iter(&space).count(), 1);
    assert_eq!(store.snapshot().get(&space, 1)?, None);
    Ok(())
}

#[test]
fn a_range_delete_after_the_snapshot_is_not_seen_while_it_is_worked_off() -> Result<()> {
    let (store, _clock) = open();
    let (ordered, unordered) = (store.keyspace(PLAIN)?, store.keyspace(UNORDERED)?);
    for key in 0..1_000 {
        ordered.put(key, b"x")?;
        unordered.put(key, b"x")?;
    }
    let before = store.snapshot();
    ordered.delete_range(100..900)?;
    unordered.clear()?;
    ordered.put(500, b"new")?;
    unordered.put(500, b"new")?;
    let between = store.snapshot();
    for space in [&ordered, &unordered] {
        assert_eq!(before.get(space, 500)?.as_deref(), Some(&b"x"[..]));
        assert_eq!(before.get(space, 501)?.as_deref(), Some(&b"x"[..]));
        assert_eq!(between.get(space, 500)?.as_deref(), Some(&b"new"[..]));
        assert_eq!(between.get(space, 501)?, None);
    }
    for _ in 0..3 {
        assert_eq!((before.len(&ordered)?, before.len(&unordered)?), (1_000, 1_000));
        assert_eq!((between.len(&ordered)?, between.len(&unordered)?), (201, 1));
        assert_eq!(before.count(&ordered, 50..150)?, 100);
        assert_eq!(between.count(&ordered, 50..150)?, 50);
        store.maintain()?;
    }
    Ok(())
}

#[test]
fn tokens_name_store_opening_and_sequence() -> Result<()> {
    let (disk, clock) = (SimDisk::new(1), SimClock::new(START_MS));
    let store = options(&disk, &clock).open("/store")?;
    let space = store.keyspace(PLAIN)?;
    space.put(1, b"a")?;
    let first = store.snapshot().token();
    assert_eq!(first, store.snapshot().token());
    store.close()?;
    drop(space);

    let store = options(&disk, &clock).open("/store")?;
    let space = store.keyspace(PLAIN)?;
    let unchanged = store.snapshot();
    assert_eq!(unchanged.token().sequence(), first.sequence());
    space.put(2, b"b")?;
    assert_eq!(unchanged.token(), first, "the place is still one of the earlier opening");
    let second = store.snapshot().token();
    assert_ne!(&second.to_bytes()[16..24], &first.to_bytes()[16..24], "another generation");
    assert_eq!(&second.to_bytes()[..16], &first.to_bytes()[..16], "the same store");

    for token in [first, second] {
        assert_eq!(token.to_string().parse::<ChangeToken>()?, token);
        assert_eq!(ChangeToken::from_bytes(token.to_bytes()), token);
    }
    for wrong in
        ["", "-", "1-2-3", &format!("{first}-"), &format!("{first}x"), &format!("+{first}")]
    {
        assert!(matches!(wrong.parse::<ChangeToken>(), Err(Error::Decode { .. })), "{wrong:?}");
    }
    Ok(())
}

#[test]
fn a_keyspace_of_another_store_is_an_error_and_so_is_a_closed_store() -> Result<()> {
    let ((store, _), (other, _)) = (open(), open());
    let (own, foreign) = (store.keyspace(PLAIN)?, other.keyspace(PLAIN)?);
    let view = store.snapshot();
    assert!(matches!(view.get(&foreign, 1), Err(Error::ForeignKeyspace { .. })));
    assert!(matches!(view.count(&foreign, ..), Err(Error::ForeignKeyspace { .. })));
    assert!(matches!(view.iter(&foreign).next(), Some(Err(Error::ForeignKeyspace { .. }))));
    store.close()?;
    assert!(matches!(view.get(&own, 1), Err(Error::Closed)));
    assert!(matches!(view.len(&own), Err(Error::Closed)));
    assert!(matches!(view.iter(&own).next(), Some(Err(Error::Closed))));
    Ok(())
}
