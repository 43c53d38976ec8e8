//! One store under test, its model, and what is random about them.

use std::{
    collections::VecDeque,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use kvcore::{
    Background, BytesKeyspace, Durability, Keyspace, Options, Put, Raw, ReadMode, Schema, Store,
    clock::{Clock, SimClock},
    disk::{Disk, OsDisk, SimDisk},
};

use super::{expected::Expected, mirror::Mirror};
use crate::changes::follower::Follower;
use crate::crash::lying::{Lie, telling};
use crate::support::{BytesPrefix, End, Pair, Range, Space, Typed, Walk};
use std::ops::Bound;

/// What a world runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Simulated disk, no threads: every run is the same.
    Sim,
    /// The same with calls only that every system has.
    Portable,
    /// A real directory and the store's own threads.
    Os(ReadMode),
}

/// An iterator that stays open while the store changes, and what it has still to give.
pub(super) struct OpenWalk {
    pub(super) walk: Box<dyn Walk>,
    pub(super) left: VecDeque<Pair>,
    pub(super) made: String,
}

pub(super) struct World {
    pub(super) kind: Kind,
    pub(super) seed: u64,
    pub(super) rng: fastrand::Rng,
    pub(super) disk: SimDisk,
    pub(super) temp: Option<tempfile::TempDir>,
    pub(super) clock: SimClock,
    pub(super) store: Option<Store>,
    pub(super) spaces: Vec<Box<dyn Space>>,
    pub(super) expected: Vec<Expected>,
    /// The store's time as it must be: never back.
    pub(super) now_ms: u64,
    /// Until this monotonic time the store may put off removals.
    pub(super) grace_until: Duration,
    pub(super) walks: Vec<OpenWalk>,
    pub(super) mirrors: Vec<Mirror>,
    pub(super) events: u64,
    /// A second store that must be equal whenever it has caught up.
    pub(super) follower: Follower,
    /// What merge leaves for the follower.
    pub(super) retention_bytes: u64,
    pub(super) file_bytes: u64,
    pub(super) trace: VecDeque<String>,
    pub(super) steps: u64,
    pub(super) reopens: u64,
    pub(super) crashes: u64,
    pub(super) merges: u64,
    pub(super) rolls: u64,
    pub(super) expired: u64,
    pub(super) blobs_max: u64,
    pub(super) follows: u64,
}

/// Operations shown after a failure.
const TRACE_LEN: usize = 60;
const START_MS: u64 = 1_750_000_000_000;
/// A forward jump of more than this makes the store wait before it removes anything.
const JUMP_MAX_MS: u64 = 60 * 60 * 1000;
const GRACE: Duration = Duration::from_secs(61);

impl World {
    pub(super) fn new(kind: Kind, seed: u64) -> World {
        let mut rng = fastrand::Rng::with_seed(seed);
        let temp = match kind {
            Kind::Sim | Kind::Portable => None,
            Kind::Os(_) => Some(tempfile::tempdir().expect("a temporary directory")),
        };
        let file_bytes = [400, 400, 700, 2_000, 6_000][rng.usize(..5)];
        let clock = SimClock::new(START_MS);
        let mut world = World {
            kind,
            seed,
            disk: SimDisk::new(seed),
            temp,
            // Its clock stands still: it is not the one to say what has expired.
            follower: Follower::new(&SimClock::new(0)),
            retention_bytes: [0, 0, 3_000, 1 << 20][rng.usize(..4)],
            clock,
            store: None,
            spaces: Vec::new(),
            expected: vec![Expected::default(); 3],
            now_ms: START_MS,
            grace_until: Duration::ZERO,
            walks: Vec::new(),
            mirrors: Vec::new(),
            events: 0,
            file_bytes,
            trace: VecDeque::new(),
            steps: 0,
            reopens: 0,
            crashes: 0,
            merges: 0,
            rolls: 0,
            expired: 0,
            blobs_max: 0,
            follows: 0,
            rng,
        };
        world.open();
        world
    }

    pub(super) fn dir(&self) -> PathBuf {
        match &self.temp {
            Some(temp) => temp.path().join("store"),
            None => PathBuf::from("/store"),
        }
    }

    pub(super) fn disk(&self) -> Arc<dyn Disk> {
        match self.kind {
            Kind::Sim => Arc::new(self.disk.clone()),
            Kind::Portable => telling(&self.disk, Lie::Portable),
            Kind::Os(_) => Arc::new(OsDisk),
        }
    }

    pub(super) fn has_threads(&self) -> bool {
        matches!(self.kind, Kind::Os(_))
    }

    fn options(&self) -> Options {
        let options = Options::new()
            .durability(Durability::Buffered)
            .data_file_bytes_max(self.file_bytes)
            .feed_retention_bytes(self.retention_bytes)
            .disk(self.disk())
            .clock(Arc::new(self.clock.clone()));
        match self.kind {
            Kind::Sim | Kind::Portable => options.background(Background::Manual),
            Kind::Os(mode) => options.read_mode(mode),
        }
    }

