//! Commissions as their partner sees them: the state in words, and the story of one. Nothing of who bought, and nothing of
//! anybody else who might have been credited.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use domain::attribution::Method;
use domain::ids;
use domain::money::Currency;
use domain::status::CommissionState;
use domain::time::Instant;

use super::activity::{amount, credited_by};
use super::{Asked, At, Entry, Frame, Pager, cut, decoded, enter, find, here, missing, part_of};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::pages::text::{Moment, money};
use crate::partner_side::words;
use crate::store::acts::{self, Listed as Act};
use crate::store::commissions::{self as table, Commission, Entry as LedgerEntry};
use crate::store::conversions::{self, Conversion};
use crate::store::events::{self, Listed as Event};
use crate::store::page::Page;
use crate::store::portal;

/// Events of one commission that are told.
const EVENTS_MAX: i64 = 100;

#[derive(Template)]
#[template(path = "partner/commissions.html")]
struct Commissions {
    frame: Frame,
    commissions: Vec<Line>,
    pager: Pager,
}

struct Line {
    id: String,
    at: Moment,
    amount: String,
    state: &'static str,
    why: String,
}

#[derive(Template)]
#[template(path = "partner/commission.html")]
struct Story {
    frame: Frame,
    id: String,
    amount: String,
    state: &'static str,
    why: String,
    sale: String,
    event_type: String,
    by: &'static str,
    /// Where the question about it is asked.
    ask: String,
    steps: Vec<Step>,
    entries: Vec<EntryLine>,
}

/// Something that happened.
struct Step {
    at: Moment,
    text: String,
}

struct EntryLine {
    at: Moment,
    amount: String,
    why: &'static str,
}

/// `GET /partner/commissions`.
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    request: Request,
) -> Result<Response, ApiError> {
    let portal = enter!(here(&app, &call, &Asked::of(&request)).await?);
    let page = part_of::<ids::Commission>(request.uri())?;
    let place = portal.place()?;
    let (mut found, mut reasons) = (Vec::new(), HashMap::new());
    if let Some(one) = &place.membership {
        let filter = table::Filter { participant_id: Some(one.participant_id.to_string()), ..Default::default() };
        found = decoded(Some(app.db.rows(table::list(&place.scope, &filter, &page)).await?), table::decode)?;
        let rejected: Vec<&str> =
            found.iter().filter(|one| one.state == CommissionState::Rejected).map(|one| one.id.as_str()).collect();
        if !rejected.is_empty() {
            for row in &app.db.rows(acts::rejections(&place.scope, &rejected)?).await? {
                let act = acts::decode(row)?;
                reasons.insert(act.subject, act.reason);
            }
        }
    }
    let part = cut(found, &page, portal.href("/commissions")?, |one| one.id.as_str());
    let line = |one: Commission| Line {
        at: Moment::of(one.created_at),
        amount: shown(&one, sum(&one)),
        state: one.state.as_str(),
        why: why(&one, reasons.get(&one.id).and_then(Option::as_deref), call.now),
        id: one.id,
    };
    super::show(&Commissions {
        frame: portal.frame(request.uri(), "Commissions", "/commissions")?,
        commissions: part.rows.into_iter().map(line).collect(),
        pager: part.pager,
    })
}

/// `GET /partner/commissions/{id}`.
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(call): Extension<Call>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let owner = portal::owner_of_commission(&id);
    let portal = enter!(find(&app, &call, &Asked::of(&request), At::OwnerOf(owner)).await?);
    let scope = &portal.place()?.scope;
    let rows = app.db.rows(table::by_id(scope, &id)).await?;
    let Some(commission) = rows.first().map(table::decode).transpose()? else { return missing(&portal) };
    let reads = vec![
        conversions::by_id(scope, &commission.conversion_id),
        acts::of_conversion(scope, &commission.conversion_id),
        events::list(scope, None, Some(&id), &Page { limit: EVENTS_MAX, after: None }),
    ];
    let mut read = app.db.batch(reads).await?.into_iter();
    let sales = decoded(read.next(), conversions::decode)?;
    let Some((conversion, _)) = sales.into_iter().next() else { return missing(&portal) };
    // Of what people did, only what they did to this commission: the rest is the merchant's own.
    let did: Vec<Act> = decoded(read.next(), acts::decode)?.into_iter().filter(|act| act.subject == id).collect();
    let told = decoded(read.next(), events::decode)?;
    let own = portal.membership()?.map(|one| one.participant_id.to_string());
    let is_credited = conversion.participant_id == own;
    // Its id tells when it was, whatever became of its record.
    let clicked = conversion.attributed_click_id.as_deref().and_then(|id| app.secrets.clicked_at(id));
    let reason = did.iter().rev().find(|act| act.kind == "commission.reject").and_then(|act| act.reason.as_deref());
    super::show(&Story {
        frame: portal.frame(request.uri(), "Commission", "/commissions")?,
        amount: shown(&commission, sum(&commission)),
        state: commission.state.as_str(),
        why: why(&commission, reason, call.now),
        sale: amount(&conversion),
        event_type: conversion.event_type.clone(),
        by: credited_by(conversion.method.filter(|_| is_credited)),
        ask: format!("{}&about={}#ask", portal.href("/questions")?, conversion.id),
        steps: steps(&commission, &conversion, is_credited, &did, &told, clicked),
        entries: commission.entries.iter().map(|entry| entry_line(&commission, entry)).collect(),
        id,
    })
}

