//! The snippet and other built files.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::error::ApiError;

/// `GET /v1/{file}`: the snippet. The plain name is revalidated; a name with a hash never changes.
pub async fn snippet(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let plain = file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let is_script = plain && (file.starts_with("selgeo") || file.starts_with("trac")) && file.ends_with(".js");
    if !is_script {
        return Err(ApiError::NotFound("path"));
    }
    let mut response = get(&app, &format!("/v1/{file}"), &headers).await?;
    let hashed = file.split('.').count() == 3;
    let cache = if hashed { "public, max-age=31536000, immutable" } else { "public, max-age=300, must-revalidate" };
    let set = response.headers_mut();
    set.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    set.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    // Any page may load it, also one that asks for proof of what it loads.
    set.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    set.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    set.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// `GET /static/{file}`.
pub async fn fixed(
    State(app): State<Arc<App>>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    get(&app, &format!("/static/{file}"), &headers).await
}

async fn get(app: &App, path: &str, headers: &HeaderMap) -> Result<Response, ApiError> {
    app.assets.get(path, headers).await.ok_or(ApiError::NotFound("path"))
}

/// `GET /trac.js`.
pub async fn trac(state: State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    snippet(state, Path("trac.js".to_owned()), headers).await
}
/// `GET /trac-fallback.js`, which `trac.js` asks for from where it came from itself.
pub async fn trac_fallback(state: State<Arc<App>>, headers: HeaderMap) -> Result<Response, ApiError> {
    snippet(state, Path("trac-fallback.js".to_owned()), headers).await
}
