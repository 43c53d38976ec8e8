//! One workload on one disk: does what the script says and keeps the ledger.

use super::{
    lying::{Lie, telling},
    model::{Held, Ledger, State},
    workload::{Ack, KEYSPACES, Op, UNORDERED, Workload},
};
use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Error, Options, ReadMode, Result, ScanCursor,
    Schema, Store,
    clock::SimClock,
    disk::{Fault, Repeat, SimDisk},
};
use std::{path::Path, sync::Arc};

mod act;
mod follow;

pub(crate) const START_MS: u64 = 1_750_000_000_000;

/// A workload in progress.
pub(crate) struct Run {
    pub(crate) disk: SimDisk,
    pub(crate) lie: Lie,
    clock: SimClock,
    file_bytes_max: u64,
    auto_merge: AutoMerge,
    pub(crate) feed_retention_bytes: u64,
    pub(crate) store: Option<Store>,
    keyspaces: [Option<BytesKeyspace>; KEYSPACES.len()],
    pub(crate) ledger: Ledger,
    /// Armed again on the disk that the next process finds.
    armed: Option<(u64, Fault, Repeat)>,
    /// Faults that struck disks of processes that are gone.
    fired_before: u64,
    /// Steps that failed and were reported.
    pub(crate) failures: u64,
    /// Another thread merges, and appends records that change nothing anybody sees.
    pub(crate) is_beside_a_merge: bool,
}

/// A promise that was not kept, in words.
pub(crate) type Violation = String;

/// How a step ended, if no promise was broken.
#[derive(Debug)]
pub(crate) enum Stepped {
    Done,
    Failed(Error),
}

pub(crate) fn dir() -> &'static Path {
    Path::new("/store")
}

impl Run {
    pub(crate) fn new(workload: &Workload, disk: SimDisk, lie: Lie) -> Run {
        Run::resume(workload, disk, lie, Ledger::new(START_MS))
    }

    /// A run whose store is still to be opened.
    pub(crate) fn resume(workload: &Workload, disk: SimDisk, lie: Lie, ledger: Ledger) -> Run {
        let clock = SimClock::new(ledger.now_ms);
        let keyspaces = [const { None }; KEYSPACES.len()];
        Run {
            disk,
            lie,
            clock,
            file_bytes_max: workload.file_bytes_max,
            auto_merge: workload.auto_merge,
            feed_retention_bytes: workload.feed_retention_bytes,
            store: None,
            keyspaces,
            ledger,
            armed: None,
            fired_before: 0,
            failures: 0,
            is_beside_a_merge: false,
        }
    }

    /// How many operations faults have struck.
    pub(crate) fn fired(&self) -> u64 {
        self.fired_before + self.disk.faults_fired()
    }

    pub(crate) fn fail(&mut self, index: u64, fault: Fault, repeat: Repeat) {
        self.disk.fail(index, fault, repeat);
        self.armed = Some((index, fault, repeat));
    }

    /// Opens the store and compares what it holds with what it must hold.
    pub(crate) fn open(&mut self, must_hold: u64) -> Result<Result<(), Violation>> {
        let options = Options::new()
            .data_file_bytes_max(self.file_bytes_max)
            .read_mode(ReadMode::Pread)
            .background(Background::Manual)
            .auto_merge(self.auto_merge)
            .feed_retention_bytes(self.feed_retention_bytes)
            .durability(Durability::Buffered)
            .disk(telling(&self.disk, self.lie))
            .clock(Arc::new(self.clock.clone()));
        let store = options.open(dir())?;
        self.keyspaces = [const { None }; KEYSPACES.len()];
        let names = store.keyspace_names();
        self.store = Some(store);
        for (i, name) in KEYSPACES.iter().enumerate() {
            if names.iter().any(|n| n == name) {
                self.keyspace(i)?;
            } else if self.ledger.keyspaces.contains(&i) {
                return Ok(Err(format!("keyspace {name:?} is gone")));
            }
        }
        self.compare(must_hold)
    }

    fn compare(&mut self, must_hold: u64) -> Result<Result<(), Violation>> {
        let store = self.store.as_ref().expect("it was just opened");
        let tip = store.tip_sequence().get();
        let durable = store.durable_sequence().get();
        if tip < must_hold {
            return Ok(Err(format!("{must_hold} was promised, the store ends at {tip}")));
        }
        if durable != tip {
            return Ok(Err(format!("opened at {tip}, durable only up to {durable}")));
        }
        let found = self.observe()?;
        let visible = |(i, state): (usize, &State)| (i, state.visible(self.ledger.now_ms));
        let wanted: Vec<_> = self.ledger.at(tip).into_iter().map(visible).collect();
        let Some((_, newest)) = wanted.first() else {
            return Ok(Err(format!("it ends at {tip}, which is inside a commit")));
        };
        let Some((point, _)) = wanted.iter().find(|(_, wanted)| *wanted == found) else {
            return Ok(Err(difference(tip, &found, newest)));
        };
        let point = *point;
        let followed = self.follow_on(&found)?;
        self.ledger.recovered(tip, point);
        Ok(followed)
    }

