//! Lists: `?limit=` and `?cursor=` in, `{"data":[…],"next_cursor":…}` out; and the filters of a query string.

use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{Id, Kind};
use domain::time::Instant;
use http::{StatusCode, Uri};
use serde_json::{Value as Json, json};

use crate::app::App;
use crate::call;
use crate::error::{ApiError, FieldError};
#[cfg(test)]
use crate::openapi::asked::{Asked, of_query};
use crate::store::page::Page;
use crate::store::{DbError, Row, Statement};

/// Rows in a page, when the caller does not say.
const LIMIT_DEFAULT: i64 = 50;
/// Rows in a page, at most.
const LIMIT_MAX: i64 = 100;
/// A filter's value, at most.
const VALUE_CHARS_MAX: usize = 255;

/// A query string, read parameter by parameter.
pub struct Query {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Of a request's URI.
    pub fn of(uri: &Uri) -> Self {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or("").as_bytes()).into_owned().collect();
        Self { pairs, errors: Vec::new() }
    }

    fn error(&mut self, field: &str, message: String) {
        self.errors.push(FieldError { field: field.to_owned(), message });
    }

    /// A text; empty equals absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        #[cfg(test)]
        of_query(name, Asked::Text(VALUE_CHARS_MAX, true));
        let value = self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())?;
        if value.chars().count() > VALUE_CHARS_MAX {
            self.error(name, format!("must have at most {VALUE_CHARS_MAX} characters"));
            return None;
        }
        Some(value).filter(|value| !value.is_empty())
    }

    /// An instant.
    pub fn instant(&mut self, name: &str) -> Option<Instant> {
        #[cfg(test)]
        of_query(name, Asked::Time);
        let text = self.text(name)?;
        match Instant::parse(&text) {
            Ok(instant) => Some(instant),
            Err(error) => {
                self.error(name, error.to_string());
                None
            }
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        #[cfg(test)]
        of_query(name, Asked::Boolean);
        match self.text(name)?.as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => {
                self.error(name, "must be true or false".to_owned());
                None
            }
        }
    }

    /// One of a few words.
    pub fn word(&mut self, name: &str, words: &[&str]) -> Option<String> {
        #[cfg(test)]
        of_query(name, Asked::Word(words.iter().map(|word| (*word).to_owned()).collect()));
        let text = self.text(name)?;
        if !words.contains(&text.as_str()) {
            self.error(name, format!("must be one of {}", words.join(", ")));
            return None;
        }
        Some(text)
    }

    /// How many rows.
    pub fn limit(&mut self) -> i64 {
        self.integer("limit", 1, LIMIT_MAX).unwrap_or(LIMIT_DEFAULT)
    }

    /// A whole number within bounds.
    pub fn integer(&mut self, name: &str, min: i64, max: i64) -> Option<i64> {
        #[cfg(test)]
        of_query(name, Asked::Integer(min, max));
        let text = self.text(name)?;
        let whole = text.parse::<i64>().ok().filter(|whole| (min..=max).contains(whole));
        if whole.is_none() {
            self.error(name, format!("must be a whole number from {min} to {max}"));
        }
        whole
    }

    /// What [`cursor`] wrote, read back to a place in this list. One of another list is refused: it would begin anywhere.
    pub fn cursor<T>(&mut self, place: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text("cursor")?;
        let opened = URL_SAFE_NO_PAD
            .decode(&text)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| place(&text));
        if opened.is_none() {
            self.error("cursor", "must be the next_cursor of a page of this list".to_owned());
        }
        opened
    }

    /// The page asked for, of a list that goes by ids of this kind.
    pub fn page<K: Kind>(&mut self) -> Page {
        Page { limit: self.limit(), after: self.cursor(Id::<K>::parse).map(String::from) }
    }

    /// All errors, or none.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ApiError::fields(self.errors)) }
    }
}

/// Opaque to clients: where the next page begins.
pub fn cursor(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// A page of objects of one kind: what a list's statement gives, each row shown with its `id`, by which the list goes.
pub async fn page(
    app: &App,
    statement: Statement,
    page: &Page,
    show: impl Fn(&Row) -> Result<Json, DbError>,
) -> Result<Response, ApiError> {
    let mut shown = Vec::new();
    for row in &app.db.rows(statement).await? {
        let shape = show(row)?;
        let place = shape["id"].as_str().unwrap_or_default().to_owned();
        shown.push((place, shape));
    }
    Ok(answer(shown, page.limit))
}

/// One object of a kind, or 404 that names it.
pub async fn one<T>(
    app: &App,
    statement: Statement,
    decode: impl FnOnce(&Row) -> Result<T, DbError>,
    kind: &'static str,
) -> Result<T, ApiError> {
    first(&app.db.rows(statement).await?, decode, kind)
}

/// The one object that these rows hold, or 404 that names its kind.
pub fn first<T>(
    rows: &[Row],
    decode: impl FnOnce(&Row) -> Result<T, DbError>,
    kind: &'static str,
) -> Result<T, ApiError> {
    rows.first().map(decode).transpose()?.ok_or(ApiError::NotFound(kind))
}

/// A page of rows that were read one too many: the surplus one only says that there is a next page.
pub fn answer(rows: Vec<(String, Json)>, limit: i64) -> Response {
    call::json(StatusCode::OK, &shape(rows, limit))
}

/// The same of a list that may have been looked through only down to a place: what is found then may be less than a page, and the
/// next one goes on from there.
pub fn answer_until(rows: Vec<(String, Json)>, limit: i64, until: Option<String>) -> Response {
    let mut page = shape(rows, limit);
    if page["next_cursor"].is_null() {
        page["next_cursor"] = json!(until.as_deref().map(cursor));
    }
    call::json(StatusCode::OK, &page)
}

/// The same, to be added to.
pub fn shape(rows: Vec<(String, Json)>, limit: i64) -> Json {
    let limit = usize::try_from(limit).unwrap_or(0);
    let next_cursor = match rows.get(limit.saturating_sub(1)) {
        Some((place, _)) if rows.len() > limit => Some(cursor(place)),
        _ => None,
    };
    let data: Vec<Json> = rows.into_iter().take(limit).map(|(_, shape)| shape).collect();
    json!({ "data": data, "next_cursor": next_cursor })
}

#[cfg(test)]
mod tests;
