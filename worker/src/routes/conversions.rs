//! `POST /api/v1/conversions`: a merchant reports a conversion. And conversions, listed and read.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::{Manual, Refusal};
use domain::click_id::ClickId;
use domain::ids;
use domain::key::Need;
use domain::sale::{ConversionStatus, Report, Source};
use domain::status::ParticipantStatus;
use domain::time::{Instant, MINUTE_MS};
use http::StatusCode;
use serde_json::Value as Json;

use super::listing::{self, Query};
use super::management;
use crate::addresses::{self, Addresses};
use crate::app::App;
use crate::auth::{self, Zone};
use crate::booking::{self, Booked, Booking, ByHand};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::idempotency;
use crate::shapes;
use crate::store::Scope;
use crate::store::conversions::{self as table, Filter, Reported};
use crate::store::families::{NewFact, StoredFact};
use crate::store::partners;

pub(super) const TRANSACTION_CHARS_MAX: usize = 255;
pub(super) const EVENT_TYPE_CHARS_MAX: usize = 100;
const PROMO_CODE_CHARS_MAX: usize = 100;
pub(super) const CUSTOMER_CHARS_MAX: usize = 255;
const METADATA_KEYS_MAX: usize = 50;
const METADATA_BYTES_MAX: usize = 16 * 1024;
/// A conversion may be dated this much ahead: clocks differ.
const AHEAD_MS: i64 = 5 * MINUTE_MS;

/// Records a reported conversion. Refusals in this order: 401, 429, 413, 415, 400, then 422 and 409.
pub async fn report(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let access = auth::secret(&app, &call, request.headers(), Zone::Conversions, Need::Report).await?;
    let scope = Scope { workspace_id: access.workspace_id, mode: access.mode };
    idempotency::claim(&app, &call, &scope).await?;
    let explain = Query::of(request.uri()).boolean("explain") == Some(true);
    let fields = management::json_body(request).await?;
    let addresses = addresses::of_workspace(&app, scope.workspace_id.as_str()).await;
    let (report, reported) = parse(&addresses, fields, call.now)?;
    let body = StoredFact::Report(report.clone());
    let fact = NewFact {
        id: app.fresh(call.now),
        source: format!("report/{}", report.external_transaction_id),
        said_at: report.occurred_at,
        mentions: booking::mentions(&app, &scope.workspace_id, &body),
        body,
        stripe_event_id: None,
    };
    let booking = Booking {
        facts: vec![fact],
        report: Some(reported),
        request_id: Some(call.request_id.clone()),
        ..Booking::of(scope, vec![report.external_transaction_id], call.now)
    };
    match booking::book(&app, &booking).await? {
        Booked::Converted(told) => {
            let commission_id = told.commission_id.as_deref();
            let mut shape = shapes::conversion(&told.conversion, booking.scope.mode, commission_id);
            if explain {
                shape["explanation"] = shapes::explanation(&told.inputs, &told.verdict);
            }
            Ok(call::json(StatusCode::CREATED, &shape))
        }
        Booked::Duplicate { conversion_id } => Err(ApiError::ConversionDuplicate { conversion_id }),
        Booked::Refused(Refusal::NoSignal) => Err(ApiError::NoAttributionSignal),
        Booked::Refused(Refusal::ModeMismatch) => Err(ApiError::ModeMismatch(format!(
            "This click or promo code exists in the other mode only; this key is of {} mode.",
            booking.scope.mode
        ))),
        Booked::Recorded { .. }
        | Booked::Deferred { .. }
        | Booked::Repeated
        | Booked::NotByHand
        | Booked::OverTheRest { .. } => Err(ApiError::Internal("a report always makes a conversion".to_owned())),
    }
}

