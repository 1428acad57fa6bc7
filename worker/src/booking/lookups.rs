//! What Stripe's API is to be asked because of a booking: rows of the batch, so that what caused them is not stored without
//! them. Whether the connection has a key at all, the statement finds out.

use std::collections::BTreeSet;

use domain::fact::StripeFact;
use domain::reward::{Basis, Fee};
use domain::sale::{fees, partition};
use domain::status::LookupKind;
use domain::time::MINUTE_MS;

use super::Booking;
use super::decide::Family;
use crate::app::App;
use crate::store::stripe_lookups::{self, Wanted};
use crate::store::{DbError, Row, Statement};

/// A parked refund waits so long for the facts that are on their way, since they come in no order.
const JOIN_BEFORE_ASKING_MS: i64 = MINUTE_MS;

/// The rows, if there is anything to ask.
pub fn wanted(app: &App, booking: &Booking, family: &Family) -> Result<Option<Statement>, DbError> {
    let want = |kind: LookupKind, subject: String, after_ms: i64| {
        let event = brought_by(booking, family, &subject)?;
        let not_before = booking.now.plus_ms(after_ms);
        stripe::api::is_plain_id(&subject).then(|| Wanted {
            id: app.fresh(booking.now),
            kind,
            subject,
            event,
            not_before,
        })
    };
    let fees = unknown_fees(family).into_iter().filter_map(|id| want(LookupKind::Fee, id, 0));
    let sales = unknown_sales(family).into_iter().filter_map(|id| want(LookupKind::Sale, id, JOIN_BEFORE_ASKING_MS));
    let wanted: Vec<Wanted> = fees.chain(sales).collect();
    if wanted.is_empty() { Ok(None) } else { stripe_lookups::insert_all(&wanted, booking.now).map(Some) }
}

/// Of what a batch gave, the look-ups that are new and may be asked at once.
pub fn queued(results: &[Vec<Row>]) -> Vec<String> {
    results.iter().flatten().filter_map(|row| row.text("lookup_id").ok()).collect()
}

/// Balance transactions whose fee some commission depends on.
fn unknown_fees(family: &Family) -> BTreeSet<String> {
    let mut untold = fees::untold(&family.loaded.facts.stripe);
    let depending: BTreeSet<&String> = family
        .conversions
        .iter()
        .filter(|conversion| conversion.state.money.fee == Fee::Unknown)
        .filter(|conversion| {
            let credit = conversion.verdict.credit.as_ref();
            credit.is_some_and(|credit| {
                let mut rewards = family.loaded.rewards.iter();
                rewards.any(|reward| reward.program_id == credit.program_id && reward.basis == Basis::NetOfFees)
            })
        })
        .filter_map(|conversion| family.members.get(conversion.member))
        .flat_map(|member| &member.keys)
        .collect();
    untold.retain(|id| depending.contains(id));
    untold
}

/// Payment intents of which money went back, or is contested, and whose sale nobody knows.
fn unknown_sales(family: &Family) -> BTreeSet<String> {
    let unknown: BTreeSet<&String> =
        family.members.iter().filter(|member| member.unknown).flat_map(|member| &member.keys).collect();
    let facts = family.loaded.facts.stripe.iter();
    facts
        .filter_map(|observed| match &observed.fact {
            StripeFact::Refund(refund) => refund.payment_intent.clone(),
            StripeFact::Dispute(dispute) => dispute.payment_intent.clone(),
            StripeFact::Charge(charge) if charge.amount_refunded > 0 => charge.payment_intent.clone(),
            _ => None,
        })
        .filter(|payment_intent| unknown.contains(payment_intent))
        .collect()
}

/// The Stripe event that brought a fact with this key.
fn brought_by(booking: &Booking, family: &Family, key: &str) -> Option<String> {
    let is_new = booking.facts.iter().any(|fact| match &fact.body {
        crate::store::families::StoredFact::Stripe(fact) => partition::keys(fact).contains(key),
        _ => false,
    });
    let new = booking.stripe_event.as_ref().filter(|_| is_new).map(ToString::to_string);
    new.or_else(|| family.loaded.events.iter().find(|(_, keys)| keys.contains(key)).map(|(event, _)| event.clone()))
}
