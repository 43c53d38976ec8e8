//! Compressed values.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvcore::fuzzing::unpack(bytes));
