//! The demo shop: a merchant's pages with the real snippet on them, a stand-in for Stripe's checkout, and the ledger of what
//! came of it. `cargo xtask dev` alone serves it; a deployment has no such paths.
//!
//! The shop is a client of Selgeo like any other: its clicks come from the snippet, its sales from signed Stripe events.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use domain::mode::Mode;

use super::{field, query};
use crate::app::App;
use crate::error::ApiError;
use crate::store::{Scope, workspaces};

mod checkout;
mod ledger;
mod purchase;
mod shop;
#[cfg(test)]
mod tests;

/// The name that `cargo xtask dev` gives to the demo workspace.
const WORKSPACE: &str = "Demo shop";

/// No inline script or style. The checkout's form ends at the shop, which is the other name of loopback.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     form-action 'self' http://localhost:* http://127.0.0.1:*; base-uri 'none'; frame-ancestors 'none'";

/// The demo's table of routes.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/demo", get(shop::landing))
        .route("/demo/", get(shop::landing))
        .route("/demo/product", get(shop::product))
        .route("/demo/checkout/{product}", get(checkout::show).post(checkout::pay))
        .route("/demo/thanks", get(shop::thanks))
        .route("/demo/ledger", get(ledger::show))
}

/// The test mode of the demo workspace.
async fn scope(app: &App) -> Result<Scope, ApiError> {
    let rows = app.db.rows(workspaces::oldest_named(WORKSPACE)).await?;
    let oldest = rows.first().ok_or(ApiError::NotFound("workspace as \"Demo shop\""))?;
    Ok(Scope { workspace_id: workspaces::decode_id(oldest)?, mode: Mode::Test })
}

/// The same Worker under loopback's other name: another origin, as Stripe's is to a shop. Elsewhere there is only one.
fn other_origin(origin: &str) -> String {
    const NAMES: [&str; 2] = ["http://127.0.0.1", "http://localhost"];
    for (name, other) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
        match origin.strip_prefix(name) {
            Some(port) if port.is_empty() || port.starts_with(':') => return format!("{other}{port}"),
            _ => {}
        }
    }
    origin.to_owned()
}
