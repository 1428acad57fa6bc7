//! What a participant earns: rewards, their versions, and the amount of a commission.

use serde::{Deserialize, Serialize};

use crate::ids::{ParticipantId, ProgramId, RewardId, RewardVersionId};
use crate::money::{Currency, rounded_share};
use crate::status::words;
use crate::time::{DAY_MS, Instant};

/// A whole, in basis points.
pub const WHOLE_BPS: i64 = 10_000;

words! {
    /// What makes a reward earn.
    Trigger {
        /// A lead: no money yet.
        Lead = "lead",
        /// A payment.
        Sale = "sale",
        /// A payment of a subscription.
        Recurring = "recurring",
    }
}

words! {
    /// Of what a percentage is taken.
    Basis {
        /// Of all that was paid.
        Gross = "gross",
        /// Less tax.
        NetOfTax = "net_of_tax",
        /// Less tax and the payment's fee.
        NetOfFees = "net_of_fees",
    }
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// A share of the basis, in basis points.
    PercentBps(i64),
    /// A fixed amount.
    Flat {
        /// In the minor unit.
        amount_cents: i64,
        /// Its currency.
        currency: Currency,
    },
}

/// One version of a reward. A change makes a new one; the version valid when the conversion happened counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardVersion {
    /// This version.
    pub id: RewardVersionId,
    /// The reward.
    pub reward_id: RewardId,
    /// Counts from 1.
    pub version: i64,
    /// Its program.
    pub program_id: ProgramId,
    /// Only for this participant; its own override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant_id: Option<ParticipantId>,
    /// What makes it earn.
    pub trigger: Trigger,
    /// Only for conversions of this event type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// How much.
    pub rate: Rate,
    /// Of what.
    pub basis: Basis,
    /// Days before it may be approved.
    pub hold_days: i64,
    /// Whether it is approved without a person once the hold is over.
    pub auto_approve: bool,
    /// For recurring rewards: how many payments earn; `None` is for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payments_max: Option<i64>,
    /// From when on; a reward's first version also covers all time before it.
    pub valid_from: Instant,
    /// This version ends the reward.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// What kind of payment, if any, a conversion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// Reported with amount 0.
    Lead,
    /// A payment that is not a subscription's.
    Payment,
    /// The n-th payment of a subscription, counted from 1.
    SubscriptionPayment(u32),
    /// Stripe's amount 0: a trial, a coupon of 100 %. Recorded, earns nothing.
    Free,
}

/// The version of a reward that this conversion earns by, or none.
pub fn choose<'a>(
    versions: &'a [RewardVersion],
    participant: &ParticipantId,
    occasion: Occasion,
    event_type: &str,
    occurred_at: Instant,
) -> Option<&'a RewardVersion> {
    let valid = valid_at(versions, occurred_at);
    let of = |trigger: Trigger| {
        best(valid.iter().copied().filter(|v| v.trigger == trigger), participant, event_type, occurred_at)
    };
    match occasion {
        Occasion::Free => None,
        Occasion::Lead => of(Trigger::Lead),
        Occasion::Payment => of(Trigger::Sale),
        Occasion::SubscriptionPayment(ordinal) => {
            let own = |v: &RewardVersion| v.participant_id.as_ref().is_none_or(|own| own == participant);
            if valid.iter().any(|version| version.trigger == Trigger::Recurring && own(version)) {
                of(Trigger::Recurring).filter(|v| v.payments_max.is_none_or(|max| i64::from(ordinal) <= max))
            } else if ordinal == 1 {
                of(Trigger::Sale)
            } else {
                None
            }
        }
    }
}

/// Of each reward, its version at that time; those that are retired by then are gone.
fn valid_at(versions: &[RewardVersion], at: Instant) -> Vec<&RewardVersion> {
    versions
        .iter()
        .filter(|version| {
            let starts = |v: &RewardVersion| v.version == 1 || v.valid_from <= at;
            let superseded = versions
                .iter()
                .any(|later| later.reward_id == version.reward_id && later.version > version.version && starts(later));
            starts(version) && !superseded && !version.retired
        })
        .collect()
}

