//! A family of sales: those of one subscription, or one sale alone. They are looked at together, because caps count a
//! subscription's payments by their own times, and its renewals inherit its credit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fees::fee;
use super::partition::{keys, parts, subscription};
use super::refunds::{Returned, returned};
use super::{Conversion, Observed, Report, SaleFacts, State, state};
use crate::fact::StripeFact;
use crate::reward::Occasion;
use crate::time::Instant;

/// A refund that a merchant reported of a conversion that it had reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedRefund {
    /// The transaction.
    pub external_transaction_id: String,
    /// The merchant's id of the refund: one refund, however often it is reported.
    pub external_refund_id: String,
    /// In the minor unit.
    pub amount_cents: i64,
}

/// A person said that these ids are of one sale: an unmatched refund's, and that of a conversion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The ids.
    pub joined: BTreeSet<String>,
}

/// Everything that is known of a family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyFacts {
    /// What the merchant reported.
    pub reports: Vec<Report>,
    /// What the merchant gave back.
    pub refunds: Vec<ReportedRefund>,
    /// What Stripe said.
    pub stripe: Vec<Observed>,
    /// What people joined.
    pub joins: Vec<Joined>,
}

/// One sale of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Every id under which it is known.
    pub keys: BTreeSet<String>,
    /// What it has come to.
    pub state: State,
    /// What of it went back.
    pub returned: Returned,
    /// Only refunds, disputes and charges are known of it: nobody can say yet what was sold.
    pub unknown: bool,
}

/// What a family's facts come to at `now`: its sales in the order of their least key, whatever the order of the facts.
pub fn members(facts: &FamilyFacts, now: Instant) -> Vec<Member> {
    let mut members: Vec<Member> = sorted(facts).into_iter().map(|(keys, part)| member(keys, &part, now)).collect();
    number_payments(&mut members);
    members
}

/// When a subscription ended, where it has.
pub fn ended_at(facts: &FamilyFacts, subscription: &str) -> Option<Instant> {
    let ends = facts.stripe.iter().filter_map(|observed| match &observed.fact {
        StripeFact::SubscriptionEnded(ended) if ended.subscription == subscription => {
            Some(ended.ended_at.unwrap_or(observed.at))
        }
        _ => None,
    });
    ends.min()
}

/// The subscriptions that the facts speak of: more keys of the family, though not of one sale.
pub fn subscriptions(facts: &FamilyFacts) -> BTreeSet<String> {
    facts.stripe.iter().filter_map(|observed| subscription(&observed.fact)).map(str::to_owned).collect()
}

/// The facts of one sale, and the refunds that the merchant reported of it.
#[derive(Default)]
struct Part {
    sale: SaleFacts,
    refunds: Vec<ReportedRefund>,
}

fn sorted(facts: &FamilyFacts) -> Vec<(BTreeSet<String>, Part)> {
    let of_report = |id: &str| BTreeSet::from([id.to_owned()]);
    let reports = facts.reports.len();
    let refunds = reports + facts.refunds.len();
    let mut sets: Vec<BTreeSet<String>> = facts.reports.iter().map(|r| of_report(&r.external_transaction_id)).collect();
    sets.extend(facts.refunds.iter().map(|refund| of_report(&refund.external_transaction_id)));
    sets.extend(facts.stripe.iter().map(|observed| keys(&observed.fact)));
    // These come last, and hold nothing but keys.
    let by_hand = applying(facts, &sets);
    sets.extend(by_hand);
    let mut all = Vec::new();
    for (keys, places) in parts(&sets) {
        // A fact without keys speaks of the whole family.
        if keys.is_empty() {
            continue;
        }
        let mut part = Part::default();
        for place in places {
            if let Some(report) = facts.reports.get(place) {
                keep_first(&mut part.sale.report, report);
            } else if let Some(refund) = facts.refunds.get(place.wrapping_sub(reports)) {
                part.refunds.push(refund.clone());
            } else if let Some(observed) = facts.stripe.get(place.wrapping_sub(refunds)) {
                part.sale.stripe.push(observed.clone());
            }
        }
        all.push((keys, part));
    }
    all
}

