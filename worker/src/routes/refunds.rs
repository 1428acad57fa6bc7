//! `POST /api/v1/conversions/{id}/refunds`: a merchant gives money of a reported conversion back. The same algebra as
//! Stripe's refunds: each refund is known by its id, and counted once.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::sale::Source;
use domain::sale::family::ReportedRefund;
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::management;
use crate::app::App;
use crate::booking::{self, Booked, Booking};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::conversions::{self, Conversion};
use crate::store::families::{self, Mentions, NewFact, StoredFact};
use crate::store::{DbError, Scope};

/// Records a refund; one whose id was reported before answers 200 with the first.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (scope, mut fields) = management::enter_with_body(&app, &call, request).await?;
    let external_refund_id = fields.required_text("external_refund_id", 255);
    if fields.raw("amount_cents").is_none() {
        fields.error("amount_cents", "is required");
    }
    let amount_cents = fields.integer("amount_cents", 1, domain::money::AMOUNT_MAX).unwrap_or(0);
    fields.finish()?;
    let rows = app.db.rows(conversions::by_id(&scope, &id)).await?;
    let conversion = rows.first().map(conversions::decode).transpose()?.ok_or(ApiError::NotFound("conversion"))?.0;
    let transaction = reported(&conversion)?;
    let refund = ReportedRefund { external_transaction_id: transaction.clone(), external_refund_id, amount_cents };
    let fact = NewFact {
        id: app.fresh(call.now),
        source: source(&refund),
        said_at: call.now,
        body: StoredFact::Refund(refund.clone()),
        mentions: Mentions::default(),
        stripe_event_id: None,
    };
    let shape = shape(fact.id.as_str(), &refund, &conversion, &scope, call.now);
    let booking = Booking {
        scope,
        keys: vec![transaction],
        facts: vec![fact],
        report: None,
        refund: Some(refund.clone()),
        now: call.now,
        request_id: Some(call.request_id.clone()),
        stripe_event: None,
    };
    match booking::book(&app, &booking).await? {
        Booked::Repeated => first(&app, &booking, &refund, &conversion).await,
        Booked::OverTheRest { rest_cents } => {
            Err(ApiError::field("amount_cents", format!("is more than what is left of the conversion, {rest_cents}")))
        }
        _ => Ok(call::json(StatusCode::CREATED, &shape)),
    }
}

/// The transaction id of a conversion that a merchant reported and that stands.
fn reported(conversion: &Conversion) -> Result<String, ApiError> {
    let merged = conversion.status == domain::sale::ConversionStatus::Merged;
    match &conversion.reported.external_transaction_id {
        _ if merged => Err(ApiError::Conflict("This conversion was merged into another; refund that one.".to_owned())),
        Some(id) if conversion.source != Source::Stripe => Ok(id.clone()),
        _ => Err(ApiError::Conflict("This conversion is Stripe's; its refunds come from Stripe.".to_owned())),
    }
}

fn source(refund: &ReportedRefund) -> String {
    // The lengths keep two pairs of ids from reading alike.
    let transaction = &refund.external_transaction_id;
    format!("refund/{}/{transaction}/{}", transaction.len(), refund.external_refund_id)
}

fn shape(id: &str, refund: &ReportedRefund, conversion: &Conversion, scope: &Scope, at: Instant) -> Json {
    json!({
        "id": id, "mode": scope.mode, "conversion_id": conversion.id, "external_refund_id": refund.external_refund_id,
        "amount_cents": refund.amount_cents, "currency": conversion.currency, "created_at": at.to_string(),
    })
}

