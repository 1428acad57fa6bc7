//! `/operator/v1/…`: what only the operator of the deployment may do, with the token that only the deployment knows.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::WorkspaceId;
use domain::key::{ApiKey, KeyKind};
use domain::mode::Mode;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, json};

use super::{listing, management};
use crate::app::App;
use crate::auth;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::replay::{self, Cursor, Wanted};
use crate::store::workspaces::Limits;
use crate::store::{keys, workspaces};

/// A limit may be this high: the bench workspace is never refused.
const LIMIT_MAX: i64 = 1_000_000_000;
/// A replay's cursor is about half as long.
const CURSOR_CHARS_MAX: usize = 1_000;

/// Makes a workspace with a key of each kind and mode. The secret keys are shown here and never again.
pub async fn create_workspace(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let name = fields.required_text("name", 100);
    let limits = limits(&mut fields);
    fields.finish()?;
    let id: WorkspaceId = app.fresh(call.now);
    let mut batch = vec![workspaces::insert(&id, &name, limits, call.now)];
    let mut shown = Map::new();
    for (kind, mode) in [
        (KeyKind::Public, Mode::Test),
        (KeyKind::Secret, Mode::Test),
        (KeyKind::Public, Mode::Live),
        (KeyKind::Secret, Mode::Live),
    ] {
        let key = new_key(&app, kind, mode)?;
        batch.push(keys::insert(&app.fresh(call.now), &id, &key, call.now));
        let label = if kind == KeyKind::Public { "pk" } else { "sk" };
        shown.insert(format!("{label}_{mode}"), json!(key.as_str()));
    }
    app.db.batch(batch).await?;
    let created_at = call.now.to_string();
    Ok(call::json(StatusCode::CREATED, &json!({ "id": id, "name": name, "keys": shown, "created_at": created_at })))
}

/// Runs one page of a replay, which reads and writes nothing: of one workspace and mode where they are given, else of all.
/// With `next_cursor`, the next page; the last one's `digest` is the whole's.
pub async fn replay(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body_or_nothing(request).await?;
    let wanted = Wanted {
        workspace_id: fields.id("workspace_id"),
        mode: fields.word("mode", &["test", "live"], Mode::parse),
        ..Wanted::everything()
    };
    let cursor = fields.text("cursor", CURSOR_CHARS_MAX).map(|text| opened(&text));
    if cursor == Some(None) {
        fields.error("cursor", "must be the next_cursor of a page of a replay");
    }
    fields.finish()?;
    let page = replay::page(&app, &wanted, cursor.flatten()).await?;
    let mut answer = json!(page.report);
    answer["next_cursor"] = json!(page.next.map(|next| listing::cursor(&json!(next).to_string())));
    Ok(call::json(StatusCode::OK, &answer))
}

fn opened(cursor: &str) -> Option<Cursor> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// Lets the operator in: 401, or 429 for a stranger who tries too often.
async fn enter(app: &App, call: &Call, headers: &HeaderMap) -> Result<(), ApiError> {
    if auth::bearer(headers).is_some_and(|token| app.secrets.is_operator(token)) {
        return Ok(());
    }
    if !app.limiter.stranger(&call.peer.address).await {
        return Err(ApiError::RateLimitExceeded { retry_after_s: 60 });
    }
    Err(ApiError::InvalidApiKey("Send the operator's token as Authorization: Bearer."))
}

fn new_key(app: &App, kind: KeyKind, mode: Mode) -> Result<ApiKey, ApiError> {
    let mut random = [0; 64];
    app.random.fill(&mut random);
    ApiKey::make(kind, mode, &random).ok_or_else(|| ApiError::Unavailable("64 random bytes made no key".to_owned()))
}

fn limits(fields: &mut Fields) -> Limits {
    let default = Limits::default();
    let Some(object) = fields.raw("limits").cloned() else {
        return default;
    };
    let Some(object) = object.as_object() else {
        fields.error("limits", "must be an object");
        return default;
    };
    let mut nested = Fields::of(object.clone());
    let mut read = |name: &str, default: i64| nested.integer(name, 1, LIMIT_MAX).unwrap_or(default);
    let limits = Limits {
        clicks: read("clicks_per_minute", default.clicks),
        conversions: read("conversions_per_minute", default.conversions),
        other: read("other_per_minute", default.other),
    };
    fields.absorb("limits", nested);
    limits
}
