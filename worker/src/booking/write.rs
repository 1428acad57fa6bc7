//! Write: a decision as statements, all of one batch, and what the caller is told once it is written.

use domain::attribution::{self, Sighting};
use domain::ids::{CommissionId, ConversionId, DecisionId, SaleId};
use domain::ledger::{EntryKind, Step};
use domain::sale::ConversionStatus;
use domain::status::CommissionState;
use domain::time::Instant;
use serde_json::json;

use super::decide::{Conversion as DecidedConversion, Decided};
use super::load::{self, Loaded};
use super::{Booked, Booking, Converted};
use crate::app::App;
use crate::error::ApiError;
use crate::shapes;
use crate::store::clicks::{self, ClickRecord};
use crate::store::commissions::{self, NewEntry};
use crate::store::conversions::{self, Conversion, Decision};
use crate::store::events::{self, Event};
use crate::store::{Statement, sales};

/// The batch, and the answer.
pub fn write(app: &App, booking: &Booking, decided: Decided) -> Result<(Vec<Statement>, Booked), ApiError> {
    match decided {
        Decided::Duplicate { conversion_id } => Ok((Vec::new(), Booked::Duplicate { conversion_id })),
        Decided::Joins => Ok((Vec::new(), Booked::Joins)),
        Decided::Refused {
            refusal,
            inputs,
            verdict,
        } => {
            let decision = Decision {
                id: app.fresh(booking.now),
                conversion_id: None,
                external_transaction_id: booking.report.as_ref().and_then(|r| r.external_transaction_id.clone()),
                rule_version: attribution::RULE_VERSION,
                inputs,
                verdict,
                refused: Some(shapes::refusal_code(refusal).to_owned()),
                created_at: booking.now,
            };
            let request_id = booking.request_id.as_deref();
            Ok((
                vec![conversions::insert_decision(&booking.scope, &decision, request_id)?],
                Booked::Refused(refusal),
            ))
        }
        Decided::Waiting { loaded, until } => {
            let (_, mut batch) = facts(app, booking, &loaded, until)?;
            batch.extend(booking.along.iter().cloned());
            Ok((batch, Booked::Waiting))
        }
        Decided::Converted(decided) => converted(app, booking, *decided),
    }
}

/// The sale at its next revision, its keys and its new facts.
fn facts(
    app: &App,
    booking: &Booking,
    loaded: &Loaded,
    due_at: Option<Instant>,
) -> Result<(SaleId, Vec<Statement>), ApiError> {
    let scope = &booking.scope;
    let (sale, mut batch) = match &loaded.sale {
        Some((id, revision)) => (id.clone(), vec![sales::advance(id, *revision, due_at)]),
        None => {
            let id = app.fresh(booking.now);
            let insert = sales::insert(scope, &id, due_at);
            (id, vec![insert])
        }
    };
    batch.extend(booking.keys.iter().map(|key| sales::insert_key(scope, key, &sale)));
    for fact in &booking.facts {
        batch.push(sales::insert_fact(
            scope,
            &sale,
            fact,
            booking.now,
            booking.request_id.as_deref(),
        )?);
    }
    Ok((sale, batch))
}

fn converted(app: &App, booking: &Booking, decided: DecidedConversion) -> Result<(Vec<Statement>, Booked), ApiError> {
    let (sale, mut batch) = facts(app, booking, &decided.loaded, None)?;
    let before = decided.loaded.conversion.as_ref();
    let decision_id: DecisionId = match (before, decided.verdict_stands) {
        (Some(held), true) => held.decision_id.clone(),
        _ => app.fresh(booking.now),
    };
    let conversion = conversion(app, booking, &decided, decision_id);
    let request_id = booking.request_id.as_deref();
    batch.push(match before {
        None => conversions::insert(&booking.scope, &sale, &conversion, request_id)?,
        Some(_) => conversions::update(&conversion)?,
    });
    if !decided.verdict_stands {
        let decision = Decision {
            id: conversion.decision_id.clone(),
            conversion_id: Some(conversion.id.to_string()),
            external_transaction_id: conversion.reported.external_transaction_id.clone(),
            rule_version: attribution::RULE_VERSION,
            inputs: decided.inputs.clone(),
            verdict: decided.verdict.clone(),
            refused: None,
            created_at: booking.now,
        };
        batch.push(conversions::insert_decision(&booking.scope, &decision, request_id)?);
        batch.extend(recovered(app, booking, &decided)?);
    }
    let (commission_id, ledger) = ledger(app, booking, &decided, &conversion.id)?;
    let credited_before = before.and_then(|held| held.participant_id.clone());
    if before.is_none() {
        let data = shapes::conversion(&conversion, booking.scope.mode, commission_id.as_deref());
        batch.push(event(app, booking, "conversion.created", conversion.id.as_str(), data)?);
    } else if conversion.participant_id.is_some() && credited_before != conversion.participant_id {
        let data = shapes::conversion(&conversion, booking.scope.mode, commission_id.as_deref());
        batch.push(event(
            app,
            booking,
            "conversion.attributed",
            conversion.id.as_str(),
            data,
        )?);
    }
    batch.extend(ledger);
    batch.extend(booking.along.iter().cloned());
    let told = Converted {
        conversion,
        commission_id,
        inputs: decided.inputs,
        verdict: decided.verdict,
    };
    Ok((batch, Booked::Converted(Box::new(told))))
}

