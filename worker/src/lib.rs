//! Selgeo's HTTP, SQL and platform. The platform itself (`entry`, `objects`, `store::d1`) exists on wasm32 only; everything
//! else runs natively in tests.

pub mod app;
pub mod call;
pub mod error;
pub mod limiter;
pub mod store;

pub mod jobs;
mod routes;

#[cfg(target_arch = "wasm32")]
mod entry;
#[cfg(target_arch = "wasm32")]
mod objects;

/// Writes one line to the log: errors only, with the request id, never a secret.
pub(crate) fn log(line: &str) {
    #[cfg(target_arch = "wasm32")]
    worker::console_error!("{line}");
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{line}");
}
