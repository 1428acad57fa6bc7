//! What the operator sees and changes of workspaces: all of them, their limits, and whether one is suspended.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::WorkspaceId;
use domain::mode::Mode;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::enter;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::known;
use crate::routes::listing::{self, Query};
use crate::routes::management;
use crate::store::Scope;
use crate::store::workspaces::{self as table, Ordered, Workspace};

/// A limit may be this high: the bench workspace is never refused.
const LIMIT_MAX: i64 = 1_000_000_000;

/// `GET /operator/v1/workspaces`: all of them, of each database the newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<domain::ids::Workspace>();
    query.finish()?;
    listing::page(&app, table::list(&page), &page, |row| Ok(shape(&table::decode(row)?))).await
}

/// `GET /operator/v1/workspaces/{id}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    shown(&app, &id).await
}

/// `PATCH /operator/v1/workspaces/{id}` with some of `limits`, or with `suspended`. Both hold everywhere within 60 seconds: whoever
/// remembers a key or a link asks again by then.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    enter(&app, &call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let mut ordered = limits_given(&mut fields);
    ordered.suspended = fields.boolean("suspended");
    fields.finish()?;
    let workspace: WorkspaceId = listing::one(&app, table::by_id(&id), table::decode_id, "workspace").await?;
    app.db.batch(vec![table::order(&workspace, ordered, call.now)]).await?;
    if ordered.suspended.is_some() {
        for mode in [Mode::Test, Mode::Live] {
            known::links_changed(&app, call.now, &Scope { workspace_id: workspace.clone(), mode }).await;
        }
    }
    shown(&app, &id).await
}

async fn shown(app: &App, id: &str) -> Result<Response, ApiError> {
    let workspace = listing::one(app, table::by_id(id), table::decode, "workspace").await?;
    Ok(call::json(StatusCode::OK, &shape(&workspace)))
}

fn shape(workspace: &Workspace) -> Json {
    let limits = workspace.limits;
    json!({
        "id": workspace.id,
        "name": workspace.name,
        "database": workspace.id.database(),
        "limits": {
            "clicks_per_minute": limits.clicks,
            "conversions_per_minute": limits.conversions,
            "other_per_minute": limits.other,
        },
        "clicks_kept_days": workspace.clicks_kept_days,
        "suspended_at": workspace.suspended_at.map(|at| at.to_string()),
        "created_at": workspace.created_at.to_string(),
    })
}

/// Those limits that a body gives.
pub(super) fn limits_given(fields: &mut Fields) -> Ordered {
    let Some(object) = fields.raw("limits").cloned() else {
        return Ordered::default();
    };
    let Some(object) = object.as_object() else {
        fields.error("limits", "must be an object");
        return Ordered::default();
    };
    let mut nested = Fields::of(object.clone());
    let mut read = |name: &str| nested.integer(name, 1, LIMIT_MAX);
    let ordered = Ordered {
        clicks: read("clicks_per_minute"),
        conversions: read("conversions_per_minute"),
        other: read("other_per_minute"),
        suspended: None,
    };
    fields.absorb("limits", nested);
    ordered
}
