//! A sale: the facts that belong together, and the one conversion that they make. Its state is a function of its facts and
//! their own times, never of the order in which they came.

pub mod customer;
pub mod family;
pub mod fees;
pub mod listed;
pub mod partition;
pub mod refunds;
pub mod tracked;

pub use self::customer::Customer;
pub use self::tracked::Tracked;

use serde::{Deserialize, Serialize};

use crate::email::EmailHashes;
use crate::fact::{
    BillingReason, ClickMention, Hints, InvoiceFact, PaymentStatus, SessionFact, SessionMode, StripeFact,
};
use crate::money::Currency;
pub use crate::reward::Occasion;
use crate::reward::{Fee, Money};
use crate::status::words;
use crate::time::{Instant, MINUTE_MS};

/// A subscription's session that names no invoice waits this long for a fact that joins it to one.
pub const JOIN_WAIT_MS: i64 = 10 * MINUTE_MS;

words! {
    /// Where a conversion came from.
    Source {
        /// The Conversion API.
        Api = "api",
        /// Stripe's events.
        Stripe = "stripe",
        /// Traaaction's surface: leads and sales.
        LeadApi = "lead_api",
    }
}

words! {
    /// A conversion's status.
    ConversionStatus {
        /// As it was.
        Recorded = "recorded",
        /// Part of the money went back.
        PartiallyRefunded = "partially_refunded",
        /// All of the money went back.
        Refunded = "refunded",
        /// It turned out to be another conversion's sale.
        Merged = "merged",
    }
}

/// What a merchant reported over the Conversion API, or over Traaaction's surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The merchant's id of the transaction: unique per workspace and mode.
    pub external_transaction_id: String,
    /// Free text.
    pub event_type: String,
    /// In the minor unit.
    pub amount_cents: i64,
    /// Required with an amount.
    pub currency: Option<Currency>,
    /// When it happened.
    pub occurred_at: Instant,
    /// The click named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// The promo code named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promo_code: Option<String>,
    /// The merchant's own id of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_external_id: Option<String>,
    /// The buyer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<EmailHashes>,
    /// By what it came over Traaaction's surface, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracked: Option<Tracked>,
}

impl Report {
    /// Whether anybody could have said it.
    pub fn is_public(&self) -> bool {
        self.tracked == Some(Tracked::Public)
    }

    /// Of several reports of one sale the least speaks for it: one that a secret stands behind, then the one that happened first.
    pub fn rank(&self) -> (bool, Instant, &str) {
        (self.is_public(), self.occurred_at, &self.external_transaction_id)
    }
}

/// A Stripe fact with the time of the event that brought it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The event's `created`.
    pub at: Instant,
    /// What it said.
    pub fact: StripeFact,
}

/// Everything that is known of one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SaleFacts {
    /// What the merchant reported, if it did.
    pub report: Option<Report>,
    /// What Stripe said.
    pub stripe: Vec<Observed>,
}

/// Stripe's ids of a sale, as the API shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StripeIds {
    /// `cs_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// `pi_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_intent: Option<String>,
    /// `in_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<String>,
    /// `sub_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// `cus_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
}

/// The conversion that a sale's facts make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// Where it came from.
    pub source: Source,
    /// `purchase`, unless the merchant says otherwise.
    pub event_type: String,
    /// The money.
    pub money: Money,
    /// When it happened.
    pub occurred_at: Instant,
    /// What kind of payment it is.
    pub occasion: Occasion,
    /// Stripe's ids.
    pub stripe: StripeIds,
    /// Who is to be credited, by Stripe's facts.
    pub hints: Hints,
    /// Who bought.
    pub customer: Customer,
}

/// What a sale has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// No conversion yet. Looked at again at `until`, where time alone can change it.
    Waiting {
        /// When to look again.
        until: Option<Instant>,
    },
    /// A conversion.
    Converted(Box<Conversion>),
}

/// What the facts come to at `now`.
pub fn state(facts: &SaleFacts, now: Instant) -> State {
    let invoice = newest(facts, |fact| match fact {
        StripeFact::Invoice(invoice) => Some(invoice),
        _ => None,
    });
    let paid_session = newest(facts, |fact| match fact {
        StripeFact::Session(session) if is_settled(session) => Some(session),
        _ => None,
    });
    match (&facts.report, invoice, paid_session) {
        (Some(report), invoice, session) => reported(facts, report, invoice, session),
        (None, Some((at, invoice)), _) => from_invoice(facts, at, invoice),
        (None, None, Some((at, session))) => from_session(facts, at, session, now),
        (None, None, None) => State::Waiting { until: None },
    }
}

