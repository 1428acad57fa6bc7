//! Asks Stripe's API what no event told: the fee of a balance transaction, the sale of a payment whose refund is parked, and
//! the events that Stripe could not deliver. What is told becomes facts, or stored events, and takes the same way as what came
//! by itself.

use std::collections::{BTreeSet, HashSet};

use domain::sale::partition;
use domain::status::{LookupKind, StripeOutcome};
use domain::time::{DAY_MS, Instant, MINUTE_MS};
use stripe::api::{self, EventText, NotAnAnswer, Told};

use super::{Message, stripe_event};
use crate::addresses;
use crate::app::App;
use crate::booking::{self, Booking};
use crate::error::ApiError;
use crate::routes::stripe_ingress::{self, Recorded};
use crate::store::families::{NewFact, StoredFact};
use crate::store::stripe_events::{self, Connection, NewEvent};
use crate::store::stripe_lookups::{self as table, Lookup};
use crate::store::{Database, DbError, Statement};
use crate::stripe_api::{Fault, RestrictedKey, ask};

/// Who takes a lookup has it for so long: two answers at the longest, and what is written then.
const CLAIM_MS: i64 = 2 * MINUTE_MS;
/// How often something is asked before it is given up: over 17 hours.
const ATTEMPTS_MAX: i64 = 10;
/// Stripe keeps its events for so long.
const RECONCILE_DAYS: i64 = 30;
/// Pages that one run takes. Each new event is three statements, and the platform runs at most 1,000 per invocation.
const PAGES_PER_RUN: u32 = 2;
/// Events asked for at once; fewer where the answer is too long.
const PAGE_SIZES: [usize; 3] = [api::PAGE_MAX, 10, 1];

/// Why a lookup did not get on.
enum Stop {
    /// Stripe did not tell.
    Asked(Fault),
    /// What it told could not be stored.
    Stored(ApiError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Asked(fault)
    }
}

impl From<NotAnAnswer> for Stop {
    fn from(_: NotAnAnswer) -> Self {
        Self::Asked(Fault::Unreadable)
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Stored(error)
    }
}

impl From<DbError> for Stop {
    fn from(error: DbError) -> Self {
        Self::Stored(error.into())
    }
}

/// One lookup under way.
struct Asking<'a> {
    app: &'a App,
    lookup: Lookup,
    connection: Connection,
    key: RestrictedKey,
    now: Instant,
}

/// Asks, if nobody else does; gives what follows from the answer.
pub async fn run(app: &App, id: &str) -> Result<Vec<Message>, ApiError> {
    let now = app.clock.now();
    let taken = app.db.batch(vec![table::claim(id, now, now.plus_ms(CLAIM_MS)), table::connection_of(id)]).await?;
    let first = |place: usize| taken.get(place).and_then(|rows| rows.first());
    let (Some(lookup), Some(connection)) = (first(0), first(1)) else { return Ok(Vec::new()) };
    let lookup = table::decode(lookup)?;
    let connection = stripe_events::decode_connection(connection)?;
    let Some(key) = RestrictedKey::of(&app.secrets, &connection) else {
        app.db.of(&lookup.scope.workspace_id).batch(vec![table::give_up(&lookup.id, "no_key", now)]).await?;
        return Ok(Vec::new());
    };
    let asking = Asking { app, lookup, connection, key, now };
    let told = match asking.lookup.kind {
        LookupKind::Fee => asking.fee().await,
        LookupKind::Sale => asking.sale().await,
        LookupKind::Reconcile => asking.reconcile().await,
    };
    match told {
        Ok(next) => Ok(next),
        Err(stop) => asking.stopped(&stop).await.map(|()| Vec::new()),
    }
}