/// The refund that was recorded under this id before.
async fn first(
    app: &App,
    booking: &Booking,
    refund: &ReportedRefund,
    conversion: &Conversion,
) -> Result<Response, ApiError> {
    let scope = &booking.scope;
    let rows = app.db.rows(families::fact_by_source(scope, &booking.keys, &source(refund))?).await?;
    let row = rows.first().ok_or_else(|| ApiError::Unavailable("a repeated refund is not there".to_owned()))?;
    let StoredFact::Refund(first) = row.json("body")? else {
        return Err(DbError::Row { column: "body", expected: "a refund" }.into());
    };
    let shape = shape(&row.text("id")?, &first, conversion, scope, row.instant("recorded_at")?);
    Ok(call::json(StatusCode::OK, &shape))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::testing::World;
    use crate::testing::shop::shop;
    use crate::testing::{NextWrite, session_completed};

    fn sale(world: &World, transaction: &str) -> (String, String) {
        let click_id = world.click(&world.keys.pk_test, "anna");
        let body = json!({"click_id": click_id, "external_transaction_id": transaction, "event_type": "purchase",
            "amount_cents": 10_000, "currency": "EUR"});
        let made = world.api("POST /api/v1/conversions", body);
        (format!("POST /api/v1/conversions/{}/refunds", made.text("/id")), made.text("/commission_id"))
    }

    fn commission(world: &World, id: &str) -> Json {
        world.api(&format!("GET /api/v1/commissions/{id}"), json!(null)).body
    }

    #[test]
    fn partial_refunds_of_25_and_25_leave_half_and_a_repeated_one_answers_with_the_first() {
        let world = World::new();
        world.program(&world.keys.sk_test, "anna");
        let (line, commission_id) = sale(&world, "txn_1");
        let refund =
            |id: &str, amount: i64| world.api(&line, json!({"external_refund_id": id, "amount_cents": amount}));
        let first = refund("r1", 2_500);
        assert_eq!(first.status, 201, "{}", first.body);
        assert_eq!(refund("r2", 2_500).status, 201);
        assert_eq!(commission(&world, &commission_id)["amount_cents"], 1_000);
        world.pass_ms(1_000);
        let again = refund("r1", 9_999);
        assert_eq!((again.status.as_u16(), &again.body), (200, &first.body));
        assert_eq!(commission(&world, &commission_id)["amount_cents"], 1_000);
        let over = refund("r3", 5_001);
        assert_eq!(over.summary(), "400 VALIDATION_ERROR");
        assert_eq!(over.text("/error/details/0/message"), "is more than what is left of the conversion, 5000");
        assert_eq!(refund("r3", 5_000).status, 201);
        assert_eq!(commission(&world, &commission_id)["state"], "reversed");
        assert_eq!(refund("r4", 1).summary(), "400 VALIDATION_ERROR");
        let told = world.api("GET /api/v1/events?type=conversion.refunded", json!(null));
        assert_eq!(told.body["data"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn a_refund_whose_write_landed_unreported_is_counted_once() {
        let world = World::new();
        world.program(&world.keys.sk_test, "anna");
        let (line, commission_id) = sale(&world, "txn_1");
        let body = json!({"external_refund_id": "r1", "amount_cents": 5_000});
        world.db.next_write(NextWrite::LandsButReportsFailure);
        assert_eq!(world.api(&line, body.clone()).summary(), "503 UNAVAILABLE");
        assert_eq!(world.api(&line, body).summary(), "200");
        assert_eq!(commission(&world, &commission_id)["amount_cents"], 1_000);
    }

    #[test]
    fn what_cannot_be_refunded_is_said() {
        let shop = shop();
        let world = &shop.world;
        let (line, _) = sale(world, "txn_1");
        let check = |line: &str, body: Json, expected: &str| assert_eq!(world.api(line, body).summary(), expected);
        check(&line, json!({}), "400 VALIDATION_ERROR");
        check(&line, json!({"external_refund_id": "r", "amount_cents": 0}), "400 VALIDATION_ERROR");
        check(&line, json!({"external_refund_id": "r", "amount_cents": 1.5}), "400 VALIDATION_ERROR");
        let good = json!({"external_refund_id": "r", "amount_cents": 1});
        check("POST /api/v1/conversions/conv_1/refunds", good.clone(), "404 NOT_FOUND");
        let foreign = world.api_as(&world.keys.sk_live, &line, good.clone());
        assert_eq!(foreign.summary(), "404 NOT_FOUND");
        shop.take(&session_completed("1", shop.now_s(), shop.hint()));
        let stripes = shop.data("conversions").into_iter().find(|c| c["source"] == "stripe").unwrap();
        let line = format!("POST /api/v1/conversions/{}/refunds", stripes["id"].as_str().unwrap());
        check(&line, good, "409 CONFLICT");
    }
}
