//! Following a store: a second one that takes over everything the first one commits, from a cold
//! start and over a restart of both.
//!
//! `cargo run --example follow [DIRECTORY]`; without a directory a temporary one is used.
//! A directory must be new or empty: the example counts on finding nothing.
//!
//! The follower keeps its place, a [`ChangeToken`], in the batches that take changes over, so the
//! place and what it stands for survive a crash together or not at all.

use kv_examples::StoreDir;
use kvcore::{
    ChangeToken, Changes, Durability, Error, Keyspace, Options, Put, Result, Schema, Store,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, thread, time::Duration};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    visits: u64,
}

const USERS: Schema<String, User> = Schema::new("users");
const SESSIONS: Schema<u64, String> = Schema::new("sessions");
/// The follower removes nothing by itself: what expires is removed in the first store, and told.
const COPIED_SESSIONS: Schema<u64, String> = Schema::new("sessions").expired_by_owner();
const PLACES: Schema<String, String> = Schema::new("places");

/// What merge leaves alone for a follower that is away, in bytes.
const RETENTION_BYTES: u64 = 64 << 20;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let dir = StoreDir::from_argument(1)?;
    std::fs::create_dir_all(dir.path())?;
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));

    // Much has happened before anybody follows, and merge has left little of how it came.
    let source = Source::open(&first)?;
    source.write(0..2_000)?;
    source.store.merge()?;
    assert_eq!(run(source, &second, 2_000..4_000)?, Began::FromSnapshot);

    // Both were closed. The first store goes on alone, and merges.
    let source = Source::open(&first)?;
    source.write(4_000..5_000)?;
    source.store.merge()?;
    // The follower comes back, and goes on where it was.
    assert_eq!(run(source, &second, 5_000..7_000)?, Began::WhereItWas);

    let (source, copy) = (Source::open(&first)?, Copy::open(&second)?);
    let entries = assert_equal(&source, &copy)?;
    println!("both stores hold the same {entries} entries");
    Ok(())
}

/// Writes to the first store while the second one follows, until the first one is closed.
fn run(source: Source, second: &Path, writes: std::ops::Range<u64>) -> Result<Began> {
    let copy = Copy::open(second)?;
    let (began, changes) = copy.begin(&source)?;
    let (users, sessions) = (source.users.clone(), source.sessions.clone());
    thread::scope(|scope| {
        let following = scope.spawn(|| copy.follow(changes, &users, &sessions));
        source.write(writes)?;
        source.store.close()?; // the feed gives what is left, and ends
        let taken = following.join().expect("the follower does not panic")?;
        println!("{began:?}: {taken} changes were taken over");
        Ok(())
    })?;
    copy.store.close()?;
    Ok(began)
}

/// The store that is followed.
#[derive(Clone)]
struct Source {
    store: Store,
    users: Keyspace<String, User>,
    sessions: Keyspace<u64, String>,
}

impl Source {
    fn open(dir: &Path) -> Result<Source> {
        let options = Options::new().durability(Durability::Interval(Duration::from_millis(20)));
        let options = options.feed_retention_bytes(RETENTION_BYTES).data_file_bytes_max(64 << 10);
        let store = options.open(dir)?;
        let (users, sessions) = (store.keyspace(USERS)?, store.keyspace(SESSIONS)?);
        Ok(Source { store, users, sessions })
    }

    /// A bit of everything: single writes, commits of several, expiries, deleted ranges.
    fn write(&self, numbers: std::ops::Range<u64>) -> Result<()> {
        for n in numbers {
            let name = format!("user {:02}", n % 60);
            self.users.update(&name, |user| {
                let visits = user.map_or(0, |user| user.visits) + 1;
                Some(User { name: name.clone(), visits })
            })?;
            let session = n % 300;
            match n % 10 {
                0 => drop(self.users.delete(&name)?),
                1 => {
                    let mut batch = self.store.batch();
                    let for_now = Put::expires_in(Duration::from_secs(3_600));
                    batch.put_with(&self.sessions, session, &name, for_now)?;
                    batch.delete(&self.users, format!("user {:02}", (n + 1) % 60))?;
                    batch.commit()?;
                }
                // Soon over, in the first part of the run only.
                2 if n < 3_000 => {
                    let shortly = Put::expires_in(Duration::from_millis(20));
                    self.sessions.put_with(session, &name, shortly)?;
                }
                3 => drop(self.sessions.persist(session.saturating_sub(2))?),
                _ => {}
            }
            if n % 500 == 250 {
                self.sessions.delete_range(100..150)?;
            }
        }
        Ok(())
    }
}

