//! Everything that export writes comes back by import: keys of every tag, values of every codec and
//! length, and what the registry says of their keyspaces.

use std::{
    collections::BTreeMap,
    fs,
    io::{Cursor, Read},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::tools::{fails, ok};
use fastrand::Rng;
use kvcore::{
    BytesKeyspace, Durability, Key, KeyspaceInfo, Options, Position, Put, ScanCursor, Store,
};
use tempfile::TempDir;

type MakeKey = fn(&mut Rng) -> (String, Vec<u8>);

fn encoded<K: Key>(key: K) -> (String, Vec<u8>) {
    let (mut tag, mut bytes) = (String::new(), Vec::new());
    K::type_tag(&mut tag);
    key.encode_key(&mut bytes, Position::Last);
    (tag, bytes)
}

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(..12)).map(|_| if rng.bool() { rng.char(..) } else { rng.char(..' ') }).collect()
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    let len = rng.usize(..12);
    (0..len).map(|_| rng.u8(..)).collect()
}

/// Makers of keys of every kind there is.
const KEYS: [MakeKey; 19] = [
    |rng| encoded(text(rng)),
    |rng| encoded(bytes(rng)),
    |rng| encoded(rng.char(..)),
    |rng| encoded(rng.bool()),
    |rng| encoded(rng.u8(..)),
    |rng| encoded(rng.u16(..)),
    |rng| encoded(rng.u32(..)),
    |rng| encoded(rng.u64(..)),
    |rng| encoded(rng.u128(..)),
    |rng| encoded(rng.i8(..)),
    |rng| encoded(rng.i16(..)),
    |rng| encoded(rng.i32(..)),
    |rng| encoded(rng.i64(..)),
    |rng| encoded(rng.i128(..)),
    |rng| encoded([rng.u8(..), rng.u8(..), rng.u8(..)]),
    |rng| encoded((text(rng), rng.i64(..))),
    |rng| encoded((bytes(rng), text(rng), rng.bool())),
    |rng| encoded((rng.u8(..), (text(rng), rng.i8(..)), bytes(rng), rng.u128(..))),
    // A key type of the application's own, whose tag no tool knows.
    |rng| ("their own".to_owned(), bytes(rng)),
];

const CODECS: [&str; 6] = ["bincode/2-standard", "postcard/1", "json/1", "utf8", "raw", "theirs"];

/// A value as a codec writes it; now and then what none would write.
fn value(rng: &mut Rng, codec: &str) -> Vec<u8> {
    if rng.u8(..10) == 0 {
        return bytes(rng);
    }
    match codec {
        "json/1" => {
            let texts =
                ["null", "[1.50, 2e7]", "{\"b\":1,\"a\":\"\\u0000\"}", "\"\"", "[\n]", " 7 "];
            rng.choice(texts).map(|text| text.as_bytes().to_vec()).unwrap_or_default()
        }
        "utf8" => text(rng).into_bytes(),
        _ => bytes(rng).repeat(rng.usize(..40)),
    }
}

/// A keyspace with entries of one kind of key and of value.
fn fill(store: &Store, rng: &mut Rng, name: &str, make_key: MakeKey, codec: &str) {
    let (tag, _) = make_key(rng);
    let mut info = KeyspaceInfo::new(name, &tag, codec);
    (info.is_ordered, info.is_compressed) = (rng.bool(), rng.bool());
    (info.is_expired_by_owner, info.schema_version) = (rng.bool(), rng.u32(..));
    info.type_name = text(rng);
    let keyspace = store.register_raw_keyspace(&info).unwrap();
    if rng.bool() {
        keyspace.skip_ids(rng.u64(1..)).unwrap();
    }
    for _ in 0..rng.usize(..30) {
        let ((_, key), value) = (make_key(rng), value(rng, codec));
        let put = match rng.u8(..4) {
            0 => {
                Put::expires_at(SystemTime::now() + Duration::from_secs(rng.u64(1_000..9_000_000)))
            }
            1 if info.is_expired_by_owner => Put::expires_at(UNIX_EPOCH + Duration::from_secs(9)),
            _ => Put::default(),
        };
        keyspace.put_with(&key, &value, put).unwrap();
    }
}

