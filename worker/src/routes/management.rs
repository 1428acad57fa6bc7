//! What every management path does first: let the caller in, and read a body.

use axum::body::HttpBody as _;
use axum::extract::Request;
use http::{HeaderMap, header};
use serde_json::Map;

use crate::app::App;
use crate::auth::{self, Zone};
use crate::call::{self, BODY_BYTES_MAX, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::store::Scope;

/// A caller with a secret key, in the zone of every other path: 401, then 429.
pub async fn enter(app: &App, call: &Call, headers: &HeaderMap) -> Result<Scope, ApiError> {
    let access = auth::secret(app, call, headers, Zone::Other).await?;
    Ok(Scope { workspace_id: access.workspace_id, mode: access.mode })
}

/// The same, and a JSON body: 413, 415, 400.
pub async fn enter_with_body(app: &App, call: &Call, request: Request) -> Result<(Scope, Fields), ApiError> {
    let scope = enter(app, call, request.headers()).await?;
    Ok((scope, json_body(request).await?))
}

/// A JSON body: 413, 415, 400.
pub async fn json_body(request: Request) -> Result<Fields, ApiError> {
    let is_json = call::has_media_type(request.headers(), &["application/json"]);
    let body = call::body(request, BODY_BYTES_MAX).await?;
    if !is_json {
        return Err(ApiError::UnsupportedMediaType("application/json"));
    }
    Fields::parse(&body)
}

/// The same, of a request that may also come without a body.
pub async fn json_body_or_nothing(request: Request) -> Result<Fields, ApiError> {
    let empty = request.headers().get(header::CONTENT_TYPE).is_none() && request.body().is_end_stream();
    if empty { Ok(Fields::of(Map::new())) } else { json_body(request).await }
}

#[cfg(test)]
mod tests;