/// What was there at the time before what came later and only covers the time before it by being a first version; then a
/// participant's override; then the one that names the event type; then the newest reward, by its id: a change of an older
/// one does not make it newer.
fn best<'a>(
    candidates: impl Iterator<Item = &'a RewardVersion>,
    participant: &ParticipantId,
    event_type: &str,
    at: Instant,
) -> Option<&'a RewardVersion> {
    candidates
        .filter(|v| v.participant_id.as_ref().is_none_or(|own| own == participant))
        .filter(|v| v.event_type.as_deref().is_none_or(|wanted| wanted == event_type))
        .max_by_key(|v| {
            let was_there = v.valid_from <= at;
            (was_there, v.participant_id.is_some(), v.event_type.is_some(), v.reward_id.clone())
        })
}

/// The fee that Stripe took of a payment, as far as it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fee {
    /// Not all of it is known yet.
    #[default]
    Unknown,
    /// All of it, in the minor unit of the payment's currency.
    Known(i64),
    /// Some of it was taken in another currency, and the ledger converts none.
    Foreign,
}

/// The money of one conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    /// What was paid, in the minor unit.
    pub paid_cents: i64,
    /// The tax in it, where it is told.
    pub tax_cents: Option<i64>,
    /// The fee in it.
    #[serde(default)]
    pub fee: Fee,
    /// What was given back.
    pub refunded_cents: i64,
    /// The currency; absent only with an amount of 0.
    pub currency: Option<Currency>,
}

/// What a commission comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earned {
    /// In the minor unit.
    pub amount_cents: i64,
    /// Its currency.
    pub currency: Currency,
    /// Why a person has to look at it before it is approved.
    pub needs_review: Vec<ReviewReason>,
}

words! {
    /// Why a commission is not approved by itself.
    ReviewReason {
        /// The basis is net of fees and the fee is not known.
        FeeUnknown = "fee_unknown",
        /// A flat reward, or the fee of a basis net of fees, in another currency than the payment.
        CurrencyMismatch = "currency_mismatch",
        /// A fraud rule holds it.
        Fraud = "fraud",
        /// Anybody could have said what it rests on: a lead or a sale that came with no secret key, or a customer bound by one.
        Unauthenticated = "unauthenticated",
    }
}

/// The amount by one reward: rate × basis × (paid − refunded) ÷ paid, rounded once, half away from zero. A flat reward stays
/// whole until all is given back. `None` when nothing can be earned (no currency, or out of range).
pub fn earned(rate: Rate, basis: Basis, money: &Money) -> Option<Earned> {
    let all_refunded = money.paid_cents > 0 && money.refunded_cents >= money.paid_cents;
    match rate {
        Rate::Flat { amount_cents, currency } => {
            let foreign = money.currency.is_some_and(|paid_in| paid_in != currency);
            Some(Earned {
                amount_cents: if all_refunded { 0 } else { amount_cents },
                currency,
                needs_review: if foreign { vec![ReviewReason::CurrencyMismatch] } else { Vec::new() },
            })
        }
        Rate::PercentBps(bps) => {
            let currency = money.currency?;
            let (base, needs_review) = base(basis, money);
            let kept = (money.paid_cents - money.refunded_cents).max(0);
            let amount_cents = if money.paid_cents == 0 {
                0
            } else {
                rounded_share(
                    i128::from(bps) * i128::from(base),
                    i128::from(kept),
                    i128::from(WHOLE_BPS) * i128::from(money.paid_cents),
                )?
            };
            Some(Earned { amount_cents, currency, needs_review })
        }
    }
}

/// What a percentage is taken of, and what of it a person has to look at. A fee that is not told is not guessed: until then
/// the amount is that of the basis net of tax.
fn base(basis: Basis, money: &Money) -> (i64, Vec<ReviewReason>) {
    let net_of_tax = money.paid_cents.saturating_sub(money.tax_cents.unwrap_or(0));
    let (base, needs_review) = match (basis, money.fee) {
        (Basis::Gross, _) => (money.paid_cents, None),
        (Basis::NetOfTax, _) => (net_of_tax, None),
        (Basis::NetOfFees, Fee::Known(fee_cents)) => (net_of_tax.saturating_sub(fee_cents), None),
        (Basis::NetOfFees, Fee::Unknown) => (net_of_tax, Some(ReviewReason::FeeUnknown)),
        (Basis::NetOfFees, Fee::Foreign) => (net_of_tax, Some(ReviewReason::CurrencyMismatch)),
    };
    (base.max(0), needs_review.into_iter().collect())
}

