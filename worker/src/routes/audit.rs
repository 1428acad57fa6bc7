//! `GET /api/v1/attribution-audit`: every decision, with what it looked at and why.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::Reason;
use domain::ids;
use http::StatusCode;
use serde_json::json;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::shapes;
use crate::store::acts;
use crate::store::conversions::{self as table, AuditFilter};

/// The decisions of a workspace and mode, newest first.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = AuditFilter {
        conversion_id: query.text("conversion_id"),
        external_transaction_id: query.text("external_transaction_id"),
        participant_id: query.text("participant_id"),
        reason: query.word("reason", Reason::WORDS),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let page = query.page::<ids::Decision>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::audit(&scope, &filter, &page)).await? {
        let decision = table::decode_decision(row)?;
        shown.push((decision.id.to_string(), shapes::decision(&decision, scope.mode)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One conversion's decision in force, those before it in `history`, and what people did in `acts`.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(conversion_id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut decisions = Vec::new();
    let reads = vec![table::decisions_of(&scope, &conversion_id), acts::of_conversion(&scope, &conversion_id)];
    let mut read = app.db.batch(reads).await?.into_iter();
    for row in &read.next().unwrap_or_default() {
        decisions.push(shapes::decision(&table::decode_decision(row)?, scope.mode));
    }
    let mut done = Vec::new();
    for row in &read.next().unwrap_or_default() {
        done.push(super::acts::shown(&app, &acts::decode(row)?)?);
    }
    if decisions.is_empty() {
        return Err(ApiError::NotFound("conversion"));
    }
    let mut current = decisions.remove(0);
    current["history"] = json!(decisions);
    current["acts"] = json!(done);
    Ok(call::json(StatusCode::OK, &current))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::testing::World;

    /// Three decisions, a second apart: by click, by nothing that is known, refused. The conversions' ids, and the participant's.
    fn world() -> (World, Vec<String>, String) {
        let world = World::new();
        let program = world.program(&world.keys.sk_test, "anna");
        let click_id = world.click(&world.keys.pk_test, "anna");
        let report = |transaction: &str, click_id: Json| {
            let body = json!({"external_transaction_id": transaction, "event_type": "purchase", "amount_cents": 100,
                "currency": "EUR", "click_id": click_id});
            world.pass_ms(1_000);
            world.api("POST /api/v1/conversions", body).text("/id")
        };
        let ids = vec![
            report("txn_1", json!(click_id)),
            report("txn_2", json!("0190f3c1-5e5a-4c3e-9b1a-0123456789ab")),
            report("txn_3", json!(null)),
        ];
        (world, ids, program.participant_id)
    }

    #[test]
    fn the_audit_lists_every_decision_and_is_narrowed() {
        let (world, ids, participant) = world();
        let check = |query: &str, expected: &[&str]| {
            let answer = world.api(&format!("GET /api/v1/attribution-audit{query}"), json!(null));
            assert_eq!(answer.status, 200, "{query}");
            let rows = answer.body["data"].as_array().unwrap();
            let told: Vec<&str> = rows.iter().map(|row| row["external_transaction_id"].as_str().unwrap()).collect();
            assert_eq!(told, expected, "{query}");
        };
        check("", &["txn_3", "txn_2", "txn_1"]);
        check(&format!("?conversion_id={}", ids[0]), &["txn_1"]);
        check("?conversion_id=conv_else", &[]);
        check("?external_transaction_id=txn_2", &["txn_2"]);
        check("?external_transaction_id=TXN_2", &[]);
        check(&format!("?participant_id={participant}"), &["txn_1"]);
        check("?reason=click_not_found", &["txn_2"]);
        check("?reason=no_signal", &["txn_3"]);
        check("?reason=attributed_click", &["txn_1"]);
        check("?from=2026-06-01T12:00:02Z", &["txn_3", "txn_2"]);
        check("?to=2026-06-01T12:00:02Z", &["txn_1"]);
        check("?from=2026-06-01T12:00:02Z&to=2026-06-01T12:00:03Z&reason=click_not_found", &["txn_2"]);
        check("?reason=&from=&limit=2", &["txn_3", "txn_2"]);
        for bad in ["reason=because", "from=yesterday", "to=2026", "limit=0", "conversion_id=".to_owned().as_str()] {
            let answer = world.api(&format!("GET /api/v1/attribution-audit?{bad}"), json!(null));
            let expected = if bad.ends_with('=') { "200" } else { "400 VALIDATION_ERROR" };
            assert_eq!(answer.summary(), expected, "{bad}");
        }
    }

    #[test]
    fn one_conversions_decision_is_read_with_those_before_it() {
        let (world, ids, participant) = world();
        let answer = world.api(&format!("GET /api/v1/attribution-audit/{}", ids[0]), json!(null));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text("/participant_id"), participant);
        assert_eq!((&answer.body["history"], &answer.body["rule_version"]), (&json!([]), &json!(1)));
        assert_eq!((&answer.body["status"], &answer.body["refused"]), (&json!("attributed"), &json!(null)));
        for unknown in ["conv_else", "", "%00", "conv_00000000000000000000000000"] {
            let answer = world.api(&format!("GET /api/v1/attribution-audit/{unknown}"), json!(null));
            assert_eq!(answer.summary(), "404 NOT_FOUND", "{unknown:?}");
        }
    }
}
