//! `/api/v1/hosts`: where links may land.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use domain::ids::{self, HostId};
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::idempotency;
use crate::store::{DbError, Row, Scope, links as table};

/// Registers a host: a name, with a port where it has one.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let given = fields.required_text("host", 255);
    let host = normal(&given);
    if host.is_none() && !given.is_empty() {
        fields.error("host", "must be a host alone, such as shop.example or localhost:8787");
    }
    fields.finish()?;
    let host = host.unwrap_or_default();
    let id: HostId = app.fresh(call.now);
    let shown = shape(&scope, id.as_str(), &host, call.now);
    let mut batch = vec![table::insert_host(&scope, &id, &host, call.now)];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shown)),
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict("This host is registered already.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

fn shape(scope: &Scope, id: &str, host: &str, created_at: Instant) -> Json {
    json!({ "id": id, "mode": scope.mode, "host": host, "created_at": created_at.to_string() })
}

/// The host as URLs write it: lower case, IDNA, the default port left out.
fn normal(given: &str) -> Option<String> {
    host_of(&alone(&format!("https://{given}/"))?)
}

/// The host of a page's `Origin`, as a landing page's is compared. Plain HTTP is nobody's but on loopback: whoever sits on
/// the way could have written the page.
pub fn host_of_origin(origin: &str) -> Option<String> {
    let url = alone(&format!("{origin}/"))?;
    let safe = match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(call::is_loopback),
        _ => false,
    };
    safe.then(|| host_of(&url)).flatten()
}

/// The URL, if it names a scheme and a host with its port, and nothing else.
fn alone(url: &str) -> Option<url::Url> {
    let url = url::Url::parse(url).ok()?;
    let stranger = url.username().is_empty() && url.password().is_none();
    (stranger && url.path() == "/" && url.query().is_none() && url.fragment().is_none()).then_some(url)
}

/// `host` or `host:port` of a URL.
pub fn host_of(url: &url::Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

/// A page of hosts.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Host>();
    query.finish()?;
    let show = |row: &Row| Ok(shape(&scope, &row.text("id")?, &row.text("host")?, row.instant("created_at")?));
    listing::page(&app, table::list_hosts(&scope, &page), &page, show).await
}

/// One host.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let show = |row: &Row| Ok(shape(&scope, &row.text("id")?, &row.text("host")?, row.instant("created_at")?));
    let shown = listing::one(&app, table::host_by_id(&scope, &id), show, "host").await?;
    Ok(call::json(StatusCode::OK, &shown))
}

/// Takes a host away.
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let deleted = app.db.batch(vec![table::delete_host(&scope, &id)]).await?;
    if deleted.iter().all(Vec::is_empty) {
        return Err(ApiError::NotFound("host"));
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pages_origin_names_a_host_where_the_page_came_safely() {
        let check = |origin: &str, expected: Option<&str>| {
            assert_eq!(host_of_origin(origin).as_deref(), expected, "{origin:?}");
        };
        check("https://shop.test", Some("shop.test"));
        check("https://SHOP.test", Some("shop.test"));
        check("https://shop.test:443", Some("shop.test"));
        check("https://shop.test:8443", Some("shop.test:8443"));
        check("https://www.shop.test", Some("www.shop.test"));
        check("https://xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("http://localhost:8787", Some("localhost:8787"));
        check("http://localhost", Some("localhost"));
        check("http://127.0.0.1:8787", Some("127.0.0.1:8787"));
        check("http://[::1]:8787", Some("[::1]:8787"));
        for no_page in [
            "",
            "null",
            "shop.test",
            "http://shop.test",
            "http://localhost.evil.test",
            "https://",
            "https://shop.test/",
            "https://shop.test/page",
            "https://shop.test?x",
            "https://shop.test#x",
            "https://user@shop.test",
            "https://shop.test https://other.test",
            "file://",
            "chrome-extension://abcdefgh",
            "data:text/html,x",
        ] {
            check(no_page, None);
        }
    }
}
