//! A list as a file: CSV (RFC 4180, UTF-8), streamed page by page, so that its length costs no memory.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::response::Response;
use bytes::Bytes;
use domain::payout::csv_cell;
use futures_util::stream;
use http::{HeaderValue, header};
use serde_json::Value as Json;

use super::desk::Desk;
use super::list::{Narrowed, Part, read};
use super::resource::Resource;
use super::resources;
use crate::error::ApiError;

/// Objects that are read at once.
const ROWS_AT_ONCE: usize = 100;
/// Objects in a file: the platform lets one request ask the database so often. The last line says that there are more.
const ROWS_MAX: usize = 20_000;
/// Ends a file of a list that does not look at all that fits.
const CUT: &str = "\"more begin so than are here: type more of it\"\r\n";

struct Position {
    desk: Desk,
    resource: &'static Resource,
    narrowed: Narrowed,
    cursor: Option<String>,
    rows: usize,
    is_over: bool,
}

/// `GET …/{page}/csv`, narrowed as the list is. A column for every field of the first level of what the list shows.
pub async fn csv(
    desk: Desk,
    Path((_, _, page)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let resource = resources::find(&page)?;
    if !resource.csv {
        return Err(ApiError::NotFound("page"));
    }
    let narrowed = Narrowed::of(resource, &request);
    if resource.path == "payouts" {
        return super::payout::csv_of_all(desk, narrowed.query(None)).await;
    }
    // Read before the answer begins: a filter that is refused is a refusal and no broken file.
    let Part { objects: first, next: cursor, is_cut } = read(&desk, resource, &narrowed, None, ROWS_AT_ONCE).await?;
    let mut head: Vec<&str> = resource.facts.iter().chain(resource.columns).map(|column| column.at).collect();
    head.insert(0, "/id");
    let mut seen = std::collections::HashSet::new();
    head.retain(|at| seen.insert(*at));
    let names = head.iter().map(|at| at.trim_start_matches('/').replace('/', "."));
    let mut text = names.collect::<Vec<_>>().join(",") + "\r\n";
    write_rows(&mut text, &head, &first);
    if is_cut && cursor.is_none() {
        text.push_str(CUT);
    }
    let rows = first.len();
    let position = Position { desk, resource, narrowed, is_over: cursor.is_none(), cursor, rows };
    let rest = stream::unfold((position, head), |(mut position, head)| async move {
        if position.is_over {
            return None;
        }
        let chunk = position.next(&head).await;
        position.is_over |= chunk.is_err();
        Some((chunk, (position, head)))
    });
    let first = stream::once(std::future::ready(Ok::<Bytes, std::io::Error>(Bytes::from(text))));
    let mut response = Response::new(Body::from_stream(futures_util::StreamExt::chain(first, rest)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}.csv\"", resource.path)) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

impl Position {
    async fn next(&mut self, head: &[&str]) -> Result<Bytes, std::io::Error> {
        let mut text = String::new();
        if self.rows >= ROWS_MAX {
            self.is_over = true;
            text.push_str("\"there are more rows: narrow the list by time and export it in parts\"\r\n");
            return Ok(Bytes::from(text));
        }
        let Part { objects, next: cursor, is_cut } =
            read(&self.desk, self.resource, &self.narrowed, self.cursor.as_deref(), ROWS_AT_ONCE)
                .await
                .map_err(|error| std::io::Error::other(error.message()))?;
        self.rows += objects.len();
        self.is_over = cursor.is_none();
        self.cursor = cursor;
        write_rows(&mut text, head, &objects);
        if is_cut && self.is_over {
            text.push_str(CUT);
        }
        Ok(Bytes::from(text))
    }
}

fn write_rows(text: &mut String, head: &[&str], objects: &[Json]) {
    for object in objects {
        for (at, pointer) in head.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let cell = match object.pointer(pointer) {
                None | Some(Json::Null) => String::new(),
                Some(Json::String(text)) => csv_cell(text),
                Some(other @ (Json::Number(_) | Json::Bool(_))) => other.to_string(),
                Some(other) => csv_cell(&other.to_string()),
            };
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{cell}");
        }
        text.push_str("\r\n");
    }
}
