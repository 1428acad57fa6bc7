//! `POST /api/track/lead` and `POST /api/track/conversion`: leads and sales as clients of Traaaction report them (contract, section 11).
//! They take the way of a reported conversion. What comes by something that anybody can know waits for a person, and is
//! told nothing of a customer that it did not say itself.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use domain::attribution::Refusal;
use domain::click_id::ClickId;
use domain::email::EmailHashes;
use domain::money::Currency;
use domain::sale::{Report, Tracked, tracked};
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::clicks;
use super::conversions::{CUSTOMER_CHARS_MAX, EVENT_TYPE_CHARS_MAX, TRANSACTION_CHARS_MAX, metadata};
use super::management;
use crate::addresses;
use crate::app::App;
use crate::auth::track::{self, Caller};
use crate::booking::{self, Booked, Booking};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::fields::Fields;
use crate::store::conversions::{self as table, Conversion, Reported};
use crate::store::families::{NewFact, StoredFact};

const CLICK_CHARS_MAX: usize = 255;
const NAME_CHARS_MAX: usize = 255;
const EMAIL_CHARS_MAX: usize = 254;
/// What a sale without a secret may come to, in the minor unit: sums of many stay whole numbers.
const PUBLIC_AMOUNT_MAX: i64 = 999_999_999_999;

/// The browser's preflight: any origin may report, without credentials.
pub async fn preflight() -> Response {
    clicks::preflight_for("content-type, authorization, x-publishable-key, x-workspace-id, x-request-id")
}

/// Reports a lead. Refusals in this order: 401, 403, 429, 413, 415, 400, then 422.
pub async fn lead(State(app): State<Arc<App>>, Extension(call): Extension<Call>, request: Request) -> Response {
    let mut response = lead_told(&app, &call, request).await.into_response();
    clicks::allow_any_origin(response.headers_mut());
    response
}

/// Reports a sale; the same order.
pub async fn conversion(State(app): State<Arc<App>>, Extension(call): Extension<Call>, request: Request) -> Response {
    let mut response = sale_told(&app, &call, request).await.into_response();
    clicks::allow_any_origin(response.headers_mut());
    response
}

