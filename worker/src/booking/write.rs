//! Write: a decision as statements, all of one batch, and what the caller is told once it is written.

mod beside;
mod customers;
mod ledger;

use std::cell::RefCell;
use std::collections::BTreeSet;

use domain::attribution;
use domain::ids::{DecisionId, FamilyId};
use domain::sale::ConversionStatus;
use domain::sale::family;
use domain::status::StripeOutcome;
use serde_json::Value as Json;

use self::customers::Customers;
use super::decide::{Conversion as DecidedConversion, Decided, Family};
use super::lookups;
use super::{Booked, Booking, Converted};
use crate::app::App;
use crate::error::ApiError;
use crate::shapes;
use crate::store::conversions::{self, Conversion, Decision};
use crate::store::customers::Known;
use crate::store::events::{self, Event};
use crate::store::{Statement, families, stripe_events};

/// The batch, and the answer.
pub fn write(app: &App, booking: &Booking, decided: Decided) -> Result<(Vec<Statement>, Booked), ApiError> {
    let repeated = matches!(&decided, Decided::Family(family) if family.loaded.repeated);
    let writer = Writer { app, booking, repeated, customers: RefCell::default(), events: RefCell::default() };
    match decided {
        Decided::Duplicate { conversion_id } => Ok((Vec::new(), Booked::Duplicate { conversion_id })),
        Decided::Repeated => Ok((Vec::new(), Booked::Repeated)),
        Decided::NotByHand => Ok((Vec::new(), Booked::NotByHand)),
        Decided::OverTheRest { rest_cents } => Ok((Vec::new(), Booked::OverTheRest { rest_cents })),
        Decided::Refused { refusal, inputs, verdict } => {
            let decision = Decision {
                id: app.fresh(booking.now),
                conversion_id: None,
                external_transaction_id: booking.report.as_ref().and_then(|r| r.external_transaction_id.clone()),
                rule_version: attribution::RULE_VERSION,
                inputs: *inputs,
                verdict: *verdict,
                refused: Some(shapes::refusal_code(refusal).to_owned()),
                created_at: booking.now,
            };
            let insert = conversions::insert_decision(&booking.scope, &decision, booking.request_id.as_deref())?;
            Ok((vec![insert], Booked::Refused(refusal)))
        }
        Decided::Family(family) if booking.deferred => writer.deferred(&family),
        Decided::Family(family) => writer.family(&family),
    }
}

/// The conversion as it would be written, with this decision: for a rebuild, which writes nothing.
pub fn due_row(
    app: &App,
    booking: &Booking,
    family: &Family,
    decided: &DecidedConversion,
    decision_id: DecisionId,
) -> Conversion {
    Writer { app, booking, repeated: false, customers: RefCell::default(), events: RefCell::default() }.row(
        family,
        decided,
        decision_id,
    )
}

/// What every statement of a booking needs.
struct Writer<'a> {
    app: &'a App,
    booking: &'a Booking,
    /// Every fact of the booking was stored before.
    repeated: bool,
    customers: RefCell<Customers>,
    /// What is to be told, in order: one statement for all of it.
    events: RefCell<Vec<Event>>,
}