/// What people joined, as far as it still applies: it gives a sale to what has none. Should a fact tell of which sale that is,
/// the fact stands, and two sales do not become one by a person's mistake.
fn applying(facts: &FamilyFacts, sets: &[BTreeSet<String>]) -> Vec<BTreeSet<String>> {
    let (reports, refunds) = (facts.reports.len(), facts.refunds.len());
    let names_a_sale = |place: &usize| {
        *place < reports
            || facts
                .stripe
                .get(place.wrapping_sub(reports + refunds))
                .is_some_and(|o| matches!(o.fact, StripeFact::Session(_) | StripeFact::Invoice(_)))
    };
    let known: Vec<BTreeSet<String>> =
        parts(sets).into_iter().filter(|(_, places)| places.iter().any(names_a_sale)).map(|(keys, _)| keys).collect();
    let sales = |by_hand: &BTreeSet<String>| known.iter().filter(|keys| !keys.is_disjoint(by_hand)).count();
    facts.joins.iter().map(|by_hand| &by_hand.joined).filter(|joined| sales(joined) <= 1).cloned().collect()
}

/// Of several reports that turned out to be one sale, one speaks for it: see [`Report::rank`].
fn keep_first(held: &mut Option<Report>, report: &Report) {
    if held.as_ref().is_none_or(|held| report.rank() < held.rank()) {
        *held = Some(report.clone());
    }
}

fn member(keys: BTreeSet<String>, part: &Part, now: Instant) -> Member {
    let mut returned = returned(&part.sale.stripe);
    let told_by_stripe = refund_ids(&part.sale.stripe);
    let reported = reported(&part.refunds, &told_by_stripe);
    returned.refunded_cents = returned.refunded_cents.saturating_add(reported);
    let mut state = state(&part.sale, now);
    if let State::Converted(conversion) = &mut state {
        let money = &mut conversion.money;
        let back = if returned.lost { money.paid_cents } else { returned.refunded_cents };
        money.refunded_cents = back.clamp(0, money.paid_cents.max(0));
        money.fee = fee(&part.sale.stripe, money);
    }
    let names_a_sale = part.sale.report.is_some()
        || part.sale.stripe.iter().any(|o| matches!(o.fact, StripeFact::Session(_) | StripeFact::Invoice(_)));
    Member { keys, state, returned, unknown: !names_a_sale }
}

/// Each reported refund once, and none that Stripe tells of itself; of two reports of one id, the larger amount, so that order
/// does not matter.
fn reported(refunds: &[ReportedRefund], told_by_stripe: &BTreeSet<&str>) -> i64 {
    let mut by_id: BTreeMap<&str, i64> = BTreeMap::new();
    for refund in refunds.iter().filter(|refund| !told_by_stripe.contains(refund.external_refund_id.as_str())) {
        let held = by_id.entry(&refund.external_refund_id).or_default();
        *held = (*held).max(refund.amount_cents);
    }
    by_id.values().fold(0, |sum, amount| sum.saturating_add(*amount))
}

fn refund_ids(facts: &[Observed]) -> BTreeSet<&str> {
    let mut ids = BTreeSet::new();
    for observed in facts {
        match &observed.fact {
            StripeFact::Refund(refund) => {
                ids.insert(refund.refund.as_str());
            }
            StripeFact::Charge(charge) => ids.extend(charge.refunds.iter().map(|refund| refund.refund.as_str())),
            _ => {}
        }
    }
    ids
}

/// The n-th payment of a subscription is the n-th that was paid, by the payments' own times.
fn number_payments(members: &mut [Member]) {
    let mut payments: BTreeMap<String, Vec<(Instant, usize)>> = BTreeMap::new();
    for (place, member) in members.iter().enumerate() {
        if let State::Converted(conversion) = &member.state
            && let (Some(subscription), true) = (&conversion.stripe.subscription, is_payment(conversion))
        {
            payments.entry(subscription.clone()).or_default().push((conversion.occurred_at, place));
        }
    }
    for mut of_one in payments.into_values() {
        // Members are in the order of their least key: of two at one time, that decides.
        of_one.sort_unstable();
        for (ordinal, (_, place)) in (1..).zip(of_one) {
            if let Some(State::Converted(conversion)) = members.get_mut(place).map(|member| &mut member.state) {
                conversion.occasion = Occasion::SubscriptionPayment(ordinal);
            }
        }
    }
}

