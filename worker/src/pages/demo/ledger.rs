//! The ledger page: the newest clicks, Stripe events, conversions, commissions and decisions of the demo workspace.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::response::Response;
use domain::money::Currency;
use domain::reward::{Rate, RewardVersion};
use domain::status::StripeOutcome;
use http::StatusCode;

use super::{POLICY, query, scope};
use crate::app::App;
use crate::error::ApiError;
use crate::pages::page;
use crate::pages::text::{Moment, money, percent};
use crate::shapes;
use crate::store::clicks::Click;
use crate::store::commissions::Commission;
use crate::store::conversions::{AuditFilter, Conversion, Decision};
use crate::store::page::Page;
use crate::store::stripe_events::Listed;
use crate::store::{DbError, Row, Scope, clicks, commissions, conversions, links, partners, rewards, stripe_events};

/// How many of each are shown.
const SHOWN_MAX: i64 = 20;
/// Names of links and participants are looked up among so many.
const NAMES_MAX: i64 = 100;

#[derive(Template)]
#[template(path = "demo/ledger.html")]
struct Ledger {
    /// The page loads itself again.
    refreshes: bool,
    /// Stripe events that are not processed yet.
    waiting: usize,
    clicks: Vec<ClickLine>,
    stripe_events: Vec<EventLine>,
    conversions: Vec<ConversionLine>,
    commissions: Vec<CommissionLine>,
    decisions: Vec<DecisionLine>,
}

struct ClickLine {
    at: Moment,
    id: String,
    link_ref: Option<String>,
    partner: Option<String>,
    url: Option<String>,
    referrer: Option<String>,
    visitor: String,
    request_id: Option<String>,
}

struct EventLine {
    at: Moment,
    stripe_id: String,
    kind: String,
    outcome: &'static str,
    reason: Option<String>,
    request_id: Option<String>,
}

struct ConversionLine {
    at: Moment,
    id: String,
    source: &'static str,
    status: &'static str,
    amount: String,
    partner: Option<String>,
    reason: &'static str,
    click_id: Option<String>,
    decision_id: String,
    commission_id: Option<String>,
    stripe_ids: Vec<String>,
    request_id: Option<String>,
}

struct CommissionLine {
    at: Moment,
    id: String,
    conversion_id: String,
    partner: Option<String>,
    amount: String,
    /// Of which reward.
    rate: Option<String>,
    state: &'static str,
    needs_review: Vec<String>,
    entries: Vec<EntryLine>,
}

struct EntryLine {
    amount: String,
    kind: String,
    cause: String,
}

struct DecisionLine {
    at: Moment,
    id: String,
    conversion_id: Option<String>,
    partner: Option<String>,
    reason: &'static str,
    rule_version: u32,
    steps: Vec<String>,
    /// The explanation as the audit's API gives it.
    explanation: String,
    request_id: Option<String>,
}

/// `GET /demo/ledger`; with `?refresh=off` it stays as it is.
pub async fn show(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let scope = scope(&app).await?;
    let template = load(&app, &scope, query(&request, "refresh").as_deref() != Some("off")).await?;
    page(StatusCode::OK, &template, POLICY)
}

async fn load(app: &App, scope: &Scope, refreshes: bool) -> Result<Ledger, ApiError> {
    let newest = |limit| Page { limit, after: None };
    let page = newest(SHOWN_MAX);
    let clicks =
        app.db.rows(clicks::list(scope, &clicks::Filter::default(), None, None, clicks::Reach::NEWEST, SHOWN_MAX));
    let clicks = clicks.await?;
    let events = stripe_events::list(scope, &stripe_events::Filter::default(), &page);
    let events: Vec<EventLine> =
        shown(&app.db.rows(events).await?, |row| Ok(stripe_event(stripe_events::decode(row)?)))?;
    let conversions = app.db.rows(conversions::list(scope, &conversions::Filter::default(), &page)).await?;
    let commissions = app.db.rows(commissions::list(scope, &Default::default(), &page)).await?;
    let commissions = shown(&commissions, commissions::decode)?;
    let audit = conversions::audit(scope, &AuditFilter::default(), &page);
    let decisions = app.db.rows(audit).await?;
    let names = Names {
        partners: partners::decode_names(&app.db.rows(partners::names(scope)).await?)?,
        refs: refs(app, scope, &newest(NAMES_MAX)).await?,
        rates: rates(app, scope, &commissions).await?,
    };
    Ok(Ledger {
        refreshes,
        waiting: events.iter().filter(|event| event.outcome == StripeOutcome::Pending.as_str()).count(),
        clicks: shown(&clicks, |row| Ok(names.click(clicks::decode(row)?)))?,
        stripe_events: events,
        conversions: shown(&conversions, |row| {
            let (conversion, commission_id) = conversions::decode(row)?;
            Ok(names.conversion(conversion, commission_id, conversions::request_id(row)?))
        })?,
        commissions: commissions.into_iter().map(|one| names.commission(one)).collect(),
        decisions: shown(&decisions, |row| {
            Ok(names.decision(&conversions::decode_decision(row)?, conversions::request_id(row)?))
        })?,
    })
}

