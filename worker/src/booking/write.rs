//! Write: a decision as statements, all of one batch, and what the caller is told once it is written.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use domain::attribution::{self, Sighting};
use domain::ids::{CommissionId, ConversionId, CustomerId, DecisionId, FamilyId, FraudAlertId};
use domain::ledger::{EntryKind, Step};
use domain::sale::family;
use domain::sale::{ConversionStatus, listed};
use domain::status::{CommissionState, StripeOutcome};
use serde_json::{Value as Json, json};

use super::decide::{self, Conversion as DecidedConversion, Decided, Family};
use super::directory::open;
use super::load::Attributed;
use super::lookups;
use super::{Booked, Booking, Converted};
use crate::app::App;
use crate::error::ApiError;
use crate::shapes;
use crate::store::acts::{self, NewAct};
use crate::store::clicks::{self, ClickRecord};
use crate::store::commissions::{self, Held, NewEntry};
use crate::store::conversions::{self, Conversion, Decision};
use crate::store::events::{self, Event};
use crate::store::{DbError, Statement, customers, families, fraud_alerts, refunds, stripe_events};

/// The batch, and the answer.
pub fn write(app: &App, booking: &Booking, decided: Decided) -> Result<(Vec<Statement>, Booked), ApiError> {
    let repeated = matches!(&decided, Decided::Family(family) if family.loaded.repeated);
    let writer = Writer { app, booking, repeated, customers: RefCell::default() };
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
    Writer { app, booking, repeated: false, customers: RefCell::default() }.row(family, decided, decision_id)
}

/// What every statement of a booking needs.
struct Writer<'a> {
    app: &'a App,
    booking: &'a Booking,
    /// Every fact of the booking was stored before.
    repeated: bool,
    customers: RefCell<Customers>,
}

/// What this batch says of customers already: two conversions of one family may have one customer.
#[derive(Default)]
struct Customers {
    /// Those that it makes, by their keys.
    made: BTreeMap<String, CustomerId>,
    /// Keys that it adds.
    keys: BTreeSet<String>,
    /// Those whose binding it holds against what was seen.
    held: BTreeSet<CustomerId>,
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

    /// Whether the booking's own keys name a sale that nobody knows.
    fn is_parked(&self, family: &Family) -> bool {
        let own = |member: &&family::Member| self.booking.keys.iter().any(|key| member.keys.contains(key));
        family.members.iter().filter(own).any(|member| member.unknown)
    }

    /// A person's word, as the act that it is.
    fn by_hand(&self) -> Result<Option<Statement>, DbError> {
        let Some(by_hand) = &self.booking.by_hand else { return Ok(None) };
        let manual = &by_hand.manual;
        let detail =
            Attributed { participant_id: manual.participant_id.clone(), program_id: manual.program_id.clone() };
        let act = NewAct {
            id: manual.act_id.clone(),
            kind: "conversion.attribute",
            subject: &by_hand.conversion_id,
            reason: Some(&by_hand.reason),
            detail: Some(crate::store::to_json(&detail)?),
            request_id: self.booking.request_id.as_deref().unwrap_or_default(),
        };
        Ok(Some(acts::insert(&self.booking.scope, &act, self.booking.now)))
    }

    /// Codes that Stripe named and nobody has mapped: the family is decided again once somebody does.
    fn awaited(&self, family: &Family, id: &FamilyId) -> Result<Vec<Statement>, DbError> {
        let unknown: BTreeSet<&str> = family
            .conversions
            .iter()
            .filter(|decided| !decided.verdict_stands)
            .flat_map(|decided| &decided.inputs.promo_codes)
            .filter(|promo| promo.stripe && promo.sighting == Sighting::Unknown)
            .map(|promo| promo.code.as_str())
            .collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let Booking { scope, now, .. } = self.booking;
        let unknown: Vec<&str> = unknown.into_iter().collect();
        // Whoever maps one from now on finds the family; what was mapped since it was loaded is found here.
        Ok(vec![families::await_codes(scope, id, &unknown)?, families::wake_if_mapped(scope, id, &unknown, *now)?])
    }