/// The fact of a kind that was said last; of two said in one second, the greater text, so that order does not matter.
fn newest<'a, T: std::fmt::Debug>(
    facts: &'a SaleFacts,
    pick: impl Fn(&'a StripeFact) -> Option<&'a T>,
) -> Option<(Instant, &'a T)> {
    facts
        .stripe
        .iter()
        .filter_map(|observed| pick(&observed.fact).map(|fact| (observed.at, fact)))
        .max_by_key(|(at, fact)| (*at, format!("{fact:?}")))
}

fn is_settled(session: &SessionFact) -> bool {
    matches!(session.payment_status, PaymentStatus::Paid | PaymentStatus::NoPaymentRequired)
        && session.mode != SessionMode::Setup
}

fn from_invoice(facts: &SaleFacts, at: Instant, invoice: &InvoiceFact) -> State {
    State::Converted(Box::new(Conversion {
        source: Source::Stripe,
        event_type: "purchase".to_owned(),
        money: invoice_money(invoice),
        occurred_at: invoice.paid_at.unwrap_or(at),
        occasion: invoice_occasion(invoice),
        stripe: ids(facts),
        hints: hints(facts),
        customer: customer::of(facts),
    }))
}

fn from_session(facts: &SaleFacts, at: Instant, session: &SessionFact, now: Instant) -> State {
    let joins_later = session.mode == SessionMode::Subscription && session.invoice.is_none();
    let until = at.plus_ms(JOIN_WAIT_MS);
    if joins_later && now < until {
        return State::Waiting { until: Some(until) };
    }
    State::Converted(Box::new(Conversion {
        source: Source::Stripe,
        event_type: "purchase".to_owned(),
        money: session_money(session),
        occurred_at: at,
        occasion: session_occasion(session),
        stripe: ids(facts),
        hints: hints(facts),
        customer: customer::of(facts),
    }))
}

fn invoice_occasion(invoice: &InvoiceFact) -> Occasion {
    match (invoice.amount_paid, &invoice.subscription, invoice.billing_reason) {
        (0, _, _) => Occasion::Free,
        (_, None, _) => Occasion::Payment,
        (_, Some(_), BillingReason::SubscriptionCreate) => Occasion::SubscriptionPayment(1),
        (_, Some(_), _) => Occasion::SubscriptionPayment(2),
    }
}

fn session_occasion(session: &SessionFact) -> Occasion {
    match (session.amount, session.mode) {
        (0, _) => Occasion::Free,
        (_, SessionMode::Subscription) => Occasion::SubscriptionPayment(1),
        _ => Occasion::Payment,
    }
}

/// The merchant's report stays what it was; Stripe's facts, where they join it, bring the money, the ids and what kind of
/// payment it is. A lead stays a lead as long as no money came.
fn reported(
    facts: &SaleFacts,
    report: &Report,
    invoice: Option<(Instant, &InvoiceFact)>,
    session: Option<(Instant, &SessionFact)>,
) -> State {
    let (money, occasion) = match (invoice, session) {
        (Some((_, invoice)), _) => (invoice_money(invoice), invoice_occasion(invoice)),
        (None, Some((_, session))) => (session_money(session), session_occasion(session)),
        (None, None) => (reported_money(report), Occasion::Payment),
    };
    let is_lead = report.amount_cents == 0 && money.paid_cents == 0;
    State::Converted(Box::new(Conversion {
        source: if report.tracked.is_some() { Source::LeadApi } else { Source::Api },
        event_type: report.event_type.clone(),
        occasion: if is_lead { Occasion::Lead } else { occasion },
        money,
        occurred_at: report.occurred_at,
        stripe: ids(facts),
        hints: hints(facts),
        customer: customer::of(facts),
    }))
}

fn reported_money(report: &Report) -> Money {
    Money {
        paid_cents: report.amount_cents,
        tax_cents: None,
        fee: Fee::Unknown,
        refunded_cents: 0,
        currency: report.currency,
    }
}

