//! `/api/v1/workspace/totals`, `…/checklist`, `…/search`: what the dashboard shows beside lists and objects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::checklist::{self, Item, Missing, Topic};
use domain::time::{DAY_MS, Instant};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::listing::Query;
use super::management;
use crate::app::App;
use crate::auth::people;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::store::totals::{self, Span, WAITING_MAX};
use crate::store::{DbError, Scope, checklist as evidence, search};

/// Days that can be asked for at once, and how many are where nothing is said.
const DAYS_MAX: i64 = 90;
const DAYS_DEFAULT: i64 = 30;

/// What the last days came to, day by day, and what waits for somebody. Days on which nothing happened are left out.
pub async fn of_days(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let days = query.integer("days", 1, DAYS_MAX).unwrap_or(DAYS_DEFAULT);
    query.finish()?;
    let span = Span::ending(call.now.day(), days);
    let reads = vec![
        totals::clicks(&scope, span),
        totals::conversions(&scope, span),
        totals::commissions(&scope, span),
        totals::waiting(&scope),
    ];
    let found = app.db.batch(reads).await?;
    let [clicks, conversions, commissions, waiting] = found.as_slice() else {
        return Err(ApiError::Internal("a batch of four gave another number of results".to_owned()));
    };
    let mut by_day: BTreeMap<i64, Map<String, Json>> = BTreeMap::new();
    for row in clicks {
        let (day, people, machines) = totals::decode_clicks(row)?;
        let counted = json!({ "people": people, "machines": machines });
        by_day.entry(day).or_default().insert("clicks".to_owned(), counted);
    }
    for row in conversions {
        let (day, credited, uncredited) = totals::decode_conversions(row)?;
        let counted = json!({ "credited": credited, "uncredited": uncredited });
        by_day.entry(day).or_default().insert("conversions".to_owned(), counted);
    }
    for row in commissions {
        let (day, earned) = totals::decode_commissions(row)?;
        let of_day = by_day.entry(day).or_default().entry("commissions").or_insert_with(|| json!([]));
        if let Json::Array(all) = of_day {
            all.push(json!({
                "currency": earned.currency.to_string(),
                "pending_cents": earned.pending_cents,
                "approved_cents": earned.approved_cents,
                "paid_cents": earned.paid_cents,
                "rejected_cents": earned.rejected_cents,
            }));
        }
    }
    let shown: Vec<Json> = by_day
        .into_iter()
        .map(|(day, mut told)| {
            told.insert("day".to_owned(), json!(date(day)));
            Json::Object(told)
        })
        .collect();
    let waiting = waiting.first().map(totals::decode_waiting).transpose()?.unwrap_or_default();
    let body = json!({
        "mode": scope.mode,
        "from": date(span.first),
        "to": date(span.last),
        "days": shown,
        "waiting": {
            "reviews": waiting.reviews, "applications": waiting.applications, "questions": waiting.questions,
            "fraud_alerts": waiting.alerts, "unmatched_refunds": waiting.unmatched_refunds,
            "failed_stripe_events": waiting.failed_events, "parked_stripe_events": waiting.parked_events,
            "dead_letters": waiting.dead_letters, "disabled_endpoints": waiting.disabled_endpoints,
            "counted_up_to": WAITING_MAX,
        },
    });
    Ok(call::json(StatusCode::OK, &body))
}

/// A day, counted from 1970 in UTC, as ISO 8601 writes it.
fn date(day: i64) -> String {
    Instant::from_ms(day * DAY_MS).to_string().chars().take(10).collect()
}

/// The go-live checklist: about live mode, in whatever mode one asks.
pub async fn checklist(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let found = app.db.batch(evidence::reads(&scope.workspace_id)).await?;
    let (mut facts, reviewer) = evidence::decode(&found)?;
    if let (Some(review), Some(address)) = (&mut facts.review, reviewer) {
        review.what = people::opened(&app, &address)?;
    }
    let items = checklist::items(&facts);
    let body = json!({
        "is_ready": checklist::is_ready(&items),
        "items": items.iter().map(item).collect::<Vec<_>>(),
    });
    Ok(call::json(StatusCode::OK, &body))
}

fn item(item: &Item) -> Json {
    let topic = match item.topic {
        Topic::TestRun => "test_run",
        Topic::Program => "program",
        Topic::Rewards => "rewards",
        Topic::Click => "click",
        Topic::Stripe => "stripe",
        Topic::StripeTypes => "stripe_types",
        Topic::Webhook => "webhook",
        Topic::Purchase => "purchase",
    };
    let (missing, types) = match &item.missing {
        None => (None, None),
        Some(Missing::Nothing) => (Some("nothing_seen"), None),
        Some(Missing::Types(types)) => (Some("types"), Some(types)),
        Some(Missing::NoEvent) => (Some("no_event"), None),
        Some(Missing::NoReward) => (Some("no_reward"), None),
        Some(Missing::ChangedSince) => (Some("changed_since"), None),
        Some(Missing::NoHttpsEndpoint) => (Some("no_https_endpoint"), None),
        Some(Missing::NoPing) => (Some("no_ping"), None),
    };
    let seen = item.evidence.iter();
    let seen = seen.map(|(what, seen)| json!({ "kind": what, "what": seen.what, "at": seen.at.to_string() }));
    let mut shown = json!({
        "topic": topic, "is_done": item.missing.is_none(), "missing": missing, "evidence": seen.collect::<Vec<_>>(),
    });
    if let Some(types) = types {
        shown["missing_types"] = json!(types);
    }
    shown
}

/// What a text names: an id of ours or of others, a request's id, or the beginning of a name, an address, a ref or a code.
pub async fn search(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let sought = query.text("q").map(|text| text.trim().to_owned()).unwrap_or_default();
    query.finish()?;
    let hits = hits(&app, &scope, &sought).await?;
    let shown = |hit: &search::Hit| json!({ "resource": hit.page, "id": hit.id, "label": hit.label, "about": hit.sub });
    let body = json!({ "data": hits.iter().map(shown).collect::<Vec<_>>() });
    Ok(call::json(StatusCode::OK, &body))
}

/// The same, for the page: one trip, none for nothing.
pub async fn hits(app: &App, scope: &Scope, sought: &str) -> Result<BTreeSet<search::Hit>, DbError> {
    if sought.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = app.db.batch(search::all(scope, sought, app.secrets.clicked_at(sought))).await?;
    found.iter().flatten().map(search::decode).collect()
}

#[cfg(test)]
mod tests;
