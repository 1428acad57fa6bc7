//! The merchants' dashboard: `/app/{workspace_id}/{mode}/…`.
//!
//! A page is a client of the API: it asks the same paths with the session's rights and shows what they answer, so no rule, SQL
//! or check of a right is here. Lists, objects and forms of every kind are shown by the same code from a description
//! (`resources`); what tells a story of its own is a module of its own.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;

use super::private;
use crate::app::App;
use crate::error::ApiError;

mod cell;
mod change;
mod chart;
mod checklist;
mod commission;
mod delivery;
mod desk;
mod file;
mod form;
mod frame;
mod import;
mod list;
mod live;
mod names;
mod object;
mod overview;
mod payee;
mod payout;
mod resource;
mod resources;
mod search;
mod settings;
mod story;
#[cfg(test)]
mod tests;

/// The dashboard's table of routes.
pub fn router() -> Router<Arc<App>> {
    let at = |page: &str| format!("/app/{{workspace_id}}/{{mode}}{page}");
    Router::new()
        .route(&at(""), get(overview::show))
        .route(&at("/"), get(overview::show))
        .route(&at("/live"), get(live::show))
        .route(&at("/checklist"), get(checklist::show))
        .route(&at("/checklist/rewards-reviewed"), post(checklist::note_review))
        .route(&at("/settings"), get(settings::show).post(settings::change))
        .route(&at("/settings/density"), post(settings::set_density))
        .route(&at("/settings/wipe"), get(settings::ask_wipe).post(settings::wipe))
        .route(&at("/import"), get(import::show).post(import::send))
        .route(&at("/{page}"), get(list::show))
        .route(&at("/{page}/csv"), get(file::csv))
        .route(&at("/search"), get(search::show))
        .route(&at("/payouts/balances"), get(payout::balances))
        .route(&at("/payouts/{id}/csv"), get(payout::csv_of_one))
        .route(&at("/{page}/new"), get(change::ask_new).post(change::make))
        .route(&at("/{page}/{id}"), get(object::show))
        .route(&at("/partners/{id}/payout-details"), get(payee::show))
        .route(&at("/{page}/{id}/edit"), get(change::ask_edit).post(change::edit))
        .route(&at("/{page}/{id}/{verb}"), get(change::ask_act).post(change::act))
}

/// A page of the dashboard.
fn shown(desk: &desk::Desk, template: &impl Template) -> Result<Response, ApiError> {
    shown_with(desk, StatusCode::OK, template)
}

/// The same, with a status.
fn shown_with(desk: &desk::Desk, status: StatusCode, template: &impl Template) -> Result<Response, ApiError> {
    Ok(desk.answer(private(status, template)?))
}
