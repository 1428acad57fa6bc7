//! `/operator/v1/…`: what only the operator of the deployment may do, with the token that only the deployment knows.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::SET_UP_LINK_LIVES_MS;
use domain::ids::WorkspaceId;
use domain::key::{ALL_SCOPES, KeyKind};
use domain::mode::Mode;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, json};

pub mod health;
pub mod workspaces;

use super::api_keys::new_key;
use super::{listing, management};
use crate::app::App;
use crate::auth::{self, people};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::replay::{self, Cursor, Wanted};
use crate::store::accounts::Address;
use crate::store::workspaces::Limits;
use crate::store::{Home, Statement, accounts, keys, workspaces as table};

/// A replay's cursor is about half as long.
const CURSOR_CHARS_MAX: usize = 1_000;

/// Makes a workspace with a key of each kind and mode. The secret keys are shown here and never again. With `owner_email`, that
/// person is its first owner, and the answer has the link by which they sign in for the first time, also shown only here.
pub async fn create_workspace(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let name = fields.required_text("name", 100);
    let limits = limits(&mut fields);
    let owner = owner(&app, &mut fields).await?;
    let database = fields.integer("database", 0, i64::from(u8::MAX)).and_then(|index| u8::try_from(index).ok());
    if database.is_some_and(|index| !app.db.has(index)) {
        fields.error("database", "must be the index of a database of this deployment, from 0");
    }
    fields.finish()?;
    let database = match database {
        Some(database) => database,
        None => app.db.roomiest().await?,
    };
    let id = app.fresh_workspace(database, call.now);
    let own = table::insert(&id, &name, limits, call.now);
    // Its own database first: what the directory lists is there.
    let mut listed = match database {
        0 => Vec::new(),
        _ => vec![own.clone().at(Home::Directory)],
    };
    let set_up_url = owner.map(|owner| set_up(&app, &call, &id, &owner, &mut listed));
    let mut batch = vec![own];
    let mut shown = Map::new();
    for (kind, mode) in [
        (KeyKind::Public, Mode::Test),
        (KeyKind::Secret, Mode::Test),
        (KeyKind::Public, Mode::Live),
        (KeyKind::Secret, Mode::Live),
    ] {
        let key = new_key(&app, kind, mode)?;
        batch.push(keys::insert(&app.fresh(call.now), &id, &key, &ALL_SCOPES, call.now)?);
        let label = if kind == KeyKind::Public { "pk" } else { "sk" };
        shown.insert(format!("{label}_{mode}"), json!(key.as_str()));
    }
    if database == 0 {
        batch.append(&mut listed);
    }
    app.db.batch(batch).await?;
    app.db.batch(listed).await?;
    let created_at = call.now.to_string();
    let mut answer = json!({ "id": id, "name": name, "database": database, "keys": shown, "created_at": created_at });
    if let Some(url) = set_up_url {
        answer["set_up_url"] = json!(url);
    }
    Ok(call::json(StatusCode::CREATED, &answer))
}

/// Makes somebody an owner of a workspace: its first one, or one more where all were lost. The answer alone has their link.
pub async fn add_owner(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let owner = owner(&app, &mut fields).await?;
    if fields.raw("owner_email").is_none() {
        fields.error("owner_email", "is required");
    }
    fields.finish()?;
    let workspace: WorkspaceId = listing::one(&app, table::by_id(&id), table::decode_id, "workspace").await?;
    let mut batch = Vec::new();
    let set_up_url = owner.map(|owner| set_up(&app, &call, &workspace, &owner, &mut batch));
    app.db.batch(batch).await?;
    Ok(call::json(StatusCode::CREATED, &json!({ "workspace_id": workspace, "set_up_url": set_up_url })))
}

async fn owner(app: &App, fields: &mut Fields) -> Result<Option<Address>, ApiError> {
    let Some(email) = fields.text("owner_email", 254) else { return Ok(None) };
    let address = people::kept_address(app, &people::normal(&email)).await?;
    if address.is_none() {
        fields.error("owner_email", "must be an e-mail address");
    }
    Ok(address)
}

/// Makes the person an owner, and a link for them; gives its address.
fn set_up(app: &App, call: &Call, workspace: &WorkspaceId, owner: &Address, batch: &mut Vec<Statement>) -> String {
    let (now, token) = (call.now, people::token(app));
    batch.push(accounts::insert_person(&app.fresh(now), owner, "", now));
    batch.push(accounts::make_owner(&app.fresh(now), workspace, &owner.hash, now));
    batch.push(accounts::insert_link(&token.digest(), owner, Some("/app"), now.plus_ms(SET_UP_LINK_LIVES_MS), now));
    people::link_url(&call.origin, &token)
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

fn limits(fields: &mut Fields) -> Limits {
    let (default, given) = (Limits::default(), workspaces::limits_given(fields));
    Limits {
        clicks: given.clicks.unwrap_or(default.clicks),
        conversions: given.conversions.unwrap_or(default.conversions),
        other: given.other.unwrap_or(default.other),
    }
}

#[cfg(test)]
mod tests;