async fn lead_told(app: &App, call: &Call, request: Request) -> Result<Response, ApiError> {
    let caller = track::enter(app, call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let event_name = fields.required_text("eventName", EVENT_TYPE_CHARS_MAX);
    let customer = fields.required_text("customerExternalId", CUSTOMER_CHARS_MAX);
    let click_id = click_id(&mut fields);
    let email_told = fields.text_or_nothing("customerEmail", EMAIL_CHARS_MAX);
    let name = fields.text_or_nothing("customerName", NAME_CHARS_MAX);
    let metadata = metadata(&mut fields);
    let deferred = fields.word("mode", &["deferred"], |word| (word == "deferred").then_some(())).is_some();
    let email = match &email_told {
        Some(address) => {
            let email = addresses::of_workspace(app, caller.scope.workspace_id.as_str()).await.hash(address);
            if email.is_none() {
                fields.error("customerEmail", "must be an e-mail address");
            }
            email
        }
        None => None,
    };
    fields.finish()?;
    let transaction = tracked::lead_id(&customer, &event_name);
    let said = Said {
        keys: vec![transaction.clone()],
        transaction,
        event_name,
        customer,
        click_id,
        email,
        money: None,
        metadata,
        named_transaction: false,
    };
    let told = book(app, call, &caller, &said, deferred).await?;
    let mut answer = json!({ "success": true, "customer": customer_shape(&said, email_told, name, &caller, &told) });
    match told {
        Told::Deferred { .. } => answer["deferred"] = json!(true),
        Told::Recorded { conversion, commission_id, duplicate } => {
            if deferred {
                answer["deferred"] = json!(true);
            } else {
                answer["lead"] = shape(&said, &caller, &conversion, commission_id.as_deref());
                add_duplicate(&mut answer, duplicate);
            }
        }
    }
    Ok(call::json(StatusCode::OK, &answer))
}

async fn sale_told(app: &App, call: &Call, request: Request) -> Result<Response, ApiError> {
    let caller = track::enter(app, call, request.headers()).await?;
    let mut fields = management::json_body(request).await?;
    let customer = fields.required_text("customerExternalId", CUSTOMER_CHARS_MAX);
    if fields.raw("amount").is_none() {
        fields.error("amount", "is required, in the currency's minor unit");
    }
    let amount = fields.amount("amount").unwrap_or(0);
    if caller.tracked == Tracked::Public && amount > PUBLIC_AMOUNT_MAX {
        fields.error("amount", format!("must be at most {PUBLIC_AMOUNT_MAX} without a secret key"));
    }
    let currency = fields.currency("currency").unwrap_or(Currency::EUR);
    let event_name = fields.text_or_nothing("eventName", EVENT_TYPE_CHARS_MAX);
    let event_name = event_name.unwrap_or_else(|| "Purchase".to_owned());
    let click_id = click_id(&mut fields);
    let transaction = fields.text_or_nothing("externalTransactionId", TRANSACTION_CHARS_MAX);
    fields.finish()?;
    let named_transaction = transaction.is_some();
    let (transaction, keys) = match transaction {
        Some(transaction) => (transaction.clone(), vec![transaction]),
        None => {
            let (amount, currency) = (amount.to_string(), String::from(currency));
            let click = click_id.as_deref().unwrap_or_default();
            let ids = tracked::sale_ids(&[&customer, &amount, &currency, &event_name, click], call.now);
            let mut keys = vec![ids.transaction.clone()];
            keys.extend(ids.shared);
            (ids.transaction, keys)
        }
    };
    let mut said = Said {
        keys,
        transaction,
        event_name,
        customer,
        click_id,
        email: None,
        money: Some((amount, currency)),
        metadata: None,
        named_transaction,
    };
    let mut told = book(app, call, &caller, &said, false).await?;
    // Whoever has a secret takes the place of what only came without one. That is known by the first one's transaction.
    if caller.tracked == Tracked::Authenticated
        && let Told::Recorded { conversion, duplicate: true, .. } = &told
        && let Some(first) = conversion.reported.external_transaction_id.clone()
        && first != said.transaction
    {
        said.keys = vec![first.clone()];
        said.transaction = first;
        told = book(app, call, &caller, &said, false).await?;
    }
    match told {
        Told::Recorded { conversion, commission_id, duplicate } => {
            let shape = shape(&said, &caller, &conversion, commission_id.as_deref());
            let mut answer = json!({ "success": true, "conversion": shape });
            add_duplicate(&mut answer, duplicate);
            Ok(call::json(StatusCode::OK, &answer))
        }
        Told::Deferred { .. } => Err(ApiError::Internal("a sale was deferred".to_owned())),
    }
}

/// A click's id. Those of Traaaction itself, which old cookies hold, name no click of ours; what came with one is recorded all the same.
fn click_id(fields: &mut Fields) -> Option<String> {
    let text = fields.text_or_nothing("clickId", CLICK_CHARS_MAX)?;
    match ClickId::parse(&text) {
        Some(id) => Some(id.to_string()),
        None if text.starts_with("clk_") => Some(text),
        None => {
            fields.error("clickId", "must be a UUID");
            None
        }
    }
}

/// What a caller said.
struct Said {
    /// The ids under which its sale is known.
    keys: Vec<String>,
    transaction: String,
    event_name: String,
    customer: String,
    click_id: Option<String>,
    email: Option<EmailHashes>,
    /// None of a lead.
    money: Option<(i64, Currency)>,
    metadata: Option<Json>,
    /// The transaction's id is the caller's, and not made here.
    named_transaction: bool,
}

impl Said {
    fn report(&self, caller: &Caller, now: Instant) -> Report {
        Report {
            external_transaction_id: self.transaction.clone(),
            event_type: self.event_name.clone(),
            amount_cents: self.money.map_or(0, |(amount, _)| amount),
            currency: self.money.map(|(_, currency)| currency),
            occurred_at: now,
            click_id: self.click_id.clone(),
            promo_code: None,
            customer_external_id: Some(self.customer.clone()),
            email: self.email.clone(),
            tracked: Some(caller.tracked),
        }
    }
}

/// What came of it.
enum Told {
    /// A conversion, or the first one of what came again.
    Recorded { conversion: Box<Conversion>, commission_id: Option<String>, duplicate: bool },
    /// The customer is bound; the lead is to come.
    Deferred { customer_id: Option<String> },
}

async fn book(app: &App, call: &Call, caller: &Caller, said: &Said, deferred: bool) -> Result<Told, ApiError> {
    let report = said.report(caller, call.now);
    let body = StoredFact::Report(report);
    let source = match caller.tracked {
        Tracked::Authenticated => format!("report/{}", said.transaction),
        // Another fact than the same told with a secret.
        Tracked::Public => format!("public/{}", said.transaction),
    };
    let fact = NewFact {
        id: app.fresh(call.now),
        source,
        said_at: call.now,
        mentions: booking::mentions(app, &caller.scope.workspace_id, &body),
        body,
        stripe_event_id: None,
    };
    let reported = Reported {
        external_transaction_id: Some(said.transaction.clone()),
        click_id: said.click_id.clone(),
        promo_code: None,
        customer_external_id: Some(said.customer.clone()),
        metadata: said.metadata.clone(),
    };
    let booking = Booking {
        facts: vec![fact],
        report: Some(reported),
        deferred,
        request_id: Some(call.request_id.clone()),
        ..Booking::of(caller.scope.clone(), said.keys.clone(), call.now)
    };
    match booking::book(app, &booking).await? {
        Booked::Converted(told) => Ok(Told::Recorded {
            conversion: Box::new(told.conversion),
            commission_id: told.commission_id,
            duplicate: false,
        }),
        Booked::Duplicate { conversion_id } => {
            let rows = app.db.rows(table::by_id(&caller.scope, &conversion_id)).await?;
            let row = rows.first().ok_or_else(|| ApiError::Unavailable("a repeated sale is not there".to_owned()))?;
            let (conversion, commission_id) = table::decode(row)?;
            Ok(Told::Recorded { conversion: Box::new(conversion), commission_id, duplicate: true })
        }
        Booked::Deferred { customer_id } => Ok(Told::Deferred { customer_id }),
        Booked::Refused(Refusal::NoSignal) => Err(ApiError::NoAttributionSignal),
        Booked::Refused(Refusal::ModeMismatch) => Err(ApiError::ModeMismatch(format!(
            "This click exists in the other mode only; this is {} mode.",
            caller.scope.mode
        ))),
        Booked::Recorded { .. } | Booked::Repeated | Booked::NotByHand | Booked::OverTheRest { .. } => {
            Err(ApiError::Internal("a lead or a sale always makes a conversion".to_owned()))
        }
    }
}

fn customer_shape(said: &Said, email: Option<String>, name: Option<String>, caller: &Caller, told: &Told) -> Json {
    let mut customer = json!({ "externalId": said.customer });
    for (field, value) in [("email", email), ("name", name)] {
        if let Some(value) = value {
            customer[field] = json!(value);
        }
    }
    let id = match told {
        Told::Recorded { conversion, .. } => conversion.customer_id.as_ref(),
        Told::Deferred { customer_id } => customer_id.as_ref(),
    };
    if let (Some(id), Tracked::Authenticated) = (id, caller.tracked) {
        customer["id"] = json!(id);
    }
    customer
}

/// A conversion in this surface's spelling. Whoever is nobody in particular gets its id, and of the rest what they said themselves:
/// what they repeat may be the first one's alone.
fn shape(said: &Said, caller: &Caller, conversion: &Conversion, commission_id: Option<&str>) -> Json {
    let mode = caller.scope.mode;
    let mut fields = Map::new();
    let mut field = |name: &str, is: Json, own: Json| {
        if caller.tracked == Tracked::Authenticated || is == own {
            fields.insert(name.to_owned(), is);
        }
    };
    field("id", json!(conversion.id), json!(conversion.id));
    field("mode", json!(mode), json!(mode));
    field("eventName", json!(conversion.event_type), json!(said.event_name));
    field("customerExternalId", json!(conversion.reported.customer_external_id), json!(said.customer));
    field("clickId", json!(conversion.reported.click_id), json!(said.click_id));
    if let Some((amount, currency)) = said.money {
        field("amount", json!(conversion.amount_cents), json!(amount));
        field("currency", json!(conversion.currency), json!(currency));
    }
    let transaction = said.named_transaction.then_some(&said.transaction);
    field("externalTransactionId", json!(conversion.reported.external_transaction_id), json!(transaction));
    field("createdAt", json!(conversion.created_at.to_string()), Json::Null);
    let attribution = json!({
        "status": if conversion.participant_id.is_some() { "attributed" } else { "unattributed" },
        "reason": conversion.reason.as_str(),
        "programId": conversion.program_id,
        "participantId": conversion.participant_id,
    });
    field("attribution", attribution, Json::Null);
    field("commissionId", json!(commission_id), json!(""));
    Json::Object(fields)
}

fn add_duplicate(answer: &mut Json, duplicate: bool) {
    if duplicate {
        answer["duplicate"] = json!(true);
    }
}

#[cfg(test)]
mod tests;
