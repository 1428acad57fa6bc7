//! Refunds and disputes one by one, for reading. What they take back is decided by [`super::refunds`] over all of them together.

use std::collections::BTreeMap;

use super::family::FamilyFacts;
use crate::fact::{DisputeStatus, RefundFact, RefundStatus, StripeFact};
use crate::money::Currency;
use crate::status::words;
use crate::time::Instant;

words! {
    /// What took money back.
    Kind {
        /// A refund.
        Refund = "refund",
        /// A dispute.
        Dispute = "dispute",
    }
}

/// Who told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The merchant, over the API.
    Reported,
    /// Stripe.
    Stripe,
}

/// One refund or dispute as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Tells it from all others: `re_…`, `dp_…`; `ch_…` where a charge tells an amount and nobody tells its refunds;
    /// `report/`, the transaction and the merchant's id of the refund.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// Who told of it.
    pub source: Source,
    /// The merchant's id of it, or Stripe's.
    pub external_refund_id: String,
    /// A key of the sale that it speaks of.
    pub sale_key: String,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Its currency, where it is told.
    pub currency: Option<Currency>,
    /// Its status, as Stripe words it.
    pub status: &'static str,
}

/// Every refund and dispute that the facts tell of, in the order of their keys.
pub fn listed(facts: &FamilyFacts) -> Vec<Listed> {
    let mut all: BTreeMap<String, ((u8, Instant), Listed)> = BTreeMap::new();
    let mut tell = |height: (u8, Instant), told: Listed| {
        let held = all.entry(told.key.clone()).or_insert_with(|| (height, told.clone()));
        if height > held.0 {
            *held = (height, told);
        }
    };
    for refund in &facts.refunds {
        let transaction = &refund.external_transaction_id;
        let told = Listed {
            key: format!("report/{}/{transaction}/{}", transaction.len(), refund.external_refund_id),
            kind: Kind::Refund,
            source: Source::Reported,
            external_refund_id: refund.external_refund_id.clone(),
            sale_key: transaction.clone(),
            amount_cents: refund.amount_cents,
            currency: None,
            status: "succeeded",
        };
        tell((0, Instant::from_ms(0)), told);
    }
    for observed in &facts.stripe {
        match &observed.fact {
            StripeFact::Refund(refund) => {
                tell((refund.status.rank(), observed.at), of_refund(refund));
            }
            StripeFact::Charge(charge) => {
                for refund in &charge.refunds {
                    tell((refund.status.rank(), observed.at), of_refund(refund));
                }
            }
            StripeFact::Dispute(dispute) => {
                let told = Listed {
                    key: dispute.dispute.clone(),
                    kind: Kind::Dispute,
                    source: Source::Stripe,
                    external_refund_id: dispute.dispute.clone(),
                    sale_key: dispute.charge.clone().or(dispute.payment_intent.clone()).unwrap_or_default(),
                    amount_cents: dispute.amount,
                    currency: Some(dispute.currency),
                    status: match dispute.status {
                        DisputeStatus::Open => "open",
                        DisputeStatus::Won => "won",
                        DisputeStatus::Lost => "lost",
                    },
                };
                tell((u8::from(dispute.status != DisputeStatus::Open), observed.at), told);
            }
            _ => {}
        }
    }
    for (height, told) in figures(facts) {
        tell(height, told);
    }
    all.into_values().map(|(_, told)| told).collect()
}

/// The charges that the facts tell of.
pub fn charges(facts: &FamilyFacts) -> Vec<&String> {
    let all = facts.stripe.iter().filter_map(|observed| match &observed.fact {
        StripeFact::Charge(charge) => Some(&charge.charge),
        _ => None,
    });
    let mut charges: Vec<&String> = all.collect();
    charges.sort_unstable();
    charges.dedup();
    charges
}

/// Charges that tell an amount given back, while nobody tells by which refunds.
fn figures(facts: &FamilyFacts) -> Vec<((u8, Instant), Listed)> {
    let told_of = |charge: &str, intent: Option<&String>| {
        facts.stripe.iter().any(|observed| match &observed.fact {
            StripeFact::Refund(refund) => {
                refund.charge.as_deref() == Some(charge)
                    || (intent.is_some() && refund.payment_intent.as_ref() == intent)
            }
            StripeFact::Charge(other) => other.charge == charge && !other.refunds.is_empty(),
            _ => false,
        })
    };
    let of_charge = facts.stripe.iter().filter_map(|observed| match &observed.fact {
        StripeFact::Charge(charge)
            if charge.amount_refunded > 0 && !told_of(&charge.charge, charge.payment_intent.as_ref()) =>
        {
            let told = Listed {
                key: charge.charge.clone(),
                kind: Kind::Refund,
                source: Source::Stripe,
                external_refund_id: charge.charge.clone(),
                sale_key: charge.charge.clone(),
                amount_cents: charge.amount_refunded,
                currency: Some(charge.currency),
                status: "succeeded",
            };
            Some(((0, observed.at), told))
        }
        _ => None,
    });
    of_charge.collect()
}

fn of_refund(refund: &RefundFact) -> Listed {
    Listed {
        key: refund.refund.clone(),
        kind: Kind::Refund,
        source: Source::Stripe,
        external_refund_id: refund.refund.clone(),
        sale_key: refund.charge.clone().or(refund.payment_intent.clone()).unwrap_or_default(),
        amount_cents: refund.amount,
        currency: Some(refund.currency),
        status: match refund.status {
            RefundStatus::Pending => "pending",
            RefundStatus::RequiresAction => "requires_action",
            RefundStatus::Succeeded => "succeeded",
            RefundStatus::Failed => "failed",
            RefundStatus::Canceled => "canceled",
        },
    }
}
