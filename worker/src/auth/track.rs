//! Who reports leads and sales over Traaaction's surface: a secret key, or what anybody can know.

use domain::ids::WorkspaceId;
use domain::key::{ApiKey, KeyKind, Need};
use domain::mode::Mode;
use domain::sale::Tracked;
use http::{HeaderMap, header};

use super::{KEY_BELIEVED_MS, Zone};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::routes::hosts;
use crate::store::workspaces::{self, Tracking};
use crate::store::{Scope, Statement};

/// Carries a public key.
pub const KEY_HEADER: &str = "x-publishable-key";
/// Carries a workspace's id.
pub const WORKSPACE_HEADER: &str = "x-workspace-id";

const NO_CREDENTIAL: ApiError = ApiError::InvalidApiKey(
    "Send a public key (pk_…) as x-publishable-key, or a key as Authorization: Bearer, or register the page's host in live mode.",
);

/// A caller who is let in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// In which workspace and mode.
    pub scope: Scope,
    /// What its word weighs.
    pub tracked: Tracked,
}

/// Lets a caller in: 401, then 403 for a workspace whose id does not suffice, then 429, then 403 for one that
/// is suspended. Whoever sends a credential is judged by it, however
/// wrong it is; of several, by the first of public key, bearer and workspace.
pub async fn enter(app: &App, call: &Call, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
    if let Some(key) = text(KEY_HEADER) {
        return public(app, call, key).await;
    }
    if headers.contains_key(header::AUTHORIZATION) {
        let token = super::bearer(headers).unwrap_or_default();
        if ApiKey::parse(token).is_some_and(|key| key.kind() == KeyKind::Public) {
            return public(app, call, token).await;
        }
        let access = super::secret(app, call, headers, Zone::Other, Need::Report).await?;
        let scope = Scope { workspace_id: access.workspace_id, mode: access.mode };
        return Ok(Caller { scope, tracked: Tracked::Authenticated });
    }
    if let Some(id) = text(WORKSPACE_HEADER) {
        return by_workspace_id(app, call, id).await;
    }
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    // What can be no host of anybody's costs nothing.
    let host = origin.and_then(hosts::host_of_origin).ok_or(NO_CREDENTIAL)?;
    match tracking(app, call, format!("host/{host}"), workspaces::tracking_by_host(&host)).await? {
        Some(found) => keyless(app, call, found).await,
        None => Err(super::refused(app, call, NO_CREDENTIAL).await),
    }
}

async fn public(app: &App, call: &Call, token: &str) -> Result<Caller, ApiError> {
    let key = ApiKey::parse(token).filter(|key| key.kind() == KeyKind::Public);
    let found = match &key {
        Some(key) if !super::remembers(&app.keys.known, &key.digest()) && super::is_blocked(app, call) => {
            return Err(ApiError::RateLimitExceeded { retry_after_s: 60 });
        }
        Some(key) => super::lookup(app, call.now, key).await?,
        None => None,
    };
    let Some(row) = found else {
        return Err(super::refused(app, call, super::why_not(token, KeyKind::Public)).await);
    };
    let is_suspended = row.is_suspended;
    let access = super::admit(app, call, row, Zone::Other).await?;
    super::not_suspended(is_suspended)?;
    let scope = Scope { workspace_id: access.workspace_id, mode: access.mode };
    Ok(Caller { scope, tracked: Tracked::Public })
}

async fn by_workspace_id(app: &App, call: &Call, id: &str) -> Result<Caller, ApiError> {
    const UNKNOWN: ApiError =
        ApiError::InvalidApiKey("No workspace has this id; it stands in the dashboard, under Settings.");
    let name = format!("workspace/{id}");
    let found = match WorkspaceId::parse(id) {
        Some(_) if !super::remembers(&app.keys.tracking, &name) && super::is_blocked(app, call) => {
            return Err(ApiError::RateLimitExceeded { retry_after_s: 60 });
        }
        Some(id) => tracking(app, call, name, workspaces::tracking(&id)).await?,
        None => None,
    };
    match found {
        Some(found) if found.by_workspace_id => keyless(app, call, found).await,
        Some(_) => {
            let why = "This workspace takes no x-workspace-id. Send a public key as x-publishable-key; or an owner switches it on in the \
                dashboard, under Settings, Leads and sales by workspace id.";
            Err(super::refused(app, call, ApiError::Forbidden(why.to_owned())).await)
        }
        None => Err(super::refused(app, call, UNKNOWN).await),
    }
}

/// Without a key it is live mode.
async fn keyless(app: &App, call: &Call, found: Tracking) -> Result<Caller, ApiError> {
    super::count(app, call, &super::other(call, &found.workspace_id), found.other_per_minute).await?;
    super::not_suspended(found.is_suspended)?;
    let scope = Scope { workspace_id: found.workspace_id, mode: Mode::Live };
    Ok(Caller { scope, tracked: Tracked::Public })
}

/// The one workspace of that name; of two, neither. One whose id does not suffice is asked for again each time: it may from now on.
async fn tracking(app: &App, call: &Call, name: String, ask: Statement) -> Result<Option<Tracking>, ApiError> {
    let remembered = app.keys.tracking.lock().ok().and_then(|known| known.get(&name).cloned());
    if let Some((found, until)) = remembered
        && (1..=KEY_BELIEVED_MS).contains(&until.since_ms(call.now))
    {
        return Ok(Some(found));
    }
    let rows = app.db.rows(ask).await?;
    let Some(row) = super::only(&rows)? else { return Ok(None) };
    let found = workspaces::decode_tracking(row)?;
    if found.by_workspace_id || name.starts_with("host/") {
        super::remember(&app.keys.tracking, name, found.clone(), call.now);
    }
    Ok(Some(found))
}
