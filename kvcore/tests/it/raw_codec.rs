//! The API without any codec but raw bytes: what is left without default features.

use kvcore::{Change, Event, Keyspace, Put, Raw, Store};
use std::{io::Read as _, time::Duration};

type Texts = Keyspace<u64, str, Raw>;

fn contents(texts: &Texts) -> Vec<(u64, String)> {
    let entries = texts.iter().map(|entry| {
        let entry = entry.expect("a sound entry");
        (*entry.key(), entry.value().expect("a sound value"))
    });
    entries.collect()
}

fn owned(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
}

#[test]
fn raw_values_survive_reopening_in_every_way_to_write_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let texts: Texts = store.keyspace("texts").unwrap();
    texts.put(1, "one").unwrap();
    texts.put(2, "two").unwrap();
    texts.put_with(3, "gone soon", Put::expires_in(Duration::from_secs(3600))).unwrap();
    texts.delete(3).unwrap();
    let mut batch = store.batch();
    batch.put(&texts, 4, "four").unwrap();
    batch.delete(&texts, 2).unwrap();
    batch.commit().unwrap();
    store
        .transaction(|tx| {
            let one = tx.get(&texts, 1)?.expect("it is there");
            tx.put(&texts, 5, &format!("{one} and four"))
        })
        .unwrap();
    let bytes: Keyspace<u64, [u8], Raw> = store.keyspace("bytes").unwrap();
    bytes.put_reader(6, "from a reader".as_bytes()).unwrap();
    store.close().unwrap();

    let store = Store::open(dir.path()).unwrap();
    let texts: Texts = store.keyspace("texts").unwrap();
    assert_eq!(contents(&texts), owned(&[(1, "one"), (4, "four"), (5, "one and four")]));
    assert_eq!(texts.count(2..).unwrap(), 2);
    let bytes: Keyspace<u64, [u8], Raw> = store.keyspace("bytes").unwrap();
    let mut streamed = String::new();
    bytes.reader(6).unwrap().expect("a value").read_to_string(&mut streamed).unwrap();
    assert_eq!(streamed, "from a reader");
    assert!(store.verify().unwrap().damage.is_empty());
}

#[test]
fn raw_values_are_watched_followed_and_seen_by_snapshots() {
    let store = Store::in_memory().unwrap();
    let texts: Texts = store.keyspace("texts").unwrap();
    texts.put(1, "one").unwrap();
    let before = store.snapshot();
    let mut watcher = texts.watch_range(..).unwrap();
    texts.put(1, "uno").unwrap();
    texts.delete(1).unwrap();

    let wanted = [Event::Put { key: 1, value: "uno".to_owned() }, Event::Delete { key: 1 }];
    let told: Vec<_> =
        std::iter::from_fn(|| watcher.try_next().unwrap()).map(|w| w.event).collect();
    assert_eq!(told, wanted);
    let mut feed = store.changes(before.token()).unwrap();
    let changes: Vec<Change> = std::iter::from_fn(|| feed.try_next().unwrap()).collect();
    let read: Vec<_> = changes.iter().filter_map(|c| c.decode(&texts).unwrap()).collect();
    assert_eq!(read, wanted);
    assert_eq!(before.get(&texts, 1).unwrap().as_deref(), Some("one"));
    assert_eq!(texts.get(1).unwrap(), None);
}