    /// The family's refunds and disputes for reading, where one was told of now, or its sale was found.
    fn refunds(&self, family: &Family, told: &[(usize, String)]) -> Result<Vec<Statement>, DbError> {
        let Booking { scope, facts, now, .. } = self.booking;
        let news = facts.iter().any(|fact| fact.body.takes_back());
        let found = family.loaded.families.len() > 1 || family.loaded.families.iter().any(|loaded| loaded.parked);
        if !news && !found {
            return Ok(Vec::new());
        }
        let of_sale = |key: &String| {
            let place = family.members.iter().position(|member| member.keys.contains(key))?;
            told.iter().find(|(member, _)| *member == place).map(|(_, conversion)| conversion.as_str())
        };
        let reported = |refund: &listed::Listed| {
            // A reported refund is known by the id of the fact that brought it.
            let source =
                (refund.source == listed::Source::Reported).then(|| refund.key.replacen("report/", "refund/", 1));
            facts.iter().find(|fact| Some(&fact.source) == source.as_ref()).map(|fact| fact.id.to_string())
        };
        let listed = listed::listed(&family.loaded.facts);
        // What a charge told as a sum is told one by one now.
        let is_told = |charge: &&String| !listed.iter().any(|refund| refund.key == **charge);
        let charges: Vec<&String> = listed::charges(&family.loaded.facts).into_iter().filter(is_told).collect();
        let gone = (!charges.is_empty()).then(|| refunds::delete(scope, &charges)).transpose()?;
        let upserts = listed.iter().map(|refund| {
            let id = reported(refund).unwrap_or_else(|| self.app.fresh::<domain::ids::Refund>(*now).to_string());
            Ok(refunds::upsert(scope, &id, refund, of_sale(&refund.sale_key), *now))
        });
        gone.into_iter().map(Ok).chain(upserts).collect()
    }

    /// The customer of a conversion: who is known by any of its keys, or somebody new; counted, and bound to who is credited.
    fn customer(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &Conversion,
    ) -> Result<Vec<Statement>, DbError> {
        let Booking { scope, now, .. } = self.booking;
        let customer = &decided.state.customer;
        let keys = customer.keys();
        let (known, new_keys) = family.loaded.directory.customers(&keys);
        let mut batch = Vec::new();
        let Some(id) = conversion.customer_id.as_deref().and_then(CustomerId::parse) else { return Ok(batch) };
        let mut told = self.customers.borrow_mut();
        if known.is_empty() && !told.made.values().any(|made| *made == id) {
            batch.push(customers::insert(scope, &id, customer.external_ids.first(), customer.stripe_ids.first(), *now));
        }
        told.made.extend(keys.iter().map(|key| (key.clone(), id.clone())));
        if !known.is_empty() && !new_keys.is_empty() {
            batch.push(customers::fill_in(&id, customer.external_ids.first(), customer.stripe_ids.first()));
        }
        let new_keys: Vec<&String> = new_keys.into_iter().filter(|key| told.keys.insert((*key).clone())).collect();
        if !new_keys.is_empty() {
            batch.push(customers::insert_keys(scope, &id, &new_keys)?);
        }
        let purchases = i64::from(decided.row.is_none() && decide::counts_as_purchase(&decided.state));
        for one in &known {
            if decided.row.is_none() && told.held.insert(one.id.clone()) {
                batch.push(customers::hold(one));
            }
        }
        let ids: Vec<&CustomerId> =
            if known.is_empty() { vec![&id] } else { known.iter().map(|known| &known.id).collect() };
        if purchases > 0 {
            batch.extend(ids.iter().map(|one| customers::count(one, purchases)));
        }
        if let Some(participant) = &conversion.participant_id {
            let unbound = |one: &&CustomerId| {
                known.iter().find(|known| known.id == **one).is_none_or(|known| known.participant_id.is_none())
            };
            let unbound = ids.into_iter().filter(unbound);
            batch.extend(unbound.map(|one| customers::bind(one, participant, &conversion.id, *now)));
        }
        Ok(batch)
    }

