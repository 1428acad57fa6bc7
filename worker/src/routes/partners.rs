//! `/api/v1/partners`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::account::Permission;
use domain::ids;
use domain::key::Need;
use http::StatusCode;
use serde_json::json;

use super::listing::{self, Query};
use super::management::{self, Actor};
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::partner_side::{erasure, payee};
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
    let partner = Partner { id: app.fresh(call.now), name, email, erased_at: None, created_at: call.now };
    let shown = shapes::partner(&partner, scope.mode);
    let mut batch = vec![table::insert(&scope, &partner)];
    batch.extend(idempotency::with_deed(&app, &call, StatusCode::CREATED, &shown)?);
    match app.db.batch(batch).await {
        Ok(_) => Ok(call::json(StatusCode::CREATED, &shown)),
        Err(error) => Err(refused(error)),
    }
}

/// The name and the e-mail address, where they are given.
pub fn given(fields: &mut Fields) -> (Option<String>, Option<String>) {
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
    let partner = listing::one(&app, table::by_id(&scope, &id), table::decode, "partner").await?;
    must_not_be_erased(&partner)?;
    Ok(call::json(StatusCode::OK, &shapes::partner(&partner, scope.mode)))
}

/// Of somebody who is erased nothing is changed any more.
pub fn must_not_be_erased(partner: &Partner) -> Result<(), ApiError> {
    match partner.erased_at {
        None => Ok(()),
        Some(_) => Err(ApiError::Conflict("This partner is erased.".to_owned())),
    }
}

/// `GET …/{id}/payout-details`: where the partner wants to be paid, and their tax id, as they said it. Not for viewers.
pub async fn payout_details(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_for(&app, &call, request.headers(), Need::Change).await?;
    if let Actor::Member { membership, .. } = &actor {
        people::allow(membership.role, Permission::Change)?;
    }
    let payee = payee::read(&app, &scope, &id).await?.ok_or(ApiError::NotFound("partner"))?;
    let shown = json!({
        "partner_id": id, "mode": scope.mode, "method": payee.way.as_ref().map(|way| &way.method),
        "details": payee.way.as_ref().map(|way| &way.details), "tax_id": payee.tax_id,
    });
    Ok(call::json(StatusCode::OK, &shown))
}

/// `POST …/{id}/erase`: who they were is replaced by placeholders, for good. What they earned stays.
pub async fn erase(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope) = management::enter_as(&app, &call, request.headers()).await?;
    erasure::one(&app, &call, &scope, &id, actor.person_id()).await?;
    answer_one(&app, &scope, &id).await
}

async fn answer_one(app: &App, scope: &Scope, id: &str) -> Result<Response, ApiError> {
    let partner = listing::one(app, table::by_id(scope, id), table::decode, "partner").await?;
    Ok(call::json(StatusCode::OK, &shapes::partner(&partner, scope.mode)))
}

/// A page of partners; `?q=` narrows it to those whose name or e-mail address begins so, whatever the case. Of a beginning that many
/// share, the first hundred by name and the first hundred by address are looked at, and the answer says `"is_cut": true`.
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
    let Some(prefix) = beginning else {
        let rows = table::list(&scope, &page);
        return listing::page(&app, rows, &page, |row| Ok(shapes::partner(&table::decode(row)?, scope.mode))).await;
    };
    let rows = app.db.rows(table::list_beginning(&scope, &prefix, &page)).await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in &rows {
        let partner = table::decode(row)?;
        shown.push((partner.id.to_string(), shapes::partner(&partner, scope.mode)));
    }
    let mut answer = listing::shape(shown, page.limit);
    answer["is_cut"] = json!(rows.first().map_or(Ok(false), |row| row.flag("is_cut"))?);
    Ok(call::json(StatusCode::OK, &answer))
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
