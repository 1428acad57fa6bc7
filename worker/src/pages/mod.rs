//! Pages for people, rendered from `www/templates`. What is shown is escaped by the templates; what a browser may do with a
//! page is said here.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::auth::people;
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::ApiError;

pub mod dashboard;
pub mod demo;
pub mod density;
pub mod dev;
pub mod here;
pub mod join;
mod multipart;
pub mod operator;
pub mod portal;
pub mod seals;
pub mod sign_in;

pub mod text;

/// Of the pages that people sign in for: our own files, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const FORM: &str = "application/x-www-form-urlencoded";

/// A refusal for people, with what to do next.
#[derive(Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    title: &'a str,
    text: &'a str,
    /// Where to go instead: a path and what it is called.
    instead: Option<(&'a str, &'a str)>,
    /// Whether somebody is signed in, who may want to sign out.
    signed_in: Option<&'a str>,
}

/// Whether people look at what is under this path, with a browser.
pub fn is_page(path: &str) -> bool {
    let under = |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["/app", "/docs", "/join", "/partner", "/sign-in", "/sign-out"].into_iter().any(under)
}

/// A refusal as a page, with its status.
pub fn refusal(error: &ApiError, request_id: &str) -> Result<Response, ApiError> {
    let title = match error.status() {
        StatusCode::NOT_FOUND => "There is no such page",
        StatusCode::FORBIDDEN => "This is not for you to do",
        StatusCode::METHOD_NOT_ALLOWED => "This page takes no such request",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "Not available right now",
        StatusCode::INTERNAL_SERVER_ERROR => "Something failed on our side",
        _ => "This could not be done",
    };
    let text = format!("{} (Request {request_id})", error.message());
    private(error.status(), &Problem { title, text: &text, instead: Some(("/", "Back to the start")), signed_in: None })
}

/// A page of somebody's own: nothing of it is told to other origins, not even that it is there.
fn private(status: StatusCode, template: &impl Template) -> Result<Response, ApiError> {
    let mut response = page(status, template, POLICY)?;
    // Not `no-referrer`: under that a browser sends a form with the origin "null".
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// On to a path of ours, with GET.
fn see(path: &str) -> Result<Response, ApiError> {
    let location =
        HeaderValue::try_from(path).map_err(|_| ApiError::Internal("a path is no header value".to_owned()))?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// The form that a page of ours sends: 403, 413, 415.
async fn own_form(call: &Call, headers: &HeaderMap, request: axum::extract::Request) -> Result<Bytes, ApiError> {
    people::must_be_own_page(call, headers)?;
    let body = call::body(request, BODY_BYTES_MAX).await?;
    if !call::has_media_type(headers, &[FORM]) {
        return Err(ApiError::UnsupportedMediaType(FORM));
    }
    Ok(body)
}

/// A field of a form, or of a query, which is written the same; `None` also when it is empty.
fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

/// A field of the query.
fn query(request: &axum::extract::Request, name: &str) -> Option<String> {
    field(request.uri().query().unwrap_or("").as_bytes(), name)
}

/// A page's answer, under its Content-Security-Policy.
fn page(status: StatusCode, template: &impl Template, policy: &'static str) -> Result<Response, ApiError> {
    let html =
        template.render().map_err(|error| ApiError::Internal(format!("a page could not be rendered: {error}")))?;
    let mut response = Response::new(Body::from(html));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not stricter: without any referrer a form would be sent with the origin "null".
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}
