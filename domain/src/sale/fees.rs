//! What Stripe took of a sale: the fees of its captured charges. An event names a charge's balance transaction; its fee comes
//! expanded in it, or as a fact of its own. Nothing here looks at the order of its arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::StripeFact;
use crate::money::Currency;
use crate::reward::{Fee, Money};
use crate::sale::Observed;
use crate::time::Instant;

/// The fee in a sale's money: the sum over its captured charges, once those that are known cover what came through Stripe and
/// each one's fee is told.
pub fn fee(facts: &[Observed], money: &Money) -> Fee {
    let charges = captured(facts);
    let told = told(facts);
    let through_stripe = money.paid_cents.saturating_sub(off_stripe(facts));
    let covered = charges.values().fold(0_i64, |sum, charge| sum.saturating_add(charge.captured));
    if charges.is_empty() || covered < through_stripe {
        return Fee::Unknown;
    }
    let mut sum = 0_i64;
    for charge in charges.values() {
        match charge.fee(&told) {
            Some((fee, currency)) if Some(currency) == money.currency => sum = sum.saturating_add(fee),
            Some(_) => return Fee::Foreign,
            None => return Fee::Unknown,
        }
    }
    Fee::Known(sum)
}

/// The balance transactions of captured charges whose fee is not told yet.
pub fn untold(facts: &[Observed]) -> BTreeSet<String> {
    let told = told(facts);
    let charges = captured(facts);
    let unknown = charges.into_values().filter(|charge| charge.fee(&told).is_none());
    unknown.filter_map(|charge| charge.balance_transaction.map(|(_, id)| id)).collect()
}

/// A charge that brought money, as its newest facts have it.
#[derive(Default)]
struct Captured {
    at: Option<Instant>,
    captured: i64,
    balance_transaction: Option<(Instant, String)>,
    expanded: Option<(Instant, i64, Currency)>,
}

impl Captured {
    fn fee(&self, told: &BTreeMap<&str, (Instant, i64, Currency)>) -> Option<(i64, Currency)> {
        let named = self.balance_transaction.as_ref().and_then(|(_, id)| told.get(id.as_str()));
        named.or(self.expanded.as_ref()).map(|(_, fee, currency)| (*fee, *currency))
    }
}

fn captured(facts: &[Observed]) -> BTreeMap<&str, Captured> {
    let mut charges: BTreeMap<&str, Captured> = BTreeMap::new();
    for observed in facts {
        let StripeFact::Charge(charge) = &observed.fact else { continue };
        let held = charges.entry(&charge.charge).or_default();
        if (Some(observed.at), charge.amount_captured) > (held.at, held.captured) {
            (held.at, held.captured) = (Some(observed.at), charge.amount_captured);
        }
        // A charge that was told before its balance transaction was made names none.
        let named = charge.balance_transaction.clone().map(|id| (observed.at, id));
        held.balance_transaction = held.balance_transaction.take().max(named);
        let expanded = charge.fee.map(|(fee, currency)| (observed.at, fee, currency));
        held.expanded = held.expanded.take().max(expanded);
    }
    charges.retain(|_, charge| charge.captured > 0);
    charges
}

/// What the API told, by balance transaction.
fn told(facts: &[Observed]) -> BTreeMap<&str, (Instant, i64, Currency)> {
    let mut told: BTreeMap<&str, (Instant, i64, Currency)> = BTreeMap::new();
    for observed in facts {
        if let StripeFact::Fee(fee) = &observed.fact {
            let new = (observed.at, fee.fee, fee.currency);
            let held = told.entry(&fee.balance_transaction).or_insert(new);
            *held = (*held).max(new);
        }
    }
    told
}

