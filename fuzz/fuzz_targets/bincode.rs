//! Values of the default codec.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvcore::fuzzing::values::<kvcore::Bincode>(bytes));
