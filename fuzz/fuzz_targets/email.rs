//! See `selgeo_fuzz::targets::email`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| selgeo_fuzz::targets::email(data));