fn is_payment(conversion: &Conversion) -> bool {
    matches!(conversion.occasion, Occasion::SubscriptionPayment(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{
        BillingReason, ChargeFact, FeeFact, Hints, InvoiceFact, InvoicePaymentFact, PaymentStatus, RefundFact,
        RefundStatus, SessionFact, SessionMode, SubscriptionEndedFact,
    };
    use crate::money::Currency;
    use crate::reward::Fee;

    const NOW: Instant = Instant::from_seconds(1_800_000_000);

    fn observed(s: i64, fact: StripeFact) -> Observed {
        Observed { at: NOW.plus_ms(s * 1_000), fact }
    }

    fn invoice(s: i64, id: &str, billing_reason: BillingReason, amount: i64) -> Observed {
        observed(
            s,
            StripeFact::Invoice(InvoiceFact {
                invoice: format!("in_{id}"),
                subscription: Some("sub_1".to_owned()),
                customer: Some("cus_1".to_owned()),
                email: None,
                billing_reason,
                amount_paid: amount,
                amount_paid_off_stripe: 0,
                total: amount,
                tax: None,
                currency: Currency::EUR,
                paid_at: Some(NOW.plus_ms(s * 1_000)),
                payment_intent: None,
                charge: None,
                hints: Hints::default(),
            }),
        )
    }

    fn session(s: i64) -> Observed {
        observed(
            s,
            StripeFact::Session(SessionFact {
                session: "cs_1".to_owned(),
                mode: SessionMode::Subscription,
                payment_status: PaymentStatus::Paid,
                amount: 10_000,
                tax: None,
                currency: Some(Currency::EUR),
                payment_intent: None,
                invoice: Some("in_a".to_owned()),
                subscription: Some("sub_1".to_owned()),
                customer: Some("cus_1".to_owned()),
                email: None,
                hints: Hints::default(),
            }),
        )
    }

    fn invoice_payment(s: i64) -> Observed {
        observed(
            s,
            StripeFact::InvoicePayment(InvoicePaymentFact {
                invoice_payment: "inpay_1".to_owned(),
                invoice: "in_a".to_owned(),
                payment_intent: Some("pi_1".to_owned()),
                charge: None,
                amount_paid: 10_000,
                currency: Some(Currency::EUR),
            }),
        )
    }

    fn charge(s: i64, refunded: i64) -> Observed {
        observed(
            s,
            StripeFact::Charge(ChargeFact {
                charge: "ch_1".to_owned(),
                payment_intent: Some("pi_1".to_owned()),
                invoice: None,
                amount_captured: 10_000,
                amount_refunded: refunded,
                currency: Currency::EUR,
                balance_transaction: Some("txn_1".to_owned()),
                fee: None,
                refunds: Vec::new(),
            }),
        )
    }

    fn refund(s: i64, id: &str, amount: i64) -> Observed {
        observed(
            s,
            StripeFact::Refund(RefundFact {
                refund: id.to_owned(),
                charge: Some("ch_1".to_owned()),
                payment_intent: Some("pi_1".to_owned()),
                amount,
                currency: Currency::EUR,
                status: RefundStatus::Succeeded,
                created: None,
            }),
        )
    }

    fn of(stripe: Vec<Observed>) -> FamilyFacts {
        FamilyFacts { stripe, ..FamilyFacts::default() }
    }

    fn conversions(facts: &FamilyFacts) -> Vec<(i64, i64, Occasion)> {
        let members = members(facts, NOW.plus_ms(86_400_000));
        let converted = members.into_iter().filter_map(|member| match member.state {
            State::Converted(c) => Some((c.money.paid_cents, c.money.refunded_cents, c.occasion)),
            State::Waiting { .. } => None,
        });
        converted.collect()
    }

    /// Every order of a few things.
    fn orders<T: Clone>(things: &[T]) -> Vec<Vec<T>> {
        if things.is_empty() {
            return vec![Vec::new()];
        }
        let mut all = Vec::new();
        for place in 0..things.len() {
            let mut rest = things.to_vec();
            let first = rest.remove(place);
            for mut order in orders(&rest) {
                order.insert(0, first.clone());
                all.push(order);
            }
        }
        all
    }

    #[test]
    fn all_720_orders_of_a_subscription_sale_come_to_the_same() {
        let facts = [
            session(1),
            invoice(2, "a", BillingReason::SubscriptionCreate, 10_000),
            invoice_payment(3),
            charge(4, 0),
            refund(5, "re_1", 2_500),
            refund(6, "re_2", 2_500),
        ];
        let expected = [(10_000, 5_000, Occasion::SubscriptionPayment(1))];
        let orders = orders(&facts);
        assert_eq!(orders.len(), 720);
        for order in orders {
            let doubled: Vec<_> = order.iter().chain(&order[..3]).cloned().collect();
            assert_eq!(conversions(&of(doubled)), expected);
            assert_eq!(members(&of(order.clone()), NOW), members(&of(facts.to_vec()), NOW));
        }
    }

    #[test]
    fn payments_are_numbered_by_their_own_time_and_a_late_earlier_one_moves_the_others() {
        use BillingReason as B;
        let trial = invoice(1, "a", B::SubscriptionCreate, 0);
        let first = invoice(2, "z", B::SubscriptionCycle, 900);
        let second = invoice(3, "b", B::SubscriptionCycle, 901);
        let ordinals = |facts: Vec<Observed>| {
            let mut all: Vec<_> =
                conversions(&of(facts)).into_iter().map(|(paid, _, occasion)| (paid, occasion)).collect();
            all.sort_by_key(|(paid, _)| *paid);
            all
        };
        let nth = Occasion::SubscriptionPayment;
        assert_eq!(ordinals(vec![second.clone(), trial.clone()]), [(0, Occasion::Free), (901, nth(1))]);
        assert_eq!(ordinals(vec![second, trial, first]), [(0, Occasion::Free), (900, nth(1)), (901, nth(2))]);
    }

    #[test]
    fn a_refund_before_its_sale_is_unknown_and_found_when_the_joining_fact_comes() {
        let early = of(vec![refund(1, "re_1", 2_500)]);
        let lone = members(&early, NOW);
        assert!(lone.len() == 1 && lone[0].unknown);
        let paid = invoice(2, "a", BillingReason::SubscriptionCreate, 10_000);
        let apart = of(vec![refund(1, "re_1", 2_500), paid.clone()]);
        assert_eq!(conversions(&apart), [(10_000, 0, Occasion::SubscriptionPayment(1))]);
        assert_eq!(members(&apart, NOW).len(), 2);
        let joined = of(vec![refund(1, "re_1", 2_500), paid, invoice_payment(3)]);
        assert_eq!(conversions(&joined), [(10_000, 2_500, Occasion::SubscriptionPayment(1))]);
    }

    #[test]
    fn reported_refunds_are_counted_once_each_and_never_above_what_was_paid() {
        let report = Report {
            external_transaction_id: "txn_1".to_owned(),
            event_type: "purchase".to_owned(),
            amount_cents: 10_000,
            currency: Some(Currency::EUR),
            occurred_at: NOW,
            click_id: None,
            promo_code: None,
            customer_external_id: None,
            email: None,
            tracked: None,
        };
        let back = |id: &str, amount_cents| ReportedRefund {
            external_transaction_id: "txn_1".to_owned(),
            external_refund_id: id.to_owned(),
            amount_cents,
        };
        let facts = |refunds| FamilyFacts { reports: vec![report.clone()], refunds, ..FamilyFacts::default() };
        assert_eq!(
            conversions(&facts(vec![back("r1", 2_500), back("r1", 2_500)])),
            [(10_000, 2_500, Occasion::Payment)]
        );
        assert_eq!(
            conversions(&facts(vec![back("r1", 9_000), back("r2", 9_000)])),
            [(10_000, 10_000, Occasion::Payment)]
        );
    }

    #[test]
    fn a_refund_that_stripe_tells_of_and_the_merchant_reports_under_stripes_id_is_one() {
        let back = ReportedRefund {
            external_transaction_id: "in_a".to_owned(),
            external_refund_id: "re_1".to_owned(),
            amount_cents: 2_500,
        };
        let paid = invoice(2, "a", BillingReason::SubscriptionCreate, 10_000);
        let stripe = vec![paid, invoice_payment(3), refund(4, "re_1", 2_500)];
        let facts = FamilyFacts { refunds: vec![back], stripe, ..FamilyFacts::default() };
        assert_eq!(conversions(&facts), [(10_000, 2_500, Occasion::SubscriptionPayment(1))]);
    }

    #[test]
    fn a_fee_meets_its_charge_by_the_balance_transaction_in_every_order() {
        let fee = FeeFact { balance_transaction: "txn_1".to_owned(), fee: 320, currency: Currency::EUR };
        let paid = invoice(2, "a", BillingReason::SubscriptionCreate, 10_000);
        let facts = [session(1), paid, invoice_payment(3), charge(4, 0), observed(9, StripeFact::Fee(fee))];
        for order in orders(&facts) {
            let members = members(&of(order), NOW);
            assert_eq!(members.len(), 1);
            let State::Converted(conversion) = &members[0].state else { panic!("a paid invoice converts") };
            assert_eq!(conversion.money.fee, Fee::Known(320));
        }
        // Alone, nobody can say what it is the fee of.
        let alone = members(&of(facts[4..].to_vec()), NOW);
        assert!(alone.len() == 1 && alone[0].unknown);
    }

    #[test]
    fn a_match_by_hand_gives_way_to_the_fact_that_tells_of_which_sale_a_refund_is() {
        let by_hand = Joined { joined: BTreeSet::from(["ch_1".to_owned(), "in_a".to_owned()]) };
        let a = invoice(1, "a", BillingReason::Other, 5_000);
        let b = invoice(2, "b", BillingReason::Other, 8_000);
        let back = refund(3, "re_1", 2_500);
        let with = |stripe| FamilyFacts { joins: vec![by_hand.clone()], ..of(stripe) };
        let money = |facts: &FamilyFacts| -> Vec<(i64, i64)> {
            let mut all: Vec<_> = conversions(facts).into_iter().map(|(paid, back, _)| (paid, back)).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(money(&with(vec![a.clone(), b.clone(), back.clone()])), [(5_000, 2_500), (8_000, 0)]);
        let joining = observed(
            4,
            StripeFact::InvoicePayment(InvoicePaymentFact {
                invoice_payment: "inpay_b".to_owned(),
                invoice: "in_b".to_owned(),
                payment_intent: Some("pi_1".to_owned()),
                charge: None,
                amount_paid: 8_000,
                currency: Some(Currency::EUR),
            }),
        );
        assert_eq!(money(&with(vec![a, b, back, joining])), [(5_000, 0), (8_000, 2_500)]);
    }

    #[test]
    fn a_subscription_ends_once() {
        let end = |s| {
            let fact = SubscriptionEndedFact { subscription: "sub_1".to_owned(), customer: None, ended_at: None };
            observed(s, StripeFact::SubscriptionEnded(fact))
        };
        let facts = of(vec![end(9), end(5), session(1)]);
        assert_eq!(ended_at(&facts, "sub_1"), Some(NOW.plus_ms(5_000)));
        assert_eq!(ended_at(&facts, "sub_2"), None);
        assert_eq!(subscriptions(&facts), BTreeSet::from(["sub_1".to_owned()]));
        assert_eq!(members(&facts, NOW).len(), 1);
    }
}
