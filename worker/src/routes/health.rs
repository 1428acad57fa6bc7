//! `GET /healthz`: whether the database answers and is migrated.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::app::App;
use crate::call;
use crate::error::ApiError;
use crate::store::Statement;

/// `{"status":"ok"}` once the newest migration's columns are there (`decisions.digest`).
pub async fn check(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let statement = Statement::new("SELECT count(digest) AS digests FROM (SELECT digest FROM decisions LIMIT 1)");
    match app.db.rows(statement).await {
        Ok(_) => Ok(call::json(StatusCode::OK, &json!({ "status": "ok" }))),
        Err(error) => Err(ApiError::Unavailable(error.to_string())),
    }
}
