//! The bodies of the fuzz targets. `stripe/tests/fuzzed.rs` runs them too, over the corpora.

pub mod targets;
