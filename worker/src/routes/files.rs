//! The snippet, the guides and other built files.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use self::coding::Coding;
use crate::app::App;
use crate::error::ApiError;

mod coding;

/// What the scripts' names begin with.
const SCRIPTS: [&str; 2] = ["selgeo", "trac"];

/// Of the guides, which run no script and send no form.
const GUIDES_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

/// `GET /v1/{file}`: a script. The plain name is revalidated; a name with a hash never changes.
pub async fn script(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    if !plain || !file.ends_with(".js") || !SCRIPTS.iter().any(|name| file.starts_with(name)) {
        return Err(ApiError::NotFound("path"));
    }
    send(&app, &file, &headers).await
}

/// `GET /trac.js`: where Traaaction's pages look for their script.
pub async fn trac(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    send(&app, "trac.js", &headers).await
}

/// `GET /trac-fallback.js`, which `trac.js` asks for from where it came from itself.
pub async fn trac_fallback(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    send(&app, "trac-fallback.js", &headers).await
}

/// `GET /openapi.json`: the API's description, for any page.
pub async fn description(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = get(&app, "/openapi.json").await?;
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    Ok(unless_held(response, &headers))
}

/// `GET /llms.txt`: what there is to read.
pub async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut response = get(&app, "/llms.txt").await?;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(unless_held(response, &headers))
}

async fn send(app: &App, file: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let (stored, coding) = stored(app, &format!("/v1/{file}"), headers).await?;
    // Nothing of what the store says of the file but its ETag, of which each form has its own.
    let etag = stored.headers().get(header::ETAG).cloned();
    let mut response = Response::new(stored.into_body());
    let set = response.headers_mut();
    let hashed = file.split('.').count() == 3;
    let cache = if hashed { "public, max-age=31536000, immutable" } else { "public, max-age=300, must-revalidate" };
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    set.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    set.extend(etag.map(|etag| (header::ETAG, etag)));
    set.extend(coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()))));
    // Any page may load it, also one that asks for proof of what it loads.
    set.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    set.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    set.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(unless_held(response, headers))
}

/// The file in the form that the caller likes best; plain where the build made no other.
async fn stored(app: &App, path: &str, headers: &HeaderMap) -> Result<(Response, Option<Coding>), ApiError> {
    if let Some(coding) = coding::preferred(headers)
        && let Some(file) = app.assets.get(&format!("{path}{}", coding.suffix())).await
    {
        return Ok((file, Some(coding)));
    }
    Ok((get(app, path).await?, None))
}

/// `GET /static/{file}`.
pub async fn fixed(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    Ok(unless_held(get(&app, &format!("/static/{file}")).await?, &headers))
}

/// `GET /docs`: all guides.
pub async fn guides(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    guide_at(&app, "/docs/", &headers).await
}

/// `GET /docs/{name}`.
pub async fn guide(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    // The store leads from further names to the same pages. Each has one address here.
    if name == "index" || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
        return Err(ApiError::NotFound("guide"));
    }
    guide_at(&app, &format!("/docs/{name}"), &headers).await
}

async fn guide_at(app: &App, path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    let mut response = app.assets.get(path).await.ok_or(ApiError::NotFound("guide"))?;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=300, must-revalidate"),
        (header::CONTENT_SECURITY_POLICY, GUIDES_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(unless_held(response, headers))
}

async fn get(app: &App, path: &str) -> Result<Response, ApiError> {
    app.assets.get(path).await.ok_or(ApiError::NotFound("path"))
}

/// 304 and no body where the caller holds what would be sent.
fn unless_held(mut response: Response, headers: &HeaderMap) -> Response {
    let Some(etag) = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok()) else {
        return response;
    };
    // Compared weakly: whoever compresses or unpacks on the way marks an ETag with `W/`.
    let opaque = |etag: &str| etag.trim().trim_start_matches("W/").to_owned();
    let ours = opaque(etag);
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    if given.flat_map(|list| list.split(',')).map(opaque).any(|held| held == ours || held == "*") {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::empty();
        for described in [header::CONTENT_ENCODING, header::CONTENT_LENGTH, header::CONTENT_TYPE] {
            response.headers_mut().remove(described);
        }
    }
    response
}

#[cfg(test)]
mod tests;
