//! Values in pieces: what goes in comes out, at constant memory, and nothing half is left behind.
//!
//! `KVCORE_LARGE_BYTES=1073741824 cargo test --release -p kvcore --test it large:: -- --nocapture`
//! writes and reads a value of 1 GiB and prints the peak of the memory used. More than 4 GiB works
//! too, where there is room.

use kvcore::{
    AutoMerge, Background, BytesKeyspace, Durability, Error, Options, Put, ReadMode, Result, Store,
    disk::{Fault, Repeat, SimDisk},
};
use std::{
    io::{self, BufRead, Read, Seek, SeekFrom},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

const SEED: u64 = 20_261_120;
const BLOCK: u64 = 64 * 1024;

fn open(disk: &SimDisk) -> Result<(Store, BytesKeyspace)> {
    let store = Options::new()
        .data_file_bytes_max(1 << 20)
        .read_mode(ReadMode::Pread)
        .background(Background::Manual)
        .auto_merge(AutoMerge::Off)
        .durability(Durability::Buffered)
        .disk(Arc::new(disk.clone()))
        .open("/store")?;
    let keyspace = store.keyspace("k")?;
    Ok((store, keyspace))
}

fn blobs(disk: &SimDisk) -> Vec<PathBuf> {
    let is_blob = |p: &PathBuf| p.extension().is_some_and(|e| e == "blob");
    disk.paths().into_iter().filter(is_blob).collect()
}

/// Bytes that differ from block to block, made as they are read, so many at a time.
struct Pattern {
    at: u64,
    len: u64,
    piece: usize,
}

fn pattern(len: u64) -> Pattern {
    Pattern { at: 0, len, piece: 60_000 }
}

/// What a pattern repeats: not a multiple of anything.
fn tile() -> &'static [u8] {
    static TILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    let byte = |at: u32| (at ^ (at >> 8) ^ (at >> 16).wrapping_mul(7)).to_le_bytes()[0];
    TILE.get_or_init(|| (0..1_000_003).map(byte).collect())
}

/// The pattern from there on, as far as its tile goes.
fn tile_from(at: u64) -> &'static [u8] {
    let tile = tile();
    &tile[usize::try_from(at % tile.len() as u64).unwrap()..]
}

fn bytes(range: std::ops::Range<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let source = Pattern { at: range.start, len: range.end, piece: usize::MAX };
    io::BufReader::new(source).read_to_end(&mut bytes).unwrap();
    bytes
}

impl Read for Pattern {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len - self.at).unwrap_or(usize::MAX);
        let tile = tile_from(self.at);
        let len = out.len().min(self.piece).min(left).min(tile.len());
        out[..len].copy_from_slice(&tile[..len]);
        self.at += len as u64;
        Ok(len)
    }
}

/// A source that ends in another way than the usual one.
struct Then<F>(Pattern, F);

impl<F: FnMut() -> io::Result<usize>> Read for Then<F> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => (self.1)(),
            n => Ok(n),
        }
    }
}

#[test]
fn values_of_all_lengths_come_back_from_readers() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(&disk).unwrap();
    let threshold = (1 << 20) / 4;
    let lens = [0, 1, 5_000, threshold - 1, threshold, threshold + 1, 5 * BLOCK, 1_000_003];
    for len in lens {
        keyspace.put_reader(&len.to_be_bytes(), pattern(len)).unwrap();
    }
    assert_eq!(blobs(&disk).len(), 3, "what is longer than a quarter of a data file");
    assert_eq!(store.stats().blobs, 3);
    assert_eq!(store.stats().blob_bytes, lens[5..].iter().sum::<u64>());
    store.close().unwrap();
    let (_store, keyspace) = open(&disk).unwrap();
    for len in lens {
        let mut reader = keyspace.reader(&len.to_be_bytes()).unwrap().unwrap();
        assert_eq!((reader.len(), reader.is_empty()), (len, len == 0));
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == bytes(0..len), "{len}");
        assert_eq!(keyspace.get(&len.to_be_bytes()).unwrap().unwrap().len(), found.len());
        let entry = keyspace.range(len.to_be_bytes().as_slice()..).next().unwrap().unwrap();
        assert_eq!(entry.size_bytes(), len);
    }
    assert!(keyspace.reader(b"absent").unwrap().is_none());
}

