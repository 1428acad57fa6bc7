//! `invoice_payment`: joins a payment intent or a charge to an invoice, which since 2025-03-31 names neither.

use domain::fact::InvoicePaymentFact;

use crate::shape::{Shape, Unreadable};

/// Reads a payment made for an invoice. The join is what matters: an amount or a currency that is not told, or is none
/// of ISO 4217, does not spoil it.
pub(crate) fn read(payment: Shape<'_>) -> Result<InvoicePaymentFact, Unreadable> {
    payment.must_be("invoice_payment")?;
    Ok(InvoicePaymentFact {
        invoice_payment: payment.own_id("id")?,
        invoice: payment.own_id("invoice")?,
        payment_intent: payment
            .id("payment.payment_intent")
            .or_else(|| payment.id("payment.charge.payment_intent")),
        charge: payment
            .id("payment.charge")
            .or_else(|| payment.id("payment.payment_intent.latest_charge")),
        amount_paid: payment.amount("amount_paid")?.unwrap_or(0),
        currency: payment.currency("currency").unwrap_or(None),
    })
}
