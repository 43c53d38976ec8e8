//! The table against a map, with even and with adversarial tags, and what it draws and gives back.

use std::collections::HashMap;

use super::*;
use crate::ids::{FileId, Location, Sequence};
use crate::keydir::entry::EntryFlags;

fn entry(number: u64) -> Entry {
    Entry {
        sequence: Sequence(number),
        location: Location { file: FileId(3), offset: 9 },
        value_len: 5,
        flags: EntryFlags::NONE,
    }
}

impl Table {
    /// Walks the array and checks T1 to T3.
    fn assert_consistent(&self) {
        let mut previous = 0;
        let mut count = 0;
        let mut run_start = 0;
        for (at, &bucket) in self.buckets.iter().enumerate() {
            if bucket == EMPTY {
                run_start = at + 1;
                continue;
            }
            let tag = tag_of(bucket);
            assert!(tag >= previous, "tags ascend (T1)");
            assert!((run_start..=at).contains(&self.home(tag)), "probed from home (T2)");
            previous = tag;
            count += 1;
        }
        assert_eq!(count, self.len);
        assert!(self.buckets.len() >= self.homes);
    }
}

fn tag_for(random: &mut fastrand::Rng, kind: u32) -> u32 {
    match kind {
        0 => random.u32(..),
        1 => 7,
        2 => [0, u32::MAX][random.usize(..2)],
        3 => u32::MAX - random.u32(..3),
        _ => random.u32(..).leading_zeros() << 27,
    }
}

#[test]
fn table_equals_model_for_even_and_for_adversarial_tags() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for kind in 0..5 {
        let mut table = Table::new();
        let mut model: HashMap<Vec<u8>, (u32, EntryRef, Entry)> = HashMap::new();
        let keys: Vec<(Vec<u8>, u32)> = (0..600_u32)
            .map(|n| (n.to_be_bytes()[n as usize % 4..].to_vec(), tag_for(&mut random, kind)))
            .collect::<HashMap<_, _>>()
            .into_iter()
            .chain([(Vec::new(), tag_for(&mut random, kind))])
            .collect::<HashMap<_, _>>()
            .into_iter()
            .collect();
        for step in 0..12_000_u64 {
            let (key, tag) = &keys[random.usize(..keys.len())];
            let found = table.get(*tag, key);
            assert_eq!(found, model.get(key).map(|&(_, r, entry)| (r, entry)));
            let growing = step % 4_000 < 2_000;
            match found {
                None if growing || random.u32(..4) == 0 => {
                    let r = table.insert(*tag, key, entry(step)).unwrap();
                    model.insert(key.clone(), (*tag, r, entry(step)));
                }
                Some((r, _)) if growing || random.u32(..4) == 0 => {
                    table.set(r, entry(step));
                    model.get_mut(key).unwrap().2 = entry(step);
                }
                _ => {
                    let removed = table.remove(*tag, key);
                    let expected = model.remove(key).map(|(_, r, entry)| (r, entry));
                    assert_eq!(removed, expected);
                }
            }
            assert_eq!(table.len(), model.len());
            if step % 50 == 0 {
                table.assert_consistent();
            }
        }
        for (key, &(tag, r, entry)) in &model {
            assert_eq!(table.get(tag, key), Some((r, entry)));
            assert_eq!((table.key(r), table.entry(r)), (&key[..], entry));
        }
    }
}

#[test]
fn scan_meets_what_is_present_throughout_although_the_table_is_resized_between_pages() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for kind in [0, 3, 4] {
        let mut table = Table::new();
        let mut tags = HashMap::new();
        for n in 0..500_u32 {
            let tag = tag_for(&mut random, kind);
            tags.insert(n, tag);
            table.insert(tag, &n.to_be_bytes(), entry(0)).unwrap();
        }
        let (mut met, mut extra) = (Vec::new(), 1_000_u32);
        let mut cursor = Some(0);
        let (mut bucket_counts, mut pages) = (Vec::new(), 0);
        while let Some(from) = cursor {
            cursor = None;
            for (count, (tag, r)) in table.scan_from(from).enumerate() {
                assert!(tag >= from);
                if count >= 20 && met.last().is_some_and(|&(last, _)| last != tag) {
                    cursor = Some(tag);
                    break;
                }
                met.push((tag, u32::from_be_bytes(table.key(r).try_into().unwrap())));
            }
            bucket_counts.push(table.bucket_count());
            pages += 1;
            if pages % 2 == 1 {
                for _ in 0..3_000 {
                    tags.insert(extra, tag_for(&mut random, kind));
                    table.insert(tags[&extra], &extra.to_be_bytes(), entry(0)).unwrap();
                    extra += 1;
                }
            } else {
                for n in extra - 3_000..extra {
                    table.remove(tags[&n], &n.to_be_bytes()).unwrap();
                }
            }
        }
        let mut always: Vec<u32> = met.iter().map(|m| m.1).filter(|&n| n < 1_000).collect();
        always.sort_unstable();
        assert_eq!(always, (0..500).collect::<Vec<_>>(), "each is met, and once");
        assert!(kind != 0 || bucket_counts.windows(2).any(|pair| pair[0] != pair[1]));
    }
}

#[test]
fn random_draws_every_entry_about_equally() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut table = Table::new();
    assert_eq!(table.random(|| 0), None);
    for n in 0..100_u32 {
        table.insert(random.u32(..), &n.to_be_bytes(), entry(0)).unwrap();
    }
    let mut drawn: HashMap<EntryRef, u32> = HashMap::new();
    for _ in 0..100_000 {
        *drawn.entry(table.random(|| random.u64(..)).unwrap()).or_default() += 1;
    }
    assert_eq!(drawn.len(), 100);
    assert!(drawn.values().all(|&count| (800..1_200).contains(&count)), "{drawn:?}");
    assert!(table.random(|| 0).is_some(), "a source without chance still gets an entry");
}

#[test]
fn memory_is_given_back_when_the_table_empties() {
    let mut table = Table::new();
    let tag = |n: u32| n.wrapping_mul(0x9e37_79b9);
    for n in 0..10_000_u32 {
        table.insert(tag(n), &n.to_be_bytes(), entry(0)).unwrap();
    }
    assert!(table.memory_bytes() > 400_000);
    for n in 0..10_000_u32 {
        table.remove(tag(n), &n.to_be_bytes()).unwrap();
    }
    table.assert_consistent();
    assert!(table.memory_bytes() < 40_000, "{} bytes kept", table.memory_bytes());
}