    pub(super) fn open(&mut self) {
        let store = self.options().open(self.dir()).expect("a sound store opens");
        let typed: Keyspace<(u64, String), Vec<u8>> = store.keyspace("typed").expect("fits");
        let bytes: BytesKeyspace = store.keyspace("bytes").expect("fits");
        let loose: Schema<'_, Vec<u8>, [u8], Raw> = Schema::new("loose").unordered();
        #[cfg(feature = "lz4")]
        let loose = loose.compressed();
        let loose = store.keyspace(loose).expect("fits");
        let text = |b: &[u8]| String::from_utf8(b.to_vec()).expect("typed keys are ASCII");
        let _ = text;
        self.spaces = vec![
            Box::new(Typed {
                keyspace: typed,
                to_key: |b| (u64::from(b[0]), String::from_utf8_lossy(&b[1..]).into_owned()),
                to_bytes: |(n, s)| {
                    let first = u8::try_from(*n).expect("made of one byte");
                    [&[first], s.as_bytes()].concat()
                },
                to_prefix: |b| (u64::from(b[0]),),
            }),
            Box::new(bytes_space(bytes)),
            Box::new(bytes_space(loose)),
        ];
        self.store = Some(store);
        self.watch_all();
    }

    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("open between steps")
    }

    /// Closes and opens again; everything must be there.
    pub(super) fn reopen(&mut self) {
        self.log("close and open".into());
        self.leave();
        let store = self.store.take().expect("open between steps");
        store.close().expect("nothing fails here");
        self.choose_file_size();
        self.open();
        self.reopens += 1;
        let recovery = self.store().recovery().clone();
        assert_eq!(recovery.dropped_bytes, 0, "{recovery:?}");
        self.check_everything();
    }

    /// Opens what a killed process left behind.
    pub(super) fn crash(&mut self) {
        if self.has_threads() {
            return self.reopen();
        }
        // A clock set back during the crash could bring back what expired since the background
        // was at work.
        let set_back = self.rng.u8(..3) == 0;
        if set_back {
            self.maintain();
        } else {
            self.clock.set_wall_ms(self.clock.wall_ms().max(self.now_ms));
        }
        self.log("kill and open".into());
        self.leave();
        let image = self.disk.process_crash_image();
        self.store = None;
        self.disk = image;
        self.choose_file_size();
        self.open();
        self.crashes += 1;
        let recovery = self.store().recovery().clone();
        assert_eq!(recovery.dropped_bytes, 0, "{recovery:?}");
        self.read_the_clock();
        self.check_everything();
    }

    /// Drops whatever refers to the store but the store.
    fn leave(&mut self) {
        self.check_watchers();
        self.mirrors.clear();
        self.walks.clear();
        self.spaces.clear();
        if let Some(store) = &self.store {
            let stats = store.stats();
            self.merges += stats.merges;
            self.rolls += stats.rolls;
            self.expired += stats.expired;
        }
    }

    fn choose_file_size(&mut self) {
        if self.rng.u8(..3) == 0 {
            self.file_bytes = [400, 700, 2_000, 6_000][self.rng.usize(..4)];
        }
    }

    /// Finds out the store's time after a crash: it may be lower than it was, by a little.
    fn read_the_clock(&mut self) {
        const FAR: Duration = Duration::from_secs(1_000_000);
        let (key, space) = (b"the clock".as_slice(), &self.spaces[2]);
        space.put(key, b"", Put::expires_in(FAR)).expect("nothing fails here");
        let at = space.expires_at(key).expect("nothing fails here").expect("just put");
        assert!(space.delete(key).expect("nothing fails here"));
        let now_ms = unix_ms(at) - 1_000_000_000;
        assert!(now_ms <= self.now_ms && now_ms >= self.clock.wall_ms());
        self.now_ms = now_ms;
    }

    /// One round of background work, and what it removes.
    pub(super) fn maintain(&mut self) {
        self.log("maintain".into());
        if self.has_threads() {
            return;
        }
        let before = self.store().stats().expired;
        let expired: u64 = self.expected.iter().map(|e| e.expired(self.now_ms)).sum();
        self.store().maintain().expect("nothing fails here");
        let removed = self.store().stats().expired - before;
        if removed == 0 && self.clock.monotonic() < self.grace_until {
            return;
        }
        assert_eq!(removed, expired, "expired entries removed");
        self.expected.iter_mut().for_each(|e| e.remove_expired(self.now_ms));
    }

    /// The follower takes over what there is.
    pub(super) fn follow(&mut self) {
        self.log("follow".into());
        self.follows += 1;
        let store = self.store.as_ref().expect("open between steps");
        store.sync().expect("nothing fails here");
        self.follower.commits_at_once = self.rng.usize(1..5);
        self.follower.catch_up(store);
        // What it takes over is durable, and a killed process takes nothing back anyway.
        assert_eq!(self.follower.diverged, 0);
        self.follower.assert_equal_after(store, system_time(self.now_ms));
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, by_ms: u64) {
        self.clock.advance(Duration::from_millis(by_ms));
        self.now_ms = (self.now_ms + by_ms).max(self.clock.wall_ms());
    }

    /// Lets the wall clock jump.
    pub(super) fn jump(&mut self, by_ms: i64) {
        self.clock.jump_wall_ms(by_ms);
        let wall_ms = self.clock.wall_ms();
        // The store's time is the highest it saw, so it has to look.
        self.spaces[2].random(0).expect("random");
        if wall_ms.saturating_sub(self.now_ms) > JUMP_MAX_MS {
            self.grace_until = self.clock.monotonic() + GRACE;
        }
        self.now_ms = self.now_ms.max(wall_ms);
    }

    pub(super) fn log(&mut self, what: String) {
        if self.trace.len() == TRACE_LEN {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{}: {what}", self.steps));
    }

    /// The last look at a world: everything, then closed and looked at again.
    pub(super) fn finish(&mut self) {
        self.check_everything();
        self.follow();
        self.reopen();
        self.leave();
    }

    // ---- random parts of operations ----

    /// Keys of few bytes, so that they meet often; some longer than a small file.
    pub(super) fn key(&mut self, space: usize) -> Vec<u8> {
        let rng = &mut self.rng;
        if space == 1 && rng.u8(..50) == 0 {
            return [vec![], vec![0], vec![0, 0], vec![255], vec![255, 255]][rng.usize(..5)]
                .clone();
        }
        let mut key = vec![b'a' + rng.u8(..6)];
        key.extend((0..rng.usize(..4)).map(|_| b'a' + rng.u8(..5)));
        if rng.u8(..100) == 0 {
            key.resize(100 * rng.usize(1..6), b'x');
        }
        key
    }

    /// Values from nothing to several small files; `b` marks what is near the blob threshold.
    pub(super) fn value(&mut self) -> Vec<u8> {
        let rng = &mut self.rng;
        let threshold = usize::try_from(self.file_bytes / 4).expect("small");
        let len = match rng.u8(..40) {
            0..=3 => 0,
            4..=27 => rng.usize(..24),
            28..=36 => rng.usize(..threshold),
            37 => threshold - 2 + rng.usize(..5),
            38 => threshold + rng.usize(..threshold),
            _ => threshold * 4 + rng.usize(..300),
        };
        let first = rng.u8(..);
        // Some repeat themselves, for keyspaces that compress.
        let period = [usize::MAX, 5][usize::from(rng.bool())];
        (0..len).map(|i| first.wrapping_add((i % period).to_le_bytes()[0])).collect()
    }

    pub(super) fn range(&mut self, space: usize) -> Range {
        if self.rng.u8(..4) == 0 {
            return (Bound::Unbounded, Bound::Unbounded);
        }
        let bound = |world: &mut World| match world.rng.u8(..5) {
            0 => Bound::Unbounded,
            1 | 2 => Bound::Included(world.key(space)),
            _ => Bound::Excluded(world.key(space)),
        };
        (bound(self), bound(self))
    }

    /// When something expires: mostly soon, sometimes before now.
    pub(super) fn expiry_ms(&mut self) -> u64 {
        match self.rng.u8(..10) {
            0 => self.now_ms - self.rng.u64(..5_000),
            1..=6 => self.now_ms + self.rng.u64(..5_000),
            7 | 8 => self.now_ms + self.rng.u64(..500_000),
            _ => self.now_ms + self.rng.u64(..500_000_000),
        }
    }

    pub(super) fn end(&mut self) -> End {
        if self.rng.bool() { End::First } else { End::Last }
    }
}