type Entries = BTreeMap<Vec<u8>, (Vec<u8>, Option<SystemTime>)>;

/// All that is in a store: what export must have brought.
fn content(dir: &Path) -> BTreeMap<String, (KeyspaceInfo, u64, Entries)> {
    let store = Options::new().open_read_only(dir).unwrap();
    let names = store.keyspace_names();
    let keyspace = |name: &String| {
        let keyspace = store.raw_keyspace(name).unwrap().unwrap();
        let entries = entries(&keyspace);
        (name.clone(), (keyspace.info(), keyspace.last_id().unwrap(), entries))
    };
    names.iter().map(keyspace).collect()
}

fn entries(keyspace: &BytesKeyspace) -> Entries {
    let (page, next) = keyspace.scan(ScanCursor::default(), 100_000).unwrap();
    assert_eq!(next, ScanCursor::default());
    let mut all = page;
    if keyspace.info().is_expired_by_owner {
        all.extend(keyspace.expired(usize::MAX).unwrap());
    }
    let pair = |entry: kvcore::Entry<Vec<u8>, [u8], kvcore::Raw>| {
        let value = entry.value_bytes().unwrap().to_vec();
        (entry.key().clone(), (value, entry.expires_at()))
    };
    all.into_iter().map(pair).collect()
}

/// Entries of an unordered keyspace come in the order of another hash.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

struct Dirs {
    temp: TempDir,
}

impl Dirs {
    fn new() -> Dirs {
        Dirs { temp: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.temp.path().join(name).display().to_string()
    }

    fn store(&self) -> Store {
        Options::new().durability(Durability::Buffered).open(self.path("data")).unwrap()
    }
}

#[test]
fn export_import_export_gives_the_same_lines_and_stores_for_every_key_tag_and_codec() {
    for seed in 0..6_u64 {
        println!("seed {seed}");
        let (mut rng, dirs) = (Rng::with_seed(seed), Dirs::new());
        let store = dirs.store();
        for (i, make_key) in KEYS.into_iter().enumerate() {
            let codec = CODECS[(i + usize::try_from(seed).unwrap()) % CODECS.len()];
            fill(&store, &mut rng, &format!("{i} \"of\" {codec}"), make_key, codec);
        }
        store.close().unwrap();
        let (data, other, file) = (dirs.path("data"), dirs.path("other"), dirs.path("lines"));
        ok(&["export", &data, "--output", &file]);
        ok(&["import", &other, "--input", &file]);
        let lines = fs::read_to_string(&file).unwrap();
        assert_eq!(sorted(&ok(&["export", &other])), sorted(&lines));
        assert_eq!(content(Path::new(&other)), content(Path::new(&data)));
    }
}

/// What a large value of this number holds.
fn large(n: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7).to_le_bytes()[0] ^ n).collect()
}

fn with_large_values(dirs: &Dirs) -> String {
    let store = dirs.store();
    let mut info = KeyspaceInfo::new("films", "u8", "raw");
    info.is_compressed = true;
    let films = store.register_raw_keyspace(&info).unwrap();
    // Around the length that is written whole, and far beyond.
    for (n, len) in (0..).zip([1 << 20, (1 << 20) + 1, 3 << 16, 5_000_000]) {
        films.put_reader(&[n], Cursor::new(large(n, len))).unwrap();
    }
    let later = Put::expires_at(SystemTime::now() + Duration::from_secs(10_000));
    films.put_with(&[4], &large(4, 2_000_000), later).unwrap();
    films.put(&[5], b"short").unwrap();
    store.close().unwrap();
    dirs.path("data")
}

