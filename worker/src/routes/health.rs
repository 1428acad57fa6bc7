//! `GET /healthz`: whether the database answers and is migrated.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::json;

use crate::app::App;
use crate::call;
use crate::error::ApiError;
use crate::store::schema;

/// `{"status":"ok"}` once the database answers and the newest migration has run.
pub async fn check(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    match app.db.rows(schema::is_migrated()).await {
        Ok(_) => Ok(call::json(StatusCode::OK, &json!({ "status": "ok" }))),
        Err(error) => Err(ApiError::Unavailable(error.to_string())),
    }
}
