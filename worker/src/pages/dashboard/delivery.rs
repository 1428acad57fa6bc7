//! The page of one webhook delivery: what was sent, and what came of each attempt.

use askama::Template;
use axum::response::Response;
use serde_json::Value as Json;

use super::cell::{Cell, Kind, cell, moment, words_of};
use super::desk::Desk;
use super::frame::{Frame, Notice};
use super::list::{self, ActShown};
use super::names::Names;
use super::object::segment;
use super::resource::column;
use super::resources;
use crate::error::ApiError;
use crate::pages::text::Moment;

/// A header is shown up to here: signatures are no secret, and long.
const HEADER_CHARS_MAX: usize = 72;
/// An answer is shown up to here.
const ANSWER_CHARS_MAX: usize = 4_000;

#[derive(Template)]
#[template(path = "dashboard/delivery.html")]
struct Page {
    frame: Frame,
    id: String,
    list_href: String,
    status: (String, String),
    facts: Vec<(&'static str, Cell)>,
    acts: Vec<ActShown>,
    attempts: Vec<Attempt>,
    /// To be read.
    body: String,
    /// To the letter: what was signed.
    raw: String,
}

/// One attempt.
struct Attempt {
    number: i64,
    at: Option<Moment>,
    duration_ms: i64,
    url: String,
    /// What came of it: `200`, or why there was no answer.
    outcome: String,
    is_good: bool,
    headers: Vec<(String, String)>,
    answer: String,
}

/// One delivery.
pub async fn show(desk: Desk, id: &str, notice: Option<Notice>) -> Result<Response, ApiError> {
    let resource = resources::find("webhook-deliveries")?;
    let delivery = desk.get(&format!("{}/{}", resource.api_path(), segment(id))).await?;
    let columns = [
        column("Endpoint", "/endpoint_id", Kind::Page("webhook-endpoints")),
        column("Event", "/event_id", Kind::Id),
        column("Of", "/request/subject", Kind::Id),
        column("Number", "/request/sequence", Kind::Text),
        column("Owed since", "/created_at", Kind::Moment),
        column("Next attempt", "/next_attempt_at", Kind::Moment),
        column("Ended", "/finished_at", Kind::Moment),
    ];
    let names = Names::default();
    let mut facts: Vec<(&'static str, Cell)> = columns
        .iter()
        .map(|column| (column.head, cell(&desk, &names, resource.path, &delivery, column.at, column.kind)))
        .filter(|(_, cell)| !matches!(cell, Cell::Empty))
        .collect();
    if let Some(cause) = cause(&desk, &delivery) {
        facts.retain(|(head, _)| *head != "Of");
        facts.insert(2, ("Of", cause));
    }
    let status = delivery["status"].as_str().unwrap_or_default().to_owned();
    let page = Page {
        frame: Frame::of(&desk, resource.nav, delivery["type"].as_str().unwrap_or(resource.one)).with_notice(notice),
        list_href: desk.href(resource.path),
        facts,
        acts: list::acts(&desk, resource, &delivery, &desk.href(&format!("{}/{}", resource.path, segment(id)))),
        attempts: delivery["attempts"].as_array().into_iter().flatten().rev().map(attempt).collect(),
        body: serde_json::to_string_pretty(&delivery["request"]).unwrap_or_default(),
        raw: delivery["request"].to_string(),
        status: (status.clone(), words_of(&status)),
        id: id.to_owned(),
    };
    super::shown(&desk, &page)
}

/// A link to what the event is about.
fn cause(desk: &Desk, delivery: &Json) -> Option<Cell> {
    let subject = delivery["request"]["subject"].as_str()?;
    let page = super::search::page_of(subject)?;
    let href = desk.href(&format!("{page}/{}", segment(subject)));
    Some(Cell::Link { href, text: subject.to_owned(), sub: String::new(), is_id: true })
}

fn attempt(attempt: &Json) -> Attempt {
    let text = |name: &str| attempt[name].as_str().unwrap_or_default().to_owned();
    let status = attempt["status"].as_i64();
    let headers = attempt["headers"].as_object().into_iter().flatten();
    Attempt {
        number: attempt["number"].as_i64().unwrap_or(0),
        at: moment(&attempt["at"]),
        duration_ms: attempt["duration_ms"].as_i64().unwrap_or(0),
        url: text("url"),
        outcome: status.map_or_else(|| words_of(&text("error")), |status| status.to_string()),
        is_good: status.is_some_and(|status| (200..300).contains(&status)),
        headers: headers
            .map(|(name, value)| (name.clone(), shortened(value.as_str().unwrap_or_default(), HEADER_CHARS_MAX)))
            .collect(),
        answer: shortened(&text("answer"), ANSWER_CHARS_MAX),
    }
}

fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
