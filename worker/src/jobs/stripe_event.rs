//! Processes a stored Stripe event: its facts are brought to their sale, in one batch with the event's outcome.

use std::collections::BTreeSet;

use domain::ids::{StripeEventId, WorkspaceId};
use domain::mode::Mode;
use domain::sale::partition;
use domain::status::StripeOutcome;
use domain::time::{Instant, MINUTE_MS};
use stripe::event::{Event, Reading};

use super::Message;
use crate::app::App;
use crate::booking::{self, Booked, Booking};
use crate::error::ApiError;
use crate::routes::stripe_ingress::body_purpose;
use crate::store::Scope;
use crate::store::families::{NewFact, StoredFact};
use crate::store::stripe_events::{self as table, ToProcess};

/// How often an event is tried before it is left as failed, to be replayed by hand.
const ATTEMPTS_MAX: i64 = 10;

/// Processes one event, if it still waits; gives what follows from it.
pub async fn process(app: &App, id: &str) -> Result<Vec<Message>, ApiError> {
    let rows = app.db.rows(table::to_process(id)).await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let stored = table::decode_to_process(row)?;
    if stored.outcome != StripeOutcome::Pending {
        return Ok(Vec::new());
    }
    let now = app.clock.now();
    let processed = match opened(app, &stored) {
        Ok(event) => book(app, &stored, event, now).await,
        Err(reason) => conclude(app, &stored.id, StripeOutcome::Failed, Some(reason)).await,
    };
    let error = match processed {
        Ok(next) => return Ok(next),
        Err(error) => error,
    };
    // Tried again later and later; the event itself stays.
    if stored.attempts + 1 >= ATTEMPTS_MAX {
        crate::log(&format!("stripe event {id}: {}", error.log_detail().unwrap_or("refused")));
        return conclude(app, &stored.id, StripeOutcome::Failed, Some("gave_up")).await;
    }
    let until = now.plus_ms(MINUTE_MS << stored.attempts.clamp(0, 9));
    app.db.batch(vec![table::put_off(&stored.id, until)]).await?;
    Ok(Vec::new())
}

/// What a booking leaves to be asked of Stripe's API.
pub(super) fn lookups(booked: Booked) -> Vec<Message> {
    match booked {
        Booked::Recorded { lookups } => lookups.into_iter().map(|id| Message::StripeLookup { id }).collect(),
        _ => Vec::new(),
    }
}

fn opened(app: &App, stored: &ToProcess) -> Result<Event, &'static str> {
    let sealed = stored.sealed.as_deref().ok_or("body_purged")?;
    let body = app.secrets.open(&body_purpose(&stored.id), sealed).ok_or("body_does_not_open")?;
    let key = app.secrets.email_key(stored.scope.workspace_id.as_str());
    stripe::event::read(&body, &|address| domain::email::hash_email(&key, address)).map_err(|_| "not_an_event")
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

async fn book(app: &App, stored: &ToProcess, event: Event, now: Instant) -> Result<Vec<Message>, ApiError> {
    let facts = match event.reading {
        Reading::Facts(facts) => facts,
        Reading::Ignored(reason) => {
            return conclude(app, &stored.id, StripeOutcome::Ignored, Some(&reason.to_string())).await;
        }
        Reading::Unreadable(what) => {
            return conclude(app, &stored.id, StripeOutcome::Failed, Some(&what.to_string())).await;
        }
    };
    let mut keys: BTreeSet<String> = facts.iter().flat_map(partition::keys).collect();
    keys.extend(facts.iter().filter_map(partition::subscription).map(str::to_owned));
    if keys.is_empty() {
        // Its body is kept, so that it is processed once its kind of fact is.
        return conclude(app, &stored.id, StripeOutcome::Parked, Some("sale_unknown")).await;
    }
    let facts = facts
        .into_iter()
        .enumerate()
        .map(|(place, fact)| {
            let body = StoredFact::Stripe(Box::new(fact));
            NewFact {
                id: app.fresh(now),
                source: format!("{}/{place}", event.id),
                said_at: event.created,
                mentions: booking::mentions(app, &body),
                body,
                stripe_event_id: Some(stored.id.clone()),
            }
        })
        .collect();
    let booking = Booking {
        scope: stored.scope.clone(),
        keys: keys.into_iter().collect(),
        facts,
        report: None,
        refund: None,
        now,
        request_id: stored.request_id.clone(),
        stripe_event: Some(stored.id.clone()),
    };
    booking::book(app, &booking).await.map(lookups)
}

/// Books a sale again when only its time has come.
pub async fn look_again(app: &App, workspace_id: &str, mode: &str, key: String) -> Result<Vec<Message>, ApiError> {
    let (Some(workspace_id), Some(mode)) = (WorkspaceId::parse(workspace_id), Mode::parse(mode)) else {
        return Ok(Vec::new());
    };
    let booking = Booking {
        scope: Scope { workspace_id, mode },
        keys: vec![key],
        facts: Vec::new(),
        report: None,
        refund: None,
        now: app.clock.now(),
        request_id: None,
        stripe_event: None,
    };
    booking::book(app, &booking).await.map(lookups)
}
