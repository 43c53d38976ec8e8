//! Comparing a store, a snapshot or a copy with the model.

use std::collections::BTreeMap;

use kvcore::{Entry, Raw, ScanCursor, Store};

use super::{CACHE, Held, Model, PLAIN, SESSIONS, THINGS, Wider};

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

/// What of a keyspace is seen at a time.
pub(super) fn visible(model: &Model, name: &str, now_ms: u64) -> Entries {
    let alive = model[name].iter().filter(|(_, cell)| cell.is_alive(now_ms));
    alive.map(|(key, cell)| (key.clone(), cell.value.clone())).collect()
}

fn scanned(store: &Store, name: &str) -> Entries {
    let keyspace = store.raw_keyspace(name).expect("open").expect("registered");
    let (page, next) = keyspace.scan(ScanCursor::default(), 100_000).expect("scan");
    assert_eq!(next, ScanCursor::default());
    let pair = |entry: &Entry<Vec<u8>, [u8], Raw>| {
        (entry.key().clone(), entry.value_bytes().expect("a sound value").to_vec())
    };
    page.iter().map(pair).collect()
}

impl Wider {
    pub(super) fn compare(&self, what: &str, store: &Store, model: &Model) {
        for name in model.keys() {
            let (found, wanted) = (scanned(store, name), visible(model, name, self.now_ms));
            let keys = found.keys().chain(wanted.keys());
            let differs: Vec<_> = keys.filter(|key| found.get(*key) != wanted.get(*key)).collect();
            let show =
                |key: &&Vec<u8>| format!("{:?}, not {:?}", found.get(*key), wanted.get(*key));
            let shown: Vec<_> = differs.iter().map(show).collect();
            let stored = differs.iter().map(|key| {
                let raw = store.raw_keyspace(name).expect("open").expect("registered");
                (raw.contains(*key), raw.expires_at(*key), model[name].get(*key))
            });
            let stored: Vec<_> = stored.collect();
            assert!(differs.is_empty(), "{what}: {name} at {differs:?}: {shown:?} {stored:?}");
        }
    }

    /// Takes from the model what the store has evicted: nothing else may be missing, and nothing
    /// may have come back.
    pub(super) fn note_evictions(&mut self) {
        let found = scanned(self.store(), CACHE);
        let cells = self.cells(CACHE);
        cells.retain(|key, _| found.contains_key(key));
        for (key, value) in &found {
            assert_eq!(cells.get(key).map(|c| &c.value), Some(value), "{key:?} was evicted");
        }
    }

    pub(super) fn cache_bytes(&self) -> u64 {
        let stats = self.store().stats();
        let cache = stats.keyspaces.iter().find(|k| k.name == CACHE);
        cache.expect("it is there").data_bytes
    }

    pub(super) fn check(&mut self) {
        self.log("check", String::new());
        self.note_evictions();
        self.compare("the store", self.store(), &self.model);
        let ids = self.space(THINGS).last_id().expect("last id");
        assert_eq!(ids, self.things_ids);
        let stats = self.store().stats();
        assert_eq!(stats.snapshots, self.held.len() as u64);
        if self.held.is_empty() {
            assert_eq!(stats.undo_records, 0, "no view is open");
        }
    }

    pub(super) fn hold_snapshot(&mut self) {
        self.note_evictions();
        if self.held.len() < 4 {
            self.log("snapshot", String::new());
            let (model, now_ms) = (self.model.clone(), self.now_ms);
            let snapshot = self.store().snapshot();
            self.held.push(Held { snapshot, model, now_ms });
        }
    }

    pub(super) fn check_snapshot(&mut self) {
        let Some(at) = self.held.len().checked_sub(1).map(|last| self.rng.usize(..=last)) else {
            return;
        };
        self.log("look", format!("at snapshot {at}"));
        let keys: Vec<Vec<u8>> = (0..4).map(|_| self.key()).collect();
        let Held { snapshot, model, now_ms } = &self.held[at];
        for name in PLAIN.into_iter().chain([SESSIONS]) {
            let space = self.space(name);
            let expected = visible(model, name, *now_ms);
            for key in &keys {
                let found = snapshot.get_bytes(space, key).expect("get");
                assert_eq!(found.as_deref(), expected.get(key).map(Vec::as_slice), "{name}");
            }
            let wanted: Vec<_> = keys.iter().map(|key| expected.get(key).cloned()).collect();
            let many = snapshot.get_many(space, &keys).expect("get_many");
            let many: Vec<_> = many.into_iter().map(|v| v.map(|v| v.to_vec())).collect();
            assert_eq!(many, wanted, "{name}");
            if name != "loose" {
                let walked: Entries = snapshot
                    .iter(space)
                    .map(|entry| {
                        let entry = entry.expect("a sound store");
                        let value = entry.value_bytes().expect("a sound value").to_vec();
                        (entry.into_key(), value)
                    })
                    .collect();
                assert_eq!(walked, expected, "{name} of snapshot {at}");
            }
        }
    }
}