fn conversion(app: &App, booking: &Booking, decided: &DecidedConversion, decision_id: DecisionId) -> Conversion {
    let (id, created_at, reported) = match &decided.loaded.conversion {
        Some(held) => (held.id.clone(), held.created_at, held.reported.clone()),
        None => (
            app.fresh(booking.now),
            booking.now,
            booking.report.clone().unwrap_or_default(),
        ),
    };
    let state = &decided.state;
    let credit = decided.verdict.credit.as_ref();
    Conversion {
        id,
        source: state.source,
        status: ConversionStatus::Recorded,
        reported,
        event_type: state.event_type.clone(),
        amount_cents: state.money.paid_cents,
        currency: state.money.currency,
        refunded_cents: state.money.refunded_cents,
        occurred_at: state.occurred_at,
        stripe: state.stripe.clone(),
        decision_id,
        method: credit.map(|credit| credit.method),
        reason: decided.verdict.reason,
        attributed_click_id: credit.and_then(|credit| credit.click_id.clone()),
        attributed_promo_code: credit.and_then(|credit| credit.promo_code.clone()),
        program_id: credit.map(|credit| credit.program_id.to_string()),
        participant_id: credit.map(|credit| credit.participant_id.to_string()),
        created_at,
    }
}

/// The clicks named, should their own records not have come yet, or have been purged or lost.
fn recovered(app: &App, booking: &Booking, decided: &DecidedConversion) -> Result<Option<Statement>, ApiError> {
    let records: Vec<ClickRecord> = decided
        .inputs
        .clicks
        .iter()
        .filter(|click| matches!(click.sighting, Sighting::Here(_)))
        .filter_map(|click| load::open(app, &click.click_id).map(|opened| (click, opened)))
        .map(|(click, opened)| ClickRecord {
            click_id: click.click_id.clone(),
            workspace_id: booking.scope.workspace_id.to_string(),
            mode: booking.scope.mode.to_string(),
            link_number: i64::from(opened.link.number),
            clicked_at: opened.at,
            url: None,
            referrer: None,
            human: true,
            flags: vec![clicks::RECOVERED.to_owned()],
            address_hash: None,
            device: None,
            browser: None,
            country: None,
            request_id: booking.request_id.clone(),
        })
        .collect();
    Ok(if records.is_empty() {
        None
    } else {
        Some(clicks::insert_all(&records)?)
    })
}

/// Commissions, entries and their events; and the id of the commission that counts.
fn ledger(
    app: &App,
    booking: &Booking,
    decided: &DecidedConversion,
    conversion: &ConversionId,
) -> Result<(Option<String>, Vec<Statement>), ApiError> {
    let credited = decided.verdict.credit.as_ref().map(|credit| &credit.participant_id);
    let standing = decided
        .loaded
        .commissions
        .iter()
        .find(|held| Some(&held.participant_id) == credited);
    let mut counts = standing.map(|held| held.id.to_string());
    let mut batch = Vec::new();
    // The fact that came last is the cause; with no new fact, time is.
    let cause = booking.facts.last().map_or("time", |fact| fact.id.as_str());
    let entry = |commission_id: &CommissionId, amount_cents, currency, kind: EntryKind| {
        let id = app.fresh(booking.now);
        commissions::append(
            &booking.scope,
            &NewEntry {
                id,
                commission_id,
                amount_cents,
                currency,
                kind,
                cause,
            },
            booking.now,
        )
    };
    for step in &decided.steps {
        match step {
            Step::Open(due) => {
                let id: CommissionId = app.fresh(booking.now);
                let state = due.first_state(booking.now);
                batch.push(commissions::insert(
                    &booking.scope,
                    &id,
                    conversion,
                    due,
                    state,
                    booking.now,
                )?);
                batch.push(entry(&id, due.amount_cents, due.currency, EntryKind::Earned));
                let data = json!({
                    "id": id, "conversion_id": conversion, "participant_id": due.participant_id,
                    "program_id": due.program_id, "amount_cents": due.amount_cents, "currency": due.currency,
                    "state": state.as_str(), "mode": booking.scope.mode,
                });
                batch.push(event(app, booking, "commission.created", id.as_str(), data.clone())?);
                if state == CommissionState::Approved {
                    batch.push(event(app, booking, "commission.approved", id.as_str(), data)?);
                }
                counts = Some(id.to_string());
            }
            Step::Append {
                commission_id,
                amount_cents,
                kind,
                state,
            } => {
                let held = decided.loaded.commissions.iter().find(|held| held.id == *commission_id);
                let Some(held) = held else { continue };
                batch.push(entry(commission_id, *amount_cents, held.currency, *kind));
                if *state != held.state {
                    batch.push(commissions::set_state(commission_id, *state));
                }
            }
        }
    }
    Ok((counts, batch))
}

fn event(
    app: &App,
    booking: &Booking,
    kind: &'static str,
    subject: &str,
    data: serde_json::Value,
) -> Result<Statement, ApiError> {
    let event = Event {
        id: app.fresh(booking.now),
        kind,
        subject: subject.to_owned(),
        data,
    };
    Ok(events::insert(&booking.scope, &event, booking.now)?)
}
