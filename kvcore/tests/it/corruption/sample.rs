//! The stores that are damaged, and what reads from them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use kvcore::{
    Background, BytesKeyspace, Durability, Error, Keyspace, Options, Put, Raw, Result, ScanCursor,
    Schema, Store, clock::SimClock, disk::SimDisk,
};

const START_MS: u64 = 1_750_000_000_000;

/// What a store holds: keyspace and key to value.
pub(crate) type State = BTreeMap<(u8, Vec<u8>), Vec<u8>>;

/// A store at rest and every state it went through.
pub(crate) struct Sample {
    pub(crate) disk: SimDisk,
    /// After every commit, the empty store first.
    pub(crate) states: Vec<State>,
    /// The state that was synced, and known to be.
    pub(crate) durable: usize,
    /// The last log file, if nothing says where it ends.
    pub(crate) tail: Option<PathBuf>,
}

/// What a look at a store gave: `None` for a value that could not be read.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) values: BTreeMap<(u8, Vec<u8>), Option<Vec<u8>>>,
    pub(crate) errors: Vec<Error>,
    pub(crate) dropped_bytes: u64,
    pub(crate) cut_at: Option<(PathBuf, u64)>,
}

/// The three keyspaces of a sample.
struct Spaces {
    store: Store,
    numbers: Keyspace<u64, String>,
    bytes: BytesKeyspace,
    loose: BytesKeyspace,
}

fn options(disk: &SimDisk) -> Options {
    Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .data_file_bytes_max(400)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(START_MS)))
}

fn open(disk: &SimDisk) -> Result<Spaces> {
    let store = options(disk).open("/store")?;
    let loose: Schema<'_, Vec<u8>, [u8], Raw> = Schema::new("loose").unordered();
    Ok(Spaces {
        numbers: store.keyspace("numbers")?,
        bytes: store.keyspace("bytes")?,
        loose: store.keyspace(loose)?,
        store,
    })
}

/// Writes a sample and takes notes.
struct Maker {
    spaces: Spaces,
    states: Vec<State>,
    durable: usize,
}

impl Maker {
    fn new(disk: &SimDisk) -> Maker {
        Maker { spaces: open(disk).expect("fits"), states: vec![State::new()], durable: 0 }
    }

    /// One commit, and what it does to the state.
    fn commit(
        &mut self,
        commit: impl FnOnce(&Spaces) -> Result<()>,
        note: impl FnOnce(&mut State),
    ) {
        commit(&self.spaces).expect("nothing fails here");
        let mut state = self.states.last().expect("never empty").clone();
        note(&mut state);
        self.states.push(state);
    }

    fn put(&mut self, n: u64, value: &str) {
        self.commit(
            |s| s.numbers.put(n, &value.to_owned()).map(drop),
            |state| drop(state.insert((0, n.to_be_bytes().to_vec()), value.into())),
        );
    }

    fn put_bytes(&mut self, key: &[u8], value: &[u8]) {
        self.commit(
            |s| s.bytes.put(key, value).map(drop),
            |state| drop(state.insert((1, key.to_vec()), value.to_vec())),
        );
    }

    fn put_loose(&mut self, key: &[u8], value: &[u8]) {
        self.commit(
            |s| s.loose.put(key, value).map(drop),
            |state| drop(state.insert((2, key.to_vec()), value.to_vec())),
        );
    }

    fn sync(&mut self) {
        self.spaces.store.sync().expect("nothing fails here");
        self.durable = self.states.len() - 1;
    }

    /// Every kind of record, a roll every few of them, a merge in the middle.
    fn write_much(&mut self) {
        for n in 0..12 {
            self.put(n, &format!("value of {n}"));
        }
        self.put_bytes(b"", b"empty key");
        self.put_bytes(b"blob", &[7; 150]);
        self.put_loose(b"loose", b"");
        self.commit(
            |s| s.numbers.delete(3).map(drop),
            |state| drop(state.remove(&(0, 3_u64.to_be_bytes().to_vec()))),
        );
        self.commit(
            |s| s.numbers.delete_range(5..8).map(drop),
            |state| state.retain(|(space, k), _| *space != 0 || !(5..8).contains(&k[7])),
        );
        self.sync();
        self.spaces.store.maintain().expect("nothing fails here");
        self.spaces.store.merge().expect("nothing fails here");
        self.put(1, "another value");
        let at = UNIX_EPOCH + Duration::from_millis(START_MS + 1_000_000);
        self.commit(|s| s.numbers.expire(2, at).map(drop), |_| {});
        self.commit(
            |s| {
                let put = Put::expires_in(Duration::from_secs(1_000));
                s.bytes.put_with(b"later", b"gone", put).map(drop)
            },
            |state| drop(state.insert((1, b"later".to_vec()), b"gone".to_vec())),
        );
        self.commit(
            |s| {
                let mut batch = s.store.batch();
                batch.put(&s.numbers, 20, &"batched".to_owned())?;
                batch.delete(&s.bytes, b"")?;
                batch.put(&s.loose, b"loose", b"tight")?;
                batch.commit().map(drop)
            },
            |state| {
                state.insert((0, 20_u64.to_be_bytes().to_vec()), b"batched".to_vec());
                state.remove(&(1, Vec::new()));
                state.insert((2, b"loose".to_vec()), b"tight".to_vec());
            },
        );
        self.put_bytes(b"blob", &[9; 120]);
        for n in 30..34 {
            self.put(n, "more, so that a file is full");
        }
    }