fn invoice_money(invoice: &InvoiceFact) -> Money {
    Money {
        paid_cents: invoice.amount_paid,
        tax_cents: invoice.tax,
        fee: Fee::Unknown,
        refunded_cents: 0,
        currency: Some(invoice.currency),
    }
}

fn session_money(session: &SessionFact) -> Money {
    Money {
        paid_cents: session.amount,
        tax_cents: session.tax,
        fee: Fee::Unknown,
        refunded_cents: 0,
        currency: session.currency,
    }
}

/// Every id that any fact tells; the least of several, so that order does not matter.
fn ids(facts: &SaleFacts) -> StripeIds {
    let mut ids = StripeIds::default();
    let least = |slot: &mut Option<String>, given: &Option<String>| {
        if let Some(given) = given
            && slot.as_ref().is_none_or(|held| given < held)
        {
            *slot = Some(given.clone());
        }
    };
    for observed in &facts.stripe {
        match &observed.fact {
            StripeFact::Session(session) => {
                least(&mut ids.session, &Some(session.session.clone()));
                least(&mut ids.payment_intent, &session.payment_intent);
                least(&mut ids.invoice, &session.invoice);
                least(&mut ids.subscription, &session.subscription);
                least(&mut ids.customer, &session.customer);
            }
            StripeFact::Invoice(invoice) => {
                least(&mut ids.payment_intent, &invoice.payment_intent);
                least(&mut ids.invoice, &Some(invoice.invoice.clone()));
                least(&mut ids.subscription, &invoice.subscription);
                least(&mut ids.customer, &invoice.customer);
            }
            _ => {}
        }
    }
    ids
}

/// What all facts together say about who is to be credited: the session first, then the invoice.
fn hints(facts: &SaleFacts) -> Hints {
    let mut sorted: Vec<(u8, Instant, &Hints)> = facts
        .stripe
        .iter()
        .filter_map(|observed| match &observed.fact {
            StripeFact::Session(session) => Some((0, observed.at, &session.hints)),
            StripeFact::Invoice(invoice) => Some((1, observed.at, &invoice.hints)),
            _ => None,
        })
        .collect();
    sorted.sort_by_key(|(rank, at, hints)| (*rank, *at, format!("{hints:?}")));
    let mut all = Hints::default();
    for (_, _, hints) in sorted {
        extend(&mut all.clicks, &hints.clicks, |held: &ClickMention, new| held.click_id == new.click_id);
        extend(&mut all.promotion_codes, &hints.promotion_codes, |held, new| held == new);
        extend(&mut all.discounts, &hints.discounts, |held, new| held == new);
        if all.customer_external_id.is_none() {
            all.customer_external_id.clone_from(&hints.customer_external_id);
        }
        all.opted_out |= hints.opted_out;
    }
    all
}

