//! Processes a stored Stripe event: its facts are brought to their sale, in one batch with the event's outcome.

use std::collections::BTreeSet;

use domain::fact::StripeFact;
use domain::ids::{StripeEventId, WorkspaceId};
use domain::mode::Mode;
use domain::sale::partition;
use domain::status::StripeOutcome;
use domain::time::{Instant, MINUTE_MS};
use stripe::event::{Event, Reading};

use super::Message;
use crate::addresses;
use crate::app::App;
use crate::booking::{self, Booked, Booking};
use crate::error::ApiError;
use crate::jobs::Told;
use crate::routes::stripe_ingress::body_purpose;
use crate::store::Scope;
use crate::store::families::{self, NewFact, StoredFact};
use crate::store::stripe_events::{self as table, ToProcess};

/// How often an event is tried before it is left as failed, to be replayed by hand.
const ATTEMPTS_MAX: i64 = 10;

/// Processes one event, if it still waits; gives what follows from it. What its message tells spares a look at its body.
pub async fn process(app: &App, id: &str, told: Option<Box<Told>>) -> Result<Vec<Message>, ApiError> {
    let Some(id) = StripeEventId::parse(id) else { return Ok(Vec::new()) };
    let now = app.clock.now();
    let processed = match told {
        Some(told) => book(app, &id, *told, now).await,
        None => from_body(app, &id, now).await,
    };
    match processed {
        Ok(next) => Ok(next),
        Err(error) => put_off(app, &id, &error, now).await,
    }
}

/// Opens the body of an event that still waits, and books what it says.
async fn from_body(app: &App, id: &StripeEventId, now: Instant) -> Result<Vec<Message>, ApiError> {
    let Some(stored) = waiting(app, id).await? else { return Ok(Vec::new()) };
    let event = match opened(app, &stored).await {
        Ok(event) => event,
        Err(reason) => return conclude(app, id, StripeOutcome::Failed, Some(reason)).await,
    };
    let facts = match event.reading {
        Reading::Facts(facts) => facts,
        Reading::Ignored(reason) => {
            return conclude(app, id, StripeOutcome::Ignored, Some(&reason.to_string())).await;
        }
        Reading::Unreadable(what) => {
            return conclude(app, id, StripeOutcome::Failed, Some(&what.to_string())).await;
        }
    };
    let told = Told {
        workspace_id: stored.scope.workspace_id.to_string(),
        mode: stored.scope.mode,
        stripe_id: event.id,
        created: event.created,
        request_id: stored.request_id,
        facts,
    };
    book(app, id, told, now).await
}

/// The event, if nothing has become of it yet.
async fn waiting(app: &App, id: &StripeEventId) -> Result<Option<ToProcess>, ApiError> {
    let rows = app.db.rows(table::to_process(id.as_str())).await?;
    let stored = rows.first().map(table::decode_to_process).transpose()?;
    Ok(stored.filter(|stored| stored.outcome == StripeOutcome::Pending))
}

/// Tried again later and later; the event itself stays.
async fn put_off(app: &App, id: &StripeEventId, why: &ApiError, now: Instant) -> Result<Vec<Message>, ApiError> {
    // One whose write landed unreported waits no more.
    let Some(stored) = waiting(app, id).await? else { return Ok(Vec::new()) };
    if stored.attempts + 1 >= ATTEMPTS_MAX {
        crate::log(&format!("stripe event {id}: {}", why.log_detail().unwrap_or("refused")));
        return conclude(app, id, StripeOutcome::Failed, Some("gave_up")).await;
    }
    let until = now.plus_ms(MINUTE_MS << stored.attempts.clamp(0, 9));
    app.db.batch(vec![table::put_off(id, until)]).await?;
    Ok(Vec::new())
}

/// What a booking leaves to be asked of Stripe's API.
pub(super) fn lookups(booked: Booked) -> Vec<Message> {
    match booked {
        Booked::Recorded { lookups } => lookups.into_iter().map(|id| Message::StripeLookup { id }).collect(),
        _ => Vec::new(),
    }
}