    /// Everything that reads show.
    pub(crate) fn observe(&self) -> Result<State> {
        let mut state = State::default();
        for (i, keyspace) in self.keyspaces.iter().enumerate() {
            let Some(keyspace) = keyspace else { continue };
            let (entries, next) = keyspace.scan(ScanCursor::default(), usize::MAX)?;
            assert_eq!(next, ScanCursor::default(), "one page was asked for");
            for entry in entries {
                let key = entry.key().clone();
                let value: Arc<[u8]> = entry.value()?.to_vec().into();
                let expires_ms = keyspace.expires_at(&key)?.map(unix_ms);
                state.0.insert((i, key[0]), Held { value, expires_ms });
            }
            if i != UNORDERED {
                let in_order = keyspace.iter().map(|e| Ok(e?.key()[0]));
                let in_order: Vec<u8> = in_order.collect::<Result<_>>()?;
                let scanned = state.0.keys().filter(|(k, _)| *k == i).map(|(_, key)| *key);
                assert!(in_order.into_iter().eq(scanned), "the order index and the tables differ");
            }
        }
        Ok(state)
    }

    /// The rest of a script, until the machine stops or the store cannot be opened.
    pub(crate) fn play(&mut self, ops: &[Op]) -> Result<(), Violation> {
        if self.start()? { self.play_on(ops) } else { Ok(()) }
    }

