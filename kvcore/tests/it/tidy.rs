//! The rules of style that a program can check, and the absences the architecture rests on.
//!
//! `docs/architecture.md` says why; what is listed there as absent is searched for here.

use std::path::{Path, PathBuf};

mod dependencies;
mod examples;
mod links;
mod source;

use source::{Source, sources};

const WIDTH_MAX: usize = 100;
const SOURCE_LINES_MAX: usize = 700;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every Rust file of the workspace.
fn all() -> Vec<Source> {
    let parts = ["kvcore", "kvserver", "examples", "benches"];
    parts.iter().flat_map(|part| sources(&root(), part)).collect()
}

/// The files of the two crates that are not tests.
fn crates() -> Vec<Source> {
    let parts = ["kvcore/src", "kvserver/src"];
    let all = parts.iter().flat_map(|part| sources(&root(), part));
    all.filter(|s| !s.is_test()).collect()
}

fn core() -> Vec<Source> {
    sources(&root(), "kvcore/src").into_iter().filter(|s| !s.is_test()).collect()
}

/// Fails with the paths of those that break a rule.
#[track_caller]
fn assert_none<'a>(rule: &str, offenders: impl Iterator<Item = &'a Source>) {
    let paths: Vec<&str> = offenders.map(|s| s.path.as_str()).collect();
    assert!(paths.is_empty(), "{rule}: {paths:#?}");
}

#[test]
fn every_file_opens_with_what_it_is() {
    let all = all();
    assert!(all.len() > 100, "found {} files", all.len());
    assert_none(
        "no module documentation in the first line",
        all.iter().filter(|s| !s.text.starts_with("//! ")),
    );
}

#[test]
fn lines_are_at_most_100_characters_wide() {
    let mut wide = Vec::new();
    for source in all() {
        let lines = source.text.lines().enumerate();
        let too_wide = lines.filter(|(_, line)| line.chars().count() > WIDTH_MAX);
        wide.extend(too_wide.map(|(at, _)| format!("{}:{}", source.path, at + 1)));
    }
    assert!(wide.is_empty(), "{wide:#?}");
}

#[test]
fn modules_are_files_of_their_name() {
    assert_none(
        "mod.rs, or a file that is not where its name says",
        all().iter().filter(|s| s.path.ends_with("/mod.rs") || s.code.contains("#[path")),
    );
}

#[test]
fn source_files_stay_readable_in_one_go() {
    assert_none(
        "more than 700 lines",
        crates().iter().filter(|s| s.text.lines().count() > SOURCE_LINES_MAX),
    );
}

#[test]
fn nothing_is_left_to_do_and_nothing_is_printed_by_accident() {
    for mark in ["todo!", "unimplemented!", "dbg!"] {
        assert_none(mark, all().iter().filter(|s| s.code.contains(mark)));
    }
    let prints = ["println!", "eprintln!"];
    assert_none(
        "a library prints",
        core().iter().filter(|s| prints.iter().any(|p| s.code.contains(p))),
    );
}

#[test]
fn only_the_disk_names_the_file_system() {
    let core = core();
    assert!(core.iter().any(|s| in_disk(s) && names_fs(s)), "the search finds what is there");
    assert_none("std::fs outside disk/", core.iter().filter(|s| !in_disk(s) && names_fs(s)));
}

fn in_disk(source: &Source) -> bool {
    source.path.starts_with("kvcore/src/disk/") || source.path == "kvcore/src/disk.rs"
}

fn names_fs(source: &Source) -> bool {
    ["std::fs", "fs::File", "OpenOptions", "rustix", "memmap2"]
        .iter()
        .any(|name| source.code.contains(name))
}

#[test]
fn only_the_memory_map_is_unsafe() {
    let offenders: Vec<String> =
        all().into_iter().filter(|s| s.has_word("unsafe")).map(|s| s.path).collect();
    // heed offers no other way to open its environment, and is compiled for comparison only.
    assert_eq!(offenders, ["kvcore/src/disk/map.rs", "benches/src/engines/heed.rs"]);
}

#[test]
fn only_file_names_rs_makes_and_reads_file_names() {
    let names = [".data", ".hint", ".blob", ".tmp", "MANIFEST-"];
    let makes = |s: &Source| s.strings.iter().any(|text| names.iter().any(|n| text.contains(n)));
    let is_maker = |s: &&Source| s.path == "kvcore/src/log/file_names.rs";
    let crates = crates();
    assert!(crates.iter().find(is_maker).is_some_and(makes), "the search finds what is there");
    assert_none("a file's name", crates.iter().filter(|s| makes(s) && !is_maker(s)));
}

/// Modules that are functions from bytes to bytes.
const PURE: [&str; 11] = [
    "record",
    "frame",
    "header",
    "hint",
    "manifest",
    "checksum",
    "varint",
    "file_names",
    "blob",
    "compression",
    "preamble",
];

#[test]
fn formats_keys_codecs_and_keydir_know_no_disk_no_lock_and_no_clock() {
    let is_pure = |s: &&Source| {
        let Some(path) = s.path.strip_prefix("kvcore/src/") else { return false };
        let log = path.strip_prefix("log/").and_then(|p| p.split(['/', '.']).next());
        log.is_some_and(|module| PURE.contains(&module))
            || ["keydir", "codec", "key"].contains(&path.split(['/', '.']).next().unwrap_or(""))
    };
    let core = core();
    assert!(core.iter().filter(is_pure).count() > 30);
    for word in ["fs", "parking_lot", "Mutex", "RwLock", "Instant", "SystemTime", "thread"] {
        assert_none(word, core.iter().filter(is_pure).filter(|s| s.has_word(word)));
    }
    for module in ["disk", "engine", "clock", "store", "options"] {
        let names = [format!("crate::{module}"), format!("    {module}::")];
        let knows = |s: &&Source| names.iter().any(|name| s.code.contains(name));
        assert_none(module, core.iter().filter(is_pure).filter(knows));
    }
}

#[test]
fn only_the_clock_asks_what_time_it_is() {
    let asks = |s: &&Source| s.code.contains("SystemTime::now");
    assert_none("the time", core().iter().filter(|s| s.path != "kvcore/src/clock.rs").filter(asks));
}

#[test]
fn dependencies_point_towards_the_disk() {
    // From, and what it must not know.
    let absent = [
        ("disk", &["log", "engine", "index", "keydir", "store", "recovery", "merge"][..]),
        ("log", &["engine", "index", "store", "recovery", "merge", "keyspace", "codec"]),
        ("keydir", &["log", "engine", "index", "store", "recovery", "merge", "keyspace"]),
        ("index", &["store", "recovery", "merge", "keyspace", "codec"]),
        ("engine", &["store", "keyspace", "codec", "batch", "iter", "schema"]),
        ("merge", &["store", "keyspace", "codec", "batch", "iter", "schema"]),
        ("recovery", &["store", "keyspace", "codec", "batch", "iter", "schema"]),
    ];
    for (module, unknown) in absent {
        let (file, folder) = (format!("kvcore/src/{module}.rs"), format!("kvcore/src/{module}/"));
        for source in core().iter().filter(|s| s.path == file || s.path.starts_with(&folder)) {
            for name in unknown {
                let named = [format!("crate::{name}::"), format!("\n    {name}::")];
                let knows = named.iter().any(|n| source.code.contains(n.as_str()));
                assert!(!knows, "{} names {name}", source.path);
            }
        }
    }
}

#[test]
fn the_lock_file_is_part_of_the_workspace() {
    assert!(root().join("Cargo.lock").exists());
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap_or_default();
    assert!(!ignored.contains("Cargo.lock"));
}
