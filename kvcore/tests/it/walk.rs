//! Walks at the tip, and places inside a range, against a model.

use fastrand::Rng;
use kvcore::{
    AutoMerge, Background, BytesKeyspace, Direction, Durability, Options, Schema, Store,
    disk::SimDisk,
};
use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

fn open(disk: &SimDisk) -> Store {
    Options::new()
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::new(disk.clone()))
        .open("/store")
        .unwrap()
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

fn seen(
    keyspace: &BytesKeyspace,
    range: Bounds<'_>,
    from: Direction,
    limit: usize,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    keyspace
        .walk(range, from, limit, |entry| {
            let value = entry.value_with(<[u8]>::to_vec)?;
            assert_eq!(value, &entry.value_bytes()?[..]);
            seen.push((entry.key().to_vec(), value));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    seen
}

fn check(keyspace: &BytesKeyspace, model: &Model, rng: &mut Rng) {
    let (a, b) = (rng.u16(..2_000).to_be_bytes(), rng.u16(..2_000).to_be_bytes());
    let (start, end) = (a.min(b), a.max(b));
    let range = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
    let limit = *rng.choice(&[0, 1, 5, 100, usize::MAX]).unwrap();
    let expected: Vec<_> = match start == end {
        true => Vec::new(),
        false => model.range::<[u8], _>(range).map(|(k, v)| (k.clone(), v.clone())).collect(),
    };
    let ascending: Vec<_> = expected.iter().take(limit).cloned().collect();
    assert_eq!(seen(keyspace, range, Direction::Ascending, limit), ascending);
    let descending: Vec<_> = expected.iter().rev().take(limit).cloned().collect();
    assert_eq!(seen(keyspace, range, Direction::Descending, limit), descending);
    let index = rng.usize(..expected.len() + 2);
    let nth = keyspace.nth_in(range, u64::try_from(index).unwrap()).unwrap();
    assert_eq!(nth.map(kvcore::Entry::into_key), expected.get(index).map(|(key, _)| key.clone()));
}

#[test]
fn walks_see_the_tip_whatever_is_deleted_and_whoever_looks_at_the_past() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = Rng::with_seed(seed);
    let store = open(&SimDisk::new(seed));
    let keyspace: BytesKeyspace = store.keyspace(Schema::new("elements")).unwrap();
    let (mut model, mut snapshot) = (Model::new(), None);
    for step in 0..3_000u32 {
        let key = rng.u16(..2_000).to_be_bytes();
        match rng.u8(..40) {
            0 => {
                // Larger than what is removed at once.
                let end = key.map(|byte| byte.saturating_add(1));
                keyspace.delete_range(&key[..]..&end[..]).unwrap();
                model.retain(|k, _| !(&key[..]..&end[..]).contains(&k.as_slice()));
            }
            1 => snapshot = Some(store.snapshot()),
            2 => snapshot = None,
            3 => store.maintain().unwrap(),
            4..8 => {
                keyspace.delete(&key[..]).unwrap();
                model.remove(&key[..]);
            }
            _ => {
                let value = step.to_le_bytes();
                keyspace.put(&key[..], &value).unwrap();
                model.insert(key.to_vec(), value.to_vec());
            }
        }
        check(&keyspace, &model, &mut rng);
    }
    drop(snapshot);
    assert!(!model.is_empty());
}

#[test]
fn a_walk_ends_where_its_function_says_so_and_returns_its_error() {
    let store = open(&SimDisk::new(1));
    let keyspace: BytesKeyspace = store.keyspace(Schema::new("elements")).unwrap();
    for n in 0..100u8 {
        keyspace.put(&[n][..], b"value").unwrap();
    }
    let mut count = 0;
    let stopped = keyspace.walk(.., Direction::Ascending, usize::MAX, |_| {
        count += 1;
        Ok(if count == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert!(stopped.is_ok());
    assert_eq!(count, 40);
    let failed =
        keyspace.walk(.., Direction::Ascending, usize::MAX, |_| Err(kvcore::Error::abort("no")));
    assert!(failed.is_err());
    let unordered: BytesKeyspace = store.keyspace(Schema::new("keys").unordered()).unwrap();
    let walked = unordered.walk(.., Direction::Ascending, 1, |_| Ok(ControlFlow::Continue(())));
    assert!(matches!(walked, Err(kvcore::Error::Unordered { .. })));
}