/// The lines of a list, without the row that only tells that there are more.
fn shown<T>(rows: &[Row], line: impl Fn(&Row) -> Result<T, DbError>) -> Result<Vec<T>, DbError> {
    rows.iter().take(SHOWN_MAX as usize).map(line).collect()
}

async fn refs(app: &App, scope: &Scope, page: &Page) -> Result<HashMap<String, String>, ApiError> {
    let mut refs = HashMap::new();
    for row in &app.db.rows(links::list(scope, None, None, page)).await? {
        let link = links::decode(row)?;
        refs.insert(link.id.to_string(), link.link_ref);
    }
    Ok(refs)
}

/// By version id: `20 % of gross (sale)`.
async fn rates(app: &App, scope: &Scope, of: &[Commission]) -> Result<HashMap<String, String>, ApiError> {
    let programs: Vec<String> = of.iter().map(|commission| commission.program_id.clone()).collect();
    let mut rates = HashMap::new();
    for row in &app.db.rows(rewards::of_programs(scope, &programs)?).await? {
        let version: RewardVersion = row.json("body")?;
        let rate = match version.rate {
            Rate::PercentBps(bps) => format!("{} of {}", percent(bps), version.basis.as_str()),
            Rate::Flat { amount_cents, currency } => money(amount_cents, currency),
        };
        rates.insert(version.id.to_string(), format!("{rate} ({})", version.trigger.as_str()));
    }
    Ok(rates)
}

/// What people call partners, links and rewards.
struct Names {
    /// By participant id.
    partners: HashMap<String, String>,
    /// By link id.
    refs: HashMap<String, String>,
    /// By reward version id.
    rates: HashMap<String, String>,
}

impl Names {
    fn partner(&self, participant_id: Option<&str>) -> Option<String> {
        let id = participant_id?;
        Some(self.partners.get(id).map_or_else(|| id.to_owned(), Clone::clone))
    }

    fn click(&self, click: Click) -> ClickLine {
        let record = click.record;
        let mut visitor = vec![if record.human { "person" } else { "machine" }.to_owned()];
        visitor.extend(record.device);
        visitor.extend(record.browser);
        visitor.extend(record.country);
        visitor.extend(record.flags);
        ClickLine {
            at: Moment::of(record.clicked_at),
            id: record.click_id,
            link_ref: click.link_id.and_then(|id| self.refs.get(&id).cloned()),
            partner: self.partner(click.participant_id.as_deref()),
            url: record.url,
            referrer: record.referrer,
            visitor: visitor.join(", "),
            request_id: record.request_id,
        }
    }

    fn conversion(
        &self,
        conversion: Conversion,
        commission_id: Option<String>,
        request_id: Option<String>,
    ) -> ConversionLine {
        let stripe = conversion.stripe;
        let stripe_ids = [stripe.session, stripe.payment_intent, stripe.invoice, stripe.subscription];
        ConversionLine {
            at: Moment::of(conversion.created_at),
            id: conversion.id.to_string(),
            source: conversion.source.as_str(),
            status: conversion.status.as_str(),
            amount: match conversion.currency {
                Some(currency) => money(conversion.amount_cents, currency),
                None => conversion.amount_cents.to_string(),
            },
            partner: self.partner(conversion.participant_id.as_deref()),
            reason: conversion.reason.as_str(),
            click_id: conversion.attributed_click_id,
            decision_id: conversion.decision_id.to_string(),
            commission_id,
            stripe_ids: stripe_ids.into_iter().flatten().collect(),
            request_id,
        }
    }

    fn commission(&self, commission: Commission) -> CommissionLine {
        let amount = |cents| match Currency::parse(&commission.currency) {
            Ok(currency) => money(cents, currency),
            Err(_) => format!("{cents} {}", commission.currency),
        };
        CommissionLine {
            at: Moment::of(commission.created_at),
            partner: self.partner(Some(&commission.participant_id)),
            amount: amount(commission.entries.iter().map(|entry| entry.amount_cents).sum()),
            rate: self.rates.get(&commission.reward_version).cloned(),
            state: commission.state.as_str(),
            entries: commission
                .entries
                .iter()
                .map(|entry| EntryLine {
                    amount: amount(entry.amount_cents),
                    kind: entry.kind.clone(),
                    cause: entry.cause.clone(),
                })
                .collect(),
            id: commission.id,
            conversion_id: commission.conversion_id,
            needs_review: commission.needs_review,
        }
    }

    fn decision(&self, decision: &Decision, request_id: Option<String>) -> DecisionLine {
        let credit = decision.verdict.credit.as_ref();
        let explanation = shapes::explanation(&decision.inputs, &decision.verdict);
        DecisionLine {
            at: Moment::of(decision.created_at),
            id: decision.id.to_string(),
            conversion_id: decision.conversion_id.clone(),
            partner: self.partner(credit.map(|credit| credit.participant_id.as_str())),
            reason: decision.verdict.reason.as_str(),
            rule_version: decision.rule_version,
            steps: decision.verdict.steps(),
            explanation: format!("{explanation:#}"),
            request_id,
        }
    }
}

fn stripe_event(event: Listed) -> EventLine {
    EventLine {
        at: Moment::of(event.received_at),
        stripe_id: event.stripe_id,
        kind: event.kind,
        outcome: event.outcome.as_str(),
        reason: event.reason,
        request_id: event.request_id,
    }
}