#[test]
fn large_values_travel_in_parts_no_line_of_which_is_long() {
    let dirs = Dirs::new();
    let (data, other, file) = (with_large_values(&dirs), dirs.path("other"), dirs.path("lines"));
    ok(&["export", &data, "--output", &file]);
    let lines = fs::read_to_string(&file).unwrap();
    assert!(lines.contains("{\"in\":\"films\",\"key\":3,\"parts\":26,\"bytes\":5000000}"));
    let longest = lines.lines().map(str::len).max().unwrap();
    assert!(longest < 1_500_000, "{longest}");
    assert_eq!(ok(&["import", &other, "--input", &file]), "Imported 6 entries.\n");
    assert_eq!(content(Path::new(&other)), content(Path::new(&data)));
    assert_eq!(ok(&["export", &other]), lines);
    // And again where the first half was written.
    let half = lines.len() / 2;
    fs::write(&file, &lines[..half]).unwrap();
    ok(&["export", &data, "--output", &file, "--resume"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), lines);
}

#[test]
fn bad_line_within_a_large_value_is_named_and_nothing_of_the_value_is_applied() {
    let dirs = Dirs::new();
    let (data, file) = (with_large_values(&dirs), dirs.path("lines"));
    let good = ok(&["export", &data]);
    let head = good.lines().position(|line| line.contains("\"bytes\":5000000")).unwrap();
    let head_at = (head + 1).to_string();
    let bad_lines = [
        ("{\"part_base64\":\"!\"}", "a part of the value of the entry above is expected"),
        ("{\"in\":\"films\",\"key\":9,\"value_base64\":\"\"}", "a part of the value"),
        ("{", "EOF"),
        ("{\"part_base64\":\"AAAA\"}", "the parts are shorter than their value"),
    ];
    for (i, (bad, why)) in bad_lines.into_iter().enumerate() {
        let mut lines: Vec<&str> = good.lines().collect();
        let mended = std::mem::replace(&mut lines[head + 20], bad);
        fs::write(&file, lines.join("\n")).unwrap();
        let other = dirs.path(&format!("other {i}"));
        let told = fails(&["import", &other, "--input", &file]);
        assert!(told.contains(why) && told.contains(&format!("--from-line {head_at}")), "{told}");
        let at = if i < 3 { head + 21 } else { head + 27 };
        assert!(told.contains(&format!("line {at}: ")), "{told}");
        assert_eq!(ok(&["keys", &other, "films"]), "0\n1\n2\n", "nothing of the value");
        assert!(blobs(&other) <= 1, "of the value that came whole");
        // Not from within the value, but from its line.
        lines[head + 20] = mended;
        fs::write(&file, lines.join("\n")).unwrap();
        let within = (head + 5).to_string();
        let told = fails(&["import", &other, "--input", &file, "--from-line", &within]);
        assert!(told.contains(&format!("a value that begins at line {head_at}")), "{told}");
        ok(&["import", &other, "--input", &file, "--from-line", &head_at]);
        assert_eq!(content(Path::new(&other)), content(Path::new(&data)));
    }
    let cut: Vec<&str> = good.lines().take(head + 9).collect();
    fs::write(&file, cut.join("\n")).unwrap();
    let told = fails(&["import", &dirs.path("cut"), "--input", &file]);
    assert!(told.contains("the file ends within a value"), "{told}");
}

fn blobs(dir: &str) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".blob")).count()
}

