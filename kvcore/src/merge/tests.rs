//! When merge waits, and what it leaves when it cannot read what it wrote.

use super::*;
use crate::{
    BytesKeyspace, Durability, Options, ReadMode, Store,
    clock::SimClock,
    disk::{Fault, Repeat, SimDisk},
    index::{Applying, PutChange},
    keydir::Entry,
    log::FilesOnce,
};

#[test]
fn merges_that_fail_or_give_little_back_off_by_the_stores_clock() {
    const SECOND: Duration = Duration::from_secs(1);
    let mut state = MergeState::default();
    state.note(&Err(Error::Closed), SECOND * 5);
    assert_eq!(state.not_before, Some(SECOND * 5 + BACK_OFF_MIN * 2));
    let low = MergeResult { files_in: 1, bytes_in: 80, bytes_out: 79 };
    (0..40).for_each(|_| state.note(&Ok(low), SECOND * 9));
    assert_eq!(state.not_before, Some(SECOND * 9 + BACK_OFF_MAX));
    let good = MergeResult { bytes_out: 20, ..low };
    state.note(&Ok(good), SECOND * 10);
    assert_eq!((state.not_before, state.failures), (None, 0));
}

fn open(disk: &SimDisk) -> Result<(Store, BytesKeyspace)> {
    let store = Options::new()
        .data_file_bytes_max(256)
        .read_mode(ReadMode::Pread)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::new(disk.clone()))
        .clock(Arc::new(SimClock::new(1_750_000_000_000)))
        .open("/store")?;
    let keyspace = store.keyspace("k")?;
    Ok((store, keyspace))
}

fn put(keyspace: &BytesKeyspace, keys: impl IntoIterator<Item = u8>, len: usize) -> Result<()> {
    keys.into_iter().try_for_each(|key| keyspace.put([key].as_slice(), &vec![key; len]).map(drop))
}

/// Some dead records in every file, and six keys.
fn to_be_merged() -> Result<(SimDisk, Store, BytesKeyspace)> {
    let disk = SimDisk::new(20_260_911);
    let (store, keyspace) = open(&disk)?;
    put(&keyspace, 0..6, 30)?;
    put(&keyspace, 0..3, 20)?;
    put(&keyspace, [5, 5, 5, 5], 10)?;
    store.sync()?;
    Ok((disk, store, keyspace))
}

/// Only of a very large merge is an output read again: its hint says all, as long as hints take no
/// more than their share of memory. That is little here.
#[test]
fn m2_merge_that_could_not_read_its_output_revives_nothing() -> Result<()> {
    let mut after_publishing = 0;
    for read in 0..60 {
        let (disk, store, keyspace) = to_be_merged()?;
        let merges_from = store.engine().next_file();
        disk.fail_read(disk.read_operations() + read, Fault::EIO, Repeat::Once);
        let failed = store.merge().is_err();
        disk.clear_faults();
        // What fails before it is published leaves no output in use (M5).
        let outputs = store.stats().files.iter().any(|file| file.id >= u64::from(merges_from.0));
        after_publishing += u64::from(failed && outputs);
        assert!(keyspace.delete([4].as_slice())?);
        assert!(keyspace.delete([1].as_slice())?);
        store.merge()?;
        store.merge()?;
        let left = disk.process_crash_image();
        disk.crash();
        drop((store, keyspace));
        let (_store, keyspace) = open(&left)?;
        let keys: Vec<u8> =
            keyspace.iter().map(|entry| entry.map(|e| e.key()[0])).collect::<Result<_>>()?;
        assert_eq!(keys, [0, 2, 3, 5], "read {read}");
    }
    assert!(after_publishing > 0, "no read of an output has failed");
    Ok(())
}

/// A commit has its table of files before it is applied, and waits for locks in between.
#[test]
fn m3_commit_that_began_before_a_merge_knows_the_files_that_the_merge_has_written() -> Result<()> {
    let (_disk, store, keyspace) = to_be_merged()?;
    let engine = store.engine();
    let index = &keyspace.inner.core.index;
    let table = FilesOnce::new(&engine.files);
    assert!(table.iter().next().is_some(), "asked for before the merge");
    store.merge()?;
    let snapshot = store.snapshot();
    let old = index.state(&[4], index.hash(&[4])).expect("it is there").entry;
    let written = Arc::clone(engine.files.load().get(old.location.file).expect("it is listed"));
    assert!(table.get(old.location.file).is_none(), "the merge has written it");

    let mut views = engine.views.lock();
    views.touch(index);
    let (files, blobs) = (&engine.files, &engine.blobs);
    let cx = Applying { files, table: &table, views: &views, file: &written, blobs };
    let sequence = Sequence(views.tip().0 + 1);
    let entry = Entry { sequence, ..old };
    let hash = index.hash(&[4]);
    index.put(&cx, &PutChange { key: &[4], hash, entry, expires_at_ms: None, blob: None });
    drop(views);

    assert_eq!(written.min_dead(), Some(old.sequence), "M2 rests on it");
    let seen = snapshot.get(&keyspace, [4].as_slice())?;
    assert_eq!(seen.as_deref(), Some(&[4; 30][..]), "the snapshot is of before the put");
    Ok(())
}
