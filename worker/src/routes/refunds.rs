//! `POST /api/v1/conversions/{id}/refunds`: a merchant gives money of a reported conversion back. The same algebra as
//! Stripe's refunds: each refund is known by its id, and counted once.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::key::Need;
use domain::sale::family::{Joined, ReportedRefund};
use domain::sale::listed::Kind;
use domain::time::Instant;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::booking::{self, Booked, Booking};
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::acts::{self, NewAct};
use crate::store::conversions::{self, Conversion};
use crate::store::families::{self, Mentions, NewFact, StoredFact};
use crate::store::page::Page;
use crate::store::refunds::{self as table, Filter, Refund};
use crate::store::{DbError, Scope};

/// Records a refund; one whose id was reported before answers 200 with the first.
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, scope) = management::enter_for(&app, &call, request.headers(), Need::Report).await?;
    let mut fields = management::json_body(request).await?;
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
        facts: vec![fact],
        refund: Some(refund.clone()),
        request_id: Some(call.request_id.clone()),
        ..Booking::of(scope, vec![transaction], call.now)
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
        Some(id) => Ok(id.clone()),
        None => Err(ApiError::Conflict("This conversion is Stripe's; its refunds come from Stripe.".to_owned())),
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

/// `GET /api/v1/refunds`: refunds and disputes; `matched=false` lists those whose sale nobody knows.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        conversion_id: query.text("conversion_id"),
        matched: query.boolean("matched"),
        kind: query.word("kind", Kind::WORDS),
    };
    let page = Page { limit: query.limit(), after: query.cursor(|text| place(text).map(str::to_owned)) };
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let refund = table::decode(row)?;
        shown.push((refund.id.clone(), listed(&refund, &scope)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// A reported refund is known by its fact's id, Stripe's by one of its own.
fn place(text: &str) -> Option<&str> {
    (ids::RefundId::parse(text).is_some() || ids::FactId::parse(text).is_some()).then_some(text)
}

async fn one(app: &App, scope: &Scope, id: &str) -> Result<Refund, ApiError> {
    let rows = app.db.rows(table::by_id(scope, id)).await?;
    rows.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("refund"))
}

/// One refund or dispute.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    Ok(call::json(StatusCode::OK, &listed(&one(&app, &scope, &id).await?, &scope)))
}

/// `POST …/{id}/match` `{conversion_id, reason}`: a person says which conversion's money an unmatched refund or dispute took.
pub async fn match_by_hand(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (actor, scope, mut fields) = management::enter_as_with_body(&app, &call, request).await?;
    let conversion_id = fields.required_text("conversion_id", 255);
    let reason = fields.required_text("reason", 500);
    fields.finish()?;
    let refund = one(&app, &scope, &id).await?;
    if refund.conversion_id.is_some() {
        return Err(ApiError::Conflict("The sale of this refund is known.".to_owned()));
    }
    let rows = app.db.rows(conversions::by_id(&scope, &conversion_id)).await?;
    let conversion = rows.first().map(conversions::decode).transpose()?.ok_or(ApiError::NotFound("conversion"))?.0;
    if conversion.status == domain::sale::ConversionStatus::Merged {
        return Err(ApiError::Conflict("This conversion was merged into another; match that one.".to_owned()));
    }
    let keys = vec![refund.sale_key.clone(), conversion.anchor.clone()];
    let fact = NewFact {
        id: app.fresh(call.now),
        source: format!("match/{}/{}", refund.external_refund_id, conversion.id),
        said_at: call.now,
        body: StoredFact::Joined(Joined { joined: keys.iter().cloned().collect() }),
        mentions: Mentions::default(),
        stripe_event_id: None,
    };
    let act = NewAct {
        id: app.fresh(call.now),
        kind: "refund.match",
        subject: conversion.id.as_str(),
        reason: Some(&reason),
        detail: Some(crate::store::to_json(&json!({"refund_id": id, "fact_id": fact.id}))?),
        request_id: &call.request_id,
        person_id: actor.person_id(),
    };
    let booking = Booking {
        facts: vec![fact],
        beside: vec![acts::insert(&scope, &act, call.now)],
        request_id: Some(call.request_id.clone()),
        ..Booking::of(scope, keys, call.now)
    };
    booking::book(&app, &booking).await?;
    Ok(call::json(StatusCode::OK, &listed(&one(&app, &booking.scope, &id).await?, &booking.scope)))
}

fn listed(refund: &Refund, scope: &Scope) -> Json {
    json!({
        "id": refund.id, "mode": scope.mode, "kind": refund.kind, "source": refund.source,
        "conversion_id": refund.conversion_id, "external_refund_id": refund.external_refund_id,
        "sale_key": refund.sale_key, "amount_cents": refund.amount_cents, "currency": refund.currency,
        "status": refund.status, "created_at": refund.created_at.to_string(),
    })
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