fn extend<T: Clone>(all: &mut Vec<T>, more: &[T], same: impl Fn(&T, &T) -> bool) {
    for new in more {
        if !all.iter().any(|held| same(held, new)) {
            all.push(new.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_ms(1_800_000_000_000);

    fn session(mode: SessionMode, payment_status: PaymentStatus, invoice: Option<&str>) -> StripeFact {
        StripeFact::Session(SessionFact {
            session: "cs_1".to_owned(),
            mode,
            payment_status,
            amount: 9_900,
            tax: None,
            currency: Some(Currency::EUR),
            payment_intent: (mode == SessionMode::Payment).then(|| "pi_1".to_owned()),
            invoice: invoice.map(str::to_owned),
            subscription: (mode == SessionMode::Subscription).then(|| "sub_1".to_owned()),
            customer: Some("cus_1".to_owned()),
            email: None,
            hints: Hints::default(),
        })
    }

    fn invoice() -> StripeFact {
        StripeFact::Invoice(InvoiceFact {
            invoice: "in_1".to_owned(),
            subscription: Some("sub_1".to_owned()),
            customer: Some("cus_1".to_owned()),
            email: None,
            billing_reason: BillingReason::SubscriptionCreate,
            amount_paid: 10_000,
            amount_paid_off_stripe: 0,
            total: 10_000,
            tax: Some(100),
            currency: Currency::EUR,
            paid_at: Some(NOW.plus_ms(-7_000)),
            payment_intent: None,
            charge: None,
            hints: Hints::default(),
        })
    }

    fn facts(list: &[StripeFact]) -> SaleFacts {
        let stripe = list.iter().map(|fact| Observed { at: NOW, fact: fact.clone() }).collect();
        SaleFacts { report: None, stripe }
    }

    fn converted(facts: &SaleFacts) -> Option<(i64, Instant, Occasion)> {
        match state(facts, NOW) {
            State::Converted(conversion) => {
                Some((conversion.money.paid_cents, conversion.occurred_at, conversion.occasion))
            }
            State::Waiting { .. } => None,
        }
    }

    #[test]
    fn the_invoice_carries_the_money_in_either_order() {
        let session = session(SessionMode::Subscription, PaymentStatus::Paid, Some("in_1"));
        let expected = Some((10_000, NOW.plus_ms(-7_000), Occasion::SubscriptionPayment(1)));
        assert_eq!(converted(&facts(&[session.clone(), invoice()])), expected);
        assert_eq!(converted(&facts(&[invoice(), session.clone()])), expected);
        assert_eq!(state(&facts(&[session.clone(), invoice()]), NOW), state(&facts(&[invoice(), session]), NOW));
    }

    #[test]
    fn a_session_converts_at_once_unless_it_has_to_wait() {
        let of = |mode, status, invoice| facts(&[session(mode, status, invoice)]);
        let paid = of(SessionMode::Payment, PaymentStatus::Paid, None);
        assert_eq!(converted(&paid), Some((9_900, NOW, Occasion::Payment)));
        let unpaid = of(SessionMode::Payment, PaymentStatus::Unpaid, None);
        assert_eq!(state(&unpaid, NOW), State::Waiting { until: None });
        let unjoined = of(SessionMode::Subscription, PaymentStatus::Paid, None);
        assert_eq!(state(&unjoined, NOW), State::Waiting { until: Some(NOW.plus_ms(JOIN_WAIT_MS)) });
        assert!(matches!(state(&unjoined, NOW.plus_ms(JOIN_WAIT_MS)), State::Converted(_)));
        let setup = of(SessionMode::Setup, PaymentStatus::NoPaymentRequired, None);
        assert_eq!(converted(&setup), None);
    }

    #[test]
    fn a_report_that_stripe_joins_is_stripes_kind_of_payment() {
        let check = |amount_cents: i64, stripe: &[StripeFact], expected: (i64, Occasion)| {
            let report = Report {
                external_transaction_id: "cs_1".to_owned(),
                event_type: "order".to_owned(),
                amount_cents,
                currency: Some(Currency::EUR),
                occurred_at: NOW,
                click_id: None,
                promo_code: None,
                customer_external_id: None,
                email: None,
                tracked: None,
            };
            let facts = SaleFacts { report: Some(report), ..facts(stripe) };
            let State::Converted(conversion) = state(&facts, NOW) else {
                panic!("a report always converts");
            };
            assert_eq!((conversion.money.paid_cents, conversion.occasion), expected);
            assert_eq!((conversion.source, conversion.event_type.as_str()), (Source::Api, "order"));
        };
        let payment = session(SessionMode::Payment, PaymentStatus::Paid, None);
        let subscription = session(SessionMode::Subscription, PaymentStatus::Paid, Some("in_1"));
        let unpaid = session(SessionMode::Payment, PaymentStatus::Unpaid, None);
        check(8_000, &[], (8_000, Occasion::Payment));
        check(0, &[], (0, Occasion::Lead));
        check(0, std::slice::from_ref(&unpaid), (0, Occasion::Lead));
        check(8_000, &[unpaid], (8_000, Occasion::Payment));
        check(8_000, std::slice::from_ref(&payment), (9_900, Occasion::Payment));
        check(0, &[payment], (9_900, Occasion::Payment));
        check(8_000, std::slice::from_ref(&subscription), (9_900, Occasion::SubscriptionPayment(1)));
        check(8_000, &[invoice(), subscription], (10_000, Occasion::SubscriptionPayment(1)));
    }

    use super::partition::keys;

    #[test]
    fn a_session_and_its_invoice_share_a_key() {
        let shares = |session: &StripeFact| keys(session).iter().any(|key| keys(&invoice()).contains(key));
        assert!(shares(&session(SessionMode::Subscription, PaymentStatus::Paid, Some("in_1"))));
        assert!(shares(&session(SessionMode::Subscription, PaymentStatus::Paid, None)));
        assert!(!shares(&session(SessionMode::Payment, PaymentStatus::Paid, None)));
    }
}