#[test]
fn any_place_of_a_value_can_be_sought_and_only_touched_blocks_are_read() {
    let disk = SimDisk::new(SEED);
    let (_store, keyspace) = open(&disk).unwrap();
    let len = 10 * BLOCK + 77;
    keyspace.put_reader(b"large", pattern(len)).unwrap();
    keyspace.put(b"small", &bytes(0..1_000)).unwrap();
    let mut random = fastrand::Rng::with_seed(SEED);
    for (key, len) in [(b"large", len), (b"small", 1_000)] {
        let mut reader = keyspace.reader(key).unwrap().unwrap();
        let mut at = 0;
        for _ in 0..200 {
            let to = random.u64(0..len + 50);
            let seek = match random.u8(..3) {
                0 => SeekFrom::Start(to),
                1 => SeekFrom::End(to.cast_signed() - len.cast_signed()),
                _ => SeekFrom::Current(to.cast_signed() - at),
            };
            assert_eq!(reader.seek(seek).unwrap(), to, "seed {SEED}");
            let mut part = vec![0; random.usize(0..100_000)];
            let mut filled = 0;
            while let n @ 1.. = reader.read(&mut part[filled..]).unwrap() {
                filled += n;
            }
            let end = len.min(to + part.len() as u64).max(to);
            assert!(part[..filled] == bytes(to..end), "seed {SEED}");
            at = (to + filled as u64).cast_signed();
        }
        let before = reader.stream_position().unwrap();
        let error = reader.seek(SeekFrom::Current(-at - 1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(reader.stream_position().unwrap(), before);
    }
    let mut reader = keyspace.reader(b"large").unwrap().unwrap();
    let before = disk.read_operations();
    reader.seek(SeekFrom::Start(3 * BLOCK + 5)).unwrap();
    reader.read_exact(&mut [0; 100]).unwrap();
    assert_eq!(disk.read_operations() - before, 1, "one block holds all of it");
}

#[test]
fn a_source_that_fails_or_panics_leaves_nothing() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(&disk).unwrap();
    keyspace.put(b"key", b"old").unwrap();
    let tip = store.tip_sequence();
    for len in [10, 3 << 20] {
        let refuse = || Err(io::Error::other("the line went dead"));
        let error = keyspace.put_reader(b"key", Then(pattern(len), refuse)).unwrap_err();
        assert!(matches!(error, Error::Source { .. }), "{error}");
        assert!(error.to_string().contains("the line went dead"), "{error}");
        let panic = || panic!("expected by this test");
        let put = || keyspace.put_reader(b"key", Then(pattern(len), panic));
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(put)).is_err());
    }
    assert_eq!(blobs(&disk), [] as [PathBuf; 0]);
    assert_eq!(store.tip_sequence(), tip);
    assert_eq!(&*keyspace.get(b"key").unwrap().unwrap(), b"old");
    keyspace.put_reader(b"key", pattern(1 << 20)).unwrap();
    assert_eq!(keyspace.reader(b"key").unwrap().unwrap().len(), 1 << 20);
}

#[test]
fn a_source_may_write_to_the_store_and_others_do_meanwhile() {
    let disk = SimDisk::new(SEED);
    let (_store, keyspace) = open(&disk).unwrap();
    let other = keyspace.clone();
    let mut left = 3;
    let writes = move || {
        left -= 1;
        other.put([left].as_slice(), b"from inside").map_err(io::Error::other)?;
        Ok(0)
    };
    keyspace.put_reader(b"key", Then(pattern(1 << 20), writes)).unwrap();
    assert_eq!(&*keyspace.get([2].as_slice()).unwrap().unwrap(), b"from inside");
    assert_eq!(keyspace.len(), 2);
}

#[test]
fn b2_a_reader_keeps_its_blob_until_it_is_dropped() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(&disk).unwrap();
    keyspace.put_reader(b"key", pattern(400_000)).unwrap();
    let mut reader = keyspace.reader(b"key").unwrap().unwrap();
    let mut other = keyspace.reader(b"key").unwrap().unwrap();
    keyspace.put(b"key", b"new").unwrap();
    store.sync().unwrap();
    store.maintain().unwrap();
    assert_eq!(blobs(&disk).len(), 1);
    let mut found = Vec::new();
    reader.read_to_end(&mut found).unwrap();
    assert!(found == bytes(0..400_000));
    drop(reader);
    store.maintain().unwrap();
    assert_eq!(blobs(&disk).len(), 1, "another one still reads it");
    assert_eq!(other.fill_buf().unwrap()[..100], bytes(0..100));
    drop(other);
    store.maintain().unwrap();
    assert_eq!(blobs(&disk), [] as [PathBuf; 0]);
}

