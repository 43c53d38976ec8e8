//! Races of the log's end, step by step.

use std::sync::Arc;

use crate::{Background, Durability, Keyspace, Options, Raw, Result, Store, disk::SimDisk};

fn open(disk: &SimDisk) -> Result<(Store, Keyspace<u64, str, Raw>)> {
    let store = Options::new()
        .durability(Durability::Buffered)
        .background(Background::Manual)
        .disk(Arc::new(disk.clone()))
        .open("/store")?;
    let numbers = store.keyspace("numbers")?;
    Ok((store, numbers))
}

/// A file was made ahead while the log rolled to one with a higher number, and that was sealed by
/// a merge by hand. The log then went on in the lower number, and recovery ended before it.
#[test]
fn a4_file_made_ahead_too_late_is_not_the_next_one() -> Result<()> {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk)?;
    let engine = store.engine();
    let (late, ..) = engine.create_file(1 << 20)?;
    numbers.put(1, "before")?;
    engine.write()?.seal()?;
    assert!(!engine.keep_prepared(&late, 4096), "the log is beyond it");
    numbers.put(2, "after")?;
    // As `kill -9` leaves it: all that was written, and nobody has closed anything.
    let (_store, numbers) = open(&disk.process_crash_image())?;
    assert_eq!(numbers.get(1)?.as_deref(), Some("before"));
    assert_eq!(numbers.get(2)?.as_deref(), Some("after"));
    Ok(())
}

#[test]
fn a4_file_made_ahead_in_time_is_the_next_one() -> Result<()> {
    let disk = SimDisk::new(1);
    let (store, numbers) = open(&disk)?;
    let engine = store.engine();
    numbers.put(1, "before")?;
    let (ahead, ..) = engine.create_file(1 << 20)?;
    assert!(engine.keep_prepared(&ahead, 4096));
    engine.write()?.seal()?;
    numbers.put(2, "after")?;
    assert_eq!(engine.writer.lock().newest_file(), Some(ahead.id));
    Ok(())
}