async fn opened(app: &App, stored: &ToProcess) -> Result<Event, &'static str> {
    let sealed = stored.sealed.as_deref().ok_or("body_purged")?;
    let body = app.secrets.open(&body_purpose(&stored.id), sealed).ok_or("body_does_not_open")?;
    let addresses = addresses::of_workspace(app, stored.scope.workspace_id.as_str()).await;
    stripe::event::read(&body, &|address| addresses.hash(address)).map_err(|_| "not_an_event")
}

async fn conclude(
    app: &App,
    id: &StripeEventId,
    outcome: StripeOutcome,
    reason: Option<&str>,
) -> Result<Vec<Message>, ApiError> {
    app.db.batch(vec![table::conclude(id, outcome, reason)]).await?;
    Ok(Vec::new())
}

/// Brings facts to their sale. That the event still waits is read with everything else, and its outcome written with it.
async fn book(app: &App, id: &StripeEventId, told: Told, now: Instant) -> Result<Vec<Message>, ApiError> {
    let Some(workspace_id) = WorkspaceId::parse(&told.workspace_id) else {
        return Err(ApiError::Internal("a message names no workspace".to_owned()));
    };
    let scope = Scope { workspace_id, mode: told.mode };
    let facts = told.facts;
    if let Some((discount, promotion_code)) = mapping(&facts) {
        return map(app, id, &scope, discount, promotion_code, now).await;
    }
    let mut keys: BTreeSet<String> = facts.iter().flat_map(partition::keys).collect();
    keys.extend(facts.iter().filter_map(partition::subscription).map(str::to_owned));
    if keys.is_empty() {
        return conclude(app, id, StripeOutcome::Ignored, Some("it names no sale")).await;
    }
    let facts = facts
        .into_iter()
        .enumerate()
        .map(|(place, fact)| {
            let body = StoredFact::Stripe(Box::new(fact));
            NewFact {
                id: app.fresh(now),
                source: format!("{}/{place}", told.stripe_id),
                said_at: told.created,
                mentions: booking::mentions(app, &scope.workspace_id, &body),
                body,
                stripe_event_id: Some(id.clone()),
            }
        })
        .collect();
    let booking = Booking {
        facts,
        request_id: told.request_id,
        stripe_event: Some(id.clone()),
        ..Booking::of(scope, keys.into_iter().collect(), now)
    };
    booking::book(app, &booking).await.map(lookups)
}

/// A discount, and the promotion code that it was made of, if it was made of one.
fn mapping(facts: &[StripeFact]) -> Option<(&str, Option<&str>)> {
    match facts {
        [StripeFact::Discount(fact)] => Some((&fact.discount, fact.promotion_code.as_deref())),
        _ => None,
    }
}

/// Keeps what promotion code a discount was made of, and has the sales that wait for it decided again.
async fn map(
    app: &App,
    id: &StripeEventId,
    scope: &Scope,
    discount: &str,
    promotion_code: Option<&str>,
    now: Instant,
) -> Result<Vec<Message>, ApiError> {
    let Some(promotion_code) = promotion_code else {
        return conclude(app, id, StripeOutcome::Ignored, Some("the discount has no promotion code")).await;
    };
    let mut batch = vec![families::insert_discount(scope, discount, promotion_code, now)];
    batch.extend(families::wake(scope, &[discount], now)?);
    batch.push(table::conclude(id, StripeOutcome::Processed, None));
    let woken = app.db.batch(batch).await?;
    // Should these be lost, the sweep finds the families by their time.
    let mut next = Vec::new();
    for row in woken.get(2).into_iter().flatten() {
        let (workspace_id, mode) = (row.text("workspace_id")?, row.text("mode")?);
        next.push(Message::SaleDue { workspace_id, mode, key: row.text("key")? });
    }
    Ok(next)
}

/// Books a sale again when only its time has come.
pub async fn look_again(app: &App, workspace_id: &str, mode: &str, key: String) -> Result<Vec<Message>, ApiError> {
    let (Some(workspace_id), Some(mode)) = (WorkspaceId::parse(workspace_id), Mode::parse(mode)) else {
        return Ok(Vec::new());
    };
    let booking = Booking::of(Scope { workspace_id, mode }, vec![key], app.clock.now());
    booking::book(app, &booking).await.map(lookups)
}
