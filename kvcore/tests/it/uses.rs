//! Uses of entries as an owner sees them: remembered if asked for, gone with the entry.

use kvcore::{BytesKeyspace, DrawFrom, Error, Put, Schema, Store, UsesRemembered};
use std::time::{Duration, SystemTime};

fn pages() -> BytesKeyspace {
    Store::in_memory().unwrap().keyspace("pages").unwrap()
}

fn idle(pages: &BytesKeyspace, key: &[u8]) -> Option<u32> {
    pages.last_use(key).unwrap().expect("it is there").idle_ticks
}

#[test]
fn reads_by_key_and_writes_are_uses_and_looks_are_not() {
    let pages = pages();
    pages.remember_uses(UsesRemembered::LastUse).unwrap();
    pages.put(b"a", b"text").unwrap();
    pages.set_use_tick(10);
    assert!(pages.contains(b"a").unwrap() && pages.peek(b"a").unwrap().is_some());
    assert_eq!(pages.iter().count(), 1);
    assert_eq!(idle(&pages, b"a"), Some(10));
    pages.get(b"a").unwrap();
    assert_eq!(idle(&pages, b"a"), Some(0));
    pages.set_use_tick(15);
    pages.get_many([b"a"]).unwrap();
    assert_eq!(idle(&pages, b"a"), Some(0));
    pages.set_use_tick(20);
    pages.put(b"a", b"other").unwrap();
    assert_eq!(idle(&pages, b"a"), Some(0));
    pages.delete(b"a").unwrap();
    assert_eq!(pages.last_use(b"a").unwrap(), None);
    assert!(!pages.use_key(b"a").unwrap());
}

#[test]
fn what_is_not_remembered_is_known_by_its_write_and_its_touch_only() {
    let pages = pages();
    let written = pages.put(b"a", b"text").unwrap();
    pages.get(b"a").unwrap();
    let last_use = pages.last_use(b"a").unwrap().unwrap();
    assert_eq!((last_use.written, last_use.idle_ticks), (written, None));
    assert!(pages.use_key(b"a").unwrap());
    pages.set_use_tick(3);
    assert_eq!(idle(&pages, b"a"), Some(3));
    let written = pages.put(b"a", b"other").unwrap();
    let last_use = pages.last_use(b"a").unwrap().unwrap();
    assert_eq!((last_use.written, last_use.idle_ticks), (written, None));
}

#[test]
fn memory_for_uses_is_taken_when_asked_for_and_given_back() {
    let pages = pages();
    for n in 0..20_000_u32 {
        pages.put(&n.to_be_bytes()[..], b"text").unwrap();
    }
    let measured = || pages.store().stats().keyspaces[0].keydir_bytes;
    let (before, counted) = (measured(), pages.footprint().held_bytes);
    pages.remember_uses(UsesRemembered::LastUse).unwrap();
    let took = measured() - before;
    assert!((160_000..480_000).contains(&took), "{took}");
    assert_eq!(pages.footprint().held_bytes - counted, 20_000 * 14);
    assert_eq!(idle(&pages, &7_u32.to_be_bytes()), Some(0), "what was there counts as used now");
    pages.remember_uses(UsesRemembered::Nothing).unwrap();
    assert_eq!((measured(), pages.footprint().held_bytes), (before, counted));
}

#[test]
fn a_draw_of_expiring_entries_finds_them_be_they_many_or_few() {
    for permanent in [0, 10, 5_000_u32] {
        let pages = pages();
        for n in 0..permanent {
            pages.put(&n.to_be_bytes()[..], b"text").unwrap();
        }
        let hour = SystemTime::now() + Duration::from_secs(3_600);
        for n in 0..5_u8 {
            let at = hour + Duration::from_secs(u64::from(n));
            pages.put_with(&[n][..], b"text", Put::expires_at(at)).unwrap();
        }
        pages.put_with(b"taken back", b"text", Put::expires_at(hour)).unwrap();
        assert!(pages.persist(b"taken back").unwrap());
        let drawn = pages.draw(DrawFrom::Expiring, 400, 17).unwrap();
        assert!(drawn.iter().all(|d| d.key.len() == 1 && d.expires_at_ms.is_some()));
        let mut keys: Vec<_> = drawn.into_iter().map(|drawn| drawn.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5, "beside {permanent} permanent ones");
    }
}

#[test]
fn a_keyspace_with_a_budget_keeps_its_uses_to_itself() {
    let store = Store::in_memory().unwrap();
    let schema = Schema::<Vec<u8>, [u8], kvcore::Raw>::new("cache").budget_bytes(1_000);
    let cache = store.keyspace(schema).unwrap();
    let refused = cache.remember_uses(UsesRemembered::LastUse);
    assert!(matches!(refused, Err(Error::BadOption { .. })), "{refused:?}");
    for n in 0..100_u32 {
        cache.put(&n.to_be_bytes()[..], &[0; 50]).unwrap();
    }
    store.maintain().unwrap();
    assert!(cache.len() < 25, "{}", cache.len());
}
