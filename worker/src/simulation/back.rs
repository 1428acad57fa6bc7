//! The reference model, third part: what of a sale went back (contract, section 9).

use std::collections::{BTreeMap, BTreeSet};

use super::told::{Outcome, Refund, Telling, Told};

fn height(status: &str) -> u8 {
    match status {
        "requires_action" => 1,
        "succeeded" => 2,
        "failed" | "canceled" => 3,
        _ => 0,
    }
}

/// Section 9: per charge the sum of the refunds that count, or the newest cumulative figure where that is larger and newer
/// than every known failure.
pub fn refunds(tellings: &[&Telling]) -> i64 {
    let charge_of = charges_of_intents(tellings);
    let label = |charge: Option<&String>, intent: Option<&String>| match (charge, intent) {
        (Some(charge), _) => charge.clone(),
        (None, Some(intent)) => charge_of.get(intent).unwrap_or(intent).clone(),
        (None, None) => panic!("a refund names its payment"),
    };
    // (charge, refund) → (status, when it was said, amount); charge → (when, figure).
    let mut refunds: BTreeMap<(String, String), (&str, i64, i64)> = BTreeMap::new();
    let mut figures: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for telling in tellings {
        let told: Vec<&Refund> = match &telling.told {
            Told::Refund(refund) => vec![refund],
            Told::Charge(charge) => charge.refunds.iter().collect(),
            _ => continue,
        };
        for refund in told {
            let key = (label(refund.charge.as_ref(), refund.intent.as_ref()), refund.id.clone());
            let new = (height(refund.status), telling.at_ms);
            let is_higher = refunds.get(&key).is_none_or(|(status, at_ms, _)| new > (height(status), *at_ms));
            if is_higher {
                refunds.insert(key, (refund.status, telling.at_ms, refund.amount));
            }
        }
        if let Told::Charge(charge) = &telling.told {
            let figure = (telling.at_ms, charge.refunded);
            let held = figures.entry(charge.id.clone()).or_insert(figure);
            *held = figure.max(*held);
        }
    }
    let charges: BTreeSet<&String> = refunds.keys().map(|(charge, _)| charge).chain(figures.keys()).collect();
    let mut all = 0;
    for charge in charges {
        let of_charge: Vec<_> = refunds.iter().filter(|((of, _), _)| of == charge).map(|(_, refund)| refund).collect();
        let counting = of_charge.iter().filter(|(status, _, _)| matches!(*status, "pending" | "succeeded"));
        let sum: i64 = counting.map(|(_, _, amount)| amount).sum();
        let last_failure = of_charge.iter().filter(|(status, _, _)| height(status) == 3).map(|(_, at, _)| *at).max();
        all += match figures.get(charge) {
            Some((at_ms, figure)) if *figure > sum && last_failure.is_none_or(|failed| *at_ms > failed) => *figure,
            _ => sum,
        };
    }
    all
}

fn charges_of_intents(tellings: &[&Telling]) -> BTreeMap<String, String> {
    let mut charges = BTreeMap::new();
    for telling in tellings {
        let (charge, intent) = match &telling.told {
            Told::Charge(charge) => (Some(&charge.id), charge.intent.as_ref()),
            Told::Refund(refund) => (refund.charge.as_ref(), refund.intent.as_ref()),
            Told::Invoice(invoice) => (invoice.charge.as_ref(), invoice.intent.as_ref()),
            Told::Dispute { charge, intent, .. } => (Some(charge), intent.as_ref()),
            _ => (None, None),
        };
        if let (Some(charge), Some(intent)) = (charge, intent) {
            charges.insert(intent.clone(), charge.clone());
        }
    }
    charges
}

/// Refunds that the merchant reported, each once, and none that Stripe tells of itself.
pub fn given_back(tellings: &[&Telling]) -> i64 {
    let mut stripes: BTreeSet<&String> = BTreeSet::new();
    let mut own: BTreeMap<&String, i64> = BTreeMap::new();
    for telling in tellings {
        match &telling.told {
            Told::Refund(refund) => {
                stripes.insert(&refund.id);
            }
            Told::Charge(charge) => stripes.extend(charge.refunds.iter().map(|refund| &refund.id)),
            Told::GivenBack { refund, amount, .. } => {
                let held = own.entry(refund).or_default();
                *held = (*held).max(*amount);
            }
            _ => {}
        }
    }
    own.into_iter().filter(|(refund, _)| !stripes.contains(refund)).map(|(_, amount)| amount).sum()
}

/// How each dispute stands: closed is closed, whatever is told later of it being open.
pub fn disputes(tellings: &[&Telling]) -> Vec<Outcome> {
    let mut disputes: BTreeMap<&String, (bool, i64, Outcome)> = BTreeMap::new();
    for telling in tellings {
        if let Told::Dispute { id, outcome, .. } = &telling.told {
            let told = (*outcome != Outcome::Open, telling.at_ms, *outcome);
            let held = disputes.entry(id).or_insert(told);
            if (told.0, told.1) > (held.0, held.1) {
                *held = told;
            }
        }
    }
    disputes.into_values().map(|(_, _, outcome)| outcome).collect()
}
