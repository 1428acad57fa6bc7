//! `invoice`: the money of subscriptions, of their renewals, and of sessions that made an invoice.
//!
//! The object that moved most: in 2025-03-31 its subscription went to `parent`, its payment intent and charge away, its
//! taxes to `total_taxes`.

use domain::fact::{BillingReason, InvoiceFact, StripeFact};

use crate::event::EmailHasher;
use crate::shape::{Flaw, Shape, Unreadable};
use crate::{hints, invoice_payment};

/// The most payments read of one invoice.
const PAYMENTS_MAX: usize = 100;

/// Reads a paid invoice, and, where the shape holds them, the payments made for it.
pub(crate) fn read(invoice: Shape<'_>, hash_email: EmailHasher<'_>) -> Result<Vec<StripeFact>, Unreadable> {
    invoice.must_be("invoice")?;
    let amount_paid = invoice.own_amount("amount_paid")?;
    let email = ["customer_email", "customer.email"]
        .into_iter()
        .filter_map(|path| invoice.text(path))
        .find_map(hash_email);
    let fact = InvoiceFact {
        invoice: invoice.own_id("id")?,
        subscription: subscription(invoice),
        customer: invoice.id("customer"),
        email,
        billing_reason: billing_reason(invoice),
        amount_paid,
        amount_paid_off_stripe: off_stripe(invoice, amount_paid)?,
        // A proration may come to a credit; there is nothing of a sale in it.
        total: invoice.signed_amount("total")?.unwrap_or(amount_paid).max(0),
        tax: tax(invoice)?,
        currency: invoice.own_currency("currency")?,
        paid_at: invoice.time("status_transitions.paid_at"),
        payment_intent: invoice.id("payment_intent"),
        charge: invoice.id("charge"),
        hints: hints::of_invoice(invoice),
    };
    let payments = invoice
        .items("payments")
        .take(PAYMENTS_MAX)
        .filter(|payment| payment.text("status") == Some("paid"))
        .filter_map(|payment| invoice_payment::read(payment).ok())
        .map(StripeFact::InvoicePayment)
        .collect::<Vec<_>>();
    Ok([vec![StripeFact::Invoice(fact)], payments].concat())
}

fn subscription(invoice: Shape<'_>) -> Option<String> {
    invoice
        .id("parent.subscription_details.subscription")
        .or_else(|| invoice.id("subscription"))
}

fn billing_reason(invoice: Shape<'_>) -> BillingReason {
    match invoice.text("billing_reason") {
        Some("subscription_create") => BillingReason::SubscriptionCreate,
        Some("subscription_cycle") => BillingReason::SubscriptionCycle,
        Some("subscription_update") => BillingReason::SubscriptionUpdate,
        _ => BillingReason::Other,
    }
}

/// The part of `amount_paid` that did not come through Stripe: told since 2026-05-27, before that all or nothing.
fn off_stripe(invoice: Shape<'_>, amount_paid: i64) -> Result<i64, Unreadable> {
    if let Some(amount) = invoice.amount("amount_paid_off_stripe")? {
        return Ok(amount.min(amount_paid));
    }
    Ok(match invoice.flag("paid_out_of_band") {
        Some(true) => amount_paid,
        _ => 0,
    })
}

/// The tax in `total`, from the newest place that the shape has. A credit's negative tax is 0, as its total is.
fn tax(invoice: Shape<'_>) -> Result<Option<i64>, Unreadable> {
    for list in ["total_taxes", "total_tax_amounts"] {
        if invoice.at(list).is_null() {
            continue;
        }
        let mut sum = 0_i64;
        for tax in invoice.items(list) {
            // Two amounts of 53 bits and a list bounded by the body never leave 64 bits; saturate rather than argue.
            sum = sum.saturating_add(tax.signed_amount("amount")?.unwrap_or(0));
        }
        return within_amounts(list, sum).map(Some);
    }
    Ok(invoice.signed_amount("tax")?.map(|tax| tax.max(0)))
}

fn within_amounts(field: &'static str, sum: i64) -> Result<i64, Unreadable> {
    if sum > domain::money::AMOUNT_MAX {
        return Err(Unreadable {
            field,
            flaw: Flaw::NotAnAmount,
        });
    }
    Ok(sum.max(0))
}
