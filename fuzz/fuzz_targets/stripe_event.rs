//! See `selgeo_fuzz::targets::stripe_event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| selgeo_fuzz::targets::stripe_event(data));
