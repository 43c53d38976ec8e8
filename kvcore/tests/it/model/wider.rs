//! The same for what spans keyspaces and stores: transactions, snapshots, checkpoints, a reader
//! beside the writer, migrations, drops, numbers, expiry in all its kinds, caches, large values.
//!
//! Everything is bytes here, so that one model and one way of looking serve all keyspaces. One
//! thread and a simulated disk: a seed gives the same run every time.

mod look;
mod steps;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use kvcore::{
    AutoMerge, Background, BytesKeyspace, CheckpointFiles, Durability, Options, Raw, Schema,
    Snapshot, Store,
    clock::{Clock, SimClock},
    disk::SimDisk,
};

use super::expected::Cell;

/// What each keyspace must hold.
type Model = BTreeMap<&'static str, BTreeMap<Vec<u8>, Cell>>;

/// Keyspaces that expire by themselves: ordered, unordered and compressed, of large values.
const PLAIN: [&str; 3] = ["pairs", "loose", "films"];
/// Expired entries are left to their owner, who removes their namesake in `pairs` with them.
const SESSIONS: &str = "sessions";
/// Holds a budget of bytes.
const CACHE: &str = "cache";
/// Is migrated, dropped, and gives out numbers.
const THINGS: &str = "things";

const BUDGET_BYTES: u64 = 3_000;
const START_MS: u64 = 1_750_000_000_000;
/// A forward jump of more than this makes the store wait before it removes anything.
const JUMP_MAX_MS: u64 = 60 * 60 * 1000;
const GRACE: Duration = Duration::from_secs(61);
/// Operations shown after a failure.
const TRACE_LEN: usize = 40;

/// A snapshot, and what it must show for ever.
struct Held {
    snapshot: Snapshot,
    model: Model,
    now_ms: u64,
}

pub(super) struct Wider {
    seed: u64,
    rng: fastrand::Rng,
    disk: SimDisk,
    clock: SimClock,
    now_ms: u64,
    grace_until: Duration,
    store: Option<Store>,
    spaces: BTreeMap<&'static str, BytesKeyspace>,
    model: Model,
    things_version: u32,
    things_ids: u64,
    held: Vec<Held>,
    follower: Option<Store>,
    trace: VecDeque<String>,
    steps: u64,
    /// How often each kind of step was taken.
    pub(super) counts: BTreeMap<&'static str, u64>,
}

impl Wider {
    pub(super) fn new(seed: u64) -> Wider {
        let mut wider = Wider {
            seed,
            rng: fastrand::Rng::with_seed(seed),
            disk: SimDisk::new(seed),
            clock: SimClock::new(START_MS),
            now_ms: START_MS,
            grace_until: Duration::ZERO,
            store: None,
            spaces: BTreeMap::new(),
            model: Model::new(),
            things_version: 0,
            things_ids: 0,
            held: Vec::new(),
            follower: None,
            trace: VecDeque::new(),
            steps: 0,
            counts: BTreeMap::new(),
        };
        for name in PLAIN.into_iter().chain([SESSIONS, CACHE, THINGS]) {
            wider.model.insert(name, BTreeMap::new());
        }
        wider.open();
        wider
    }

    fn options(&self) -> Options {
        Options::new()
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
            .durability(Durability::Buffered)
            .data_file_bytes_max(2_000)
            .disk(Arc::new(self.disk.clone()))
            .clock(Arc::new(self.clock.clone()))
    }

