//! Values of the codec postcard.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kvcore::fuzzing::values::<kvcore::Postcard>(bytes));