fn parse(addresses: &Addresses, mut fields: Fields, now: Instant) -> Result<(Report, Reported), ApiError> {
    let external_transaction_id = fields.required_text("external_transaction_id", TRANSACTION_CHARS_MAX);
    let event_type = fields.required_text("event_type", EVENT_TYPE_CHARS_MAX);
    let amount_cents = fields.amount("amount_cents").unwrap_or(0);
    let currency = fields.currency("currency");
    if amount_cents > 0 && fields.raw("currency").is_none() {
        fields.error("currency", "is required when amount_cents is over 0");
    }
    let occurred_at = fields.instant("occurred_at").unwrap_or(now);
    if occurred_at > now.plus_ms(AHEAD_MS) {
        fields.error("occurred_at", "must not be more than 5 minutes ahead");
    }
    let click_id = fields.text("click_id", 255).map(|text| ClickId::parse(&text).ok_or(text));
    if let Some(Err(_)) = click_id {
        fields.error("click_id", "must be a UUID");
    }
    let promo_code = fields.text("promo_code", PROMO_CODE_CHARS_MAX);
    let email = fields.text("prospect_email", 254).map(|address| addresses.hash(&address));
    if email == Some(None) {
        fields.error("prospect_email", "must be an e-mail address");
    }
    let customer_external_id = fields.text("customer_external_id", CUSTOMER_CHARS_MAX);
    let metadata = metadata(&mut fields);
    fields.finish()?;
    let click_id = click_id.and_then(Result::ok).map(|id| id.to_string());
    let report = Report {
        external_transaction_id: external_transaction_id.clone(),
        event_type,
        amount_cents,
        currency,
        occurred_at,
        click_id: click_id.clone(),
        promo_code: promo_code.clone(),
        customer_external_id: customer_external_id.clone(),
        email: email.flatten(),
        tracked: None,
    };
    let reported = Reported {
        external_transaction_id: Some(external_transaction_id),
        click_id,
        promo_code,
        customer_external_id,
        metadata,
    };
    Ok((report, reported))
}

/// Whatever the merchant added, within bounds.
pub(super) fn metadata(fields: &mut Fields) -> Option<Json> {
    let value = fields.raw("metadata")?.clone();
    let message = match &value {
        Json::Object(object) if object.len() > METADATA_KEYS_MAX => {
            format!("must have at most {METADATA_KEYS_MAX} keys; has {}", object.len())
        }
        Json::Object(_) if value.to_string().len() > METADATA_BYTES_MAX => {
            format!("must be at most {METADATA_BYTES_MAX} bytes of JSON")
        }
        Json::Object(_) => return Some(value),
        _ => "must be an object".to_owned(),
    };
    fields.error("metadata", message);
    None
}

/// `GET /api/v1/conversions`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        participant_id: query.text("participant_id"),
        program_id: query.text("program_id"),
        status: query.word("status", ConversionStatus::WORDS),
        source: query.word("source", Source::WORDS),
        external_transaction_id: query.text("external_transaction_id"),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let page = query.page::<ids::Conversion>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let (conversion, commission_id) = table::decode(row)?;
        let shape = shapes::conversion(&conversion, scope.mode, commission_id.as_deref());
        shown.push((conversion.id.to_string(), shape));
    }
    Ok(listing::answer(shown, page.limit))
}

/// `GET /api/v1/conversions/{id}`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => {
            let (conversion, commission_id) = table::decode(row)?;
            let shape = shapes::conversion(&conversion, scope.mode, commission_id.as_deref());
            Ok(call::json(StatusCode::OK, &shape))
        }
        None => Err(ApiError::NotFound("conversion")),
    }
}

/// `POST …/{id}/attribute` `{participant_id, reason}`: a person attributes a conversion that nobody is credited for.
pub async fn attribute(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope, mut fields) = management::enter_as_with_body(&app, &call, request).await?;
    let participant_id: Option<ids::ParticipantId> = fields.id("participant_id");
    if fields.raw("participant_id").is_none() {
        fields.error("participant_id", "is required");
    }
    let reason = fields.required_text("reason", 500);
    fields.finish()?;
    let participant_id = participant_id.ok_or(ApiError::NotFound("participant"))?;
    let found = vec![table::by_id(&scope, &id), partners::standing(&scope, participant_id.as_str())];
    let mut found = app.db.batch(found).await?.into_iter();
    let (conversions, standings) = (found.next().unwrap_or_default(), found.next().unwrap_or_default());
    let conversion = conversions.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("conversion"))?.0;
    let standing =
        standings.first().map(partners::decode_standing).transpose()?.ok_or(ApiError::NotFound("participant"))?;
    if standing.participant_status != ParticipantStatus::Approved || !standing.program_status.earns() {
        return Err(ApiError::Conflict(
            "Only an approved participant of a running program can be credited.".to_owned(),
        ));
    }
    let manual = Manual { act_id: app.fresh(call.now), participant_id, program_id: standing.program_id };
    let booking = Booking {
        by_hand: Some(ByHand { conversion_id: id, manual, reason, person_id: actor.person_id().cloned() }),
        request_id: Some(call.request_id.clone()),
        ..Booking::of(scope, vec![conversion.anchor], call.now)
    };
    match booking::book(&app, &booking).await? {
        Booked::Converted(told) => {
            let shape = shapes::conversion(&told.conversion, booking.scope.mode, told.commission_id.as_deref());
            Ok(call::json(StatusCode::OK, &shape))
        }
        _ => Err(ApiError::Conflict("Somebody is credited for this conversion already, or it was merged.".to_owned())),
    }
}

#[cfg(test)]
mod tests;
