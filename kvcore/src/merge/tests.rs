//! When merge waits, what it leaves when it cannot read what it wrote, and what merges of any files
//! in any order leave.

use super::*;
use crate::{
    BytesKeyspace, Durability, Options, ReadMode, Store,
    clock::SimClock,
    disk::{Fault, Repeat, SimDisk},
    index::{Applying, PutChange},
    keydir::Entry,
    log::FilesOnce,
};
use std::{collections::BTreeMap, path::Path, time::SystemTime};

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

/// What two keyspaces hold.
type Model = [BTreeMap<Vec<u8>, Vec<u8>>; 2];

fn check(keyspaces: &[BytesKeyspace; 2], model: &Model, when: &str) -> Result<()> {
    for (keyspace, model) in keyspaces.iter().zip(model) {
        let mut held = BTreeMap::new();
        for entry in keyspace.iter() {
            let entry = entry?;
            held.insert(entry.key().to_vec(), entry.value()?.to_vec());
        }
        assert_eq!(&held, model, "{when}");
    }
    Ok(())
}

/// One random change, the same in both. Some values are blobs, most keys are deleted soon.
fn change(
    random: &mut fastrand::Rng,
    keyspaces: &[BytesKeyspace; 2],
    model: &mut Model,
) -> Result<()> {
    let which = random.usize(..2);
    let (keyspace, model) = (&keyspaces[which], &mut model[which]);
    let key = vec![random.u8(..8)];
    match random.u32(..20) {
        0..9 => {
            let len = if random.u32(..12) == 0 { 100 } else { random.usize(..24) };
            let value = vec![random.u8(..); len];
            keyspace.put(&key, &value)?;
            model.insert(key, value);
        }
        9..16 => assert_eq!(keyspace.delete(&key)?, model.remove(&key).is_some()),
        16 => {
            let far = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
            assert_eq!(keyspace.expire(&key, far)?, model.contains_key(&key));
        }
        17 => {
            keyspace.delete_range(key.as_slice()..)?;
            model.retain(|k, _| *k < key);
        }
        18 => drop(keyspace.persist(&key)?),
        _ => {
            let mut batch = keyspace.store().batch();
            for key in (0..8).filter(|_| random.bool()).map(|n| vec![n]) {
                batch.delete(keyspace, &key)?;
                model.remove(&key);
            }
            batch.commit()?;
        }
    }
    Ok(())
}

/// Merges some files that may be merged: those chosen, or any.
fn merge_some(random: &mut fastrand::Rng, store: &Store) -> Result<MergeResult> {
    let engine = store.engine();
    engine.write()?.seal()?;
    store.sync()?;
    let _one_at_a_time = engine.merge.lock();
    let share = random.u32(1..=4);
    let mut files = engine.select_all(Keep::Nothing);
    files.retain(|_| random.u32(..4) < share);
    engine.merge_claimed(&files, Keep::Nothing)
}

#[test]
fn m2_merges_of_any_files_in_any_order_revive_nothing() -> Result<()> {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut unread = 0;
    for round in 0..40 {
        let mut disk = SimDisk::new(random.u64(..));
        let mut model = Model::default();
        for _ in 0..3 {
            let (store, first) = open(&disk)?;
            let keyspaces = [first, store.keyspace("other")?];
            check(&keyspaces, &model, &format!("seed {seed}, round {round}, opened"))?;
            for step in 0..random.usize(..120) {
                change(&mut random, &keyspaces, &mut model)?;
                if random.u32(..12) == 0 {
                    merge_some(&mut random, &store)?;
                    check(&keyspaces, &model, &format!("seed {seed}, round {round}.{step}"))?;
                }
            }
            unread += store.engine().counters.merge_unread_bytes.load(Ordering::Relaxed);
            let left = disk.process_crash_image();
            disk.crash();
            drop((store, keyspaces));
            disk = left;
        }
    }
    assert!(unread > 10_000, "files were dropped unread: {unread} bytes");
    Ok(())
}

/// Keys `0..12` pushed, one after the other popped, beside others that are overwritten: all in
/// files of which some hold nothing but deletes.
fn popped(disk: &SimDisk, value_len: usize) -> Result<(Store, BytesKeyspace)> {
    let (store, queue) = open(disk)?;
    let others: BytesKeyspace = store.keyspace("others")?;
    put(&others, 0..6, 30)?;
    put(&others, 0..3, 30)?;
    put(&queue, 0..12, value_len)?;
    for key in 0..12 {
        assert!(queue.delete([key].as_slice())?);
    }
    store.engine().write()?.seal()?;
    store.sync()?;
    Ok((store, queue))
}

