//! `/api/v1/promo-codes`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids::{self, ParticipantId};
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::jobs::Message;
use crate::shapes;
use crate::store::links::{self as table, PromoCode};
use crate::store::{DbError, Row, families};

/// Makes a promo code.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let participant_id: Option<ParticipantId> = fields.id("participant_id");
    if fields.raw("participant_id").is_none() {
        fields.error("participant_id", "is required");
    }
    let given = fields.required_text("code", 100);
    let code = given.trim().to_owned();
    if code.is_empty() && !given.is_empty() {
        fields.error("code", "must not be white space alone");
    }
    let stripe_promotion_code_id = promotion_code_id(&mut fields);
    fields.finish()?;
    let Some(participant_id) = participant_id else {
        return Err(ApiError::field("participant_id", "is required"));
    };
    let promo =
        PromoCode { id: app.fresh(call.now), participant_id, code, stripe_promotion_code_id, created_at: call.now };
    let mut batch = vec![table::insert_promo_code(&scope, &promo)];
    if let Some(id) = &promo.stripe_promotion_code_id {
        // Sales that named it before anybody had mapped it are decided again, those too that named a discount made of it.
        batch.extend(families::wake(&scope, &[id], call.now)?);
    }
    match app.db.batch(batch).await {
        Ok(rows) if rows.first().is_none_or(Vec::is_empty) => Err(ApiError::NotFound("participant")),
        Ok(rows) => {
            let woken = woken(&rows)?;
            let response = call::json(StatusCode::CREATED, &shapes::promo_code(&promo, scope.mode));
            Ok(call::after(response, woken))
        }
        Err(DbError::Constraint(_)) => {
            Err(ApiError::Conflict("This code, or its Stripe promotion code, is taken.".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Stripe's id of a promotion code, where one is given.
pub fn promotion_code_id(fields: &mut Fields) -> Option<String> {
    let id = fields.text("stripe_promotion_code_id", 255);
    if id.as_deref().is_some_and(|id| !id.starts_with("promo_")) {
        fields.error("stripe_promotion_code_id", "must be the id of a Stripe promotion code, promo_…");
    }
    id
}

/// Whose sales are decided again: the rows of [`families::wake`], which follow one other statement.
fn woken(rows: &[Vec<Row>]) -> Result<Vec<Message>, DbError> {
    let mut woken = Vec::new();
    for row in rows.get(2).into_iter().flatten() {
        let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
        woken.push(Message::SaleDue { workspace_id, mode, key: row.text("key")? });
    }
    Ok(woken)
}

/// `PATCH …/{id}` `{stripe_promotion_code_id}`: maps a code to Stripe's; sales that named it before are decided again.
/// With `clear`, it is none of Stripe's from then on.
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let promotion_code = promotion_code_id(&mut fields);
    let is_cleared = !fields.cleared(&["stripe_promotion_code_id"]).is_empty();
    fields.finish()?;
    let mut batch = vec![match is_cleared {
        true => table::unmap_promo_code(&scope, &id),
        false => table::change_promo_code(&scope, &id, promotion_code.as_ref()),
    }];
    batch.extend(families::wake(&scope, &promotion_code.iter().map(String::as_str).collect::<Vec<_>>(), call.now)?);
    let taken = || ApiError::Conflict("This Stripe promotion code is taken.".to_owned());
    let rows = app.db.batch(batch).await.map_err(|error| match error {
        DbError::Constraint(_) => taken(),
        error => error.into(),
    })?;
    let promo =
        listing::one(&app, table::promo_code_by_id(&scope, &id), table::decode_promo_code, "promo code").await?;
    let response = call::json(StatusCode::OK, &shapes::promo_code(&promo, scope.mode));
    Ok(call::after(response, woken(&rows)?))
}

/// A page of promo codes.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let participant_id = query.text("participant_id");
    let page = query.page::<ids::PromoCode>();
    query.finish()?;
    let rows = table::list_promo_codes(&scope, participant_id.as_ref(), &page);
    listing::page(&app, rows, &page, |row| Ok(shapes::promo_code(&table::decode_promo_code(row)?, scope.mode))).await
}

/// One promo code.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let promo =
        listing::one(&app, table::promo_code_by_id(&scope, &id), table::decode_promo_code, "promo code").await?;
    Ok(call::json(StatusCode::OK, &shapes::promo_code(&promo, scope.mode)))
}