    /// What the fraud rules found now.
    fn alerts(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &Conversion,
        batch: &mut Vec<Statement>,
    ) -> Result<(), ApiError> {
        if decided.verdict_stands {
            return Ok(());
        }
        let Booking { scope, now, .. } = self.booking;
        let before = decided.row.as_ref().and_then(|row| family.loaded.decisions.get(row.decision_id.as_str()));
        let found = fraud_alerts::new(&decided.verdict, before.map(|(_, verdict)| verdict));
        if found.is_empty() {
            return Ok(());
        }
        for one in &found {
            let id: FraudAlertId = self.app.fresh(*now);
            batch.push(fraud_alerts::insert(scope, &id, &conversion.id, one, *now));
        }
        let data = json!({
            "conversion_id": conversion.id, "mode": scope.mode, "blocked": conversion.participant_id.is_none(),
            "findings": found.iter().map(|one| json!({
                "participant_id": one.participant_id, "rule": one.rule.as_str(), "response": one.response.as_str(),
            })).collect::<Vec<_>>(),
        });
        batch.push(self.event("conversion.fraud_detected", conversion.id.as_str(), data)?);
        Ok(())
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

    /// Events that were parked for a sale that is known now.
    fn found(&self, family: &Family) -> Result<Option<Statement>, DbError> {
        if !family.loaded.families.iter().any(|loaded| loaded.parked) {
            return Ok(None);
        }
        let known: Vec<&BTreeSet<String>> =
            family.members.iter().filter(|member| !member.unknown).map(|member| &member.keys).collect();
        let events: Vec<&String> = family
            .loaded
            .events
            .iter()
            .filter(|(_, keys)| known.iter().any(|member| !member.is_disjoint(keys)))
            .map(|(event, _)| event)
            .collect();
        if events.is_empty() { Ok(None) } else { stripe_events::unpark(&events).map(Some) }
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
        self.tell(decided, &conversion, commission_id.as_deref(), batch)?;
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
                (row.id.clone(), row.anchor.clone(), row.created_at, told.clone())
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

    /// Who bought: whom the conversion has, else who is known by a key of it, else somebody new.
    fn customer_id(&self, family: &Family, decided: &DecidedConversion) -> Option<String> {
        let keys = decided.state.customer.keys();
        if keys.is_empty() {
            return None;
        }
        if let Some(known) = family.loaded.directory.customers(&keys).0.first() {
            return Some(known.id.to_string());
        }
        let told = self.customers.borrow();
        let made = keys.iter().find_map(|key| told.made.get(key)).map(CustomerId::to_string);
        made.or_else(|| Some(self.app.fresh::<domain::ids::Customer>(self.booking.now).to_string()))
    }

    /// The clicks named, should their own records not have come yet, or have been purged or lost.
    fn recovered(&self, decided: &DecidedConversion) -> Result<Option<Statement>, ApiError> {
        let Booking { scope, request_id, .. } = self.booking;
        let records: Vec<ClickRecord> = decided
            .inputs
            .clicks
            .iter()
            .filter(|click| matches!(click.sighting, Sighting::Here(_)))
            .filter_map(|click| open(self.app, &click.click_id).map(|opened| (click, opened)))
            .map(|(click, opened)| ClickRecord {
                click_id: click.click_id.clone(),
                workspace_id: scope.workspace_id.to_string(),
                mode: scope.mode.to_string(),
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
                request_id: request_id.clone(),
            })
            .collect();
        Ok(if records.is_empty() { None } else { Some(clicks::insert_all(&records)?) })
    }

    /// What became of the conversion itself, for the outbox.
    fn tell(
        &self,
        decided: &DecidedConversion,
        conversion: &Conversion,
        commission_id: Option<&str>,
        batch: &mut Vec<Statement>,
    ) -> Result<(), ApiError> {
        let data = || shapes::conversion(conversion, self.booking.scope.mode, commission_id);
        let id = conversion.id.as_str();
        let Some(before) = &decided.row else {
            batch.push(self.event("conversion.created", id, data())?);
            if conversion.refunded_cents > 0 {
                batch.push(self.event("conversion.refunded", id, data())?);
            }
            return Ok(());
        };
        if conversion.participant_id.is_some() && before.participant_id != conversion.participant_id {
            batch.push(self.event("conversion.attributed", id, data())?);
        }
        if before.refunded_cents != conversion.refunded_cents {
            batch.push(self.event("conversion.refunded", id, data())?);
        }
        Ok(())
    }

    /// Commissions, entries and their events; and the id of the commission that counts.
    fn ledger(
        &self,
        family: &Family,
        decided: &DecidedConversion,
        conversion: &ConversionId,
    ) -> Result<(Option<String>, Vec<Statement>), ApiError> {
        let Booking { scope, now, .. } = self.booking;
        let all: Vec<&Held> = decided.row.iter().flat_map(|row| decide::held(&family.loaded, row)).collect();
        let credited = decided.verdict.credit.as_ref().map(|credit| &credit.participant_id);
        let standing = all.iter().find(|held| Some(&held.standing.participant_id) == credited);
        let mut counts = standing.map(|held| held.standing.id.to_string());
        let mut batch = Vec::new();
        for step in &decided.steps {
            let due = match step {
                Step::Open(due) => due,
                Step::Append { .. } => {
                    self.append(step, &all, &mut batch)?;
                    continue;
                }
                Step::Revise { commission_id, terms } => {
                    batch.push(commissions::revise(commission_id, terms)?);
                    continue;
                }
            };
            let id: CommissionId = self.app.fresh(*now);
            let disputed = family.members.get(decided.member).is_some_and(|member| member.returned.disputed);
            let state = match due.first_state(*now) {
                CommissionState::Approved if disputed => CommissionState::Pending,
                state => state,
            };
            batch.push(commissions::insert(scope, &id, conversion, due, state, *now)?);
            if disputed {
                batch.push(commissions::set_disputed(&id, true));
            }
            batch.push(self.entry(&id, due.amount_cents, due.currency, EntryKind::Earned));
            let data = json!({
                "id": id, "conversion_id": conversion, "participant_id": due.participant_id,
                "program_id": due.program_id, "amount_cents": due.amount_cents, "currency": due.currency,
                "state": state.as_str(), "mode": scope.mode,
            });
            batch.push(self.event("commission.created", id.as_str(), data.clone())?);
            if state == CommissionState::Approved {
                batch.push(self.event("commission.approved", id.as_str(), data)?);
            }
            counts = Some(id.to_string());
        }
        Ok((counts, batch))
    }

    /// An entry on a commission that stands, with its state and its event.
    fn append(&self, step: &Step, all: &[&Held], batch: &mut Vec<Statement>) -> Result<(), ApiError> {
        let Step::Append { commission_id, amount_cents, kind, state } = step else { return Ok(()) };
        let Some(held) = all.iter().find(|held| held.standing.id == *commission_id) else { return Ok(()) };
        let standing = &held.standing;
        batch.push(self.entry(commission_id, *amount_cents, standing.currency, *kind));
        batch.push(commissions::move_by_booking(commission_id, standing.state, *state));
        if matches!(kind, EntryKind::Refunded | EntryKind::Disputed | EntryKind::Ended) {
            let data = json!({
                "id": commission_id, "conversion_id": held.conversion_id, "participant_id": standing.participant_id,
                "amount_cents": standing.amount_cents + standing.bonus_cents + amount_cents, "currency": standing.currency,
                "state": state.as_str(), "mode": self.booking.scope.mode,
            });
            batch.push(self.event("commission.refunded", commission_id.as_str(), data)?);
        }
        Ok(())
    }

    /// The dispute's flag on the commissions that stand.
    fn flags(&self, family: &Family, decided: &DecidedConversion, batch: &mut Vec<Statement>) {
        let disputed = family.members.get(decided.member).is_some_and(|member| member.returned.disputed);
        for held in decided.row.iter().flat_map(|row| decide::held(&family.loaded, row)) {
            if held.disputed != disputed {
                batch.push(commissions::set_disputed(&held.standing.id, disputed));
            }
        }
    }

    /// Conversions that turned out to be this one's sale: their commissions come to nothing, and what a dispute or an alert said
    /// of them is said of this one.
    fn merged(&self, family: &Family, decided: &DecidedConversion, batch: &mut Vec<Statement>) -> Result<(), ApiError> {
        for (row, steps) in &decided.merged {
            let all: Vec<&Held> = decide::held(&family.loaded, row).collect();
            for held in all.iter().filter(|held| held.disputed) {
                batch.push(commissions::set_disputed(&held.standing.id, false));
            }
            for step in steps {
                self.append(step, &all, batch)?;
            }
            if row.status != ConversionStatus::Merged {
                let merged = Conversion { status: ConversionStatus::Merged, ..row.clone() };
                batch.push(conversions::update(&merged)?);
                batch.push(fraud_alerts::dismiss_all(&row.id));
                if let Some(customer) = row.customer_id.as_deref().and_then(CustomerId::parse)
                    && decide::counts_as_purchase(&decided.state)
                {
                    batch.push(customers::count(&customer, -1));
                }
                let data = shapes::conversion(&merged, self.booking.scope.mode, None);
                batch.push(self.event("conversion.merged", row.id.as_str(), data)?);
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        commission_id: &CommissionId,
        amount_cents: i64,
        currency: domain::money::Currency,
        kind: EntryKind,
    ) -> Statement {
        let id = self.app.fresh(self.booking.now);
        // A person's word is the cause, else the fact that came last; with no new fact, time is.
        let by_hand = self.booking.by_hand.as_ref().map(|by_hand| by_hand.manual.act_id.as_str());
        let fact = self.booking.facts.last().map(|fact| fact.id.as_str()).filter(|_| !self.repeated);
        let cause = by_hand.or(fact).unwrap_or("time");
        let entry = NewEntry { id, commission_id, amount_cents, currency, kind, cause };
        commissions::append(&self.booking.scope, &entry, self.booking.now)
    }

    fn event(&self, kind: &'static str, subject: &str, data: Json) -> Result<Statement, ApiError> {
        let id = self.app.fresh(self.booking.now);
        let event = Event { id, kind, subject: subject.to_owned(), data };
        Ok(events::insert(&self.booking.scope, &event, self.booking.now)?)
    }
}
