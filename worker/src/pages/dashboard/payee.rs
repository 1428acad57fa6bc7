//! Where a partner's money goes: what they entered themselves, for those who pay them.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::desk::Desk;
use super::frame::Frame;
use super::object::segment;
use crate::error::ApiError;

#[derive(Template)]
#[template(path = "dashboard/payee.html")]
struct Payee {
    frame: Frame,
    partner_href: String,
    name: String,
    /// What each is called, and what the partner entered.
    lines: Vec<(&'static str, String)>,
}

/// `GET …/partners/{id}/payout-details`: 403 for who only looks, as the API says.
pub async fn show(desk: Desk, Path((_, _, id)): Path<(String, String, String)>) -> Result<Response, ApiError> {
    let partner = desk.get(&format!("/partners/{}", segment(&id))).await?;
    let details = desk.get(&format!("/partners/{}/payout-details", segment(&id))).await?;
    let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
    let lines = vec![("Method", text("method")), ("Details", text("details")), ("Tax id", text("tax_id"))];
    let shown = Payee {
        frame: Frame::of(&desk, "partners", "Payout details"),
        partner_href: desk.href(&format!("partners/{}", segment(&id))),
        name: partner["name"].as_str().unwrap_or_default().to_owned(),
        lines: lines.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
    };
    super::shown(&desk, &shown)
}
