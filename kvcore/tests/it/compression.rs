//! Compressed keyspaces: reads do not notice, files are smaller, merges copy what is stored.

use kvcore::{Keyspace, Options, Schema};

const PAGES: Schema<'_, u32, String> = Schema::new("pages");

#[cfg(not(feature = "lz4"))]
#[test]
fn compressed_keyspace_is_refused_by_a_build_without_the_feature() {
    let dir = tempfile::tempdir().unwrap();
    let store = Options::new().open(dir.path()).unwrap();
    let error = store.keyspace(PAGES.compressed()).unwrap_err();
    assert!(error.to_string().contains("feature `lz4`"), "{error}");
    let plain: Keyspace<u32, String> = store.keyspace(PAGES).unwrap();
    plain.put(1, &"plain ".repeat(100)).unwrap();
    drop((plain, store));
    assert!(Options::new().open(dir.path()).is_ok());
}

#[cfg(feature = "lz4")]
mod built {
    use super::*;
    use kvcore::{
        AutoMerge, Background, Durability, Error, Raw, ReadMode, ScanCursor, Swap, disk::SimDisk,
    };
    use std::{io::Read, path::Path, sync::Arc};

    const SEED: u64 = 20_261_121;

    fn options() -> Options {
        Options::new()
            .data_file_bytes_max(64 << 10)
            .durability(Durability::Buffered)
            .background(Background::Manual)
            .auto_merge(AutoMerge::Off)
    }

    fn page(n: u32) -> String {
        format!("<html>page {n}</html> ").repeat(20 + usize::try_from(n % 50).unwrap())
    }

    fn check(pages: &Keyspace<u32, String>, count: u32, what: &str) {
        for n in 0..count {
            assert_eq!(pages.get(n).unwrap(), Some(page(n)), "{what}: {n}");
        }
        for (entry, n) in pages.iter().zip(0..) {
            let entry = entry.unwrap();
            assert_eq!((*entry.key(), entry.value().unwrap()), (n, page(n)), "{what}");
            assert!(entry.size_bytes() * 4 < page(n).len() as u64, "{what}");
        }
        let (all, _) = pages.scan(ScanCursor::default(), 10_000).unwrap();
        assert_eq!(all.len() as u64, pages.len(), "{what}");
    }

