//! Import: a file is shown row by row as it would be imported, and a button does it. Between the two, the page holds what the file said:
//! nothing of it is kept here.

use askama::Template;
use axum::extract::Request;
use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::desk::Desk;
use super::frame::Frame;
use crate::auth::people::must_be_own_page;
use crate::call::{self, BODY_BYTES_MAX};
use crate::error::ApiError;
use crate::pages::multipart;

/// What may be imported: the API's word, and the columns, needed ones first.
const KINDS: [(&str, &str, &str); 3] = [
    ("partners", "Partners", "email, name, program, status"),
    ("links", "Links", "ref, landing_url, email, program (or participant_id), slug, name"),
    ("promo_codes", "Promo codes", "code, email, program (or participant_id), stripe_promotion_code_id"),
];

#[derive(Template)]
#[template(path = "dashboard/import.html")]
struct Page {
    frame: Frame,
    action: String,
    problem: Option<String>,
    kind: String,
    from_traaaction: bool,
    result: Option<Told>,
}

impl Page {
    fn kinds(&self) -> [(&'static str, &'static str, &'static str); 3] {
        KINDS
    }
}

/// What the API says of a file.
struct Told {
    is_done: bool,
    counts: Vec<(&'static str, u64)>,
    rows: Vec<Line>,
    /// The file, for the button that imports it; none where there is nothing to be imported.
    again: Option<String>,
}

struct Line {
    number: u64,
    outcome: String,
    errors: Vec<String>,
}

/// `GET …/import`.
pub async fn show(desk: Desk) -> Result<Response, ApiError> {
    page(&desk, StatusCode::OK, None, ("partners".to_owned(), false), None)
}

/// `POST …/import`: tries a file, or imports what was tried.
pub async fn send(desk: Desk, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    must_be_own_page(&desk.call, &headers)?;
    if !desk.may_change() {
        return Err(ApiError::Forbidden("A viewer looks and changes nothing; ask an owner or an admin.".to_owned()));
    }
    let body = call::body(request, BODY_BYTES_MAX).await?;
    let parts = multipart::parts(&headers, &body).ok_or(ApiError::UnsupportedMediaType("multipart/form-data"))?;
    let kind = multipart::text(&parts, "kind").unwrap_or_default();
    let from_traaaction = multipart::text(&parts, "source").is_some();
    let is_final = multipart::text(&parts, "import").is_some();
    let asked = (kind.clone(), from_traaaction);
    let name = if is_final { "csv" } else { "file" };
    let is_there = parts.iter().any(|(key, bytes)| key == name && !bytes.is_empty());
    let Some(csv) = multipart::text(&parts, name) else {
        let why = match is_there {
            true => "The file is not UTF-8. Save it as “CSV UTF-8”.",
            false => "Choose a file that is not empty.",
        };
        return page(&desk, StatusCode::BAD_REQUEST, Some(why.to_owned()), asked, None);
    };
    let mut wanted = json!({ "kind": kind, "csv": csv, "dry_run": !is_final });
    if from_traaaction {
        wanted["source"] = json!("traaaction");
    }
    match desk.ask(Method::POST, "/imports", Some(&wanted)).await {
        Ok(told) => page(&desk, StatusCode::OK, None, asked, Some(read(&told, csv))),
        Err(ApiError::Validation { message, details }) => {
            let all: Vec<String> = details.into_iter().map(|wrong| wrong.message).collect();
            let why = if all.is_empty() { message } else { all.join("; ") };
            page(&desk, StatusCode::BAD_REQUEST, Some(why), asked, None)
        }
        Err(ApiError::PayloadTooLarge { .. }) => {
            let why = "The file is too large for this page. Cut it, or use cargo xtask import, which does.";
            page(&desk, StatusCode::PAYLOAD_TOO_LARGE, Some(why.to_owned()), asked, None)
        }
        Err(error) => Err(error),
    }
}

fn read(told: &Json, csv: String) -> Told {
    let count = |name: &str| told["counts"][name].as_u64().unwrap_or(0);
    let is_done = told["dry_run"] == false;
    let made = if is_done { count("created") } else { count("would_create") };
    let rows = told["rows"].as_array().into_iter().flatten().map(|row| {
        let mut errors: Vec<String> = Vec::new();
        for wrong in row["errors"].as_array().into_iter().flatten() {
            let (field, message) = (wrong["field"].as_str().unwrap_or(""), wrong["message"].as_str().unwrap_or(""));
            errors.push(format!("{field} {message}").trim().to_owned());
        }
        let differs: Vec<&str> = row["differs"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        if !differs.is_empty() {
            errors.push(format!("the file says otherwise of {}, and nothing is changed", differs.join(", ")));
        }
        let outcome = match row["outcome"].as_str().unwrap_or("") {
            "would_create" => "would be made",
            "created" => "made",
            "unchanged" => "was there",
            _ => "error",
        };
        Line { number: row["line"].as_u64().unwrap_or(0), outcome: outcome.to_owned(), errors }
    });
    Told {
        is_done,
        counts: vec![
            (if is_done { "Made" } else { "Would be made" }, made),
            ("Were there, and stay as they are", count("unchanged")),
            ("Wrong, and left out", count("error")),
        ],
        rows: rows.collect(),
        again: (!is_done && made > 0).then_some(csv),
    }
}

fn page(
    desk: &Desk,
    status: StatusCode,
    problem: Option<String>,
    (kind, from_traaaction): (String, bool),
    result: Option<Told>,
) -> Result<Response, ApiError> {
    let frame = Frame::of(desk, "import", "Import");
    let shown = Page { frame, action: desk.href("import"), problem, kind, from_traaaction, result };
    super::shown_with(desk, status, &shown)
}