#[test]
fn bad_line_after_many_commits_is_where_import_goes_on() {
    let dirs = Dirs::new();
    let (file, other) = (dirs.path("lines"), dirs.path("other"));
    let entry = |n: u64| format!("{{\"in\":\"numbers\",\"key\":{n},\"value_base64\":\"AA==\"}}");
    let first = r#"{"keyspace":{"name":"numbers","key_tag":"u64","codec":"raw"}}"#.to_owned();
    let mut lines: Vec<String> = std::iter::once(first).chain((2..6_000).map(entry)).collect();
    for bad in [4_321_u64, 5_432] {
        let at = usize::try_from(bad).unwrap() - 1;
        let good = std::mem::replace(&mut lines[at], "nonsense".to_owned());
        fs::write(&file, lines.join("\n")).unwrap();
        let told = fails(&["import", &other, "--input", &file]);
        assert!(told.contains(&format!("line {bad}: ")), "{told}");
        assert!(told.contains(&format!("--from-line {bad}")), "{told}");
        assert_eq!(ok(&["keys", &other, "numbers"]).lines().count(), at - 1);
        lines[at] = good;
    }
    fs::write(&file, lines.join("\n")).unwrap();
    let done = ok(&["import", &other, "--input", &file, "--from-line", "5432"]);
    assert_eq!(done, "Imported 568 entries.\n");
    assert_eq!(ok(&["keys", &other, "numbers"]).lines().count(), 5_998);
}

#[test]
fn resumed_export_leaves_a_file_that_is_none_as_it_is_and_passes_by_what_has_expired() {
    let dirs = Dirs::new();
    let store = dirs.store();
    let keyspace = store.register_raw_keyspace(&KeyspaceInfo::new("k", "u8", "utf8")).unwrap();
    (1..5).for_each(|n| assert!(keyspace.put(&[n], b"v").is_ok()));
    store.close().unwrap();
    let (data, file) = (dirs.path("data"), dirs.path("lines"));
    for other in ["a letter\nnot to be lost", "no line at all"] {
        fs::write(&file, other).unwrap();
        let told = ["export", &data, "--output", &file, "--resume"];
        if other.contains('\n') {
            assert!(fails(&told).contains("line 1 is not what it would be now"));
            assert_eq!(fs::read_to_string(&file).unwrap(), other);
        }
    }
    let whole = ok(&["export", &data]);
    let lines: Vec<&str> = whole.lines().collect();
    // As it was when another entry, a large one, had not expired yet.
    let gone = "{\"in\":\"k\",\"key\":0,\"parts\":1,\"bytes\":1,\"expires_at_ms\":5}\n\
                {\"part_base64\":\"AA==\"}";
    let began = [lines[0], gone, lines[1], &lines[2][..7]].join("\n");
    fs::write(&file, began).unwrap();
    ok(&["export", &data, "--output", &file, "--resume"]);
    let wanted = [&[lines[0], gone], &lines[1..]].concat().join("\n") + "\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), wanted);
    // Nothing may follow what an export of now ends with.
    fs::write(&file, wanted + "{\"in\":\"k\",\"key\":7,\"value\":\"v\"}\n").unwrap();
    let told = fails(&["export", &data, "--output", &file, "--resume"]);
    assert!(told.contains("line 8 is not"), "{told}");
}

#[test]
#[cfg(target_os = "linux")]
fn exporting_and_importing_a_large_value_takes_constant_memory() {
    const BYTES: u64 = 80 << 20;
    const RESIDENT_MAX: u64 = 40 << 20;
    let dirs = Dirs::new();
    let store = dirs.store();
    let films = store.register_raw_keyspace(&KeyspaceInfo::new("films", "u8", "raw")).unwrap();
    films.put_reader(&[1], std::io::repeat(7).take(BYTES)).unwrap();
    store.close().unwrap();
    let (data, other, file) = (dirs.path("data"), dirs.path("other"), dirs.path("lines"));
    for args in [["export", &data, "--output", &file], ["import", &other, "--input", &file]] {
        let peak = crate::tools::peak_resident_bytes(&args);
        println!("{}: {} KiB at most for a value of {BYTES} bytes", args[0], peak >> 10);
        assert!(peak < RESIDENT_MAX, "{}: {peak}", args[0]);
    }
    let store = Options::new().open_read_only(&other).unwrap();
    let films = store.raw_keyspace("films").unwrap().unwrap();
    assert_eq!(films.reader(&[1]).unwrap().unwrap().len(), BYTES);
}