#[test]
fn merge_never_copies_a_value_in_a_file_of_its_own() {
    let disk = SimDisk::new(SEED);
    let (store, keyspace) = open(&disk).unwrap();
    keyspace.put_reader(b"film", pattern(3 << 20)).unwrap();
    for round in 0..3 {
        keyspace.put(b"note", &vec![round; 5_000]).unwrap();
    }
    let before = blobs(&disk);
    store.merge().unwrap();
    let stats = store.stats();
    assert!(stats.merges == 1 && stats.merge_written_bytes < 10_000, "{stats:?}");
    assert_eq!(blobs(&disk), before);
    assert_eq!(keyspace.reader(b"film").unwrap().unwrap().len(), 3 << 20);
}

#[test]
fn damage_is_an_error_that_names_file_and_offset_and_other_blocks_stay_readable() {
    let disk = SimDisk::new(SEED);
    let (_store, keyspace) = open(&disk).unwrap();
    keyspace.put_reader(b"key", pattern(5 * BLOCK)).unwrap();
    let path = blobs(&disk).remove(0);
    let block_at = 64 + 2 * BLOCK;
    disk.flip_bit(&path, usize::try_from(block_at).unwrap() + 1_000, 3).unwrap();
    let mut reader = keyspace.reader(b"key").unwrap().unwrap();
    let mut found = Vec::new();
    let error = reader.read_to_end(&mut found).unwrap_err();
    assert!(found == bytes(0..2 * BLOCK), "nothing of the damaged block is handed out");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    let error = error.into_inner().unwrap().downcast::<Error>().unwrap();
    let Error::Corrupt { file, offset_bytes, .. } = *error else { panic!("{error}") };
    assert_eq!((file.as_path(), offset_bytes), (path.as_path(), block_at));
    reader.seek(SeekFrom::Start(3 * BLOCK)).unwrap();
    found.clear();
    reader.read_to_end(&mut found).unwrap();
    assert!(found == bytes(3 * BLOCK..5 * BLOCK));
    let whole = keyspace.get(b"key").unwrap_err();
    assert!(matches!(whole, Error::Corrupt { offset_bytes, .. } if offset_bytes == block_at));
    let mut open_one = keyspace.reader(b"key").unwrap().unwrap();
    disk.truncate(&path, 1_000).unwrap();
    assert_eq!(open_one.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    let cut = keyspace.reader(b"key").unwrap_err();
    assert!(matches!(cut, Error::Corrupt { offset_bytes: 1_000, .. }), "{cut}");
}

#[test]
fn expiry_of_a_streamed_value_is_kept_and_reached() {
    let disk = SimDisk::new(SEED);
    let clock = kvcore::clock::SimClock::new(1_750_000_000_000);
    let options = Options::new().data_file_bytes_max(4_096).clock(Arc::new(clock.clone()));
    let store = options.background(Background::Manual).disk(Arc::new(disk.clone()));
    let store = store.open("/store").unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    let put = Put::expires_in(Duration::from_secs(5));
    keyspace.put_reader_with(b"key", pattern(9_000), put).unwrap();
    assert!(keyspace.reader(b"key").unwrap().is_some());
    clock.advance(Duration::from_secs(6));
    assert!(keyspace.reader(b"key").unwrap().is_none());
    store.maintain().unwrap();
    store.sync().unwrap();
    store.maintain().unwrap();
    assert_eq!(blobs(&disk), [] as [PathBuf; 0], "removed with its entry");
}

#[test]
fn w1_every_failing_call_of_a_streamed_put_leaves_the_old_value_and_no_file() {
    let prepared = || {
        let disk = SimDisk::new(SEED);
        let (store, keyspace) = open(&disk).unwrap();
        keyspace.put_reader(b"key", pattern(300_000)).unwrap();
        store.sync().unwrap();
        (disk, store, keyspace)
    };
    let (disk, store, keyspace) = prepared();
    let first = disk.operations();
    keyspace.put_reader_with(b"key", pattern(700_000), Durability::Immediate).unwrap();
    let last = disk.operations();
    drop((store, keyspace));
    assert!(last - first > 4);
    for at in first..last {
        for fault in [Fault::EIO, Fault::ENOSPC, Fault::TornWrite(1_000)] {
            let (disk, store, keyspace) = prepared();
            disk.fail(at, fault, Repeat::Once);
            let put = keyspace.put_reader_with(b"key", pattern(700_000), Durability::Immediate);
            let error = put.unwrap_err();
            let poisoned = matches!(error, Error::Poisoned { .. });
            if !poisoned {
                assert_eq!(keyspace.reader(b"key").unwrap().unwrap().len(), 300_000);
                assert_eq!(blobs(&disk).len(), 1, "{fault:?} at {at}: {error}");
            }
            let left = disk.process_crash_image();
            disk.crash();
            drop((store, keyspace));
            let (_store, keyspace) = open(&left).unwrap();
            let mut found = Vec::new();
            keyspace.reader(b"key").unwrap().unwrap().read_to_end(&mut found).unwrap();
            let is_old = found == bytes(0..300_000);
            assert!(is_old || poisoned && found == bytes(0..700_000), "{fault:?} at {at}");
            assert_eq!(blobs(&left).len(), 1, "{fault:?} at {at}: orphans go at open");
        }
    }
}

#[test]
fn every_power_cut_in_a_streamed_put_leaves_one_whole_value_and_one_file() {
    let (mut images, mut kept, mut at) = (0, 0, 0);
    loop {
        let disk = SimDisk::new(SEED);
        let (store, keyspace) = open(&disk).unwrap();
        keyspace.put_reader_with(b"key", pattern(300_000), Durability::Immediate).unwrap();
        disk.fail(disk.operations() + at, Fault::Crash, Repeat::Once);
        let put = keyspace.put_reader_with(b"key", pattern(700_000), Durability::Immediate);
        let _ = store.maintain();
        let crashed = disk.crashed();
        for (how, image) in disk.crash_images(6, SEED + at) {
            let (_store, keyspace) = open(&image).unwrap();
            let mut found = Vec::new();
            keyspace.reader(b"key").unwrap().unwrap().read_to_end(&mut found).unwrap();
            let is_new = found == bytes(0..700_000);
            assert!(is_new || found == bytes(0..300_000), "cut at {at}, seed {SEED}: {how}");
            assert!(is_new || put.is_err(), "cut at {at}, seed {SEED}: {how}");
            assert_eq!(blobs(&image).len(), 1, "cut at {at}, seed {SEED}: {how}");
            (images, kept) = (images + 1, kept + u64::from(is_new));
        }
        if !crashed {
            break;
        }
        at += 1;
    }
    assert!(at > 6 && kept > 0 && kept < images, "{at} {kept} {images}");
}

/// A line of `/proc/self/status`, in bytes.
#[cfg(target_os = "linux")]
fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with(name)).expect("the kernel tells");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap() * 1024
}

