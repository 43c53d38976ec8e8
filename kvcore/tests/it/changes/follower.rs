//! A second store that follows a first one, with its place in the same batches.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Change, ChangeToken, Durability, Error, Keyspace,
    Options, Put, ReadMode, Result, ScanCursor, Store,
    clock::{Clock, SimClock},
    disk::{Disk, SimDisk},
};

/// What a keyspace shows: value and expiry by key.
pub(crate) type Contents = BTreeMap<Vec<u8>, (Vec<u8>, Option<SystemTime>)>;

/// The follower's own keyspaces, which the followed store must not have.
const PLACE: &str = "follower's place";
const NAMES: &str = "follower's names";

/// A store that follows. Nothing is removed in it that the feed does not remove.
pub(crate) struct Follower {
    pub(crate) store: Store,
    /// The place of what it holds, in the store it follows.
    place: Keyspace<u8, String>,
    /// Names of keyspaces by their numbers there.
    names: Keyspace<u32, String>,
    /// Commits that are taken over in one.
    pub(crate) commits_at_once: usize,
    /// How often it had to start anew.
    pub(crate) starts: usize,
    pub(crate) changes: u64,
    /// How often its place was not in the history.
    pub(crate) diverged: usize,
}

/// Why following ended for now.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// Nothing more is there.
    Up,
    /// It has to start anew.
    Lost,
}

impl Follower {
    pub(crate) fn new(clock: &SimClock) -> Follower {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        Follower::open(disk, clock).expect("an empty simulated disk")
    }

    pub(crate) fn open(disk: Arc<dyn Disk>, clock: &SimClock) -> Result<Follower> {
        let clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = Options::new()
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
            .durability(Durability::Buffered)
            .read_mode(ReadMode::Pread)
            .data_file_bytes_max(1 << 20)
            .disk(disk)
            .clock(clock)
            .open("/follower")?;
        let (place, names) = (store.keyspace(PLACE)?, store.keyspace(NAMES)?);
        let (commits_at_once, starts, changes, diverged) = (3, 0, 0, 0);
        Ok(Follower { store, place, names, commits_at_once, starts, changes, diverged })
    }

    pub(crate) fn token(&self) -> Option<ChangeToken> {
        let text = self.place.get(0).expect("get")?;
        Some(text.parse().expect("a token was kept"))
    }

    /// Takes over everything that is there, from a snapshot if need be.
    pub(crate) fn catch_up(&mut self, from: &Store) {
        for _ in 0..3 {
            if self.token().is_none() {
                self.start_over(from).expect("a snapshot can be copied");
            }
            match self.pull(from).expect("a sound store") {
                Pulled::Up => return,
                Pulled::Lost => self.place.clear().map(drop).expect("clear"),
            }
        }
        panic!("the follower cannot keep up with a store that is at rest");
    }

    /// Copies a snapshot.
    fn start_over(&mut self, from: &Store) -> Result<()> {
        self.starts += 1;
        let snapshot = from.snapshot();
        for name in self.mirrored() {
            if let Some(keyspace) = self.store.raw_keyspace(&name)? {
                keyspace.clear()?;
            }
        }
        self.names.clear()?;
        for name in from.keyspace_names() {
            let source = from.raw_keyspace(&name)?.expect("it was just named");
            let target = self.store.register_raw_keyspace(&source.info())?;
            for (key, (value, expires)) in contents(from, &name) {
                let put = expires.map_or_else(Put::default, Put::expires_at);
                target.put_with(key, &value, put)?;
            }
        }
        self.place.put(0, &snapshot.token().to_string())?;
        Ok(())
    }

    fn mirrored(&self) -> Vec<String> {
        let names = self.store.keyspace_names().into_iter();
        names.filter(|name| name != PLACE && name != NAMES).collect()
    }

