//! `/api/v1/partners`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::DbError;
use crate::store::partners::{self as table, Partner};

/// Makes a partner.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let name = fields.required_text("name", 200);
    let email = fields.required_text("email", 254).trim().to_lowercase();
    if !email.is_empty() && domain::email::hash_email(b"form only", &email).is_none() {
        fields.error("email", "must be an e-mail address");
    }
    fields.finish()?;
    let partner = Partner { id: app.fresh(call.now), name, email, created_at: call.now };
    match app.db.batch(vec![table::insert(&scope, &partner)]).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shapes::partner(&partner, scope.mode))),
        Err(DbError::Constraint(_)) => Err(ApiError::Conflict("A partner has this e-mail address already.".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// A page of partners.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let page = query.page::<ids::Partner>();
    query.finish()?;
    let rows = table::list(&scope, &page);
    listing::page(&app, rows, &page, |row| Ok(shapes::partner(&table::decode(row)?, scope.mode))).await
}

/// One partner.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let partner = listing::one(&app, table::by_id(&scope, &id), table::decode, "partner").await?;
    Ok(call::json(StatusCode::OK, &shapes::partner(&partner, scope.mode)))
}