#[test]
fn m7_wholly_dead_files_go_unread_also_when_they_are_damaged() -> Result<()> {
    let disk = SimDisk::new(20_261_121);
    let (store, queue) = popped(&disk, 60)?;
    let engine = store.engine();
    let files = engine.select_all(Keep::Nothing);
    let dead = engine.wholly_dead(&files, &[]);
    assert!(dead.len() >= 4, "{:?}", store.stats());
    for file in &dead {
        disk.flip_bit(&file.path, 90, 3).expect("the file is there");
    }
    let given_back = engine.merge_claimed(&dead, Keep::Nothing)?;
    assert_eq!((given_back.files_in, given_back.bytes_out), (dead.len() as u64, 0));
    assert_eq!(store.stats().merge_read_bytes, 0);
    assert_eq!(store.stats().merge_reclaimed_bytes, given_back.bytes_in);
    assert!(dead.iter().all(|file| !disk.paths().contains(&file.path)));
    let left = disk.process_crash_image();
    disk.crash();
    drop((store, queue));
    let (store, queue) = open(&left)?;
    let others: BytesKeyspace = store.keyspace("others")?;
    assert_eq!((queue.len(), others.len()), (0, 6));
    Ok(())
}

#[test]
fn m7_deletes_wait_unread_for_the_file_whose_puts_they_hide() -> Result<()> {
    let disk = SimDisk::new(20_261_122);
    let (store, queue) = popped(&disk, 60)?;
    let engine = store.engine();
    let files = engine.select_all(Keep::Nothing);
    let dead = engine.wholly_dead(&files, &[]);
    // Without the first file of the queue's puts, none of the deletes may go.
    let died = |f: &&Arc<DataFile>| f.hiding.deaths().need(queue.index().id, store.tip_sequence());
    let first = dead.iter().filter(died).min_by_key(|f| f.id.0).expect("files of puts").id;
    let rest: Vec<_> = files.iter().filter(|f| f.id != first).cloned().collect();
    let without = engine.wholly_dead(&rest, &[]);
    assert!(!without.is_empty() && without.len() + 1 < dead.len());
    engine.merge_claimed(&without, Keep::Nothing)?;
    assert_eq!(
        engine.wholly_dead(&engine.select_all(Keep::Nothing), &[]).len() + without.len(),
        dead.len()
    );
    let left = disk.process_crash_image();
    disk.crash();
    drop((store, queue));
    assert_eq!(open(&left)?.1.len(), 0);
    Ok(())
}

#[test]
fn m7_blob_of_a_file_that_went_unread_is_removed() -> Result<()> {
    let disk = SimDisk::new(20_261_123);
    let blobs = |disk: &SimDisk| {
        let is_blob = |path: &Path| path.extension().is_some_and(|e| e == "blob");
        disk.paths().iter().filter(|path| is_blob(path)).count()
    };
    // Left to this process, and to the next one.
    for is_next in [false, true] {
        let (store, queue) = popped(&disk, 100)?;
        assert_eq!(blobs(&disk), 12);
        store.merge()?;
        if is_next {
            store.close()?;
            drop(queue);
            drop(open(&disk)?);
        } else {
            store.maintain()?;
        }
        assert_eq!(blobs(&disk), 0);
    }
    Ok(())
}

/// A commit has its table of files before it is applied, and waits for locks in between.
#[test]
fn m3_commit_that_began_before_a_merge_knows_the_files_that_the_merge_has_written() -> Result<()> {
    let (_disk, store, keyspace) = to_be_merged()?;
    let engine = store.engine();
    let index = &keyspace.inner.core.index;
    let table = FilesOnce::default();
    assert!(table.of(&engine.files).iter().next().is_some(), "asked for before the merge");
    store.merge()?;
    let snapshot = store.snapshot();
    let old = index.state(&[4], index.hash(&[4])).expect("it is there").entry;
    let written = Arc::clone(engine.files.load().get(old.location.file).expect("it is listed"));
    assert!(table.of(&engine.files).get(old.location.file).is_none(), "the merge has written it");

    let mut views = engine.views.lock();
    views.touch(index);
    let (files, blobs) = (&engine.files, &engine.blobs);
    let cx = Applying { files, table: &table, views: &views, file: &written, blobs };
    let sequence = Sequence(views.tip().0 + 1);
    let entry = Entry { sequence, ..old };
    let hash = index.hash(&[4]);
    index.put(&cx, &PutChange { key: &[4], hash, entry, expires_at_ms: None, blob: None });
    drop(views);

    assert!(written.hiding.deaths().need(index.id, sequence), "M2 rests on it");
    let seen = snapshot.get(&keyspace, [4].as_slice())?;
    assert_eq!(seen.as_deref(), Some(&[4; 30][..]), "the snapshot is of before the put");
    Ok(())
}