/// Writes and reads a value of this length, and returns the growth of the resident memory's peak.
#[cfg(target_os = "linux")]
fn peak_growth_bytes(len: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let keyspace: BytesKeyspace = store.keyspace("k").unwrap();
    // Sets the peak to what is resident now.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = status_bytes("VmHWM");
    keyspace.put_reader(b"large", pattern(len)).unwrap();
    let mut reader = keyspace.reader(b"large").unwrap().unwrap();
    let mut at = 0;
    loop {
        let block = reader.fill_buf().unwrap();
        if block.is_empty() {
            break;
        }
        let wanted = tile_from(at);
        let n = block.len().min(wanted.len());
        assert!(block[..n] == wanted[..n], "at {at}");
        reader.consume(n);
        at += n as u64;
    }
    assert_eq!(at, len);
    let entry = keyspace.first().unwrap().unwrap();
    assert_eq!(entry.size_bytes(), len);
    let peak = status_bytes("VmHWM");
    println!("{len} bytes written and read: peak RSS {peak}, before {before}");
    peak - before
}

/// Alone in a process, since tests beside it would be counted too.
#[cfg(target_os = "linux")]
#[test]
fn large_value_is_written_and_read_in_constant_memory() {
    const CHILD: &str = "KVCORE_LARGE_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let len = crate::crash::setting("KVCORE_LARGE_BYTES", 64 << 20);
        let growth = peak_growth_bytes(len);
        assert!(growth < 16 << 20, "{growth} bytes for a value of {len}");
        return;
    }
    let name = "large::large_value_is_written_and_read_in_constant_memory";
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("peak RSS"), "see above");
}
