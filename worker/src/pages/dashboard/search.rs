//! Search: one box for whatever a person has at hand. What was found is grouped by its kind. Two round trips: the session, and all
//! look-ups at once.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::Request;
use axum::response::Response;

use super::cell::Cell;
use super::desk::Desk;
use super::frame::Frame;
use super::object::segment;
use super::resources;
use crate::error::ApiError;
use crate::pages::query;
use crate::routes::figures;
use crate::store::search::Hit;
pub use crate::store::search::page_of;

/// What is looked for is at most this long: as long as the longest that is kept.
const CHARS_MAX: usize = 255;

#[derive(Template)]
#[template(path = "dashboard/search.html")]
struct Page {
    frame: Frame,
    groups: Vec<Group>,
    is_too_long: bool,
}

struct Group {
    title: &'static str,
    hits: Vec<Cell>,
}

/// `GET …/search?q=`.
pub async fn show(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let sought = query(&request, "q").map(|text| text.trim().to_owned()).unwrap_or_default();
    let is_too_long = sought.chars().count() > CHARS_MAX;
    let found = if is_too_long { BTreeSet::new() } else { figures::hits(&desk.app, &desk.scope(), &sought).await? };
    let hits: BTreeSet<Hit> = found.into_iter().map(leading_to).collect();
    let mut groups: Vec<Group> = Vec::new();
    // In the order of the kinds, as the set sorts them.
    for hit in hits {
        let Ok(resource) = resources::find(hit.page.split('?').next().unwrap_or_default()) else { continue };
        if groups.last().is_none_or(|group| group.title != resource.title) {
            groups.push(Group { title: resource.title, hits: Vec::new() });
        }
        if let Some(group) = groups.last_mut() {
            group.hits.push(shown(&desk, hit));
        }
    }
    let sought = sought.chars().take(CHARS_MAX).collect();
    let page = Page { frame: Frame::of(&desk, "search", "Search").seeking(sought), groups, is_too_long };
    super::shown(&desk, &page)
}

/// Where a hit leads: what has no page of its own, to what it belongs to or to the list that shows it.
fn leading_to(hit: Hit) -> Hit {
    let page = match hit.page.as_str() {
        "acts" => page_of(&hit.id).unwrap_or_default().to_owned(),
        "events" => "webhook-deliveries?event_id=".to_owned(),
        "attribution-audit" => "attribution-audit?external_transaction_id=".to_owned(),
        other => other.to_owned(),
    };
    Hit { page, ..hit }
}

fn shown(desk: &Desk, hit: Hit) -> Cell {
    let joint = if hit.page.ends_with('=') { "" } else { "/" };
    let is_id = hit.label == hit.id;
    let text = if hit.label.is_empty() { hit.id.clone() } else { hit.label };
    let sub = if hit.sub == text { String::new() } else { hit.sub };
    Cell::Link { href: desk.href(&format!("{}{joint}{}", hit.page, segment(&hit.id))), text, sub, is_id }
}
