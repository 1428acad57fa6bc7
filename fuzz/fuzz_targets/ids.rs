//! See `selgeo_fuzz::targets::ids`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| selgeo_fuzz::targets::ids(data));