    fn data_bytes(dir: &Path) -> u64 {
        let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap());
        let data = entries.filter(|e| e.path().extension().is_some_and(|e| e == "data"));
        data.map(|e| e.metadata().unwrap().len()).sum()
    }

    #[test]
    fn reads_merges_hints_and_reopening_do_not_notice_compression() {
        for mode in [ReadMode::Map, ReadMode::Pread] {
            let dir = tempfile::tempdir().unwrap();
            let count = 400;
            let store = options().read_mode(mode).open(dir.path()).unwrap();
            let pages = store.keyspace(PAGES.compressed()).unwrap();
            for n in 0..count {
                pages.put(n, &page(n + 1)).unwrap();
            }
            let mut batch = store.batch();
            for n in 0..count {
                batch.put(&pages, n, &page(n)).unwrap();
            }
            batch.commit().unwrap();
            check(&pages, count, "written");
            let stats = store.stats();
            assert!(stats.compressed_to_bytes * 5 < stats.compressed_from_bytes, "{stats:?}");
            let before = store.stats().live_bytes;
            assert!(store.merge().unwrap().bytes > 0);
            assert!(store.stats().live_bytes <= before + 24 * u64::from(count), "copied as is");
            check(&pages, count, "merged");
            store.close().unwrap();
            let raw: u64 = (0..count).map(|n| page(n).len() as u64).sum();
            assert!(data_bytes(dir.path()) < raw / 2 + (128 << 10), "{raw}");
            let store = options().read_mode(mode).open(dir.path()).unwrap();
            assert!(store.recovery().files_from_hints > 0);
            let pages = store.keyspace(PAGES.compressed()).unwrap();
            check(&pages, count, "reopened");
        }
    }

    #[test]
    fn updates_and_swaps_of_compressed_values_keep_them_right() {
        let dir = tempfile::tempdir().unwrap();
        let store = options().open(dir.path()).unwrap();
        let pages = store.keyspace(PAGES.compressed()).unwrap();
        pages.update(1, |old| Some(old.unwrap_or_else(|| page(1)))).unwrap();
        let doubled = pages.update(1, |old| old.map(|old| old.repeat(2))).unwrap().unwrap();
        assert_eq!(doubled, page(1).repeat(2));
        let swap = pages.compare_and_swap(1, Some(&doubled), Some(&page(2))).unwrap();
        assert_eq!(swap, Swap::Swapped);
        assert_eq!(pages.get_bytes(1).unwrap().unwrap().len(), page(2).len() + 3);
        assert_eq!(pages.get_or_insert_with(2, || page(3)).unwrap(), page(3));
        assert_eq!(pages.take(1).unwrap(), Some(page(2)));
        assert_eq!(pages.pop_first().unwrap(), Some((2, page(3))));
    }

    #[test]
    fn values_of_any_bytes_and_lengths_come_back_and_only_shorter_ones_are_compressed() {
        let dir = tempfile::tempdir().unwrap();
        let store = options().open(dir.path()).unwrap();
        let schema: Schema<'_, u64, [u8], Raw> = Schema::new("bytes").compressed();
        let bytes = store.keyspace(schema).unwrap();
        let mut random = fastrand::Rng::with_seed(SEED);
        for n in 0..600 {
            let len_max = [40, 500, 20_000][random.usize(..3)];
            let len = random.usize(0..len_max);
            let noise = random.u8(1..=255);
            let value: Vec<u8> = (0..len).map(|_| random.u8(..noise)).collect();
            bytes.put(n, &value).unwrap();
            assert_eq!(bytes.get(n).unwrap().as_deref(), Some(&value[..]), "seed {SEED}");
            let entry = bytes.nth(n).unwrap().unwrap();
            assert!(entry.size_bytes() <= len as u64, "seed {SEED}");
            assert!(noise < 255 || entry.size_bytes() == len as u64, "seed {SEED}");
            let mut read = Vec::new();
            bytes.reader(n).unwrap().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, value, "seed {SEED}");
        }
        let stats = store.stats();
        assert!(stats.compressed_from_bytes > 0 && stats.blobs > 0, "{stats:?}");
    }

    #[test]
    fn compression_is_part_of_the_schema() {
        let dir = tempfile::tempdir().unwrap();
        let store = options().open(dir.path()).unwrap();
        let _ = store.keyspace(PAGES.compressed()).unwrap();
        for _ in 0..2 {
            let error = store.keyspace(PAGES).unwrap_err();
            let Error::SchemaMismatch { what, found, wanted, .. } = error else {
                panic!("{error}")
            };
            assert_eq!((what, found.as_str(), wanted.as_str()), ("compression", "lz4", "none"));
        }
        store.close().unwrap();
        let store = options().open(dir.path()).unwrap();
        assert!(store.keyspace(PAGES).is_err() && store.keyspace(PAGES.compressed()).is_ok());
    }

    #[test]
    fn damage_of_a_compressed_value_is_corruption() {
        let disk = SimDisk::new(SEED);
        let options = options().read_mode(ReadMode::Pread).disk(Arc::new(disk.clone()));
        let store = options.open("/store").unwrap();
        let pages = store.keyspace(PAGES.compressed()).unwrap();
        pages.put(1, &page(1)).unwrap();
        store.sync().unwrap();
        let path = disk.paths().into_iter().find(|p| p.extension().is_some_and(|e| e == "data"));
        let path = path.unwrap();
        disk.flip_bit(&path, 128 + 24 + 15, 2).unwrap();
        let found = pages.get(1);
        assert!(matches!(&found, Err(Error::Corrupt { file, .. }) if *file == path), "{found:?}");
    }
}
