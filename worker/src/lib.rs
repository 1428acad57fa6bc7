//! Selgeo's HTTP, SQL and platform. The platform itself (`entry`, `objects`, `store::d1`) exists on wasm32 only; everything
//! else runs natively in tests.

mod addresses;
pub mod app;
pub mod assets;
pub mod auth;
pub mod booking;
pub mod call;
pub mod connections;
pub mod error;
pub mod export;
pub mod fields;
pub mod idempotency;
pub mod jobs;
pub mod known;
pub mod lending;
pub mod limiter;
pub mod mail;
pub mod memory;
pub mod partner_side;
pub mod replay;
pub mod secrets;
pub mod shapes;
pub mod shelf;
pub mod simulate;
pub mod store;
pub mod stripe_api;
pub mod webhooks;

mod pages;
mod routes;

#[cfg(any(test, feature = "host"))]
pub mod host;

#[cfg(target_arch = "wasm32")]
mod asked;
#[cfg(target_arch = "wasm32")]
mod entry;
#[cfg(target_arch = "wasm32")]
mod objects;

#[cfg(test)]
mod openapi;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;
/// Writes one line to the log: errors only, with the request id, never a secret.
pub(crate) fn log(line: &str) {
    #[cfg(target_arch = "wasm32")]
    worker::console_error!("{line}");
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{line}");
}
