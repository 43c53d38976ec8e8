//! What clients send.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvserver::fuzzing::resp(bytes));