/// What was paid outside Stripe, which takes no fee of it.
fn off_stripe(facts: &[Observed]) -> i64 {
    let invoices = facts.iter().filter_map(|observed| match &observed.fact {
        StripeFact::Invoice(invoice) => Some((observed.at, invoice.amount_paid_off_stripe)),
        _ => None,
    });
    invoices.max().map_or(0, |(_, amount)| amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{BillingReason, ChargeFact, FeeFact, Hints, InvoiceFact};

    fn at(s: i64) -> Instant {
        Instant::from_seconds(1_800_000_000 + s)
    }

    fn usd() -> Currency {
        Currency::parse("USD").unwrap()
    }

    fn charge(s: i64, id: &str, captured: i64, expanded: Option<(i64, Currency)>) -> Observed {
        let fact = ChargeFact {
            charge: format!("ch_{id}"),
            payment_intent: Some(format!("pi_{id}")),
            invoice: None,
            amount_captured: captured,
            amount_refunded: 0,
            currency: Currency::EUR,
            balance_transaction: (captured > 0).then(|| format!("txn_{id}")),
            fee: expanded,
            refunds: Vec::new(),
        };
        Observed { at: at(s), fact: StripeFact::Charge(fact) }
    }

    fn told(s: i64, id: &str, fee: i64, currency: Currency) -> Observed {
        let fact = FeeFact { balance_transaction: format!("txn_{id}"), fee, currency };
        Observed { at: at(s), fact: StripeFact::Fee(fact) }
    }

    fn invoice(off_stripe: i64) -> Observed {
        let fact = InvoiceFact {
            invoice: "in_1".to_owned(),
            subscription: None,
            customer: None,
            email: None,
            billing_reason: BillingReason::Other,
            amount_paid: 10_000,
            amount_paid_off_stripe: off_stripe,
            total: 10_000,
            tax: None,
            currency: Currency::EUR,
            paid_at: None,
            payment_intent: None,
            charge: None,
            hints: Hints::default(),
        };
        Observed { at: at(0), fact: StripeFact::Invoice(fact) }
    }

    #[track_caller]
    fn check(facts: &[Observed], expected: Fee, asked: &[&str]) {
        let money = Money {
            paid_cents: 10_000,
            tax_cents: None,
            fee: Fee::Unknown,
            refunded_cents: 0,
            currency: Some(Currency::EUR),
        };
        let reversed: Vec<_> = facts.iter().rev().cloned().collect();
        let doubled: Vec<_> = facts.iter().chain(facts).cloned().collect();
        for facts in [facts, &reversed, &doubled] {
            assert_eq!(fee(facts, &money), expected);
            assert_eq!(untold(facts).iter().map(String::as_str).collect::<Vec<_>>(), asked);
        }
    }

    #[test]
    fn a_fee_is_known_when_its_balance_transaction_is_told_or_came_expanded() {
        let eur = Currency::EUR;
        check(&[], Fee::Unknown, &[]);
        check(&[charge(1, "1", 10_000, None)], Fee::Unknown, &["txn_1"]);
        check(&[charge(1, "1", 10_000, None), told(2, "1", 320, eur)], Fee::Known(320), &[]);
        check(&[charge(1, "1", 10_000, Some((310, eur)))], Fee::Known(310), &[]);
        check(&[charge(1, "1", 10_000, None), charge(2, "1", 10_000, Some((310, eur)))], Fee::Known(310), &[]);
        check(&[charge(1, "1", 10_000, None), told(2, "2", 320, eur)], Fee::Unknown, &["txn_1"]);
        check(&[told(2, "1", 320, eur)], Fee::Unknown, &[]);
    }

    #[test]
    fn a_failed_attempt_has_no_fee_and_several_charges_are_summed_once_all_are_told() {
        let eur = Currency::EUR;
        let both = [charge(1, "1", 4_000, None), charge(1, "2", 6_000, None)];
        let first = told(2, "1", 150, eur);
        check(&both, Fee::Unknown, &["txn_1", "txn_2"]);
        check(&[&both[..], std::slice::from_ref(&first)].concat(), Fee::Unknown, &["txn_2"]);
        check(&[&both[..], &[first.clone(), told(2, "2", 200, eur)]].concat(), Fee::Known(350), &[]);
        check(&[charge(1, "0", 0, None), charge(1, "1", 10_000, Some((300, eur)))], Fee::Known(300), &[]);
        // One of two payments has not been told of: its fee is still to come.
        check(&[both[0].clone(), first], Fee::Unknown, &[]);
    }

    #[test]
    fn a_fee_in_another_currency_is_not_converted() {
        check(&[charge(1, "1", 10_000, Some((300, usd())))], Fee::Foreign, &[]);
        check(&[charge(1, "1", 10_000, None), told(2, "1", 300, usd())], Fee::Foreign, &[]);
        let both = [charge(1, "1", 4_000, None), charge(1, "2", 6_000, Some((300, usd())))];
        check(&[&both[..], &[told(2, "1", 1, Currency::EUR)]].concat(), Fee::Foreign, &[]);
    }

    #[test]
    fn money_paid_outside_stripe_needs_no_charge() {
        check(&[invoice(6_000), charge(1, "1", 4_000, Some((150, Currency::EUR)))], Fee::Known(150), &[]);
        check(&[invoice(0), charge(1, "1", 4_000, Some((150, Currency::EUR)))], Fee::Unknown, &[]);
    }
}
