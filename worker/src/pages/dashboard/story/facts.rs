//! Facts in words: what Stripe or the merchant said, and which ids and amounts were in it.

use domain::fact::{ClickMention, ClickSource, DisputeStatus, Hints, PaymentStatus, RefundStatus, StripeFact};
use domain::money::Currency;
use domain::sale::{Tracked, partition};

use super::super::cell::Cell;
use crate::pages::text;
use crate::store::families::StoredFact;

/// A fact in words.
pub struct Told {
    /// What it is, in a few words.
    pub title: &'static str,
    /// The amount that it speaks of.
    pub amount: Option<String>,
    /// What else it says.
    pub lines: Vec<(&'static str, Cell)>,
}

fn money(amount: i64, currency: Option<Currency>) -> Option<String> {
    currency.map(|currency| text::money(amount, currency))
}

fn id(head: &'static str, value: Option<&String>) -> Option<(&'static str, Cell)> {
    value.map(|value| (head, Cell::Id(value.clone())))
}

fn word(head: &'static str, value: &str) -> (&'static str, Cell) {
    (head, Cell::Text(value.to_owned()))
}

/// Whether a fact belongs to the sale that has these ids. What speaks of a whole subscription belongs to each of its sales.
pub fn belongs(fact: &StoredFact, keys: &std::collections::BTreeSet<String>) -> bool {
    match fact {
        StoredFact::Report(report) => keys.contains(&report.external_transaction_id),
        StoredFact::Refund(refund) => keys.contains(&refund.external_transaction_id),
        // The act tells it.
        StoredFact::Joined(_) => false,
        StoredFact::Stripe(fact) => {
            let own = partition::keys(fact);
            own.is_empty() || !own.is_disjoint(keys)
        }
    }
}

/// What a fact says.
pub fn told(fact: &StoredFact, currency: Option<Currency>) -> Told {
    match fact {
        StoredFact::Report(report) => Told {
            title: match report.tracked {
                None => "Your server reported it",
                Some(Tracked::Authenticated) => "Your server reported it, as Traaaction\u{2019}s clients do",
                Some(Tracked::Public) => {
                    "It was reported with what anybody can know: a public key, a page, a workspace\u{2019}s id"
                }
            },
            amount: money(report.amount_cents, report.currency),
            lines: [
                id("Transaction", Some(&report.external_transaction_id)),
                Some(word("Event", &report.event_type)),
                id("Click named", report.click_id.as_ref()),
                id("Promo code named", report.promo_code.as_ref()),
                id("Your customer", report.customer_external_id.as_ref()),
            ]
            .into_iter()
            .flatten()
            .collect(),
        },
        StoredFact::Refund(refund) => Told {
            title: "Your server reported a refund",
            amount: money(refund.amount_cents, currency),
            lines: id("Your refund id", Some(&refund.external_refund_id)).into_iter().collect(),
        },
        StoredFact::Joined(_) => Told { title: "Somebody matched it by hand", amount: None, lines: Vec::new() },
        StoredFact::Stripe(fact) => of_stripe(fact),
    }
}

fn of_stripe(fact: &StripeFact) -> Told {
    let (title, amount, lines): (_, _, Vec<Option<(&'static str, Cell)>>) = match fact {
        StripeFact::Session(session) => {
            let paid = match session.payment_status {
                PaymentStatus::Paid => "paid",
                PaymentStatus::NoPaymentRequired => "nothing to be paid",
                PaymentStatus::Unpaid | PaymentStatus::Other => "not paid yet",
            };
            let mut lines = vec![
                Some(word("Payment", paid)),
                id("Checkout session", Some(&session.session)),
                id("Payment intent", session.payment_intent.as_ref()),
                id("Invoice", session.invoice.as_ref()),
                id("Subscription", session.subscription.as_ref()),
                id("Stripe customer", session.customer.as_ref()),
            ];
            lines.extend(hints(&session.hints));
            ("Stripe: a checkout was completed", money(session.amount, session.currency), lines)
        }
        StripeFact::Invoice(invoice) => {
            let mut lines = vec![
                id("Invoice", Some(&invoice.invoice)),
                id("Subscription", invoice.subscription.as_ref()),
                id("Payment intent", invoice.payment_intent.as_ref()),
                id("Stripe customer", invoice.customer.as_ref()),
            ];
            lines.extend(hints(&invoice.hints));
            ("Stripe: an invoice was paid", money(invoice.amount_paid, Some(invoice.currency)), lines)
        }
        StripeFact::InvoicePayment(payment) => (
            "Stripe: a payment belongs to the invoice",
            money(payment.amount_paid, payment.currency),
            vec![
                id("Invoice", Some(&payment.invoice)),
                id("Payment intent", payment.payment_intent.as_ref()),
                id("Charge", payment.charge.as_ref()),
            ],
        ),
        StripeFact::Charge(charge) => {
            let back = (charge.amount_refunded > 0).then(|| text::money(charge.amount_refunded, charge.currency));
            (
                "Stripe: how the charge stands",
                money(charge.amount_captured, Some(charge.currency)),
                vec![
                    id("Charge", Some(&charge.charge)),
                    id("Payment intent", charge.payment_intent.as_ref()),
                    back.map(|back| ("Of it given back", Cell::Money(back))),
                    charge.fee.map(|(fee, currency)| ("Stripe\u{2019}s fee", Cell::Money(text::money(fee, currency)))),
                ],
            )
        }
        StripeFact::Refund(refund) => {
            let status = match refund.status {
                RefundStatus::Pending => "on its way",
                RefundStatus::RequiresAction => "the buyer has to do something first: it does not count yet",
                RefundStatus::Succeeded => "done",
                RefundStatus::Failed => "failed: the money stays",
                RefundStatus::Canceled => "canceled: the money stays",
            };
            let lines = vec![
                Some(word("Status", status)),
                id("Refund", Some(&refund.refund)),
                id("Charge", refund.charge.as_ref()),
            ];
            ("Stripe: a refund", money(refund.amount, Some(refund.currency)), lines)
        }
        StripeFact::Dispute(dispute) => {
            let status = match dispute.status {
                DisputeStatus::Open => "open: the commission is neither approved nor paid meanwhile",
                DisputeStatus::Won => "won: the money stays",
                DisputeStatus::Lost => "lost: the money is gone",
            };
            let lines = vec![Some(word("Status", status)), id("Dispute", Some(&dispute.dispute))];
            ("Stripe: a dispute", money(dispute.amount, Some(dispute.currency)), lines)
        }
        StripeFact::SubscriptionEnded(ended) => {
            ("Stripe: the subscription ended", None, vec![id("Subscription", Some(&ended.subscription))])
        }
        StripeFact::Discount(discount) => (
            "Stripe: a discount was made of a promotion code",
            None,
            vec![id("Discount", Some(&discount.discount)), id("Promotion code", discount.promotion_code.as_ref())],
        ),
        StripeFact::Fee(fee) => (
            "Stripe\u{2019}s fee, as Stripe tells it when asked",
            money(fee.fee, Some(fee.currency)),
            vec![id("Balance transaction", Some(&fee.balance_transaction))],
        ),
    };
    Told { title, amount, lines: lines.into_iter().flatten().collect() }
}

/// What stands in an object about who is to be credited.
fn hints(hints: &Hints) -> Vec<Option<(&'static str, Cell)>> {
    let click = |mention: &ClickMention| {
        let head = match mention.source {
            ClickSource::AffClickId => "Click in metadata.aff_click_id",
            ClickSource::TracClickId => "Click in metadata.tracClickId",
            ClickSource::ClientReferenceId => "Click in client_reference_id",
        };
        Some((head, Cell::Id(mention.click_id.clone())))
    };
    let mut lines: Vec<Option<(&'static str, Cell)>> = hints.clicks.iter().map(click).collect();
    lines.extend(hints.promotion_codes.iter().map(|code| id("Promotion code", Some(code))));
    lines.extend(hints.discounts.iter().map(|discount| id("Discount", Some(discount))));
    lines.push(id("Your customer", hints.customer_external_id.as_ref()));
    lines.push(hints.opted_out.then(|| word("Opted out", "metadata.selgeo is \"false\"")));
    lines
}