fn bytes_space(keyspace: BytesKeyspace) -> Typed<Vec<u8>, [u8], Raw, BytesPrefix> {
    Typed {
        keyspace,
        to_key: <[u8]>::to_vec,
        to_bytes: Vec::clone,
        to_prefix: |b| BytesPrefix(b.to_vec()),
    }
}

pub(super) fn system_time(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

pub(super) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("this millennium")
}

/// A failed check panics somewhere in a step: this tells where the run was.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{:?}, seed {}, step {}; the last operations:",
                self.kind, self.seed, self.steps
            );
            self.trace.iter().for_each(|line| eprintln!("  {line}"));
            self.walks.clear();
        }
    }
}

/// What happened in all worlds together.
#[derive(Debug, Default)]
pub(super) struct Totals {
    reopens: u64,
    crashes: u64,
    merges: u64,
    rolls: u64,
    expired: u64,
    blobs_max: u64,
    events: u64,
    follows: u64,
    starts: usize,
    changes: u64,
}

impl Totals {
    pub(super) fn add(&mut self, world: &World) {
        self.reopens += world.reopens;
        self.crashes += world.crashes;
        self.merges += world.merges;
        self.rolls += world.rolls;
        self.expired += world.expired;
        self.events += world.events;
        self.blobs_max = self.blobs_max.max(world.blobs_max);
        self.follows += world.follows;
        self.starts += world.follower.starts;
        self.changes += world.follower.changes;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clean and {} unclean opens, {} rolls, {} merges, {} expired, up to {} blobs",
            self.reopens, self.crashes, self.rolls, self.merges, self.expired, self.blobs_max
        )?;
        let Totals { follows, starts, changes, events, .. } = self;
        write!(f, "; {follows} times followed, {changes} changes, {starts} times from a snapshot")?;
        write!(f, "; {events} events told")
    }
}
