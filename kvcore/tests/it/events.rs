//! Events through `tracing`: what a store tells whoever listens.

use kvcore::{
    AutoMerge, Background, Durability, Keyspace, Options, Put, Schema,
    clock::SimClock,
    disk::{Fault, Repeat, SimDisk},
};
use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Keeps the messages of all events, with their levels and the names of their fields.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}:{}", self.0);
        } else {
            self.0.push_str(&format!(" {}", field.name()));
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = event.metadata().level();
        self.0.lock().expect("no panic while held").push(format!("{level} {}", line.0));
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Listener {
    #[track_caller]
    fn heard(&self, line: &str) {
        let lines = self.0.lock().expect("no panic while held");
        assert!(lines.iter().any(|l| l == line), "{line:?} is not among {lines:#?}");
    }
}

#[test]
fn store_tells_of_opening_recovering_rolling_merging_expiring_and_failing() {
    let listener = Listener::default();
    // With one listener alone, `tracing` would ask whichever thread comes by an event first, also
    // one of another test, whether anybody listens.
    let _second = tracing::Dispatch::new(Listener::default());
    let (disk, clock) = (SimDisk::new(1), SimClock::new(1_750_000_000_000));
    let options = Options::new()
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .data_file_bytes_max(2_000)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(clock.clone()));
    tracing::subscriber::with_default(listener.clone(), || {
        let store = options.clone().open("/store").unwrap();
        listener.heard("INFO store opened: dir recovery");
        let old: Keyspace<u64, u64> = store.keyspace("things").unwrap();
        for n in 0..100 {
            old.put_with(n, &n, Put::expires_in(Duration::from_secs(n + 1))).unwrap();
        }
        listener.heard("DEBUG log rolled: file");
        clock.advance(Duration::from_secs(50));
        store.maintain().unwrap();
        listener.heard("DEBUG expired entries removed: dir keyspace entries");
        store.merge().unwrap();
        listener.heard("DEBUG merge started: dir files");
        listener.heard("DEBUG merged: dir read_bytes written_bytes");
        store.maintain().unwrap();
        listener.heard("DEBUG hint written: hint");
        let new: Schema<u64, u64> = Schema::new("things").version(1).budget_bytes(160);
        store.migrate(Schema::<u64, u64>::new("things"), new, |k, v| Ok(Some((k, v)))).unwrap();
        listener.heard("INFO keyspace migrated: dir keyspace entries");
        store.keyspace(new).unwrap().put(1, &1).unwrap();
        listener.heard("DEBUG entries evicted: dir entries");
        store.drop_keyspace("things").unwrap();
        listener.heard("INFO keyspace dropped: dir keyspace");
        store.close().unwrap();
        let store = options.open("/store").unwrap();
        listener.heard("DEBUG recovering: dir bytes_done bytes_total keys");
        let things: Keyspace<u64, u64> = store.keyspace("things").unwrap();
        things.put(1, &1).unwrap();
        disk.fail(disk.operations(), Fault::EIO, Repeat::Forever);
        store.sync().unwrap_err();
        listener.heard("ERROR store poisoned: dir cause");
        drop((things, store));
        listener.heard("ERROR closing the store failed: dir cause");
    });
}
