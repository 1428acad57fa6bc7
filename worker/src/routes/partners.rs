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
use crate::fields::Fields;
use crate::shapes;
use crate::store::partners::{self as table, Partner};
use crate::store::{DbError, Scope};

/// Makes a partner.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    for name in ["name", "email"] {
        if fields.raw(name).is_none() {
            fields.error(name, "is required");
        }
    }
    let (name, email) = given(&mut fields);
    fields.finish()?;
    let (name, email) = (name.unwrap_or_default(), email.unwrap_or_default());
    let partner = Partner { id: app.fresh(call.now), name, email, created_at: call.now };
    match app.db.batch(vec![table::insert(&scope, &partner)]).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shapes::partner(&partner, scope.mode))),
        Err(error) => Err(refused(error)),
    }
}

/// The name and the e-mail address, where they are given.
fn given(fields: &mut Fields) -> (Option<String>, Option<String>) {
    let name = fields.text("name", 200);
    let email = fields.text("email", 254).map(|email| email.trim().to_lowercase());
    if email.as_ref().is_some_and(|email| domain::email::hash_email(b"form only", email).is_none()) {
        fields.error("email", "must be an e-mail address");
    }
    (name, email)
}

fn refused(error: DbError) -> ApiError {
    match error {
        DbError::Constraint(_) => ApiError::Conflict("A partner has this e-mail address already.".to_owned()),
        error => error.into(),
    }
}

/// Changes the name or the e-mail address.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let (name, email) = given(&mut fields);
    fields.finish()?;
    let changed = table::change(&scope, &id, name.as_ref(), email.as_ref());
    app.db.batch(vec![changed]).await.map_err(refused)?;
    answer_one(&app, &scope, &id).await
}

async fn answer_one(app: &App, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let partner = listing::one(app, table::by_id(scope, id), table::decode, "partner").await?;
    Ok(call::json(StatusCode::OK, &shapes::partner(&partner, scope.mode)))
}

/// A page of partners; `?q=` narrows it to those whose name or e-mail address begins so, whatever the case.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let beginning = query.text("q");
    let page = query.page::<ids::Partner>();
    query.finish()?;
    let rows = table::list(&scope, beginning.as_ref(), &page);
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
    answer_one(&app, &scope, &id).await
}