/// When a commission's hold ends.
pub const fn hold_until(occurred_at: Instant, hold_days: i64) -> Instant {
    occurred_at.plus_ms(hold_days.saturating_mul(DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_ms(1_800_000_000_000);

    fn participant() -> ParticipantId {
        ParticipantId::make(NOW, [1; 10])
    }

    fn version(reward: u8, version: i64, trigger: Trigger) -> RewardVersion {
        RewardVersion {
            id: RewardVersionId::make(NOW, [reward * 16 + version as u8; 10]),
            reward_id: RewardId::make(NOW, [reward; 10]),
            version,
            program_id: ProgramId::make(NOW, [2; 10]),
            participant_id: None,
            trigger,
            event_type: None,
            rate: Rate::PercentBps(2_000),
            basis: Basis::Gross,
            hold_days: 0,
            auto_approve: true,
            payments_max: None,
            valid_from: NOW,
            retired: false,
        }
    }

    fn chosen(versions: &[RewardVersion], occasion: Occasion, at: Instant) -> Option<(u8, i64)> {
        choose(versions, &participant(), occasion, "purchase", at).map(|v| {
            let number = (1..9).find(|n| RewardId::make(NOW, [*n; 10]) == v.reward_id).unwrap_or(0);
            (number, v.version)
        })
    }

    #[test]
    fn the_version_valid_when_it_happened_counts_and_the_first_covers_all_time_before() {
        let mut second = version(1, 2, Trigger::Sale);
        second.valid_from = NOW.plus_ms(1_000);
        let versions = [version(1, 1, Trigger::Sale), second];
        assert_eq!(chosen(&versions, Occasion::Payment, NOW.plus_ms(-1)), Some((1, 1)));
        assert_eq!(chosen(&versions, Occasion::Payment, NOW.plus_ms(999)), Some((1, 1)));
        assert_eq!(chosen(&versions, Occasion::Payment, NOW.plus_ms(1_000)), Some((1, 2)));
    }

    #[test]
    fn a_reward_that_came_later_does_not_price_the_past_and_a_foreign_override_takes_nothing_away() {
        let mut later = version(2, 1, Trigger::Sale);
        later.valid_from = NOW.plus_ms(1_000);
        let both = [version(1, 1, Trigger::Sale), later];
        assert_eq!(chosen(&both, Occasion::Payment, NOW), Some((1, 1)));
        assert_eq!(chosen(&both, Occasion::Payment, NOW.plus_ms(1_000)), Some((2, 1)));
        assert_eq!(chosen(&both[1..], Occasion::Payment, NOW), Some((2, 1)));
        let mut foreign = version(3, 1, Trigger::Recurring);
        foreign.participant_id = Some(ParticipantId::make(NOW, [9; 10]));
        let with_foreign = [version(1, 1, Trigger::Sale), foreign];
        assert_eq!(chosen(&with_foreign, Occasion::SubscriptionPayment(1), NOW), Some((1, 1)));
    }

    #[test]
    fn a_subscription_earns_by_recurring_else_by_its_first_payment_as_a_sale() {
        let sale = version(1, 1, Trigger::Sale);
        let mut recurring = version(2, 1, Trigger::Recurring);
        recurring.payments_max = Some(2);
        let both = [sale.clone(), recurring];
        assert_eq!(chosen(&both, Occasion::SubscriptionPayment(1), NOW), Some((2, 1)));
        assert_eq!(chosen(&both, Occasion::SubscriptionPayment(2), NOW), Some((2, 1)));
        assert_eq!(chosen(&both, Occasion::SubscriptionPayment(3), NOW), None);
        assert_eq!(chosen(std::slice::from_ref(&sale), Occasion::SubscriptionPayment(1), NOW), Some((1, 1)));
        assert_eq!(chosen(std::slice::from_ref(&sale), Occasion::SubscriptionPayment(2), NOW), None);
        assert_eq!(chosen(&[sale], Occasion::Free, NOW), None);
    }

    #[test]
    fn an_override_beats_a_named_event_type_beats_the_newest() {
        let plain = version(1, 1, Trigger::Sale);
        let mut named = version(2, 1, Trigger::Sale);
        named.event_type = Some("purchase".to_owned());
        named.valid_from = NOW.plus_ms(-5);
        let mut own = version(3, 1, Trigger::Sale);
        own.participant_id = Some(participant());
        let mut foreign = version(4, 1, Trigger::Sale);
        foreign.participant_id = Some(ParticipantId::make(NOW, [9; 10]));
        let mut other_type = version(5, 1, Trigger::Sale);
        other_type.event_type = Some("upgrade".to_owned());
        let versions = [plain, named, own, foreign, other_type];
        assert_eq!(chosen(&versions, Occasion::Payment, NOW), Some((3, 1)));
        assert_eq!(chosen(&versions[..2], Occasion::Payment, NOW), Some((2, 1)));
        assert_eq!(chosen(&versions[..1], Occasion::Payment, NOW), Some((1, 1)));
        assert_eq!(chosen(&versions[..1], Occasion::Lead, NOW), None);
    }

    #[test]
    fn a_change_makes_no_reward_newer() {
        let mut changed = version(1, 2, Trigger::Sale);
        changed.valid_from = NOW.plus_ms(1_000);
        let versions = [version(1, 1, Trigger::Sale), version(2, 1, Trigger::Sale), changed];
        assert_eq!(chosen(&versions, Occasion::Payment, NOW.plus_ms(1_000)), Some((2, 1)));
    }

    #[test]
    fn an_override_takes_its_trigger_over_whole_and_a_retired_one_gives_it_back() {
        let mut common = version(1, 1, Trigger::Recurring);
        common.event_type = Some("purchase".to_owned());
        let mut own = version(2, 1, Trigger::Recurring);
        own.participant_id = Some(participant());
        own.payments_max = Some(1);
        let mut end = RewardVersion { version: 2, retired: true, ..own.clone() };
        end.valid_from = NOW.plus_ms(1_000);
        let versions = [common, own, end, version(3, 1, Trigger::Sale)];
        let check = |ordinal, at, expected| {
            assert_eq!(chosen(&versions, Occasion::SubscriptionPayment(ordinal), at), expected);
        };
        check(1, NOW, Some((2, 1)));
        // Its cap is the participant's: neither the program's recurring reward nor a sale's takes over.
        check(2, NOW, None);
        check(2, NOW.plus_ms(1_000), Some((1, 1)));
        assert_eq!(chosen(&versions, Occasion::Payment, NOW), Some((3, 1)));
    }

    #[test]
    fn amounts_are_rounded_once_and_a_full_refund_leaves_nothing() {
        let money = |paid_cents, refunded_cents| Money {
            paid_cents,
            tax_cents: Some(100),
            fee: Fee::Unknown,
            refunded_cents,
            currency: Some(Currency::EUR),
        };
        let check = |rate, basis, money: Money, expected: i64| {
            assert_eq!(earned(rate, basis, &money).unwrap().amount_cents, expected, "{rate:?} {basis:?} {money:?}");
        };
        let fifth = Rate::PercentBps(2_000);
        check(fifth, Basis::Gross, money(10_000, 0), 2_000);
        check(fifth, Basis::Gross, money(10_000, 5_000), 1_000);
        check(fifth, Basis::Gross, money(10_000, 10_000), 0);
        check(fifth, Basis::NetOfTax, money(10_000, 0), 1_980);
        check(Rate::PercentBps(1), Basis::Gross, money(4_999, 0), 0);
        check(Rate::PercentBps(1), Basis::Gross, money(5_000, 0), 1);
        check(fifth, Basis::Gross, money(0, 0), 0);
        let flat = Rate::Flat { amount_cents: 500, currency: Currency::EUR };
        check(flat, Basis::Gross, money(10_000, 9_999), 500);
        check(flat, Basis::Gross, money(10_000, 10_000), 0);
        check(flat, Basis::Gross, money(0, 0), 500);
    }

    #[test]
    fn what_a_person_must_look_at_is_said() {
        let usd = Currency::parse("USD").unwrap();
        let money =
            Money { paid_cents: 100, tax_cents: None, fee: Fee::Unknown, refunded_cents: 0, currency: Some(usd) };
        let flat = Rate::Flat { amount_cents: 500, currency: Currency::EUR };
        assert_eq!(earned(flat, Basis::Gross, &money).unwrap().needs_review, [ReviewReason::CurrencyMismatch]);
        let net = earned(Rate::PercentBps(10), Basis::NetOfFees, &money).unwrap();
        assert_eq!(net.needs_review, [ReviewReason::FeeUnknown]);
        assert_eq!(earned(Rate::PercentBps(10), Basis::Gross, &Money { currency: None, ..money }), None);
    }

    #[test]
    fn a_basis_net_of_fees_takes_tax_and_fee_off_and_both_scale_with_what_is_kept() {
        let check = |code: &str, fee: Fee, paid: i64, refunded: i64, expected: i64, review: &[ReviewReason]| {
            let currency = Some(Currency::parse(code).unwrap());
            let money = Money { paid_cents: paid, tax_cents: Some(paid / 10), fee, refunded_cents: refunded, currency };
            let earned = earned(Rate::PercentBps(2_000), Basis::NetOfFees, &money).unwrap();
            assert_eq!((earned.amount_cents, earned.needs_review.as_slice()), (expected, review), "{money:?}");
        };
        // 100.00 less 10.00 tax less 3.20 fee is 86.80, of which 20 % is 17.36.
        check("EUR", Fee::Known(320), 10_000, 0, 1_736, &[]);
        check("EUR", Fee::Known(320), 10_000, 2_500, 1_302, &[]);
        check("EUR", Fee::Known(320), 10_000, 5_000, 868, &[]);
        check("EUR", Fee::Known(320), 10_000, 10_000, 0, &[]);
        check("EUR", Fee::Known(0), 10_000, 0, 1_800, &[]);
        // A fee above what is left of a small payment leaves nothing, and never less.
        check("EUR", Fee::Known(95), 100, 0, 0, &[]);
        check("EUR", Fee::Known(95), 100, 50, 0, &[]);
        // No decimals, and three: the same integers.
        check("JPY", Fee::Known(36), 1_000, 0, 173, &[]);
        check("JPY", Fee::Known(36), 1_000, 333, 115, &[]);
        check("KWD", Fee::Known(410), 12_340, 0, 2_139, &[]);
        check("KWD", Fee::Known(410), 12_340, 6_170, 1_070, &[]);
        // What is not known is not guessed.
        check("EUR", Fee::Unknown, 10_000, 0, 1_800, &[ReviewReason::FeeUnknown]);
        check("EUR", Fee::Foreign, 10_000, 5_000, 900, &[ReviewReason::CurrencyMismatch]);
    }

    #[test]
    fn a_fee_matters_to_no_other_basis() {
        let money = |fee| Money {
            paid_cents: 10_000,
            tax_cents: Some(1_000),
            fee,
            refunded_cents: 0,
            currency: Some(Currency::EUR),
        };
        for fee in [Fee::Unknown, Fee::Known(320), Fee::Foreign] {
            let of = |basis| earned(Rate::PercentBps(2_000), basis, &money(fee)).unwrap();
            assert_eq!((of(Basis::Gross).amount_cents, of(Basis::NetOfTax).amount_cents), (2_000, 1_800));
            assert!(of(Basis::Gross).needs_review.is_empty() && of(Basis::NetOfTax).needs_review.is_empty());
            let flat = Rate::Flat { amount_cents: 500, currency: Currency::EUR };
            assert!(earned(flat, Basis::NetOfFees, &money(fee)).unwrap().needs_review.is_empty());
        }
    }
}
