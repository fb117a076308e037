#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pgmesh_dist::fuzzing::mapper(bytes));