impl Writer<'_> {
    fn family(&self, family: &Family) -> Result<(Vec<Statement>, Booked), ApiError> {
        let parked = family.members.iter().any(|member| member.unknown);
        let (id, mut batch) = self.facts(family, parked)?;
        let mut reported = None;
        let mut told: Vec<(usize, String)> = Vec::new();
        for conversion in &family.conversions {
            let converted = self.conversion(family, conversion, &id, &mut batch)?;
            told.push((conversion.member, converted.conversion.id.to_string()));
            let is_by_hand = |by_hand: &super::ByHand| by_hand.conversion_id == converted.conversion.id.as_str();
            if self.booking.by_hand.as_ref().is_some_and(is_by_hand) {
                reported = Some(converted);
                continue;
            }
            let transaction = self.booking.report.as_ref().and_then(|report| report.external_transaction_id.as_ref());
            let keys = family.members.get(conversion.member).map(|member| &member.keys);
            if let (Some(transaction), Some(keys)) = (transaction, keys)
                && keys.contains(transaction)
            {
                reported = Some(converted);
            }
        }
        batch.extend(events::insert_all(&self.booking.scope, &self.events.take(), self.booking.now)?);
        batch.extend(self.by_hand()?);
        batch.extend(self.booking.beside.iter().cloned());
        batch.extend(self.awaited(family, &id)?);
        batch.extend(self.refunds(family, &told)?);
        batch.extend(self.found(family)?);
        batch.extend(lookups::wanted(self.app, self.booking, family)?);
        let is_parked = self.is_parked(family);
        if let Some(event) = &self.booking.stripe_event {
            batch.push(if is_parked {
                stripe_events::conclude(event, StripeOutcome::Parked, Some("sale_unknown"))
            } else {
                stripe_events::conclude(event, StripeOutcome::Processed, None)
            });
        }
        let booked = match reported {
            Some(converted) => Booked::Converted(Box::new(converted)),
            None => Booked::Recorded { lookups: Vec::new() },
        };
        Ok((batch, booked))
    }

    /// What is known of a customer before its lead comes: whom it is bound to, and the decision that says why.
    fn deferred(&self, family: &Family) -> Result<(Vec<Statement>, Booked), ApiError> {
        let Booking { scope, request_id, now, .. } = self.booking;
        let mut batch = Vec::new();
        let mut customer_id = None;
        for decided in &family.conversions {
            let to_come = self.row(family, decided, self.app.fresh(*now));
            let keys = decided.state.customer.keys();
            let (known, new_keys) = family.loaded.directory.customers(&keys);
            customer_id.clone_from(&to_come.customer_id);
            let is_settled =
                |known: &&Known| known.participant_id.is_some() && (decided.unauthenticated || !known.unauthenticated);
            if new_keys.is_empty() && known.iter().all(is_settled) {
                continue;
            }
            let decision = Decision {
                id: to_come.decision_id.clone(),
                conversion_id: None,
                external_transaction_id: to_come.reported.external_transaction_id.clone(),
                rule_version: attribution::RULE_VERSION,
                inputs: decided.inputs.clone(),
                verdict: decided.verdict.clone(),
                refused: None,
                created_at: *now,
            };
            batch.push(conversions::insert_decision(scope, &decision, request_id.as_deref())?);
            batch.extend(self.recovered(decided)?);
            batch.extend(self.customer(family, decided, &to_come)?);
        }
        Ok((batch, Booked::Deferred { customer_id }))
    }

    /// Whether the booking's own keys name a sale that nobody knows.
    fn is_parked(&self, family: &Family) -> bool {
        let own = |member: &&family::Member| self.booking.keys.iter().any(|key| member.keys.contains(key));
        family.members.iter().filter(own).any(|member| member.unknown)
    }

    /// The family at its next revision, whatever was joined to it, its new keys and facts.
    fn facts(&self, family: &Family, parked: bool) -> Result<(FamilyId, Vec<Statement>), ApiError> {
        let Booking { scope, now, .. } = self.booking;
        let mut known = family.loaded.families.iter();
        let (id, mut batch) = match known.next() {
            Some(first) => (first.id.clone(), vec![families::advance(first, family.due_at, parked)]),
            None => {
                let id: FamilyId = self.app.fresh(*now);
                let insert = families::insert(scope, &id, family.due_at, parked);
                (id, vec![insert])
            }
        };
        for other in known {
            batch.extend(families::merge(other, &id));
        }
        let subscriptions = family::subscriptions(&family.loaded.facts);
        let keys: BTreeSet<&String> = family
            .members
            .iter()
            .flat_map(|member| &member.keys)
            .chain(&subscriptions)
            .chain(&self.booking.keys)
            .filter(|key| !family.loaded.keys.contains(*key))
            .collect();
        if !keys.is_empty() {
            batch.push(families::insert_keys(scope, &keys.into_iter().collect::<Vec<_>>(), &id)?);
        }
        for fact in &self.booking.facts {
            batch.push(families::insert_fact(scope, &id, fact, *now, self.booking.request_id.as_deref())?);
        }
        Ok((id, batch))
    }

    fn conversion(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        id: &FamilyId,
        batch: &mut Vec<Statement>,
    ) -> Result<Converted, ApiError> {
        let Booking { scope, request_id, now, .. } = self.booking;
        let decision_id: DecisionId = match (&decided.row, decided.verdict_stands) {
            (Some(row), true) => row.decision_id.clone(),
            _ => self.app.fresh(*now),
        };
        let conversion = self.row(family, decided, decision_id);
        match &decided.row {
            None => batch.push(conversions::insert(scope, id, &conversion, request_id.as_deref())?),
            Some(row) if *row != conversion => batch.push(conversions::update(&conversion)?),
            Some(_) => {}
        }
        if !decided.verdict_stands {
            let decision = Decision {
                id: conversion.decision_id.clone(),
                conversion_id: Some(conversion.id.to_string()),
                external_transaction_id: conversion.reported.external_transaction_id.clone(),
                rule_version: attribution::RULE_VERSION,
                inputs: decided.inputs.clone(),
                verdict: decided.verdict.clone(),
                refused: None,
                created_at: *now,
            };
            batch.push(conversions::insert_decision(scope, &decision, request_id.as_deref())?);
            batch.extend(self.recovered(decided)?);
        }
        let (commission_id, ledger) = self.ledger(family, decided, &conversion.id)?;
        self.tell(decided, &conversion, commission_id.as_deref());
        batch.extend(self.customer(family, decided, &conversion)?);
        self.alerts(family, decided, &conversion, batch)?;
        batch.extend(ledger);
        self.flags(family, decided, batch);
        self.merged(family, decided, batch)?;
        Ok(Converted { conversion, commission_id, inputs: decided.inputs.clone(), verdict: decided.verdict.clone() })
    }

    fn row(&self, family: &Family, decided: &DecidedConversion, decision_id: DecisionId) -> Conversion {
        let state = &decided.state;
        let keys = family.members.get(decided.member).map(|member| &member.keys);
        let reported = self.booking.report.as_ref().filter(|report| {
            let transaction = report.external_transaction_id.as_ref();
            transaction.zip(keys).is_some_and(|(transaction, keys)| keys.contains(transaction))
        });
        let merged = decided.merged.iter().map(|(row, _)| row);
        let (id, anchor, created_at, reported) = match &decided.row {
            Some(row) => {
                // What a merchant reported of a sale that Stripe told first stands on the conversion that stays.
                let mut all = std::iter::once(row).chain(merged).map(|row| &row.reported);
                let told = all.find(|reported| reported.external_transaction_id.is_some()).unwrap_or(&row.reported);
                // A report that is booked with a conversion there already takes the place of what stood on it.
                (row.id.clone(), row.anchor.clone(), row.created_at, reported.unwrap_or(told).clone())
            }
            None => {
                let anchor = keys.and_then(|keys| keys.first()).cloned().unwrap_or_default();
                let reported = reported.cloned().unwrap_or_default();
                (self.app.fresh(self.booking.now), anchor, self.booking.now, reported)
            }
        };
        let credit = decided.verdict.credit.as_ref();
        let money = &state.money;
        Conversion {
            id,
            anchor,
            source: state.source,
            status: match money.refunded_cents {
                0 => ConversionStatus::Recorded,
                all if all >= money.paid_cents => ConversionStatus::Refunded,
                _ => ConversionStatus::PartiallyRefunded,
            },
            reported,
            event_type: state.event_type.clone(),
            amount_cents: money.paid_cents,
            currency: money.currency,
            refunded_cents: money.refunded_cents,
            occurred_at: state.occurred_at,
            stripe: state.stripe.clone(),
            decision_id,
            method: credit.map(|credit| credit.method),
            reason: decided.verdict.reason,
            attributed_click_id: credit.and_then(|credit| credit.click_id.clone()),
            attributed_promo_code: credit.and_then(|credit| credit.promo_code.clone()),
            program_id: credit.map(|credit| credit.program_id.to_string()),
            participant_id: credit.map(|credit| credit.participant_id.to_string()),
            customer_id: self.customer_id(family, decided),
            created_at,
        }
    }

    /// What became of the conversion itself, for the outbox.
    fn tell(&self, decided: &DecidedConversion, conversion: &Conversion, commission_id: Option<&str>) {
        let data = || shapes::conversion(conversion, self.booking.scope.mode, commission_id);
        let id = conversion.id.as_str();
        let Some(before) = &decided.row else {
            self.event("conversion.created", id, data());
            if conversion.refunded_cents > 0 {
                self.event("conversion.refunded", id, data());
            }
            return;
        };
        if conversion.participant_id.is_some() && before.participant_id != conversion.participant_id {
            self.event("conversion.attributed", id, data());
        }
        if before.refunded_cents != conversion.refunded_cents {
            self.event("conversion.refunded", id, data());
        }
    }

    fn event(&self, kind: &'static str, subject: &str, data: Json) {
        let id = self.app.fresh(self.booking.now);
        self.events.borrow_mut().push(Event { id, kind, subject: subject.to_owned(), data });
    }
}
