//! JSON lines, as `kvserver import` reads them: a bad one is an error, what came before it counts.

#![no_main]
#![expect(dead_code, reason = "what only the other subcommands call")]

use kvcore::Store;

type Failure = Box<dyn std::error::Error>;

#[path = "../../kvserver/src/tool/base64.rs"]
mod base64;
#[path = "../../kvserver/src/tool/import.rs"]
mod import;
#[path = "../../kvserver/src/tool/keys.rs"]
mod keys;
#[path = "../../kvserver/src/tool/lines.rs"]
mod lines;
#[path = "../../kvserver/src/tool/output.rs"]
mod output;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let store = Store::in_memory().expect("memory has no errors");
    let mut importing = import::Importing::new(&store, import::Lines::new(bytes, 0));
    let read = importing.read(1);
    let lines = bytes.split(|b| *b == b'\n').count() as u64;
    assert!(importing.applied <= lines && (read.is_err() || importing.applied + 1 >= lines));
});
