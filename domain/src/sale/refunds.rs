//! What of a payment went back: refunds as a set, charges' cumulative figures beside it, and disputes.
//!
//! Each refund moves only upward (`pending` < `requires_action` < `succeeded` < `failed` = `canceled`), whatever the order in
//! which its states are told. Nothing here looks at the order of its arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{ChargeFact, DisputeFact, DisputeStatus, RefundFact, RefundStatus, StripeFact};
use crate::sale::Observed;
use crate::time::Instant;

/// What went back, and whether it is contested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// In the minor unit. Not yet held against what was paid.
    pub refunded_cents: i64,
    /// A dispute is open.
    pub disputed: bool,
    /// A dispute was lost: the money is gone.
    pub lost: bool,
}

/// What a sale's facts say of money that went back.
pub fn returned(facts: &[Observed]) -> Returned {
    let charges = Charges::of(facts);
    let mut refunded_cents: i64 = 0;
    for charge in &charges.labels() {
        refunded_cents = refunded_cents.saturating_add(charges.refunded(charge));
    }
    let (disputed, lost) = disputes(facts);
    Returned { refunded_cents, disputed, lost }
}

/// One refund as it stands: the highest of its states.
#[derive(Clone, Copy, Debug)]
struct Refund {
    status: RefundStatus,
    amount: i64,
    at: Instant,
}

/// The newest figure of one charge.
#[derive(Clone, Copy, Debug)]
struct Figure {
    at: Instant,
    refunded: i64,
    captured: i64,
}

/// Refunds and figures, by charge. A charge is known by its own id, or by its payment intent where no fact tells more.
struct Charges {
    by_payment_intent: BTreeMap<String, String>,
    refunds: BTreeMap<(String, String), Refund>,
    figures: BTreeMap<String, Figure>,
}

impl Charges {
    fn of(facts: &[Observed]) -> Self {
        let mut all = Self { by_payment_intent: BTreeMap::new(), refunds: BTreeMap::new(), figures: BTreeMap::new() };
        for fact in facts {
            let (charge, payment_intent) = match &fact.fact {
                StripeFact::Charge(charge) => (Some(&charge.charge), charge.payment_intent.as_ref()),
                StripeFact::Refund(refund) => (refund.charge.as_ref(), refund.payment_intent.as_ref()),
                StripeFact::Dispute(dispute) => (dispute.charge.as_ref(), dispute.payment_intent.as_ref()),
                StripeFact::Invoice(invoice) => (invoice.charge.as_ref(), invoice.payment_intent.as_ref()),
                StripeFact::InvoicePayment(payment) => (payment.charge.as_ref(), payment.payment_intent.as_ref()),
                _ => continue,
            };
            if let (Some(charge), Some(payment_intent)) = (charge, payment_intent) {
                // A payment intent can have several charges, of which one succeeded; the least id, so that order is no matter.
                let held = all.by_payment_intent.entry(payment_intent.clone()).or_insert_with(|| charge.clone());
                if charge < held {
                    held.clone_from(charge);
                }
            }
        }
        for fact in facts {
            match &fact.fact {
                StripeFact::Charge(charge) => all.charge(charge, fact.at),
                StripeFact::Refund(refund) => all.refund(refund, fact.at),
                _ => {}
            }
        }
        all
    }

    fn charge(&mut self, charge: &ChargeFact, at: Instant) {
        let figure = Figure { at, refunded: charge.amount_refunded, captured: charge.amount_captured };
        let held = self.figures.entry(charge.charge.clone()).or_insert(figure);
        if (figure.at, figure.refunded, figure.captured) > (held.at, held.refunded, held.captured) {
            *held = figure;
        }
        for refund in &charge.refunds {
            self.refund(refund, at);
        }
    }

    fn refund(&mut self, refund: &RefundFact, at: Instant) {
        let label = match (&refund.charge, &refund.payment_intent) {
            (Some(charge), _) => charge.clone(),
            (None, Some(intent)) => self.by_payment_intent.get(intent).unwrap_or(intent).clone(),
            (None, None) => refund.refund.clone(),
        };
        let told = Refund { status: refund.status, amount: refund.amount, at };
        let held = self.refunds.entry((label, refund.refund.clone())).or_insert(told);
        let height = |refund: &Refund| (refund.status.rank(), refund.at, refund.amount);
        if height(&told) > height(held) {
            *held = told;
        }
    }