    fn write_tail(&mut self) {
        self.put(40, "after the sync");
        self.put_bytes(b"tail", b"bytes");
        self.commit(
            |s| s.numbers.delete(40).map(drop),
            |state| drop(state.remove(&(0, 40_u64.to_be_bytes().to_vec()))),
        );
        self.put(41, "the very last");
    }

    fn close(self, disk: &SimDisk) -> Sample {
        self.spaces.store.close().expect("nothing fails here");
        let durable = self.states.len() - 1;
        Sample { disk: disk.clean_image(), states: self.states, durable, tail: None }
    }

    fn kill(self, disk: &SimDisk) -> Sample {
        let image = disk.process_crash_image().clean_image();
        let is_data = |path: &PathBuf| path.extension().is_some_and(|e| e == "data");
        let tail = image.paths().into_iter().rfind(is_data);
        Sample { disk: image, states: self.states, durable: self.durable, tail }
    }
}

impl Sample {
    pub(crate) fn closed() -> Sample {
        let disk = SimDisk::new(1);
        let mut maker = Maker::new(&disk);
        maker.write_much();
        maker.write_tail();
        maker.close(&disk)
    }

    pub(crate) fn unclean() -> Sample {
        let disk = SimDisk::new(1);
        let mut maker = Maker::new(&disk);
        maker.write_much();
        maker.sync();
        maker.write_tail();
        maker.kill(&disk)
    }

    /// Killed just after a sync that a later record tells of.
    pub(crate) fn unclean_synced() -> Sample {
        let disk = SimDisk::new(1);
        let mut maker = Maker::new(&disk);
        maker.write_much();
        maker.sync();
        maker.put(40, "tells of the sync");
        maker.kill(&disk)
    }

    pub(crate) fn smallest_closed() -> Sample {
        let disk = SimDisk::new(1);
        let mut maker = Maker::new(&disk);
        maker.put(1, "one");
        maker.put_bytes(b"k", b"v");
        maker.close(&disk)
    }

    pub(crate) fn smallest_unclean() -> Sample {
        let disk = SimDisk::new(1);
        let mut maker = Maker::new(&disk);
        maker.put(1, "one");
        maker.sync();
        maker.put_bytes(b"k", b"v");
        maker.put(2, "two");
        maker.kill(&disk)
    }

    /// The file, and the log files beside it, which tell of its length.
    pub(crate) fn with_neighbours(&self, path: &Path) -> Vec<PathBuf> {
        let mut files = vec![path.to_path_buf()];
        files.extend(self.disk.paths().into_iter().filter(|p| p.extension() == path.extension()));
        files
    }

    /// Opens a disk and reads everything in every way; an error at the open is the whole answer.
    pub(crate) fn look(&self, disk: &SimDisk) -> Result<Seen> {
        let spaces = open(disk)?;
        let recovery = spaces.store.recovery();
        let mut seen = Seen {
            values: BTreeMap::new(),
            errors: Vec::new(),
            dropped_bytes: recovery.dropped_bytes,
            cut_at: recovery.cut_at.clone(),
        };
        spaces.read_all(&mut seen);
        // A merge must not make damage look sound, nor lose what can still be read.
        if let Err(e) = spaces.store.merge() {
            seen.errors.push(e);
        }
        let first = std::mem::take(&mut seen.values);
        spaces.read_all(&mut seen);
        assert_eq!(first, seen.values, "before and after the merge");
        Ok(seen)
    }

    /// The last state that reads like this, where values were readable.
    pub(crate) fn state_like(&self, seen: &Seen) -> Option<usize> {
        self.states.iter().rposition(|state| {
            let same = |(key, value): (&(u8, Vec<u8>), &Option<Vec<u8>>)| {
                state.get(key).is_some_and(|s| value.as_ref().is_none_or(|v| v == s))
            };
            state.len() == seen.values.len() && seen.values.iter().all(same)
        })
    }
}

impl Spaces {
    fn read_all(&self, seen: &mut Seen) {
        for entry in self.numbers.iter() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return seen.errors.push(e),
            };
            let value = entry.value().map(String::into_bytes);
            let again = self.numbers.get(entry.key()).map(|v| v.map(String::into_bytes));
            seen.note(0, entry.key().to_be_bytes().to_vec(), value, again);
        }
        for entry in self.bytes.iter() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return seen.errors.push(e),
            };
            let again = self.bytes.get(entry.key()).map(|v| v.map(|v| v.to_vec()));
            seen.note(1, entry.key().clone(), entry.value().map(|v| v.to_vec()), again);
        }
        match self.loose.scan(ScanCursor::default(), 1_000) {
            Err(e) => seen.errors.push(e),
            Ok((page, next)) => {
                assert_eq!(next, ScanCursor::default(), "one page holds them all");
                for entry in page {
                    let again = self.loose.get(entry.key()).map(|v| v.map(|v| v.to_vec()));
                    seen.note(2, entry.key().clone(), entry.value().map(|v| v.to_vec()), again);
                }
            }
        }
        assert_eq!(
            self.numbers.len() + self.bytes.len() + self.loose.len(),
            self.store.stats().keys
        );
    }
}

impl Seen {
    /// A value as an iterator and as `get` read it.
    fn note(
        &mut self,
        space: u8,
        key: Vec<u8>,
        value: Result<Vec<u8>>,
        again: Result<Option<Vec<u8>>>,
    ) {
        let value = match (value, again) {
            (Ok(value), Ok(again)) => {
                assert_eq!(again.as_ref(), Some(&value), "two ways to read one key");
                Some(value)
            }
            (Err(e), Err(_)) => {
                self.errors.push(e);
                None
            }
            (a, b) => panic!("two ways to read one key: {a:?} and {b:?}"),
        };
        self.values.insert((space, key), value);
    }
}
