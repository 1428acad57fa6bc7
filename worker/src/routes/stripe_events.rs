//! `/api/v1/stripe-events`: the ingress log.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::ids;
use domain::status::StripeOutcome;
use http::StatusCode;

use super::listing::{self, Query};
use super::management;
use crate::app::App;
use crate::call::{self, Call};
use crate::error::ApiError;
use crate::jobs::Message;
use crate::shapes;
use crate::store::stripe_events::{self as table, Filter};

/// A page of events.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let mut query = Query::of(request.uri());
    let filter = Filter {
        kind: query.text("type"),
        outcome: query.word("outcome", StripeOutcome::WORDS),
        reason: query.text("reason"),
        from: query.instant("from"),
        to: query.instant("to"),
    };
    let page = query.page::<ids::StripeEvent>();
    query.finish()?;
    let mut shown = Vec::new();
    for row in &app.db.rows(table::list(&scope, &filter, &page)).await? {
        let event = table::decode(row)?;
        shown.push((event.id.clone(), shapes::stripe_event(&event)));
    }
    Ok(listing::answer(shown, page.limit))
}

/// One event.
pub async fn read(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    match app.db.rows(table::by_id(&scope, &id)).await?.first() {
        Some(row) => Ok(call::json(StatusCode::OK, &shapes::stripe_event(&table::decode(row)?))),
        None => Err(ApiError::NotFound("Stripe event")),
    }
}

/// `POST …/{id}/replay`: processes a kept event again. Its facts are recorded once, however often it is processed.
pub async fn replay(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let scope = management::enter(&app, &call, request.headers()).await?;
    let taken = app.db.batch(vec![table::replay(&scope, &id, call.now), table::by_id(&scope, &id)]).await?;
    let mut taken = taken.into_iter();
    let (replayed, found) = (taken.next().unwrap_or_default(), taken.next().unwrap_or_default());
    let event = found.first().map(table::decode).transpose()?.ok_or(ApiError::NotFound("Stripe event"))?;
    if replayed.is_empty() {
        return Err(ApiError::Conflict("Nothing of this event is kept that could be processed again.".to_owned()));
    }
    let response = call::json(StatusCode::OK, &shapes::stripe_event(&event));
    Ok(call::after(response, [Message::StripeEvent { id: event.id, told: None }]))
}

#[cfg(test)]
mod tests {
    use domain::time::DAY_MS;
    use serde_json::json;

    use crate::testing::session_completed;
    use crate::testing::shop::shop;

    #[test]
    fn an_event_processed_again_changes_nothing_and_one_without_body_is_a_conflict() {
        let shop = shop();
        shop.take(&session_completed("1", shop.now_s(), shop.hint()));
        let books = shop.books();
        let id = shop.data("stripe-events")[0]["id"].as_str().unwrap().to_owned();
        let line = format!("POST /api/v1/stripe-events/{id}/replay");
        let replayed = shop.world.api(&line, json!(null));
        assert_eq!((replayed.status.as_u16(), replayed.text("/outcome").as_str()), (200, "pending"));
        shop.world.deliver();
        assert_eq!((shop.fates(), shop.books()), (vec!["processed".to_owned()], books));
        let foreign = shop.world.api_as(&shop.world.keys.sk_live, &line, json!(null));
        assert_eq!(foreign.summary(), "404 NOT_FOUND");
        let mut ignored = session_completed("2", shop.now_s(), json!({}));
        ignored["type"] = json!("customer.created");
        shop.take(&ignored);
        let id = shop.data("stripe-events?outcome=ignored")[0]["id"].as_str().unwrap().to_owned();
        let line = format!("POST /api/v1/stripe-events/{id}/replay");
        assert_eq!(shop.world.api(&line, json!(null)).summary(), "409 CONFLICT");
    }

    #[test]
    fn a_body_is_purged_after_90_days_and_its_facts_stay() {
        let shop = shop();
        let first_at = shop.world.now();
        shop.take(&session_completed("1", shop.now_s(), shop.hint()));
        shop.world.pass_ms(DAY_MS);
        shop.take(&session_completed("2", shop.now_s(), shop.hint()));
        let books = shop.books();
        let bodies = || {
            shop.world.sweep();
            shop.world.db.count("SELECT count(*) FROM stripe_bodies")
        };
        shop.world.pass_ms(first_at.ms() + 90 * DAY_MS - shop.world.now().ms());
        assert_eq!(bodies(), 2);
        shop.world.pass_ms(1);
        assert_eq!(bodies(), 1);
        assert_eq!(shop.books(), books);
        let replay = |place: usize| {
            let id = shop.data("stripe-events")[place]["id"].as_str().unwrap().to_owned();
            shop.world.api(&format!("POST /api/v1/stripe-events/{id}/replay"), json!(null)).summary()
        };
        assert_eq!((replay(0).as_str(), replay(1).as_str()), ("200", "409 CONFLICT"));
        shop.world.pass_ms(DAY_MS);
        assert_eq!(bodies(), 0);
    }

    #[test]
    fn more_bodies_than_one_sweep_takes_are_purged_by_the_next() {
        let shop = shop();
        shop.take(&session_completed("1", shop.now_s(), shop.hint()));
        for number in 0..250 {
            for sql in [
                format!(
                    "INSERT INTO stripe_events SELECT 'sev_0{number:025}', workspace_id, mode, connection_id, 'evt_{number}', type, outcome, reason, attempts, next_attempt_at, received_at, request_id FROM stripe_events LIMIT 1"
                ),
                format!(
                    "INSERT INTO stripe_bodies SELECT 'sev_0{number:025}', sealed, received_at FROM stripe_bodies LIMIT 1"
                ),
            ] {
                shop.world.db.execute(&sql).unwrap();
            }
        }
        shop.world.sweep();
        assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_bodies"), 51);
        shop.world.sweep();
        assert_eq!(shop.world.db.count("SELECT count(*) FROM stripe_bodies"), 1);
    }
}
