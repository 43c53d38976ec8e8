//! Values of the codec JSON.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvcore::fuzzing::values::<kvcore::Json>(bytes));
