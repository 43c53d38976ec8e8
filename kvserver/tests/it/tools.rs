//! The subcommands as people run them: what they print, and the status they end with.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use kvcore::{BytesKeyspace, Keyspace, KeyspaceInfo, Put, Raw, Schema, Store};
use tempfile::TempDir;

use crate::spawned::PROGRAM;

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

/// What a call that succeeds prints.
#[track_caller]
pub(crate) fn ok(args: &[&str]) -> String {
    let output = run(args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a call that fails says.
#[track_caller]
pub(crate) fn fails(args: &[&str]) -> String {
    let output = run(args);
    assert!(!output.status.success(), "{args:?}");
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}

/// The most memory that a call which succeeds had at any time.
#[cfg(target_os = "linux")]
pub(crate) fn peak_resident_bytes(args: &[&str]) -> u64 {
    use std::process::Stdio;
    let mut command = Command::new(PROGRAM);
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    loop {
        // The figure only grows, and is gone with the process.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak_kib = peak_kib.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success() && peak_kib > 0);
            return peak_kib << 10;
        }
        std::thread::yield_now();
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A store with keyspaces of several kinds.
fn sample(dir: &Path) {
    let store = Store::open(dir).unwrap();
    const TEXTS: Schema<'_, String, str, Raw> = Schema::new("texts");
    let texts = store.keyspace(TEXTS).unwrap();
    texts.put("ada", "first\tprogrammer").unwrap();
    texts.put("adam", "first man").unwrap();
    let later = SystemTime::now() + Duration::from_secs(10_000);
    texts.put_with("bob", "builder", Put::expires_at(later)).unwrap();
    let pairs: Keyspace<(String, i32), u64> = store.keyspace("pairs").unwrap();
    pairs.put(("a\0b", -1), &300).unwrap();
    pairs.put(("b", 7), &1).unwrap();
    const LOOSE: Schema<'_, Vec<u8>, [u8], Raw> = Schema::new("loose");
    let loose: BytesKeyspace = store.keyspace(LOOSE.unordered()).unwrap();
    for n in 0..2_500_u16 {
        loose.put(n.to_be_bytes().as_slice(), &n.to_le_bytes()).unwrap();
    }
    let documents = store.register_raw_keyspace(&documents()).unwrap();
    documents.put(7_u64.to_be_bytes().as_slice(), br#"{"b":[1.50,"x"],"a":null}"#).unwrap();
    documents.put(8_u64.to_be_bytes().as_slice(), b"null").unwrap();
    store.close().unwrap();
}

fn documents() -> KeyspaceInfo {
    let mut info = KeyspaceInfo::new("documents", "u64", "json/1");
    info.schema_version = 3;
    info.type_name = "Document".to_owned();
    info
}

struct Dirs {
    _temporary: TempDir,
    data: String,
    other: String,
    file: String,
}

fn dirs() -> Dirs {
    let temporary = TempDir::new().unwrap();
    let path = |name: &str| temporary.path().join(name).display().to_string();
    let (data, other, file) = (path("data"), path("other"), path("lines.json"));
    sample(Path::new(&data));
    Dirs { _temporary: temporary, data, other, file }
}

#[test]
fn stats_and_keys_show_what_is_there_for_people_and_programs() {
    let d = dirs();
    let text = ok(&["stats", &d.data]);
    assert!(
        text.contains("Keys:         2507") && text.contains("Keyspace texts: 3 keys"),
        "{text}"
    );
    let stats = json(&ok(&["stats", &d.data, "--json"]));
    assert_eq!(
        (stats["keys"].as_u64(), stats["keyspaces"].as_array().unwrap().len()),
        (Some(2_507), 4)
    );
    assert!(ok(&["keys", &d.data]).contains("pairs: 2 keys of type (str,i32)"));
    assert_eq!(ok(&["keys", &d.data, "texts"]), "ada\nadam\nbob\n");
    assert_eq!(ok(&["keys", &d.data, "texts", "--prefix", "ada", "--limit", "1"]), "ada\n");
    assert_eq!(ok(&["keys", &d.data, "pairs", "--json"]), "[\"a\\u0000b\",-1]\n[\"b\",7]\n");
    assert_eq!(ok(&["keys", &d.data, "loose"]).lines().count(), 2_500);
    let prefixed = ok(&["keys", &d.data, "loose", "--prefix", "base64:AA==", "--json"]);
    assert_eq!(prefixed.lines().count(), 256);
}

#[test]
fn get_and_scan_show_values_as_their_codec_tells() {
    let d = dirs();
    assert_eq!(ok(&["get", &d.data, "texts", "adam"]), "first man\n");
    assert_eq!(ok(&["get", &d.data, "texts", "ada"]), "\"first\\tprogrammer\"\n");
    let document = "{\"b\":[1.50,\"x\"],\"a\":null}";
    assert_eq!(ok(&["get", &d.data, "documents", "7"]), format!("{document}\n"));
    let got = ok(&["get", &d.data, "documents", "7", "--json"]);
    assert_eq!(got, format!("{{\"key\":7,\"value\":{document}}}\n"));
    assert_eq!(ok(&["get", &d.data, "pairs", "[\"b\",7]"]), "base64:AQ==\n");
    assert!(fails(&["get", &d.data, "texts", "eve"]).contains("no such key"));
    assert!(fails(&["get", &d.data, "documents", "x"]).contains("no key of type u64"));
    assert!(fails(&["get", &d.data, "none", "x"]).contains("there are: documents, loose"));
    let scanned = ok(&["scan", &d.data, "pairs", "--prefix", "[\"b\"]"]);
    assert_eq!(scanned, "[\"b\",7]\tbase64:AQ==\n");
    let scanned = ok(&["scan", &d.data, "texts", "--prefix", "b", "--json"]);
    assert_eq!(scanned, "{\"key\":\"bob\",\"value\":\"builder\"}\n");
}

/// The first data file of a store, damaged in the middle of a record.
fn damage(dir: &str) {
    let path = Path::new(dir).join("000000000001.data");
    let mut bytes = fs::read(&path).unwrap();
    bytes[160] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn verify_and_salvage_find_damage_and_recover_the_rest() {
    let d = dirs();
    assert!(ok(&["verify", &d.data]).contains("Everything is as it was written."));
    assert_eq!(json(&ok(&["verify", &d.data, "--json"]))["sound"], true);
    damage(&d.data);
    let text = fails(&["verify", &d.data]);
    assert!(text.contains("Damaged: ") && text.contains("000000000001.data at byte"), "{text}");
    let done = json(&ok(&["salvage", &d.data, &d.other, "--json"]));
    assert_eq!(done["keys"], 2_506);
    assert!(!done["lost"].as_array().unwrap().is_empty());
    assert_eq!(json(&ok(&["verify", &d.other, "--json"]))["sound"], true);
    assert!(fails(&["salvage", &d.data, &d.other]).contains("not empty"));
}

#[test]
fn merge_and_checkpoint_leave_the_same_content() {
    let d = dirs();
    let before = ok(&["export", &d.data]);
    assert!(ok(&["merge", &d.data]).starts_with("Gave "));
    assert_eq!(ok(&["export", &d.data]), before);
    assert!(ok(&["checkpoint", &d.data, &d.other]).contains("holds everything up to commit"));
    assert_eq!(ok(&["export", &d.other]), before);
    let again = json(&ok(&["checkpoint", &d.data, &d.other, "--json"]));
    // What the background has written in between is new, and may be more.
    assert!(again["files_kept"].as_u64() > Some(0) && again["files_copied"] == 0, "{again}");
}

#[test]
fn export_and_import_bring_everything_into_another_store() {
    let d = dirs();
    ok(&["export", &d.data, "--output", &d.file]);
    let lines = fs::read_to_string(&d.file).unwrap();
    assert!(lines.contains("{\"in\":\"documents\",\"key\":8,\"value\":null}"), "{lines}");
    assert!(
        lines
            .contains("{\"in\":\"texts\",\"key\":\"bob\",\"value\":\"builder\",\"expires_at_ms\":")
    );
    assert_eq!(ok(&["import", &d.other, "--input", &d.file]), "Imported 2507 entries.\n");
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // Entries of an unordered keyspace come in the order of another hash.
    assert_eq!(sorted(&ok(&["export", &d.other])), sorted(&lines));
    let store = Store::open(&d.other).unwrap();
    let pairs: Keyspace<(String, i32), u64> = store.keyspace("pairs").unwrap();
    assert_eq!(pairs.get(("a\0b", -1)).unwrap(), Some(300));
    assert_eq!(store.raw_keyspace("documents").unwrap().unwrap().info(), documents());
    assert!(fails(&["export", &d.data, "--output", &d.file]).contains("cannot write"));
}

#[test]
fn an_interrupted_export_goes_on_where_it_was() {
    let d = dirs();
    let whole = ok(&["export", &d.data]);
    fs::write(&d.file, &whole[..whole.len() / 2]).unwrap();
    ok(&["export", &d.data, "--output", &d.file, "--resume"]);
    assert_eq!(fs::read_to_string(&d.file).unwrap(), whole);
    fs::write(&d.file, "{\"keyspace\":{}}\n").unwrap();
    let text = fails(&["export", &d.data, "--output", &d.file, "--resume"]);
    assert!(text.contains("line 1 is not what it would be"), "{text}");
}

#[test]
fn a_bad_line_is_named_and_nothing_from_it_on_is_imported() {
    let d = dirs();
    let good = ok(&["export", &d.data, "--keyspace", "texts"]);
    let bad_lines = [
        ("{\"in\":\"texts\",\"key\":5,\"value\":\"x\"}", "no key of type str"),
        ("{\"in\":\"texts\",\"key\":\"x\"}", "no value"),
        ("{\"in\":\"nowhere\",\"key\":\"x\",\"value\":\"x\"}", "no keyspace \"nowhere\""),
        ("{\"in\":\"texts\",", "EOF"),
        ("{\"colour\":1}", "unknown field"),
        ("{\"key\":1}", "neither a keyspace nor an entry"),
        ("\u{fffd}", "expected"),
    ];
    for (i, (bad, why)) in bad_lines.iter().enumerate() {
        let mut lines: Vec<&str> = good.lines().collect();
        lines.insert(3, bad);
        fs::write(&d.file, lines.join("\n")).unwrap();
        let target = format!("{}-{i}", d.other);
        let text = fails(&["import", &target, "--input", &d.file]);
        assert!(text.contains("line 4: ") && text.contains(why), "{text}");
        assert!(text.contains("--from-line 4"), "{text}");
        assert_eq!(ok(&["keys", &target, "texts"]), "ada\nadam\n");
        lines.remove(3);
        fs::write(&d.file, lines.join("\n")).unwrap();
        assert_eq!(
            ok(&["import", &target, "--input", &d.file, "--from-line", "4"]),
            "Imported 1 entries.\n"
        );
        assert_eq!(ok(&["keys", &target, "texts"]), "ada\nadam\nbob\n");
    }
}

#[test]
fn help_explains_every_command_and_the_flags_of_the_server_stay() {
    let help = ok(&["--help"]);
    for word in ["--port", "--appendfsync", "stats", "verify", "salvage", "export"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let commands = [
        "stats",
        "keys",
        "get",
        "scan",
        "verify",
        "salvage",
        "merge",
        "checkpoint",
        "export",
        "import",
    ];
    for command in commands {
        let help = ok(&[command, "--help"]);
        assert!(help.contains("The directory of the store") && help.contains("--json"), "{help}");
    }
    let nowhere = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no store is here");
    for command in ["stats", "verify", "merge", "export"] {
        let text = fails(&[command, nowhere.to_str().unwrap()]);
        assert!(text.contains("no store is here") && !nowhere.exists(), "{text}");
    }
}

#[test]
fn reading_works_beside_an_open_store_and_writing_says_why_not() {
    let d = dirs();
    let store = Store::open(&d.data).unwrap();
    assert_eq!(ok(&["get", &d.data, "texts", "adam"]), "first man\n");
    assert!(fails(&["merge", &d.data]).contains("locked by another open store"));
    store.close().unwrap();
}