/// How a follower began.
#[derive(Debug, PartialEq, Eq)]
enum Began {
    FromSnapshot,
    WhereItWas,
}

/// The store that follows.
struct Copy {
    store: Store,
    users: Keyspace<String, User>,
    sessions: Keyspace<u64, String>,
    places: Keyspace<String, String>,
}

impl Copy {
    fn open(dir: &Path) -> Result<Copy> {
        let store = Options::new().durability(Durability::Buffered).open(dir)?;
        let (users, sessions) = (store.keyspace(USERS)?, store.keyspace(COPIED_SESSIONS)?);
        let places = store.keyspace(PLACES)?;
        Ok(Copy { store, users, sessions, places })
    }

    /// Goes on where it was, or starts anew where that is not possible any more.
    fn begin(&self, source: &Source) -> Result<(Began, Changes)> {
        if let Some(place) = self.places.get("first")? {
            match source.store.changes(place.parse::<ChangeToken>()?) {
                Ok(changes) => return Ok((Began::WhereItWas, changes)),
                Err(Error::Compacted { .. } | Error::Diverged { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        self.start_anew(source).map(|changes| (Began::FromSnapshot, changes))
    }

    /// Copies a snapshot. The feed behind it is opened first: from then on merge leaves alone what
    /// comes, however long the copying takes.
    fn start_anew(&self, source: &Source) -> Result<Changes> {
        let snapshot = source.store.snapshot();
        let changes = source.store.changes(snapshot.token())?;
        let mut batch = self.store.batch();
        batch.clear(&self.users)?;
        batch.clear(&self.sessions)?;
        for entry in snapshot.range(&source.users, ..) {
            let entry = entry?;
            batch.put(&self.users, entry.key(), &entry.value()?)?;
        }
        for entry in snapshot.range(&source.sessions, ..) {
            let entry = entry?;
            let put = entry.expires_at().map_or_else(Put::default, Put::expires_at);
            batch.put_with(&self.sessions, *entry.key(), &entry.value()?, put)?;
        }
        batch.put(&self.places, "first", &snapshot.token().to_string())?;
        batch.commit()?;
        Ok(changes)
    }

    /// Takes over what comes, commit by commit, until the source is closed.
    fn follow(
        &self,
        changes: Changes,
        users: &Keyspace<String, User>,
        sessions: &Keyspace<u64, String>,
    ) -> Result<u64> {
        let (mut batch, mut taken) = (self.store.batch(), 0);
        for change in changes {
            let change = change?;
            if change.is_of(users)? {
                change.apply_to(&mut batch, &self.users)?;
            } else if change.is_of(sessions)? {
                change.apply_to(&mut batch, &self.sessions)?;
            }
            taken += 1;
            if change.ends_commit() {
                batch.put(&self.places, "first", &change.token().to_string())?;
                std::mem::replace(&mut batch, self.store.batch()).commit()?;
            }
        }
        Ok(taken)
    }
}

/// Compares everything, both ways; returns how many entries there are.
fn assert_equal(source: &Source, copy: &Copy) -> Result<usize> {
    let users = |keyspace: &Keyspace<String, User>| -> Result<Vec<(String, User)>> {
        keyspace.iter().map(|entry| entry.and_then(|e| Ok((e.key().clone(), e.value()?)))).collect()
    };
    let sessions = |keyspace: &Keyspace<u64, String>| -> Result<Vec<_>> {
        let each = |e: kvcore::Entry<u64, String, _>| Ok((*e.key(), e.value()?, e.expires_at()));
        keyspace.iter().map(|entry| entry.and_then(each)).collect()
    };
    let (ours, theirs) = (users(&copy.users)?, users(&source.users)?);
    assert_eq!(ours, theirs, "users");
    let (our_sessions, their_sessions) = (sessions(&copy.sessions)?, sessions(&source.sessions)?);
    assert_eq!(our_sessions, their_sessions, "sessions and when they expire");
    assert!(!ours.is_empty() && !our_sessions.is_empty(), "there is something to compare");
    Ok(ours.len() + our_sessions.len())
}
