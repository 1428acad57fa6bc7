//! Pages for people, rendered from `www/templates`. What is shown is escaped by the templates; what a browser may do with a
//! page is said here.

use askama::Template;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::error::ApiError;

pub mod demo;

mod text;

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