    /// The same, with the store already open.
    pub(crate) fn play_on(&mut self, ops: &[Op]) -> Result<(), Violation> {
        for op in ops {
            self.step(op)?;
            if self.disk.crashed() || (self.store.is_none() && !self.start()?) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Opens the store, trying again after a fault; false if it cannot be opened now.
    pub(crate) fn start(&mut self) -> Result<bool, Violation> {
        for _ in 0..3 {
            match self.open(self.ledger.acked) {
                Ok(compared) => return compared.map(|()| true),
                Err(e) => {
                    self.drop_store();
                    check_kind(&e)?;
                }
            }
            if self.disk.crashed() {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// One step of the script. After a poisoning it also checks that the store stays so, and lets
    /// it go.
    pub(crate) fn step(&mut self, op: &Op) -> Result<Stepped, Violation> {
        let (after, records) = self.ledger.plan(op);
        let before = self.ledger.tip();
        let result = self.execute(op);
        let stops = self.disk.crashed() || self.is_poisoned();
        match (&result, op) {
            (_, Op::Round(..) | Op::Advance { .. } | Op::Reopen | Op::Kill) => {}
            (Ok(()), Op::Write(..) | Op::Batch(..)) => {
                let tip = self.tip();
                if self.is_beside_a_merge && tip > before + records {
                    self.ledger.push_beside(records, Some(tip), after);
                } else if tip != before + records {
                    return Err(format!("{op:?} took the tip from {before} to {tip}"));
                } else if records > 0 {
                    self.ledger.push(tip, after);
                }
            }
            (Ok(()), _) => {
                let tip = self.tip();
                self.ledger.unseen_until(Some(tip));
            }
            (Err(_), Op::Write(..) | Op::Batch(..)) if stops && records > 0 => {
                if self.is_beside_a_merge {
                    self.ledger.push_beside(records, None, after);
                } else {
                    self.ledger.push(before + records, after);
                }
            }
            (Err(_), Op::Merge | Op::Maintain) if stops => self.ledger.unseen_until(None),
            (Err(_), Op::Merge | Op::Maintain) => {
                let tip = self.tip();
                self.ledger.unseen_until(Some(tip));
            }
            (Err(_), _) => {}
        }
        self.ledger.serial += 100;
        if result.is_ok() {
            self.note_promises(op)?;
        }
        self.after(op, result)
    }

    /// What an acknowledged step promised.
    fn note_promises(&mut self, op: &Op) -> Result<(), Violation> {
        let Some(store) = &self.store else { return Ok(()) };
        let tip = store.tip_sequence().get();
        let durable = store.durable_sequence().get();
        if durable > tip {
            return Err(format!("{durable} is durable, and the tip is {tip}"));
        }
        self.ledger.acked = tip;
        self.ledger.durable = self.ledger.durable.max(durable);
        self.ledger.places = follow::places(store);
        let is_durable = matches!(
            op,
            Op::Sync
                | Op::Merge
                | Op::Write(_, Ack::Durable)
                | Op::Batch(_, Ack::Durable)
                | Op::Round(_, Ack::Durable)
        );
        // Beside a merge the tip may be a record of its own.
        if is_durable && !self.is_beside_a_merge && durable < tip {
            return Err(format!("after {op:?} {tip} is not durable, but {durable}"));
        }
        Ok(())
    }

    fn after(&mut self, op: &Op, result: Result<()>) -> Result<Stepped, Violation> {
        if self.disk.crashed() {
            self.drop_store();
            return Ok(Stepped::Done);
        }
        let stepped = match result {
            Ok(()) => Stepped::Done,
            Err(e) => {
                self.failures += 1;
                check_kind(&e)?;
                Stepped::Failed(e)
            }
        };
        if self.is_poisoned() {
            if let Some(store) = &self.store {
                check_stays_poisoned(store)?;
            }
            self.drop_store();
        } else if let (Stepped::Failed(_), Some(_)) = (&stepped, &self.store) {
            let wanted = self.ledger.state().visible(self.ledger.now_ms);
            // A fault that strikes for ever strikes reads of blobs too: no answer is fine.
            if let Ok(found) = self.observe()
                && found != wanted
            {
                let what = difference(self.tip(), &found, &wanted);
                return Err(format!("after the failure of {op:?}: {what}"));
            }
        }
        Ok(stepped)
    }

    fn tip(&self) -> u64 {
        self.store.as_ref().map_or(0, |s| s.tip_sequence().get())
    }

    fn is_poisoned(&self) -> bool {
        let sync = self.store.as_ref().map(|s| s.wait_durable(s.durable_sequence()));
        matches!(sync, Some(Err(Error::Poisoned { .. })))
    }

    /// Lets go of the store as a dying process does: what closing it would write goes nowhere.
    pub(crate) fn drop_store(&mut self) {
        if self.store.is_some() && !self.disk.crashed() {
            let next = self.disk.process_crash_image();
            self.fired_before += self.disk.faults_fired();
            self.disk.crash();
            self.keyspaces = [const { None }; KEYSPACES.len()];
            self.store = None;
            self.disk = next;
            if let Some((index, fault, repeat)) = self.armed {
                self.disk.fail(index, fault, repeat);
            }
        }
        self.keyspaces = [const { None }; KEYSPACES.len()];
        self.store = None;
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().expect("the script runs on an open store")
    }

    pub(super) fn keyspace(&mut self, i: usize) -> Result<BytesKeyspace> {
        if let Some(keyspace) = &self.keyspaces[i] {
            return Ok(keyspace.clone());
        }
        let schema = Schema::new(KEYSPACES[i]);
        let schema = if i == UNORDERED { schema.unordered() } else { schema };
        #[cfg(feature = "lz4")]
        let schema = if i == UNORDERED { schema.compressed() } else { schema };
        let keyspace: BytesKeyspace = self.store().keyspace(schema)?;
        if !self.ledger.keyspaces.contains(&i) {
            self.ledger.keyspaces.push(i);
        }
        self.keyspaces[i] = Some(keyspace.clone());
        Ok(keyspace)
    }
}

/// No fault may look like damage: nothing on these disks is damaged.
fn check_kind(e: &Error) -> Result<(), Violation> {
    match e {
        Error::Io { .. } | Error::Poisoned { .. } => Ok(()),
        e => Err(format!("a fault was taken for something else: {e}")),
    }
}

/// Once poisoned, no call succeeds.
fn check_stays_poisoned(store: &Store) -> Result<(), Violation> {
    let answers = [
        store.sync(),
        store.maintain(),
        store.merge().map(|_| ()),
        store.keyspace::<Vec<u8>, [u8], kvcore::Raw>("another").map(|_| ()),
    ];
    match answers.iter().find(|a| !matches!(a, Err(Error::Poisoned { .. }))) {
        None => Ok(()),
        Some(answer) => Err(format!("a poisoned store answers {answer:?}")),
    }
}

fn difference(tip: u64, found: &State, wanted: &State) -> Violation {
    let text = |held: Option<&Held>| {
        held.map_or("nothing".to_owned(), |h| {
            let value = String::from_utf8_lossy(&h.value[..h.value.len().min(12)]).into_owned();
            format!("{value:?} ({} bytes, expires {:?})", h.value.len(), h.expires_ms)
        })
    };
    let places = found.0.keys().chain(wanted.0.keys());
    let differing = places
        .filter(|p| found.0.get(p) != wanted.0.get(p))
        .take(3)
        .map(|p| format!("{p:?} holds {}, should {}", text(found.0.get(p)), text(wanted.0.get(p))));
    format!("at sequence {tip}: {}", differing.collect::<Vec<_>>().join("; "))
}

fn unix_ms(t: std::time::SystemTime) -> u64 {
    let since = t.duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).expect("a time of this century")
}