    fn labels(&self) -> BTreeSet<String> {
        self.refunds.keys().map(|(label, _)| label.clone()).chain(self.figures.keys().cloned()).collect()
    }

    /// The sum of the known refunds, or the newest charge's figure where that is larger and newer than every known failure.
    fn refunded(&self, charge: &str) -> i64 {
        let of_charge = || self.refunds.iter().filter(|((label, _), _)| label == charge).map(|(_, refund)| refund);
        let known =
            of_charge().filter(|refund| refund.status.counts()).fold(0_i64, |sum, r| sum.saturating_add(r.amount));
        let Some(figure) = self.figures.get(charge) else {
            return known;
        };
        let last_failure = of_charge().filter(|refund| refund.status.rank() == 3).map(|refund| refund.at).max();
        let newer = last_failure.is_none_or(|failed| figure.at > failed);
        let sum = if figure.refunded > known && newer { figure.refunded } else { known };
        // Before 2025-03-31 the release of what was never captured was a refund, too: it is not money that came in.
        sum.min(figure.captured.max(0))
    }
}

/// Whether a dispute is open, and whether one was lost. A closed dispute stays closed, whatever is told later.
fn disputes(facts: &[Observed]) -> (bool, bool) {
    let mut disputes: BTreeMap<&str, (u8, Instant, bool)> = BTreeMap::new();
    for fact in facts {
        let StripeFact::Dispute(DisputeFact { dispute, status, .. }) = &fact.fact else {
            continue;
        };
        let closed = u8::from(*status != DisputeStatus::Open);
        let told = (closed, fact.at, *status == DisputeStatus::Lost);
        let held = disputes.entry(dispute).or_insert(told);
        *held = (*held).max(told);
    }
    (disputes.values().any(|(closed, _, _)| *closed == 0), disputes.values().any(|(_, _, lost)| *lost))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::money::Currency;

    fn at(s: i64) -> Instant {
        Instant::from_seconds(1_800_000_000 + s)
    }

    fn refund(s: i64, id: &str, charge: Option<&str>, amount: i64, status: RefundStatus) -> Observed {
        let fact = RefundFact {
            refund: id.to_owned(),
            charge: charge.map(str::to_owned),
            payment_intent: Some("pi_1".to_owned()),
            amount,
            currency: Currency::EUR,
            status,
            created: None,
        };
        Observed { at: at(s), fact: StripeFact::Refund(fact) }
    }

    fn charge(s: i64, refunded: i64) -> Observed {
        let fact = ChargeFact {
            charge: "ch_1".to_owned(),
            payment_intent: Some("pi_1".to_owned()),
            invoice: None,
            amount_captured: 10_000,
            amount_refunded: refunded,
            currency: Currency::EUR,
            balance_transaction: None,
            fee: None,
            refunds: Vec::new(),
        };
        Observed { at: at(s), fact: StripeFact::Charge(fact) }
    }

    fn dispute(s: i64, id: &str, status: DisputeStatus) -> Observed {
        let fact = DisputeFact {
            dispute: id.to_owned(),
            charge: Some("ch_1".to_owned()),
            payment_intent: None,
            amount: 10_000,
            currency: Currency::EUR,
            status,
        };
        Observed { at: at(s), fact: StripeFact::Dispute(fact) }
    }

    use RefundStatus as S;

    fn check(facts: &[Observed], refunded_cents: i64) {
        assert_eq!(returned(facts).refunded_cents, refunded_cents, "{facts:#?}");
        let reversed: Vec<_> = facts.iter().rev().cloned().collect();
        assert_eq!(returned(&reversed), returned(facts));
        let doubled: Vec<_> = facts.iter().chain(facts).cloned().collect();
        assert_eq!(returned(&doubled), returned(facts));
    }

    #[test]
    fn repeated_partial_refunds_are_counted_once_each() {
        let first = refund(1, "re_1", Some("ch_1"), 2_500, S::Succeeded);
        let second = refund(2, "re_2", Some("ch_1"), 2_500, S::Succeeded);
        check(&[], 0);
        check(&[first.clone(), first.clone()], 2_500);
        check(&[first.clone(), second.clone(), charge(3, 5_000)], 5_000);
        // The charge's figure is cumulative: it is never added to the refunds that it sums up.
        check(&[first.clone(), charge(3, 5_000)], 5_000);
        check(&[first, second, charge(1, 2_500)], 5_000);
    }

    #[test]
    fn a_failed_refund_gives_the_money_back_and_an_older_figure_does_not_take_it_again() {
        let pending = refund(1, "re_1", Some("ch_1"), 2_500, S::Pending);
        let failed = refund(5, "re_1", Some("ch_1"), 2_500, S::Failed);
        check(std::slice::from_ref(&pending), 2_500);
        check(&[pending.clone(), failed.clone()], 0);
        check(&[pending.clone(), charge(2, 2_500), failed.clone()], 0);
        check(&[pending, charge(6, 1_000), failed], 1_000);
        check(&[refund(1, "re_1", Some("ch_1"), 2_500, S::RequiresAction)], 0);
    }

    #[test]
    fn a_refund_that_names_only_the_payment_intent_meets_its_charge() {
        check(&[refund(1, "re_1", None, 2_500, S::Succeeded), charge(2, 2_500)], 2_500);
        check(&[refund(1, "re_1", None, 2_500, S::Succeeded)], 2_500);
    }

    #[test]
    fn a_refund_told_once_by_its_charge_and_once_by_its_payment_intent_is_one() {
        let told = [
            refund(1, "re_1", Some("ch_1"), 2_500, S::Pending),
            refund(2, "re_1", None, 2_500, S::Succeeded),
            dispute(3, "dp_1", DisputeStatus::Won),
        ];
        let [mut by_charge, by_intent, mut joining] = told;
        if let StripeFact::Refund(fact) = &mut by_charge.fact {
            fact.payment_intent = None;
        }
        // Neither names both; what does is another kind of fact, such as a dispute or an invoice of an old shape.
        if let StripeFact::Dispute(fact) = &mut joining.fact {
            fact.payment_intent = Some("pi_1".to_owned());
        }
        check(&[by_charge, by_intent, joining], 2_500);
    }

    #[test]
    fn what_was_never_captured_is_no_refund() {
        check(&[refund(1, "re_1", Some("ch_1"), 15_000, S::Succeeded), charge(2, 0)], 10_000);
    }

    #[test]
    fn a_dispute_is_open_until_it_is_closed_and_stays_closed() {
        use DisputeStatus as D;
        let told = |facts: &[Observed]| {
            let all = returned(facts);
            (all.disputed, all.lost)
        };
        assert_eq!(told(&[dispute(1, "dp_1", D::Open)]), (true, false));
        assert_eq!(told(&[dispute(2, "dp_1", D::Won), dispute(1, "dp_1", D::Open)]), (false, false));
        assert_eq!(told(&[dispute(1, "dp_1", D::Open), dispute(2, "dp_1", D::Lost)]), (false, true));
        assert_eq!(told(&[dispute(1, "dp_1", D::Won), dispute(1, "dp_1", D::Lost)]), (false, true));
        assert_eq!(told(&[dispute(1, "dp_1", D::Lost), dispute(2, "dp_2", D::Open)]), (true, true));
    }

    fn any_fact() -> impl Strategy<Value = Observed> {
        let statuses = prop::sample::select(vec![S::Pending, S::RequiresAction, S::Succeeded, S::Failed, S::Canceled]);
        let named = prop::option::of(prop::sample::select(vec!["ch_1", "ch_2"]));
        prop_oneof![
            (0..9i64, 0..4u8, named, 0..5_000i64, statuses).prop_map(|(s, id, charge, amount, status)| refund(
                s,
                &format!("re_{id}"),
                charge,
                amount,
                status
            )),
            (0..9i64, 0..12_000i64).prop_map(|(s, refunded)| charge(s, refunded)),
            (0..9i64, prop::sample::select(vec![DisputeStatus::Open, DisputeStatus::Won, DisputeStatus::Lost]))
                .prop_map(|(s, status)| dispute(s, "dp_1", status)),
        ]
    }

    proptest! {
        #[test]
        fn order_and_repetition_do_not_matter(
            facts in prop::collection::vec(any_fact(), 0..8),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            shuffle in any::<u64>(),
        ) {
            let mut other = facts.clone();
            if !facts.is_empty() {
                other.extend(picks.iter().map(|pick| facts[pick.index(facts.len())].clone()));
            }
            let count = other.len().max(1) as u64;
            other.sort_by_key(|fact| (format!("{fact:?}").len() as u64).wrapping_mul(shuffle | 1) % count);
            prop_assert_eq!(returned(&other), returned(&facts));
        }
    }
}