    fn schema(name: &str) -> Schema<'_, Vec<u8>, [u8], Raw> {
        let schema = Schema::new(name);
        match name {
            #[cfg(feature = "lz4")]
            "loose" => schema.unordered().compressed(),
            #[cfg(not(feature = "lz4"))]
            "loose" => schema.unordered(),
            SESSIONS => schema.expired_by_owner(),
            CACHE => schema.unordered().budget_bytes(BUDGET_BYTES),
            _ => schema,
        }
    }

    fn open(&mut self) {
        let store = self.options().open("/store").expect("a sound store opens");
        assert_eq!(store.recovery().dropped_bytes, 0);
        for name in PLAIN.into_iter().chain([SESSIONS, CACHE]) {
            self.spaces.insert(name, store.keyspace(Self::schema(name)).expect("fits"));
        }
        self.store = Some(store);
        self.open_things();
    }

    fn open_things(&mut self) {
        let schema = Self::schema(THINGS).version(self.things_version);
        let things = self.store().keyspace(schema).expect("of the last version");
        self.spaces.insert(THINGS, things);
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open between steps")
    }

    fn space(&self, name: &str) -> &BytesKeyspace {
        &self.spaces[name]
    }

    fn cells(&mut self, name: &str) -> &mut BTreeMap<Vec<u8>, Cell> {
        self.model.get_mut(name).expect("there from the start")
    }

    fn alive(&self, name: &str, key: &[u8]) -> Option<&Cell> {
        self.model[name].get(key).filter(|cell| cell.is_alive(self.now_ms))
    }

    fn log(&mut self, kind: &'static str, what: String) {
        *self.counts.entry(kind).or_default() += 1;
        if self.trace.len() == TRACE_LEN {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{}: {kind} {what}", self.steps));
    }

    pub(super) fn step(&mut self) {
        self.steps += 1;
        match self.rng.u32(..1_000) {
            0..=349 => self.write(),
            350..=479 => self.transaction(),
            480..=529 => self.remove_expired(),
            530..=569 => self.take_id(),
            570..=609 => self.hold_snapshot(),
            610..=729 => self.check_snapshot(),
            730..=749 => self.held.clear(),
            750..=759 => self.migrate(),
            760..=761 => self.drop_things(),
            762..=781 => self.checkpoint(),
            782..=821 => self.follow(),
            822..=871 => self.maintain(),
            872..=891 => self.merge(),
            892..=931 => self.pass_time(),
            932..=939 => self.jump_clock(),
            940..=947 => self.reopen(),
            948..=955 => self.kill(),
            _ => self.check(),
        }
    }

    /// The last look: everything, and once more after a close.
    pub(super) fn finish(&mut self) {
        self.check();
        self.reopen();
        assert!(self.store().verify().expect("verify").is_sound());
    }

    // ---- the store as a whole ----

    fn leave(&mut self) {
        self.held.clear();
        self.spaces.clear();
    }

    fn reopen(&mut self) {
        self.log("reopen", String::new());
        self.leave();
        self.store.take().expect("open between steps").close().expect("nothing fails here");
        self.open();
        self.check();
    }

    /// Opens what a killed process left behind.
    fn kill(&mut self) {
        self.log("kill", String::new());
        // What time it was is on disk only now and then; a clock set back is another test's.
        self.clock.set_wall_ms(self.clock.wall_ms().max(self.now_ms));
        self.leave();
        self.follower = None;
        let image = self.disk.process_crash_image();
        self.store = None;
        self.disk = image;
        self.open();
        self.check();
    }

    fn maintain(&mut self) {
        self.log("maintain", String::new());
        self.store().maintain().expect("nothing fails here");
        self.note_evictions();
        // What was written last is kept however large it is, and counts until it is removed: when
        // it has expired, and the clock jumped, that is a while after it was last seen.
        let (bytes, entries) = (self.cache_bytes(), self.space(CACHE).len());
        assert!(bytes <= BUDGET_BYTES || entries == 1, "{bytes} bytes, {entries} entries");
    }

    fn merge(&mut self) {
        self.log("merge", String::new());
        self.store().sync().expect("nothing fails here");
        self.store().merge().expect("nothing fails here");
    }

    fn pass_time(&mut self) {
        let by_ms = [self.rng.u64(..50), self.rng.u64(..20_000)][self.rng.usize(..2)];
        self.log("time", format!("{by_ms} ms"));
        self.clock.advance(Duration::from_millis(by_ms));
        self.now_ms = (self.now_ms + by_ms).max(self.clock.wall_ms());
    }

    fn jump_clock(&mut self) {
        let by_ms = self.rng.i64(-10_000_000..10_000_000);
        self.log("jump", format!("{by_ms} ms"));
        self.clock.jump_wall_ms(by_ms);
        // The store's time is the highest it saw, so it has to look.
        let _ = self.space(CACHE).random(0).expect("random");
        let wall_ms = self.clock.wall_ms();
        if wall_ms.saturating_sub(self.now_ms) > JUMP_MAX_MS {
            self.grace_until = self.clock.monotonic() + GRACE;
        }
        self.now_ms = self.now_ms.max(wall_ms);
    }

    /// The checkpoint holds what the store holds, however often it is brought up to date.
    fn checkpoint(&mut self) {
        let how = [CheckpointFiles::Link, CheckpointFiles::Copy][self.rng.usize(..2)];
        self.log("checkpoint", format!("{how:?}"));
        self.note_evictions();
        self.store().checkpoint_with("/backup", how).expect("nothing fails here");
        let backup = self.options().open_read_only("/backup").expect("a checkpoint opens");
        self.compare("the checkpoint", &backup, &self.model);
        assert!(backup.verify().expect("verify").is_sound());
    }

    /// A reader beside the writer sees what is durable, once a later commit tells of it.
    fn follow(&mut self) {
        self.log("follow", String::new());
        self.note_evictions();
        self.store().sync().expect("nothing fails here");
        let then = self.model.clone();
        self.put("pairs", b"told", b"of the sync", None);
        if self.follower.is_none() {
            let opened = self.options().open_read_only("/store");
            self.follower = Some(opened.expect("beside the writer"));
        }
        let follower = self.follower.as_ref().expect("just opened");
        follower.refresh().expect("nothing fails here");
        // How late it is, it only knows from the clock and from what is durable.
        if self.clock.wall_ms() == self.now_ms {
            self.compare("the reader beside", follower, &then);
        }
    }
}

/// A failed check panics somewhere in a step: this tells where the run was.
impl Drop for Wider {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}, step {}; the last operations:", self.seed, self.steps);
            self.trace.iter().for_each(|line| eprintln!("  {line}"));
        }
    }
}