/// What happened when, the oldest first.
fn steps(
    commission: &Commission,
    conversion: &Conversion,
    is_credited: bool,
    did: &[Act],
    told: &[Event],
    clicked: Option<Instant>,
) -> Vec<Step> {
    let mut steps: Vec<(Instant, String)> = Vec::new();
    let mut step = |at: Instant, text: String| steps.push((at, text));
    let by_click = is_credited && conversion.method == Some(Method::Click);
    if let Some(at) = clicked.filter(|_| by_click) {
        step(at, "Somebody came by your link.".to_owned());
    }
    let what = format!("The sale: {}, {}.", conversion.event_type, amount(conversion));
    step(conversion.occurred_at, what);
    for entry in &commission.entries {
        let amount = shown(commission, entry.amount_cents);
        let bonus = did.iter().find(|act| act.kind == "commission.bonus" && act.id == entry.cause);
        let text = match (entry.kind.as_str(), bonus.and_then(|act| act.reason.as_deref())) {
            ("earned", _) => format!(
                "It earned you {amount}, credited by {}.",
                credited_by(conversion.method.filter(|_| is_credited))
            ),
            ("bonus", Some(reason)) => format!("The merchant added {amount}: {reason}"),
            _ => format!("{amount}: {}.", entry_words(&entry.kind, entry.amount_cents)),
        };
        step(Instant::from_ms(entry.created_at), text);
    }
    for event in told {
        let text = match event.kind.as_str() {
            "commission.approved" => "It was approved.".to_owned(),
            "commission.paid" => "It was paid out.".to_owned(),
            "commission.rejected" => match event.data["reason"].as_str() {
                Some(reason) => format!("The merchant turned it down: {reason}"),
                None => "The merchant turned it down.".to_owned(),
            },
            _ => continue,
        };
        step(event.created_at, text);
    }
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(at, text)| Step { at: Moment::of(at), text }).collect()
}

fn sum(commission: &Commission) -> i64 {
    commission.entries.iter().map(|entry| entry.amount_cents).sum()
}

/// An amount in the commission's currency.
fn shown(commission: &Commission, cents: i64) -> String {
    match Currency::parse(&commission.currency) {
        Ok(currency) => money(cents, currency),
        Err(_) => format!("{cents} {}", commission.currency),
    }
}

/// Why a commission stands as it does, and until when.
fn why(commission: &Commission, reason: Option<&str>, now: Instant) -> String {
    let last_taken = commission.entries.iter().rev().find(|entry| entry.amount_cents < 0);
    match commission.state {
        CommissionState::Pending if commission.disputed => "The buyer disputes the payment.".to_owned(),
        CommissionState::Pending if !commission.needs_review.is_empty() => "The merchant looks at it first.".to_owned(),
        CommissionState::Pending if commission.hold_until > now => {
            format!("Held until {}.", Moment::of(commission.hold_until).shown.chars().take(10).collect::<String>())
        }
        CommissionState::Pending => "Waits for approval.".to_owned(),
        CommissionState::Approved if commission.disputed => "The buyer disputes the payment.".to_owned(),
        CommissionState::Approved => "Goes into the next payout.".to_owned(),
        CommissionState::Paid => "Paid out.".to_owned(),
        CommissionState::Rejected => match reason {
            Some(reason) => format!("Turned down: {reason}"),
            None => "Turned down.".to_owned(),
        },
        CommissionState::Reversed => {
            let words = last_taken.map_or("it came to nothing", |entry| words::change(&entry.kind, entry.amount_cents));
            let mut sentence = words.to_owned();
            if let Some(first) = sentence.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            sentence + "."
        }
    }
}

fn entry_line(commission: &Commission, entry: &LedgerEntry) -> EntryLine {
    EntryLine {
        at: Moment::of(Instant::from_ms(entry.created_at)),
        amount: shown(commission, entry.amount_cents),
        why: entry_words(&entry.kind, entry.amount_cents),
    }
}

/// Why an entry was made.
pub fn entry_words(kind: &str, amount_cents: i64) -> &'static str {
    match kind {
        "earned" => "earned",
        "bonus" => "a bonus from the merchant",
        kind => words::change(kind, amount_cents),
    }
}
