//! Stored keys of every kind of component.

#![no_main]

use kvcore::fuzzing::key;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    key::<String>(bytes);
    key::<Vec<u8>>(bytes);
    key::<(String, i32)>(bytes);
    key::<(Vec<u8>, char, bool)>(bytes);
    key::<(u8, (String, u128), [u8; 3])>(bytes);
});
