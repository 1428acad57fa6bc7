//! The newest clicks, conversions and commissions: a part of the overview, which asks for it again every few seconds and swaps it
//! only where it has changed. Without scripts it stands as the page came with it.

use askama::Template;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::cell::{Cell, Kind, cell};
use super::desk::Desk;
use super::names::Names;
use super::resource::{Column, column};
use crate::error::ApiError;
use crate::shapes;
use crate::store::clicks::Reach;
use crate::store::page::Page;
use crate::store::{DbError, Row, Statement, clicks, commissions, conversions};

/// Rows of each list.
const ROWS: i64 = 6;

const CLICKS: &[Column] = &[
    column("Participant", "/participant_id", Kind::Participant),
    column("Page", "/url", Kind::Text),
    column("Signs", "/flags", Kind::Words),
    column("When", "/created_at", Kind::Moment),
];
const CONVERSIONS: &[Column] = &[
    column("Event", "/event_type", Kind::Own),
    column("Amount", "/amount_cents", Kind::Money),
    column("Credited to", "/attribution/participant_id", Kind::Participant),
    column("Why", "/attribution/reason", Kind::State),
    column("When", "/created_at", Kind::Moment),
];
const COMMISSIONS: &[Column] = &[
    column("Participant", "/participant_id", Kind::Participant),
    column("Amount", "/amount_cents", Kind::Money),
    column("State", "/state", Kind::State),
    column("Conversion", "/conversion_id", Kind::Page("conversions")),
    column("When", "/created_at", Kind::Moment),
];

/// The lists, rendered.
#[derive(Template)]
#[template(path = "dashboard/live.html")]
pub struct Live {
    href: String,
    tag: String,
    lists: Vec<List>,
}

/// One of the lists.
struct List {
    title: &'static str,
    href: String,
    columns: &'static [Column],
    rows: Vec<Vec<(&'static Column, Cell)>>,
    empty: &'static str,
}

/// What is read for it: three statements for one batch.
pub fn reads(desk: &Desk) -> Vec<Statement> {
    let (scope, page) = (desk.scope(), Page { limit: ROWS, after: None });
    vec![
        // Robots too: among many of them, a few people would be long to find.
        clicks::list(&scope, &Default::default(), None, None, Reach::NEWEST, ROWS),
        conversions::list(&scope, &Default::default(), &page),
        commissions::list(&scope, &Default::default(), &page),
    ]
}

impl Live {
    /// Of what [`reads`] found. One round trip more, for the names.
    pub async fn of(desk: &Desk, found: &[Vec<Row>]) -> Result<Self, ApiError> {
        let [clicked, converted, earned] = found else {
            return Err(ApiError::Internal("a batch of three gave another number of results".to_owned()));
        };
        let newest = usize::try_from(ROWS).unwrap_or(0);
        let objects = |rows: &[Row], shape: &dyn Fn(&Row) -> Result<Json, DbError>| -> Result<Vec<Json>, DbError> {
            rows.iter().take(newest).map(shape).collect()
        };
        let clicked = objects(clicked, &|row| Ok(shapes::click(&clicks::decode(row)?)))?;
        let converted = objects(converted, &|row| {
            let (conversion, commission) = conversions::decode(row)?;
            Ok(shapes::conversion(&conversion, desk.mode, commission.as_deref()))
        })?;
        let earned = objects(earned, &|row| Ok(shapes::commission(&commissions::decode(row)?, desk.mode)))?;
        let names = Names::of(desk, &[clicked.as_slice(), &converted, &earned].concat()).await?;
        let list = |title, page: &'static str, columns: &'static [Column], objects: &[Json], empty| {
            let row = |object: &Json| {
                columns.iter().map(|of| (of, cell(desk, &names, page, object, of.at, of.kind).short())).collect()
            };
            List { title, href: desk.href(page), columns, rows: objects.iter().map(row).collect(), empty }
        };
        let lists = vec![
            list("Newest conversions", "conversions", CONVERSIONS, &converted, "No conversion yet."),
            list("Newest commissions", "commissions", COMMISSIONS, &earned, "No commission yet."),
            list("Newest clicks", "clicks", CLICKS, &clicked, "No click yet."),
        ];
        let untagged = Self { href: desk.href("live"), tag: String::new(), lists };
        let html = rendered(&untagged)?;
        let digest = hex::encode(Sha256::digest(html));
        Ok(Self { tag: digest.chars().take(32).collect(), ..untagged })
    }

    /// What `If-None-Match` says of it, as JSON: the part asks with it by itself, so that it hears of a 304.
    fn condition(&self) -> String {
        serde_json::json!({ "If-None-Match": self.entity_tag() }).to_string()
    }

    fn entity_tag(&self) -> String {
        format!("W/\"{}\"", self.tag)
    }
}

/// `GET …/live`: the part alone; 304 where it is the one that the caller has. Whose session is over is sent to sign in, the whole
/// page and not the part of it.
pub async fn show(desk: Result<Desk, Response>, request: Request) -> Result<Response, ApiError> {
    let desk = match desk {
        Ok(desk) => desk,
        Err(away) if away.status().is_redirection() => {
            let mut over = ApiError::InvalidApiKey("This session is over: sign in again.").into_response();
            over.headers_mut().insert("hx-refresh", HeaderValue::from_static("true"));
            return Ok(over);
        }
        Err(refused) => return Ok(refused),
    };
    let found = desk.app.db.batch(reads(&desk)).await?;
    let live = Live::of(&desk, &found).await?;
    let mut response = match has(request.headers(), &live.tag) {
        true => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        false => super::shown(&desk, &live)?,
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("cookie"));
    if let Ok(tag) = HeaderValue::try_from(live.entity_tag()) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Whether the caller has this one, as its `If-None-Match` says.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|line| line.split(',')).any(|one| one.trim().trim_start_matches("W/").trim_matches('"') == tag)
}

fn rendered(live: &Live) -> Result<String, ApiError> {
    live.render().map_err(|error| ApiError::Internal(format!("a page could not be rendered: {error}")))
}