impl Asking<'_> {
    fn db(&self) -> &dyn Database {
        self.app.db.of(&self.lookup.scope.workspace_id).as_ref()
    }

    /// Later and later, until it is given up; at once where only the merchant can help.
    async fn stopped(&self, stop: &Stop) -> Result<(), ApiError> {
        let (passes, why) = match stop {
            Stop::Asked(fault) => (fault.passes(), fault.to_string()),
            Stop::Stored(error) => {
                crate::log(&format!("lookup {}: {}", self.lookup.id, error.log_detail().unwrap_or("refused")));
                (true, "could_not_be_stored".to_owned())
            }
        };
        let Lookup { id, attempts, .. } = &self.lookup;
        let statement = if passes && *attempts < ATTEMPTS_MAX {
            let until = self.now.plus_ms(MINUTE_MS << (*attempts - 1).clamp(0, 9));
            table::put_off(id, &why, until)
        } else {
            table::give_up(id, &why, self.now)
        };
        self.db().batch(vec![statement]).await?;
        Ok(())
    }

    async fn ask(&self, path: &str) -> Result<Vec<u8>, Fault> {
        ask(&*self.app.stripe_api, path, &self.key).await
    }

    async fn fee(&self) -> Result<Vec<Message>, Stop> {
        let subject = &self.lookup.subject;
        let told = api::balance_transaction(&self.ask(&format!("/v1/balance_transactions/{subject}")).await?)?;
        // Of another transaction nothing was asked.
        if told.id != *subject {
            return Err(Fault::Unreadable.into());
        }
        self.book(vec![told]).await
    }

    /// What joins the payment to an invoice, and what began it. A key may be allowed to read one of the two only.
    async fn sale(&self) -> Result<Vec<Message>, Stop> {
        let subject = &self.lookup.subject;
        let path = "/v1/invoice_payments?payment%5Btype%5D=payment_intent&payment%5Bpayment_intent%5D=";
        let payments = self.ask(&format!("{path}{subject}&limit={}", api::PAGE_MAX)).await;
        let payments = payments.map_err(Stop::from).and_then(|body| Ok(api::invoice_payments(&body)?));
        let addresses = addresses::of_workspace(self.app, self.lookup.scope.workspace_id.as_str()).await;
        let sessions =
            self.ask(&format!("/v1/checkout/sessions?payment_intent={subject}&limit={}", api::PAGE_MAX)).await;
        let sessions =
            sessions.map_err(Stop::from).and_then(|body| Ok(api::sessions(&body, &|address| addresses.hash(address))?));
        let (told, stop) = match (payments, sessions) {
            (Ok(payments), Ok(sessions)) => ([payments, sessions].concat(), None),
            (Ok(told), Err(stop)) | (Err(stop), Ok(told)) => (told, Some(stop)),
            (Err(stop), Err(_)) => return Err(stop),
        };
        match stop {
            // Nothing was told by the one that answered: the other may know.
            Some(stop) if told.is_empty() => Err(stop),
            _ => self.book(told).await,
        }
    }

    /// Brings what was told to its sale; told twice it is one fact.
    async fn book(&self, told: Vec<Told>) -> Result<Vec<Message>, Stop> {
        let found = i64::try_from(told.len()).unwrap_or(i64::MAX);
        let mut keys = BTreeSet::from([self.lookup.subject.clone()]);
        for one in &told {
            keys.extend(partition::keys(&one.fact));
            keys.extend(partition::subscription(&one.fact).map(str::to_owned));
        }
        let facts: Vec<NewFact> = told
            .into_iter()
            .map(|one| {
                let body = StoredFact::Stripe(Box::new(one.fact));
                NewFact {
                    id: self.app.fresh(self.now),
                    source: format!("api/{}", one.id),
                    said_at: one.at.unwrap_or(self.now),
                    mentions: booking::mentions(self.app, &self.lookup.scope.workspace_id, &body),
                    body,
                    stripe_event_id: None,
                }
            })
            .collect();
        let mut next = Vec::new();
        if !facts.is_empty() {
            let scope = self.lookup.scope.clone();
            let booking = Booking { facts, ..Booking::of(scope, keys.into_iter().collect(), self.now) };
            next = stripe_event::lookups(booking::book(self.app, &booking).await?);
        }
        // After the facts, not with them: who dies in between asks again, and finds each fact told.
        self.db().batch(vec![table::done(&self.lookup.id, found, self.now)]).await?;
        Ok(next)
    }

    /// A few pages of the events that Stripe could not deliver; what is left goes on by message or sweep.
    async fn reconcile(&self) -> Result<Vec<Message>, Stop> {
        let mut next = Vec::new();
        let mut lookup = self.lookup.clone();
        for _ in 0..PAGES_PER_RUN {
            let page = self.page(lookup.cursor.as_deref()).await?;
            let found = i64::try_from(page.events.len()).unwrap_or(i64::MAX);
            let (mut statements, messages) = self.take(&page.events).await?;
            let new = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            statements.push(table::advance(&lookup, found, new, page.next.as_ref(), self.now));
            self.db().batch(statements).await?;
            next.extend(messages.into_iter().flatten());
            match page.next {
                Some(cursor) => lookup.cursor = Some(cursor),
                None => return Ok(next),
            }
        }
        self.db().batch(vec![table::release(&lookup.id, self.now)]).await?;
        next.push(Message::StripeLookup { id: lookup.id.to_string() });
        Ok(next)
    }

    async fn page(&self, after: Option<&str>) -> Result<api::EventPage, Stop> {
        let since = self.lookup.started_at.plus_ms(-RECONCILE_DAYS * DAY_MS).seconds();
        let mut last = Fault::TooLong;
        for size in PAGE_SIZES {
            let mut path = format!("/v1/events?delivery_success=false&created%5Bgte%5D={since}&limit={size}");
            // The next page begins after an id that Stripe gave: it stands in the path as it is, or not at all.
            match after {
                Some(after) if api::is_plain_id(after) => path.push_str(&format!("&starting_after={after}")),
                Some(_) => return Err(Fault::Unreadable.into()),
                None => {}
            }
            match self.ask(&path).await {
                Ok(body) => return Ok(api::events(&body)?),
                Err(Fault::TooLong) => last = Fault::TooLong,
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(last.into())
    }

    /// What stores those events that this connection has not had, and for each the message that has it processed, if it is to
    /// be. An element that is no event is passed over: it would be again.
    async fn take(&self, events: &[EventText]) -> Result<(Vec<Statement>, Vec<Option<Message>>), Stop> {
        let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
        let rows = self.db().rows(stripe_events::had(&self.connection.id, &ids)?).await?;
        let had: HashSet<String> = rows.iter().map(|row| row.text("stripe_id")).collect::<Result<_, _>>()?;
        let addresses = addresses::of_workspace(self.app, self.lookup.scope.workspace_id.as_str()).await;
        let request_id = self.lookup.id.to_string();
        let (mut statements, mut messages) = (Vec::new(), Vec::new());
        for text in events.iter().filter(|event| !had.contains(&event.id)) {
            let body = text.body.as_bytes();
            let Ok(event) = stripe::event::read(body, &|address| addresses.hash(address)) else { continue };
            if body.len() > stripe_ingress::BODY_BYTES_MAX {
                let new = NewEvent {
                    id: &self.app.fresh(self.now),
                    connection: &self.connection,
                    stripe_id: &event.id,
                    kind: &event.kind,
                    outcome: StripeOutcome::Failed,
                    reason: Some("body_too_long"),
                    sealed_body: None,
                    next_attempt_at: None,
                };
                statements.extend(stripe_events::insert(&new, self.now, &request_id));
                messages.push(None);
                continue;
            }
            let Recorded { id, pending, statements: store } =
                stripe_ingress::record(self.app, &self.connection, &event, body, self.now, &request_id)?;
            statements.extend(store);
            messages.push(pending.then(|| Message::StripeEvent { id: id.to_string(), told: None }));
        }
        Ok((statements, messages))
    }
}

#[cfg(test)]
mod tests;