    /// Takes over what is there by now.
    pub(crate) fn pull(&mut self, from: &Store) -> Result<Pulled> {
        let token = self.token().expect("it has started");
        let mut changes = match from.changes(token) {
            Ok(changes) => changes,
            Err(e) => return self.lost(e),
        };
        let mut batch = self.store.batch();
        let mut commits = 0;
        let mut before = token;
        loop {
            let change = match changes.try_next() {
                Ok(Some(change)) => change,
                Ok(None) => break,
                Err(e) => return self.lost(e),
            };
            assert!(change.sequence > before.sequence(), "{change:?} after {before}");
            assert_eq!(change.token().sequence(), change.sequence);
            before = change.token();
            self.changes += 1;
            if let Some(to) = self.target(from, &change)? {
                change.apply_to(&mut batch, &to)?;
            }
            commits += usize::from(change.ends_commit());
            if change.ends_commit() && commits >= self.commits_at_once {
                batch.put(&self.place, 0, &change.token().to_string())?;
                std::mem::replace(&mut batch, self.store.batch()).commit()?;
                commits = 0;
            }
        }
        // A commit is given whole, so the rest ends with one.
        batch.put(&self.place, 0, &changes.token().to_string())?;
        batch.commit()?;
        Ok(Pulled::Up)
    }

    /// The keyspace that a change is mirrored in; none for one that was dropped before it was seen.
    fn target(&self, from: &Store, change: &Change) -> Result<Option<BytesKeyspace>> {
        let number = change.keyspace_id();
        let Some(name) = change.keyspace_name().or(self.names.get(number)?) else {
            return Ok(None);
        };
        if self.names.get(number)?.as_ref() != Some(&name) {
            self.names.put(number, &name)?;
        }
        if let Some(known) = self.store.raw_keyspace(&name)? {
            return Ok(Some(known));
        }
        let source = from.raw_keyspace(&name)?;
        source.map(|source| self.store.register_raw_keyspace(&source.info())).transpose()
    }

    fn lost(&mut self, e: Error) -> Result<Pulled> {
        match e {
            Error::Compacted { .. } => Ok(Pulled::Lost),
            Error::Diverged { .. } => {
                self.diverged += 1;
                Ok(Pulled::Lost)
            }
            e => Err(e),
        }
    }

    #[track_caller]
    pub(crate) fn assert_equal(&self, from: &Store) {
        self.assert_equal_after(from, SystemTime::UNIX_EPOCH);
    }

    /// The same but for what expires up to a moment, of which the stores may think differently.
    #[track_caller]
    pub(crate) fn assert_equal_after(&self, from: &Store, moment: SystemTime) {
        let stays = |_: &Vec<u8>, (_, at): &mut (Vec<u8>, Option<SystemTime>)| {
            at.is_none_or(|at| at > moment)
        };
        for name in from.keyspace_names() {
            let (mut theirs, mut ours) = (contents(from, &name), contents(&self.store, &name));
            theirs.retain(stays);
            ours.retain(stays);
            let (ours, theirs) = (shown(&ours), shown(&theirs));
            let differs = |(key, value): &(&String, &String)| theirs.get(*key) != Some(*value);
            let only_ours: Vec<_> = ours.iter().filter(differs).collect();
            let differs = |(key, value): &(&String, &String)| ours.get(*key) != Some(*value);
            let only_theirs: Vec<_> = theirs.iter().filter(differs).collect();
            assert_eq!(only_ours, only_theirs, "the follower's {name:?}");
        }
    }
}

/// What a keyspace shows; nothing if it is not there.
pub(crate) fn contents(store: &Store, name: &str) -> Contents {
    let mut all = Contents::new();
    let Some(keyspace) = store.raw_keyspace(name).expect("an open store") else { return all };
    let mut cursor = ScanCursor::default();
    loop {
        let (page, next) = keyspace.scan(cursor, 100).expect("scan");
        for entry in page {
            let key = entry.key().clone();
            let expires = keyspace.expires_at(&key).expect("expires_at");
            all.insert(key, (entry.value().expect("value").to_vec(), expires));
        }
        cursor = next;
        if cursor == ScanCursor::default() {
            return all;
        }
    }
}

/// Contents that read well in a failure message.
fn shown(contents: &Contents) -> BTreeMap<String, String> {
    let value = |v: &[u8]| {
        let head = v[..v.len().min(12)].escape_ascii().to_string();
        format!("{head}… {} bytes, {:08x}", v.len(), sum(v))
    };
    contents
        .iter()
        .map(|(k, (v, at))| (k.escape_ascii().to_string(), format!("{} {at:?}", value(v))))
        .collect()
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, b| sum.wrapping_mul(31).wrapping_add(u32::from(*b)))
}
